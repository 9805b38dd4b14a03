"""One table of methods on the same folds, with intervals and paired tests."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.comparison.methods import METHODS, Problem
from tumorkeras.comparison.store import FoldResult, FoldStore
from tumorkeras.data.folds import Folds, kept_folds
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.data.splits import stratified_folds
from tumorkeras.errors import DataError, SpecError
from tumorkeras.files import write_whole
from tumorkeras.metrics import classification_metrics, corrected_resampled_t, mean_interval
from tumorkeras.progress import progress_bar as bar_of
from tumorkeras.spec import DataSpec
from tumorkeras.training.from_spec import data_hash

logger = logging.getLogger(__name__)

METRICS = ("sensitivity", "specificity", "accuracy", "auc")
CONFIDENCE = 0.95
SECTIONS = ("input", "rendering", "preprocessing", "autoencoder", "classifier", "training")


def compare(
    spec: DataSpec | str | Path,
    methods: Sequence[str] | None = None,
    output: str | Path | None = None,
    *,
    samples: Samples | None = None,
    folds: Folds | None = None,
    progress_bar: bool = True,
) -> pd.DataFrame:
    """Cross-validate several methods on the same folds.

    The folds are stratified by class, keep groups whole, and go over all samples but those of the part
    "test", which stays unseen; the spec's own boundary between "train" and "val" is not used. Whatever a
    method tunes or stops by lies inside its training fold, and each test fold is read once.

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings; ``splits.folds`` and ``splits.seed`` make the folds.
    methods : sequence of str, optional
        The rows of the table, by default the spec's ``comparison.methods``:

        - ``"majority"``: the frequencies of the classes in the training fold;
        - ``"trivial"``: logistic regression on one feature, the mean step of a track or the size of an
          object;
        - ``"svm_linear"``, ``"svm_poly"``, ``"svm_rbf"``, ``"ann"`` (two hidden layers): on standardised
          hand-made features, tuned and calibrated on inner folds;
        - ``"cnn"``: the spec's classifier;
        - ``"autoencoder_cnn"``: the same, its convolutions first learnt by the spec's autoencoder on the
          training fold without labels.
    output : path, optional
        A folder for ``comparison.csv`` and the results of single folds. A comparison that was stopped goes on
        with the folds that are missing when it is started again with the same folder.
    samples : Samples, optional
        Already loaded samples of ``spec``.
    folds : list of pairs of arrays, optional
        Training and test rows of the samples, instead of the spec's folds: to hold out whole experiments, say.
    progress_bar : bool
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    pandas.DataFrame
        One row per method, in the order given:

        - ``method``; ``features``, what it reads;
        - ``sensitivity``, ``specificity``, ``accuracy``, ``auc`` (of class 1 of two; of more, means over the
          classes), each the mean over folds, with ``<metric>_low`` and ``<metric>_high``, the ends of its
          95 % t interval over folds (of a single fold: of its bootstrap interval);
        - ``p_value``, two-sided, of the corrected resampled t test of its accuracy against that of the best
          method; NaN for the best;
        - ``seconds``, mean time to train on a fold; ``samples``, how many different ones are tested on (folds of
          the user's own may share some); ``folds``;
        - ``error``, why a method failed, "" where it did not. Its figures are NaN, and the next call with the
          same folder tries again.

        ``attrs``: ``"caveat"``, how to read the p values; ``"trivial"``, the name of the trivial feature;
        ``"best"``, the method tested against; ``"confidence"``.

    Raises
    ------
    SpecError
        If the spec cannot be read or a method is unknown.
    DataError
        If the data cannot be read, there are fewer than two classes, or a class has fewer samples (groups)
        than there are folds.
    ModelError
        If ``output`` holds a comparison of other data or settings.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}, "splits": {"folds": 2}})
    >>> table = compare(spec, ["majority", "trivial"])
    >>> table[["method", "features", "samples", "folds"]].values.tolist()
    [['majority', 'none', 51, 2], ['trivial', 'mean step', 51, 2]]

    References
    ----------
    Table 2 and figures 8-9 of doi 10.18280/ts.360510. The test: Nadeau & Bengio, Machine Learning 52:239-281
    (2003).
    """
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    names = _checked_methods(spec.comparison.methods if methods is None else methods)
    samples = replace(samples or load_samples(spec), spec=spec)
    folds = outer_folds(samples) if folds is None else folds
    problem = Problem(samples)
    store = FoldStore(None if output is None else Path(output), _fingerprint(samples, folds))
    errors = _run(problem, names, folds, store, progress_bar)
    table = _table(problem, names, folds, store, errors)
    if output is not None:
        write_whole(Path(output) / "comparison.csv", table.to_csv(index=False))
    return table


def outer_folds(samples: Samples) -> Folds:
    """Training and test rows of each fold of a comparison: of all samples but those of the part "test".

    Raises
    ------
    DataError
        If there are fewer than two classes, a class has fewer samples (groups) than there are folds, or the file of
        folds is of other samples.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}, "splits": {"folds": 3}})
    >>> [(len(training), len(test)) for training, test in outer_folds(load_samples(spec))]
    [(34, 17), (34, 17), (34, 17)]
    """
    rows = np.flatnonzero(samples.table["split"] != "test")
    labels, splits = samples.labels[rows], samples.spec.splits
    if len(samples.classes) < 2:
        raise DataError("compare", [f"classes: {samples.classes[0]!r} alone; a comparison needs at least 2"])
    counts = np.bincount(labels, minlength=len(samples.classes))
    faults = [
        f"class {name!r} has {count} samples outside the part 'test', fewer than the {splits.folds} folds"
        for name, count in zip(samples.classes, counts, strict=True)
        if count < splits.folds
    ]
    if faults:
        raise DataError("splits.folds", faults)
    groups = None if samples.groups is None else samples.groups[rows]

    def make() -> Folds:
        return stratified_folds(labels, groups, splits.folds, splits.seed, names=samples.classes)

    if splits.folds_file is None:
        pairs = make()
    else:
        ids = samples.table["id"].to_numpy()[rows]
        pairs = kept_folds(samples.spec.resolve(splits.folds_file), ids, groups, make)
    return [(rows[training], rows[test]) for training, test in pairs]


def _checked_methods(methods: Sequence[str]) -> list[str]:
    names = [methods] if isinstance(methods, str) else list(methods)
    valid = ", ".join(METHODS)
    faults = [f"{name!r} is unknown; expected some of {valid}" for name in names if name not in METHODS]
    faults += [f"{name!r} stands more than once" for name in dict.fromkeys(names) if names.count(name) > 1]
    if not names:
        faults.append(f"names no method; expected some of {valid}")
    if faults:
        raise SpecError("comparison.methods", faults)
    return names


def _fingerprint(samples: Samples, folds: Folds) -> str:
    """What the result of a method on a fold depends on; which other methods are compared is not among it."""
    spec = samples.spec
    settings = spec.model_dump(mode="json", include=set(SECTIONS)) | spec.splits.fractions.model_dump()
    described = json.dumps([data_hash(samples), list(samples.classes), settings], sort_keys=True)
    digest = hashlib.sha256(described.encode())
    for rows in (rows for pair in folds for rows in pair):
        digest.update(rows.astype("int64").tobytes() + b"|")
    return digest.hexdigest()


def _run(problem: Problem, methods: list[str], folds: Folds, store: FoldStore, progress_bar: bool) -> dict[str, str]:
    """Compute what the store lacks; why each method that failed did so."""
    errors: dict[str, str] = {}
    with bar_of(len(methods) * len(folds), "compare", "fold", shown=progress_bar) as bar:
        for method in methods:
            bar.set_description(method)
            for number, (training, test) in enumerate(folds, start=1):
                if method not in errors and (method, number) not in store:
                    try:
                        result = _fold_result(problem, method, number, training, test)
                    except Exception as error:  # one method's fault, of any kind, does not end the others
                        logger.warning("%s failed on fold %d: %s", method, number, error)
                        logger.debug("%s", method, exc_info=True)
                        errors[method] = f"fold {number}: {type(error).__name__}: {error}"
                    else:
                        store.add(result)
                bar.update()
    return errors


def _fold_result(problem: Problem, method: str, number: int, training: np.ndarray, test: np.ndarray) -> FoldResult:
    chosen = METHODS[method]
    problem.prepare(chosen.features)
    began = time.monotonic()
    predictor = chosen.train(problem, training, number)
    seconds = time.monotonic() - began
    labels, probabilities = problem.samples.labels[test], predictor(test)
    return FoldResult(
        method,
        number,
        round(seconds, 3),
        _figures(labels, probabilities),
        test.tolist(),
        labels.tolist(),
        probabilities.tolist(),
    )


def _figures(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    # The interval is over folds, so the bootstrap inside a fold is left at one resample.
    values = classification_metrics(labels, probabilities, resamples=1)["value"]
    found = {metric: float(values[name]) for metric, name in _names_of_metrics(probabilities.shape[1]).items()}
    return {metric: value if np.isfinite(value) else None for metric, value in found.items()}


def _table(
    problem: Problem, methods: list[str], folds: Folds, store: FoldStore, errors: dict[str, str]
) -> pd.DataFrame:
    results = {
        method: [store[method, number] for number in range(1, len(folds) + 1)]
        for method in methods
        if method not in errors
    }
    accuracies = {
        method: np.array([result.metrics["accuracy"] for result in found], dtype="float64")
        for method, found in results.items()
    }
    best = max(accuracies, key=lambda method: accuracies[method].mean(), default=None)
    samples = len(set().union(*(test.tolist() for _, test in folds)))
    rows = []
    for method in methods:
        row: dict[str, object] = {"method": method, "features": problem.name_of(METHODS[method].features)}
        for metric, (value, low, high) in _intervals(problem, results.get(method, [])).items():
            row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
        row["p_value"] = _p_value(accuracies, method, best, folds)
        row["seconds"] = np.mean([found.seconds for found in results.get(method, [])] or [np.nan])
        row["samples"] = samples
        row["folds"] = len(folds)
        row["error"] = errors.get(method, "")
        rows.append(row)
    table = pd.DataFrame(rows)
    table.attrs = {
        "caveat": _caveat(len(results), best, len(folds)),
        "trivial": problem.name_of("trivial"),
        "best": best,
        "confidence": CONFIDENCE,
    }
    return table


def _intervals(problem: Problem, results: list[FoldResult]) -> dict[str, tuple[float, float, float]]:
    """Each metric with its interval: a t interval over the folds, of a single fold a bootstrap over its samples."""
    if len(results) == 1:
        return _bootstrap_intervals(problem, results[0])
    figures = pd.DataFrame([result.metrics for result in results], columns=list(METRICS), dtype="float64")
    intervals = {metric: mean_interval(figures[metric] if results else [np.nan], CONFIDENCE) for metric in METRICS}
    # A t interval knows nothing of the ends of the scale.
    return {
        metric: (found.value, max(found.low, 0.0), min(found.high, 1.0)) if np.isfinite(found.low) else found[:3]
        for metric, found in intervals.items()
    }


def _bootstrap_intervals(problem: Problem, only: FoldResult) -> dict[str, tuple[float, float, float]]:
    groups = None if problem.samples.groups is None else problem.samples.groups[only.rows]
    table = classification_metrics(only.labels, np.array(only.probabilities), groups=groups, confidence=CONFIDENCE)
    values, lows, highs = (table[column].astype("float64") for column in ("value", "low", "high"))
    names = _names_of_metrics(len(problem.samples.classes))
    return {metric: (values[name], lows[name], highs[name]) for metric, name in names.items()}


def _names_of_metrics(classes: int) -> dict[str, str]:
    """What :func:`classification_metrics` calls the metrics of this table."""
    prefix = "" if classes == 2 else "macro_"
    names = {"accuracy": "accuracy", "auc": f"{prefix}AUC"}
    return {metric: names.get(metric, prefix + metric) for metric in METRICS}


def _p_value(accuracies: dict[str, np.ndarray], method: str, best: str | None, folds: Folds) -> float:
    if best is None or method == best or method not in accuracies or len(folds) < 2:
        return np.nan
    fraction = float(np.mean([len(test) / (len(training) + len(test)) for training, test in folds]))
    return corrected_resampled_t(accuracies[best], accuracies[method], test_fraction=fraction).p_value


def _caveat(methods: int, best: str | None, folds: int) -> str:
    if best is None:
        return "No method gave a result."
    if folds == 1:
        return "One held-out part: the intervals are from a bootstrap of its samples, and there is no paired test."
    return (
        f"The p values are not corrected for the number of comparisons ({methods - 1}), and {best} was "
        "picked as the best on these same folds: read them as a ranking, not as proof. The intervals are "
        "over folds, which share training samples, and are somewhat narrow."
    )
