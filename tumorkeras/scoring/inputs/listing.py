"""What is to be scored, listed before it starts."""

from __future__ import annotations

import glob
import os
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import pandas as pd
import pyarrow as pa

from tumorkeras.data.image_files import PASSED_OVER, find_samples
from tumorkeras.errors import DataError, shortened

ARCHIVE = ".npz"
_CODE = ("utf-8", "surrogatepass")  # what holds every name that there may be
EXPECTED = "a path, a pattern, an iterable of paths, or a table with a column of paths"

Given = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | pd.DataFrame


class Paths(Sequence[str]):
    """Many paths in little memory: a million of them in about that many times their length.

    Names that are no UTF-8 stay what they are; :func:`shown` makes text of them.

    Examples
    --------
    >>> paths = Paths(["a.png", "b/é.png", "c.png"])
    >>> paths[1], paths[-2:], len(paths)
    ('b/é.png', ['b/é.png', 'c.png'], 3)
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._text = bytearray()
        self._ends = array("q", [0])
        for path in paths:
            self._text += path.encode(*_CODE)
            self._ends.append(len(self._text))

    def as_bytes(self) -> pa.Array:
        """The names as they are kept, without a copy: a file of text could not hold those that are no UTF-8."""
        buffers = [None, pa.py_buffer(self._ends), pa.py_buffer(self._text)]
        return pa.Array.from_buffers(pa.large_binary(), len(self), buffers)

    @classmethod
    def from_bytes(cls, names: pa.ChunkedArray) -> Paths:
        """Read back what :meth:`as_bytes` gave."""
        return cls(path_of(name) for chunk in names.chunks for name in chunk.to_pylist())

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        numbers = range(len(self))[index]
        return self._path(numbers) if isinstance(numbers, int) else list(map(self._path, numbers))

    def _path(self, number: int) -> str:
        return path_of(self._text[self._ends[number] : self._ends[number + 1]])


def path_of(name: bytes | bytearray) -> str:
    """A path from its bytes among :class:`Paths`."""
    return name.decode(*_CODE)


@dataclass(frozen=True)
class Listing:
    """The files to be scored, in their order.

    Attributes
    ----------
    paths : sequence of str
        Files, and folders with a DICOM series; what cannot be read is among them and fails when it is read.
    carried : pandas.DataFrame or None
        The other columns of the table that was given, a row a path.
    """

    paths: Sequence[str]
    carried: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.paths)


def shown(path: str) -> str:
    r"""A path as text that every table and file can hold; a byte that is no UTF-8 becomes its number.

    Examples
    --------
    >>> shown("scan é.png"), shown("scan \udce9.png")
    ('scan é.png', 'scan \\udce9.png')
    """
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def list_files(inputs: Given, *, volumes: bool, path_column: str = "path", reserved: Collection[str] = ()) -> Listing:
    """List what is to be scored.

    Parameters
    ----------
    inputs : path, pattern, iterable of these, or DataFrame
        A folder is searched to the bottom, hidden files passed over, for samples and ``.npz`` archives, which are
        listed by name. So is a folder that a pattern (``*``, ``?``, ``[...]``, and ``**`` for folders of any depth)
        matches, unless it has ``**``. What is given in an iterable keeps its order, duplicates too; a folder or pattern
        in it that gives nothing is listed itself, and so is a file that is missing. A table's rows are files, or
        folders with a DICOM series.
    volumes : bool
        Whether a sample is a volume: a folder with a DICOM series is then one sample.
    path_column : str, default "path"
        The column of a table that holds the paths.
    reserved : collection of str
        Names that the other columns of a table must not have.

    Returns
    -------
    Listing
        Empty for an empty iterable or table.

    Raises
    ------
    DataError
        If a single folder or pattern gives nothing, if something is no path, or if a table has no column of paths,
        lacks paths, or has columns that cannot be carried along; all of that at once.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.png", "notes.txt"):
    ...     _ = (folder / name).write_bytes(b"")
    >>> [os.path.basename(path) for path in list_files(folder, volumes=False).paths]
    ['a.png', 'b.png']
    >>> list_files(["none.png", "none.png"], volumes=False).paths[:]
    ['none.png', 'none.png']
    """
    if isinstance(inputs, pd.DataFrame):
        return _of_table(inputs, path_column, reserved)
    if not isinstance(inputs, str | os.PathLike):
        return Listing(Paths(path for each in _checked(inputs) for path in _found(each, volumes) or [each]))
    (path,) = _checked([inputs])
    found = _found(path, volumes)
    if not found:
        what = "holds no sample" if os.path.isdir(path) else "matches no file"
        raise DataError("score", [f"inputs: {shown(path)} {what}"])
    return Listing(Paths(found))


def _checked(inputs: Any) -> Iterator[str]:
    """The paths as text; what is none is refused when all have been seen."""
    faults = set()
    for each in inputs if isinstance(inputs, Iterable) else [inputs]:
        if isinstance(each, str | os.PathLike) and isinstance(path := os.fspath(each), str) and path:
            yield path
        else:
            faults.add("an empty path" if isinstance(each, str) else type(each).__name__)
    if faults:
        raise DataError("score", [f"inputs: {kind} found, expected {EXPECTED}" for kind in sorted(faults)])


def _found(path: str, volumes: bool) -> list[str]:
    """What a folder holds or a pattern matches; any other path is a file."""
    if os.path.isdir(path):
        return _in_folder(path, volumes)
    if not glob.has_magic(path) or os.path.lexists(path):
        return [path]
    try:
        matches = sorted(map(str, _matches(path)))
    except (OSError, ValueError):  # a name too long, or no name at all
        return []
    if "**" in Path(path).parts:  # what is in the folders is matched itself
        return [match for match in matches if not os.path.isdir(match)]
    folders = {match for match in matches if os.path.isdir(match)}
    return [file for match in matches for file in (_in_folder(match, volumes) if match in folders else [match])]


def _in_folder(folder: str, volumes: bool) -> list[str]:
    names, faults = find_samples(folder, volumes=volumes)
    root = Path(folder)
    faulty = [name for fault in faults for name in fault.files]
    return sorted({*(str(root / name) for name in (*names, *faulty)), *_archives(root)})


def _archives(root: Path) -> Iterator[str]:
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if _is_visible(name)]
        yield from (str(Path(place, name)) for name in names if name.lower().endswith(ARCHIVE) and _is_visible(name))


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name not in PASSED_OVER


def _matches(pattern: str) -> Iterator[Path]:
    """What a pattern matches, hidden names only where it names them; links to folders are not gone down by ``**``.

    The module :mod:`glob` follows them, for ever where two of them lead to their own folder.
    """
    steps = Path(pattern).parts
    first = next(number for number, step in enumerate(steps) if glob.has_magic(step))
    # Within a name, two stars are one.
    rest = [step if step == "**" else re.sub(r"\*+", "*", step) for step in steps[first:]]
    rest += ["*"] if rest[-1] == "**" else []
    root = Path(*steps[:first])
    hidden = any(step.startswith(".") for step in rest)
    for match in root.glob(str(Path(*rest))):
        if hidden or not any(step.startswith(".") for step in match.relative_to(root).parts):
            yield match


def _of_table(table: pd.DataFrame, path_column: str, reserved: Collection[str]) -> Listing:
    columns = list(table.columns)
    if (count := columns.count(path_column)) != 1:
        fault = f"{count or 'no'} columns {path_column!r} found, expected one, with the paths"
        raise DataError("score", [f"inputs: {fault}; the columns are {columns}"])
    values = table[path_column].tolist()
    others = [name for name in dict.fromkeys(columns) if name != path_column]
    faults = [_column_fault(name, columns, reserved) for name in others]
    lost = [f"inputs.{path_column}: {value!r} in row {row}" for row, value in enumerate(values) if not _is_path(value)]
    if any(faults) or lost:
        raise DataError("score", [*(f"inputs.{fault}" for fault in faults if fault), *shortened(lost)])
    carried = table.drop(columns=path_column).reset_index(drop=True)
    return Listing(Paths(map(os.fspath, values)), carried if len(columns) > 1 else None)


def _column_fault(name: Any, columns: list[Any], reserved: Collection[str]) -> str | None:
    if not isinstance(name, str):
        return f"{name}: the name of the column is a {type(name).__name__}, expected text"
    if columns.count(name) > 1:
        return f"{name}: {columns.count(name)} columns of that name; give each one of its own"
    return f"{name}: is the name of a column of the result; give it another" if name in reserved else None


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and value != ""
