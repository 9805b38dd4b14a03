"""Images with boxes in a CSV, a row a box."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.data.annotations.csv_columns import Layout, find_layout
from tumorkeras.layout.box_settings import complete, read_boxes
from tumorkeras.layout.columns import (
    MOST_GUESSED,
    Sheet,
    class_column,
    group_columns,
    image_column,
    key_of,
    split_column,
)
from tumorkeras.layout.guess import Guess
from tumorkeras.layout.of_image_tables import Found
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.survey import Survey
from tumorkeras.spec import DataPath


def guess_box_table(survey: Survey, sheet: Sheet, sheets: list[Sheet], pictures: Pictures) -> Guess:
    """A guess at a table whose header names the four numbers of a box."""
    guess = Guess(f"images with a box around every object ({sheet.path})", 0.95, {})
    header = [str(name) for name in sheet.table.columns]
    layout, _ = find_layout(header)
    image = _image(guess, sheet, layout, pictures)
    columns = _columns(guess, sheet, layout, image)
    form = _form(guess, sheet, layout)
    source: dict[str, Any] = {
        "kind": "detection",
        "path": DataPath(pictures.folder or "."),
        "annotations": DataPath(sheet.path),
        "format": form,
        **({"columns": columns} if columns else {}),
    }
    boxes = read_boxes(guess, survey, sheet.path, pictures.folder, form=form, columns=columns or None)
    others = [other for other in sheets if other is not sheet]
    own = None if image is None else _images(sheet, image, columns, layout)
    complete(guess, others, pictures, source, pictures.folder, boxes, [], own)
    _hide_names(guess, sheet, layout)
    return guess


def _image(guess: Guess, sheet: Sheet, layout: Layout, pictures: Pictures) -> str | None:
    """The column that names images which are there, else the one that is called so."""
    image = image_column(sheet, pictures.finder)
    if image is None and layout.image is not None:
        image = str(sheet.table.columns[layout.image])
        guess.certainty = 0.7
        guess.unsure.append(f"The names in the column {image!r} of {sheet.path} are of images that are not there.")
    return image


def _columns(guess: Guess, sheet: Sheet, layout: Layout, image: str | None) -> dict[str, str]:
    """The columns that read_annotations would not find by their names."""
    header = [str(name) for name in sheet.table.columns]
    columns = {}
    if image is not None and (layout.image is None or header[layout.image] != image):
        columns["image"] = image
    if layout.class_name is None:
        label, _ = class_column(sheet.table, [image, *(header[place] for place in layout.used)])
        if label is not None:
            columns["class"] = label
            guess.unsure.append(f"That {label!r} is the class of a box is guessed.")
    if layout.split is None and (split := split_column(sheet.table)) is not None:
        columns["split"] = split
    return columns


def _form(guess: Guess, sheet: Sheet, layout: Layout) -> str:
    """Whether boxes are in pixels or shares of the image."""
    corners = sheet.table.iloc[:, list(layout.box)].apply(pd.to_numeric, errors="coerce").to_numpy("float64")
    known = corners[np.isfinite(corners)]
    if not known.any() or known.min() < 0 or known.max() > 1:
        return "csv"
    guess.say(
        "source.format",
        f"All boxes of {sheet.path} lie within 0 to 1: they are taken as shares of the image. In pixels: csv.",
    )
    return "csv_relative"


def _images(sheet: Sheet, image: str, columns: dict[str, str], layout: Layout) -> Found:
    """A row an image, of the columns that have one value each: the patient, but not the lesion."""
    table = sheet.table.dropna(subset=image)
    counts = table.groupby(image).nunique(dropna=False)
    single = [image, *(str(name) for name in counts.columns[(counts <= 1).all()])]
    known = {str(table.columns[place]) for place in layout.used} | set(columns.values())
    rows = table[single].drop_duplicates(image)
    split = split_column(rows)
    return Found(Sheet(sheet.path, rows), image, None, False, split, group_columns(rows, known))


def _hide_names(guess: Guess, sheet: Sheet, layout: Layout) -> None:
    """Leave out the values of a column `name` that are too many for classes: they may be names of people."""
    if layout.class_name is None:
        return
    label = str(sheet.table.columns[layout.class_name])
    number = sheet.table[label].nunique()
    if key_of(label) == "name" and number > MOST_GUESSED:
        guess.values.pop("classes", None)
        guess.comments.pop("classes", None)
        guess.unsure.append(
            f"{label!r} of {sheet.path} is read as the class of a box, but has {number:,} values, which are not "
            "written here; if another column is it, name it in source.columns."
        )
