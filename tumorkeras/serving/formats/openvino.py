"""OpenVINO: its own reader of TensorFlow graphs writes its IR, and it runs that on the CPU."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tumorkeras.layers.letterbox import SHORTCUT
from tumorkeras.serving.formats.base import Arrays, CannotConvertError, Format, Frozen, Runner, float64, operations

_FILES = ("model.xml", "model.bin")


def import_openvino() -> Any:
    """Import OpenVINO so that it reports to nobody.

    Importing it tells a web analytics service and writes an identifier to the user's home, unless the package that does
    so is not there: then it goes without. None in its place is as good as that.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _write(model: Frozen, folder: Path) -> None:
    openvino = import_openvino()
    lacks = float64(model.graph)
    with tempfile.TemporaryDirectory(prefix="tumorkeras-openvino-") as name:
        file = Path(name) / "frozen.pb"
        file.write_bytes(_without_shortcuts(model).SerializeToString())
        try:
            converted = openvino.Core().read_model(str(file))
        except RuntimeError as error:
            lacks += _lacks(model, str(error))
        if lacks:
            raise CannotConvertError(f"OpenVINO has no {', '.join(lacks)}")
        _rename(converted.inputs, model.inputs)
        _rename(converted.outputs, model.outputs)
        _keep_kernels_apart(openvino.opset8, converted)
        openvino.save_model(converted, str(folder / _FILES[0]), compress_to_fp16=False)


def _without_shortcuts(model: Frozen) -> Any:
    """The GraphDef, in which images of the canvas' size go the way of all others.

    Where the answer of a branch has open sides, the CPU plugin goes on with memory that it has given back whenever the
    answer outgrows the ones before.
    """
    graph = model.graph.as_graph_def()
    for node in graph.node:
        if node.op in ("If", "StatelessIf") and SHORTCUT in node.name.split("/"):
            del node.input[0]  # what the branch hung on
            branch = node.attr["else_branch"].func.name
            for name in set(node.attr) - {"Tin", "Tout"}:
                del node.attr[name]
            node.op, node.attr["f"].func.name = "PartitionedCall", branch
    kept = [tensor.split(":")[0] for tensor in model.outputs.values()]
    return tf.compat.v1.graph_util.extract_sub_graph(graph, kept)  # without what the branches hung on


def _rename(ports: list, names: Mapping[str, str]) -> None:
    """Call tensors as the signature does; it has more names for each."""
    for port in ports:
        (own,) = (name for name, tensor in names.items() if tensor in port.get_names())
        port.get_tensor().set_names({own})


def _keep_kernels_apart(opset: Any, model: Any) -> None:
    """Keep kernels of transposed convolutions apart from equal ones of convolutions, as tied ones are.

    A file has equal constants once, and the CPU plugin then packs the kernel once for both, which is wrong where it has
    as many channels as filters. So it is written with its axes reversed, and turned when the model is compiled.
    """
    for node in model.get_ops():
        if node.get_type_name() != "ConvolutionBackpropData":
            continue
        kernel = node.input_value(1).get_node()
        if kernel.get_type_name() == "Constant":
            reverse = np.arange(kernel.get_data().ndim)[::-1]
            values = opset.constant(np.ascontiguousarray(kernel.get_data().T))
            node.input(1).replace_source_output(opset.transpose(values, opset.constant(reverse)).output(0))


def _lacks(model: Frozen, message: str) -> list[str]:
    named = re.findall(r"No conversion rule found for operations: (.+)", message)
    if not named:
        raise CannotConvertError(f"OpenVINO cannot convert it ({message.strip().splitlines()[-1]})")
    return operations(model.graph, named[0].strip().split(", "))


def _load(file: Path, threads: int | None) -> Runner:
    openvino = import_openvino()
    # By default it takes shorter floats where the processor has them.
    settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    core = openvino.Core()
    model = core.read_model(str(file))
    # Compiled, operations are fused and a tensor may go by more names than its own; the order stays.
    outputs = [port.any_name for port in model.outputs]
    shapes = {
        port.any_name: tuple(side.get_length() if side.is_static else None for side in port.partial_shape)
        for port in model.inputs
    }
    compiled = core.compile_model(model, "CPU", settings)

    def run(given: Mapping[str, np.ndarray]) -> Arrays:
        # A request of its own, so that threads do not share one.
        found = compiled.create_infer_request().infer([given[name] for name in shapes])
        return {name: np.array(found[number]) for number, name in enumerate(outputs)}

    return Runner(shapes, run)


FORMAT = Format(_FILES, {"openvino": "openvino"}, {}, _write, _load)
