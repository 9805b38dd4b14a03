"""What can be scored: arrays, files, folders, specs and samples, as blocks of samples or of one fault."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorkeras.data.agreement import ModelOrigin, are_tracks, chosen_samples, fits
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

if TYPE_CHECKING:
    from tumorkeras.data.samples import Samples

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
        One name per sample; its row where the source has no names.
    batches : callable
        Batch size -> the samples in order, arrays (batch, *shape) of any numeric dtype.
    error : str or None
        What was wrong with the input.
    """

    path: str
    ids: Sequence[int] | Sequence[str] = ()
    batches: Callable[[int], Iterable[np.ndarray]] = lambda size: ()
    error: str | None = None


def read_blocks(inputs: Any, origin: ModelOrigin, split: str | None = None) -> tuple[Iterable[Block], int | None]:
    """List the blocks of ``inputs`` for a model, with the number of samples where it is known.

    Files are opened one by one, while the blocks are read.

    Raises
    ------
    DataError
        If ``inputs`` is nothing that can be scored, or ``split`` comes without a spec or samples.
    ModelError
        If a spec or samples do not fit the model.
    """
    samples = _as_samples(inputs)
    if samples is not None:
        return _samples_blocks(chosen_samples(origin, samples, split))
    if split is not None:
        raise DataError("score", ["split: only a spec or samples have parts; leave split out for arrays and files"])
    if isinstance(inputs, np.ndarray):
        block = _array_block(_IN_MEMORY, inputs, origin)
        if block.error is not None:
            raise DataError("score", [f"inputs: {block.error}"])
        return [block], len(block.ids)
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs) if isinstance(inputs, Iterable) else [inputs]
    strangers = sorted({type(path).__name__ for path in paths if not isinstance(path, str | Path)})
    if strangers:
        expected = "an array, a DataSpec, Samples, or paths of files or folders"
        raise DataError("score", [f"inputs: {', '.join(strangers)} found, expected {expected}"])
    return (block for path in paths for block in _read_path(Path(path), origin)), None


def _as_samples(inputs: Any) -> Samples | None:
    # Arrays and files need none of the readers: where nobody has loaded their module, nothing is a Samples.
    if isinstance(inputs, DataSpec):
        from tumorkeras.data.samples import load_samples

        return load_samples(inputs)
    module = sys.modules.get("tumorkeras.data.samples")
    return inputs if module is not None and isinstance(inputs, module.Samples) else None


def _samples_blocks(samples: Samples) -> tuple[list[Block], int]:
    from tumorkeras.data.pipeline import iterate_arrays

    ids = [str(name) for name in samples.table["id"]]
    return [Block(samples.spec.name, ids, lambda size: iterate_arrays(samples, size))], len(ids)


def _read_path(path: Path, origin: ModelOrigin) -> Iterator[Block]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _FILE_TYPES)
        for file in found:
            yield from _read_file(file, origin)
    elif not path.exists():
        yield Block(str(path), error="there is no such file")
    elif path.suffix.lower() not in _FILE_TYPES:
        yield Block(str(path), error=f"is a {path.suffix or 'nameless'} file, expected .npy or .npz")
    else:
        yield from _read_file(path, origin)


def _read_file(path: Path, origin: ModelOrigin) -> Iterator[Block]:
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY)) == _NPY:
                # Stays on disk until its rows are read.
                yield _array_block(str(path), np.lib.format.open_memmap(path, mode="r"), origin)
                return
            file.seek(0)
            yield from _read_archive(path, np.load(file, allow_pickle=False), origin)
    except Exception as error:  # Whatever a broken file raises is its outcome, and the job goes on.
        yield Block(str(path), error=_reason(error))


def _read_archive(path: Path, archive: Any, origin: ModelOrigin) -> Iterator[Block]:
    """Give one block per array that could be images, volumes or tracks; below 3 axes it is labels or ids."""
    scored = False
    for key in archive.files:
        try:
            array = archive[key]
        except Exception as error:  # As above: a damaged member is one outcome.
            yield Block(f"{path}#{key}", error=_reason(error))
            scored = True
            continue
        if array.ndim >= 3:
            yield _array_block(f"{path}#{key}", array, origin)
            scored = True
    if not scored:
        found = ", ".join(archive.files) or "nothing"
        yield Block(str(path), error=f"holds no images or volumes, only {found}")


def _array_block(path: str, array: np.ndarray, origin: ModelOrigin) -> Block:
    shape = origin.shape
    if array.dtype.kind not in "biuf":
        return Block(path, error=f"has the dtype {array.dtype}, expected numbers")
    # Samples; one sample; and both without the axis of the only channel.
    forms = [array, array[None]]
    if shape[-1] == 1:
        forms += [array[..., None], array[None, ..., None]]
    for form in forms:
        if fits(form.shape[1:], shape):
            return _block_of(path, form, lambda samples: samples)
    expected = f"{('n', *shape)}".replace("'n'", "n")
    spec = origin.spec
    if spec is None or not are_tracks(spec):
        return Block(path, error=f"has the shape {array.shape}, expected {expected}")
    frames = spec.input.shape[0]
    if array.shape[1:] == (frames, 2):
        return _block_of(path, array, lambda positions: _drawn(spec, positions))
    if array.ndim == 3 and array.shape[2] == 2:
        return Block(path, error=f"has tracks of {array.shape[1]} frames, the model reads {frames} frames")
    return Block(path, error=f"has the shape {array.shape}, expected {expected}, or tracks (n, {frames}, 2)")


def _block_of(path: str, samples: np.ndarray, prepare: Callable[[np.ndarray], np.ndarray]) -> Block:
    ids = range(len(samples))
    return Block(path, ids, lambda size: (prepare(samples[start : start + size]) for start in ids[::size]))


def _drawn(spec: DataSpec, positions: np.ndarray) -> np.ndarray:
    """Tracks (n, frames, 2) as volumes, drawn as in training; what is not finite is so in the volume too."""
    from tumorkeras.data.rendering import renderer_of
    from tumorkeras.data.tracks import normalise_scale

    with np.errstate(over="ignore"):  # beyond float32 is not finite
        positions = np.asarray(positions, dtype="float32")
    bad = ~np.isfinite(positions).reshape(len(positions), -1)
    whole = np.where(bad.any(axis=1)[:, None, None], np.float32(0), positions)
    renderer = renderer_of(spec)
    scaled = normalise_scale(whole) if spec.rendering.normalise_scale else whole
    volumes = renderer(renderer.centered(scaled)).numpy()
    pixels = volumes.reshape(len(volumes), -1)[:, : bad.shape[1]]
    pixels[bad[:, : pixels.shape[1]]] = np.nan
    return volumes


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and ("allow_pickle" in str(error) or "Python objects" in str(error)):
        return "is no plain array: damaged, or holds pickled objects, which are not loaded"
    return f"cannot be read: {type(error).__name__}: {error}"
