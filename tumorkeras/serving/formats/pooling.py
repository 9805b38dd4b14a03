"""Max pooling of volumes as two poolings of images, for LiteRT, which has no other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf


def without_max_pool_3d(graph: tf.Graph) -> Any:
    """The graph with each ``MaxPool3D`` replaced: first height and width are pooled, then depth, which is the same.

    Parameters
    ----------
    graph : tf.Graph
        All sizes but the batch are known.

    Returns
    -------
    tf.compat.v1.GraphDef
    """
    rewritten = tf.compat.v1.GraphDef()
    rewritten.CopyFrom(graph.as_graph_def())
    nodes = list(rewritten.node)
    del rewritten.node[:]
    for node in nodes:
        operation = graph.get_operation_by_name(node.name)
        rewritten.node.extend(_replacement(node, operation) if _replaceable(operation) else [node])
    return rewritten


def _replaceable(operation: tf.Operation) -> bool:
    return (
        operation.type == "MaxPool3D"
        and operation.get_attr("data_format") == b"NDHWC"
        and operation.inputs[0].shape[1:].is_fully_defined()
    )


def _replacement(node: Any, operation: tf.Operation) -> Iterable[Any]:
    with tf.Graph().as_default() as part:
        given = tf.compat.v1.placeholder(operation.inputs[0].dtype, operation.inputs[0].shape, name="given")
        _pool(given, operation.outputs[0].shape, operation)

    def name(old: str) -> str:
        return {"given": node.input[0], "pooled": node.name}.get(old, f"{node.name}/{old}")

    for each in part.as_graph_def().node:
        if each.name == "given":
            continue
        inputs = [name(old) for old in each.input]
        each.name = name(each.name)
        del each.input[:]
        each.input.extend(inputs)
        yield each


def _pool(x: tf.Tensor, pooled: tf.TensorShape, operation: tf.Operation) -> tf.Tensor:
    depth, height, width, channels = x.shape[1:]
    _, *size, _ = operation.get_attr("ksize")
    _, *stride, _ = operation.get_attr("strides")
    padding = operation.get_attr("padding").decode()
    x = tf.reshape(x, (-1, height, width, channels))
    x = tf.nn.max_pool2d(x, size[1:], stride[1:], padding)
    x = tf.reshape(x, (-1, depth, pooled[2] * pooled[3], channels))
    x = tf.nn.max_pool2d(x, (size[0], 1), (stride[0], 1), padding)
    return tf.reshape(x, (-1, *pooled[1:]), name="pooled")
