"""LiteRT (TensorFlow Lite): written by TensorFlow, run by LiteRT's interpreter.

TensorFlow has an interpreter, too, and will drop it for this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tensorflow as tf

from tumorkeras.errors import first_line
from tumorkeras.serving.formats.base import (
    DEFAULT,
    Arrays,
    CannotConvertError,
    Format,
    Frozen,
    Runner,
    float64,
    operations,
)
from tumorkeras.serving.formats.pooling import without_max_pool_3d

_FILE = "model.tflite"


def _write(model: Frozen, folder: Path) -> None:
    lacks = float64(model.graph)
    holder = tf.Module()
    holder.run = _function(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([holder.run.get_concrete_function()], holder)
    try:
        converted = converter.convert()
    except Exception as error:  # its class is private
        lacks += _lacks(model, str(error))
    if lacks:
        raise CannotConvertError(f"LiteRT has no {', '.join(lacks)}")
    (folder / _FILE).write_bytes(converted)


def _function(model: Frozen) -> Any:
    """The graph as a function again, with poolings that LiteRT has."""
    graph = without_max_pool_3d(model.graph)
    inputs = {name: model.graph.get_tensor_by_name(tensor) for name, tensor in model.inputs.items()}
    specs = {name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name) for name, tensor in inputs.items()}

    @tf.function(input_signature=[specs], autograph=False)
    def run(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        read = {tensor: given[name] for name, tensor in model.inputs.items()}
        found = tf.graph_util.import_graph_def(graph, read, list(model.outputs.values()), name="")
        return dict(zip(model.outputs, found, strict=True))

    return run


def _lacks(model: Frozen, message: str) -> list[str]:
    """What the converter names in the end, after a page on each: operations, some of them only of float64."""
    details = re.findall(r"^\ttf\.(\w+)\((.*)", message, re.MULTILINE)
    if not details:
        raise CannotConvertError(f"LiteRT cannot convert it ({first_line(message)})")
    return operations(model.graph, (name for name, types in details if "f64" not in types))


def _load(file: Path, threads: int | None) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=threads)
    interpreter.allocate_tensors()  # here, for it writes to standard error
    run_signature = interpreter.get_signature_runner(DEFAULT)
    lock = Lock()  # an interpreter has one set of buffers

    def run(given: Mapping[str, np.ndarray]) -> Arrays:
        with lock:
            return dict(run_signature(**given))

    details = run_signature.get_input_details()
    shapes = {
        name: tuple(None if side < 0 else int(side) for side in each["shape_signature"])
        for name, each in details.items()
    }
    return Runner(shapes, run)


FORMAT = Format((_FILE,), {"ai_edge_litert": "ai-edge-litert"}, {}, _write, _load)
