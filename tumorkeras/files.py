"""Files that nobody ever sees half written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file such that a reader, or a kill in the middle, finds the old file or the new one, whole.

    The content goes to ``.NAME.new`` in the same folder, which then takes the file's name in one step.

    Parameters
    ----------
    path : path
        The file; one that is there is replaced. Its folder must exist.
    content : str or bytes
        Text is written as UTF-8, its line ends as they are.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to, or the disk is full; the old file is untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "card.json")
    ...     write_whole(path, "{}")
    ...     path.read_text(), sorted(os.listdir(folder))
    ('{}', ['card.json'])
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to be written piece by piece, of which nobody ever sees half; it outlives a loss of power.

    The pieces go to ``.NAME.new`` in the same folder, which is on the disk before it takes the file's name.

    Parameters
    ----------
    path : path
        The file; one that is there is replaced. Its folder must exist.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to, or the disk is full; the old file is untouched, as it is
        when the caller's own work fails.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     with whole_file(path) as file:
    ...         _ = file.write(b"a,b")
    ...         before = path.exists()
    ...     before, path.read_text(), os.listdir(folder)
    (False, 'a,b', ['table.csv'])
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
