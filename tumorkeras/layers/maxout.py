"""Maxout: a unit that learns its own convex activation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tumorkeras.errors import ModelError


@keras.saving.register_keras_serializable(package="tumorkeras")
class Maxout(keras.layers.Layer):
    """The largest of ``pieces`` affine maps: ``h_i(x) = max_j (x W_ij + b_ij)``.

    The maps come from the convolution or dense layer before this one, which has ``units * pieces`` outputs;
    piece ``j`` of unit ``i`` is channel ``j * units + i``.

    Input of any rank, (batch, ..., units * pieces); output (batch, ..., units), in the layer's compute dtype.
    Called with ``decode=True`` it goes the other way, (batch, ..., units) to (batch, ..., units * pieces):
    each piece gets an equal share of its unit, which is what a decoder with the transposed kernel needs.

    Parameters
    ----------
    pieces : int
        How many maps share a unit, 2 or more.

    Raises
    ------
    ModelError
        If ``pieces`` is below 2 or does not divide the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> float(Maxout(pieces=2)(np.array([[1.0, -2.0, -3.0, 5.0]]))[0, 1])
    5.0

    References
    ----------
    Goodfellow et al., "Maxout networks", ICML 2013; equation 3 of doi 10.18280/ts.360510.
    """

    def __init__(self, pieces: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(pieces, bool) or not isinstance(pieces, int) or pieces < 2:
            raise ModelError("Maxout", [f"pieces: {pieces!r} is not an integer of 2 or more"])
        self.pieces = pieces

    def call(self, x: Any, decode: bool = False) -> Any:
        """Keep the largest piece of each unit, or share each unit among its pieces."""
        if decode:
            return ops.concatenate([x / self.pieces] * self.pieces, axis=-1)
        channels = x.shape[-1]
        if channels is None or channels % self.pieces:
            fault = f"the last axis has {channels} channels, expected a multiple of pieces={self.pieces}"
            raise ModelError(self.name, [fault])
        # An elementwise maximum of slices: on CPU much faster than a reduction over a short last axis.
        largest, *others = ops.split(x, self.pieces, axis=-1)
        for piece in others:
            largest = ops.maximum(largest, piece)
        return largest

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "pieces": self.pieces}
