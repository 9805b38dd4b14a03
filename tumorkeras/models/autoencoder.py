"""The convolutional autoencoder whose decoder uses the encoder's kernels, transposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import keras

from tumorkeras.errors import ModelError
from tumorkeras.layers import Maxout, TiedConv, TiedDense, activate, activation_fault, pieces
from tumorkeras.models.blocks import (
    CONV,
    CONV_TRANSPOSE,
    block_faults,
    is_positive,
    max_pool,
    negative_faults,
    per_axis,
    preprocess,
    unpool,
)

Step = Callable[[keras.KerasTensor], keras.KerasTensor]


def build_autoencoder(
    input_shape: Sequence[int],
    *,
    filters: Sequence[int] = (8, 16, 32),
    kernel_size: int | Sequence[int] = 3,
    bottleneck: int | None = None,
    tied: bool = True,
    activation: str = "relu",
    padding: str = "same",
    pool: int | Sequence[int] | None = 2,
    weight_decay: float = 0.0,
    sparsity: float = 0.0,
    noise: float = 0.0,
    preprocessing: Iterable[Mapping[str, Any] | Any] = (),
    name: str = "autoencoder",
) -> keras.Model:
    """Build an autoencoder ``f(x) = C(F(x))`` for images or volumes.

    The encoder F is a convolution, an activation and max pooling for each entry of ``filters``, then, with a
    ``bottleneck``, a linear dense layer. The decoder C runs the same way back: the transposed dense layer,
    then nearest upsampling and transposed convolutions, with the activation between them; the last is linear.
    Train it on squared error between the layers ``"reconstruction"`` (its one output) and ``"target"`` (the
    preprocessed input, see :func:`target_of`); ``weight_decay`` and ``sparsity`` are the lambda J of that
    loss, part of the model. It learns fastest where the target has zero mean and unit variance.

    Parameters
    ----------
    input_shape : sequence of int
        (height, width, channels) or (depth, height, width, channels). The batch dimension is open.
    filters : sequence of int
        Channels of the convolutions ``"conv_1"``, ``"conv_2"``, ...
    kernel_size : int or sequence of int
        Of every convolution; one size, or one a spatial axis.
    bottleneck : int, optional
        Size h of the embedding. By default the flattened last feature map is the embedding.
    tied : bool
        Decode with the transposed kernels of the encoder; False gives the decoder kernels of its own.
    activation : str
        Any name from ``keras.activations``, or ``"maxout"``: two affine maps a filter in the encoder; the
        decoder gives each of the two half of the filter's value and is otherwise linear.
    padding : {"same", "valid"}
        Of the convolutions; with either the reconstruction has the shape of the input.
    pool : int, sequence of int or None
        Max pooling after each block; one size, or one a spatial axis; None or 1 for no pooling.
    weight_decay : float
        Factor of the sum of squares of the kernels; a tied kernel counts once.
    sparsity : float
        Factor of the sum of absolute features, averaged over the batch: for codes larger than the input.
    noise : float
        Standard deviation of Gaussian noise added to the target in training only, to learn denoising.
    preprocessing : iterable of mappings
        As in :func:`tumorkeras.models.blocks.preprocess`.
    name : str
        Name of the model.

    Returns
    -------
    keras.Model
        Functional; float32 ``(batch, *input_shape)`` in and out. The layer ``"features"`` gives the embedding
        (batch, k), see :func:`encoder_of`.

    Raises
    ------
    ModelError
        Naming every argument that does not fit.

    Examples
    --------
    >>> model = build_autoencoder((16, 24, 24, 1), filters=(4, 8), bottleneck=10)
    >>> model.output_shape, encoder_of(model).output_shape
    ((None, 16, 24, 24, 1), (None, 10))

    References
    ----------
    Equations 7-8 of doi 10.18280/ts.360510.
    """
    faults = block_faults(input_shape, filters, kernel_size, padding, pool)
    if bottleneck is not None and not is_positive(bottleneck):
        faults.append(f"bottleneck: {bottleneck!r} is neither None nor a positive integer")
    fault = activation_fault(activation)
    faults += [fault] if fault else []
    faults += negative_faults(weight_decay=weight_decay, sparsity=sparsity, noise=noise)
    if faults:
        raise ModelError("build_autoencoder", faults)
    regularizer = keras.regularizers.L2(weight_decay) if weight_decay else None
    pairs = _Pairs(tied, activation, kernel_size, padding, regularizer)

    inputs = keras.Input(tuple(input_shape), name="inputs")
    x = preprocess(inputs, preprocessing)
    if noise:
        x = keras.layers.GaussianNoise(noise, name="noise", dtype="float32")(x)

    way_back: list[Step] = []
    for number, count in enumerate(filters, start=1):
        x = _encode_block(x, count, number, pool, activation, pairs, way_back)
    x = _embed(x, bottleneck, pairs, way_back)
    penalty = keras.layers.ActivityRegularization(l1=sparsity, name="features", dtype="float32")
    x = penalty(x) if sparsity else keras.layers.Identity(name="features", dtype="float32")(x)

    for step in reversed(way_back):
        x = step(x)
    outputs = keras.layers.Identity(name="reconstruction", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


def _encode_block(
    x: keras.KerasTensor,
    filters: int,
    number: int,
    pool: int | Sequence[int] | None,
    activation: str,
    pairs: _Pairs,
    way_back: list[Step],
) -> keras.KerasTensor:
    """Convolve, activate and pool; append to ``way_back`` the steps that undo it, the last first."""
    if number > 1:
        name = f"decoder_activation_{number - 1}"
        way_back.append(partial(_activate_decoded, activation=activation, name=name))
    encode, decode = pairs.convolution(x, filters, number)
    x = activate(encode(x), activation, name=f"activation_{number}")
    before = x.shape[1:-1]
    way_back.append(decode)
    way_back.append(partial(unpool, pool=pool, size=before, name=f"unpool_{number}"))
    return max_pool(x, pool, name=f"pool_{number}")


def _embed(x: keras.KerasTensor, bottleneck: int | None, pairs: _Pairs, way_back: list[Step]) -> keras.KerasTensor:
    """Flatten, and narrow to the bottleneck where there is one."""
    way_back.append(keras.layers.Reshape(x.shape[1:], name="unflatten"))
    x = keras.layers.Flatten(name="flatten")(x)
    if bottleneck is None:
        return x
    # Linear: with ReLU here half of the embedding dies in training (never above zero for any sample).
    encode, decode = pairs.dense(x, bottleneck)
    way_back.append(decode)
    return encode(x)


def _activate_decoded(x: keras.KerasTensor, activation: str, name: str) -> keras.KerasTensor:
    # A transposed kernel gives one value a unit, not one a piece: there is nothing to take the maximum of.
    return x if activation == "maxout" else activate(x, activation, name)


class _Pairs:
    """Makes the encoding and the decoding use of a layer: of one layer when tied, of two when not."""

    def __init__(
        self, tied: bool, activation: str, kernel_size: int | Sequence[int], padding: str, regularizer: Any
    ) -> None:
        self.tied = tied
        self.pieces = pieces(activation)
        self.kernel_size = kernel_size
        self.padding = padding
        self.regularizer = regularizer

    def convolution(self, x: keras.KerasTensor, filters: int, number: int) -> tuple[Step, Step]:
        """Convolution ``conv_{number}`` of ``x`` and its transpose."""
        rank, channels = len(x.shape) - 2, x.shape[-1]
        options = {
            "kernel_size": per_axis(self.kernel_size, rank),
            "padding": self.padding,
            "kernel_regularizer": self.regularizer,
        }
        name, wide = f"conv_{number}", filters * self.pieces
        if self.tied:
            layer: Any = TiedConv(wide, name=name, **options)
            return layer, self._shared_out(partial(layer, decode=True), name)
        decode = CONV_TRANSPOSE[rank](channels, name=f"decoder_{name}", **options)
        return CONV[rank](wide, name=name, **options), self._shared_out(decode, name)

    def dense(self, x: keras.KerasTensor, units: int) -> tuple[Step, Step]:
        """Dense layer ``bottleneck`` of ``x`` and its transpose."""
        options = {"kernel_regularizer": self.regularizer}
        if self.tied:
            layer: Any = TiedDense(units, name="bottleneck", **options)
            return layer, partial(layer, decode=True)
        decode = keras.layers.Dense(x.shape[-1], name="decoder_bottleneck", **options)
        return keras.layers.Dense(units, name="bottleneck", **options), decode

    def _shared_out(self, decode: Step, name: str) -> Step:
        """Let a decoder of maxout units start from their pieces."""
        if self.pieces == 1:
            return decode
        share = Maxout(self.pieces, name=f"decoder_pieces_{name}")
        return lambda x: decode(share(x, decode=True))


def encoder_of(model: keras.Model) -> keras.Model:
    """Cut out the encoder: from the inputs to the embedding (batch, k), sharing the weights.

    Works on every model with a layer named ``"features"``, so on classifiers too.

    Raises
    ------
    ModelError
        If the model has no such layer.

    Examples
    --------
    >>> encoder_of(build_autoencoder((8, 8, 1), filters=(4,))).output_shape
    (None, 64)
    """
    return part_of(model, "features", name="encoder")


def decoder_of(model: keras.Model) -> keras.Model:
    """Cut out the decoder: from the embedding (batch, k) to the reconstruction, sharing the weights.

    Raises
    ------
    ModelError
        If the model is not an autoencoder.

    Examples
    --------
    >>> decoder_of(build_autoencoder((8, 8, 1), filters=(4,))).output_shape
    (None, 8, 8, 1)
    """
    features, reconstruction = _output_of(model, "features"), _output_of(model, "reconstruction")
    return keras.Model(features, reconstruction, name=f"{model.name}_decoder")


def target_of(model: keras.Model) -> keras.Model:
    """Cut out the preprocessing: from the inputs to what the reconstruction is compared with.

    Raises
    ------
    ModelError
        If the model has no layer named ``"target"``.

    Examples
    --------
    >>> import numpy as np
    >>> steps = [{"step": "rescale", "scale": 0.5}]
    >>> model = build_autoencoder((8, 8, 1), filters=(4,), preprocessing=steps)
    >>> float(target_of(model)(np.full((1, 8, 8, 1), 3.0))[0, 0, 0, 0])
    1.5
    """
    return part_of(model, "target", name="target")


def part_of(model: keras.Model, layer: str, name: str) -> keras.Model:
    """Cut out everything from the inputs to a layer, where that is first called, sharing the weights.

    Raises
    ------
    ModelError
        If the model has no such layer; its layers are named.

    Examples
    --------
    >>> [layer.name for layer in part_of(build_autoencoder((8, 8, 1), filters=(4,)), "conv_1", "start").layers]
    ['inputs', 'target', 'conv_1']
    """
    outputs = _output_of(model, layer)
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return keras.Model(inputs, outputs, name=f"{model.name}_{name}")


def _output_of(model: keras.Model, layer: str) -> keras.KerasTensor:
    names = [candidate.name for candidate in model.layers]
    if layer not in names:
        fault = f"has no layer named {layer!r}; its layers are {', '.join(names)}"
        raise ModelError(f"model {model.name!r}", [fault])
    return model.get_layer(layer).output
