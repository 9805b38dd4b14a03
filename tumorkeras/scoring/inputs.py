"""What can be scored: arrays, files, folders and specs, as blocks of samples or of one fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

Shape = tuple[int | None, ...]

_FILE_TYPES = (".npy", ".npz")
_NPY = b"\x93NUMPY"
_IN_MEMORY = "array"


@dataclass(frozen=True)
class Block:
    """Samples that lie together; or, where ``error`` says why, one input that gives none.

    Attributes
    ----------
    path : str
        The file, ``file.npz#key``, or the name of what is in memory.
    ids : sequence of int or str
        A name a sample; its row where the source has no names.
    batches : callable
        Batch size -> the samples in order, arrays (batch, *shape) of any numeric dtype.
    error : str or None
        What was wrong with the input.
    """

    path: str
    ids: Sequence[int] | Sequence[str] = ()
    batches: Callable[[int], Iterable[np.ndarray]] = lambda size: ()
    error: str | None = None


def read_blocks(inputs: Any, shape: Shape, split: str | None = None) -> tuple[Iterable[Block], int | None]:
    """List the blocks of ``inputs``, with the number of samples where it is known.

    Files are opened one by one, while the blocks are read.

    Raises
    ------
    DataError
        If ``inputs`` is nothing that can be scored, or ``split`` comes without a spec.
    """
    if split is not None and not isinstance(inputs, DataSpec):
        raise DataError("score", ["split: only a DataSpec has parts; leave split out for arrays and files"])
    if isinstance(inputs, DataSpec):
        return _read_spec(inputs, shape, split)
    if isinstance(inputs, np.ndarray):
        block = _array_block(_IN_MEMORY, inputs, shape)
        if block.error is not None:
            raise DataError("score", [f"inputs: {block.error}"])
        return [block], len(block.ids)
    paths = (
        [inputs]
        if isinstance(inputs, str | Path)
        else list(inputs)
        if isinstance(inputs, Iterable)
        else [inputs]
    )
    strangers = sorted({type(path).__name__ for path in paths if not isinstance(path, str | Path)})
    if strangers:
        found = ", ".join(strangers)
        raise DataError(
            "score", [f"inputs: {found} found, expected an array, a DataSpec, or paths of files or folders"]
        )
    return (block for path in paths for block in _read_path(Path(path), shape)), None


def _read_spec(spec: DataSpec, shape: Shape, split: str | None) -> tuple[list[Block], int]:
    # Arrays and files need none of the readers.
    from tumorkeras.data.pipeline import iterate_arrays
    from tumorkeras.data.samples import load_samples

    if not _fits(tuple(spec.input.shape), shape):
        raise DataError(spec.name, [f"input.shape: {spec.input.shape} found, the model reads {list(shape)}"])
    samples = load_samples(spec)
    if split is not None:
        samples = samples.part(split)
    ids = [str(name) for name in samples.table["id"]]
    return [Block(spec.name, ids, lambda size: iterate_arrays(samples, size))], len(ids)


def _read_path(path: Path, shape: Shape) -> Iterator[Block]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _FILE_TYPES)
        for file in found:
            yield from _read_file(file, shape)
    elif not path.exists():
        yield Block(str(path), error="there is no such file")
    elif path.suffix.lower() not in _FILE_TYPES:
        yield Block(str(path), error=f"is a {path.suffix or 'nameless'} file, expected .npy or .npz")
    else:
        yield from _read_file(path, shape)


def _read_file(path: Path, shape: Shape) -> Iterator[Block]:
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY)) == _NPY:
                # Stays on disk until its rows are read.
                yield _array_block(str(path), np.lib.format.open_memmap(path, mode="r"), shape)
                return
            file.seek(0)
            yield from _read_archive(path, np.load(file, allow_pickle=False), shape)
    except Exception as error:  # Whatever a broken file raises is its outcome, and the job goes on.
        yield Block(str(path), error=_reason(error))


def _read_archive(path: Path, archive: Any, shape: Shape) -> Iterator[Block]:
    """Give a block an array that could be images or volumes; below 3 axes it is labels or ids."""
    scored = False
    for key in archive.files:
        try:
            array = archive[key]
        except Exception as error:  # As above: a damaged member is one outcome.
            yield Block(f"{path}#{key}", error=_reason(error))
            scored = True
            continue
        if array.ndim >= 3:
            yield _array_block(f"{path}#{key}", array, shape)
            scored = True
    if not scored:
        found = ", ".join(archive.files) or "nothing"
        yield Block(str(path), error=f"holds no images or volumes, only {found}")


def _array_block(path: str, array: np.ndarray, shape: Shape) -> Block:
    if array.dtype.kind not in "biuf":
        return Block(path, error=f"has the dtype {array.dtype}, expected numbers")
    # Samples; one sample; and both without the axis of the only channel.
    forms = [array, array[None]]
    if shape[-1] == 1:
        forms += [array[..., None], array[None, ..., None]]
    for form in forms:
        if _fits(form.shape[1:], shape):
            return _samples_block(path, form)
    return Block(path, error=f"has the shape {array.shape}, expected {('n', *shape)}".replace("'n'", "n"))


def _samples_block(path: str, samples: np.ndarray) -> Block:
    ids = range(len(samples))
    return Block(path, ids, lambda size: (samples[start : start + size] for start in ids[::size]))


def _fits(found: tuple[int, ...], shape: Shape) -> bool:
    return len(found) == len(shape) and all(
        wanted in (None, size) for size, wanted in zip(found, shape, strict=True)
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and ("allow_pickle" in str(error) or "Python objects" in str(error)):
        return "is no plain array: damaged, or holds pickled objects, which are not loaded"
    return f"cannot be read: {type(error).__name__}: {error}"
