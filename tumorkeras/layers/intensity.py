"""Layers that change each value by itself: windows, normalisation, logarithmic compression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tumorkeras.errors import ModelError
from tumorkeras.layers.float32 import Float32Layer, is_number

LARGEST_DYNAMIC_RANGE = 300.0  # dB; float32 reaches down to 10 ** (-38), which is -760 dB


@keras.saving.register_keras_serializable(package="tumorkeras")
class Standardize(Float32Layer):
    """Zero mean and unit variance, each sample by itself, over all its axes.

    Input (batch, ...) of any numeric dtype and range; output of the same shape, in the layer's compute dtype.
    A constant sample becomes zeros.

    Examples
    --------
    >>> import numpy as np
    >>> np.asarray(Standardize()(np.array([[1.0, 3.0], [7.0, 7.0]]))).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """

    def transform(self, x: Any) -> Any:
        """Shift and scale each sample."""
        axes = tuple(range(1, len(x.shape)))
        # From the smallest value on, a constant sample is exactly zero and the variance keeps its digits.
        x = x - ops.min(x, axis=axes, keepdims=True)
        x = x - ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(x), axis=axes, keepdims=True)
        return x / ops.sqrt(ops.where(variance > 0, variance, 1.0))


@keras.saving.register_keras_serializable(package="tumorkeras")
class Normalize(Float32Layer):
    """``(x - mean) / std`` with a given mean and standard deviation, such as those of the training images.

    Input (batch, ..., channels) of any numeric dtype; output of the same shape, in the layer's compute dtype.

    Parameters
    ----------
    mean : float or sequence of float
        One number, or one a channel, in units of the input.
    std : float or sequence of float
        Above 0; one number, or one a channel.

    Raises
    ------
    ModelError
        If a value is out of its range, or there are neither 1 nor as many values as channels.

    Examples
    --------
    >>> import numpy as np
    >>> np.asarray(Normalize(mean=[10.0, 20.0], std=5.0)(np.array([[15.0, 15.0]]))).tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean, means = _values(mean)
        self.std, stds = _values(std)
        faults = []
        if not means or not all(map(is_number, means)):
            faults.append(f"mean: {mean!r} is neither a number nor a number a channel")
        if not stds or not all(is_number(value, above=0) for value in stds):
            faults.append(f"std: {std!r} is neither a number above 0 nor one a channel")
        if faults:
            raise ModelError(self.name, faults)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that there is one value, or one a channel."""
        channels = input_shape[-1]
        counts = {"mean": len(_values(self.mean)[1]), "std": len(_values(self.std)[1])}
        faults = [
            f"{name}: {count} values for {channels} channels"
            for name, count in counts.items()
            if count not in (1, channels)
        ]
        if faults:
            raise ModelError(self.name, faults)

    def transform(self, x: Any) -> Any:
        """Shift and scale by the given values."""
        return (x - ops.convert_to_tensor(self.mean, "float32")) / ops.convert_to_tensor(self.std, "float32")

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "mean": self.mean, "std": self.std}


def _values(given: Any) -> tuple[Any, list[Any]]:
    """A number as it is or a sequence as a list, for JSON; and a list of its values in either case."""
    given = given.tolist() if hasattr(given, "tolist") else given  # NumPy
    if isinstance(given, Sequence) and not isinstance(given, str):
        return list(given), list(given)
    return given, [given]


@keras.saving.register_keras_serializable(package="tumorkeras")
class IntensityWindow(Float32Layer):
    """``low`` becomes 0, ``high`` becomes 1, what lies outside is clipped.

    A window of CT by level and width is ``low = level - width / 2`` and ``high = level + width / 2``: soft tissue,
    level 40 and width 400, is -160 to 240 Hounsfield units.

    Input (batch, ...) of any numeric dtype; output of the same shape, in the layer's compute dtype.

    Parameters
    ----------
    low, high : float
        Ends of the window, in units of the input.

    Raises
    ------
    ModelError
        If an end is not a number, or ``low`` is not below ``high``.

    Examples
    --------
    >>> import numpy as np
    >>> np.asarray(IntensityWindow(low=-160.0, high=240.0)(np.array([[-1000.0, 40.0, 500.0]]))).tolist()
    [[0.0, 0.5, 1.0]]
    """

    def __init__(self, low: float, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        ends = {"low": low, "high": high}
        faults = [f"{name}: {value!r} is not a number" for name, value in ends.items() if not is_number(value)]
        if not faults and low >= high:
            faults.append(f"low: {low} is not below high, {high}")
        if faults:
            raise ModelError(self.name, faults)
        self.low, self.high = float(low), float(high)

    def transform(self, x: Any) -> Any:
        """Stretch the window over 0 to 1."""
        return ops.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "low": self.low, "high": self.high}


@keras.saving.register_keras_serializable(package="tumorkeras")
class PercentileWindow(Float32Layer):
    """A window between two percentiles of each sample: they become 0 and 1, what lies outside is clipped.

    A few pixels that are very bright or dark, such as burned-in text, then do not set the range. Percentiles are
    over all axes of a sample, interpolated linearly as in ``numpy.percentile``. A constant sample becomes zeros.

    Input (batch, ...) of any numeric dtype and range; output of the same shape, in the layer's compute dtype.

    Parameters
    ----------
    low, high : float
        Percentiles, 0 to 100.

    Raises
    ------
    ModelError
        If the percentiles are not numbers with ``0 <= low < high <= 100``.

    Examples
    --------
    >>> import numpy as np
    >>> np.asarray(PercentileWindow(low=25, high=75)(np.array([[0.0, 1.0, 2.0, 3.0, 100.0]]))).tolist()
    [[0.0, 0.0, 0.5, 1.0, 1.0]]
    """

    def __init__(self, low: float = 1.0, high: float = 99.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not (is_number(low) and is_number(high) and 0 <= low < high <= 100):
            fault = f"low, high: {low!r}, {high!r} are not percentiles with 0 <= low < high <= 100"
            raise ModelError(self.name, [fault])
        self.low, self.high = float(low), float(high)

    def transform(self, x: Any) -> Any:
        """Stretch each sample's window over 0 to 1."""
        samples = ops.shape(x)[0]
        rows = ops.reshape(x, (samples, -1))
        ends = -_below_share(-rows, self.low / 100), _below_share(rows, 1 - self.high / 100)
        low, high = (ops.reshape(end, (samples, *[1] * (len(x.shape) - 1))) for end in ends)
        return ops.clip((x - low) / ops.where(high > low, high - low, 1.0), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "low": self.low, "high": self.high}


