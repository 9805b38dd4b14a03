"""Samples on their way to a model: blocks of them, each with its outcome: an array, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice

import numpy as np

Rows = Sequence[int] | np.ndarray
Piece = tuple[Rows, np.ndarray | str]

_OF_SAMPLES = ("paths", "ids", "numbers")
MOST_BYTES = 2**28  # of samples that wait for others of their size, as they were read


@dataclass(frozen=True)
class Block:
    """Samples that lie or are read together.

    Attributes
    ----------
    paths : sequence of str
        For each sample the file, ``file.npz#key``, or the name of what is in memory.
    ids : sequence of int, str or None
        For each sample its name, its row where the source has no names, None where there is but one in the file.
    numbers : sequence of int
        For each sample the number of the input that it is of.
    pieces : callable
        Batch size -> each row of the block once, as pairs: rows with their samples, an array (rows, *shape) of any
        numeric dtype, or files as bytes (rows,); or rows with what is wrong with them.
    in_files : callable
        Detections (n, ..., 6) of all rows of the block, whose last four numbers are boxes in pixels of the samples ->
        the same, in pixels of the files.
    """

    paths: Sequence[str]
    ids: Sequence[int | str | None]
    numbers: Sequence[int]
    pieces: Callable[[int], Iterable[Piece]]
    in_files: Callable[[np.ndarray], np.ndarray] = lambda found: found

    def __len__(self) -> int:
        return len(self.ids)


def failed(path: str, number: int, fault: str) -> Block:
    """One input that gives no sample.

    Examples
    --------
    >>> list(failed("a.npy", 0, "is empty").pieces(8))
    [([0], 'is empty')]
    """
    return Block([path], [None], [number], lambda size: [([0], fault)])


def together(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """Blocks of one sample that follow each other, as many as a batch has, as one: files with a sample each fill it.

    Examples
    --------
    >>> blocks = [failed("a.npy", 0, "is empty"), failed("b.npy", 1, "is a pipe")]
    >>> [(block.paths, list(block.pieces(8))) for block in together(blocks, 8)]
    [(['a.npy', 'b.npy'], [([0], 'is empty'), ([1], 'is a pipe')])]
    """
    for single, group in groupby(blocks, lambda block: len(block) == 1):
        if not single:
            yield from group
        while joined := list(islice(group, size)):
            yield _joined(joined)


def _joined(blocks: Sequence[Block]) -> Block:
    paths, ids, numbers = ([part for block in blocks for part in getattr(block, name)] for name in _OF_SAMPLES)
    samples = (_only_sample(block) for block in blocks)  # read when the model asks for them
    return Block(paths, ids, numbers, partial(of_one_size, samples))


def _only_sample(block: Block) -> np.ndarray | str:
    ((_, samples),) = block.pieces(1)
    return samples if isinstance(samples, str) else samples[0]


def in_order(batches: Iterable[np.ndarray]) -> Iterator[Piece]:
    """Samples that come in the order of their rows.

    Examples
    --------
    >>> [rows.tolist() for rows, _ in in_order([np.zeros((2, 8, 8, 1)), np.zeros((1, 8, 8, 1))])]
    [[0, 1], [2]]
    """
    start = 0
    for batch in batches:
        yield np.arange(start, start + len(batch)), batch
        start += len(batch)


def of_one_size(
    samples: Iterable[np.ndarray | bytes | str], size: int, most_bytes: int = MOST_BYTES
) -> Iterator[Piece]:
    """Samples in the order of their rows in batches of one size and dtype; what is text is a fault.

    Files as bytes may be of any size. Where samples that wait for others hold more than ``most_bytes``, those of which
    most is held go on as they are, so that memory stays flat however large they are.

    Examples
    --------
    >>> image, small = np.zeros((4, 6, 1)), np.zeros((2, 2, 1))
    >>> [(list(rows), batch if isinstance(batch, str) else batch.shape)
    ...  for rows, batch in of_one_size([image, small, "is empty", image], 2)]
    [([2], 'is empty'), ([0, 3], (2, 4, 6, 1)), ([1], (1, 2, 2, 1))]
    """
    waiting: dict[tuple, list[tuple[int, np.ndarray | bytes]]] = {}
    held: dict[tuple, int] = {}
    for row, sample in enumerate(samples):
        if isinstance(sample, str):
            yield [row], sample
            continue
        kind = (sample.shape, sample.dtype) if isinstance(sample, np.ndarray) else ()
        waiting.setdefault(kind, []).append((row, sample))
        held[kind] = held.get(kind, 0) + (sample.nbytes if isinstance(sample, np.ndarray) else len(sample))
        full = kind if len(waiting[kind]) == size else None
        if full is None and sum(held.values()) > most_bytes:
            full = max(held, key=lambda each: held[each])
        if full is not None:
            del held[full]
            yield _batch(waiting.pop(full))
    yield from map(_batch, waiting.values())


def _batch(samples: list[tuple[int, np.ndarray | bytes]]) -> Piece:
    rows, values = zip(*samples, strict=True)
    if isinstance(values[0], np.ndarray):
        return rows, np.stack(values)
    batch = np.empty(len(values), dtype=object)
    batch[:] = values
    return rows, batch
