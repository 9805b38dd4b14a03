"""Random changes of images that boxes follow, each a pure function of its seed.

Mirroring, turning, scaling and cropping are one affine map an image, so pixels are interpolated once and boxes go
through the very same map. The ops are our own: keras-cv's augmentation layers draw from a state, so a training that was
stopped would not go on where it was.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import tensorflow as tf

from tumorkeras.data.augment_pixels import add_speckle, change_intensity, log_uniform, uniform

BoxAugmentation = Literal["flip", "rotate", "crop", "intensity", "speckle"]
EVERY: tuple[BoxAugmentation, ...] = ("flip", "rotate", "crop", "intensity", "speckle")

SMALLEST_SCALE, LARGEST_SCALE = 0.75, 1.5
LEAST_LEFT = 0.3  # share of a box's area that must stay in sight for its object to be kept


def augment_boxes(
    images: tf.Tensor,
    boxes: tf.Tensor,
    classes: tf.Tensor,
    areas: tf.Tensor,
    kinds: Collection[str],
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A batch with every image changed in its own way, and its boxes as they lie afterwards.

    Parameters
    ----------
    images : tensor, shape (n, height, width, channels), float32
        On their canvas.
    boxes : tensor, shape (n, objects, 4), float32
        xyxy in pixels of the canvas; padding is 0.
    classes : tensor, shape (n, objects), int64
        Class ids; padding is -1.
    areas : tensor, shape (n, 4), float32
        Where the image lies on the canvas, xyxy: the padding around it stays 0.
    kinds : collection of str
        "flip" mirrors left and right: ultrasound and photographs have an up. "rotate" turns by 0, 90, 180 or 270
        degrees; with "flip", all eight ways to lay a slide down. On a canvas that is not square a quarter turn is
        scaled to fit. "crop" scales by 0.75 to 1.5 about a random place; what comes in is 0. "intensity" changes
        contrast, brightness and gamma within the range of the image. "speckle" multiplies by Rayleigh noise of mean 1.
    seed : tensor, shape (2,), int64

    Returns
    -------
    images, boxes, classes : tensors
        As given. Boxes are cut at the edges of the canvas; an object of which less than 30 % is left is padding, and
        padding comes last.
    """
    if "intensity" in kinds:
        images = change_intensity(images, _inside(images, areas), seed)
    if "speckle" in kinds:
        images += _inside(images, areas) * (add_speckle(images, seed + 10) - images)
    if not {"flip", "rotate", "crop"} & set(kinds):
        return images, boxes, classes
    matrices = _matrices(tf.shape(images), kinds, seed + 20)
    boxes, classes = _moved(boxes, classes, matrices, tf.shape(images))
    return _resampled(images, matrices), boxes, classes


def _a_number(values: tf.Tensor) -> tf.Tensor:
    """One number an image, to be multiplied with images."""
    return values[:, None, None, None]


