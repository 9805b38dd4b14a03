"""Parts and folds that keep a group (patient, exam, experiment) on one side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from tumorkeras.errors import DataError

PARTS = ("train", "val", "test")


def stratified_folds(
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    folds: int = 5,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of training and test indices, with the classes in proportion and no group on both sides.

    ``names`` are those of the classes, by id, for what an error says; here and in the functions below.

    Raises
    ------
    DataError
        If a class has fewer samples (or groups) than there are folds.

    Examples
    --------
    >>> pairs = stratified_folds(np.array([0, 0, 1, 1]), folds=2)
    >>> [len(test) for _, test in pairs]
    [2, 2]
    """
    labels = np.asarray(labels)
    _check_enough(labels, groups, folds, names)
    if groups is None:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        return list(splitter.split(labels, labels))
    grouped = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(grouped.split(labels, labels, groups))


def _called(label: int, names: Sequence[str] | None) -> str:
    return str(label) if names is None else repr(names[label])


def _check_enough(labels: np.ndarray, groups: np.ndarray | None, folds: int, names: Sequence[str] | None) -> None:
    faults = []
    for label in np.unique(labels):
        members = labels == label
        count = members.sum() if groups is None else len(np.unique(np.asarray(groups)[members]))
        if count < folds:
            what = ("sample" if groups is None else "group") + ("s" if count != 1 else "")
            faults.append(f"class {_called(label, names)} has {count} {what}, fewer than the {folds} folds")
    if faults:
        raise DataError("splits.folds", faults)


def split_off(
    labels: np.ndarray,
    fraction: float,
    groups: np.ndarray | None = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rest and of a part of about ``fraction``, stratified, with groups kept whole.

    Examples
    --------
    >>> rest, part = split_off(np.array([0, 1] * 10), 0.2)
    >>> len(rest), len(part)
    (16, 4)
    """
    labels = np.asarray(labels)
    everything = np.arange(len(labels))
    if len(labels) < 2:
        found = "1 sample is" if len(labels) else "0 samples are"
        raise DataError("splits.fractions", [f"{found} too few to split a part off"])
    if groups is None:
        counts = np.bincount(labels)
        classes, scarcest = int((counts > 0).sum()), counts[counts > 0].min()
        # A small part still holds each class, where the rest keeps two of it.
        least = classes if scarcest >= 3 and 2 * classes <= len(labels) else 1
        size = min(max(least, round(fraction * len(labels))), len(labels) - 1)
        # Stratifying needs two of a class and a place for each class in both parts.
        stratify = labels if scarcest > 1 and classes <= size <= len(labels) - classes else None
        rest, part = train_test_split(everything, test_size=size, stratify=stratify, random_state=seed)
        return np.sort(rest), np.sort(part)
    # Small folds, as many as the scarcest class has groups (at most 20), taken until the fraction is reached.
    groups_of = {label: len(np.unique(np.asarray(groups)[labels == label])) for label in np.unique(labels)}
    single = [_called(label, names) for label, count in groups_of.items() if count == 1]
    if single:
        mend = "so no part can be split off; use more groups"
        raise DataError("splits.group", [f"class {name} has one group only, {mend}" for name in single])
    folds = min(20, *groups_of.values())
    taken = min(max(1, round(fraction * folds)), folds - 1)
    tests = [test for _, test in stratified_folds(labels, groups, folds, seed, names)]
    part = np.sort(np.concatenate(tests[:taken]))
    return np.setdiff1d(everything, part), part


def assign_parts(
    labels: np.ndarray,
    fractions: dict[str, float],
    groups: np.ndarray | None = None,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """The part ("train", "val" or "test") of every sample, by the given shares.

    Examples
    --------
    >>> parts = assign_parts(np.array([0, 1] * 50), {"train": 0.7, "val": 0.15, "test": 0.15})
    >>> [int((parts == name).sum()) for name in PARTS]
    [70, 15, 15]
    """
    labels = np.asarray(labels)
    parts = np.full(len(labels), "train", dtype=object)
    left = np.arange(len(labels))
    remaining = 1.0
    for name in ("test", "val"):
        share = fractions.get(name, 0.0)
        if share <= 0:
            continue
        inner = None if groups is None else np.asarray(groups)[left]
        rest, part = split_off(labels[left], share / remaining, inner, seed, names)
        parts[left[part]] = name
        left, remaining = left[rest], remaining - share
    untrained = np.setdiff1d(labels, labels[parts == "train"])
    if untrained.size:
        lost = ", ".join(_called(label, names) for label in untrained)
        raise DataError("splits", [f"no sample of class {lost} is left to train on; give more, or larger train"])
    return parts
