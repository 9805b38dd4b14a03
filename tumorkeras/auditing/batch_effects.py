"""Batch effects: does a score on random folds hold for whole groups or experiments that were held out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.decomposition import PCA

from tumorkeras.auditing.findings import Finding
from tumorkeras.auditing.group_folds import Fold, fewest_groups, held_out_folds
from tumorkeras.auditing.leaks import batch_columns
from tumorkeras.auditing.probes import (
    as_matrix,
    can_probe,
    held_out_scores,
    linear_model,
    one_thread,
    probe,
    usable_rows,
)
from tumorkeras.auditing.questions import group_column
from tumorkeras.features.motility import motility_features
from tumorkeras.metrics import Interval

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.data.catalog import Catalog

Array = NDArray[np.float64]
SHUFFLES = 30  # of the groups within each class: what held-out folds score where groups do not matter
MOST_COMPARED = 12  # folds that are scored anew in each shuffle
CHANCE = 0.01  # one-sided probability below which a drop is not chance
TOLD = 0.9  # AUC of the group, above which nobody may read that there is no sign of it
NOTHING = 0.55  # AUC on random folds, below which the classes are not told
MATTERS = 0.02  # AUC; a smaller drop changes no conclusion
FEW = 5  # samples a group on average, below which groups are relatives and no batches
ALL = "all samples"
MOST_COLUMNS = 4  # of groups that are looked at: each takes seconds
COMPONENTS = 10  # of the thumbnails, beside the facts of images
ID_COLUMN = r"(?i)(?:^|_)(?:id|index|number|row)$"


@dataclass(frozen=True)
class BatchEffect:
    """Scores of one probe on random folds and on folds of whole groups.

    Attributes
    ----------
    random : Interval
        AUC of five random folds, pooled; with a bootstrap interval.
    held_out : Interval
        Mean AUC of the folds that hold out whole groups, with its least and its largest value in place of an
        interval; ``n`` counts the folds.
    drop : Interval
        What groups cost: mean AUC of folds of the same sizes with the groups shuffled within each class, less that
        of the held-out groups; ``n`` counts the shuffles.
    p_value : float
        Probability of such a drop where groups do not matter.
    """

    random: Interval
    held_out: Interval
    drop: Interval
    p_value: float

    @property
    def found(self) -> bool:
        """Whether the drop is more than chance explains and large enough to matter."""
        return self.p_value < CHANCE and self.drop.value > MATTERS


def measure_batch_effect(
    features: pd.DataFrame | ArrayLike, labels: ArrayLike, groups: ArrayLike, *, seed: int = 0
) -> BatchEffect | None:
    """Compare random folds with folds that hold out whole groups.

    Parameters
    ----------
    features : DataFrame or array-like of float, shape (n, k)
        Read by logistic regression.
    labels, groups : array-like, shape (n,)
        The class of each sample, and its group or experiment. Classes of fewer than 10 samples are left out.
    seed : int
        Of folds, shuffles, and the samples that are drawn from more than 2,000.

    Returns
    -------
    BatchEffect or None
        None where no group can be held out, because a class is in one group only.

    Notes
    -----
    Each held-out fold has every class (see :func:`~tumorkeras.auditing.group_folds.held_out_folds`) and is scored by
    itself. Pairs of groups share groups, so that their spread is no interval; the test shuffles the groups among the
    samples of each class instead, which leaves the sizes of folds and classes as they are, and sets the held-out mean
    against that of the shuffles with Student's t.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> labels, groups = np.repeat(["wild", "mutant"], 40), np.repeat(list("ABCD"), 20)
    >>> features = generator.normal(size=(80, 4)) + (labels == "mutant")[:, None]
    >>> effect = measure_batch_effect(features, labels, groups)
    >>> effect.found, effect.held_out.n
    (False, 4)
    """
    rows, names = usable_rows(labels, seed)
    table, units = as_matrix(features)[rows], np.asarray(groups, dtype=str)[rows]
    ids = np.unique(names, return_inverse=True)[1]
    folds = held_out_folds(ids, units, seed=seed)
    if not folds:
        return None
    with one_thread():
        scores = held_out_scores(table, ids, folds, linear_model)
        drop, p_value = _drop(table, ids, folds, scores, seed)
    return BatchEffect(
        random=probe(table, names, model=linear_model, seed=seed).overall,
        held_out=Interval(float(scores.mean()), float(scores.min()), float(scores.max()), len(scores)),
        drop=drop,
        p_value=p_value,
    )


def _drop(table: Array, ids: np.ndarray, folds: list[Fold], scores: Array, seed: int) -> tuple[Interval, float]:
    """What held-out groups score less than shuffled ones, with its interval and the probability that it is chance."""
    generator = np.random.default_rng(seed)
    compared = np.sort(generator.permutation(len(folds))[:MOST_COMPARED])
    shuffled = []
    for _ in range(SHUFFLES):
        order = _shuffled_within(ids, generator)
        moved = [(order[train], order[test]) for train, test in (folds[k] for k in compared)]
        shuffled.append(held_out_scores(table, ids, moved, linear_model).mean())
    difference = float(np.mean(shuffled) - scores[compared].mean())
    error = float(np.std(shuffled, ddof=1) * np.sqrt(1 + 1 / SHUFFLES))
    reach = float(stats.t.ppf(0.975, SHUFFLES - 1)) * error
    statistic = difference / error if error > 0 else np.sign(difference) * np.inf
    p_value = float(stats.t.sf(statistic, SHUFFLES - 1)) if difference else 0.5
    return Interval(difference, difference - reach, difference + reach, SHUFFLES), p_value


def _shuffled_within(ids: np.ndarray, generator: np.random.Generator) -> NDArray[np.int64]:
    """Row numbers, each in the place of another row of the same class."""
    order = np.arange(len(ids))
    for label in np.unique(ids):
        members = np.flatnonzero(ids == label)
        order[members] = generator.permutation(members)
    return order


def batch_effect_findings(
    features: pd.DataFrame, labels: ArrayLike, groups: ArrayLike, *, group_name: str = "group", seed: int = 0
) -> list[Finding]:
    """Whether what a probe reaches on random folds holds for groups that were held out.

    Parameters
    ----------
    features : DataFrame, shape (n, k)
        Numbers; columns that are constant are left out.
    labels, groups : array-like, shape (n,)
        The class and the group of each sample; samples that miss one are left out.
    group_name : str
        What a group is, or the name of its column: "experiment", "exam_id", ...
    seed : int
        Of folds and shuffles.

    Returns
    -------
    list of Finding
        A warning where the score drops by more than 0.02 and than chance explains, else a note with both scores; a
        warning where a class is in one group only, so that no score can tell class from group; and a note on how
        well groups are told within one class. None where there are fewer than two groups, or a group a sample.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> labels, groups = np.repeat(["wild", "mutant"], 40), np.repeat(list("ABCD"), 20)
    >>> features = pd.DataFrame(generator.normal(size=(80, 4)) + (labels == "mutant")[:, None])
    >>> [(finding.code, finding.severity) for finding in batch_effect_findings(features, labels, groups)]
    [('no_batch_effect', 'note'), ('groups_told', 'note')]
    """
    names, units = np.asarray(labels, dtype=object), np.asarray(groups, dtype=object)
    known = pd.notna(names) & pd.notna(units)
    table, names, units = features[known], names[known].astype(str), units[known].astype(str)
    table = table.loc[:, table.nunique(dropna=False) > 1]
    group_name = re.sub(r"(?i)[ _]?id$", "", group_name).replace("_", " ").strip() or "group"
    count = len(np.unique(units))
    if count < 2 or count == len(units) or table.shape[1] == 0 or not can_probe(names):
        return []
    kept, kept_names = usable_rows(names, seed)
    if fewest_groups(kept_names, units[kept]) < 2:
        findings = [_one_group(kept_names, units[kept], group_name)]
    else:
        effect = measure_batch_effect(table, names, units, seed=seed)
        findings = [] if effect is None else [_compared(effect, _design(kept_names, units[kept]), group_name)]
        if len(units) < FEW * count:
            findings = [_of_copies(finding, group_name) for finding in findings]
    told = _told_apart(table, names, units, group_name, seed)
    return [*(_beside(finding, told, group_name) for finding in findings), *told]


def _beside(finding: Finding, told: list[Finding], group_name: str) -> Finding:
    """The finding, which does not say that there is no sign of a group that is told almost without fault."""
    best = max((score["value"] for found in told for score in found.figures["within"].values()), default=0.0)
    if finding.code != "no_batch_effect" or best <= TOLD:
        return finding
    shows = f"the {group_name} shows in the features (AUC {best:.2f}), but the score of the classes holds without it"
    mend = (
        f"Keep each {group_name} on one side of every split, and correct it by its own controls where there are some."
    )
    return replace(finding, title=finding.title.replace("no sign of a batch effect", shows), mend=mend)


def _of_copies(finding: Finding, group_name: str) -> Finding:
    """The finding where groups are pairs and triples, such as copies or images of one patient: no batches."""
    if finding.code == "no_batch_effect":
        return finding
    title = finding.title.replace("batch effect", f"samples of one {group_name} are alike")
    mend = f"Split and score by whole {group_name}s."
    return replace(finding, code="groups_alike", title=title, mend=mend)


def _one_group(labels: np.ndarray, groups: np.ndarray, group_name: str) -> Finding:
    alone = [str(name) for name in np.unique(labels) if len(np.unique(groups[labels == name])) == 1]
    return Finding(
        "batch_effects",
        "class_in_one_group",
        "warning",
        f"all samples of {' and of '.join(alone)} are of one {group_name} each: nothing tells class from {group_name}",
        effect=f"A model may learn the {group_name} (device, day, hand) and call it the class; no split can show it.",
        mend=f"Add samples of each class from two {group_name}s or more, best from some that hold every class.",
        figures={"classes": alone, "groups": len(np.unique(groups))},
    )


def _design(labels: np.ndarray, groups: np.ndarray) -> str:
    """What the held-out folds are, in words."""
    classes = pd.Series(labels).groupby(groups).nunique()
    if fewest_groups(labels, groups) >= 10:
        return "five folds of whole {0}s"
    if (classes == 1).all():
        return "one {0} of each class held out"
    if (classes == len(np.unique(labels))).all():
        return "one {0} held out"
    return "the smallest sets of {0}s with every class held out"


def _compared(effect: BatchEffect, design: str, group_name: str) -> Finding:
    random, held, drop = effect.random, effect.held_out, effect.drop
    scores = (
        f"AUC {random.value:.3f} [{random.low:.3f}, {random.high:.3f}] with random folds, "
        f"{held.value:.3f} with {design.format(group_name)} ({held.n} folds, {held.low:.3f}-{held.high:.3f})"
    )
    test = f"drop {drop.value:.3f} [{drop.low:.3f}, {drop.high:.3f}] against folds of the same size, p = "
    test += f"{effect.p_value:.3f}" if effect.p_value >= 0.001 else "below 0.001"
    figures: dict[str, Any] = {
        **{f"random_{name}": value for name, value in random._asdict().items()},
        "held_out_mean": held.value,
        "held_out_least": held.low,
        "held_out_largest": held.high,
        "folds": held.n,
        "drop": drop.value,
        "drop_low": drop.low,
        "drop_high": drop.high,
        "p_value": effect.p_value,
    }
    if not effect.found:
        return Finding(
            "batch_effects",
            "no_batch_effect",
            "note",
            f"no sign of a batch effect: {scores}",
            effect=f"What tells the classes holds for {group_name}s that were not trained on ({test}).",
            mend=f"Nothing to mend. Score by folds that hold out whole {group_name}s and yet hold every class.",
            figures=figures,
        )
    effect_words = f"Random folds promise more than a new {group_name} will give ({test})."
    if random.low <= 0.5 or random.value < NOTHING:
        effect_words = (
            f"Random folds do not tell the classes, and held-out {group_name}s score less still: the {group_name} "
            f"masks or reverses what tells the class ({test})."
        )
    return Finding(
        "batch_effects",
        "batch_effect",
        "warning",
        f"batch effect: {scores}",
        effect=effect_words,
        mend=f"Split and score by whole {group_name}s; correct each {group_name} by its own controls, "
        f"or normalise within it.",
        figures=figures,
    )


def _told_apart(
    table: pd.DataFrame, labels: np.ndarray, groups: np.ndarray, group_name: str, seed: int
) -> list[Finding]:
    """How well groups are told within the class in which they are told best; where classes are small, in all."""
    scores: dict[str, Interval] = {}
    for name in np.unique(labels):
        members = labels == name
        inside = table[members]
        if can_probe(groups[members]) and (inside.nunique(dropna=False) > 1).any():
            scores[str(name)] = probe(inside, groups[members], model=linear_model, seed=seed).overall
    where = "within {}"
    if not scores:
        centred = table - table.groupby(labels).transform("mean")
        if not can_probe(groups) or not (centred.nunique(dropna=False) > 1).any():
            return []
        # The middle one of several levels of brightness is told by no straight line: the probe with a forest sees it.
        scores = {ALL: probe(centred, groups, seed=seed).overall}
        where = "in {} with the means of the classes taken off"
    best = max(scores, key=lambda name: scores[name].value)
    value, low, high, n = scores[best]
    return [
        Finding(
            "batch_effects",
            "groups_told",
            "note",
            f"{where.format(best)}, the {group_name} is told with AUC {value:.2f} [{low:.2f}, {high:.2f}], {n} samples",
            effect=f"{'Little' if high < 0.6 else 'Something'} in the features belongs to the {group_name} and not to "
            "the class. By itself this harms no result: it does where the classes lie unevenly over them.",
            mend=f"Nothing to mend by itself; keep each {group_name} on one side of every split.",
            figures={"within": {name: dict(score._asdict()) for name, score in scores.items()}},
        )
    ]


def numeric_features(table: pd.DataFrame, leave_out: Sequence[str] = ()) -> pd.DataFrame:
    """The columns of numbers of a table, without those named, and without numbers that only count the rows.

    Examples
    --------
    >>> list(numeric_features(pd.DataFrame({"cell_id": [1, 2], "speed": [0.1, 0.2], "grade": [1, 2]}), ["grade"]))
    ['speed']
    """
    numbers = table.select_dtypes("number").drop(columns=list(leave_out), errors="ignore")
    return numbers.loc[:, ~numbers.columns.astype(str).str.contains(ID_COLUMN)]


def catalog_features(catalog: Catalog, facts: Facts) -> pd.DataFrame:
    """Features of every sample of a catalog, row by row; missing where one cannot be read.

    Of tracks, those of :func:`tumorkeras.features.motility.motility_features` on the frames that all of them have; of
    images and volumes, the facts and ten principal components of the thumbnails.
    """
    if catalog.kind == "tracks":
        tracks = [catalog.read(row).array for row in range(len(catalog.table))]
        frames = min(map(len, tracks))
        return motility_features(np.stack([track[:frames] for track in tracks]))
    found = facts.table.drop(columns=["readable", "fault", "bytes"], errors="ignore").select_dtypes("number")
    pixels = facts.thumbnails.reshape(len(found), -1).astype(np.float64)
    if not np.ptp(pixels, axis=0).any():  # they have no components
        return found
    count = min(COMPONENTS, *pixels.shape)
    components = PCA(count, svd_solver="covariance_eigh").fit_transform(pixels)
    return found.join(pd.DataFrame(components, index=found.index).add_prefix("component_"))


def catalog_batch_effects(catalog: Catalog, facts: Facts) -> list[Finding]:
    """Batch effects of the samples of a spec, by its group and by columns that look like groups, devices or places.

    Parameters
    ----------
    catalog : Catalog
        What the spec names.
    facts : Facts
        What was found in each sample, row by row of the catalog.

    Returns
    -------
    list of Finding
        Of at most four columns, that of the group first; each finding names its column.
    """
    columns = _columns(catalog)
    readable = facts.table["readable"].to_numpy(dtype=bool)
    if not columns or not readable.any():
        return []
    features = catalog_features(catalog, facts)[readable]
    labels = catalog.table["class_name"][readable]
    findings = []
    for name, groups in columns.items():
        for found in batch_effect_findings(features, labels, groups[readable], group_name=name):
            title, figures = f"{found.title} (column {name!r})", {**found.figures, "column": name}
            drop = found.code in ("batch_effect", "groups_alike")
            mend = f"{found.mend} In the spec: splits.group: {name}." if drop else found.mend
            findings.append(replace(found, title=title, mend=mend, figures=figures))
    return findings


def _columns(catalog: Catalog) -> dict[str, pd.Series]:
    """The groups that were named, and columns that divide the samples otherwise."""
    table, named = catalog.table, group_column(catalog)
    found: dict[str, pd.Series] = {}
    if named is not None:
        # With copies joined, ``group`` holds more than the column.
        found[named] = table[named] if named in table else table["group"]
    for name in batch_columns(table):
        if not any(_divide_alike(table[name], groups) for groups in found.values()):
            found[str(name)] = table[name]
    return {name: found[name] for name in list(found)[:MOST_COLUMNS]}


def _divide_alike(first: pd.Series, second: pd.Series) -> bool:
    return bool((pd.factorize(first)[0] == pd.factorize(second)[0]).all())
