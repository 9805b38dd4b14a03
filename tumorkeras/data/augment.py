"""Random changes of tracks and volumes, each a pure function of its seed.

Stateless random numbers make the training stream depend on the seed and the step alone, so that a training
that was stopped goes on exactly where it was.
"""

from __future__ import annotations

from collections.abc import Collection

import tensorflow as tf

from tumorkeras.data.augment_boxes import crop_images
from tumorkeras.data.augment_pixels import add_speckle, change_intensity


def augment_tracks(tracks: tf.Tensor, kinds: Collection[str], seed: tf.Tensor) -> tf.Tensor:
    """Tracks (n, frames, 2), about the origin, mirrored ("flip") and turned by any angle ("rotate").

    ``seed`` is an int64 tensor (2,). A track is turned before it is drawn, so no pixel is interpolated.
    """
    count = tf.shape(tracks)[0]
    x, y = tracks[..., 0], tracks[..., 1]
    if "flip" in kinds:
        x *= tf.where(tf.random.stateless_uniform([count, 1], seed) < 0.5, 1.0, -1.0)
    if "rotate" in kinds:
        angle = tf.random.stateless_uniform([count, 1], seed + 1, maxval=6.283185307)
        x, y = tf.cos(angle) * x - tf.sin(angle) * y, tf.sin(angle) * x + tf.cos(angle) * y
    return tf.stack([x, y], axis=-1)


def random_shift(count: tf.Tensor, kinds: Collection[str], seed: tf.Tensor, most: float = 2.0) -> tf.Tensor | None:
    """Offsets (n, 1, 2) of up to ``most`` pixels, or None where "shift" is not asked for."""
    if "shift" not in kinds:
        return None
    return tf.random.stateless_uniform([count, 1, 2], seed + 2, -most, most)


def augment_volumes(volumes: tf.Tensor, kinds: Collection[str], seed: tf.Tensor, most: int = 2) -> tf.Tensor:
    """Images or volumes (n, ..., channels) mirrored on each axis, turned in plane by quarters, and moved.

    "shift" moves by up to ``most`` pixels along each axis; what comes in is 0. "rotate" turns by 0, 90, 180
    or 270 degrees, square planes only. "crop" scales an image by 0.75 to 1.5 about a random place. "intensity" changes
    contrast, brightness and gamma where an array is not 0, "speckle" multiplies by Rayleigh noise of mean 1.
    """
    if "intensity" in kinds:
        inside = tf.cast(tf.reduce_any(volumes != 0, axis=-1, keepdims=True), tf.float32)
        volumes = change_intensity(volumes, inside, seed + 300)
    if "speckle" in kinds:
        volumes = add_speckle(volumes, seed + 310)
    if "crop" in kinds:
        volumes = crop_images(volumes, seed + 320)
    axes = range(1, volumes.shape.rank - 1)
    if "flip" in kinds:
        for axis in axes:
            volumes = _where_drawn(tf.reverse(volumes, [axis]), volumes, seed + 10 * axis)
    if "rotate" in kinds and volumes.shape[-3] == volumes.shape[-2]:
        rank = volumes.shape.rank
        down, across = rank - 3, rank - 2
        # A transposition mirrors; with one axis reversed it is a quarter turn. With a half turn: all four.
        turned = tf.reverse(tf.transpose(volumes, [*range(down), across, down, rank - 1]), [down])
        volumes = _where_drawn(turned, volumes, seed + 100)
        volumes = _where_drawn(tf.reverse(volumes, [down, across]), volumes, seed + 110)
    if "shift" in kinds:
        volumes = _shifted(volumes, seed + 200, most)
    return volumes


def _where_drawn(changed: tf.Tensor, same: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    shape = tf.concat([tf.shape(same)[:1], tf.ones(same.shape.rank - 1, tf.int32)], axis=0)
    return tf.where(tf.random.stateless_uniform(shape, seed) < 0.5, changed, same)


def _shifted(volumes: tf.Tensor, seed: tf.Tensor, most: int) -> tf.Tensor:
    rank = volumes.shape.rank - 2
    padding = [[0, 0]] + [[most, most]] * rank + [[0, 0]]
    padded = tf.pad(volumes, padding)
    # One offset a batch: a crop of its own for each sample would cost more than it teaches.
    offset = tf.random.stateless_uniform([rank], seed, 0, 2 * most + 1, dtype=tf.int32)
    begin = tf.concat([[0], offset, [0]], axis=0)
    return tf.ensure_shape(tf.slice(padded, begin, tf.shape(volumes)), volumes.shape)
