"""The first part of a detector: maps of the image at strides 4, 8, 16, ..."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import keras_cv

from tumorkeras.errors import ModelError
from tumorkeras.layers.pyramid_levels import PyramidLevels

FINEST = 4  # pixels of the canvas a cell of the first map that is used


def csp_darknet(
    channels: int, widths: tuple[int, ...] = (32, 64, 128, 256), depths: tuple[int, ...] = (1, 2, 2, 1)
) -> Any:
    """The default backbone: a small CSPDarkNet of KerasCV, with random weights.

    Examples
    --------
    >>> csp_darknet(1).count_params()
    1009024
    """
    return keras_cv.models.CSPDarkNetBackbone(
        stackwise_channels=list(widths),
        stackwise_depth=list(depths),
        include_rescaling=False,
        input_shape=(None, None, channels),
    )


# The backbones that a spec may name, with random weights: from the channels of an image to the model, which has
# ``pyramid_level_inputs``. A new one is a function here and its entry.
BACKBONES: dict[str, Callable[[int], keras.Model]] = {"csp_darknet": csp_darknet}


def backbone_levels(
    x: keras.KerasTensor, backbone: keras.Model | str | None, frozen: bool | str
) -> dict[int, keras.KerasTensor]:
    """The maps of a preprocessed image (batch, height, width, channels), by stride, from 4 up.

    Parameters
    ----------
    x : KerasTensor
        On the canvas.
    backbone : keras.Model, str or None
        An autoencoder of :func:`tumorkeras.build_autoencoder`, of whose encoder a copy is made; a KerasCV backbone,
        which is used itself; one of ``BACKBONES``, or the name of a KerasCV preset; None for a small CSPDarkNet.
    frozen : bool or str
        As :class:`tumorkeras.layers.PyramidLevels` takes it.

    Raises
    ------
    ModelError
        If the backbone is none of these, or has other maps than of strides 4, 8, 16, ..., each with a cell wherever
        the canvas has pixels.
    """
    if backbone is None:
        backbone = "csp_darknet"
    model = _named(backbone, x.shape[-1]) if isinstance(backbone, str) else backbone
    if not isinstance(model, keras.Model):
        fault = f"backbone: {backbone!r} is neither a model, the name of a preset, nor None"
        raise ModelError("build_detector", [fault])
    is_encoder = "conv_1" in {layer.name for layer in model.layers}
    found = (_encoder_levels if is_encoder else _pyramid_levels)(x, model, frozen)
    coarse = {stride: level for stride, level in found.items() if stride >= FINEST}
    if list(coarse) != [FINEST * 2**k for k in range(len(coarse))] or not coarse:
        fault = f"backbone: has maps of strides {', '.join(map(str, found))}, expected {FINEST}, {2 * FINEST}, ..."
        raise ModelError("build_detector", [fault])
    return coarse


def _by_stride(x: keras.KerasTensor, levels: list[keras.KerasTensor]) -> dict[int, keras.KerasTensor]:
    """The maps by the pixels of a cell, the last of each stride."""
    strides = [_stride(x.shape[1:3], level.shape[1:3]) for level in levels]
    faults = [
        f"backbone: has a map of {level.shape[1:3]} cells for a canvas of {x.shape[1:3]}, which is no stride of "
        "1, 2, 4, ...; a canvas whose sides are multiples of the coarsest stride fits every backbone with such strides"
        for stride, level in zip(strides, levels, strict=True)
        if not stride
    ]
    if faults:
        raise ModelError("build_detector", faults)
    return dict(zip(strides, levels, strict=True))


def _stride(sides: tuple[int, ...], cells: tuple[int, ...]) -> int:
    """The smallest power of two whose cells cover the sides just so; 0 where there is none.

    Not the quotient: 240 pixels are 8 cells of 32, the last one half outside.
    """
    powers = [2**k for k in range(max(sides).bit_length() + 1)]
    return next((power for power in powers if tuple(math.ceil(side / power) for side in sides) == cells), 0)


def _pyramid_levels(x: keras.KerasTensor, backbone: keras.Model, frozen: bool | str) -> dict[int, keras.KerasTensor]:
    x = _in_the_channels_of(backbone, x)
    return _by_stride(x, PyramidLevels(backbone, frozen=frozen, name="backbone")(x))


def _named(name: str, channels: int) -> keras.Model:
    if name in BACKBONES:
        return BACKBONES[name](channels)
    try:
        return keras_cv.models.Backbone.from_preset(name)
    except Exception as error:  # whatever the download raises
        raise ModelError(
            "build_detector",
            [
                f"backbone: the KerasCV preset {name!r} cannot be had ({type(error).__name__}: {error}). Presets are "
                "fetched from the network; without one give a KerasCV backbone made of its arguments, None, or one of "
                f"{', '.join(BACKBONES)}"
            ],
        ) from None


def _in_the_channels_of(backbone: keras.Model, x: keras.KerasTensor) -> keras.KerasTensor:
    wanted, given = backbone.input_shape[-1], x.shape[-1]
    if wanted in (None, given):
        return x
    if given == 1:  # a grey image for a backbone that was trained on colours
        return keras.layers.Concatenate(name="grey_to_colour")([x] * wanted)
    raise ModelError("build_detector", [f"backbone: reads {wanted} channels, input_shape has {given}"])


def _encoder_levels(x: keras.KerasTensor, autoencoder: keras.Model, frozen: bool | str) -> dict[int, keras.KerasTensor]:
    """The encoder's convolutions at the size of the canvas, with its weights; a map before every pooling."""
    layers = {layer.name: layer for layer in autoencoder.layers}
    convolutions = [layer for name, layer in layers.items() if name.startswith("conv_")]
    if convolutions[0].kernel.shape[2:-1] != x.shape[-1:]:
        shape = tuple(autoencoder.input_shape[1:])
        fault = f"backbone: the autoencoder reads {shape}, the detector images of {x.shape[-1]} channels"
        raise ModelError("build_detector", [fault])
    start, levels = x, []
    for number, convolution in enumerate(convolutions, start=1):
        pool = layers.get(f"pool_{number - 1}")
        x = x if pool is None else _twin(pool)(x)
        x = _copied(convolution)(x)
        x = _twin(layers[f"activation_{number}"])(x)
        levels.append(x)
    found = _by_stride(start, levels)
    _freeze(start, found, frozen)
    return found


