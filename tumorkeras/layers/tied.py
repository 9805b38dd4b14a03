"""Layers whose one kernel both encodes and decodes."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tumorkeras.errors import ModelError


class _Tied(keras.layers.Layer):
    """What tied layers share: a kernel, a bias for either direction, and their configuration."""

    def __init__(self, kernel_initializer: Any, kernel_regularizer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def _add_weights(self, kernel_shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = self.add_weight(name="bias", shape=kernel_shape[-1:], initializer="zeros")
        self.decoder_bias = self.add_weight(name="decoder_bias", shape=kernel_shape[-2:-1], initializer="zeros")

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(package="tumorkeras")
class TiedConv(_Tied):
    """A convolution, and with ``decode=True`` its transpose with the same kernel.

    Encodes (batch, [depth,] height, width, channels) to (batch, ..., filters), stride 1, and decodes the
    other way; with ``padding="valid"`` encoding takes ``kernel_size - 1`` from each axis and decoding gives
    it back. Call it to encode first: that call makes the weights ``kernel`` ``(*kernel_size, channels,
    filters)``, laid out as in ``keras.layers.Conv2D`` and ``Conv3D``, ``bias`` (filters,) and ``decoder_bias``
    (channels,). There is no activation inside.

    Parameters
    ----------
    filters : int
        Channels of the code.
    kernel_size : int or tuple of int
        One size for every axis, or one an axis.
    padding : {"same", "valid"}
        As in Keras.
    kernel_initializer, kernel_regularizer
        As in Keras; a penalty counts the kernel once, however often the layer is called.

    Raises
    ------
    ModelError
        If an argument is out of its range or the input is neither an image nor a volume.

    Examples
    --------
    >>> layer = TiedConv(4, 3, padding="valid")
    >>> x = keras.Input((16, 24, 24, 1))
    >>> code = layer(x)
    >>> code.shape, layer(code, decode=True).shape
    ((None, 14, 22, 22, 4), (None, 16, 24, 24, 1))

    References
    ----------
    Tied weights of equations 7-8 of doi 10.18280/ts.360510.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...] = 3,
        padding: str = "same",
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_initializer, kernel_regularizer, **kwargs)
        sizes = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        faults = []
        if filters < 1:
            faults.append(f"filters: {filters} is not positive")
        if not sizes or min(sizes) < 1:
            faults.append(f"kernel_size: {kernel_size} is not positive on every axis")
        if padding not in ("same", "valid"):
            faults.append(f"padding: {padding!r} is neither 'same' nor 'valid'")
        if faults:
            raise ModelError(self.name, faults)
        self.filters = filters
        self.kernel_size = kernel_size if isinstance(kernel_size, int) else sizes
        self.padding = padding

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs of shape (batch, [depth,] height, width, channels)."""
        rank = len(input_shape) - 2
        if rank not in (2, 3):
            raise ModelError(self.name, [f"input has shape {tuple(input_shape)}, expected 4 or 5 axes"])
        if isinstance(self.kernel_size, int):
            self.kernel_size = (self.kernel_size,) * rank
        if len(self.kernel_size) != rank:
            raise ModelError(self.name, [f"kernel_size: {self.kernel_size} does not fit {rank} spatial axes"])
        self._add_weights((*self.kernel_size, input_shape[-1], self.filters))

    def call(self, x: Any, decode: bool = False) -> Any:
        """Encode, or decode with the transpose of the same kernel."""
        if decode:
            # Keras lays out the kernel of a transposed convolution as (..., outputs, inputs): it is this one.
            return ops.conv_transpose(x, self.kernel, padding=self.padding) + self.decoder_bias
        return ops.conv(x, self.kernel, padding=self.padding) + self.bias

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
        }


@keras.saving.register_keras_serializable(package="tumorkeras")
class TiedDense(_Tied):
    """A dense layer, and with ``decode=True`` its transpose with the same kernel.

    Encodes (batch, ..., n) to (batch, ..., units) and decodes the other way. Call it to encode first: that
    call makes the weights ``kernel`` (n, units), ``bias`` (units,) and ``decoder_bias`` (n,). There is no
    activation inside.

    Parameters
    ----------
    units : int
        Size of the code.
    kernel_initializer, kernel_regularizer
        As in Keras; a penalty counts the kernel once, however often the layer is called.

    Raises
    ------
    ModelError
        If ``units`` is not positive.

    Examples
    --------
    >>> layer = TiedDense(8)
    >>> code = layer(keras.Input((100,)))
    >>> code.shape, layer(code, decode=True).shape
    ((None, 8), (None, 100))

    References
    ----------
    Tied weights of equations 7-8 of doi 10.18280/ts.360510.
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_initializer, kernel_regularizer, **kwargs)
        if units < 1:
            raise ModelError(self.name, [f"units: {units} is not positive"])
        self.units = units

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs of shape (batch, ..., n)."""
        self._add_weights((input_shape[-1], self.units))

    def call(self, x: Any, decode: bool = False) -> Any:
        """Encode, or decode with the transpose of the same kernel."""
        if decode:
            return ops.matmul(x, ops.transpose(self.kernel)) + self.decoder_bias
        return ops.matmul(x, self.kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "units": self.units}
