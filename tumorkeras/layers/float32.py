"""What layers on pixels share: they work in float32, and check what they are given."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import keras
from keras import ops

from tumorkeras.errors import ModelError


class Float32Layer(keras.layers.Layer):
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


def check_spatial(layer: keras.layers.Layer, input_shape: tuple[int | None, ...]) -> None:
    """Refuse an input that is neither an image (batch, height, width, channels) nor a volume.

    Raises
    ------
    ModelError
        If the input has another number of axes than 4 or 5.
    """
    if len(input_shape) not in (4, 5):
        raise ModelError(layer.name, [f"input has shape {tuple(input_shape)}, expected 4 or 5 axes"])


def is_number(value: Any, above: float = -math.inf) -> bool:
    """Tell whether a value is a finite number above a limit.

    Examples
    --------
    >>> is_number(2), is_number(0.0, above=0), is_number(True), is_number("2")
    (True, False, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and above < float(value) < math.inf


def is_count(value: Any, least: int = 1) -> bool:
    """Tell whether a value is an integer of at least ``least``.

    Examples
    --------
    >>> import numpy as np
    >>> is_count(2), is_count(np.int64(2)), is_count(2.0), is_count(1, least=2), is_count(True)
    (True, True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
