"""What annotations say of the images of a folder: their boxes, what is in each, which are labelled at all."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tumorkeras.data.annotations import read_with_faults
from tumorkeras.data.annotations.masks import has_suffix
from tumorkeras.data.annotations.table import COLUMNS
from tumorkeras.data.image_files import CatalogFault
from tumorkeras.data.image_tables import match_names
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec, DetectionSource

NO_OBJECTS = "no objects"


class Annotated(NamedTuple):
    """The annotations of a folder.

    Attributes
    ----------
    table : pandas.DataFrame
        A row an image, without the images that are masks; ``given_split`` where the annotations name parts.
    boxes : pandas.DataFrame
        A row a box, ``image`` being an ``id`` of the table.
    listed : set of str
        Images that the annotations name, those without objects among them.
    extra : pandas.DataFrame
        ``id``, and the annotations' own columns that have one value an image, such as a patient.
    faults : list of CatalogFault
    """

    table: pd.DataFrame
    boxes: pd.DataFrame
    listed: set[str]
    extra: pd.DataFrame
    faults: list[CatalogFault]


def read_boxes(table: pd.DataFrame, source: DetectionSource, spec: DataSpec) -> Annotated:
    """Read the annotations of the images in a table.

    Raises
    ------
    DataError
        If the annotations cannot be read at all, or hold labels of whole images and no box.
    """
    place = spec.resolve(source.annotations)
    given = read_with_faults(
        place,
        format=source.format,
        images=spec.resolve(source.path),
        classes=None if source.class_map else spec.classes,
        columns=source.columns,
    )
    given.table["class"] = given.table["class"].replace(source.class_map or {})
    faults = [_unreadable(place.name, words) for words in given.faults]
    table = _without_masks(table, place, given.format)
    found, more = match_names(given.table["image"], table["id"], "annotation_without_file", place.name)
    rows = given.table.assign(image=found).dropna(subset="image").reset_index(drop=True)
    boxes = rows.dropna(subset="xmin").reset_index(drop=True)
    if boxes.empty and rows["class"].notna().any():
        raise DataError(str(place), ["holds classes of whole images and no box; source.kind image_folder reads them"])
    bare, nothing = _labels_without_box(rows, boxes, place.name)
    parts = rows.dropna(subset="split").drop_duplicates("image").set_index("image")["split"]
    known = table["given_split"].where(table["given_split"].notna(), table["id"].map(parts))
    listed = set(rows["image"]) - set(nothing)
    return Annotated(table.assign(given_split=known), boxes, listed, _extra(rows), [*faults, *more, *bare])


def _unreadable(name: str, words: str) -> CatalogFault:
    """A fault of the annotations; one of the file itself is not headed by its name twice."""
    return CatalogFault("annotation_unreadable", (name,), words.removeprefix(name).lstrip(":, "))


def _without_masks(table: pd.DataFrame, annotations: Path, form: str) -> pd.DataFrame:
    """Leave out images that are annotations: in a folder of their own, or beside the images by their name."""
    mask = table["path"].map(lambda path: Path(path).is_relative_to(annotations))
    if mask.all():
        mask = table["id"].map(lambda name: form.endswith("masks") and has_suffix(Path(name)))
    return table[~mask].reset_index(drop=True)


def _labels_without_box(
    rows: pd.DataFrame, boxes: pd.DataFrame, where: str
) -> tuple[list[CatalogFault], tuple[str, ...]]:
    """Images with a class that others have boxes of, and no box of their own: they are not without objects."""
    bare = rows[rows["class"].isin(boxes["class"].unique()) & rows["xmin"].isna() & ~rows["image"].isin(boxes["image"])]
    names = tuple(dict.fromkeys(bare["image"]))
    words = f"has a class and no box in {where}; add the box, or leave the class empty if nothing is to be found"
    return ([CatalogFault("class_without_box", names, words)] if names else []), names


def _extra(rows: pd.DataFrame) -> pd.DataFrame:
    own = [name for name in rows.columns if name not in COLUMNS]
    if not own or rows.empty:
        return pd.DataFrame({"id": rows["image"].unique()})
    by_image = rows.groupby("image")
    single = [name for name in own if (by_image[name].nunique(dropna=False) <= 1).all()]
    return by_image[single].first().rename_axis("id").reset_index()


def contents(table: pd.DataFrame, boxes: pd.DataFrame) -> pd.Series:
    """What is in each image: its classes, "no objects", or nothing known."""
    inside = boxes.dropna(subset="class").groupby("image")["class"].agg(lambda names: " + ".join(sorted(set(names))))
    known = table["id"].map(inside)
    return known.where(known.notna() | ~table["labelled"], NO_OBJECTS).astype(object)


def with_columns(table: pd.DataFrame, extra: pd.DataFrame, group: str | None) -> pd.DataFrame:
    """The table with columns that annotations have an image; what the table has already stays."""
    new = [name for name in extra.columns if name not in table.columns or (name == group and table[name].isna().all())]
    if not new:
        return table
    found = extra.set_index("id").reindex(table["id"])
    return table.assign(**{str(name): np.asarray(found[name], dtype=object) for name in new})
