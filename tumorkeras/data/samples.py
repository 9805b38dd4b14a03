"""The samples that a spec describes: a table of what they are, and their values."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.data.cache import in_pieces, rows_of
from tumorkeras.data.catalog import UNLABELLED
from tumorkeras.data.parted import Parted
from tumorkeras.data.parts import joined_groups, parts_of
from tumorkeras.data.sources import SourceData, read_source
from tumorkeras.data.stored import choose
from tumorkeras.data.tracks import read_csv
from tumorkeras.errors import DataError
from tumorkeras.spec import UNCLASSED, DataSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Samples(Parted):
    """A table of samples with their values, before they become batches.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a sample: ``id``, ``class_name``, ``class_id``, ``group`` (missing where there is none),
        ``split`` ("train", "val" or "test") and whatever columns the source's own table has.
    values : numpy.ndarray or StoredRows
        Tracks (n, frames, 2) float32, or images and volumes (n, ..., channels); large sets lie on disk.
    classes : tuple of str
        Names by class id.
    spec : DataSpec
        Where they came from and what they become.
    notes : tuple of str
        What loading cut, dropped or assumed.
    """

    values: np.ndarray
    classes: tuple[str, ...]
    spec: DataSpec
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        what = f"{len(self)} {'tracks' if self.are_tracks else 'arrays'} {tuple(self.values.shape[1:])}"
        return f"<Samples {self.spec.name}: {what} in {len(self.classes)} classes; {self.in_parts}>"

    def _repr_html_(self) -> str:
        from tumorkeras.data.preview import samples_card

        return samples_card(self)

    @property
    def are_tracks(self) -> bool:
        """Whether the values are positions that are drawn as volumes."""
        return self.values.ndim == 3

    @property
    def pixel_dtype(self) -> str | None:
        """Of images and volumes; None of tracks."""
        return None if self.are_tracks else self.values.dtype.name

    @cached_property
    def labels(self) -> np.ndarray:
        """Class ids (n,) int64."""
        return self.table["class_id"].to_numpy("int64")

    def arrays(self) -> np.ndarray:
        """What a network reads, ``(n, *input.shape)`` float32, all in memory: of tracks the volumes drawn of them."""
        from tumorkeras.data.pipeline import arrays_of  # late: it loads TensorFlow

        return arrays_of(self)

    def content(self) -> Iterator[np.ndarray]:
        """Values and labels."""
        for rows in in_pieces(len(self)):
            yield rows_of(self.values, rows)
        yield self.labels

    def _at(self, rows: np.ndarray) -> dict[str, Any]:
        return {"values": choose(self.values, rows)}


def load_samples(spec: DataSpec) -> Samples:
    """Read or simulate the samples of a spec and assign them to train, val and test.

    A part may be empty, as in a file of test samples that are only scored; what needs it says so. The table
    of the section ``clinical`` is checked, not read into the samples.

    Raises
    ------
    DataError
        If a file is missing or broken, a class is empty, or the arrays do not fit ``input.shape``.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}})
    >>> samples = load_samples(spec)
    >>> len(samples), samples.values.shape, samples.classes[0]
    (60, (60, 16, 2), 'random_walk')
    """
    _check_clinical(spec)
    source = read_source(spec)
    # Where images have boxes and no class, the spec's classes are those of the boxes; an image has what is in it.
    own = spec.source.kind in UNCLASSED or source.classes == [UNLABELLED]
    classes = tuple(source.classes if own else spec.classes or source.classes)
    if len(classes) < 2 and "classify" in spec.tasks:
        raise DataError("tasks", [f"classify needs at least 2 classes, the data have {classes[0]!r} alone"])
    table = _with_class_ids(source, classes)
    if "split" not in table:
        if spec.splits.duplicates == "together":
            table["group"] = joined_groups(table["group"], source.values.__getitem__)
        table["split"] = parts_of(spec, table, classes)
    for note in source.notes:
        logger.info(note)
    return Samples(table, source.values, classes, spec, tuple(source.notes))


def _check_clinical(spec: DataSpec) -> None:
    if spec.clinical is None:
        return
    path, column = spec.resolve(spec.clinical.path), spec.clinical.id_column
    columns = list(read_csv(path).columns)
    if column not in columns:
        raise DataError("clinical.id_column", [f"{path} has no column {column!r}; it has {columns}"])


def _with_class_ids(source: SourceData, classes: tuple[str, ...]) -> pd.DataFrame:
    ids = {name: k for k, name in enumerate(classes)}
    found = set(source.table["class_name"])
    faults = [f"class {name!r} is in the data but not in classes {list(classes)}" for name in sorted(found - set(ids))]
    faults += [f"class {name!r} has no sample" for name in classes if name not in found]
    if faults:
        raise DataError("classes", faults)
    return source.table.assign(class_id=source.table["class_name"].map(ids).astype("int64"))
