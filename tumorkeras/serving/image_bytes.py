"""A batch of encoded images on canvases, within a graph: one that cannot be decoded fails for itself alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tumorkeras.serving.decoding import decode_image


class Decoded(NamedTuple):
    """What became of a batch.

    Attributes
    ----------
    canvases : tf.Tensor
        (batch, height, width, channels) float32; zeros where an image could not be decoded.
    sizes : tf.Tensor
        (batch, 2) int32, height and width of the images as they were; 1 where one could not be decoded.
    status : tf.Tensor
        (batch,) int32: 0 decoded, 1 not.
    """

    canvases: tf.Tensor
    sizes: tf.Tensor
    status: tf.Tensor


def decode_batch(
    contents: tf.Tensor, place: Callable[[tf.Tensor], tf.Tensor], canvas: tuple[int, int, int], max_pixels: int
) -> Decoded:
    """Decode images beside each other, in several threads.

    Parameters
    ----------
    contents : tf.Tensor
        (batch,) string, PNG or JPEG, each of its own size.
    place : callable
        Images (1, height, width, channels) float32 -> on the canvas.
    canvas : tuple of int
        (height, width, channels).
    max_pixels : int
        As in :func:`tumorkeras.serving.decoding.decode_image`.

    Examples
    --------
    >>> contents = tf.stack([tf.io.encode_png(tf.fill((2, 2, 1), tf.constant(9, tf.uint8))), b"no image"])
    >>> decoded = decode_batch(contents, lambda images: images, (2, 2, 1), max_pixels=100)
    >>> decoded.canvases[:, 0, 0, 0].numpy().tolist(), decoded.status.numpy().tolist()
    ([9.0, 0.0], [0, 1])
    """
    count = tf.size(contents)

    def decoded(row: tf.Tensor, content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = decode_image(content, canvas[-1], max_pixels)
        return row, tf.ensure_shape(place(image[None])[0], canvas), tf.shape(image)[:2]

    images = tf.data.Dataset.from_tensor_slices((tf.range(count), contents))
    images = images.map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).ignore_errors()
    # One more, that every failed row is given, and that there is always something to take out.
    spare = tf.data.Dataset.from_tensors((count, tf.zeros(canvas), tf.ones(2, tf.int32)))
    batch = images.concatenate(spare).batch(tf.cast(count, tf.int64) + 1)
    rows, canvases, sizes = batch.get_single_element()
    places = tf.fill([count + 1], tf.size(rows) - 1)
    places = tf.tensor_scatter_nd_update(places, rows[:, None], tf.range(tf.size(rows)))[:count]
    status = tf.cast(tf.equal(places, tf.size(rows) - 1), tf.int32)
    return Decoded(tf.gather(canvases, places), tf.gather(sizes, places), status)
