"""Monte-Carlo dropout: the networks that dropout makes of one, in a graph that gives the same answer each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.models.graphs import graph_of

_SPATIAL = (keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D)


def dropout_layers(model: keras.Model) -> list[keras.layers.Dropout]:
    """The layers of a graph that drop units in training, also those of models in it, in the order of the graph.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> [layer.name for layer in dropout_layers(build_classifier((8, 8, 1), 2, filters=(2,), dense=(4, 4)))]
    ['dropout_1', 'dropout_2']
    """
    return list(_dropping(model))


def _dropping(operation: Any) -> Iterator[keras.layers.Dropout]:
    graph = graph_of(operation)
    if graph is not None:
        for inner in graph.operations:
            yield from _dropping(inner)
    elif isinstance(operation, keras.layers.Dropout) and 0 < operation.rate < 1:
        yield operation


def dropout_passes(model: keras.Model, passes: int = 20, seed: int = 0) -> Callable[[tf.Tensor], tf.Tensor]:
    """Make the function that runs a model with its dropout on, several times.

    The units that are dropped hang on ``seed``, the layer, the pass and the unit alone: a pass is one network, the same
    for every sample and on every call, so that an answer does not depend on the other samples of a batch. No variable
    is read or changed for it. What lies before the first dropout is computed once.

    Parameters
    ----------
    model : keras.Model
        Functional, of one input and one output.
    passes : int
    seed : int
        0 or more.

    Returns
    -------
    callable
        Samples (batch, *input_shape) -> (passes, batch, *output_shape), to be called in a graph or eagerly.

    Raises
    ------
    ModelError
        If no layer of the model drops units.

    Examples
    --------
    >>> inputs = keras.Input((4,))
    >>> run = dropout_passes(keras.Model(inputs, keras.layers.Dropout(0.5)(inputs)), passes=3)
    >>> run(tf.ones((2, 4))).numpy()[:, 0].tolist() == run(tf.ones((2, 4))).numpy()[:, 1].tolist()
    True

    References
    ----------
    Gal and Ghahramani, *Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning*, ICML
    2016.
    """
    layers = dropout_layers(model)
    if not layers:
        fault = "no layer drops units (keras.layers.Dropout with a rate above 0), so all passes would be the same"
        raise ModelError(model.name, [fault])

    def run(samples: tf.Tensor) -> tf.Tensor:
        found = _Walk(layers, passes, seed).through(model, samples)
        return tf.reshape(found, [passes, -1, *_sizes(found)])

    return run


class _Walk:
    """One way through a graph; from the first dropout on there is a row for each pass and sample, pass by pass."""

    def __init__(self, layers: list[keras.layers.Dropout], passes: int, seed: int) -> None:
        self._numbers = {id(layer): number for number, layer in enumerate(layers)}
        self._passes, self._seed = passes, seed
        self._is_repeated: dict[Any, bool] = {}  # of each value of the graph; constants are none of them

    def through(self, model: Any, samples: tf.Tensor) -> tf.Tensor:
        """The one output of a model."""
        self._is_repeated[samples.ref()] = False
        (found,) = keras.tree.flatten(graph_of(model)._run_through_graph(samples, operation_fn=self._called))
        return found

    def _called(self, operation: Any) -> Callable[..., Any]:
        """An operation as it is to be called.

        What a graph itself says of ``training`` does not count, as it does not where Keras trains the graph.
        """
        if id(operation) in self._numbers:
            return lambda value, **_: self._noted(self._dropped(operation, value), True)
        graph = graph_of(operation)
        if graph is not None and dropout_layers(graph):
            return lambda values, **_: graph._run_through_graph(values, operation_fn=self._called)

        def call(*args: Any, **kwargs: Any) -> Any:
            if "training" in getattr(operation, "_call_context_args", ()):  # some layers train where nothing is said
                kwargs["training"] = False
            given = keras.tree.flatten((args, kwargs))
            repeated = any(self._is_repeated.get(value.ref(), False) for value in given if tf.is_tensor(value))
            if repeated:
                args, kwargs = keras.tree.map_structure(self._repeated, (args, kwargs))
            return self._noted(operation(*args, **kwargs), repeated)

        return call

    def _noted(self, outputs: Any, repeated: bool) -> Any:
        self._is_repeated |= {value.ref(): repeated for value in keras.tree.flatten(outputs)}
        return outputs

    def _repeated(self, value: Any) -> Any:
        """A value of the graph with a row for each pass and sample."""
        if not tf.is_tensor(value) or self._is_repeated.get(value.ref(), True):
            return value
        return tf.tile(value, [self._passes] + [1] * (value.shape.rank - 1))

    def _dropped(self, layer: keras.layers.Dropout, value: tf.Tensor) -> tf.Tensor:
        """A value with the units of each pass dropped, the same ones in every sample."""
        sizes = _sizes(value)
        # Told by name: it is the same on every device.
        seed = tf.constant([self._seed, self._numbers[id(layer)]], tf.int64)
        drawn = tf.random.stateless_uniform([self._passes, 1, *_units(layer, sizes)], seed, alg="philox")
        kept = tf.cast(drawn >= layer.rate, value.dtype) / (1 - layer.rate)
        rows = [self._passes, -1] if self._is_repeated[value.ref()] else [1, -1]
        return tf.reshape(tf.reshape(value, [*rows, *sizes]) * kept, [-1, *sizes])


def _sizes(value: tf.Tensor) -> list[Any]:
    """All axes but the first: numbers where they are known, else tensors."""
    shape = tf.shape(value)
    return [shape[axis] if size is None else size for axis, size in enumerate(value.shape) if axis]


def _units(layer: keras.layers.Dropout, sizes: list[Any]) -> list[Any]:
    """Of which size what is dropped is: 1 on the axes that are dropped together."""
    if isinstance(layer, _SPATIAL):
        return [*[1] * (len(sizes) - 1), sizes[-1]]
    shape = layer.noise_shape or [None] * (len(sizes) + 1)
    return [size if chosen is None else chosen for size, chosen in zip(sizes, shape[1:], strict=True)]
