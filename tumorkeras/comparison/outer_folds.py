"""Which samples a comparison trains and tests on."""

from __future__ import annotations

import numpy as np

from tumorkeras.data.folds import Folds, kept_folds
from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import stratified_folds
from tumorkeras.errors import DataError


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