def _below_share(rows: Any, share: float) -> Any:
    """The value in each row that a share of it lies above, linear between neighbours; only that share is sorted."""
    values = ops.shape(rows)[1]
    place = share * ops.cast(values - 1, "float64")
    before = ops.cast(ops.floor(place), "int32")
    after = ops.minimum(before + 1, values - 1)
    largest = ops.top_k(rows, after + 1).values
    fraction = ops.cast(place - ops.floor(place), "float32")
    return largest[:, before] * (1 - fraction) + largest[:, after] * fraction


@keras.saving.register_keras_serializable(package="tumorkeras")
class LogCompression(Float32Layer):
    """Logarithmic compression of echo amplitudes, which span many powers of ten, to 0 to 1.

    With ``r = max(x, 0) / peak``, clipped at 1, the output is ``max(0, 1 + 20 log10(r) / dynamic_range)``, so that
    ``peak`` becomes 1 and all that lies ``dynamic_range`` decibels below it becomes 0; or, with a gain,
    ``log(1 + gain r) / log(1 + gain)``, which keeps all values above 0 apart.

    Input (batch, ...) of any numeric dtype; output of the same shape, in the layer's compute dtype. A sample
    without positive values becomes zeros.

    Parameters
    ----------
    dynamic_range : float or None
        In decibels of amplitude, above 0 and at most 300.
    gain : float or None
        Above 0: the larger, the more the dark is lifted. Takes the place of ``dynamic_range``, which is then None.
    peak : float or None
        The value that becomes 1, such as 255 for 8-bit pixels; None takes the largest value of each sample.

    Raises
    ------
    ModelError
        If a value is out of its range, or not exactly one of ``dynamic_range`` and ``gain`` is given.

    Examples
    --------
    >>> import numpy as np
    >>> np.asarray(LogCompression(dynamic_range=40.0)(np.array([[1000.0, 100.0, 1.0, 0.0]]))).round(4).tolist()
    [[1.0, 0.5, 0.0, 0.0]]
    >>> np.asarray(LogCompression(None, gain=99.0, peak=255)(np.array([[255.0, 255 / 11, 0.0]]))).round(4).tolist()
    [[1.0, 0.5, 0.0]]
    """

    def __init__(
        self,
        dynamic_range: float | None = 60.0,
        gain: float | None = None,
        peak: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = {"dynamic_range": dynamic_range, "gain": gain, "peak": peak}
        faults = [
            f"{name}: {value!r} is not a number above 0"
            for name, value in given.items()
            if value is not None and not is_number(value, above=0)
        ]
        if not faults and dynamic_range is not None and dynamic_range > LARGEST_DYNAMIC_RANGE:
            faults.append(f"dynamic_range: {dynamic_range} is above {LARGEST_DYNAMIC_RANGE:g} dB")
        if (dynamic_range is None) == (gain is None):
            faults.append("dynamic_range, gain: give one of them and None for the other")
        if faults:
            raise ModelError(self.name, faults)
        self.dynamic_range, self.gain, self.peak = dynamic_range, gain, peak

    def transform(self, x: Any) -> Any:
        """Compress each sample."""
        x = ops.maximum(x, 0.0)
        if self.peak is None:
            largest = ops.max(x, axis=tuple(range(1, len(x.shape))), keepdims=True)
            ratio = x / ops.where(largest > 0, largest, 1.0)
        else:
            ratio = ops.minimum(x / self.peak, 1.0)
        if self.gain is not None:
            return ops.log1p(self.gain * ratio) / math.log1p(self.gain)
        assert self.dynamic_range is not None  # one of the two is given
        # From the lowest visible ratio on: the logarithm of 0 has no gradient.
        ratio = ops.maximum(ratio, 10 ** (-self.dynamic_range / 20))
        return ops.clip(1.0 + ops.log10(ratio) * (20 / self.dynamic_range), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        own = {"dynamic_range": self.dynamic_range, "gain": self.gain, "peak": self.peak}
        return {**super().get_config(), **own}