def _twin(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config(layer.get_config())


def _copied(layer: keras.layers.Layer) -> keras.layers.Layer:
    """An ordinary convolution with the kernel of a tied one; "same" padding, so that cells keep their places."""
    kernel = layer.kernel
    copy = keras.layers.Conv2D(kernel.shape[-1], tuple(kernel.shape[:2]), padding="same", name=layer.name)
    copy.build((None, None, None, kernel.shape[2]))
    copy.set_weights([kernel.numpy(), layer.bias.numpy()])
    return copy


def encoder_ends(detector: keras.Model) -> dict[str, str]:
    """Where the levels of a built detector end, if its backbone is an autoencoder's encoder: layers by level.

    Examples
    --------
    >>> from tumorkeras.models import build_autoencoder, build_detector
    >>> encoder = build_autoencoder((32, 32, 1), filters=(2, 4, 4))
    >>> encoder_ends(build_detector((32, 32, 1), 2, backbone=encoder, fusion="deepest"))
    {'P0': 'activation_1', 'P1': 'activation_2', 'P2': 'activation_3'}
    """
    ends = [layer.output for layer in detector.layers if layer.name.startswith("activation_")]
    found = _by_stride(detector.get_layer("target").output, ends)
    return {level_name(stride): end._keras_history.operation.name for stride, end in found.items()}


def level_name(stride: int) -> str:
    """What a level of a pyramid is called, by the power of two that is its stride.

    Examples
    --------
    >>> level_name(4), level_name(32)
    ('P2', 'P5')
    """
    return f"P{stride.bit_length() - 1}"


def _freeze(start: keras.KerasTensor, levels: dict[int, keras.KerasTensor], frozen: bool | str) -> None:
    if frozen is False:
        return
    named = {level_name(stride): level for stride, level in levels.items()}
    end = levels[max(levels)] if frozen is True else named.get(frozen)
    if end is None:
        fault = f"frozen: {frozen!r} is neither a truth value nor one of {', '.join(named)}"
        raise ModelError("build_detector", [fault])
    for layer in keras.Model(start, end).layers:
        layer.trainable = False
