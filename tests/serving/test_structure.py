"""What the files of an export tell without running it."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from tumorkeras.errors import ModelError
from tumorkeras.serving.requests import check_warm_up
from tumorkeras.serving.structure import (
    custom_faults,
    folder_faults,
    ops_of,
    python_faults,
    read_graph,
    signature_faults,
    signatures_of,
    variable_faults,
)
from tumorkeras.serving.warm_up import FILE, Request, write_warm_up

OPEN = tf.TensorSpec((None, 3), tf.float32, name="inputs")
ROWS = np.ones((2, 3), "float32")


def python_in_a_loop(inputs):
    def body(count, values):
        return count + 1, tf.ensure_shape(tf.py_function(tf.tanh, [values], tf.float32), (None, 3))

    return {"outputs": tf.while_loop(lambda count, values: count < 3, body, [0, inputs])[1]}


FUNCTIONS = {
    "serving_default": lambda inputs: {"outputs": inputs, "names": tf.strings.as_string(inputs)},
    "python": python_in_a_loop,
    "scalar": lambda inputs: {"outputs": tf.reduce_sum(inputs)},
    "fixed": lambda inputs: {"outputs": inputs[:2] + tf.zeros((2, 3))},
    "unknown": lambda inputs: {"outputs": tf.raw_ops.PlaceholderWithDefault(input=inputs, shape=None)},
    "complex": lambda inputs: {"outputs": tf.cast(inputs, tf.complex64)},
}


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """With a variable, and one signature a fault."""
    module = tf.Module()
    module.factor = tf.Variable(2.0)
    traced = {
        name: tf.function(function, input_signature=[OPEN]).get_concrete_function()
        for name, function in FUNCTIONS.items()
    }
    module.scaled = tf.function(lambda inputs: {"outputs": inputs * module.factor}, input_signature=[OPEN])
    folder = tmp_path_factory.mktemp("exports") / "1"
    tf.saved_model.save(module, str(folder), signatures={**traced, "scaled": module.scaled.get_concrete_function()})
    return folder


@pytest.fixture(scope="module")
def graph(export):
    return read_graph(export)


def test_each_signature_has_its_fault(graph):
    faults = signature_faults(graph)
    assert faults["serving_default"] == faults["scaled"] == faults["python"] == []
    parts = {
        "scalar": "output 'outputs' is a scalar",
        "fixed": "output 'outputs' has the fixed batch size 2",
        "unknown": "output 'outputs' has no known rank",
        "complex": "output 'outputs' is complex64, expected numbers or strings",
    }
    for name, part in parts.items():
        (fault,) = faults[name]
        assert fault.startswith(f"{name}: {part}")


def test_ragged_and_sparse_outputs(tmp_path):
    functions = {
        "serving_default": lambda inputs: {"outputs": tf.RaggedTensor.from_tensor(inputs)},
        "sparse": lambda inputs: {"outputs": tf.sparse.from_dense(inputs)},
    }
    traced = {
        name: tf.function(each, input_signature=[OPEN]).get_concrete_function() for name, each in functions.items()
    }
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"), signatures=traced)
    graph = read_graph(tmp_path / "1")
    assert signatures_of(graph)["serving_default"]["outputs"]["outputs"]["dtype"] == "composite_tensor"
    for name, faults in signature_faults(graph).items():
        assert faults == [f"{name}: output 'outputs' is sparse or ragged, expected a dense tensor; pad it"]


def test_python_and_custom_ops_are_found_in_the_functions_of_the_graph(export):
    graph = read_graph(export)
    (fault,) = python_faults(ops_of(graph))
    assert "op EagerPyFunc calls Python" in fault
    assert fault.startswith("while_body")
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            node.op = "BlurCells" if node.op == "AsString" else node.op
    ops = ops_of(graph)
    assert "StatefulPartitionedCall" in ops
    assert not {function.signature.name for function in graph.graph_def.library.function} & set(ops)
    (fault,) = custom_faults(["BlurCells"], ops)
    assert "op BlurCells is not part of TensorFlow" in fault


def test_the_folder_must_be_a_version(export, graph):
    assert folder_faults(export, graph) == []
    (fault,) = folder_faults(export.parent / "latest", graph)
    assert "named 'latest', expected an integer" in fault
    empty = type(graph)()
    assert "none found, expected serving_default" in folder_faults(export, empty)[0]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda folder: None, None),
        (lambda folder: shutil.rmtree(folder / "variables"), "variables/variables.index: is missing"),
        (lambda folder: (folder / "variables" / "variables.index").unlink(), "variables/variables.index: is missing"),
        (
            lambda folder: (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b""),
            "variables/variables.data-00000-of-00001: is empty",
        ),
        (
            lambda folder: (folder / "variables" / "variables.data-00000-of-00001").rename(
                folder / "variables" / "variables.data-00000-of-00002"
            ),
            "variables/variables.data-00001-of-00002: is missing",
        ),
    ],
)
def test_files_of_variables(spoil, fault, export, graph, tmp_path):
    folder = shutil.copytree(export, tmp_path / "1")
    spoil(folder)
    found = variable_faults(folder, graph)
    assert bool(found) == bool(fault)
    if fault:
        assert found[0].startswith(fault)
        assert "copy the whole export again" in found[0]


def test_a_graph_without_variables_needs_no_files(graph, tmp_path):
    constant = type(graph)()
    constant.saver_def.restore_op_name = "restore"
    assert variable_faults(tmp_path, constant) == []


def test_a_folder_without_a_graph(export, tmp_path):
    (tmp_path / "1").mkdir()
    with pytest.raises(ModelError, match=r"cannot be read \(No such file"):
        read_graph(tmp_path / "1")
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\xff\xff not a graph")
    with pytest.raises(ModelError, match="cannot be decoded"):
        read_graph(tmp_path / "1")
    (tmp_path / "1" / "saved_model.pb").write_bytes(saved_model_pb2.SavedModel().SerializeToString())
    with pytest.raises(ModelError, match="no graph has the tag 'serve'"):
        read_graph(tmp_path / "1")


def test_a_folder_of_versions_names_them(export, tmp_path):
    for name in ("10", "9", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    (tmp_path / "11").mkdir()
    with pytest.raises(ModelError, match="holds the versions 9, 10; give the folder of one"):
        read_graph(tmp_path)


# -------------------------------------------------------------------------------------------------- the warm-up file


def check(folder, graph, *requests):
    write_warm_up(folder / "assets.extra", "cells", requests)
    return check_warm_up(folder, signatures_of(graph))


def test_requests_that_fit_are_kept_by_number(graph, tmp_path):
    assert check_warm_up(tmp_path, signatures_of(graph)) == ({}, [], [])
    right = Request("scaled", {"inputs": ROWS}, {"outputs": 2 * ROWS})
    found = check(tmp_path, graph, Request("scaled", {}, None), right)
    assert list(found.requests) == [1]
    np.testing.assert_array_equal(found.requests[1].outputs["outputs"], 2 * ROWS)
    assert found.faults == [f"{FILE}: record 0: scaled: input 'inputs' is missing"]


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (Request("score", {"inputs": ROWS}, None), "asks for the signature 'score'; there are complex, fixed"),
        (Request("scaled", {"inputs": ROWS, "extra": ROWS}, None), "'extra' is no input; there are inputs"),
        (Request("scaled", {"inputs": ROWS.astype("float64")}, None), "'inputs' is float64, expected float32"),
        (Request("scaled", {"inputs": ROWS[:, :2]}, None), "has the shape (2, 2), expected (None, 3)"),
        (Request("scaled", {"inputs": ROWS[0]}, None), "has the shape (3,), expected (None, 3)"),
        (Request("scaled", {"inputs": ROWS}, {"output": ROWS}), "'output' is no output; there are outputs"),
        (Request("scaled", {"inputs": ROWS}, {"outputs": ROWS[:, :1]}), "output 'outputs' has the shape (2, 1)"),
        (Request("scaled", {"inputs": np.array([[b"a"] * 3], object)}, None), "'inputs' is string, expected float32"),
    ],
)
def test_requests_that_do_not_fit(request_, fault, graph, tmp_path):
    found = check(tmp_path, graph, request_)
    assert found.requests == {}
    (said,) = found.faults
    assert said.startswith(f"{FILE}: record 0: ")
    assert fault in said


def test_inputs_of_different_lengths(tmp_path):
    tensor = {"dtype": "float32", "shape": [None, 3]}
    signatures = {"both": {"inputs": {"a": tensor, "b": tensor}, "outputs": {}}}
    write_warm_up(tmp_path / "assets.extra", "cells", [Request("both", {"a": ROWS, "b": ROWS[:1]}, None)])
    (fault,) = check_warm_up(tmp_path, signatures).faults
    assert fault.endswith("both: not as many rows of every input ({'a': 2, 'b': 1})")


def test_records_of_other_kinds_and_too_many(graph, tmp_path):
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "cells"
    (tmp_path / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "assets.extra" / FILE)) as writer:
        for _ in range(1001):
            writer.write(log.SerializeToString())
    found = check_warm_up(tmp_path, signatures_of(graph))
    assert found.faults == [f"{FILE}: 1001 records, expected 1000 at most; the server would not load it"]
    assert found.skipped[0] == f"{FILE}: record 0: is a classify_log; only a predict_log is run"
    with tf.io.TFRecordWriter(str(tmp_path / "assets.extra" / FILE)) as writer:
        writer.write(b"")
    assert check_warm_up(tmp_path, signatures_of(graph)).faults == [f"{FILE}: record 0: holds no request"]


def test_a_file_that_cannot_be_read(graph, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / FILE).write_bytes(b"no records at all")
    assert check_warm_up(tmp_path, signatures_of(graph)).faults[0].startswith(f"{FILE}: cannot be read")
