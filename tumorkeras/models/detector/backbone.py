"""The first part of a detector: maps of the image at strides 4, 8, 16, ..."""

from __future__ import annotations

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
        which is used itself; the name of a KerasCV preset; None for a small CSPDarkNet.
    frozen : bool or str
        As :class:`tumorkeras.layers.PyramidLevels` takes it.

    Raises
    ------
    ModelError
        If the backbone is none of these, or has no map of stride 4.
    """
    if backbone is None:
        backbone = csp_darknet(x.shape[-1])
    model = _preset(backbone) if isinstance(backbone, str) else backbone
    is_encoder = "conv_1" in {layer.name for layer in model.layers}
    found = (_encoder_levels if is_encoder else _pyramid_levels)(x, model, frozen)
    if FINEST not in found:
        raise ModelError("build_detector", [f"backbone: has maps of stride {sorted(found)}, and none of {FINEST}"])
    return {stride: level for stride, level in found.items() if stride >= FINEST}


def _stride(image: keras.KerasTensor, level: keras.KerasTensor) -> int:
    return round(image.shape[1] / level.shape[1])


def _pyramid_levels(x: keras.KerasTensor, backbone: keras.Model, frozen: bool | str) -> dict[int, keras.KerasTensor]:
    x = _in_the_channels_of(backbone, x)
    levels = PyramidLevels(backbone, frozen=frozen, name="backbone")(x)
    return {_stride(x, level): level for level in levels}


def _preset(name: str) -> keras.Model:
    try:
        return keras_cv.models.Backbone.from_preset(name)
    except Exception as error:  # whatever the download raises
        raise ModelError(
            "build_detector",
            [
                f"backbone: the KerasCV preset {name!r} cannot be had ({type(error).__name__}: {error}). Presets are "
                "fetched from the network; without one give a KerasCV backbone made of its arguments, or None"
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
    start, found = x, {}
    for number, convolution in enumerate(convolutions, start=1):
        pool = layers.get(f"pool_{number - 1}")
        x = x if pool is None else _twin(pool)(x)
        x = _copied(convolution)(x)
        x = _twin(layers[f"activation_{number}"])(x)
        found[_stride(start, x)] = x
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


def _freeze(start: keras.KerasTensor, levels: dict[int, keras.KerasTensor], frozen: bool | str) -> None:
    if frozen is False:
        return
    named: dict[bool | str, Any] = {f"P{stride.bit_length() - 1}": level for stride, level in levels.items()}
    named[True] = levels[max(levels)]
    if frozen not in named:
        names = ", ".join(name for name in named if name is not True)
        raise ModelError("build_detector", [f"frozen: {frozen!r} is neither a truth value nor one of {names}"])
    for layer in keras.Model(start, named[frozen]).layers:
        layer.trainable = False
