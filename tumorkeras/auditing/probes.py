"""Cheap probes: how well a few numbers tell the class of samples that a small model has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tumorkeras.auditing.group_folds import Fold, fewest_groups, held_out_folds
from tumorkeras.data.splits import stratified_folds
from tumorkeras.errors import DataError
from tumorkeras.metrics import Interval, bootstrap, corrected_resampled_t, weighted_auc

Array = NDArray[np.float64]
Model = Callable[[], Any]
FOLDS = 5
LEAST = 10  # samples of a class: with fewer there is nothing to probe
MOST = 2000  # samples that a probe reads: they put the ends of its interval within about 0.03 of the score
MOST_CLASSES = 10
TREES = 25  # of the forest
SCREENED = 30  # features that a screened model keeps
PENALTY = 0.1  # C of the logistic regression
RESAMPLES = 2000  # Bonferroni's ends lie far out


@dataclass(frozen=True)
class ProbeScore:
    """What a probe reached on samples that it was not trained on.

    Attributes
    ----------
    overall : Interval
        AUC; for more than two classes the mean over the classes of each against the rest.
    by_class : dict of str to Interval
        AUC of each class against the rest.
    """

    overall: Interval
    by_class: dict[str, Interval]

    @property
    def best_told(self) -> str:
        """The class with the highest lower end."""
        return max(self.by_class, key=lambda name: self.by_class[name].low)

    @property
    def low(self) -> float:
        """The lower end for the class that is told best."""
        return self.by_class[self.best_told].low


def linear_model() -> Pipeline:
    """Logistic regression on standardised features, for tables of features that were made to tell classes."""
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(C=PENALTY, max_iter=1000))])


def screened_model() -> Pipeline:
    """Logistic regression and a small forest on the 30 features that tell most, their probabilities averaged.

    A shortcut may be one pixel of a border or one width among many: the screen finds the feature, the forest the value.
    """
    both = [
        ("linear", LogisticRegression(C=PENALTY, max_iter=1000)),
        ("forest", RandomForestClassifier(TREES, min_samples_leaf=3, random_state=0)),
    ]
    return Pipeline(
        [
            ("scale", StandardScaler()),
            ("screen", SelectKBest(_separation, k=SCREENED)),
            ("model", VotingClassifier(both, voting="soft")),
        ]
    )


def _separation(features: Array, labels: np.ndarray) -> Array:
    """How far a class lies from the others, in the mean or in the spread of each standardised feature."""
    squares = features**2
    squares = (squares - 1) / np.maximum(squares.std(axis=0), 1e-6)
    means = [np.abs(_gap(values, labels == label)) for label in np.unique(labels) for values in (features, squares)]
    return np.max(means, axis=0)


def _gap(values: Array, members: np.ndarray) -> Array:
    return values[members].mean(axis=0) - values[~members].mean(axis=0)


def probe(
    features: pd.DataFrame | ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    tests: int = 1,
    model: Model = screened_model,
    seed: int = 0,
) -> ProbeScore:
    """How well features tell the class, in cross-validation.

    Parameters
    ----------
    features : DataFrame or array-like of float, shape (n, k)
        Missing values become the median, and a feature of their own. At least one feature must vary.
    labels : array-like, shape (n,)
        The class of each sample. Classes of fewer than 10 samples are left out, and so are the rarest beyond 10
        classes.
    groups : array-like, shape (n,), optional
        Patient, exam or experiment: never on both sides of a fold, and resampled as a whole.
    tests : int
        Number of probes that are made together: with Bonferroni's correction, the intervals of all of them, and of
        all classes, hold at once with 95 %.
    model : callable
        Makes the classifier.
    seed : int
        Of folds and resamples, and of the 2,000 samples that are drawn from more.

    Returns
    -------
    ProbeScore
        Scores out of fold are pooled and their interval is from a bootstrap, of groups where they are given. Where a
        class is in fewer than 10 groups, the scores of folds that hold out one group of each class are averaged, with
        the t interval corrected for the samples that training parts share.

    Raises
    ------
    DataError
        If fewer than two classes have 10 samples, no feature varies, or a class is in one group only.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> labels = np.repeat(["benign", "malignant"], 50)
    >>> sizes = generator.normal(size=(100, 1)) + 2 * (labels == "malignant")[:, None]
    >>> score = probe(sizes, labels)
    >>> 0.8 < score.low < score.overall.value < score.overall.high < 1
    True
    """
    rows, names = usable_rows(labels, seed)
    table = as_matrix(features)[rows]
    units = None if groups is None else np.asarray(groups, dtype=str)[rows]
    table = table[:, np.ptp(table, axis=0) > 0]
    if table.shape[1] == 0:
        raise DataError("probe", ["features: none varies; there is nothing to probe"])
    classes, ids = np.unique(names, return_inverse=True)
    confidence = 1 - 0.05 / (tests * (1 if len(classes) == 2 else len(classes)))
    folds = probe_folds(ids, units, seed)
    with one_thread():
        probabilities = [_fitted(table, ids, fold, model) for fold in folds]
    if _poolable(ids, units, folds):
        pooled = np.zeros((len(ids), len(classes)))
        for (_, test), part in zip(folds, probabilities, strict=True):
            pooled[test] = part
        intervals = _pooled_intervals(ids, pooled, units, confidence, seed)
    else:
        scores = [_aucs(ids[test], part) for (_, test), part in zip(folds, probabilities, strict=True)]
        share = float(np.mean([len(test) / len(ids) for _, test in folds]))
        intervals = _averaged_intervals(np.concatenate(scores), share, confidence, len(ids))
    return ProbeScore(intervals[0], dict(zip(map(str, classes), intervals[1:], strict=True)))


def one_thread() -> threadpool_limits:
    """Linear algebra in one thread while this is entered.

    The tables are small: threads would wait for one another longer than they work, and twenty times as long where
    other programs need the processors too.

    Examples
    --------
    >>> with one_thread():
    ...     inside = np.ones((2, 2)) @ np.ones((2, 2))
    """
    return threadpool_limits(limits=1)


def can_probe(labels: ArrayLike) -> bool:
    """Whether two classes or more have the 10 samples that a probe needs.

    Examples
    --------
    >>> can_probe(["a"] * 10 + ["b"] * 9)
    False
    """
    return len(_kept_classes(labels)) > 1


def _kept_classes(labels: ArrayLike) -> list[str]:
    counts = pd.Series(np.asarray(labels, dtype=object)).value_counts()
    return counts.index[counts >= LEAST][:MOST_CLASSES].tolist()


def usable_rows(labels: ArrayLike, seed: int) -> tuple[NDArray[np.int64], np.ndarray]:
    """Rows of the classes that are probed, at most 2,000, and their classes."""
    names = np.asarray(labels, dtype=object)
    kept = _kept_classes(names)
    if len(kept) < 2:
        found = dict(pd.Series(names).value_counts())
        raise DataError("probe", [f"labels: found {found}, expected two classes of {LEAST} samples or more"])
    rows = np.flatnonzero(np.isin(names, kept))
    if len(rows) > MOST:
        shuffled = np.random.default_rng(seed).permutation(rows)
        # As many of each class as its share, and never fewer than a probe needs.
        parts = [shuffled[names[shuffled] == name] for name in kept]
        rows = np.sort(np.concatenate([part[: max(LEAST, round(MOST * len(part) / len(rows)))] for part in parts]))
    return rows, names[rows].astype(str)


def as_matrix(features: pd.DataFrame | ArrayLike) -> Array:
    """Features as float64 (n, k) without gaps: medians in their place, and a column more that says where they were.

    Examples
    --------
    >>> as_matrix([[1.0], [np.nan], [5.0]]).tolist()
    [[1.0, 0.0], [3.0, 1.0], [5.0, 0.0]]
    """
    table = np.array(features, dtype=np.float64)
    missing = ~np.isfinite(table)
    gaps = missing.any(axis=0)
    if not gaps.any():
        return table
    table[missing] = np.nan
    empty = missing.all(axis=0)
    table[:, empty] = 0
    table = np.where(np.isnan(table), np.nanmedian(table, axis=0), table)
    return np.hstack([table, missing[:, gaps].astype(np.float64)])


def probe_folds(ids: np.ndarray, groups: np.ndarray | None, seed: int) -> list[Fold]:
    """Stratified folds; of whole groups where they are given.

    Raises
    ------
    DataError
        If a class is in one group only.
    """
    if groups is None:
        return stratified_folds(ids, folds=min(FOLDS, int(np.bincount(ids).min())), seed=seed)
    folds = held_out_folds(ids, groups, seed=seed)
    if not folds:
        raise DataError("probe", ["groups: a class is in one group only, so that no group of it can be held out"])
    return folds


def _poolable(ids: np.ndarray, groups: np.ndarray | None, folds: list[Fold]) -> bool:
    """Whether each sample is in one fold, and the folds are alike enough for their scores to share a scale."""
    tested = np.concatenate([test for _, test in folds])
    whole = len(tested) == len(ids) == len(np.unique(tested))
    return whole and (groups is None or fewest_groups(ids, groups) >= 2 * FOLDS)


def _fitted(table: Array, ids: np.ndarray, fold: Fold, model: Model) -> Array:
    """Probabilities (test, classes) of a model that was trained on the fold's other samples."""
    train, test = fold
    # A feature that does not vary in this training part says nothing there, and cannot be standardised.
    varies = np.ptp(table[train], axis=0) > 0
    if not varies.any():
        return np.full((len(test), int(ids.max()) + 1), 0.5)
    made = model()
    if "screen" in made.named_steps:
        made.set_params(screen__k=min(SCREENED, int(varies.sum())))
    return np.asarray(made.fit(table[train][:, varies], ids[train]).predict_proba(table[test][:, varies]))


