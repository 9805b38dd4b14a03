"""Tables as spreadsheets save them: any usual separator and encoding, decimal points or commas."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.cells import read_cells

# A number as a person writes it. "007" is a name: it must find the file 007.png.
NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d*|(?=\.\d))(?:\.\d*)?(?:[eE][-+]?\d+)?")
MISSING = ("", "na", "n/a", "nan", "null", "none")
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def read_table(path: str | Path, text: Collection[str | None] = ()) -> pd.DataFrame:
    """A CSV with a header, each column as numbers where all its cells are numbers, else as text.

    Comma, semicolon, tab and bar are told apart by the header; a decimal comma is understood beside another separator;
    a byte-order mark is dropped; text that is not UTF-8 is read as Windows-1252. Empty cells are missing values, and so
    are NA, N/A, NaN, null and none among numbers.

    Parameters
    ----------
    path : path
    text : collection of str, optional
        Columns that are names even where all of them are numbers.

    Returns
    -------
    pandas.DataFrame
        Its index counts the rows from 0.

    Raises
    ------
    DataError
        If there is no such file, it is empty, too large or no text, a column stands twice, or a line has more or fewer
        cells than the header.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "nodules.csv"
    >>> _ = path.write_text("exam;diameter\\n007;3,5\\n012;\\n", encoding="utf-8-sig")
    >>> read_table(path).to_dict("list")
    {'exam': ['007', '012'], 'diameter': [3.5, nan]}
    """
    header, rows = read_cells(Path(path))
    table = pd.DataFrame([cells for _, cells in rows], columns=header, dtype=object)
    return table.apply(lambda column: column.where(column != "", None) if column.name in text else _typed(column))


def infinite_columns(table: pd.DataFrame) -> list[str]:
    """The columns of numbers that hold an infinite one.

    Examples
    --------
    >>> infinite_columns(pd.DataFrame({"a": [1.0, float("inf")], "b": [None, 2.0], "c": ["x", "y"]}))
    ['a']
    """
    numbers = table.select_dtypes("number")
    return [str(name) for name in numbers if np.isinf(numbers[name].to_numpy("float64")).any()]


def _typed(column: pd.Series) -> pd.Series:
    cells = column
    filled = cells[~cells.str.lower().isin(MISSING)]
    if any(map(DECIMAL_COMMA.fullmatch, filled)):
        filled = filled.str.replace(",", ".", regex=False)
    if not all(map(NUMBER.fullmatch, filled)):
        return cells.where(cells != "", None)
    return pd.to_numeric(filled).reindex(cells.index)
