"""CSV with named columns: a row a box, an image without objects, or the class of an image."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS, convert
from tumorkeras.data.annotations.content import PLAIN_NUMBER, count, number, with_point
from tumorkeras.data.annotations.csv_columns import Layout, find_layout
from tumorkeras.data.annotations.names import Fault, ImageNames, clean_text, part_of
from tumorkeras.data.annotations.sizes import image_sizes
from tumorkeras.data.annotations.table import (
    COLUMNS,
    COUNTS,
    ONE_CLASS,
    Faults,
    Row,
    completed,
    has_box,
    make_row,
)
from tumorkeras.data.cells import Cells, read_cells
from tumorkeras.errors import DataError

logger = logging.getLogger(__name__)

NOTHING = ("", "nan", "na", "n/a", "null", "none")  # what stands in the cells of a box that is not there


def read_csv_boxes(
    path: Path,
    faults: Faults,
    images: Path | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    relative: bool = False,
    class_name: str | None = None,
    part: str | None = None,
) -> pd.DataFrame:
    """The table of a CSV whose header names its columns.

    Usual names of columns are known (image, filename, path; class, label; xmin or x1; x, y, w, h; split), others are
    given. A row without a box and class is an image without objects, one with a class only is the class of the image.
    Without any column of classes all boxes are of the class "object". Columns that mean nothing to boxes are kept.

    Parameters
    ----------
    path : path
        Comma, semicolon or tab; decimal points or commas; UTF-8 (with or without mark), UTF-16 or Windows-1252.
    faults : Faults
        To which cells that hold what they must not are added, by line and column; their rows are left out.
    images : path, optional
        Folder of the images; by default that of the file.
    columns : mapping of str to str, optional
        The column of the file for each of ``image``, ``class``, ``xmin``, ``ymin``, ``xmax``, ``ymax``, ``split`` ...
    relative : bool
        Whether boxes are shares of the image's width and height. Sizes then come from the columns ``width`` and
        ``height``, else from the images.
    class_name, part : str, optional
        The class and part of every row, for files of one class.

    Raises
    ------
    DataError
        If the file is no CSV, or its columns are not told apart.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = path.write_text("Datei;label;x1;y1;x2;y2\\nscans\\\\1.png;cyst;1,5;2;3;4\\n2.png;;;;;\\n")
    >>> read_csv_boxes(path, Faults(), columns={"image": "Datei"})[["image", "class", "xmin", "source"]]
             image class  xmin             source
    0  scans/1.png  cyst   1.5  boxes.csv, line 2
    1        2.png  None   NaN  boxes.csv, line 3
    """
    cells = read_cells(path, faults)
    layout = _layout(path, cells, columns or {}, labelled=class_name is not None)
    names = ImageNames(images or path.parent)
    rows: list[Row] = []
    read: list[tuple[int, list[str]]] = []
    for line, row in cells.rows:
        where = f"{path.name}, line {line}"
        with faults.at(where):
            image = names.of(row[layout.image or 0], path.parent)
            box = _box(row, layout, cells.header)
            found = class_name or _class(row, layout, boxed=box is not None)
            rows.append(make_row(image, where, class_name=found, box=box, split=_part(row, layout, cells.header, part)))
            read.append((line, row))
    table = pd.DataFrame(rows, columns=COLUMNS).assign(**_other_columns(cells._replace(rows=read), layout))
    if relative:
        table = _in_pixels(table, layout, path.name, images or path.parent, faults)
    else:
        _warn_of_shares(table, path)
        table[CORNERS] = convert(table[CORNERS].to_numpy("float64"), layout.box_format, "xyxy")
    return completed(table, faults)


def _layout(path: Path, cells: Cells, columns: Mapping[str, str], *, labelled: bool) -> Layout:
    header = cells.header
    layout, faults = find_layout(header, columns)
    if layout.image is None:
        faults.append(
            f"no column is known to name the image; the header is {list(header)}: say which, as in "
            "columns={'image': 'NAME'}"
        )
    elif not layout.box and layout.class_name is None and not labelled:
        faults.append(
            f"no column is known to hold a box or a class; the header is {list(header)}: say which, as in "
            "columns={'xmin': 'LEFT', 'ymin': 'TOP', ...}"
        )
    if faults:
        raise DataError(str(path), faults)
    if layout.split is None or "split" in columns or header[layout.split].lower() == "split":
        return layout
    words = {row[layout.split] for _, row in cells.rows} - {""}
    # A column "set" or "subset" may well hold something else.
    return layout if all(map(part_of, words)) else layout._replace(split=None)


def _box(row: Sequence[str], layout: Layout, header: Sequence[str]) -> list[float] | None:
    """The four numbers of a row as they stand there; None where all four cells are empty."""
    filled = [place for place in layout.box if row[place].lower() not in NOTHING]
    if not filled:
        return None
    if len(filled) < 4:
        empty = [header[place] for place in layout.box if place not in filled]
        raise Fault(
            f"{' and '.join(empty)} of the box {'is' if len(empty) == 1 else 'are'} empty; fill all four or none"
        )
    return [number(row[place], header[place]) for place in layout.box]


def _class(row: Sequence[str], layout: Layout, *, boxed: bool) -> str | None:
    if layout.class_name is None:
        return ONE_CLASS if boxed else None
    text = row[layout.class_name]
    if text and text.lower() != "nan":
        return clean_text(text, "class")
    if boxed:
        raise Fault("class is empty, but there is a box")
    return None


def _part(row: Sequence[str], layout: Layout, header: Sequence[str], part: str | None) -> str | None:
    if layout.split is None or not row[layout.split]:
        return part
    found = part_of(row[layout.split])
    if found is None:
        raise Fault(f"{header[layout.split]}: {row[layout.split]!r} is none of train, val, test")
    return found


def _warn_of_shares(table: pd.DataFrame, path: Path) -> None:
    boxes = table.loc[has_box(table), CORNERS].to_numpy("float64")
    if boxes.size and np.abs(boxes).max() <= 1:
        logger.warning("%s: no coordinate is above 1; if they are shares of the image, say format csv_relative", path)


def _in_pixels(table: pd.DataFrame, layout: Layout, where: str, folder: Path, faults: Faults) -> pd.DataFrame:
    """The table with boxes that are shares of their images as xyxy in pixels; left out are those of unknown size."""
    sizes = _sizes(table[has_box(table)], folder)
    unknown = has_box(table) & ~table["image"].isin(list(sizes))
    faults += [
        f"{where}, {image!r}: its size is not known; give columns width and height, or the folder of the images"
        for image in table.loc[unknown, "image"].unique()
    ]
    table = table[~unknown].copy()
    of_rows = np.array([sizes.get(image, (1, 1)) for image in table["image"]]).reshape(-1, 2)
    table[CORNERS] = convert(table[CORNERS].to_numpy("float64"), f"rel_{layout.box_format}", "xyxy", of_rows)
    return table


def _sizes(table: pd.DataFrame, folder: Path) -> dict[str, tuple[int, int]]:
    """(height, width) by image: from the table's columns, else from the files."""
    if {"width", "height"} <= set(table.columns):
        known = table.dropna(subset=["width", "height"])
        return dict(zip(known["image"], zip(known["height"], known["width"], strict=True), strict=True))
    return image_sizes(folder, list(table["image"].unique()))


