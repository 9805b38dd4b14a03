"""What an export says about itself, read from its files without running it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from tumorkeras.errors import ModelError
from tumorkeras.serving.publishing import is_version

Signatures = dict[str, dict[str, dict[str, dict[str, Any]]]]

_INITIALISER = "__saved_model_init_op"
_SAVED_MODEL = "saved_model.pb"
_VARIABLES = {"VarHandleOp", "Variable", "VariableV2"}


def read_graph(path: Path) -> meta_graph_pb2.MetaGraphDef:
    """Read the graph that TF Serving would load, the one tagged ``serve``.

    Raises
    ------
    ModelError
        If ``saved_model.pb`` is missing, cannot be decoded or holds no such graph.
    """
    file = path / _SAVED_MODEL
    message = saved_model_pb2.SavedModel()
    try:
        message.ParseFromString(file.read_bytes())
    except OSError as error:
        if versions := _versions_in(path):
            raise ModelError(f"{path}: holds the versions {', '.join(versions)}; give the folder of one") from None
        raise ModelError(f"{file}: cannot be read ({error.strerror}); expected a SavedModel") from None
    except DecodeError:
        raise ModelError(f"{file}: cannot be decoded; expected a SavedModel") from None
    for graph in message.meta_graphs:
        if tf.saved_model.SERVING in graph.meta_info_def.tags:
            return graph
    raise ModelError(str(file), ["no graph has the tag 'serve', the one that TF Serving loads"])


def _versions_in(path: Path) -> list[str]:
    found = [file.parent.name for file in path.glob(f"*/{_SAVED_MODEL}")]
    return sorted((name for name in found if is_version(name)), key=int)


def signatures_of(graph: meta_graph_pb2.MetaGraphDef) -> Signatures:
    """List the signatures: name -> inputs, outputs -> tensor -> ``dtype`` and ``shape`` (None is open)."""
    return {
        name: {
            "inputs": {key: _tensor(info) for key, info in sorted(signature.inputs.items())},
            "outputs": {key: _tensor(info) for key, info in sorted(signature.outputs.items())},
        }
        for name, signature in _served(graph)
    }


def tensors_of(graph: meta_graph_pb2.MetaGraphDef) -> dict[str, dict[str, dict[str, str]]]:
    """Name the graph's own tensors behind a signature's: name -> inputs, outputs -> tensor -> ``operation:index``."""
    return {
        name: {
            "inputs": {key: info.name for key, info in sorted(signature.inputs.items())},
            "outputs": {key: info.name for key, info in sorted(signature.outputs.items())},
        }
        for name, signature in _served(graph)
    }


def _served(graph: meta_graph_pb2.MetaGraphDef) -> list[tuple[str, meta_graph_pb2.SignatureDef]]:
    return sorted((name, value) for name, value in graph.signature_def.items() if name != _INITIALISER)


def _tensor(info: meta_graph_pb2.TensorInfo) -> dict[str, Any]:
    if not info.dtype:  # a ragged tensor is several, and has no dtype or shape of its own
        return {"dtype": info.WhichOneof("encoding"), "shape": None}
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
    return {"dtype": tf.as_dtype(info.dtype).name, "shape": shape}


# ------------------------------------------------------------------------------------------------------------ faults


def folder_faults(path: Path, graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """What keeps TF Serving from seeing the export, or from what it serves by default."""
    faults = []
    if not is_version(path.name):
        faults.append(f"folder: named {path.name!r}, expected an integer; TF Serving ignores other names, so rename it")
    served = [name for name, _ in _served(graph)]
    if tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY not in served:
        faults.append(f"signatures: {', '.join(served) or 'none'} found, expected serving_default among them")
    return faults


def signature_faults(graph: meta_graph_pb2.MetaGraphDef) -> dict[str, list[str]]:
    """What cannot be batched or sent: signature -> one line a fault, of every signature."""
    faults: dict[str, list[str]] = {}
    for name, signature in _served(graph):
        sides = (("input", signature.inputs), ("output", signature.outputs))
        faults[name] = [
            f"{name}: {side} {key!r} {fault}"
            for side, tensors in sides
            for key, info in sorted(tensors.items())
            for fault in _tensor_faults(info)
        ]
    return faults


def _tensor_faults(info: meta_graph_pb2.TensorInfo) -> Iterator[str]:
    shape = _tensor(info)["shape"]
    if info.WhichOneof("encoding") != "name":
        yield "is sparse or ragged, expected a dense tensor; pad it"
        return
    if shape is None:
        yield "has no known rank, expected an open batch dimension first; set its shape"
    elif not shape:
        yield "is a scalar, expected an open batch dimension first; repeat it for every row"
    elif shape[0] is not None:
        yield f"has the fixed batch size {shape[0]}, expected an open batch dimension; give None as its size"
    dtype = tf.as_dtype(info.dtype)
    if dtype != tf.string and np.dtype(dtype.as_numpy_dtype).kind not in "biuf":
        yield f"is {dtype.name}, expected numbers or strings; cast it"


def ops_of(graph: meta_graph_pb2.MetaGraphDef) -> dict[str, list[str]]:
    """List the ops of the graph and of every function of its library: op -> where it stands."""
    # Bodies of loops, branches and tf.data maps are functions of the library too.
    functions = [("graph", graph.graph_def.node)]
    functions += [(body.signature.name, body.node_def) for body in graph.graph_def.library.function]
    own = {name for name, _ in functions}  # calling a function by its name is no op
    places: dict[str, list[str]] = {}
    for name, nodes in functions:
        for op in {node.op for node in nodes} - own:
            places.setdefault(op, []).append(name)
    return dict(sorted(places.items()))


def python_faults(ops: dict[str, list[str]]) -> list[str]:
    """Ops that call back into a Python that a server does not have."""
    return [
        f"{place}: op {op} calls Python, which a server does not have; use TensorFlow ops"
        for op, places in ops.items()
        if "PyFunc" in op
        for place in places
    ]


def custom_faults(unknown: Iterable[str], ops: dict[str, list[str]]) -> list[str]:
    """Ops that TensorFlow itself does not have."""
    mend = "a server would have to be built with it, so use TensorFlow's own"
    return [f"{place}: op {op} is not part of TensorFlow; {mend}" for op in unknown for place in ops[op]]


def variable_faults(path: Path, graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """Files of ``variables/`` that the graph restores, and that are missing or empty."""
    restores = graph.saver_def.restore_op_name and any(node.op in _VARIABLES for node in graph.graph_def.node)
    if not restores:
        return []
    folder = path / "variables"
    shards = [re.search(r"-of-(\d{5})$", file.name) for file in folder.glob("variables.data-*")]
    count = max((int(shard[1]) for shard in shards if shard), default=1)
    names = ["variables.index", *(f"variables.data-{number:05d}-of-{count:05d}" for number in range(count))]
    mend = "its variables cannot be restored; copy the whole export again"
    return [
        f"variables/{name}: {'is empty' if (folder / name).is_file() else 'is missing'}; {mend}"
        for name in names
        if not (folder / name).is_file() or not (folder / name).stat().st_size
    ]
