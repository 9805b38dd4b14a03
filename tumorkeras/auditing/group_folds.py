"""Folds that hold out whole groups and yet hold every class, so that each fold can be scored."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.data.splits import stratified_folds

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
MANY_GROUPS = 10  # of the class that is in the fewest: from here on, folds of many groups are possible
MOST_FOLDS = 60  # of those that hold out one group of each class
LISTED = 20_000  # combinations that are listed; of more, a sample is drawn


def fewest_groups(labels: ArrayLike, groups: ArrayLike) -> int:
    """In how many groups the class is that is in the fewest.

    Examples
    --------
    >>> fewest_groups(["a", "a", "b"], ["g1", "g2", "g2"])
    1
    """
    names, units = np.asarray(labels), np.asarray(groups)
    return min(len(np.unique(units[names == name])) for name in np.unique(names))


def held_out_folds(labels: ArrayLike, groups: ArrayLike, *, seed: int = 0) -> list[Fold]:
    """Folds of whole groups, with every class on both sides of each.

    Where every class is in 10 groups or more, these are five stratified folds of groups. With fewer, a fold holds out
    a smallest set of groups that has every class: one group where a group has all classes; one group of each class
    where every group has one class, as experiments on one kind of cells do. All such sets are used, or a random 60.
    A fold of one class has no AUC, and pooling the scores of such folds measures how the models' levels differ, not
    how well they tell the classes.

    Parameters
    ----------
    labels, groups : array-like, shape (n,)
        The class and the group of each sample.
    seed : int
        Of the folds, and of the sample of sets.

    Returns
    -------
    list of (train, test)
        Row numbers; none where a class is in one group only: then nothing tells the class from the group.

    Examples
    --------
    >>> labels, groups = list("aaaabbbb"), list("11223344")
    >>> [test.tolist() for _, test in held_out_folds(labels, groups)]
    [[0, 1, 4, 5], [0, 1, 6, 7], [2, 3, 4, 5], [2, 3, 6, 7]]
    """
    names, units = np.unique(np.asarray(labels), return_inverse=True)[1], np.unique(groups, return_inverse=True)[1]
    if fewest_groups(names, units) >= MANY_GROUPS:
        folds = stratified_folds(names, units, folds=5, seed=seed)
    else:
        tests = [np.isin(units, list(chosen)) for chosen in _smallest_sets(names, units, seed)]
        folds = [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tests]
    classes = len(np.unique(names))
    return [fold for fold in folds if all(len(np.unique(names[side])) == classes for side in fold)]


def _smallest_sets(labels: np.ndarray, groups: np.ndarray, seed: int) -> list[frozenset[int]]:
    """Sets of groups that have every class, and would not without any one of their groups."""
    groups_of = [np.unique(groups[labels == label]).tolist() for label in np.unique(labels)]
    classes_of = {group: set(labels[groups == group].tolist()) for group in np.unique(groups).tolist()}
    generator = np.random.default_rng(seed)
    chosen: Iterable[tuple[int, ...]] = product(*groups_of)
    if prod(map(len, groups_of)) > LISTED:
        chosen = (tuple(generator.choice(found) for found in groups_of) for _ in range(10 * MOST_FOLDS))
    sets = [found for found in dict.fromkeys(map(frozenset, chosen)) if _is_smallest(found, classes_of)]
    if len(sets) > MOST_FOLDS:
        sets = [sets[k] for k in np.sort(generator.permutation(len(sets))[:MOST_FOLDS])]
    return sets


def _is_smallest(found: frozenset[int], classes_of: dict[int, set[int]]) -> bool:
    every = set().union(*classes_of.values())
    return not any(set().union(*(classes_of[group] for group in found - {one})) == every for one in found)