def _other_columns(cells: Cells, layout: Layout) -> dict[str, pd.Series]:
    """Columns that are no part of a box: sizes and flags as whole numbers, numbers as numbers, others as text."""
    places = {name: place for name, place in (("width", layout.width), ("height", layout.height)) if place is not None}
    places |= {
        name or f"column {k + 1}": k for k, name in enumerate(cells.header) if k not in {*layout.used, *places.values()}
    }
    found: dict[str, pd.Series] = {}
    for name, place in places.items():
        texts = [row[place] for _, row in cells.rows]
        if not cells.header[place] and not any(texts):
            continue
        if name in COUNTS and all(not text or count(text) is not None for text in texts):
            found[name] = pd.Series([count(text) for text in texts], dtype="Int64")
        else:
            found[f"{name}_given" if name in (*COLUMNS, *COUNTS) else name] = _typed(texts)
    return found


def _typed(texts: Sequence[str]) -> pd.Series:
    filled = [with_point(text) for text in texts if text]
    if not filled or not all(map(PLAIN_NUMBER.fullmatch, filled)):
        return pd.Series([text or None for text in texts], dtype=object)
    if any("." in text for text in filled):
        return pd.Series([float(with_point(text)) if text else None for text in texts], dtype="float64")
    return pd.Series([int(text) if text else None for text in texts], dtype="Int64")
