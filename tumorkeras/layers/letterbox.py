"""Images of any size on a canvas of one size, and their boxes there and back, in the graph.

The geometry is that of :func:`tumorkeras.boxes.letterbox`: scaled to fit, each side rounded to whole pixels, centered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from tumorkeras.errors import ModelError
from tumorkeras.layers.float32 import Float32Layer, check_spatial, is_count

SHORTCUT = "fits_canvas"  # the scope of a branch of which one side is as right for every image, and only slower


class _Placed(NamedTuple):
    """How an image lies on the canvas: (..., 2), for height and width, int32."""

    size: Any  # of the image
    scaled: Any  # of the scaled image
    offset: Any  # where it begins


def _place(size: Any, canvas: tuple[int, int]) -> _Placed:
    # Whole numbers, for not every runtime has float64, and in float32 some sizes would be a pixel off.
    size, sides = ops.cast(size, "int32"), ops.convert_to_tensor(canvas, "int32")
    # Side times fitted by other, half a pixel rounded up, is found by counting: not every runtime divides int64, and
    # some divide by way of float32. Twice the excess is compared as two sums, which int32 holds where that is all.
    side = ops.cast(size, "int64")[..., None]
    other, fitted = ops.flip(side, axis=-2), ops.convert_to_tensor([[canvas[1]], [canvas[0]]], "int64")
    excess = ops.arange(1, max(canvas) + 1, dtype="int64") * other - side * fitted
    scaled = ops.clip(ops.sum(ops.cast(excess <= other - excess, "int32"), axis=-1), 1, sides)
    return _Placed(size, scaled, (sides - scaled) // 2)


def letterbox_boxes(boxes: Any, size: Any, canvas: tuple[int, int]) -> Any:
    """Boxes of an image as boxes of the canvas that it was letterboxed to.

    Parameters
    ----------
    boxes : tensor, shape (..., n, 4)
        xyxy, in pixels of the image. A box of zeros is padding and stays as it is.
    size : tensor, shape (2,) or (..., 2)
        (height, width) of the image before, or of the image of each list of boxes.
    canvas : tuple of int
        (height, width).

    Returns
    -------
    tensor, shape (..., n, 4), float32

    Examples
    --------
    >>> letterbox_boxes([[0.0, 0.0, 200.0, 100.0]], (100, 200), (64, 64)).numpy().tolist()
    [[0.0, 16.0, 64.0, 48.0]]
    """
    factors, offsets = _mapping(size, canvas)
    boxes = ops.cast(boxes, "float32")
    return _keep_padding(boxes, boxes * factors + offsets)


def restore_boxes(boxes: Any, size: Any, canvas: tuple[int, int]) -> Any:
    """Boxes of a canvas as boxes of the image that was letterboxed to it; they are not clipped to the image.

    Parameters
    ----------
    boxes : tensor, shape (..., n, 4)
        xyxy, in pixels of the canvas. A box of zeros is padding and stays as it is.
    size : tensor, shape (2,) or (..., 2)
        (height, width) of the image before, or of the image of each list of boxes.
    canvas : tuple of int
        (height, width).

    Returns
    -------
    tensor, shape (..., n, 4), float32

    Examples
    --------
    >>> restore_boxes([[0.0, 16.0, 64.0, 48.0]], (100, 200), (64, 64)).numpy().tolist()
    [[0.0, 0.0, 200.0, 100.0]]
    """
    factors, offsets = _mapping(size, canvas)
    boxes = ops.cast(boxes, "float32")
    return _keep_padding(boxes, (boxes - offsets) / factors)


def _mapping(size: Any, canvas: tuple[int, int]) -> tuple[Any, Any]:
    """Factors and offsets (..., 1, 4) of xyxy boxes, image to canvas."""
    placed = _place(size, canvas)
    factors, offsets = (
        ops.tile(ops.flip(pair, axis=-1), 2)
        for pair in (_float32(placed.scaled) / _float32(placed.size), _float32(placed.offset))
    )
    return ops.expand_dims(factors, -2), ops.expand_dims(offsets, -2)


def _float32(x: Any) -> Any:
    return ops.cast(x, "float32")


def _keep_padding(before: Any, after: Any) -> Any:
    padding = ops.all(ops.equal(before, 0.0), axis=-1, keepdims=True)
    return ops.where(padding, ops.zeros_like(after), after)


@keras.saving.register_keras_serializable(package="tumorkeras")
class Letterbox(Float32Layer):
    """Images of any size on a canvas: scaled to fit, their shape kept, centered on 0 (or the smallest negative value).

    A smaller image is averaged over the area of each new pixel, which lets no fine pattern through (antialiasing), a
    larger one is interpolated linearly: what OpenCV calls ``INTER_AREA`` and ``INTER_LINEAR``, without the rounding
    to whole grey levels. Slices of a volume are letterboxed each, its depth is kept.

    Input (batch, [depth,] height, width, channels) of any numeric dtype, height and width open or known; output
    (batch, [depth,] ``height``, ``width``, channels), same range, in the layer's compute dtype.

    Parameters
    ----------
    height, width : int
        Of the canvas, in pixels.

    Raises
    ------
    ModelError
        If a side is not a positive integer or the input is neither an image nor a volume.

    Examples
    --------
    >>> import numpy as np
    >>> np.asarray(Letterbox(height=4, width=4)(np.full((1, 4, 8, 1), 9)))[0, :, 0, 0].tolist()
    [0.0, 9.0, 9.0, 0.0]
    >>> keras.Model(x := keras.Input((None, None, 3)), Letterbox(240, 320)(x)).output_shape
    (None, 240, 320, 3)
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height, self.width = _sides(self.name, height, width)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the input is an image or a volume."""
        check_spatial(self, input_shape)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Canvas in height and width, compute dtype of the layer."""
        shape = (*x.shape[:-3], self.height, self.width, x.shape[-1])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def transform(self, x: Any) -> Any:
        """Place the images; those that have the size of the canvas already stay as they are."""
        shape = ops.shape(x)
        fits = ops.logical_and(ops.equal(shape[-3], self.height), ops.equal(shape[-2], self.width))
        known = (*shape[:-3], self.height, self.width, shape[-1])
        with keras.name_scope(SHORTCUT):  # the sides are written in, for LiteRT
            return ops.cond(fits, lambda: ops.reshape(x, known), lambda: self._placed(x))

    def _placed(self, x: Any) -> Any:
        """Two matrix products: every pixel of the canvas is a weighted mean of pixels of its column and row."""
        shape = ops.shape(x)
        canvas = (self.height, self.width)
        placed = _place([shape[-3], shape[-2]], canvas)
        rows, columns = (
            _weights(placed.size[axis], placed.scaled[axis], placed.offset[axis], side)
            for axis, side in enumerate(canvas)
        )
        # Of Hounsfield units 0 is water: around an image with negative values lies what is darkest in it.
        axes = tuple(range(1, len(x.shape)))
        low = ops.minimum(ops.min(x, axis=axes, keepdims=True), 0.0)
        x = x - low
        # Channels first, so that the width is the last axis of one large product.
        x = ops.transpose(ops.reshape(x, (-1, *shape[-3:])), (0, 3, 1, 2))
        x = ops.matmul(rows, ops.matmul(x, ops.transpose(columns)))
        x = ops.transpose(x, (0, 2, 3, 1))
        return low + ops.reshape(x, (*shape[:-3], self.height, self.width, shape[-1]))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "height": self.height, "width": self.width}


