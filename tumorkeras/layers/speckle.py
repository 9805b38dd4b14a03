"""The speckle filter."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tumorkeras.errors import ModelError
from tumorkeras.layers.float32 import Float32Layer, check_spatial, is_count, is_number


@keras.saving.register_keras_serializable(package="tumorkeras")
class LeeFilter(Float32Layer):
    """The Lee speckle filter: smooths where a window holds noise only, keeps edges.

    In a square (2D) or cubic (3D) window with mean ``m`` and variance ``v`` a pixel becomes ``m + k (x - m)``
    with ``k = max(v - n, 0) / v``. The noise variance ``n`` is

    - without ``looks``, the mean of the local variances, for each sample and channel: noise that is added, which
      fits log-compressed ultrasound, as images from scanners are;
    - with ``looks``, ``m ** 2 / looks``: noise that multiplies, which fits intensities before log compression.
      Averaging L independent intensities (looks) of fully developed speckle leaves a relative variance of 1 / L.
      For amplitudes (the envelope) it is ``4 / pi - 1`` at one look, hence ``looks=3.66``.

    At the borders the window is cut to the image. In the paper's own form for multiplied noise the variance of the
    clean signal is ``(v - n) / (1 + 1 / looks)``; the form here, ``k = 1 - (1 / looks) / (v / m ** 2)``, is the one
    that radar toolboxes call the Lee filter, and the two agree as ``looks`` grows.

    Input (batch, [depth,] height, width, channels) of any numeric dtype and range; output of the same shape
    and range, in the layer's compute dtype.

    Parameters
    ----------
    size : int
        Edge of the window in pixels, 2 or more; odd sizes are centred.
    looks : float, optional
        Number of looks, above 0; need not be whole. By default the noise is estimated and taken as added.

    Raises
    ------
    ModelError
        If ``size`` is below 2, ``looks`` is not above 0, or the input is neither an image nor a volume.

    Examples
    --------
    >>> import numpy as np
    >>> LeeFilter(size=5, looks=4)(np.ones((1, 8, 8, 1))).shape
    TensorShape([1, 8, 8, 1])

    References
    ----------
    J.-S. Lee, "Digital image enhancement and noise filtering by use of local statistics",
    IEEE PAMI-2(2):165-168, 1980.
    """

    def __init__(self, size: int = 5, looks: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        faults = []
        if not is_count(size, least=2):
            faults.append(f"size: {size!r} is not an integer of 2 or more")
        if looks is not None and not is_number(looks, above=0):
            faults.append(f"looks: {looks!r} is not a number above 0")
        if faults:
            raise ModelError(self.name, faults)
        self.size, self.looks = size, looks

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Check that the input is an image or a volume."""
        check_spatial(self, input_shape)

    def transform(self, x: Any) -> Any:
        """Pull each pixel towards the mean of its window."""
        axes = tuple(range(1, len(x.shape) - 1))
        # E[x^2] - E[x]^2 loses digits where the mean is far from zero.
        offset = ops.mean(x, axis=axes, keepdims=True)
        x = x - offset
        mean = self._window_mean(x)
        variance = ops.maximum(self._window_mean(ops.square(x)) - ops.square(mean), 0.0)
        if self.looks is None:
            noise = ops.mean(variance, axis=axes, keepdims=True)
        else:
            noise = ops.square(mean + offset) / self.looks
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
        return {**super().get_config(), "size": self.size, "looks": self.looks}
