"""Arrays, and files of arrays, as blocks of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras.data.agreement import ModelOrigin, are_tracks, fits
from tumorkeras.errors import DataError
from tumorkeras.scoring.blocks import Block, failed, in_order
from tumorkeras.spec import DataSpec

FILE_TYPES = (".npy", ".npz")
_NPY = b"\x93NUMPY"


def read_array_file(path: Path, origin: ModelOrigin) -> Iterator[Block]:
    """The blocks of a ``.npy`` or ``.npz`` file."""
    try:
        with path.open("rb") as file:
            if file.read(len(_NPY)) == _NPY:
                # Stays on disk until its rows are read.
                yield array_block(str(path), np.lib.format.open_memmap(path, mode="r"), origin)
                return
            file.seek(0)
            yield from _read_archive(path, np.load(file, allow_pickle=False), origin)
    except Exception as error:  # Whatever a broken file raises is its outcome, and the job goes on.
        yield failed(str(path), _reason(error))


def _read_archive(path: Path, archive: Any, origin: ModelOrigin) -> Iterator[Block]:
    """Give one block per array that could be images, volumes or tracks; below 3 axes it is labels or ids."""
    scored = False
    for key in archive.files:
        name = f"{path}#{key}"
        try:
            array = archive[key]
            if array.ndim < 3:
                continue
            block = array_block(name, array, origin)
        except Exception as error:  # As above: a damaged member is one outcome.
            block = failed(name, _reason(error))
        yield block
        scored = True
    if not scored:
        found = ", ".join(archive.files) or "nothing"
        yield failed(str(path), f"holds no images or volumes, only {found}")


def array_block(path: str, array: np.ndarray, origin: ModelOrigin) -> Block:
    """The samples of an array, one sample, or tracks.

    Raises
    ------
    DataError
        If it is none of these.
    """
    shape = origin.shape
    if array.dtype.kind not in "biuf":
        raise DataError(path, [f"has the dtype {array.dtype}, expected numbers"])
    # Samples; one sample; and both without the axis of the only channel.
    forms = [array, array[None]]
    if shape[-1] == 1:
        forms += [array[..., None], array[None, ..., None]]
    for form in forms:
        if fits(form.shape[1:], shape) and all(form.shape[1:]):
            return _block_of(path, form, lambda samples: samples)
    expected = f"{('n', *shape)}".replace("'n'", "n")
    spec = origin.spec
    if spec is None or not are_tracks(spec):
        raise DataError(path, [f"has the shape {array.shape}, expected {expected}"])
    frames = spec.input.shape[0]
    if array.shape[1:] == (frames, 2):
        return _block_of(path, array, lambda positions: _drawn(spec, positions))
    if array.ndim == 3 and array.shape[2] == 2:
        raise DataError(path, [f"has tracks of {array.shape[1]} frames, the model reads {frames} frames"])
    raise DataError(path, [f"has the shape {array.shape}, expected {expected}, or tracks (n, {frames}, 2)"])


def _block_of(path: str, samples: np.ndarray, prepare: Callable[[np.ndarray], np.ndarray]) -> Block:
    ids = range(len(samples))
    return in_order(path, ids, lambda size: (prepare(samples[start : start + size]) for start in ids[::size]))


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
    if isinstance(error, DataError):
        return "; ".join(error.faults)
    if isinstance(error, ValueError) and ("allow_pickle" in str(error) or "Python objects" in str(error)):
        return "is no plain array: damaged, or holds pickled objects, which are not loaded"
    return f"cannot be read: {type(error).__name__}: {error}"
