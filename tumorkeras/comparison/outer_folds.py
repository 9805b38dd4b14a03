"""Which samples a comparison trains and tests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.data.folds import Folds, kept_folds
from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import stratified_folds
from tumorkeras.errors import DataError, shortened


def outer_folds(samples: Samples) -> Folds:
    """Training and test rows of each fold of a comparison: of all samples but those of the part "test".

    Raises
    ------
    DataError
        If there are fewer than two classes, a class has fewer samples (groups) than there are folds, or the file of
        folds is of other samples.

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.spec import DataSpec
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


def checked_folds(folds: Sequence[tuple[ArrayLike, ArrayLike]], samples: Samples) -> Folds:
    """Folds as pairs of row numbers; masks become numbers.

    Raises
    ------
    DataError
        Naming every fold that has no row on a side, a row that is none of the samples, one on both sides or twice, or a
        group on both sides; or that leaves a class of its training rows fewer than two samples (groups) to tune on.

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.spec import DataSpec
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 4, "frames": 16}})
    >>> [(training, test)] = checked_folds([(np.arange(12) > 1, [0, 1])], load_samples(spec))
    >>> training.tolist(), test.tolist()
    ([2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [0, 1])
    """
    pairs = [(_rows(training), _rows(test)) for training, test in folds]
    faults = [] if pairs else ["there is none"]
    for number, pair in enumerate(pairs, start=1):
        faults += [f"fold {number}: {fault}" for fault in _faults_of_rows(*pair, len(samples))]
    if not faults:
        for number, pair in enumerate(pairs, start=1):
            faults += [f"fold {number}: {fault}" for fault in _faults_of_units(*pair, samples)]
    if faults:
        raise DataError("compare: folds", shortened(faults))
    return pairs


def _rows(given: ArrayLike) -> np.ndarray:
    rows = np.asarray(given)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype("int64")


def _faults_of_rows(training: np.ndarray, test: np.ndarray, samples: int) -> list[str]:
    both = np.concatenate([training, test])
    faults = [f"no row to {what}" for what, rows in (("train on", training), ("test on", test)) if not len(rows)]
    if len(both) and not 0 <= both.min() <= both.max() < samples:
        faults.append(f"rows {both.min()} to {both.max()}; the samples are 0 to {samples - 1}")
    shared, repeated = len(np.intersect1d(training, test)), len(both) - len(np.unique(both))
    if shared:
        faults.append(f"{shared} rows train and test")
    elif repeated:
        faults.append(f"{repeated} rows stand twice")
    return faults


def _faults_of_units(training: np.ndarray, test: np.ndarray, samples: Samples) -> list[str]:
    units = np.arange(len(samples)) if samples.groups is None else samples.groups
    what = "sample" if samples.groups is None else "group"
    faults = []
    if shared := len(np.intersect1d(units[training], units[test])):
        faults.append(f"{shared} groups train and test")
    for label in np.unique(samples.labels[training]):
        if len(np.unique(units[training][samples.labels[training] == label])) < 2:
            name = samples.classes[label]
            faults.append(f"trains on one {what} of class {name!r}; what is tuned inside a fold needs two of each")
    return faults
