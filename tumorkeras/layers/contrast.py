"""Contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tumorkeras.errors import ModelError
from tumorkeras.layers.float32 import Float32Layer, check_spatial, is_count, is_number


@keras.saving.register_keras_serializable(package="tumorkeras")
class ContrastLimitedEqualization(Float32Layer):
    """Contrast-limited adaptive histogram equalisation (CLAHE): each part of the image uses the whole range.

    The image is cut into ``tiles`` x ``tiles`` tiles. In each, values are counted in ``bins`` bins, no bin keeps
    more than ``clip_limit`` times the mean count, what is cut off is spread over all bins, and the cumulative
    counts are the map from a value to 0 to 1. A pixel takes the bilinear mean of the maps of the four tiles around
    it, and a value between the centres of two bins the linear mean of theirs, so that 16-bit values stay apart.

    Tiles, clipping and interpolation are those of OpenCV's ``createCLAHE``: where ``tiles`` does not divide the
    image it is mirrored at the bottom and right, and 8-bit values with ``low=0, high=255`` give OpenCV's result to
    less than one grey level, OpenCV's rounding. Volumes are equalised slice by slice, each channel by itself.

    Input (batch, [depth,] height, width, channels) of any numeric dtype; output of the same shape, 0 to 1, in the
    layer's compute dtype. The gradient is the slope of the maps; the counts pass none on.

    Parameters
    ----------
    tiles : int
        Tiles along the height and along the width.
    clip_limit : float
        Above 0; the larger, the more contrast and noise. At ``bins`` nothing is clipped any more.
    bins : int
        Bins of the histograms, 2 or more.
    low, high : float or None
        Centres of the first and last bin, in units of the input; what lies outside counts there. None takes the
        smallest or largest value of each sample.

    Raises
    ------
    ModelError
        If an argument is out of its range, or the input is neither an image nor a volume, or has fewer pixels
        than tiles along an axis.

    Examples
    --------
    >>> import numpy as np
    >>> faint = np.random.default_rng(0).integers(100, 121, (1, 64, 64, 1))
    >>> equalized = np.asarray(ContrastLimitedEqualization(tiles=2, clip_limit=40.0, low=0, high=255)(faint))
    >>> bool(np.ptp(equalized) > 0.9)
    True

    References
    ----------
    K. Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 474-485, 1994.
    """

    def __init__(
        self,
        tiles: int = 8,
        clip_limit: float = 2.0,
        bins: int = 256,
        low: float | None = None,
        high: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        faults = []
        if not is_count(tiles):
            faults.append(f"tiles: {tiles!r} is not a positive integer")
        if not is_number(clip_limit, above=0):
            faults.append(f"clip_limit: {clip_limit!r} is not a number above 0")
        if not is_count(bins, least=2):
            faults.append(f"bins: {bins!r} is not an integer of 2 or more")
        ends = [value for value in (low, high) if value is not None]
        if not all(map(is_number, ends)) or (len(ends) == 2 and ends[0] >= ends[1]):
            faults.append(f"low, high: {low!r}, {high!r} are not numbers with low below high")
        if faults:
            raise ModelError(self.name, faults)
        self.tiles, self.clip_limit, self.bins, self.low, self.high = tiles, clip_limit, bins, low, high

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the input is an image or a volume, with a pixel for each tile."""
        check_spatial(self, input_shape)
        if any(size is not None and size < self.tiles for size in input_shape[-3:-1]):
            fault = f"{input_shape[-3:-1]} pixels are fewer than tiles={self.tiles} along an axis"
            raise ModelError(self.name, [fault])

    def transform(self, x: Any) -> Any:
        """Equalise each slice."""
        shape = ops.shape(x)
        places = ops.reshape(self._places(x), (-1, *shape[-3:]))
        height, width = self._tile_sizes(shape[-3], shape[-2])
        maps = ops.stop_gradient(self._maps(places, height, width))
        return ops.reshape(self._mapped(places, maps, height, width), shape)

    def _places(self, x: Any) -> Any:
        """Where each value lies among the bins, 0 to bins - 1."""
        axes = tuple(range(1, len(x.shape)))
        low = ops.min(x, axis=axes, keepdims=True) if self.low is None else self.low
        high = ops.max(x, axis=axes, keepdims=True) if self.high is None else self.high
        span = ops.subtract(high, low)
        return ops.clip((x - low) / ops.where(span > 0, span, 1.0), 0.0, 1.0) * (self.bins - 1)

    def _tile_sizes(self, height: Any, width: Any) -> tuple[Any, Any]:
        """Height and width of a tile. Where one axis is not divided, both become longer: OpenCV has it so."""
        height, width = (ops.convert_to_tensor(size, "int32") for size in (height, width))
        divided = ops.logical_and(height % self.tiles == 0, width % self.tiles == 0)
        more = ops.where(divided, 0, 1)
        return height // self.tiles + more, width // self.tiles + more

    def _maps(self, places: Any, height: Any, width: Any) -> Any:
        """The tiles' maps, one after another: (slices * tiles * tiles * channels * bins,)."""
        slices, _, _, channels = ops.shape(places)
        rows = _mirrored(self.tiles * height, ops.shape(places)[1])
        columns = _mirrored(self.tiles * width, ops.shape(places)[2])
        binned = ops.cast(ops.round(places), "int32")
        binned = ops.take(ops.take(binned, rows, axis=1), columns, axis=2)
        first = self._first_bin(
            ops.reshape(ops.arange(slices, dtype="int32"), (-1, 1, 1, 1)),
            ops.reshape(ops.arange(self.tiles * height, dtype="int32") // height, (-1, 1, 1)),
            ops.reshape(ops.arange(self.tiles * width, dtype="int32") // width, (-1, 1)),
            channels,
        )
        bins = ops.reshape(first + binned, (-1,))
        number = slices * self.tiles * self.tiles * channels
        counts = ops.segment_sum(ops.ones_like(bins, dtype="float32"), bins, number * self.bins)
        counts = self._clipped(ops.reshape(counts, (number, self.bins)), height * width)
        return ops.reshape(ops.cumsum(counts, axis=1) / ops.cast(height * width, "float32"), (-1,))

    def _clipped(self, counts: Any, total: Any) -> Any:
        """Cut the counts at the limit and spread what is cut off, in whole counts."""
        mean = ops.cast(total, "float64") / self.bins
        limit = ops.cast(ops.maximum(ops.floor(self.clip_limit * mean), 1), "float32")
        kept = ops.minimum(counts, limit)
        excess = ops.cast(ops.sum(counts - kept, axis=1, keepdims=True), "int32")
        each, left = excess // self.bins, excess % self.bins
        # What does not go round is given to every bin at a distance, from the first on.
        step = self.bins // ops.maximum(left, 1)
        number = ops.arange(self.bins, dtype="int32")
        lucky = ops.logical_and(number % step == 0, number // step < left)
        return kept + ops.cast(each, "float32") + ops.cast(lucky, "float32")

    def _first_bin(self, image: Any, row: Any, column: Any, channels: int) -> Any:
        """Where the map of a tile begins, for each channel along a new last axis."""
        tile = (image * self.tiles + row) * self.tiles + column
        return (tile * channels + ops.arange(channels, dtype="int32")) * self.bins

    def _mapped(self, places: Any, maps: Any, height: Any, width: Any) -> Any:
        """Each value through the maps of the four tiles around its pixel."""
        slices, rows, columns, channels = ops.shape(places)
        image = ops.reshape(ops.arange(slices, dtype="int32"), (-1, 1, 1, 1))
        lower = ops.minimum(ops.floor(ops.stop_gradient(places)), self.bins - 2)
        between, lower = places - lower, ops.cast(lower, "int32")
        equalized = 0.0
        for row, down in _neighbours(rows, height, self.tiles):
            for column, across in _neighbours(columns, width, self.tiles):
                row_axis, column_axis = ops.reshape(row, (-1, 1, 1)), ops.reshape(column, (-1, 1))
                at = self._first_bin(image, row_axis, column_axis, channels) + lower
                value = ops.take(maps, at) * (1 - between) + ops.take(maps, at + 1) * between
                equalized += value * ops.reshape(down, (-1, 1, 1)) * ops.reshape(across, (-1, 1))
        return equalized

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        own = {"tiles": self.tiles, "clip_limit": self.clip_limit, "bins": self.bins}
        return {**super().get_config(), **own, "low": self.low, "high": self.high}


def _mirrored(padded: Any, size: Any) -> Any:
    """Indices that extend an axis by its mirror image, the last pixel not repeated."""
    index = ops.arange(padded, dtype="int32")
    return ops.maximum(ops.where(index < size, index, 2 * (size - 1) - index), 0)


def _neighbours(size: Any, tile: Any, tiles: int) -> list[tuple[Any, Any]]:
    """For each pixel of an axis the tile before and the tile after it, each with its weight."""
    place = ops.arange(size, dtype="float32") / ops.cast(tile, "float32") - 0.5
    before = ops.floor(place)
    after_weight = place - before
    before = ops.cast(before, "int32")
    return [
        (ops.maximum(before, 0), 1 - after_weight),
        (ops.minimum(before + 1, tiles - 1), after_weight),
    ]
