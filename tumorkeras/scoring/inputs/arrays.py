"""Arrays, and files of arrays, as blocks of samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.data.agreement import ModelOrigin, are_tracks, fits
from tumorkeras.data.readers.formats import FileFault
from tumorkeras.data.readers.limits import check_file
from tumorkeras.errors import DataError
from tumorkeras.scoring.inputs.blocks import Block, Piece, failed, in_order
from tumorkeras.spec import DataSpec

FILE_TYPES = (".npy", ".npz")
_NPY = b"\x93NUMPY"
_IN_MEMORY = "array"

Prepare = Callable[[np.ndarray], np.ndarray]


def as_array(inputs: Any) -> Any:
    """What Keras would take as an array: a tensor, or a list of arrays of one shape; all else as it is.

    Raises
    ------
    DataError
        If the arrays of a list have several shapes.

    Examples
    --------
    >>> as_array([np.zeros((8, 8, 1)), np.ones((8, 8, 1))]).shape, as_array(["a.png"])
    ((2, 8, 8, 1), ['a.png'])
    """
    if isinstance(inputs, list | tuple) and inputs and all(map(_is_array, inputs)):
        shapes = sorted({tuple(each.shape) for each in inputs})
        if len(shapes) > 1:
            found = ", ".join(map(str, shapes[:3]))
            raise DataError("score", [f"inputs: arrays of the shapes {found} found, expected one; score them apart"])
        return np.stack([np.asarray(each) for each in inputs])
    return np.asarray(inputs) if _is_array(inputs) else inputs


def _is_array(value: Any) -> bool:
    """Whether it is an array or a tensor with axes; tables and paths are none."""
    return hasattr(value, "__array__") and not isinstance(value, pd.DataFrame) and len(getattr(value, "shape", ())) > 1


class ArrayInputs:
    """An array in memory: each of its samples is an input.

    Raises
    ------
    DataError
        If the model does not read such arrays.
    """

    carried = None
    has_names = False

    def __init__(self, array: np.ndarray, origin: ModelOrigin) -> None:
        try:
            self._samples, self._prepare = fitted(_IN_MEMORY, array, origin)
        except DataError as error:
            raise DataError("score", [f"inputs: {fault}" for fault in error.faults]) from None
        self.paths = [_IN_MEMORY] * len(self._samples)

    def fingerprint(self) -> dict[str, Any]:
        """What tells another array apart."""
        digest = hashlib.sha256(np.ascontiguousarray(self._samples).data)
        return {"inputs": f"array {self._samples.shape} {self._samples.dtype}", "inputs_sha256": digest.hexdigest()}

    def example(self) -> np.ndarray | None:
        """A sample like those that will be scored."""
        return self._prepare(self._samples[:1])[0] if len(self._samples) else None

    def windows(self, ranges: Iterable[range], batch_size: int) -> Iterator[tuple[range, Iterable[Block]]]:
        """The samples, window by window."""
        for window in ranges:
            samples = self._samples[window.start : window.stop]
            yield window, [_block(_IN_MEMORY, samples, self._prepare, window, window)]


def read_array_file(path: Path, name: str, number: int, origin: ModelOrigin) -> Iterator[Block]:
    """The blocks of a ``.npy`` or ``.npz`` file, which is called ``name`` and is the input of a number."""
    try:
        check_file(path)  # opening a pipe would wait for ever
        with path.open("rb") as file:
            if file.read(len(_NPY)) == _NPY:
                yield _of_npy(path, name, number, origin)
                return
            file.seek(0)
            yield from _read_archive(name, number, np.load(file, allow_pickle=False), origin)
    except Exception as error:  # Whatever a broken file raises is its outcome, and the job goes on.
        yield failed(name, number, _reason(error))


def _of_npy(path: Path, name: str, number: int, origin: ModelOrigin) -> Block:
    """The block of a file that stays on disk until its rows are read; of a single sample no file stays open."""

    def block() -> Block:
        return _file_block(name, number, np.lib.format.open_memmap(path, mode="r"), origin)

    def sample(_: int) -> Iterator[Piece]:
        try:
            rows, samples = next(iter(block().pieces(1)))
        except Exception as error:  # It was there a moment ago.
            rows, samples = [0], _reason(error)
        yield rows, samples if isinstance(samples, str) else np.array(samples)

    found = block()
    return replace(found, pieces=sample) if len(found) == 1 else found


def _read_archive(name: str, number: int, archive: Any, origin: ModelOrigin) -> Iterator[Block]:
    """Give one block per array that could be images, volumes or tracks; below 3 axes it is labels or ids."""
    scored = False
    for key in archive.files:
        member = f"{name}#{key}"
        try:
            array = archive[key]
            if array.ndim < 3:
                continue
            block = _file_block(member, number, array, origin)
        except Exception as error:  # As above: a damaged member is one outcome.
            block = failed(member, number, _reason(error))
        yield block
        scored = True
    if not scored:
        found = ", ".join(archive.files) or "nothing"
        yield failed(name, number, f"holds no images or volumes, only {found}")


def _file_block(name: str, number: int, array: np.ndarray, origin: ModelOrigin) -> Block:
    samples, prepare = fitted(name, array, origin)
    if not len(samples):
        return failed(name, number, "holds no sample")
    return _block(name, samples, prepare, range(len(samples)), np.full(len(samples), number))


def _block(path: str, samples: np.ndarray, prepare: Prepare, ids: range, numbers: Any) -> Block:
    def pieces(size: int) -> Iterator[Any]:
        starts = range(0, len(samples), size)
        return in_order(prepare(samples[start : start + size]) for start in starts)

    return Block([path] * len(samples), ids, numbers, pieces)


def fitted(name: str, array: np.ndarray, origin: ModelOrigin) -> tuple[np.ndarray, Prepare]:
    """The samples of an array, one sample, or tracks, and what makes of some of them what the model reads.

    Raises
    ------
    DataError
        If it is none of these.
    """
    shape = origin.shape
    if array.dtype.kind not in "biuf":
        raise DataError(name, [f"has the dtype {array.dtype}, expected numbers"])
    # Samples; one sample; and both without the axis of the only channel.
    forms = [array, array[None]]
    if shape[-1] == 1:
        forms += [array[..., None], array[None, ..., None]]
    for form in forms:
        if fits(form.shape[1:], shape) and all(form.shape[1:]):
            return form, lambda samples: samples
    expected = f"{('n', *shape)}".replace("'n'", "n")
    spec = origin.spec
    if spec is None or not are_tracks(spec):
        raise DataError(name, [f"has the shape {array.shape}, expected {expected}"])
    frames = spec.input.shape[0]
    if array.shape[1:] == (frames, 2):
        return array, lambda positions: _drawn(spec, positions)
    if array.ndim == 3 and array.shape[2] == 2:
        raise DataError(name, [f"has tracks of {array.shape[1]} frames, the model reads {frames} frames"])
    raise DataError(name, [f"has the shape {array.shape}, expected {expected}, or tracks (n, {frames}, 2)"])


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
    if isinstance(error, FileFault):
        return str(error)
    if isinstance(error, ValueError) and ("allow_pickle" in str(error) or "Python objects" in str(error)):
        return "is no plain array: damaged, or holds pickled objects, which are not loaded"
    return f"cannot be read: {type(error).__name__}: {error}"