def crop_images(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Images (n, height, width, channels) without boxes, scaled by 0.75 to 1.5 about a random place."""
    return _resampled(images, _matrices(tf.shape(images), ("crop",), seed))


def _inside(images: tf.Tensor, areas: tf.Tensor) -> tf.Tensor:
    """1 for each pixel (n, height, width, 1) on the image, 0 on the padding."""
    shape = tf.shape(images)
    down = tf.range(tf.cast(shape[1], tf.float32))[None, :, None, None]
    across = tf.range(tf.cast(shape[2], tf.float32))[None, None, :, None]
    left, top, right, bottom = (_a_number(side) for side in tf.unstack(areas, axis=-1))
    return tf.cast((down >= top) & (down < bottom) & (across >= left) & (across < right), tf.float32)


# ----------------------------------------------------------------------------------------------------- geometry


def _matrices(shape: tf.Tensor, kinds: Collection[str], seed: tf.Tensor) -> tf.Tensor:
    """Maps (n, 3, 3) from places (x, y, 1) of the canvas to where they go; the corner of a pixel is a whole number."""
    count, height, width = shape[0], tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    found = _translation(tf.fill([count], -width / 2), tf.fill([count], -height / 2))
    if "flip" in kinds:
        mirror = tf.where(uniform(count, seed, 0.0, 1.0) < 0.5, -1.0, 1.0)
        found = _linear(mirror, 0.0, 0.0, 1.0, count) @ found
    if "rotate" in kinds:
        found = _quarter_turn(count, height, width, seed + 1) @ found
    found = _translation(tf.fill([count], width / 2), tf.fill([count], height / 2)) @ found
    if "crop" in kinds:
        scale = log_uniform(count, seed + 2, SMALLEST_SCALE, LARGEST_SCALE)
        across, down = uniform(count, seed + 3, 0.0, 1.0), uniform(count, seed + 4, 0.0, 1.0)
        # A larger image covers the whole canvas, a smaller one lies wholly on it.
        found = _linear(scale, 0.0, 0.0, scale, count) @ found
        found = _translation((1 - scale) * width * across, (1 - scale) * height * down) @ found
    return found


def _quarter_turn(count: tf.Tensor, height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    turns = tf.random.stateless_uniform([count], seed, 0, 4, tf.int32)
    cosine, sine = tf.gather([1.0, 0.0, -1.0, 0.0], turns), tf.gather([0.0, 1.0, 0.0, -1.0], turns)
    fitting = tf.minimum(height, width) / tf.maximum(height, width)
    scale = tf.where(turns % 2 == 1, fitting, 1.0)
    return _linear(scale * cosine, -scale * sine, scale * sine, scale * cosine, count)


def _linear(
    xx: tf.Tensor | float, xy: tf.Tensor | float, yx: tf.Tensor | float, yy: tf.Tensor | float, count: tf.Tensor
) -> tf.Tensor:
    zeros, ones = tf.zeros([count]), tf.ones([count])
    entries = [xx + zeros, xy + zeros, zeros, yx + zeros, yy + zeros, zeros, zeros, zeros, ones]
    return tf.reshape(tf.stack(entries, axis=-1), [-1, 3, 3])


def _translation(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    zeros, ones = tf.zeros_like(x), tf.ones_like(x)
    return tf.reshape(tf.stack([ones, zeros, x, zeros, ones, y, zeros, zeros, ones], axis=-1), [-1, 3, 3])


def _resampled(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    count = tf.shape(images)[0]
    half = tf.fill([count], 0.5)
    # The op counts the middles of pixels, and asks where a pixel of the result comes from.
    inverse = _translation(-half, -half) @ tf.linalg.inv(matrices) @ _translation(half, half)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.reshape(inverse, [-1, 9])[:, :8],
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(moved, images.shape)


def _moved(boxes: tf.Tensor, classes: tf.Tensor, matrices: tf.Tensor, shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes and classes after the map, cut at the edges, those that are out of sight turned into padding."""
    corners = tf.stack([boxes[..., :2], boxes[..., 2:]], axis=2)  # no map shears, so two corners tell the box
    linear, offset = matrices[:, None, None, :2, :2], matrices[:, None, None, :2, 2]
    placed = tf.linalg.matvec(linear, corners) + offset
    low, high = tf.reduce_min(placed, axis=2), tf.reduce_max(placed, axis=2)
    limits = tf.cast(tf.stack([shape[2], shape[1]]), tf.float32)
    seen_low, seen_high = tf.clip_by_value(low, 0.0, limits), tf.clip_by_value(high, 0.0, limits)
    whole, seen = tf.reduce_prod(high - low, axis=-1), tf.reduce_prod(seen_high - seen_low, axis=-1)
    kept = (classes >= 0) & (seen > 0) & (seen >= LEAST_LEFT * whole)
    boxes = tf.where(kept[..., None], tf.concat([seen_low, seen_high], axis=-1), 0.0)
    classes = tf.where(kept, classes, tf.constant(-1, classes.dtype))
    order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)
    return tf.gather(boxes, order, batch_dims=1), tf.gather(classes, order, batch_dims=1)
