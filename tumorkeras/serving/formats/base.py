"""What the formats share: how one is described, and the graph that each of them is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from tumorkeras.errors import ModelError, shortened

MOST_LAYERS = 3  # that a message names
DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY

Arrays = dict[str, np.ndarray]


class CannotConvertError(Exception):
    """Why a graph cannot be had in a format, in words for the user."""


class Frozen(NamedTuple):
    """The signature ``serving_default`` with its weights as constants.

    Attributes
    ----------
    graph : tf.Graph
        Calls of functions are inlined, all but the branches of conditions.
    inputs, outputs : dict of str to str
        Name in the signature -> name of the tensor.
    """

    graph: tf.Graph
    inputs: dict[str, str]
    outputs: dict[str, str]


class Runner(NamedTuple):
    """A model file, loaded.

    Attributes
    ----------
    inputs : dict of str to tuple
        Name -> shape; None is open.
    run : callable
        Input -> array, to output -> array; may be called from several threads.
    """

    inputs: dict[str, tuple[int | None, ...]]
    run: Callable[[Mapping[str, np.ndarray]], Arrays]


class Format(NamedTuple):
    """One format.

    Attributes
    ----------
    files : tuple of str
        What :func:`write_formats` leaves; the first is what is loaded.
    packages : dict of str to str
        Module -> the package that it comes with: those that loading needs.
    converters : dict of str to str
        The same of those that only writing needs.
    write : callable
        From the graph to the files in a folder; raises :class:`CannotConvertError`.
    load : callable
        From the first file and a number of threads (None: as the runtime likes) to the runner.
    """

    files: tuple[str, ...]
    packages: dict[str, str]
    converters: dict[str, str]
    write: Callable[[Frozen, Path], None]
    load: Callable[[Path, int | None], Runner]


def frozen(export: Path) -> Frozen:
    """Read ``serving_default`` of a SavedModel. Outputs of strings are left out: not every runtime has strings.

    Raises
    ------
    ModelError
        If there is no SavedModel with that signature.
    """
    if not (export / "saved_model.pb").is_file():
        raise ModelError(f"{export}: holds no SavedModel; expected NAME/VERSION")
    loaded = tf.saved_model.load(str(export))
    signature = loaded.signatures.get(DEFAULT)
    if signature is None:
        raise ModelError(f"{export}: has no signature {DEFAULT!r}, which is the one that is converted")
    specs = signature.structured_input_signature[1]
    kept = sorted(name for name, spec in signature.structured_outputs.items() if spec.dtype != tf.string)

    @tf.function(input_signature=[specs], autograph=False)
    def run(given: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        found = signature(**given)
        return [found[name] for name in kept]

    with tf.device("CPU:0"):
        constant = convert_variables_to_constants_v2(
            run.get_concrete_function(), lower_control_flow=False, aggressive_inlining=True
        )
    inputs = {name: tensor.name for name, tensor in zip(sorted(specs), constant.inputs, strict=True)}
    outputs = {name: tensor.name for name, tensor in zip(kept, constant.outputs, strict=True)}
    return Frozen(_folded(constant.graph, [*inputs.values(), *outputs.values()]), inputs, outputs)


def _folded(graph: tf.Graph, tensors: Iterable[str]) -> tf.Graph:
    """With all worked out that does not hang on the inputs, such as float64 of sizes that are known."""
    with graph.as_default():
        meta = tf.compat.v1.train.export_meta_graph()
    kept = meta.collection_def["train_op"].node_list  # where Grappler looks for what must stay
    kept.value.extend(tensor.split(":")[0] for tensor in tensors)
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.min_graph_nodes = -1  # small ones, too
    rewriting.optimizers.extend(["constfold", "dependency"])
    written = tf_optimizer.OptimizeGraph(config, meta)
    _rename_functions(written)
    with tf.Graph().as_default() as folded:
        tf.graph_util.import_graph_def(written, name="")
    return folded


def _rename_functions(written: Any) -> None:
    """Names of their own for what has been rewritten: TensorFlow still has the functions as they were."""
    names = {each.signature.name: f"{each.signature.name}_folded" for each in written.library.function}
    for each in written.library.function:
        each.signature.name = names[each.signature.name]
    for node in _nodes(written):
        for attribute in node.attr.values():
            for called in (attribute.func, *attribute.list.func):
                if called.name in names:  # to set it would make a function of what is none
                    called.name = names[called.name]


def _nodes(written: Any) -> list[Any]:
    """Every operation of a GraphDef, those in the branches of its conditions included."""
    return [*written.node, *(node for function in written.library.function for node in function.node_def)]


def float64(graph: tf.Graph) -> list[str]:
    """What a runtime that computes in float32 alone has not, with the layers; empty where all is float32.

    A layer that rounds in float64 what hangs on an open size is a whole number off in float32 for some sizes, and no
    set of requests has them all.
    """
    double = tf.float64.as_datatype_enum
    computed = [node for node in _nodes(graph.as_graph_def()) if node.op not in ("Const", "Identity")]
    found = [node for node in computed if any(each.type == double for each in node.attr.values())]
    return [_in_layers("float64", found)] if found else []


def operations(graph: tf.Graph, types: Iterable[str]) -> list[str]:
    """Operations that a runtime has not, with the layers that they are in.

    Examples
    --------
    >>> with tf.Graph().as_default() as graph, tf.name_scope("model/pool_1"):
    ...     _ = tf.nn.max_pool3d(tf.zeros((1, 4, 4, 4, 1)), 2, 2, "SAME")
    >>> operations(graph, ["MaxPool3D"])
    ['MaxPool3D (in pool_1)']
    """
    return [
        _in_layers(name, [node for node in _nodes(graph.as_graph_def()) if node.op == name])
        for name in sorted(set(types))
    ]


def _in_layers(what: str, nodes: Iterable[Any]) -> str:
    """With the layers that the operations belong to, by the scope MODEL/LAYER/... in their names."""
    scopes = [[part for part in node.name.split("/")[:-1] if "PartitionedCall" not in part] for node in nodes]
    layers = list(dict.fromkeys(scope[1] for scope in scopes if len(scope) > 1))
    return f"{what} (in {', '.join(shortened(layers, MOST_LAYERS))})" if layers else what
