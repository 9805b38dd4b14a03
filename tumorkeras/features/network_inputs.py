"""What a network is given, arrays, samples, files or batches, as the arrays that it reads; every fault is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tumorkeras.data.agreement import Shape, fits
from tumorkeras.data.cache import rows_of
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.images import decode_all, read_image
from tumorkeras.data.pipeline import iterate_arrays
from tumorkeras.data.readers import Reading, read
from tumorkeras.data.samples import Samples
from tumorkeras.errors import DataError, MissingExtraError, shortened
from tumorkeras.spec import DataSpec

HEADING = "FeatureExtractor"
FORMS = "an array, a list of arrays or of paths, Samples, DetectionSamples, or a tf.data.Dataset of batches"
SCALABLE = ("uint8", "uint16", "int16", "float32", "float64")  # what OpenCV resizes

Rows = Sequence[int]
Piece = tuple[Rows, np.ndarray | str]
Image = tuple[int, np.ndarray | str]


@dataclass(frozen=True)
class NetworkInputs:
    """Samples for a network, which are read as they are asked for.

    Attributes
    ----------
    pieces : callable
        Batch size -> every row once, as pairs: rows with an array of theirs, or with what is wrong with them.
    name_of : callable
        Row -> what it is called in errors.
    in_files : callable
        Row and boxes (n, 4) in pixels of its array -> the boxes in pixels of its file.
    """

    pieces: Callable[[int], Iterable[Piece]]
    name_of: Callable[[int], str] = "row {}".format
    in_files: Callable[[int, np.ndarray], np.ndarray] = lambda row, boxes: boxes

    def batches(self, size: int) -> Iterator[tuple[Rows, np.ndarray]]:
        """Rows with their array, float32. After the first fault the rest is only looked through.

        Raises
        ------
        DataError
            At the end, with all faults: what cannot be read, what has another shape, what is not finite.
        """
        faults: list[str] = []
        for rows, piece in self.pieces(size):
            if isinstance(piece, str):
                faults.append(piece)
                continue
            with np.errstate(over="ignore"):  # beyond float32 is not finite
                values = np.ascontiguousarray(piece, dtype="float32")
            lost = (~np.isfinite(values)).reshape(len(values), -1).sum(axis=1)
            faults += [
                f"{self.name_of(row)}: holds {count} values that are NaN or infinite, expected none"
                for row, count in zip(rows, lost, strict=True)
                if count
            ]
            if not faults:
                yield rows, values
        if faults:
            raise DataError(HEADING, shortened(faults))


def network_inputs(X: Any, shape: Shape, spec: DataSpec | None = None) -> NetworkInputs:
    """The samples of ``X`` for a network that reads (n, \\*shape).

    Only what lies in memory is looked at; files and datasets are opened when the batches are read.

    Parameters
    ----------
    X : array-like, list, Samples, DetectionSamples or tf.data.Dataset
        As :class:`tumorkeras.FeatureExtractor` takes it.
    shape : tuple
        Of one sample, channels last; None is open.
    spec : DataSpec, optional
        Whose spacing files of volumes are brought to.

    Raises
    ------
    DataError
        If ``X`` is nothing of that, an empty list, or of another shape or dtype.

    Examples
    --------
    >>> inputs = network_inputs(np.zeros((3, 4, 4, 1), "uint8"), (4, 4, 1))
    >>> [(list(rows), batch.shape) for rows, batch in inputs.batches(2)]
    [([0, 1], (2, 4, 4, 1)), ([2], (1, 4, 4, 1))]
    """
    if isinstance(X, tf.data.Dataset):
        return _of_dataset(X, shape)
    if isinstance(X, Samples):
        _check("input.shape", X.spec.input.shape, shape)
        return NetworkInputs(lambda size: _in_order(iterate_arrays(X, size), shape))
    if isinstance(X, DetectionSamples):
        return _of_detection(X, shape)
    if hasattr(X, "__array__"):
        array = X if isinstance(X, np.ndarray) else np.asarray(X)
        if array.ndim != 1 or array.dtype.kind not in "OUT":  # a column of paths, or of arrays
            return _of_array(array, shape)
        X = list(array)
    if isinstance(X, list | tuple):
        return _of_list(X, shape, spec)
    raise DataError(HEADING, [f"X: {type(X).__name__} found, expected {FORMS}"])


def _check(name: str, found: Iterable[int], shape: Shape) -> None:
    if not fits(tuple(found), shape):
        raise DataError(HEADING, [f"X: {name} is {tuple(found)}, the network reads {shape}"])


def _expected(shape: Shape) -> str:
    return f"(n, {', '.join(map(str, shape))})"


# ----------------------------------------------------------------------------------------------- arrays and samples


def _of_array(array: np.ndarray, shape: Shape) -> NetworkInputs:
    faults = []
    if array.dtype.kind not in "biuf":
        faults.append(f"X: has the dtype {array.dtype}, expected numbers")
    if array.ndim == 0 or not fits(array.shape[1:], shape) or 0 in array.shape[1:]:
        faults.append(f"X: has the shape {array.shape}, expected {_expected(shape)}")
    if faults:
        raise DataError(HEADING, faults)
    return NetworkInputs(lambda size: _slices(array, np.arange(len(array)), size))


def _slices(values: np.ndarray, places: np.ndarray, size: int) -> Iterator[Piece]:
    """Each row, in order, from its place in ``values``, which may lie on disk."""
    for start in range(0, len(places), size):
        chosen = places[start : start + size]
        yield range(start, start + len(chosen)), rows_of(values, chosen)


def _of_detection(samples: DetectionSamples, shape: Shape) -> NetworkInputs:
    """Images without what lies beside them on the canvas, or canvases where the network reads no other size."""
    _check("input.shape", samples.images.shape[1:], shape)
    if not _reads_any_size(shape):
        return NetworkInputs(lambda size: _slices(samples.images, samples.rows, size))
    placed = [samples.placement(row) for row in range(len(samples))]
    order = sorted(range(len(samples)), key=lambda row: (placed[row].height, placed[row].width))
    return NetworkInputs(
        lambda size: _of_one_size(((row, samples.image_of(row)) for row in order), size), in_files=samples.in_file
    )


def _of_dataset(dataset: tf.data.Dataset, shape: Shape) -> NetworkInputs:
    given = _arrays(dataset.element_spec)
    faults = []
    if not isinstance(given, tf.TensorSpec) or not (given.dtype.is_floating or given.dtype.is_integer):
        faults.append(f"X: the dataset holds {given}, expected batches of arrays, alone or before their labels")
    elif given.shape.rank not in (None, len(shape) + 1):
        faults.append(
            f"X: the dataset holds {given.shape}, expected batches {_expected(shape)}; dataset.batch makes them"
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        faults.append("X: the dataset never ends; dataset.take ends it")
    if faults:
        raise DataError(HEADING, faults)
    return NetworkInputs(lambda size: _in_order((_arrays(batch).numpy() for batch in dataset), shape))


def _arrays(element: Any) -> Any:
    """What the network reads of a batch (arrays, labels, ...), or of a dict of images with their boxes."""
    while isinstance(element, tuple | list):
        element = element[0]
    return element.get("images") if isinstance(element, dict) else element


def _in_order(batches: Iterable[np.ndarray], shape: Shape) -> Iterator[Piece]:
    start = 0
    for batch in batches:
        rows = range(start, start + len(batch))
        good = fits(batch.shape[1:], shape)
        fault = f"rows {start} to {start + len(batch) - 1}: have the shape {batch.shape}, expected {_expected(shape)}"
        yield rows, batch if good else fault
        start += len(batch)


# ---------------------------------------------------------------------------------------------------- lists and files


def _of_list(X: Sequence[Any], shape: Shape, spec: DataSpec | None) -> NetworkInputs:
    if not X:
        raise DataError(HEADING, [f"X: an empty {type(X).__name__} found, expected arrays or paths"])
    if all(isinstance(each, str | Path) for each in X):
        return _of_files([str(path) for path in X], shape, spec)
    arrays = [np.asarray(each) for each in X]
    faults = []
    for row, array in enumerate(arrays):
        if array.dtype.kind not in "biuf":
            faults.append(
                f"row {row}: {type(X[row]).__name__} found, expected an array of numbers, as in all other rows"
            )
        elif not fits(array.shape, shape) or 0 in array.shape:
            faults.append(f"row {row}: has the shape {array.shape}, expected {shape}")
    if faults:
        raise DataError(HEADING, shortened(faults))
    order = sorted(range(len(arrays)), key=lambda row: arrays[row].shape)
    return NetworkInputs(lambda size: _of_one_size(((row, arrays[row]) for row in order), size))


def _of_one_size(images: Iterable[Image], size: int) -> Iterator[Piece]:
    """Batches of neighbours of one size."""
    for shape, run in groupby(images, key=lambda image: None if isinstance(image[1], str) else image[1].shape):
        while chosen := list(islice(run, size)):
            if shape is None:
                yield from (([row], fault) for row, fault in chosen)
            else:
                yield [row for row, _ in chosen], np.stack([image for _, image in chosen])


def _reads_any_size(shape: Shape) -> bool:
    return len(shape) == 3 and None in shape[:2]


def _of_files(names: list[str], shape: Shape, spec: DataSpec | None) -> NetworkInputs:
    if _reads_any_size(shape):
        return NetworkInputs(lambda size: _of_one_size(_read_images(names, shape), size), names.__getitem__)
    if len(shape) not in (3, 4) or None in shape:
        raise DataError(HEADING, [f"X: paths found, but files are images or volumes, and the network reads {shape}"])

    def pieces(size: int) -> Iterator[Piece]:
        yield from _slices(_decoded(names, shape, spec), np.arange(len(names)), size)  # type: ignore[arg-type]

    return NetworkInputs(pieces, names.__getitem__)


def _read_images(names: list[str], shape: Shape) -> Iterator[Image]:
    return ((row, _read_image(name, shape)) for row, name in enumerate(names))


def _read_image(name: str, shape: Shape) -> np.ndarray | str:
    """The image of a file in its own size, in the channels of the network, or what is wrong with it."""
    try:
        image = read_image(name, shape[-1])
    except (DataError, MissingExtraError) as error:
        faults = error.faults if isinstance(error, DataError) else [str(error)]
        return f"{name}: {'; '.join(faults)}"
    return image if fits(image.shape, shape) else f"{name}: has the shape {image.shape}, expected {shape}"


def _decoded(names: list[str], shape: tuple[int, ...], spec: DataSpec | None) -> np.ndarray:
    """The files on the canvas of the network, as those of a spec are; many lie on disk."""

    def reader(row: int) -> Reading:
        reading = read(names[row])
        known = reading.array.dtype.name in SCALABLE
        return reading if known else reading._replace(array=reading.array.astype("float32"))

    table = pd.DataFrame({"id": names, "path": names})
    kind = "images" if len(shape) == 3 else "volumes"
    return decode_all(Catalog(table, None, (), kind, (), spec, reader), shape)
