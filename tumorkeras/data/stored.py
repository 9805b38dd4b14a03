"""A choice of samples that lie on disk, without reading them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from tumorkeras.data.cache import rows_of


class StoredRows:
    """Some rows of an array on disk, in some order; what is indexed is read, and nothing else.

    It stands where an array of samples stands: it has ``shape``, ``dtype``, ``ndim``, ``len`` and indexing by row,
    slice or rows. NumPy functions read it whole.

    Parameters
    ----------
    base : numpy.memmap
        All rows.
    rows : ndarray of int
        Those that are meant.

    Examples
    --------
    >>> chosen = StoredRows(np.arange(8).reshape(4, 2), np.array([3, 1]))
    >>> chosen.shape, chosen[0].tolist(), chosen[1:].tolist(), chosen.choose(np.array([1])).shape
    ((2, 2), [6, 7], [[2, 3]], (1, 2))
    """

    def __init__(self, base: np.ndarray, rows: np.ndarray) -> None:
        self._base = base
        self._rows = np.asarray(rows, dtype="int64")
        self.shape = (len(self._rows), *base.shape[1:])
        self.dtype = base.dtype
        self.ndim = base.ndim

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        rows = self._rows[chosen]
        return rows_of(self._base, rows[None])[0] if rows.ndim == 0 else rows_of(self._base, rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def choose(self, chosen: np.ndarray) -> StoredRows:
        """Some of these rows, still unread."""
        return StoredRows(self._base, self._rows[chosen])


def choose(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows of an array: a copy where it is in memory; where it is on disk unread, a :class:`StoredRows`."""
    if isinstance(values, StoredRows):
        return cast(np.ndarray, values.choose(rows))
    return cast(np.ndarray, StoredRows(values, rows)) if isinstance(values, np.memmap) else values[rows]