def held_out_scores(table: Array, ids: np.ndarray, folds: list[Fold], model: Model) -> Array:
    """AUC (folds,) of each fold, the mean over the classes."""
    return np.array([_aucs(ids[test], _fitted(table, ids, (train, test), model))[0, 0] for train, test in folds])


def _aucs(ids: np.ndarray, probabilities: Array, weights: Array | None = None) -> Array:
    """AUC (r, 1 + classes) for each row of weights: the mean over classes, then each class against the rest."""
    classes = probabilities.shape[1]
    if classes == 2:
        one = weighted_auc(ids == 1, probabilities[:, 1], weights)
        return np.column_stack([one, one, one])
    each = np.column_stack([weighted_auc(ids == k, probabilities[:, k], weights) for k in range(classes)])
    return np.column_stack([each.mean(axis=1), each])


def _pooled_intervals(
    ids: np.ndarray, probabilities: Array, groups: np.ndarray | None, confidence: float, seed: int
) -> list[Interval]:
    found = bootstrap(
        lambda weights: _aucs(ids, probabilities, weights),
        len(ids),
        groups=groups,
        confidence=confidence,
        resamples=RESAMPLES,
        seed=seed,
    )
    ends = zip(found.value, found.low, found.high, strict=True)
    return [Interval(float(value), float(low), float(high), len(ids)) for value, low, high in ends]


def _averaged_intervals(scores: Array, share: float, confidence: float, n: int) -> list[Interval]:
    """Of fold scores (folds, figures), none beyond 0 and 1."""
    tests = [corrected_resampled_t(column, np.zeros(len(column)), share, confidence) for column in scores.T]
    return [Interval(test.difference, max(0.0, test.low), min(1.0, test.high), n) for test in tests]
