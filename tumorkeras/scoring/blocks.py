"""The inputs of a scoring as blocks of samples, each with its outcome: an array, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Rows = Sequence[int] | np.ndarray
Piece = tuple[Rows, np.ndarray | str]


@dataclass(frozen=True)
class Block:
    """Samples that lie or are read together.

    Attributes
    ----------
    paths : sequence of str
        For each sample the file, ``file.npz#key``, or the name of what is in memory.
    ids : sequence of int, str or None
        For each sample its name, its row where the source has no names, None where there is but one in the file.
    pieces : callable
        Batch size -> each row of the block once, as pairs: rows with their samples, an array (rows, *shape) of any
        numeric dtype, or with what is wrong with them.
    in_files : callable
        Detections (n, ..., 6) of all rows of the block, whose last four numbers are boxes in pixels of the samples ->
        the same, in pixels of the files.
    """

    paths: Sequence[str]
    ids: Sequence[int | str | None]
    pieces: Callable[[int], Iterable[Piece]]
    in_files: Callable[[np.ndarray], np.ndarray] = lambda found: found

    def __len__(self) -> int:
        return len(self.ids)


def failed(path: str, fault: str) -> Block:
    """One input that gives no sample.

    Examples
    --------
    >>> list(failed("a.npy", "is empty").pieces(8))
    [([0], 'is empty')]
    """
    return Block([path], [None], lambda size: [([0], fault)])


def in_order(path: str, ids: Sequence[int | str | None], batches: Callable[[int], Iterable[np.ndarray]]) -> Block:
    """Samples of one path, which come in order.

    Examples
    --------
    >>> samples = np.zeros((3, 8, 8, 1))
    >>> block = in_order("a.npy", range(3), lambda size: [samples[:size], samples[size:]])
    >>> [rows.tolist() for rows, _ in block.pieces(2)]
    [[0, 1], [2]]
    """

    def pieces(size: int) -> Iterator[Piece]:
        start = 0
        for batch in batches(size):
            yield np.arange(start, start + len(batch)), batch
            start += len(batch)

    return Block([path] * len(ids), ids, pieces)
