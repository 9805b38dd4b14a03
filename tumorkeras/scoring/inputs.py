"""What can be scored: arrays, files, folders, specs and samples, as blocks of samples."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras.data.agreement import ModelOrigin, chosen_samples
from tumorkeras.errors import DataError
from tumorkeras.scoring.arrays import FILE_TYPES, array_block, read_array_file
from tumorkeras.scoring.blocks import Block, failed, in_order
from tumorkeras.spec import DataSpec

_IN_MEMORY = "array"


def read_blocks(
    inputs: Any, origin: ModelOrigin, split: str | None, *, detects: bool, batch_size: int
) -> tuple[Iterable[Block], int | None]:
    """List the blocks of ``inputs`` for a model, with the number of samples where it is known.

    Files are opened one by one, while the blocks are read.

    Raises
    ------
    DataError
        If ``inputs`` is nothing that can be scored, or ``split`` comes without a spec or samples.
    ModelError
        If a spec or samples do not fit the model.
    """
    samples = _as_samples(inputs, detects)
    if samples is not None:
        block = _samples_block(chosen_samples(origin, samples, split), detects)
        return [block], len(block)
    if split is not None:
        raise DataError("score", ["split: only a spec or samples have parts; leave split out for arrays and files"])
    if isinstance(inputs, np.ndarray):
        try:
            block = array_block(_IN_MEMORY, inputs, origin)
        except DataError as error:
            raise DataError("score", [f"inputs: {fault}" for fault in error.faults]) from None
        return [block], len(block)
    paths = _paths_of(inputs, detects)
    if detects:
        from tumorkeras.scoring.images import image_blocks

        return image_blocks(paths, origin, batch_size), None
    return (block for path in paths for block in _read_path(path, origin)), None


def _as_samples(inputs: Any, detects: bool) -> Any:
    # Arrays and files need none of the readers: where nobody has loaded their module, nothing is a sample of it.
    if isinstance(inputs, DataSpec):
        if detects:
            from tumorkeras.data.detection import load_detection

            return load_detection(inputs)
        from tumorkeras.data.samples import load_samples

        return load_samples(inputs)
    home, name = ("detection", "DetectionSamples") if detects else ("samples", "Samples")
    module = sys.modules.get(f"tumorkeras.data.{home}")
    return inputs if module is not None and isinstance(inputs, getattr(module, name)) else None


def _samples_block(samples: Any, detects: bool) -> Block:
    if detects:
        from tumorkeras.scoring.images import samples_block

        return samples_block(samples)
    from tumorkeras.data.pipeline import iterate_arrays

    ids = [str(name) for name in samples.table["id"]]
    return in_order(samples.spec.name, ids, lambda size: iterate_arrays(samples, size))


def _paths_of(inputs: Any, detects: bool) -> list[Path]:
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs) if isinstance(inputs, Iterable) else [inputs]
    strangers = sorted({type(path).__name__ for path in paths if not isinstance(path, str | Path)})
    if strangers:
        kind = "DetectionSamples" if detects else "Samples"
        expected = f"an array, a DataSpec, {kind}, or paths of files or folders"
        raise DataError("score", [f"inputs: {', '.join(strangers)} found, expected {expected}"])
    return [Path(path) for path in paths]


def _read_path(path: Path, origin: ModelOrigin) -> Iterator[Block]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in FILE_TYPES)
        for file in found:
            yield from read_array_file(file, origin)
    elif not path.exists():
        yield failed(str(path), "there is no such file")
    elif path.suffix.lower() not in FILE_TYPES:
        yield failed(str(path), f"is a {path.suffix or 'nameless'} file, expected .npy or .npz")
    else:
        yield from read_array_file(path, origin)
