"""What an export says about itself, read from ``saved_model.pb`` without running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from tumorkeras.errors import ModelError

Signatures = dict[str, dict[str, dict[str, dict[str, Any]]]]

_INITIALISER = "__saved_model_init_op"


def read_graph(path: Path) -> meta_graph_pb2.MetaGraphDef:
    """Read the graph that TF Serving would load, the one tagged ``serve``.

    Raises
    ------
    ModelError
        If ``saved_model.pb`` is missing, cannot be decoded or holds no such graph.
    """
    file = path / "saved_model.pb"
    message = saved_model_pb2.SavedModel()
    try:
        message.ParseFromString(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}); expected a SavedModel") from None
    except DecodeError:
        raise ModelError(f"{file}: cannot be decoded; expected a SavedModel") from None
    for graph in message.meta_graphs:
        if tf.saved_model.SERVING in graph.meta_info_def.tags:
            return graph
    raise ModelError(str(file), ["no graph has the tag 'serve', the one that TF Serving loads"])


def signatures_of(graph: meta_graph_pb2.MetaGraphDef) -> Signatures:
    """List the signatures: name -> inputs, outputs -> tensor -> ``dtype`` and ``shape`` (None is open)."""
    return {
        name: {
            "inputs": {key: _tensor(info) for key, info in signature.inputs.items()},
            "outputs": {key: _tensor(info) for key, info in signature.outputs.items()},
        }
        for name, signature in sorted(graph.signature_def.items())
        if name != _INITIALISER
    }


def structure_faults(path: Path, graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """Say everything that keeps TF Serving from loading or batching the export, one line a fault."""
    faults = []
    if not (path.name.isascii() and path.name.isdecimal()):
        faults.append(f"folder: named {path.name!r}, expected an integer; TF Serving ignores other names")
    served = {name: value for name, value in graph.signature_def.items() if name != _INITIALISER}
    if tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY not in served:
        found = ", ".join(sorted(served)) or "none"
        faults.append(f"signatures: {found} found, expected serving_default among them")
    for name, signature in sorted(served.items()):
        for side, tensors in (("input", signature.inputs), ("output", signature.outputs)):
            for key, info in sorted(tensors.items()):
                faults.extend(f"{name}: {side} {key!r} {fault}" for fault in _tensor_faults(info))
    for function, op in _python_ops(graph):
        faults.append(f"{function}: op {op} calls Python, which a server does not have; use TensorFlow ops")
    return faults


def _tensor(info: meta_graph_pb2.TensorInfo) -> dict[str, Any]:
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
    return {"dtype": tf.as_dtype(info.dtype).name, "shape": shape}


def _tensor_faults(info: meta_graph_pb2.TensorInfo) -> Iterator[str]:
    shape = _tensor(info)["shape"]
    if info.WhichOneof("encoding") != "name":
        yield "is sparse or ragged, expected a dense tensor"
    elif shape is None:
        yield "has no known rank, expected an open batch dimension first"
    elif not shape:
        yield "is a scalar, expected an open batch dimension first"
    elif shape[0] is not None:
        yield f"has the fixed batch size {shape[0]}, expected an open batch dimension"
    if np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype).kind not in "biuf":
        yield f"is {tf.as_dtype(info.dtype).name}, expected numbers"


def _python_ops(graph: meta_graph_pb2.MetaGraphDef) -> Iterator[tuple[str, str]]:
    # Bodies of loops, branches and tf.data maps are functions of the library too.
    functions = [("graph", graph.graph_def.node)]
    functions += [(body.signature.name, body.node_def) for body in graph.graph_def.library.function]
    for name, nodes in functions:
        for op in sorted({node.op for node in nodes if "PyFunc" in node.op}):
            yield name, op
