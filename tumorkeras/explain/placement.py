"""From the cells of a feature map, or from windows, to pixels: one small matrix an axis."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.models.graphs import graph_of

Matrix = NDArray[np.float32]
ROUNDING = 1e-6


def spread(values: ArrayLike, matrices: Sequence[Matrix]) -> Matrix:
    """Take each axis of values (n, *cells) after the first through its matrix (pixels, cells).

    Examples
    --------
    >>> spread([[1.0, 3.0]], [np.array([[1, 0], [0.5, 0.5], [0, 1]])]).tolist()
    [[1.0, 2.0, 3.0]]
    """
    result = np.asarray(values, "float32")
    for axis, matrix in enumerate(matrices, start=1):
        result = np.moveaxis(np.tensordot(result, matrix.astype("float32"), (axis, 1)), -1, axis)
    return np.ascontiguousarray(result)


def between_cells(places: ArrayLike, cells: int) -> Matrix:
    """Share (pixels, cells) of each cell at places that are counted in cells.

    Beyond the outer middles all is level, and more than half a cell outside the map it is 0.

    Examples
    --------
    >>> between_cells([-0.6, -0.5, 0.25, 1.5], cells=2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]
    """
    line = np.asarray(places, "float64")[:, None]
    shares = np.maximum(1 - np.abs(np.clip(line, 0, cells - 1) - np.arange(cells)), 0)
    return np.where((line > -0.5 - ROUNDING) & (line < cells - 0.5 + ROUNDING), shares, 0).astype("float32")


def over_input(cells: int, pixels: int, step: float | None) -> Matrix:
    """Share (pixels, cells) of each cell of a map that lies centered on the input, ``step`` pixels a cell.

    Without a step the map is stretched over the whole input.

    Examples
    --------
    >>> over_input(2, 4, None).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    >>> over_input(1, 5, 1).ravel().tolist()  # two valid convolutions of 3
    [0.0, 0.0, 1.0, 0.0, 0.0]
    """
    step = step or pixels / cells
    return between_cells((np.arange(pixels) - (pixels - 1) / 2) / step + (cells - 1) / 2, cells)


def windows(pixels: int, window: int, stride: int) -> NDArray[np.int64]:
    """Where windows begin: every ``stride`` pixels, and one at the end, so that each pixel is covered.

    Examples
    --------
    >>> windows(10, window=4, stride=4).tolist()
    [0, 4, 6]
    """
    return np.append(np.arange(0, pixels - window, stride), pixels - window)


def covered(pixels: int, starts: NDArray[np.int64], window: int) -> Matrix:
    """Mean over the windows that cover each pixel: (pixels, windows), rows of sum 1.

    Examples
    --------
    >>> covered(3, np.array([0, 1]), window=2).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    place = np.arange(pixels)[:, None]
    inside = (place >= starts) & (place < starts + window)
    return (inside / inside.sum(axis=1, keepdims=True)).astype("float32")


def steps_of(tensor: keras.KerasTensor, given: keras.KerasTensor) -> tuple[int, ...] | None:
    """Pixels of the input from a cell of a map to the next, an axis each; None where that is not known.

    It is known where every layer on the way strides or keeps the size, or only cuts or pads the border: not where one
    resizes, upsamples, or is a model of its own that does not keep the size.

    Examples
    --------
    >>> inputs = keras.Input((32, 32, 1))
    >>> steps_of(keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(4, 3)(inputs)), inputs)
    (2, 2)
    """
    steps = np.ones(len(given.shape) - 2, int)
    while tensor is not given:
        operation, number, _ = tensor._keras_history
        sources = operation._inbound_nodes[number].input_tensors
        if not sources:
            return None
        stride = _stride(operation, tensor, sources[0])
        if stride is None:
            return None
        steps *= stride
        tensor = sources[0]  # where branches meet they are of one size: any will do
    return tuple(steps.tolist())


def _stride(operation: object, tensor: keras.KerasTensor, source: keras.KerasTensor) -> ArrayLike | None:
    name = type(operation).__name__
    strides = getattr(operation, "strides", None)
    if strides and not name.endswith("Transpose"):
        return strides
    if name.startswith(("Cropping", "ZeroPadding")):
        return 1
    sides = tuple(tensor.shape[1:-1])
    resizes = graph_of(operation) is not None or name.startswith("UpSampling") or name.endswith("Transpose")
    if resizes and None in sides:  # of which nothing is seen in the open sizes
        return None
    return 1 if sides == tuple(source.shape[1:-1]) else None
