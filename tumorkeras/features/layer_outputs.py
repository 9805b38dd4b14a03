"""Which layer of a network gives the features, and how outputs with spatial axes become rows of a table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.models import Detector
from tumorkeras.models.detector.backbone import level_name
from tumorkeras.models.graphs import graph_of, nodes_of

Pool = Literal["mean", "max", "mean_max", "flatten"]
POOLS = ("mean", "max", "mean_max", "flatten")
REDUCTIONS: dict[str, Callable[..., tf.Tensor]] = {"mean": tf.reduce_mean, "max": tf.reduce_max}

Taken = list[tuple[str, keras.KerasTensor]]


@dataclass(frozen=True)
class FeatureGraph:
    """A network up to its features, compiled.

    Attributes
    ----------
    names : tuple of str
        Of the features, in order.
    call : callable
        (batch, *input_shape) float32 -> (batch, features) float32, for every size that is open.
    """

    names: tuple[str, ...]
    call: Callable[[Any], tf.Tensor]

    def features_of(self, batch: np.ndarray) -> np.ndarray:
        """The features (batch, k) float32.

        Raises
        ------
        ModelError
            If there is not one row of them for each sample.
        """
        found = self.call(tf.constant(batch)).numpy()
        if len(found) != len(batch):
            raise ModelError(
                "features", [f"layer: gives {len(found)} rows for {len(batch)} samples, expected one each"]
            )
        return found


# By the network, so that the many clones of a search that share one compile it once; weak, so that it can go.
_compiled: WeakKeyDictionary[keras.Model, dict[tuple[str | None, str], FeatureGraph]] = WeakKeyDictionary()


def feature_graph(network: keras.Model, layer: str | None = None, pool: Pool = "mean") -> FeatureGraph:
    """The graph from the inputs of a network to its features, compiled once for a network, layer and pooling.

    Parameters
    ----------
    network : keras.Model
        With one input, or a detector.
    layer : str, optional
        By default the layer ``"features"``; of a detector the levels of its pyramid, finest first, called P2, P3 and
        so on by the power of two that is their stride; of a network without either the last layer whose output has
        spatial axes, not counting what comes before the first kernel (there it is still the image), or where there is
        none what its last layer reads.
    pool : {"mean", "max", "mean_max", "flatten"}
        Over the spatial axes; outputs without stay as they are.

    Raises
    ------
    ModelError
        If there is no such layer, it gives several outputs or reads more than the images, its size is open where the
        pooling needs it, or the network has no graph or several inputs.

    Examples
    --------
    >>> inputs = keras.Input((8, 8, 1))
    >>> maps = keras.layers.Conv2D(2, 3, name="maps")(inputs)
    >>> outputs = keras.layers.Dense(3)(keras.layers.GlobalMaxPooling2D()(maps))
    >>> feature_graph(keras.Model(inputs, outputs), pool="mean_max").names
    ('maps_mean_0', 'maps_mean_1', 'maps_max_0', 'maps_max_1')
    """
    own = _compiled.setdefault(network, {})
    if (layer, pool) not in own:
        own[layer, pool] = _compile(network, layer, pool)
    return own[layer, pool]


def input_of(network: keras.Model) -> keras.KerasTensor:
    """The one array that a network reads; of a detector its images.

    Raises
    ------
    ModelError
        If the network has no graph yet, or reads several arrays.
    """
    graph = graph_of(network)
    if graph is None or not graph.outputs:
        raise ModelError(network.name, ["has no graph; give a functional model, or a Sequential that has been built"])
    if isinstance(network, Detector):
        return next(given for given in graph.inputs if given.name == "images")
    if len(graph.inputs) > 1:
        names = ", ".join(given.name for given in graph.inputs)
        raise ModelError(network.name, [f"reads {len(graph.inputs)} inputs ({names}), expected one array"])
    return graph.inputs[0]


def _compile(network: keras.Model, layer: str | None, pool: Pool) -> FeatureGraph:
    given, taken = input_of(network), _taken(network, layer)
    names = [name for key, tensor in taken for name in _names(network, key, tensor, pool)]
    try:
        graph = keras.Model(given, [tensor for _, tensor in taken])
    except ValueError:  # of a detector whose proposals come from outside
        raise ModelError(network.name, [f"layer: {layer!r} reads more than {given.name}"]) from None

    def call(batch: tf.Tensor) -> tf.Tensor:
        outputs = keras.tree.flatten(graph(batch, training=False))  # of one output Keras gives no list
        return tf.concat([_pooled(output, pool) for output in outputs], axis=-1)

    signature = [tf.TensorSpec((None, *given.shape[1:]), tf.float32)]
    return FeatureGraph(tuple(names), tf.function(call, input_signature=signature, autograph=False))


def _pooled(output: tf.Tensor, pool: Pool) -> tf.Tensor:
    """The output as rows, in float32 also under mixed precision."""
    output = tf.cast(output, tf.float32)
    rank = output.shape.rank
    if rank < 3 or pool == "flatten":
        return tf.reshape(output, (-1, math.prod(output.shape[1:])))
    return tf.concat([REDUCTIONS[part](output, range(1, rank - 1)) for part in pool.split("_")], axis=-1)


def _names(network: keras.Model, key: str, tensor: keras.KerasTensor, pool: Pool) -> list[str]:
    shape = tensor.shape[1:]
    pooled = len(shape) > 1 and pool != "flatten"
    kept = shape[-1:] if pooled else shape
    if None in kept:
        fault = f"layer: {key!r} gives {tensor.shape}, whose size is open; pool it by mean, max or mean_max"
        raise ModelError(network.name, [fault])
    parts = pool.split("_") if pooled else []
    keys = [f"{key}_{part}" for part in parts] if len(parts) > 1 else [key]
    return [f"{each}_{k}" for each in keys for k in range(math.prod(kept))]


def _taken(network: keras.Model, layer: str | None) -> Taken:
    """The outputs that are features, by the names that they have there."""
    nodes = nodes_of(network)
    if layer is not None and layer not in nodes:
        raise ModelError(network.name, [f"has no layer named {layer!r}; its layers are {', '.join(nodes)}"])
    if layer is None and isinstance(network, Detector):
        align = network.get_layer("roi_align")
        *levels, _ = align.input
        return [(level_name(stride), level) for stride, level in zip(align.strides, levels, strict=True)]
    name = layer or ("features" if "features" in nodes else _last_map(network, nodes))
    if name is None:
        sources = nodes[next(reversed(nodes))].input_tensors if nodes else []
        return [(source._keras_history.operation.name, source) for source in sources]
    outputs = nodes[name].output_tensors
    if len(outputs) != 1:
        raise ModelError(network.name, [f"layer: {name!r} gives {len(outputs)} outputs, expected one"])
    return [(name, outputs[0])]


def _last_map(network: keras.Model, nodes: dict[str, Any]) -> str | None:
    """The last layer whose output has spatial axes; what comes before the first kernel is still the image."""
    last, learnt = None, False
    for name, node in nodes.items():
        learnt |= any(len(weight.shape) > 1 for weight in network.get_layer(name).weights)
        if learnt and len(node.output_tensors) == 1 and len(node.output_tensors[0].shape) > 2:
            last = name
    return last
