"""Everything that a spec names, before any pixel is decoded: what the audit reads, and what samples are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import singledispatch
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.box_tables import NO_OBJECTS, contents, read_boxes, with_columns
from tumorkeras.data.image_files import PASSED_OVER, CatalogFault, find_samples
from tumorkeras.data.image_tables import join_table
from tumorkeras.data.patients import PATIENT, patient_numbers
from tumorkeras.data.phantoms.listing import list_phantoms
from tumorkeras.data.readers import Reading, read
from tumorkeras.data.track_sources import tracks_of
from tumorkeras.data.volumes import read_npz_volumes
from tumorkeras.errors import DataError, shortened
from tumorkeras.spec import (
    DataSpec,
    DetectionSource,
    ImageFolderSource,
    ImageTable,
    NpzSource,
    PhantomsSource,
    Section,
    SimulationSource,
    TracksSource,
)

__all__ = ["NO_OBJECTS", "UNLABELLED", "Catalog", "CatalogFault", "catalog_of", "with_group", "without_group"]

UNLABELLED = "unlabelled"  # the class of samples that have none
LEVELS = {"class": "class_name", "split": "given_split"}
BASE = ["id", "path", "class_name", "group", "given_split", "split"]


@dataclass(frozen=True)
class Catalog:
    """The samples of a spec, undecoded.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a sample (for sources with boxes: an image): ``id``, ``path`` ("" where it has no file of its own),
        ``class_name``, ``group``, ``given_split`` (the part that the data come with) and ``split`` ("train", "val",
        "test"), each missing where unknown; ``labelled`` for sources with boxes: False for an image that nothing
        lists; and the columns of the source's own table.
    boxes : pandas.DataFrame or None
        The boxes as :func:`tumorkeras.read_annotations` gives them, ``image`` being an ``id`` of the table.
    classes : tuple of str
        Classes of the boxes, else of the samples, by class id.
    kind : str
        "images", "volumes" or "tracks".
    faults : tuple of CatalogFault
        What is wrong with the files, before any is decoded.
    spec : DataSpec or None
        The spec that was read.
    reader : callable
        Decodes a row of the table.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 2, "frames": 16}})
    >>> catalog = catalog_of(spec)
    >>> len(catalog), catalog.kind, catalog.reader(0).array.shape
    (6, 'tracks', (16, 2))
    """

    table: pd.DataFrame
    boxes: pd.DataFrame | None
    classes: tuple[str, ...]
    kind: str
    faults: tuple[CatalogFault, ...]
    spec: DataSpec | None
    reader: Callable[[int], Reading] = field(repr=False)

    def __len__(self) -> int:
        return len(self.table)

    def select(self, rows: np.ndarray) -> Catalog:
        """The samples of some rows, in their order, with their boxes."""
        table = self.table.iloc[rows].reset_index(drop=True)
        boxes = self.boxes
        if boxes is not None:
            boxes = boxes[boxes["image"].isin(table["id"])].reset_index(drop=True)
        whole, numbers = self.reader, [int(row) for row in rows]
        return replace(self, table=table, boxes=boxes, reader=lambda row: whole(numbers[row]))

    def read(self, row: int) -> Reading:
        """Decode a sample; tracks are arrays (frames, 2).

        Raises
        ------
        DataError
            If the file cannot be read.
        """
        return self.reader(row)


def catalog_of(spec: DataSpec) -> Catalog:
    """List what the source of a spec names.

    The column ``split`` is what the data come with; :func:`tumorkeras.data.parts.with_parts` completes it. Where the
    spec names no group, samples with the same group column are not looked for: the column ``group`` is missing.

    Raises
    ------
    DataError
        If a folder or table cannot be read at all. Faults of single files are in ``faults``.

    Examples
    --------
    >>> import tempfile, cv2; folder = Path(tempfile.mkdtemp())
    >>> for name in ("benign", "malignant"):
    ...     (folder / name).mkdir()
    ...     _ = cv2.imwrite(str(folder / name / "1.png"), np.zeros((6, 6), "uint8"))
    >>> catalog = catalog_of(DataSpec.from_dict({"name": "scans", "input": {"shape": [4, 4, 1]},
    ...     "source": {"kind": "image_folder", "path": str(folder)}}))
    >>> catalog.table["id"].tolist(), catalog.classes, catalog.read(0).array.shape
    (['benign/1.png', 'malignant/1.png'], ('benign', 'malignant'), (6, 6, 1))
    """
    catalog = _list(spec.source, spec)
    return replace(catalog, table=with_group(catalog.table, spec))


def without_group(table: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
    """The table with no group yet; a column of that name stays where the spec names it.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "source": {"kind": "simulation"},
    ...     "input": {"shape": [101, 24, 24, 1]}})
    >>> without_group(pd.DataFrame({"id": ["a", "b"]}), spec)["group"].tolist()
    [None, None]
    """
    return table if spec.splits.group == "group" and "group" in table else table.assign(group=None)


def with_group(table: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
    """The table with the column that the spec names as its group; as it is where the spec names none.

    Raises
    ------
    DataError
        If there is no such column, or samples have no value in it.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "scans", "source": {"kind": "image_folder", "path": "scans"},
    ...     "input": {"shape": [32, 32, 1]}, "splits": {"group": "patient"}})
    >>> with_group(pd.DataFrame({"id": ["a", "b"], "patient": [7, 8]}), spec)["group"].tolist()
    ['7', '8']
    """
    column = spec.splits.group
    if column is None:
        return table
    if column == PATIENT and column not in table and "path" in table:
        table = table.assign(patient=patient_numbers(table["path"]).to_numpy())
        if table[PATIENT].isna().all():
            raise DataError("splits.group", ["no DICOM file names a patient, and no table has a column 'patient'"])
    if column not in table:
        own = [name for name in table.columns if name not in BASE]
        raise DataError("splits.group", [f"the samples have no column {column!r}; they have {own}"])
    groups = table[column].astype(str).str.strip().where(table[column].notna(), "")
    lost = groups == ""
    if "labelled" in table:  # the others are left out
        lost &= table["labelled"]
    if lost.any():
        raise DataError("splits.group", shortened([f"{name} has no {column}" for name in table.loc[lost, "id"]]))
    return table.assign(group=groups.astype(object).where(groups != "", None))


@singledispatch
def _list(source: Section, spec: DataSpec) -> Catalog:
    raise NotImplementedError(f"no catalog for {type(source).__name__}")


# ------------------------------------------------------------------------------------ images and volumes of a folder


@_list.register
def _(source: ImageFolderSource, spec: DataSpec) -> Catalog:
    folder = spec.resolve(source.path)
    volumes = len(spec.input.shape) == 4
    table, faults = _files(folder, volumes)
    levels = [LEVELS[level] for level in source.levels.split("/") if level in LEVELS]
    steps = table["id"].map(lambda name: name.split("/"))
    if levels:
        deep = steps.map(len) > len(levels)
        faults += _loose(table.loc[~deep, "id"], source.levels)
        table, steps = table[deep].reset_index(drop=True), steps[deep].reset_index(drop=True)
    for place, column in enumerate(levels):
        table[column] = [names[place] for names in steps]
    if levels[:1] == ["class_name"]:
        faults += _empty_folders(folder, set(table["class_name"]))
    if source.table is not None:
        table, more, unnamed = join_table(table, source.table, spec)
        faults += [*more, *_without_row(unnamed, source.table)]
    classed = "class_name" in levels or _has_class(source.table)
    if not classed:
        table["class_name"] = UNLABELLED
    found = sorted(table["class_name"].dropna().unique())
    faults += _class_faults(table, spec.classes if classed else None, classed)
    classes = tuple((classed and spec.classes) or found)
    return Catalog(_ordered(table), None, classes, "volumes" if volumes else "images", tuple(faults), spec, _of(table))


def _without_row(names: list[str], table: ImageTable) -> list[CatalogFault]:
    words = f"has no row in {Path(table.path).name}; add one, or take the image out"
    return [CatalogFault("image_without_row", tuple(names), words)] if names else []


def _has_class(table: ImageTable | None) -> bool:
    return table is not None and table.class_column is not None


def _files(folder: Path, volumes: bool) -> tuple[pd.DataFrame, list[CatalogFault]]:
    names, faults = find_samples(folder, volumes=volumes)
    if not names:
        what = "volume (NIfTI, DICOM, TIFF, npy or video)" if volumes else "image (PNG, JPEG, TIFF, DICOM or npy)"
        raise DataError(str(folder), [f"holds no {what}"])
    table = pd.DataFrame({"id": names, "path": [str(folder / name) for name in names]})
    for column in ("class_name", "group", "given_split", "split"):
        table[column] = pd.Series([None] * len(table), dtype=object)
    return table, faults


def _loose(names: pd.Series, levels: str) -> list[CatalogFault]:
    """Files that lie above the folders that would tell their class."""
    if names.empty:
        return []
    words = f"lies above the folders that stand for {levels}; move it, or take it out"
    return [CatalogFault("class_missing", tuple(names), words)]


def _empty_folders(folder: Path, classes: set[str]) -> list[CatalogFault]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    empty = tuple(name for name in names if name not in classes and name not in PASSED_OVER)
    words = "is the folder of a class, but holds no sample; fill it, or take it out"
    return [CatalogFault("class_empty", empty, words)] if empty else []


def _class_faults(table: pd.DataFrame, classes: list[str] | None, wanted: bool) -> list[CatalogFault]:
    faults = []
    if wanted and (lost := table.loc[table["class_name"].isna(), "id"]).size:
        faults.append(CatalogFault("class_missing", tuple(lost), "has no class; name one, or take it out"))
    if classes is not None:
        faults += _unknown_classes(table["class_name"], table["id"], classes)
    return faults


def _unknown_classes(names: pd.Series, ids: pd.Series, classes: list[str]) -> list[CatalogFault]:
    """A fault for each class of samples or boxes that the spec does not name."""
    odd = names.notna() & ~names.isin(classes)
    return [
        CatalogFault(
            "class_unknown",
            tuple(dict.fromkeys(of_class)),
            f"class {name!r} is in the data but not in classes {classes}",
        )
        for name, of_class in ids[odd].groupby(names[odd])
    ]


def _of(table: pd.DataFrame) -> Callable[[int], Reading]:
    paths = table["path"].tolist()
    return lambda row: read(paths[row])


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its fixed columns first; ``split`` starts as what the data come with."""
    table = table.assign(split=table["given_split"].where(table["given_split"].isin(["train", "val", "test"]), None))
    return table[[*BASE, *(name for name in table.columns if name not in BASE)]]


