"""The samples that a spec describes: a table of what they are, and their values."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from tumorkeras.data.sources import SourceData, read_source
from tumorkeras.data.splits import PARTS, assign_parts
from tumorkeras.data.tracks import read_csv, shortened
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Samples:
    """A table of samples with their values, before they become batches.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a sample: ``id``, ``class_name``, ``class_id``, ``group`` (missing where there is none),
        ``split`` ("train", "val" or "test") and whatever columns the source's own table has.
    values : numpy.ndarray
        Tracks (n, frames, 2) float32, or images and volumes (n, ..., channels).
    classes : tuple of str
        Names by class id.
    spec : DataSpec
        Where they came from and what they become.
    notes : tuple of str
        What loading cut, dropped or assumed.
    """

    table: pd.DataFrame
    values: np.ndarray
    classes: tuple[str, ...]
    spec: DataSpec
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.table)

    @property
    def are_tracks(self) -> bool:
        """Whether the values are positions that are drawn as volumes."""
        return self.values.ndim == 3

    @cached_property
    def labels(self) -> np.ndarray:
        """Class ids (n,) int64."""
        return self.table["class_id"].to_numpy("int64")

    @property
    def groups(self) -> np.ndarray | None:
        """Group of each sample, or None where the spec names no group."""
        return None if self.table["group"].isna().any() else self.table["group"].to_numpy()

    def select(self, chosen: np.ndarray) -> Samples:
        """The samples at the given indices or where a boolean mask is true."""
        chosen = np.asarray(chosen)
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return replace(self, table=self.table.iloc[rows].reset_index(drop=True), values=self.values[rows])

    def part(self, name: str) -> Samples:
        """The samples of one part: "train", "val" or "test".

        Raises
        ------
        DataError
            If the part has no sample.
        """
        chosen = (self.table["split"] == name).to_numpy()
        if not chosen.any():
            raise DataError("splits", [f"no sample is in the part {name!r}; there are {self.counts().to_dict()}"])
        return self.select(chosen)

    def counts(self) -> pd.Series:
        """Number of samples of each part."""
        return self.table["split"].value_counts().reindex(list(PARTS), fill_value=0)


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
    classes = tuple(spec.classes or source.classes)
    table = _with_class_ids(source, classes)
    table["split"] = _splits(spec, table, classes)
    _check_groups_whole(table)
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


def _splits(spec: DataSpec, table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    if spec.splits.files is not None:
        return _splits_from_files(spec, table)
    labels = table["class_id"].to_numpy()
    groups = None if table["group"].isna().any() else table["group"].to_numpy()
    shares = spec.splits.fractions.model_dump()
    found = sorted(set(table["given_split"])) if "given_split" in table else []
    # Mixing the data's own parts anew is a leak where their makers parted patients: it must be asked for.
    given = spec.splits.given or {name: name for name in found if name in PARTS}
    if not given:
        return assign_parts(labels, shares, groups, spec.splits.seed, classes)
    faults = [f"says nothing of the data's part {name!r}" for name in found if name not in given]
    faults += [f"names the part {name!r}, but the data have {', '.join(found)}" for name in given if name not in found]
    if faults:
        raise DataError("splits.given", faults)
    parts = table["given_split"].map(given).to_numpy(dtype=object)
    # What the data leave open (mostly "val") is cut out of their training part, where they have one.
    train = np.flatnonzero(parts == "train")
    if not train.size:
        return parts
    open_shares = {name: share for name, share in shares.items() if name == "train" or name not in parts}
    total = sum(open_shares.values())
    inner = None if groups is None else groups[train]
    scaled = {name: share / total for name, share in open_shares.items()}
    parts[train] = assign_parts(labels[train], scaled, inner, spec.splits.seed, classes)
    return parts


def _check_groups_whole(table: pd.DataFrame) -> None:
    """Refuse parts, given by the user, that share a group; its name may be a patient's and is not told."""
    if table["group"].isna().any():
        return
    parts = table.groupby("group")["split"].unique()
    shared = parts[parts.str.len() > 1]
    if len(shared):
        pairs = sorted({" and ".join(sorted(found)) for found in shared})
        fault = f"{len(shared)} of {len(parts)} groups are in more than one part ({'; '.join(pairs)})"
        raise DataError("splits", [f"{fault}; give other parts, or leave the group out"])


def _splits_from_files(spec: DataSpec, table: pd.DataFrame) -> np.ndarray:
    assert spec.splits.files is not None
    given = {name: spec.resolve(path) for name, path in spec.splits.files if path is not None}
    listed, faults = {}, []
    for name, path in given.items():
        if not path.is_file():
            faults.append(f"{name}: {path}: there is no such file")
            continue
        try:
            listed[name] = path.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            faults.append(f"{name}: {path}: is no UTF-8 text: {error}")
    if faults:
        raise DataError("splits.files", faults)
    part_of: dict[str, str] = {}
    known = set(table["id"])
    for name, lines in listed.items():
        for sample in filter(None, map(str.strip, lines)):
            if sample not in known:
                faults.append(f"{given[name]}: no sample is called {sample!r}")
            elif part_of.setdefault(sample, name) != name:
                faults.append(f"{sample!r} is in {part_of[sample]} and in {name}")
    faults += [f"{sample!r} is in no part" for sample in table["id"] if sample not in part_of]
    if faults:
        raise DataError("splits.files", shortened(faults))
    return table["id"].map(part_of).to_numpy(dtype=object)
