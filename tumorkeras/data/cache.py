"""Decoded samples kept on disk, so that memory does not grow with the number of files."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np

from tumorkeras.errors import DataError, shortened
from tumorkeras.progress import progress_bar

IN_MEMORY = 256 * 2**20  # bytes; below it a file on disk gains nothing
AT_ONCE = 16  # rows a piece of work: a future for each row would itself grow with the number of files

PIECE = 256  # rows a piece of an array that is gone through once

Fill = Callable[[int], np.ndarray]


def decoded(
    n: int,
    shape: tuple[int, ...],
    dtype: str | np.dtype,
    fill: Fill,
    folder: str | Path | None = None,
    *,
    workers: int | None = None,
    description: str = "decoding",
    shown: bool = True,
) -> np.ndarray:
    """An array (n, \\*shape) whose rows ``fill`` makes, in threads; above 256 MB it lies in a file, not in memory.

    The file has no name, so it goes with the array, also where the process is killed.

    Parameters
    ----------
    n : int
        Rows.
    shape : tuple of int
        Shape of a row.
    dtype : str or numpy.dtype
        Such as "uint8", "uint16" or "float32".
    fill : callable
        From the row's number to its array, of exactly ``shape`` and ``dtype``; called in several threads.
    folder : path, optional
        Where the file lies; the system's folder for temporary files by default (``TMPDIR`` moves it).
    workers : int, optional
        Threads; one a processor by default.
    description : str
        Heading of the progress bar and of the faults.
    shown : bool
        False for no progress bar.

    Returns
    -------
    numpy.ndarray
        A plain array, or a read-only ``numpy.memmap``; :func:`rows_of` reads from both without filling the memory.

    Raises
    ------
    DataError
        If ``fill`` raised it for some rows (all their faults together), or the disk is full.

    Examples
    --------
    >>> decoded(3, (2,), "uint8", lambda row: np.full(2, row, "uint8")).tolist()
    [[0, 0], [1, 1], [2, 2]]
    """
    dtype = np.dtype(dtype)
    size = n * int(np.prod(shape)) * dtype.itemsize
    work = _Work(n, tuple(shape), dtype, fill, workers or os.cpu_count() or 1, description, shown)
    if size < IN_MEMORY:
        rows = np.zeros((n, *shape), dtype)
        work.done(rows.__setitem__)
        return rows
    folder = Path(folder or tempfile.gettempdir())
    _check_room(folder, size)
    with _temporary(folder) as file:
        return _filled(file, work, folder)


def rows_of(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A copy of some rows; what was read of a file on disk does not stay mapped into memory.

    Examples
    --------
    >>> rows_of(np.arange(6).reshape(3, 2), np.array([2, 0])).tolist()
    [[4, 5], [0, 1]]
    """
    chosen = np.asarray(values[rows])
    held = getattr(values, "_mmap", None)
    if held is not None and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)  # the system keeps the pages; only this process lets go of them
    return chosen


@dataclass(frozen=True)
class _Work:
    """The rows to be made: what each is, by how many threads."""

    n: int
    shape: tuple[int, ...]
    dtype: np.dtype
    fill: Fill
    workers: int
    description: str
    shown: bool

    def done(self, put: Callable[[int, np.ndarray], Any]) -> None:
        """Hand every row to ``put``; what is wrong with the rows' files comes as one error at the end."""
        starts = range(0, self.n, AT_ONCE)
        faults: dict[int, list[str]] = {}
        with (
            ThreadPoolExecutor(self.workers) as pool,
            progress_bar(self.n, self.description, "sample", shown=self.shown) as bar,
        ):
            pieces = [pool.submit(self._piece, start, put, faults) for start in starts]
            try:
                for piece in as_completed(pieces):
                    bar.update(piece.result())
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        if faults:
            raise DataError(self.description, shortened([fault for row in sorted(faults) for fault in faults[row]]))

    def _piece(self, start: int, put: Callable[[int, np.ndarray], Any], faults: dict[int, list[str]]) -> int:
        stop = min(start + AT_ONCE, self.n)
        for row in range(start, stop):
            try:
                made = self.fill(row)
            except DataError as error:
                faults[row] = [f"{error.heading}: {fault}" for fault in error.faults] or [error.heading]
                continue
            if made.shape != self.shape or made.dtype != self.dtype:
                found, wanted = f"{made.dtype} {made.shape}", f"{self.dtype} {self.shape}"
                raise ValueError(f"row {row} was made as {found}, expected {wanted}")
            put(row, made)
        return stop - start


def _filled(file: IO[bytes], work: _Work, folder: Path) -> np.ndarray:
    """Write the rows and map the file."""
    size, lock = int(np.prod(work.shape)) * work.dtype.itemsize, Lock()

    def put(row: int, made: np.ndarray) -> None:
        # Written, not stored through a mapping: there a full disk kills the process instead of raising.
        with lock, _as_data_error(folder):
            file.seek(row * size)
            file.write(np.ascontiguousarray(made).data)

    work.done(put)
    with _as_data_error(folder):
        file.flush()
    return np.memmap(file, work.dtype, "r", 0, (work.n, *work.shape))


@contextmanager
def _as_data_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(str(folder), [f"the decoded samples cannot be written: {error.strerror}"]) from None


def _temporary(folder: Path) -> IO[bytes]:
    with _as_data_error(folder):
        return tempfile.TemporaryFile(dir=folder)


def _check_room(folder: Path, size: int) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DataError(str(folder), [f"the folder cannot be read: {error.strerror}"]) from None
    if free < size:
        fault = f"the decoded samples take {size / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB of the disk are free"
        raise DataError(str(folder), [f"{fault}; free some, or give a folder on another disk"])


def in_pieces(n: int) -> Iterator[np.ndarray]:
    """The numbers from 0 to ``n`` in pieces, to go through an array that may not fit into memory.

    Examples
    --------
    >>> [(int(piece[0]), len(piece)) for piece in in_pieces(300)]
    [(0, 256), (256, 44)]
    """
    for start in range(0, n, PIECE):
        yield np.arange(start, min(start + PIECE, n))
