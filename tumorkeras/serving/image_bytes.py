"""A batch of encoded images on canvases, within a graph: one that cannot be decoded fails for itself alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tumorkeras.serving.alike import decode_alike
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


class _Placed(NamedTuple):
    """Some of the images of a batch: (n,), (n, *canvas), (n, 2)."""

    rows: tf.Tensor
    canvases: tf.Tensor
    sizes: tf.Tensor


def decode_batch(
    contents: tf.Tensor, place: Callable[[tf.Tensor], tf.Tensor], canvas: tuple[int, int, int], max_pixels: int
) -> Decoded:
    """Decode and place images: those that are like the first one together, the others each by itself.

    Setting a data set up costs more than most steps on an image, so that only what must be able to fail for itself is
    in one. What is given does not hang on which way an image went.

    Parameters
    ----------
    contents : tf.Tensor
        (batch,) string, PNG or JPEG, each of its own size.
    place : callable
        Images (n, height, width, channels) float32 -> on the canvas; n may be 0.
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
    rows, images = decode_alike(contents, canvas[-1], max_pixels)
    alike = _Placed(rows, place(images), tf.tile(tf.shape(images)[None, 1:3], [tf.size(rows), 1]))
    return tf.cond(
        tf.size(rows) == tf.size(contents),
        lambda: Decoded(alike.canvases, alike.sizes, tf.zeros_like(rows)),
        lambda: _with_others(alike, contents, place, canvas, max_pixels),
    )


def _with_others(
    alike: _Placed,
    contents: tf.Tensor,
    place: Callable[[tf.Tensor], tf.Tensor],
    canvas: tuple[int, int, int],
    max_pixels: int,
) -> Decoded:
    count = tf.size(contents)
    left = tf.sets.difference(tf.range(count)[None], alike.rows[None]).values
    others = _one_by_one(left, tf.gather(contents, left), place, canvas, max_pixels)
    # One more, that every failed row is given.
    rows, canvases, sizes = (tf.concat(parts, 0) for parts in zip(alike, others, _blank(1, canvas), strict=True))
    failed = tf.size(rows) - 1
    places = tf.tensor_scatter_nd_update(tf.fill([count], failed), rows[:-1, None], tf.range(failed))
    status = tf.cast(tf.equal(places, failed), tf.int32)
    return Decoded(tf.gather(canvases, places), tf.gather(sizes, places), status)


def _blank(count: int, canvas: tuple[int, int, int]) -> _Placed:
    return _Placed(tf.zeros(count, tf.int32), tf.zeros((count, *canvas)), tf.ones((count, 2), tf.int32))


def _one_by_one(
    rows: tf.Tensor,
    contents: tf.Tensor,
    place: Callable[[tf.Tensor], tf.Tensor],
    canvas: tuple[int, int, int],
    max_pixels: int,
) -> _Placed:
    def decoded(row: tf.Tensor, content: tf.Tensor) -> _Placed:
        image = decode_image(content, canvas[-1], max_pixels)
        return _Placed(row, tf.ensure_shape(place(image[None])[0], canvas), tf.shape(image)[:2])

    images = tf.data.Dataset.from_tensor_slices((rows, contents))
    images = images.map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).ignore_errors()
    # Where all fail there is no batch, but always something to take out.
    batches = images.batch(tf.size(rows, tf.int64)).concatenate(tf.data.Dataset.from_tensors(_blank(0, canvas)))
    return batches.take(1).get_single_element()
