"""Everything that a spec names, before any pixel is decoded: what the audit reads, and what samples are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import singledispatch
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.annotations import read_annotations
from tumorkeras.data.annotations.masks import has_suffix
from tumorkeras.data.image_files import CatalogFault, Names, find_samples
from tumorkeras.data.patients import PATIENT, patient_numbers
from tumorkeras.data.readers import Reading, read
from tumorkeras.data.tables import read_table
from tumorkeras.data.track_sources import tracks_of
from tumorkeras.data.tracks import shortened
from tumorkeras.data.volumes import read_npz_volumes
from tumorkeras.errors import DataError
from tumorkeras.spec import (
    DataSpec,
    DetectionSource,
    ImageFolderSource,
    ImageTable,
    NpzSource,
    Section,
    SimulationSource,
    TracksSource,
)

NO_OBJECTS = "no objects"
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


def with_group(table: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
    """The table with the column that the spec names as its group; as it is where the spec names none.

    Raises
    ------
    DataError
        If there is no such column, or samples have no value in it.
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
    if (groups == "").any():
        raise DataError(
            "splits.group", shortened([f"{name} has no {column}" for name in table.loc[groups == "", "id"]])
        )
    return table.assign(group=groups)


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
        table, more = _joined(table, source.table, spec)
        faults += more
    classed = "class_name" in levels or _has_class(source.table)
    if not classed:
        table["class_name"] = UNLABELLED
    found = sorted(table["class_name"].dropna().unique())
    faults += _class_faults(table, spec.classes if classed else None, classed)
    classes = tuple((classed and spec.classes) or found)
    return Catalog(_ordered(table), None, classes, "volumes" if volumes else "images", tuple(faults), spec, _of(table))


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
    empty = tuple(name for name in names if name not in classes)
    words = "is the folder of a class, but holds no sample; fill it, or take it out"
    return [CatalogFault("class_empty", empty, words)] if empty else []


def _class_faults(table: pd.DataFrame, classes: list[str] | None, wanted: bool) -> list[CatalogFault]:
    faults = []
    if wanted and (lost := table.loc[table["class_name"].isna(), "id"]).size:
        faults.append(CatalogFault("class_missing", tuple(lost), "has no class; name one, or take it out"))
    if classes is not None:
        odd = table[table["class_name"].notna() & ~table["class_name"].isin(classes)]
        for name, rows in odd.groupby("class_name"):
            words = f"class {name!r} is in the data but not in classes {classes}"
            faults.append(CatalogFault("class_unknown", tuple(rows["id"]), words))
    return faults


def _of(table: pd.DataFrame) -> Callable[[int], Reading]:
    paths = table["path"].tolist()
    return lambda row: read(paths[row])


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its fixed columns first; ``split`` starts as what the data come with."""
    table = table.assign(split=table["given_split"].where(table["given_split"].isin(["train", "val", "test"]), None))
    return table[[*BASE, *(name for name in table.columns if name not in BASE)]]


# ------------------------------------------------------------------------------------- a table with a row an image


def _joined(table: pd.DataFrame, named: ImageTable, spec: DataSpec) -> tuple[pd.DataFrame, list[CatalogFault]]:
    """The samples with the columns of their rows in a CSV."""
    path = spec.resolve(named.path)
    rows = read_table(path)
    wanted = [named.image_column, named.class_column, named.split_column]
    absent = [f"has no column {name!r}; it has {list(rows.columns)}" for name in wanted if name and name not in rows]
    if absent:
        raise DataError(str(path), absent)
    found, faults = _matched(rows[named.image_column], table["id"], "row_without_file", path.name)
    rows = rows.assign(id=found).dropna(subset="id").drop_duplicates("id")
    unnamed = table.loc[~table["id"].isin(rows["id"]), "id"]
    if len(unnamed):
        words = f"has no row in {path.name}; add one, or take the image out"
        faults.append(CatalogFault("image_without_row", tuple(unnamed), words))
    columns = {named.class_column: "class_name", named.split_column: "given_split"}
    taken = {name: columns.get(name, name) for name in rows.columns if name in columns or name not in table.columns}
    joined = table.drop(columns=[name for name in taken.values() if name in table.columns])
    rows = rows[["id", *taken]].rename(columns=taken)
    for name in set(columns.values()) & set(rows.columns):  # 0 and 1 are names here
        rows[name] = _as_names(rows[name])
    return joined.merge(rows, on="id", how="left"), faults


def _as_names(column: pd.Series) -> pd.Series:
    """Numbers as text, 1.0 as "1": a column with gaps is read as fractions."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return column.map(str, na_action="ignore").astype(object).where(column.notna(), None)


