"""Which layers of a model train: fine-tuning of the head, of a part, or of everything."""

from __future__ import annotations

import logging
import math

import keras

from tumorkeras.errors import ModelError
from tumorkeras.layers import TiedConv, TiedDense
from tumorkeras.layers.pyramid_levels import PyramidLevels
from tumorkeras.models.autoencoder import part_of
from tumorkeras.models.detector.backbone import encoder_ends
from tumorkeras.models.detector.model import Detector

logger = logging.getLogger(__name__)

BASE_END = "features"  # the last layer before the head, in classifiers and autoencoders
_SHARED = (TiedConv, TiedDense)


def freeze(model: keras.Model, until: bool | str | None = True) -> keras.Model:
    """Stop the training of a model's first layers, and let all others train.

    Whatever the layer ``until`` is computed from, and that layer itself, keeps its weights: ``layer.trainable`` is
    False, so that batch normalisation also keeps its statistics and uses them. Each call sets all layers anew.

    As always in Keras, a compiled model has to be compiled anew afterwards, or it trains what it trained before.
    :func:`tumorkeras.training.fit` compiles by itself.

    Parameters
    ----------
    model : keras.Model
        A classifier, an autoencoder, a detector, or another functional model. It is changed.
    until : True, str or None
        True freezes the convolutional base: everything up to the layer ``"features"``, of a detector the whole
        backbone. A name freezes up to that layer; of a detector it may also be a level of its backbone, such as
        ``"P3"``. None (or False) lets everything train.

    Returns
    -------
    keras.Model
        The same model. The log says how many of its weights train, and which frozen layers a decoder shares.

    Raises
    ------
    ModelError
        If there is no such layer or level; those that there are are named.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> model = freeze(build_classifier((8, 12, 12, 1), 2, filters=(4, 8), dense=(6,)), until="conv_1")
    >>> [layer.name for layer in model.layers if layer.weights and layer.trainable]
    ['conv_2', 'dense_1', 'probabilities']
    >>> [layer.name for layer in freeze(model).layers if layer.weights and layer.trainable]
    ['dense_1', 'probabilities']

    References
    ----------
    Yosinski et al., *How transferable are features in deep neural networks?*, NeurIPS 2014.
    """
    levels = _levels_of(model)
    end = _end_of(model, until, levels)
    still = {layer.name for layer in layers_until(model, end)} if end else set()
    for layer in model.layers:
        if isinstance(layer, PyramidLevels):
            layer.freeze(until if until in levels else layer.name in still)
        else:
            layer.trainable = layer.name not in still
    _tell(model, until if until in levels else end)
    return model


def layers_until(model: keras.Model, name: str) -> list[keras.layers.Layer]:
    """The layers that a layer is computed from, and that layer, in the order of the graph.

    Raises
    ------
    ModelError
        If there is no such layer.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> model = build_classifier((8, 12, 12, 1), 2, filters=(4, 8))
    >>> [layer.name for layer in layers_until(model, "features") if layer.weights]
    ['conv_1', 'conv_2']
    """
    return part_of(model, name, "until").layers


def _levels_of(model: keras.Model) -> dict[str, str]:
    """The levels of a detector's backbone, each with the layer that it ends in; none of other models."""
    if not isinstance(model, Detector):
        return {}
    for layer in model.layers:
        if isinstance(layer, PyramidLevels):
            return {level: layer.name for level in layer.backbone.pyramid_level_inputs}
    return encoder_ends(model)


def _end_of(model: keras.Model, until: bool | str | None, levels: dict[str, str]) -> str | None:
    """The last layer that is frozen; None for none."""
    if not until:
        return None
    if until is True:
        return list(levels.values())[-1] if levels else BASE_END
    names = [layer.name for layer in model.layers]
    if until not in levels and until not in names:
        fault = f"has no layer named {until!r}; its layers are {', '.join(names)}"
        fault += f", the levels of its backbone {', '.join(levels)}" if levels else ""
        raise ModelError(f"model {model.name!r}", [fault])
    return levels.get(until, until)


def _tell(model: keras.Model, end: bool | str | None) -> None:
    trained, every = (sum(math.prod(w.shape) for w in weights) for weights in (model.trainable_weights, model.weights))
    frozen = f"frozen up to {end}" if end else "nothing is frozen"
    logger.info("%s: %d of %d weights train, %s", model.name, trained, every, frozen)
    shared = [layer.name for layer in model.layers if isinstance(layer, _SHARED) and not layer.trainable]
    if shared:
        logger.info("%s: the decoder shares %s, and does not learn them either", model.name, ", ".join(shared))
