"""The graph of a model, whatever way it was put together, and the layers that make its outputs."""

from __future__ import annotations

from typing import Any

import keras


def graph_of(model: Any) -> Any:
    """A functional model as it is, a Sequential that was built as one over the same layers; None of what has no graph.

    Examples
    --------
    >>> graph_of(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="scores")], name="small")).output_names
    ['scores']
    >>> graph_of(keras.Sequential([keras.layers.Dense(2)])) is None
    True
    """
    if isinstance(model, keras.Sequential):
        inputs = getattr(model, "inputs", None)  # one that was never built has none
        return keras.Model(inputs, model.outputs, name=model.name) if inputs else None
    return model if isinstance(model, keras.Model) and hasattr(model, "operations") else None


def output_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layer that makes each output of a functional model; of a model in it, what makes the output there.

    Examples
    --------
    >>> inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="scores")])
    >>> [layer.name for layer in output_layers(graph_of(keras.Sequential([keras.Input((3,)), inner])))]
    ['scores']
    """
    return [maker_of(output) for output in model.outputs]


def maker_of(output: keras.KerasTensor) -> keras.layers.Layer:
    """The layer that makes one output, as :func:`output_layers` has it."""
    operation, _, number = output._keras_history
    graph = graph_of(operation)
    return operation if graph is None else maker_of(graph.outputs[number])


def nodes_of(network: keras.Model) -> dict[str, Any]:
    """Where a network calls each of its layers first, in the order of the layers.

    Not ``layer.output``: that of a layer which another model calls too, and of a model that is used as a layer, is not
    of this network.
    """
    found: dict[int, tuple[int, Any]] = {}
    waiting, seen = list(network.outputs), set()
    while waiting:
        operation, number, _ = waiting.pop()._keras_history
        key = id(operation)
        if (key, number) in seen:
            continue
        seen.add((key, number))
        node = operation._inbound_nodes[number]
        if key not in found or number < found[key][0]:
            found[key] = number, node
        waiting += node.input_tensors
    return {layer.name: found[id(layer)][1] for layer in network.layers if id(layer) in found}