def _matched(names: pd.Series, ids: pd.Series, absent: str, where: str) -> tuple[np.ndarray, list[CatalogFault]]:
    """The sample that each name means, and what is wrong with names that mean none or several."""
    finder = Names(ids)
    found = {name: finder.find(str(name)) for name in names.dropna().unique()}
    lost = tuple(str(name) for name, samples in found.items() if not samples)
    unclear = tuple(str(name) for name, samples in found.items() if len(samples) > 1)
    faults = []
    if lost:
        faults.append(CatalogFault(absent, lost, f"is named in {where}, but no such image is there"))
    if unclear:
        words = f"is named in {where}, but several images are called so; give the path from the folder"
        faults.append(CatalogFault("ambiguous_name", unclear, words))
    single = {name: samples[0] for name, samples in found.items() if len(samples) == 1}
    return np.array([single.get(name) for name in names], dtype=object), faults


# ------------------------------------------------------------------------------------------------------------ boxes


@_list.register
def _(source: DetectionSource, spec: DataSpec) -> Catalog:
    folder = spec.resolve(source.path)
    table, faults = _files(folder, volumes=False)
    place = spec.resolve(source.annotations)
    boxes = read_annotations(place, format=source.format, images=folder, classes=spec.classes, columns=source.columns)
    table = _without_masks(table, place, source.format)
    boxes, more = _placed(boxes, table, place.name)
    faults += more
    listed = set(boxes["image"])
    if source.table is not None:
        table, more = _joined(table, source.table, spec)
        # An image that the table does not name may still be named by its boxes.
        absent = {fault.code: fault for fault in more if fault.code == "image_without_row"}.get("image_without_row")
        listed |= set(table["id"]) - set(absent.files if absent else ())
        faults += [fault for fault in more if fault is not absent]
    parts = boxes.dropna(subset="split").drop_duplicates("image").set_index("image")["split"]
    table["given_split"] = table["given_split"].where(table["given_split"].notna(), table["id"].map(parts))
    boxes = boxes.dropna(subset="xmin").reset_index(drop=True)
    table["labelled"] = table["id"].isin(listed) | (source.unlisted == "no_objects")
    if not _has_class(source.table):
        table["class_name"] = _image_classes(table, boxes)
    classes = tuple(spec.classes or sorted(boxes["class"].dropna().unique()))
    faults += _box_class_faults(boxes, classes)
    return Catalog(_ordered(table), boxes, classes, "images", tuple(faults), spec, _of(table))


def _without_masks(table: pd.DataFrame, annotations: Path, form: str) -> pd.DataFrame:
    """Leave out images that are annotations: in a folder of their own, or beside the images by their name."""
    mask = table["path"].map(lambda path: Path(path).is_relative_to(annotations))
    if mask.all():
        mask = table["id"].map(lambda name: form.endswith("masks") and has_suffix(Path(name)))
    return table[~mask].reset_index(drop=True)


def _placed(boxes: pd.DataFrame, table: pd.DataFrame, where: str) -> tuple[pd.DataFrame, list[CatalogFault]]:
    found, faults = _matched(boxes["image"], table["id"], "annotation_without_file", where)
    return boxes.assign(image=found).dropna(subset="image").reset_index(drop=True), faults


def _image_classes(table: pd.DataFrame, boxes: pd.DataFrame) -> pd.Series:
    """What is in each image: its classes, "no objects", or nothing known."""
    inside = boxes.dropna(subset="class").groupby("image")["class"].agg(lambda names: " + ".join(sorted(set(names))))
    known = table["id"].map(inside)
    return known.where(known.notna() | ~table["labelled"], NO_OBJECTS).astype(object)


def _box_class_faults(boxes: pd.DataFrame, classes: tuple[str, ...]) -> list[CatalogFault]:
    odd = boxes[boxes["class"].notna() & ~boxes["class"].isin(classes)]
    return [
        CatalogFault(
            "class_unknown",
            tuple(dict.fromkeys(rows["image"])),
            f"class {name!r} is in the data but not in classes {list(classes)}",
        )
        for name, rows in odd.groupby("class")
    ]


# ------------------------------------------------------------------------------------------------- volumes and tracks


@_list.register
def _(source: NpzSource, spec: DataSpec) -> Catalog:
    table = None if source.table is None else spec.resolve(source.table)
    samples, volumes = read_npz_volumes(spec.resolve(source.path), tuple(spec.input.shape), table)
    labels = samples.pop("label").to_numpy()
    names = list(spec.classes or [str(k) for k in range(labels.max() + 1)])
    samples["class_name"] = [names[k] if k < len(names) else str(k) for k in labels]
    samples = samples.assign(path="", group=None)
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
