"""Files that are scored: images and volumes, decoded ahead of the model by processes of their own, and arrays."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.data.agreement import ModelOrigin
from tumorkeras.data.readers.formats import FileFault
from tumorkeras.data.readers.limits import check_file
from tumorkeras.scoring.inputs.arrays import FILE_TYPES, read_array_file
from tumorkeras.scoring.inputs.blocks import Block, of_one_size, together
from tumorkeras.scoring.inputs.listing import Listing, shown
from tumorkeras.scoring.predictor import Predictor
from tumorkeras.scoring.reading import Readers, Sample

Decoded = np.ndarray | bytes | str
Read = Callable[[Iterable[str]], Iterator[Decoded]]
TRIED = 4  # files that are looked into for an example
AT_ONCE, AHEAD = 8, 64  # files whose bytes are read, and that wait for the model


class FileInputs:
    """The files of a list, each of which is an input.

    Parameters
    ----------
    listing : Listing
    origin : ModelOrigin
    read : callable
        Paths -> for each, in order, the array or the bytes that the model reads, or why there is none; it may work
        ahead of what is taken.
    folder : str, optional
        Where relative paths start; by default where this process is.
    """

    has_names = False

    def __init__(self, listing: Listing, origin: ModelOrigin, read: Read, folder: str = "") -> None:
        self.paths, self.carried = listing.paths, listing.carried
        self._origin, self._read, self._folder = origin, read, folder

    def listed(self, paths: Sequence[str], carried: pd.DataFrame | None) -> FileInputs:
        """Other files, read in the same way."""
        return FileInputs(Listing(paths, carried), self._origin, self._read, self._folder)

    def fingerprint(self) -> dict[str, Any]:
        """Nothing beside the list itself."""
        return {"inputs": "files"}

    def example(self) -> np.ndarray | None:
        """One of the first images; None where they cannot be read, or arrays or whole files are."""
        first = [self._place(path) for path in islice(self.paths, TRIED) if not _holds_arrays(path)]
        return next((found for found in self._read(first) if isinstance(found, np.ndarray)), None)

    def windows(self, ranges: Iterable[range], batch_size: int) -> Iterator[tuple[range, Iterator[Block]]]:
        """The files, window by window, which must be gone through in this order."""
        ranges = list(ranges)
        images = (self.paths[number] for window in ranges for number in window)
        decoded = self._read(self._place(path) for path in images if not _holds_arrays(path))
        for window in ranges:
            yield window, self._blocks(window, decoded, batch_size)

    def _blocks(self, window: range, decoded: Iterator[Decoded], batch_size: int) -> Iterator[Block]:
        for holds_arrays, group in groupby(window, lambda number: _holds_arrays(self.paths[number])):
            numbers = list(group)
            if holds_arrays:
                blocks = (block for number in numbers for block in self._arrays(number))
                yield from together(blocks, batch_size)
                continue
            names = [shown(self.paths[number]) for number in numbers]
            yield Block(names, [None] * len(numbers), numbers, partial(of_one_size, islice(decoded, len(numbers))))

    def _arrays(self, number: int) -> Iterator[Block]:
        path = self.paths[number]
        return read_array_file(Path(self._place(path)), shown(path), number, self._origin)

    def _place(self, path: str) -> str:
        return os.path.join(self._folder, path)


@contextmanager
def reading_of(predictor: Predictor, processes: int) -> Iterator[Read]:
    """Give what reads files for a model: processes that decode them, or none where it decodes them itself."""
    spec, shape = predictor.origin.spec, predictor.origin.shape
    if predictor.reads_files:
        yield read_contents
    elif len(shape) == 3 or (len(shape) == 4 and None not in shape):
        spacing = None if spec is None or spec.input.spacing is None else tuple(spec.input.spacing)
        with Readers(processes, Sample(shape, spacing)) as readers:
            yield readers.read
    else:
        yield lambda paths: (f"the model reads arrays {shape}, no images or volumes" for _ in paths)


def read_contents(paths: Iterable[str]) -> Iterator[bytes | str]:
    """The bytes of each file, or why there are none; some are read ahead.

    Examples
    --------
    >>> list(read_contents(["no/such/file"]))
    ['there is no such file']
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting: deque[Future[bytes | str]] = deque()
        for path in paths:
            waiting.append(pool.submit(_content_of, path))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _content_of(path: str) -> bytes | str:
    try:
        check_file(Path(path))
        return Path(path).read_bytes()
    except FileFault as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _holds_arrays(path: str) -> bool:
    return path.lower().endswith(FILE_TYPES)
