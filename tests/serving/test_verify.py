"""The check of exports that other hands wrote: what a server would refuse, found without one."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tumorkeras.errors import ModelError
from tumorkeras.serving.verify import verify_export

OPEN = tf.TensorSpec((None, 3), tf.float32, name="inputs")


def save(function, folder, spec=OPEN, name="serving_default"):
    module = tf.Module()
    concrete = tf.function(function, input_signature=[spec]).get_concrete_function()
    tf.saved_model.save(module, str(folder), signatures={name: concrete})
    return folder


def python_in_a_loop(inputs):
    def body(count, values):
        return count + 1, tf.ensure_shape(tf.py_function(tf.tanh, [values], tf.float32), (None, 3))

    return {"outputs": tf.while_loop(lambda count, values: count < 3, body, [0, inputs])[1]}


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (python_in_a_loop, "op EagerPyFunc calls Python"),
        (lambda inputs: {"outputs": tf.reduce_sum(inputs)}, "output 'outputs' is a scalar"),
        (lambda inputs: {"outputs": inputs[:2] + tf.zeros((2, 3))}, "has the fixed batch size 2"),
        (lambda inputs: {"outputs": tf.strings.as_string(inputs)}, "is string, expected numbers"),
    ],
)
def test_what_a_server_cannot_batch_or_run(function, fault, tmp_path):
    report = verify_export(save(function, tmp_path / "1"))
    assert not report.ok
    assert fault in " ".join(report.faults)


def test_every_fault_is_named_at_once(tmp_path):
    folder = save(
        lambda inputs: {"a": inputs, "b": tf.reduce_sum(inputs)},
        tmp_path / "latest",
        tf.TensorSpec((4, 3), tf.float32, name="inputs"),
        name="serve",
    )
    faults = verify_export(folder).faults
    assert len(faults) == 5
    for part in (
        "'latest'",
        "expected serving_default",
        "input 'inputs' has the fixed",
        "'a' has",
        "'b' is a scalar",
    ):
        assert sum(part in fault for fault in faults) == 1, part


def test_ragged_outputs_are_refused(tmp_path):
    folder = save(lambda inputs: {"outputs": inputs}, tmp_path / "1")
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    output = saved.meta_graphs[0].signature_def["serving_default"].outputs["outputs"]
    output.composite_tensor.components.add().name = output.name
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert "is sparse or ragged" in " ".join(verify_export(folder).faults)


def test_what_fails_only_when_it_runs(tmp_path):
    def fails(inputs):
        with tf.control_dependencies([tf.debugging.assert_greater(tf.shape(inputs)[0], 1)]):
            return {"outputs": tf.math.log(inputs - 2.0)}

    report = verify_export(save(fails, tmp_path / "1"))
    assert any("batch of 1: InvalidArgumentError" in fault for fault in report.faults)
    assert any("batch of 3: 'outputs' holds values that are not finite" in fault for fault in report.faults)
    assert report.largest_difference is None


def test_a_folder_without_a_graph(tmp_path):
    (tmp_path / "1").mkdir()
    assert "cannot be read" in verify_export(tmp_path / "1").faults[0]
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\xff\xff not a graph")
    assert "cannot be decoded" in verify_export(tmp_path / "1").faults[0]
    with pytest.raises(ModelError, match="there is no such folder"):
        verify_export(tmp_path / "2")
    with pytest.raises(ModelError, match="without the inputs"):
        verify_export(tmp_path / "1", expected={"serving_default": {"outputs": np.zeros((1, 3))}})