def _sides(name: str, height: Any, width: Any) -> tuple[int, int]:
    faults = [
        f"{side}: {value!r} is not a positive integer"
        for side, value in (("height", height), ("width", width))
        if not is_count(value)
    ]
    if faults:
        raise ModelError(name, faults)
    return height, width


def _weights(size: Any, scaled: Any, offset: Any, canvas: int) -> Any:
    """Share of each pixel of an axis in each pixel of the canvas: (canvas, size); beside the image all are 0.

    A pixel of the canvas is a stretch of the axis. Shrunk, shares are the overlaps of pixels with it. Else it is one
    pixel long, moved inwards where it begins before the first or ends after the last: overlaps are linear then.
    """
    # Lengths in parts of half a pixel such that all are whole. int32 holds those of 2 ** 30 shares, which are 4 GiB.
    stretch = ops.maximum(size, scaled)
    target = ops.reshape(ops.arange(canvas, dtype="int32") - offset, (-1, 1))
    centre = ops.clip((2 * target + 1) * size, scaled, (2 * size - 1) * scaled)
    inside = ops.logical_and(target >= 0, target < scaled)
    distance = ops.abs(ops.arange(1, 2 * size, 2, dtype="int32") * scaled - centre)
    overlap = ops.clip(stretch + scaled - distance, 0, ops.where(inside, 2 * scaled, 0))
    return _float32(overlap) / _float32(2 * stretch)


@keras.saving.register_keras_serializable(package="tumorkeras")
class LetterboxBoxes(keras.layers.Layer):
    """Boxes of an image on the canvas of :class:`Letterbox`, or back; a layer, for images of open size.

    Called as ``layer(boxes, images)``: boxes (batch, n, 4), xyxy in pixels, and the images (batch, [depth,] height,
    width, channels) as they were before the letterbox, of which only the size is read. Output (batch, n, 4),
    float32 under any policy, since float16 does not tell the pixels of a large image apart. A box of zeros is
    padding and stays as it is. See :func:`letterbox_boxes` and :func:`restore_boxes`.

    Parameters
    ----------
    height, width : int
        Of the canvas, in pixels.
    inverse : bool
        From the canvas back to the image.

    Raises
    ------
    ModelError
        If a side is not a positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> images, boxes = np.zeros((1, 100, 200, 1)), np.array([[[0.0, 0.0, 200.0, 100.0]]])
    >>> moved = LetterboxBoxes(64, 64)(boxes, images)
    >>> np.asarray(moved).tolist(), np.asarray(LetterboxBoxes(64, 64, inverse=True)(moved, images)).tolist()
    ([[[0.0, 16.0, 64.0, 48.0]]], [[[0.0, 0.0, 200.0, 100.0]]])
    """

    def __init__(self, height: int, width: int, inverse: bool = False, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.height, self.width = _sides(self.name, height, width)
        self.inverse = inverse

    def call(self, boxes: Any, images: Any) -> Any:
        """Map the boxes by the size of the images."""
        move = restore_boxes if self.inverse else letterbox_boxes
        return move(boxes, ops.shape(images)[-3:-1], (self.height, self.width))

    def compute_output_spec(self, boxes: Any, images: Any) -> keras.KerasTensor:
        """Shape of the boxes, float32."""
        return keras.KerasTensor(boxes.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "height": self.height, "width": self.width, "inverse": self.inverse}
