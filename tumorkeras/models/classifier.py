"""The volume classifier: Conv3D / MaxPool3D blocks, two dropout-ReLU dense layers, softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers, ops

from tumorkeras.errors import ModelError
from tumorkeras.layers.activations import activation_fault
from tumorkeras.models.blocks import (
    block_faults,
    convolution_blocks,
    dense_blocks,
    is_positive,
    negative_faults,
    per_axis,
    preprocess,
)
from tumorkeras.models.transfer import copy_encoder_weights


def build_classifier(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    filters: Sequence[int] = (8, 16, 32),
    kernel_size: int | Sequence[int] = 3,
    stride: int = 1,
    pool: int | Sequence[int] = 2,
    dense: Sequence[int] = (64, 32),
    dropout: float = 0.3,
    activation: str = "relu",
    padding: str = "same",
    weight_decay: float = 0.0,
    preprocessing: Sequence[Mapping[str, Any]] = (),
    initial: keras.Model | None = None,
    name: str = "classifier",
) -> keras.Model:
    """A convolutional classifier of volumes (depth, height, width, channels), or of images.

    Parameters
    ----------
    input_shape : sequence of int
        (depth, height, width, channels), depth being z or time, or (height, width, channels).
    num_classes : int
        At least 2.
    filters : sequence of int
        Channels of each block of a convolution, an activation and a max-pooling.
    kernel_size : int or sequence of int
        Of every convolution; one size, or one per spatial axis.
    stride : int
        Stride of the first convolution in height and width: 2 makes a step about four times as fast, at the
        price of detail. Never along depth.
    pool : int or sequence of int
        Pooling of every block on each axis, or one an axis: ``(1, 2, 2)`` keeps the resolution in time.
    dense : sequence of int
        Units of the dense layers, each followed by its activation and dropout.
    dropout : float
        Share of the units that is dropped in training, 0.3 as in the paper.
    activation : str
        Any Keras activation or ``"maxout"``.
    padding : {"same", "valid"}
        As in Keras; "valid" is the paper's.
    weight_decay : float
        L2 penalty on every kernel.
    preprocessing : sequence of mapping
        Steps of the spec, as layers of the model.
    initial : keras.Model, optional
        An autoencoder, or another classifier, whose convolutions are copied where name and shape agree.

    Returns
    -------
    keras.Model
        Functional; in: float32 (batch, \\*input_shape); out: probabilities (batch, num_classes). Its layer
        ``"features"`` gives the embedding (batch, 2 * filters[-1]).

    Raises
    ------
    ModelError
        If an argument is out of its range, or nothing of ``initial`` fits.

    Examples
    --------
    >>> model = build_classifier((16, 24, 24, 1), 3)
    >>> model.output_shape
    (None, 3)

    References
    ----------
    Sections on the 3D CNN of doi 10.18280/ts.360510; equations 1-4 (activations), 5-6 (convolution).
    """
    faults = block_faults(input_shape, filters, kernel_size, padding, pool, stride)
    faults += _head_faults(num_classes, dense, dropout, activation)
    # A stride over the kernel skips pixels, and TensorFlow 2.21 crashes in the gradient of some such convolutions.
    if not faults and stride > (side := min(per_axis(kernel_size, len(input_shape) - 1)[-2:])):
        faults.append(f"stride: {stride} is more than kernel_size in height and width, {side}, and would skip pixels")
    faults += negative_faults(weight_decay=weight_decay)
    if faults:
        raise ModelError("build_classifier", faults)
    rank = len(input_shape) - 1
    inputs = keras.Input(tuple(input_shape), name="inputs")
    x = preprocess(inputs, preprocessing)
    regularizer = keras.regularizers.L2(weight_decay) if weight_decay else None
    x = convolution_blocks(
        x, filters, kernel_size, pool, stride=stride, activation=activation, padding=padding, regularizer=regularizer
    )
    x = _embedding(x, rank)
    x = dense_blocks(x, dense, dropout=dropout, activation=activation, regularizer=regularizer)
    # float32 also under mixed precision: probabilities must sum to one.
    outputs = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)
    model = keras.Model(inputs, outputs, name=name)
    if initial is not None:
        copy_encoder_weights(initial, model)
    return model


def _embedding(x: keras.KerasTensor, rank: int) -> keras.KerasTensor:
    """Mean and maximum of each channel over all positions: what is typical, and what stands out."""
    axes = tuple(range(1, rank + 1))
    return layers.Concatenate(name="features", dtype="float32")([ops.mean(x, axis=axes), ops.max(x, axis=axes)])


def _head_faults(num_classes: int, dense: Sequence[int], dropout: float, activation: str) -> list[str]:
    faults = []
    if not is_positive(num_classes) or num_classes < 2:
        faults.append(f"num_classes: {num_classes} is not an integer of 2 or more")
    if not dense or not all(map(is_positive, dense)):
        faults.append(f"dense: {dense} is not a list of positive integers")
    if not 0 <= dropout < 1:
        faults.append(f"dropout: {dropout} is not from 0 to below 1")
    fault = activation_fault(activation)
    return faults + ([fault] if fault else [])
