"""ONNX: written by tf2onnx, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras.errors import first_line
from tumorkeras.serving.formats.base import Arrays, CannotConvertError, Format, Frozen, Runner, operations

#: New enough for every operation here, old enough for the runtimes of the last years.
OPSET = 18
_FILE = "model.onnx"
_FATAL = 4  # all that is less comes as an error, too


def _write(model: Frozen, folder: Path) -> None:
    import tf2onnx

    names = {tensor: name for name, tensor in (*model.inputs.items(), *model.outputs.items())}
    try:
        converted, _ = tf2onnx.convert.from_graph_def(
            model.graph.as_graph_def(),
            input_names=list(model.inputs.values()),
            output_names=list(model.outputs.values()),
            opset=OPSET,
            tensors_to_rename=names,
        )
    except Exception as error:  # of any class
        raise CannotConvertError(f"tf2onnx cannot convert it ({first_line(error)})") from None
    # What tf2onnx does not know it leaves as it is.
    unknown = set(_unknown(converted.graph))
    if unknown:
        raise CannotConvertError(f"ONNX has no {', '.join(operations(model.graph, unknown))}")
    (folder / _FILE).write_bytes(converted.SerializeToString())


def _unknown(graph: Any) -> Iterator[str]:
    """Types of the nodes that ONNX does not have, also in the branches of conditions and the bodies of loops."""
    import onnx

    for node in graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            yield node.op_type
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _unknown(attribute.g)


def _load(file: Path, threads: int | None) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    outputs = [each.name for each in session.get_outputs()]

    def run(given: Mapping[str, np.ndarray]) -> Arrays:
        return dict(zip(outputs, session.run(outputs, dict(given)), strict=True))

    # An open size has a name there.
    shapes = {
        each.name: tuple(side if isinstance(side, int) else None for side in each.shape)
        for each in session.get_inputs()
    }
    return Runner(shapes, run)


FORMAT = Format((_FILE,), {"onnxruntime": "onnxruntime"}, {"onnx": "onnx", "tf2onnx": "tf2onnx"}, _write, _load)