# ------------------------------------------------------------------------------------------------------------ boxes


@_list.register
def _(source: DetectionSource, spec: DataSpec) -> Catalog:
    table, faults = _files(spec.resolve(source.path), volumes=False)
    table, boxes, listed, extra, more = read_boxes(table, source, spec)
    faults += more
    without_box = {name for fault in faults if fault.code == "class_without_box" for name in fault.files}
    if source.table is not None:
        # An image that the table does not name may still be named by its boxes.
        table, more, unnamed = join_table(table, source.table, spec)
        faults += more
        listed |= set(table["id"]) - set(unnamed)
    if source.unlisted == "no_objects":
        listed |= set(table["id"])
    table = with_columns(table, extra, spec.splits.group)
    table["labelled"] = table["id"].isin(listed - without_box)
    found = contents(table, boxes)
    table["class_name"] = table["class_name"].where(table["class_name"].notna(), found)
    classes = tuple(spec.classes or sorted(boxes["class"].dropna().unique()))
    faults += _unknown_classes(boxes["class"], boxes["image"], list(classes))
    return Catalog(_ordered(table), boxes, classes, "images", tuple(faults), spec, _of(table))


@_list.register
def _(source: PhantomsSource, spec: DataSpec) -> Catalog:
    table, boxes, reader = list_phantoms(source, (spec.input.shape[0], spec.input.shape[1]))
    table["class_name"] = contents(table, boxes)
    return Catalog(_ordered(table), boxes, tuple(spec.classes or source.lesions), "images", (), spec, reader)


