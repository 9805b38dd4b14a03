"""The one box format, and what is done with boxes everywhere: NumPy only.

A box is ``xyxy``: (xmin, ymin, xmax, ymax) in pixels of the image, float32, half-open, so that ``xmax`` and
``ymax`` are the first pixels that are no longer in it and a whole image of (height, width) is (0, 0, width, height).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.errors import DataError

CORNERS = ["xmin", "ymin", "xmax", "ymax"]  # the columns of a box in a table

Boxes = NDArray[np.float32]
Corners = NDArray[np.float64]

NO_CLASS = -1  # the class of padding; its box is 0


def _from_xywh(boxes: Corners) -> Corners:
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def _to_xywh(boxes: Corners) -> Corners:
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def _from_center(boxes: Corners) -> Corners:
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def _to_center(boxes: Corners) -> Corners:
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=-1)


def _swapped(boxes: Corners) -> Corners:
    return boxes[..., [1, 0, 3, 2]]


# How boxes become xyxy, and how xyxy becomes them. "rel_" before a name: as shares of the image's width and height.
_LAYOUTS: dict[str, tuple[Callable[[Corners], Corners], Callable[[Corners], Corners]]] = {
    "xyxy": (np.copy, np.copy),
    "yxyx": (_swapped, _swapped),
    "xywh": (_from_xywh, _to_xywh),
    "center_xywh": (_from_center, _to_center),
}
BOX_FORMATS = (*_LAYOUTS, *(f"rel_{name}" for name in _LAYOUTS))


def convert(boxes: ArrayLike, source: str, target: str, size: ArrayLike | None = None) -> Boxes:
    """Boxes written in another way.

    Parameters
    ----------
    boxes : array-like, shape (..., 4)
    source, target : str
        One of ``"xyxy"``, ``"yxyx"``, ``"xywh"`` (corner and size), ``"center_xywh"`` (center and size), or one
        of these with ``"rel_"`` before it, where values are shares of the image's width and height.
    size : array-like, shape (2,) or (..., 2), optional
        (height, width) in pixels of the image, or of the image of each box; needed where one of the two formats is
        relative and the other is not.

    Returns
    -------
    ndarray, shape (..., 4), float32

    Raises
    ------
    DataError
        For an unknown format, a missing size, or an array whose last axis has not 4 values.

    Examples
    --------
    >>> convert([10, 20, 30, 40], "xywh", "xyxy").tolist()
    [10.0, 20.0, 40.0, 60.0]
    >>> convert([0.5, 0.5, 1.0, 0.5], "rel_center_xywh", "xyxy", size=(100, 200)).tolist()
    [0.0, 25.0, 200.0, 75.0]
    """
    unknown = [
        f"{name!r} is no format of boxes; there are {', '.join(BOX_FORMATS)}"
        for name in (source, target)
        if name not in BOX_FORMATS
    ]
    if unknown:
        raise DataError("boxes", list(dict.fromkeys(unknown)))
    corners = _LAYOUTS[source.removeprefix("rel_")][0](_as_boxes(boxes).astype("float64"))
    if source.startswith("rel_") != target.startswith("rel_"):
        if size is None:
            raise DataError("boxes", [f"from {source!r} to {target!r} needs size=(height, width) of the image"])
        sides = np.asarray(size, "float64")[..., [1, 0, 1, 0]]
        corners = corners * sides if source.startswith("rel_") else corners / sides
    return _LAYOUTS[target.removeprefix("rel_")][1](corners).astype("float32")


def _as_boxes(boxes: ArrayLike) -> NDArray[np.floating]:
    """Boxes (..., 4) as an array; an empty list is no boxes."""
    array = np.asarray(boxes)
    if array.shape == (0,):
        return np.empty((0, 4), "float32")
    if array.ndim == 0 or array.shape[-1] != 4:
        raise DataError("boxes", [f"have shape {array.shape}, expected (..., 4)"])
    return array if np.issubdtype(array.dtype, np.floating) else array.astype("float64")


def area(boxes: ArrayLike) -> NDArray[np.float32]:
    """Area of each box in square pixels, 0 where a side is not positive.

    Parameters
    ----------
    boxes : array-like, shape (..., 4)
        xyxy.

    Returns
    -------
    ndarray, shape (...), float32

    Examples
    --------
    >>> area([[0, 0, 4, 3], [5, 5, 5, 9]]).tolist()
    [12.0, 0.0]
    """
    return _area(_as_boxes(boxes).astype("float64")).astype("float32")


def _area(boxes: Corners) -> Corners:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def clip(boxes: ArrayLike, size: tuple[int, int]) -> Boxes:
    """Boxes cut at the edges of their image; one that lies outside is left without area.

    Parameters
    ----------
    boxes : array-like, shape (..., 4)
        xyxy.
    size : tuple of int
        (height, width) of the image in pixels.

    Returns
    -------
    ndarray, shape (..., 4), float32

    Examples
    --------
    >>> clip([[-3, 2, 9, 12], [20, 0, 25, 5]], size=(10, 8)).tolist()
    [[0.0, 2.0, 8.0, 10.0], [8.0, 0.0, 8.0, 5.0]]
    """
    height, width = size
    return np.clip(_as_boxes(boxes), 0, np.array([width, height, width, height])).astype("float32")


def iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float32]:
    """Intersection over union of every box of ``first`` with every box of ``second``.

    Parameters
    ----------
    first : array-like, shape (..., n, 4)
        xyxy.
    second : array-like, shape (..., m, 4)
        xyxy, of the same batch.

    Returns
    -------
    ndarray, shape (..., n, m), float32
        Between 0 and 1; 0 where neither box has an area.

    Examples
    --------
    >>> iou([[0, 0, 2, 2], [0, 0, 0, 0]], [[0, 0, 1, 2], [0, 0, 2, 2]]).tolist()
    [[0.5, 1.0], [0.0, 0.0]]
    """
    left = _as_boxes(first).astype("float64")[..., :, None, :]
    right = _as_boxes(second).astype("float64")[..., None, :, :]
    shared = np.concatenate(
        [np.maximum(left[..., :2], right[..., :2]), np.minimum(left[..., 2:], right[..., 2:])], axis=-1
    )
    intersection = _area(shared)
    union = _area(left) + _area(right) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0).astype("float32")


def pad(
    boxes: Sequence[ArrayLike], classes: Sequence[ArrayLike], most: int | None = None
) -> tuple[Boxes, NDArray[np.int32]]:
    """Boxes and classes of several images as one batch; padding is box 0 and class -1.

    Parameters
    ----------
    boxes : sequence of array-like, each (n, 4)
        xyxy, for each image its own number of boxes, none included.
    classes : sequence of array-like, each (n,)
        Class ids from 0 on.
    most : int, optional
        Boxes an image in the batch; by default as many as the fullest image has.

    Returns
    -------
    boxes : ndarray, shape (images, most, 4), float32
    classes : ndarray, shape (images, most), int32

    Raises
    ------
    DataError
        Where an image has another number of boxes than of classes, or more than ``most``.

    Examples
    --------
    >>> padded, ids = pad([[[1, 2, 3, 4]], []], [[0], []], most=2)
    >>> padded.tolist(), ids.tolist()
    ([[[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]], [[0, -1], [-1, -1]])
    """
    listed, ids = [_as_boxes(each) for each in boxes], [np.asarray(each) for each in classes]
    if len(listed) != len(ids):
        raise DataError("boxes", [f"of {len(listed)} images, but classes of {len(ids)}"])
    counts = [len(each) for each in listed]
    most = max(counts, default=0) if most is None else most
    faults = [
        f"image {k} has {count} boxes and {len(own)} classes"
        for k, (count, own) in enumerate(zip(counts, ids, strict=True))
        if count != len(own)
    ]
    faults += [f"image {k} has {count} boxes, the batch holds {most}" for k, count in enumerate(counts) if count > most]
    if faults:
        raise DataError("boxes", faults)
    padded = np.zeros((len(listed), most, 4), "float32")
    padded_ids = np.full((len(listed), most), NO_CLASS, "int32")
    for k, count in enumerate(counts):
        padded[k, :count], padded_ids[k, :count] = listed[k], ids[k]
    return padded, padded_ids


@dataclass(frozen=True)
class Letterbox:
    """How an image lies on a canvas: scaled to fit, its shape kept, centered.

    Parameters
    ----------
    scale : float
        The factor that makes the image fit. The sides of the scaled image are rounded to whole pixels, so that
        each axis is scaled by ``height / size[0]`` and ``width / size[1]``: boxes follow these, as the pixels do.
    top, left : int
        Where the scaled image begins on the canvas.
    height, width : int
        Of the scaled image.
    size : tuple of int
        (height, width) of the image before.

    Examples
    --------
    >>> placed = letterbox((100, 200), canvas=(64, 64))
    >>> placed.apply([0, 0, 200, 100]).tolist()
    [0.0, 16.0, 64.0, 48.0]
    >>> placed.invert([0, 16, 64, 48]).tolist()
    [0.0, 0.0, 200.0, 100.0]
    """

    scale: float
    top: int
    left: int
    height: int
    width: int
    size: tuple[int, int]

    def apply(self, boxes: ArrayLike) -> Boxes:
        """Boxes (..., 4) of the image, xyxy, as boxes of the canvas; float32."""
        factors, offsets = self._mapping()
        return (_as_boxes(boxes) * factors + offsets).astype("float32")

    def invert(self, boxes: ArrayLike) -> Boxes:
        """Boxes (..., 4) of the canvas, xyxy, as boxes of the image; float32. They are not clipped to it."""
        factors, offsets = self._mapping()
        return ((_as_boxes(boxes) - offsets) / factors).astype("float32")

    def _mapping(self) -> tuple[Corners, Corners]:
        down, across = self.height / self.size[0], self.width / self.size[1]
        factors = np.array([across, down, across, down])
        return factors, np.array([self.left, self.top, self.left, self.top], "float64")


def letterbox(size: tuple[int, int], canvas: tuple[int, int]) -> Letterbox:
    """Where an image of ``size`` lies on a canvas; half a pixel of a scaled side is rounded up.

    Parameters
    ----------
    size, canvas : tuple of int
        (height, width) in pixels.

    Returns
    -------
    Letterbox

    Raises
    ------
    DataError
        Where a side is not positive.

    Examples
    --------
    >>> letterbox((4, 8), canvas=(8, 8))
    Letterbox(scale=1.0, top=2, left=0, height=4, width=8, size=(4, 8))
    """
    faults = [
        f"{name} {sides} has a side that is not positive"
        for name, sides in (("size", size), ("canvas", canvas))
        if min(sides) < 1
    ]
    if faults:
        raise DataError("letterbox", faults)
    rows, columns = int(size[0]), int(size[1])
    height = _scaled(rows, columns, canvas[1], most=canvas[0])
    width = _scaled(columns, rows, canvas[0], most=canvas[1])
    return Letterbox(
        min(canvas[0] / rows, canvas[1] / columns),
        (canvas[0] - height) // 2,
        (canvas[1] - width) // 2,
        height,
        width,
        (rows, columns),
    )


def _scaled(side: int, other: int, fitted: int, most: int) -> int:
    """A side where the other one becomes ``fitted``; halves up, in whole numbers, as every runtime of a graph has."""
    return min(most, max(1, (2 * side * fitted + other) // (2 * other)))
