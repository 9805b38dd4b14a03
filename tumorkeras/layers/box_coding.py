"""Boxes as deltas from reference boxes, and back: what a detector's heads learn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

LARGEST_GROWTH = math.log(1000 / 16)  # of a side: an untrained head must not give boxes without end


def encode_boxes(boxes: tf.Tensor, references: tf.Tensor, spread: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> tf.Tensor:
    """Deltas that lead from reference boxes (anchors or proposals) to boxes.

    Parameters
    ----------
    boxes, references : tensor, shape (..., 4), float32
        xyxy in pixels. A side below a thousandth of a pixel counts as one.
    spread : sequence of 4 floats
        Typical deviation of each delta, which they are divided by.

    Returns
    -------
    tensor, shape (..., 4), float32
        Shift of the middle along x and y in sides of the reference, logarithm of the growth of width and height.

    Examples
    --------
    >>> encode_boxes(tf.constant([[10.0, 0.0, 30.0, 10.0]]), tf.constant([[0.0, 0.0, 10.0, 10.0]])).numpy().round(3)
    array([[1.5  , 0.   , 0.693, 0.   ]], dtype=float32)

    References
    ----------
    Girshick et al., *Rich feature hierarchies*, CVPR 2014, appendix C.
    """
    middle, sides = _middle_and_sides(boxes)
    base, scale = _middle_and_sides(references)
    return tf.concat([(middle - base) / scale, tf.math.log(sides / scale)], axis=-1) / tf.constant(spread, tf.float32)


def decode_boxes(deltas: tf.Tensor, references: tf.Tensor, spread: Sequence[float] = (1.0, 1.0, 1.0, 1.0)) -> tf.Tensor:
    """Boxes that deltas lead to from reference boxes: the inverse of :func:`encode_boxes`.

    A side grows at most by a factor of 62.5.

    Examples
    --------
    >>> decode_boxes(tf.constant([[1.5, 0.0, 0.0, 0.0]]), tf.constant([[0.0, 0.0, 10.0, 10.0]])).numpy()
    array([[15.,  0., 25., 10.]], dtype=float32)
    """
    shift, growth = tf.split(deltas * tf.constant(spread, tf.float32), 2, axis=-1)
    base, scale = _middle_and_sides(references)
    middle, half = base + shift * scale, scale * tf.exp(tf.minimum(growth, LARGEST_GROWTH)) / 2
    return tf.concat([middle - half, middle + half], axis=-1)


def _middle_and_sides(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    low, high = tf.split(boxes, 2, axis=-1)
    return (low + high) / 2, tf.maximum(high - low, 1e-3)


def clip_boxes(boxes: tf.Tensor, size: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """Boxes (..., n, 4) cut at the edges of an image of (height, width) pixels, or each list at those of its own.

    Examples
    --------
    >>> clip_boxes(tf.constant([[-3.0, 2.0, 9.0, 12.0]]), (10, 8)).numpy()
    array([[ 0.,  2.,  8., 10.]], dtype=float32)
    """
    far = tf.cast(tf.gather(size, [1, 0, 1, 0], axis=-1), tf.float32)[..., None, :]
    return tf.clip_by_value(boxes, 0.0, far)
