"""CSV files as people save them: their separator, encoding and empty cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tumorkeras.data.text import read_text
from tumorkeras.errors import DataError, shortened

MOST_MEGABYTES = 1024
SEPARATORS = (",", ";", "\t", "|")


class Cells(NamedTuple):
    """A header, and the rows with the numbers of their lines in the file."""

    header: list[str]
    rows: list[tuple[int, list[str]]]


def read_cells(path: Path, faults: list[str] | None = None) -> Cells:
    """The cells of a CSV with a header, without the spaces around them.

    The separator is the one that the header has most of: comma, semicolon, tab or bar. Lines without any content are
    left out, and so are empty cells at the end of a line, as spreadsheets leave them.

    Parameters
    ----------
    path : path
    faults : list of str, optional
        Where it is given, lines longer or shorter than the header are added to it and left out.

    Raises
    ------
    DataError
        If the file cannot be read, is empty or no CSV, has a column twice, or (without ``faults``) lines longer or
        shorter than the header.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = path.write_text("image;xmin\\na.png; 2,5\\n;\\n", encoding="utf-8-sig")
    >>> read_cells(path)
    Cells(header=['image', 'xmin'], rows=[(2, ['a.png', '2,5'])])
    """
    text = read_text(path, MOST_MEGABYTES)
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    separator = max(SEPARATORS, key=first.count)
    try:
        lines = list(_lines(text, separator))
    except csv.Error as error:
        raise DataError(str(path), [f"is no CSV: {error}"]) from None
    if not lines:
        raise DataError(str(path), ["is empty; expected a header and a row a line"])
    header = lines[0][1]
    named = len(_without_empty_end(header))
    wrong = [f"column {name!r} stands twice" for name in dict.fromkeys(header) if name and header.count(name) > 1]
    rows, uneven = [], []
    for line, cells in lines[1:]:
        filled = len(_without_empty_end(cells))
        if len(cells) < named or filled > len(header):
            uneven.append(f"line {line} has {len(cells)} cells, the header has {len(header)}")
        else:
            rows.append((line, cells[: len(header)] + [""] * (len(header) - len(cells))))
    if wrong or (uneven and faults is None):
        raise DataError(str(path), shortened(wrong + uneven))
    if faults is not None:
        faults += [f"{path.name}, {fault}" for fault in uneven]
    return Cells(header, rows)


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield reader.line_num, cells


def _without_empty_end(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells
