"""Weights from one model to another, by the names of their layers."""

from __future__ import annotations

import logging

import keras

from tumorkeras.errors import ModelError

logger = logging.getLogger(__name__)


def copy_encoder_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copy kernel and bias of every layer ``conv_*`` and ``dense_*`` that agrees in name and kernel shape.

    Takes an autoencoder's encoder into a classifier, or one classifier (trained on simulated motion, say)
    into another. Layers that differ in shape keep their random weights; the log says what was copied and which
    convolutions were not.

    Returns
    -------
    list of str
        Names of the layers that were copied.

    Raises
    ------
    ModelError
        If not one layer agrees.

    Examples
    --------
    >>> from tumorkeras.models import build_autoencoder, build_classifier
    >>> autoencoder = build_autoencoder((16, 24, 24, 1), filters=(4, 8))
    >>> classifier = build_classifier((16, 24, 24, 1), 3, filters=(4, 8))
    >>> copy_encoder_weights(autoencoder, classifier)
    ['conv_1', 'conv_2']
    """
    found, wanted = _kernels(source), _kernels(target)
    same = layers_that_agree(source, target)
    if not same:
        ours = {name: tuple(layer.kernel.shape) for name, layer in wanted.items()}
        theirs = {name: tuple(layer.kernel.shape) for name, layer in found.items()}
        raise ModelError("initial weights", [f"no layer agrees: the source has {theirs}, the model wants {ours}"])
    for name in same:
        wanted[name].kernel.assign(found[name].kernel)
        wanted[name].bias.assign(found[name].bias)
    fresh = [name for name in wanted if name.startswith("conv_") and name not in same]
    left = f"; not the convolutions {', '.join(fresh)}" if fresh else ""
    logger.info("initial weights: copied %s%s", ", ".join(same), left)
    return same


def layers_that_agree(source: keras.Model, target: keras.Model) -> list[str]:
    """Names of the layers ``conv_*`` and ``dense_*`` of a model that another has with the same shape of kernel.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> source = build_classifier((16, 24, 24, 1), 3, filters=(4, 6), dense=(5,))
    >>> layers_that_agree(source, build_classifier((16, 24, 24, 1), 2, filters=(4, 8), dense=(5,)))
    ['conv_1']
    """
    found, wanted = _kernels(source), _kernels(target)
    return [name for name in wanted if name in found and found[name].kernel.shape == wanted[name].kernel.shape]


def _kernels(model: keras.Model) -> dict[str, keras.layers.Layer]:
    return {
        layer.name: layer
        for layer in model.layers
        if layer.name.startswith(("conv_", "dense_")) and hasattr(layer, "kernel")
    }
