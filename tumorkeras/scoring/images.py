"""Image files of any size, and samples with boxes, as blocks for a detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from tumorkeras.boxes import NO_CLASS
from tumorkeras.data.agreement import ModelOrigin
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.image_files import find_samples
from tumorkeras.data.images import read_image
from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.scoring.arrays import FILE_TYPES, read_array_file
from tumorkeras.scoring.blocks import Block, Piece

WINDOW = 4  # batches of images that are held, so that those of a size find each other


def image_blocks(paths: Iterable[Path], origin: ModelOrigin, batch_size: int) -> Iterator[Block]:
    """Files, and those of folders, in blocks of a few batches; files of arrays are blocks of their own."""
    files = (file for path in paths for file in _files(path))
    for holds_arrays, group in groupby(files, lambda file: file.suffix.lower() in FILE_TYPES):
        if holds_arrays:
            for file in group:
                yield from read_array_file(file, origin)
            continue
        while window := list(islice(group, WINDOW * batch_size)):
            pieces = partial(_pieces, window, origin.shape[-1])
            yield Block([str(file) for file in window], [None] * len(window), pieces)


def _files(path: Path) -> list[Path]:
    """The path itself, or what a folder holds of images and arrays."""
    if not path.is_dir():
        return [path]
    names, faults = find_samples(path, volumes=False)
    names += [name for fault in faults for name in fault.files]
    archives = path.rglob("*.npz")
    return sorted({*(path / name for name in names), *archives})


def _pieces(files: list[Path], channels: int | None, size: int) -> Iterator[Piece]:
    """Each file once, in batches of one size and dtype."""
    faults: list[Piece] = []

    def images() -> Iterator[tuple[int, np.ndarray]]:
        for row, file in enumerate(files):
            try:
                yield row, read_image(file, channels)
            except (DataError, MissingExtraError) as error:
                faults.append(([row], _reason(error, file)))

    yield from _of_one_size(images(), size)
    yield from faults


def _of_one_size(images: Iterable[tuple[int, np.ndarray]], size: int) -> Iterator[Piece]:
    """Batches of one size and dtype, of images with the rows that they have."""
    waiting: dict[tuple, list[tuple[int, np.ndarray]]] = {}
    for row, image in images:
        kind = (image.shape, image.dtype)
        waiting.setdefault(kind, []).append((row, image))
        if len(waiting[kind]) == size:
            yield _batch(waiting.pop(kind))
        elif sum(map(len, waiting.values())) == WINDOW * size:
            yield _batch(waiting.pop(max(waiting, key=lambda each: len(waiting[each]))))
    yield from map(_batch, waiting.values())


def _batch(images: list[tuple[int, np.ndarray]]) -> Piece:
    rows, pixels = zip(*images, strict=True)
    return rows, np.stack(pixels)


def _reason(error: Exception, file: Path) -> str:
    return "; ".join(error.faults) if isinstance(error, DataError) and error.heading == str(file) else str(error)


def samples_block(samples: DetectionSamples) -> Block:
    """Samples, and the way back to the pixels of their files (of a tile, of the tile).

    What lies beside an image on its canvas is cut off, or things would be found there; the model puts it back.
    """
    ids = [str(name) for name in samples.table["id"]]

    def pieces(size: int) -> Iterator[Piece]:
        yield from _of_one_size(((row, samples.image_of(row)) for row in range(len(samples))), size)

    def in_files(found: np.ndarray) -> np.ndarray:
        found = found.copy()
        for row, own in enumerate(found):
            real = own[:, 0] > NO_CLASS
            own[real, 2:] = samples.in_file(row, own[real, 2:])
        return found

    return Block([samples.spec.name] * len(ids), ids, pieces, in_files)
