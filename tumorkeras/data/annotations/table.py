"""The table that every form of annotations becomes: a row a box.

``image``, ``class``, ``xmin``, ``ymin``, ``xmax``, ``ymax``, ``split``, ``source`` come first and in this order, what
else a form knows comes after them. Boxes are xyxy in pixels, half-open, float32. A row without box and class says that
its image was looked at and holds no object; a row with a class and no box is the class of the whole image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.annotations.content import LARGEST_NUMBER
from tumorkeras.data.annotations.names import Fault, clean_text, is_plain_name
from tumorkeras.errors import DataError, shortened

COLUMNS = ["image", "class", *CORNERS, "split", "source"]
SPLITS = ("train", "val", "test")
ONE_CLASS = "object"  # of boxes where nothing tells their class
COUNTS = ("width", "height", "difficult", "truncated", "iscrowd")  # whole numbers, where a form has them
MOST_FAULTS = 100  # each names another line or id to be mended

Row = dict[str, Any]


class Faults(list[str]):
    """What is wrong, gathered while reading goes on.

    Examples
    --------
    >>> faults = Faults()
    >>> with faults.at("boxes.csv, line 3"):
    ...     raise Fault("xmin: 'a' is not a finite number")
    >>> faults
    ["boxes.csv, line 3: xmin: 'a' is not a finite number"]
    """

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Keep what is wrong in the block, with its place, and go on."""
        try:
            yield
        except Fault as fault:
            self.append(f"{place}: {fault}")
        except DataError as error:
            self += [f"{place}: {fault}" for fault in error.faults]

    def raise_any(self, heading: str) -> None:
        """Raise one DataError of all faults, if there are any."""
        if self:
            raise DataError(heading, shortened(self, MOST_FAULTS))


def make_row(
    image: str,
    source: str,
    *,
    class_name: str | None = None,
    box: Sequence[float] | None = None,
    split: str | None = None,
    **others: Any,
) -> Row:
    """One row of the table; ``others`` are further columns."""
    corners = box if box is not None else [float("nan")] * 4
    return {
        "image": image,
        "class": class_name,
        **dict(zip(CORNERS, corners, strict=True)),
        "split": split,
        "source": source,
        **others,
    }


def make_table(rows: Iterable[Row], faults: list[str]) -> pd.DataFrame:
    """The table of all rows, with its columns in order and of their types.

    An image that has an object or a class is not without objects: such a row beside others is left out. An image that
    stands in several parts would be trained on and tested on: it is in none, and a fault.

    Parameters
    ----------
    rows : iterable of dict
        As :func:`make_row` gives them.
    faults : list of str
        To which each image in several parts is added.

    Examples
    --------
    >>> table = make_table([make_row("a.png", "a.txt, line 1", class_name="cyst", box=(1, 2, 3.5, 4))], [])
    >>> table.drop(columns="split").to_dict("list")
    {'image': ['a.png'], 'class': ['cyst'], 'xmin': [1.0], 'ymin': [2.0], 'xmax': [3.5], 'ymax': [4.0],
     'source': ['a.txt, line 1']}
    >>> list(make_table([], []).columns)
    ['image', 'class', 'xmin', 'ymin', 'xmax', 'ymax', 'split', 'source']
    """
    return completed(pd.DataFrame(list(rows)), faults)


def completed(table: pd.DataFrame, faults: list[str]) -> pd.DataFrame:
    """What :func:`make_table` gives, from rows that are a table already; absent columns are missing values."""
    table = table.assign(**{column: None for column in COLUMNS if column not in table})
    table = _typed(table[COLUMNS + [column for column in table.columns if column not in COLUMNS]])
    table = _in_one_part(table, faults)
    return _without_needless(table).reset_index(drop=True)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with text as objects (missing: None), boxes as float32 and counts as whole numbers."""
    types: dict[str, Any] = {column: "float32" for column in CORNERS}
    types |= {column: "Int64" for column in COUNTS if column in table}
    table = table.astype(types)
    for column in ("image", "class", "split", "source"):
        values = table[column].astype(object)
        table[column] = values.where(values.notna(), None)
    return table


def _in_one_part(table: pd.DataFrame, faults: list[str]) -> pd.DataFrame:
    """The table in which an image that stands in several parts, and is named as a fault, is in none."""
    found = table.dropna(subset="split").groupby("image", sort=False)["split"].unique()
    crossing = found[found.map(len) > 1]
    faults += [f"image {image!r} is in {' and '.join(parts)}; keep it in one part" for image, parts in crossing.items()]
    return table.assign(split=table["split"].where(~table["image"].isin(crossing.index), None))


def has_box(table: pd.DataFrame) -> pd.Series:
    """Which rows have a box."""
    return table["xmin"].notna()


def is_empty(table: pd.DataFrame) -> pd.Series:
    """Which rows say that their image holds no object."""
    return table["class"].isna() & ~has_box(table)


def _without_needless(table: pd.DataFrame) -> pd.DataFrame:
    empty = is_empty(table)
    needless = empty & (table["image"].isin(table.loc[~empty, "image"]) | table["image"].where(empty).duplicated())
    return table[~needless]


def checked(table: pd.DataFrame) -> pd.DataFrame:
    """A table given for writing, completed and of the right types.

    Raises
    ------
    DataError
        If a column is missing or holds what no form can hold; every row is named by its index.

    Examples
    --------
    >>> checked(pd.DataFrame({"image": ["a.png"], "class": ["cyst"]}))
    Traceback (most recent call last):
        ...
    tumorkeras.errors.DataError: table: 4 faults
      - has no column 'xmin'...
    """
    absent = [name for name in COLUMNS[:6] if name not in table.columns]
    if absent:
        raise DataError("table", [f"has no column {name!r}; it has {list(table.columns)}" for name in absent])
    faults = Faults()
    try:
        large = table[CORNERS].astype("float64").abs() > LARGEST_NUMBER
        if large.any(axis=None):
            rows = table.index[large.any(axis=1)]
            raise DataError("table", shortened([f"row {k}: the box is not finite or beyond any image" for k in rows]))
        complete = completed(table, faults).assign(source=None)
    except DataError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("table", [f"holds a value of the wrong kind: {error}"]) from None
    faults += [f"row {k}: {fault}" for k, row in enumerate(rows_of(complete)) for fault in _row_faults(row)]
    faults.raise_any("table")
    return complete


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The rows of a table as :func:`make_row` gives them."""
    names = [str(column) for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.itertuples(index=False, name=None)]


def _row_faults(row: Row) -> list[str]:
    faults = []
    if not is_plain_name(row["image"]):
        faults.append(f"image {row['image']!r} is no path below the folder of the images, written with /")
    if row["class"] is not None:
        try:
            clean = clean_text(row["class"], "class") == row["class"]
        except Fault:
            clean = False
        if not clean:
            faults.append(f"class {row['class']!r} is no plain text, or begins or ends with a space")
    missing = [name for name in CORNERS if pd.isna(row[name])]
    if missing and len(missing) < 4:
        faults.append(f"the box lacks {', '.join(missing)}; give all four or none")
    if not missing and row["class"] is None:
        faults.append("has a box and no class")
    if row["split"] not in (None, *SPLITS):
        faults.append(f"split {row['split']!r} is none of {', '.join(SPLITS)}")
    return faults
