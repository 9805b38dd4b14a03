"""The scores of a classifier before its softmax, with the model left as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tumorkeras.errors import DataError, ModelError
from tumorkeras.layers.float32 import is_count
from tumorkeras.models.graphs import graph_of, maker_of

TINY = 1e-30  # a probability below is rounded to it
ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {"softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}


@dataclass(frozen=True)
class Head:
    """The end of a classifier.

    Attributes
    ----------
    before : KerasTensor
        Of the model's graph, from which the scores are made.
    scores : callable
        ``before`` -> scores (batch, classes) float32, before softmax or sigmoid. One sigmoid alone is two classes.
    probabilities : callable
        Scores -> probabilities (batch, classes).
    classes : int
    """

    before: keras.KerasTensor
    scores: Callable[[tf.Tensor], tf.Tensor]
    probabilities: Callable[[tf.Tensor], tf.Tensor]
    classes: int


def head_of(caller: str, model: keras.Model) -> Head:
    """The end of a classifier; an output without softmax or sigmoid is taken as the scores.

    Raises
    ------
    ModelError
        If the model has not one output (batch, classes) of two classes or more.
    """
    outputs = model.outputs
    shape = tuple(outputs[0].shape)
    if len(outputs) > 1 or len(shape) != 2 or shape[-1] is None:
        found = f"{len(outputs)} outputs" if len(outputs) > 1 else f"an output {shape}"
        raise ModelError(caller, [f"model: {model.name!r} is not a classifier: {found}, expected (batch, classes)"])
    before, raw, activation = _without_activation(outputs[0])
    if shape[-1] == 1 and activation != "sigmoid":
        raise ModelError(caller, [f"model: {model.name!r} is not a classifier: its one output has no sigmoid"])

    def scores(values: tf.Tensor) -> tf.Tensor:
        found = tf.cast(raw(values), tf.float32)
        return tf.concat([-found, found], axis=-1) if shape[-1] == 1 else found

    return Head(before, scores, ACTIVATIONS[activation or "softmax"], max(shape[-1], 2))


def check_class(caller: str, class_id: int | None, classes: int) -> None:
    """Raise a DataError for what is no class id."""
    if class_id is not None and not (is_count(class_id, least=0) and class_id < classes):
        raise DataError(caller, [f"class_id: {class_id!r} is neither None nor an integer from 0 to {classes - 1}"])


def _without_activation(output: keras.KerasTensor) -> tuple[keras.KerasTensor, Callable[[Any], Any], str | None]:
    """A tensor, what makes the scores of it, and the name of the activation that was left out."""
    operation, number, _ = output._keras_history
    if graph_of(operation) is not None:  # the end lies in a model in the model
        inner = _activation_of(maker_of(output))
        return output, SCORES.get(inner or "", tf.identity), inner
    activation = _activation_of(operation)
    if activation is None:
        return output, tf.identity, None
    (source,) = operation._inbound_nodes[number].input_tensors
    if not getattr(operation, "weights", ()):
        return source, tf.identity, activation
    return source, _linear(operation, source), activation


def _log(values: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(tf.cast(values, tf.float32), TINY))


# Scores of which an activation makes these probabilities.
SCORES: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "softmax": _log,
    "sigmoid": lambda values: _log(values) - _log(1 - tf.cast(values, tf.float32)),
}


def _activation_of(operation: Any) -> str | None:
    """Name of the activation that an operation is, or ends with, where that makes probabilities."""
    own = getattr(getattr(operation, "activation", None), "__name__", "")
    return next((name for name in ACTIVATIONS if name in (own, type(operation).__name__.lower())), None)


def _linear(layer: keras.layers.Layer, source: keras.KerasTensor) -> Callable[[Any], Any]:
    """The same layer without its activation, on the same weights."""
    twin = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    twin.build(source.shape)

    def call(values: tf.Tensor) -> tf.Tensor:
        trainable = [variable.value for variable in layer.trainable_variables]
        others = [variable.value for variable in layer.non_trainable_variables]
        return twin.stateless_call(trainable, others, values)[0]

    return call
