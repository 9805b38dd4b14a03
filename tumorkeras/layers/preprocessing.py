"""What changes a pixel before the network, as layers of the model."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tumorkeras.errors import ModelError


class _Float32Layer(keras.layers.Layer):
    """Works in float32 under any policy, so that 16-bit pixels keep their range; gives the compute dtype."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def call(self, x: Any) -> Any:
        """Cast to float32, transform, cast to the compute dtype."""
        return ops.cast(self.transform(ops.cast(x, "float32")), self.compute_dtype)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Shape of the input, compute dtype of the layer."""
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)

    def transform(self, x: Any) -> Any:
        """Map float32 to float32 of the same shape."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="tumorkeras")
class Standardize(_Float32Layer):
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
class LeeFilter(_Float32Layer):
    """The Lee speckle filter: smooths where a window holds noise only, keeps edges.

    In a square (2D) or cubic (3D) window with mean ``m`` and variance ``v`` a pixel becomes ``m + k (x - m)``
    with ``k = max(v - n, 0) / v``. The noise variance ``n`` is estimated for each sample and channel as the
    mean of its local variances. At the borders the window is cut to the image. This is the additive form,
    which fits log-compressed ultrasound.

    Input (batch, [depth,] height, width, channels) of any numeric dtype and range; output of the same shape
    and range, in the layer's compute dtype.

    Parameters
    ----------
    size : int
        Edge of the window in pixels, 2 or more; odd sizes are centred.

    Raises
    ------
    ModelError
        If ``size`` is below 2 or the input is neither an image nor a volume.

    Examples
    --------
    >>> import numpy as np
    >>> LeeFilter(size=5)(np.ones((1, 8, 8, 1))).shape
    TensorShape([1, 8, 8, 1])

    References
    ----------
    J.-S. Lee, "Digital image enhancement and noise filtering by use of local statistics",
    IEEE PAMI-2(2):165-168, 1980.
    """

    def __init__(self, size: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(size, bool) or not isinstance(size, int) or size < 2:
            raise ModelError(self.name, [f"size: {size!r} is not an integer of 2 or more"])
        self.size = size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the input is an image or a volume."""
        if len(input_shape) not in (4, 5):
            raise ModelError(self.name, [f"input has shape {tuple(input_shape)}, expected 4 or 5 axes"])

    def transform(self, x: Any) -> Any:
        """Pull each pixel towards the mean of its window."""
        axes = tuple(range(1, len(x.shape) - 1))
        # E[x^2] - E[x]^2 loses digits where the mean is far from zero.
        offset = ops.mean(x, axis=axes, keepdims=True)
        x = x - offset
        mean = self._window_mean(x)
        variance = ops.maximum(self._window_mean(ops.square(x)) - ops.square(mean), 0.0)
        noise = ops.mean(variance, axis=axes, keepdims=True)
        keep = ops.maximum(variance - noise, 0.0) / ops.where(variance > 0, variance, 1.0)
        return mean + keep * (x - mean) + offset

    def _window_mean(self, x: Any) -> Any:
        # One axis at a time: 3 * size additions a voxel, not size ** 3. Averages leave the padding out.
        rank = len(x.shape) - 2
        for axis in range(rank):
            window = tuple(self.size if other == axis else 1 for other in range(rank))
            x = ops.average_pool(x, window, strides=1, padding="same")
        return x

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "size": self.size}