# ------------------------------------------------------------------------------------------------- volumes and tracks


@_list.register
def _(source: NpzSource, spec: DataSpec) -> Catalog:
    table = None if source.table is None else spec.resolve(source.table)
    samples, volumes = read_npz_volumes(spec.resolve(source.path), tuple(spec.input.shape), table)
    labels = samples.pop("label").to_numpy()
    names = list(spec.classes or [str(k) for k in range(labels.max() + 1)])
    samples["class_name"] = [names[k] if k < len(names) else str(k) for k in labels]
    samples = without_group(samples.assign(path=""), spec)
    faults = _class_faults(samples, names, True)
    spacing = None if spec.input.spacing is None else tuple(spec.input.spacing)

    def reader(row: int) -> Reading:
        return Reading(volumes[row], spacing, {"format": "npz"})

    return Catalog(_ordered(samples), None, tuple(names), "volumes", tuple(faults), spec, reader)


@_list.register(SimulationSource)
@_list.register(TracksSource)
def _(source: SimulationSource | TracksSource, spec: DataSpec) -> Catalog:
    table, tracks = tracks_of(spec)
    table = table.assign(path="", given_split=None, frames=[len(track) for track in tracks])
    classes = tuple(spec.classes or dict.fromkeys(table["class_name"]))
    return Catalog(
        _ordered(table), None, classes, "tracks", (), spec, lambda row: Reading(tracks[row], None, {"format": "tracks"})
    )
