"""RoIAlign: the features of a region, read between the cells of the levels of a pyramid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.layers.float32 import is_count

# A region is read from the finest level on which it is less than 28 cells wide: Lin et al., CVPR 2017, equation 1,
# where a region of 224 pixels belongs to the level of stride 16.
CELLS = 14


@keras.saving.register_keras_serializable(package="tumorkeras")
class RoIAlign(keras.layers.Layer):
    """Features of regions, each cut into ``size`` x ``size`` bins, from one level of a pyramid or from all of them.

    Every bin is the mean of ``samples`` x ``samples`` points, spread evenly over it and interpolated bilinearly
    between the middles of cells; beyond the outer middles the map is level, and more than half a cell outside it is 0.

    Called as ``layer(levels, boxes)``: a list of maps (batch, height, width, channels), from the finest to the
    coarsest, and boxes (batch, n, 4), xyxy in pixels of the canvas. Output (batch * n, size, size, channels), each
    region from its own level; ``stacked`` gives (batch * n, levels, size, size, channels), each from every level.
    No gradient goes to the boxes, which stay float32 under any policy.

    Parameters
    ----------
    strides : sequence of int
        Pixels of the canvas a cell, for each level.
    size : int
        Bins along each axis.
    samples : int
        Points along each axis of a bin; ``size * samples`` is at least 2.
    stacked : bool
        Read every region from every level.

    Raises
    ------
    ModelError
        If an argument is out of its range, or there is another number of levels than of strides.

    Examples
    --------
    >>> ramp = tf.reshape(tf.range(16.0), (1, 4, 4, 1))
    >>> regions = RoIAlign(strides=[8], size=2)([ramp], tf.constant([[[0.0, 0.0, 32.0, 32.0]]]))
    >>> regions.numpy()[0, :, :, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]

    References
    ----------
    He et al., *Mask R-CNN*, ICCV 2017; the levels of Lin et al., *Feature Pyramid Networks*, CVPR 2017.
    """

    def __init__(
        self, strides: Sequence[int], size: int = 7, samples: int = 2, stacked: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # float16 does not tell the pixels of a large canvas apart
        faults = [] if strides and all(map(is_count, strides)) else [f"strides: {strides} are not positive integers"]
        faults += [
            f"{name}: {value!r} is not a positive integer"
            for name, value in (("size", size), ("samples", samples))
            if not is_count(value)
        ]
        if not faults and size * samples < 2:
            faults.append("size * samples is 1, which is a point, expected at least 2")
        if faults:
            raise ModelError(self.name, faults)
        self.strides, self.size, self.samples, self.stacked = list(strides), size, samples, stacked
        self.supports_jit = False  # regions are sorted to their levels, however many there are on each

    def call(self, levels: list[tf.Tensor], boxes: tf.Tensor) -> tf.Tensor:
        """Read the regions."""
        self._check_levels(levels)
        levels = [tf.cast(level, tf.float32) for level in levels]
        boxes = tf.stop_gradient(tf.cast(boxes, tf.float32))
        images = tf.repeat(tf.range(tf.shape(boxes)[0]), tf.shape(boxes)[1])
        boxes = tf.reshape(boxes, (-1, 4))

        @tf.custom_gradient
        def read(*levels: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
            return self._regions(levels, boxes, images), lambda given: self._gradients(levels, boxes, images, given)

        return tf.ensure_shape(tf.cast(read(*levels), self.compute_dtype), [None, *self._shape(levels)])

    def _regions(self, levels: Sequence[tf.Tensor], boxes: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Regions of boxes (n, 4) of the given images (n,)."""
        if self.stacked:
            return tf.stack([self._read(k, level, boxes, images) for k, level in enumerate(levels)], axis=1)
        if len(levels) == 1:
            return self._read(0, levels[0], boxes, images)
        level_of = level_of_boxes(boxes, self.strides)
        rows = [tf.cast(tf.where(level_of == k)[:, 0], tf.int32) for k in range(len(levels))]
        parts = [
            self._read(k, level, tf.gather(boxes, rows[k]), tf.gather(images, rows[k]))
            for k, level in enumerate(levels)
        ]
        return tf.dynamic_stitch(rows, parts)

    def _read(self, k: int, level: tf.Tensor, boxes: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Regions (n, size, size, channels) of one level."""
        # One cell more on each side, a copy of the outer one: between the outer middles and the edge the map is level.
        padded = tf.pad(level, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="SYMMETRIC")
        first, step, points = self._points(k, boxes)
        sides = tf.cast(tf.reverse(tf.shape(padded)[1:3] - 1, [0]), tf.float32)
        # The op reads exactly the points that are wanted, whose first and last it calls the corners of a box.
        ends = [tf.reverse(place / sides, [-1]) for place in (first, first + step * (points - 1))]
        read = tf.image.crop_and_resize(padded, tf.concat(ends, axis=-1), images, (points, points))
        return tf.nn.avg_pool2d(read, self.samples, self.samples, "VALID")

    def _points(self, k: int, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, int]:
        """First point (n, 2) as x, y in cells of the padded map, whose first middle is at 0, the step, and how many."""
        points = self.size * self.samples
        low, high = tf.split(boxes / float(self.strides[k]), 2, axis=-1)
        step = (high - low) / points
        return low + step / 2 + 0.5, step, points

    # The op's own gradient adds from several threads at once: it differs from run to run, and can lose a summand.
    def _gradients(
        self, levels: Sequence[tf.Tensor], boxes: tf.Tensor, images: tf.Tensor, given: tf.Tensor
    ) -> list[tf.Tensor]:
        """Gradients of the levels from those of the regions."""
        level_of = None if self.stacked or len(levels) == 1 else level_of_boxes(boxes, self.strides)
        found = []
        for k, level in enumerate(levels):
            own = images if level_of is None else tf.where(level_of == k, images, -1)  # no image has what is not read
            found.append(self._gradient(k, level, boxes, own, given[:, k] if self.stacked else given))
        return found

    def _gradient(self, k: int, level: tf.Tensor, boxes: tf.Tensor, images: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """Gradient of a level, image by image, from those of the regions that each image has on it."""

        def of_image(image: tf.Tensor) -> tf.Tensor:
            rows = tf.where(images == image)[:, 0]
            return self._spread(k, tf.shape(level), tf.gather(boxes, rows), tf.gather(given, rows))

        signature = tf.TensorSpec(level.shape[1:], tf.float32)
        return tf.map_fn(of_image, tf.range(tf.shape(level)[0]), fn_output_signature=signature)

    def _spread(self, k: int, shape: tf.Tensor, boxes: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """Gradient (height, width, channels) of a level of one image: two products of matrices."""
        height, width, channels = shape[1], shape[2], shape[3]
        first, step, points = self._points(k, boxes)
        places = first[:, None] + step[:, None] * tf.range(float(points))[:, None]  # (n, points, 2)
        rows, columns = self._shares(places[..., 1], height), self._shares(places[..., 0], width)
        across = tf.matmul(columns[:, None], given, transpose_a=True)  # (n, size, width, channels)
        rows, across = tf.reshape(rows, (-1, height)), tf.reshape(across, (-1, width * channels))
        return tf.reshape(tf.matmul(rows, across, transpose_a=True), (height, width, channels))

    def _shares(self, places: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
        """Share of each cell in each bin, (n, size, cells), of points (n, points) along one axis of the padded map."""
        inside = (places >= 0) & (places <= tf.cast(cells, tf.float32) + 1)
        middles = tf.range(tf.cast(cells, tf.float32))
        distance = tf.abs(tf.clip_by_value(places - 1, 0, middles[-1])[..., None] - middles)
        shares = tf.where(inside[..., None], tf.maximum(1 - distance, 0), 0)
        return tf.reduce_mean(tf.reshape(shares, (-1, self.size, self.samples, cells)), axis=2)

    def _check_levels(self, levels: list[Any]) -> None:
        if len(levels) != len(self.strides):
            raise ModelError(self.name, [f"{len(levels)} levels for {len(self.strides)} strides"])

    def _shape(self, levels: list[Any]) -> tuple[int, ...]:
        depth = (len(levels),) if self.stacked else ()
        return (*depth, self.size, self.size, levels[0].shape[-1])

    def compute_output_spec(self, levels: list[Any], boxes: Any) -> keras.KerasTensor:
        """A region a row, of all images."""
        self._check_levels(levels)
        return keras.KerasTensor((None, *self._shape(levels)), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        own = {"strides": self.strides, "size": self.size, "samples": self.samples, "stacked": self.stacked}
        return {**super().get_config(), **own}


def level_of_boxes(boxes: tf.Tensor, strides: Sequence[int]) -> tf.Tensor:
    """The level (n,) that each box (n, 4) is read from: the last on which it is at least 14 cells wide, else the first.

    Examples
    --------
    >>> level_of_boxes(tf.constant([[0.0, 0.0, 30.0, 30.0], [0.0, 0.0, 224.0, 224.0]]), [4, 8, 16, 32]).numpy()
    array([0, 2], dtype=int32)
    """
    sides = tf.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    size = tf.sqrt(sides[:, 0] * sides[:, 1])
    wide = size[:, None] >= tf.constant([CELLS * stride for stride in strides], tf.float32) - 1e-3
    return tf.maximum(tf.reduce_sum(tf.cast(wide, tf.int32), axis=1) - 1, 0)
