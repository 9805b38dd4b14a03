"""The check of exports that other hands wrote: what a server would refuse, found without one."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from read_html import card

from tumorkeras.errors import ModelError
from tumorkeras.serving.synthetic import encoded_images
from tumorkeras.serving.verify import ExportReport, verify_export
from tumorkeras.serving.warm_up import FILE, Request, read_warm_up, write_warm_up

OPEN = tf.TensorSpec((None, 3), tf.float32, name="inputs")
STRINGS = np.array([[b"a\x00", b""], [b"\xff\x00\x00", "ü".encode()], [b"", b"long " * 20]], object)


def save(functions, folder, module=None):
    """An export as TensorFlow alone writes it: signature -> function and the spec of its input."""
    traced = {
        name: tf.function(function, input_signature=[spec]).get_concrete_function()
        for name, (function, spec) in functions.items()
    }
    tf.saved_model.save(module or tf.Module(), str(folder), signatures=traced)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A plain Keras model as Keras exports it, with two requests and what the model answers to them."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,), name="x"), keras.layers.Dense(2, name="y")])
    folder = tmp_path_factory.mktemp("plain") / "3"
    model.export(str(folder), verbose=False)
    batches = [np.random.default_rng(0).random((size, 6), dtype="float32") for size in (1, 2)]
    requests = [Request("serving_default", {"x": x}, {"output_0": model(x).numpy()}) for x in batches]
    write_warm_up(folder / "assets.extra", "plain", requests)
    return folder


def test_a_plain_keras_model_passes(plain):
    report = verify_export(plain)
    assert report.ok, report.faults
    assert report.signatures["serving_default"] == {
        "inputs": {"x": {"dtype": "float32", "shape": [None, 6]}},
        "outputs": {"output_0": {"dtype": "float32", "shape": [None, 2]}},
    }
    assert report.loader == "TensorFlow's C library"
    assert report.skipped == []
    assert set(report.differences) == {"serving_default"}
    assert report.largest_difference == report.differences["serving_default"]["output_0"] < 1e-6
    assert json.loads(json.dumps(report.to_dict()))["ok"] is True
    assert (
        str(report).splitlines()[2].startswith("  serving_default: x (None, 6) float32 -> output_0 (None, 2) float32; ")
    )


def test_answers_of_the_warm_up_file_and_of_the_caller_are_held_to(plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "1")
    first, second = read_warm_up(folder)
    wrong = {"output_0": second.outputs["output_0"] + np.float32([[0], [0.5]])}
    write_warm_up(folder / "assets.extra", "plain", [first, second._replace(outputs=wrong)])
    given = {"serving_default": {"output_0": np.repeat(first.outputs["output_0"], 4, axis=0) + 0.25}}
    report = verify_export(folder, np.repeat(first.inputs["x"], 4, axis=0).astype("float64"), given)
    assert [fault.split(":")[0] for fault in report.faults] == [
        "serving_default (warm-up record 1) with x (6,) in a batch of 2",
        "serving_default (given inputs) with x (6,) in a batch of 1",
        "serving_default (given inputs) with x (6,) in a batch of 3",
        "serving_default (given inputs) with x (6,) in a batch of 4",
        "serving_default (warm-up record 1, the last row alone) with x (6,) in a batch of 1",
    ]
    assert "'output_0' is 0.5 off" in report.faults[0]
    assert report.largest_difference == pytest.approx(0.5)


def test_all_faults_of_files_and_graph_at_once(plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "latest")
    (folder / "variables" / "variables.index").unlink()
    requests = read_warm_up(folder)
    write_warm_up(
        folder / "assets.extra", "plain", [requests[0], requests[1]._replace(inputs={"input": np.ones((2, 6))})]
    )
    report = verify_export(folder)
    assert [fault.split(",")[0] for fault in report.faults] == [
        "folder: named 'latest'",
        "variables/variables.index: is missing; its variables cannot be restored; copy the whole export again",
        f"{FILE}: record 1: serving_default: input 'x' is missing",
        f"{FILE}: record 1: serving_default: 'input' is no input; there are x",
    ]
    assert "were not run" in report.skipped[-1]
    assert str(report).splitlines()[0].endswith("latest: 4 faults")


def test_python_and_ragged_outputs_are_found_in_one_go(tmp_path):
    def python(inputs):
        return {"outputs": tf.ensure_shape(tf.py_function(tf.tanh, [inputs], tf.float32), (None, 3))}

    def ragged_words(inputs):
        return {"outputs": tf.RaggedTensor.from_tensor(inputs)}

    folder = save({"serving_default": (python, OPEN), "words": (ragged_words, OPEN)}, tmp_path / "1")
    ragged, calls = verify_export(folder).faults
    assert ragged == "words: output 'outputs' is sparse or ragged, expected a dense tensor; pad it"
    assert "op EagerPyFunc calls Python, which a server does not have" in calls


def test_what_fails_only_when_it_runs(tmp_path):
    def fails(inputs):
        with tf.control_dependencies([tf.debugging.assert_greater(tf.shape(inputs)[0], 1)]):
            return {"outputs": tf.math.log(inputs - 2.0)}

    functions = {
        "serving_default": (fails, OPEN),
        "fixed": (lambda inputs: {"outputs": tf.ensure_shape(inputs, (2, 3))}, OPEN),
        "grows": (lambda inputs: {"outputs": tf.unique(tf.reshape(inputs, [-1]))[0] * 0}, OPEN),
    }
    report = verify_export(save(functions, tmp_path / "1"))
    sizes = "serving_default with inputs (3,) in a batch of"
    assert report.faults[0].startswith("fixed: output 'outputs' has the fixed batch size 2")
    (refused,) = [fault for fault in report.faults if fault.startswith(f"{sizes} 1: INVALID_ARGUMENT")]
    assert "Condition x > y did not hold" in refused
    assert f"{sizes} 3: 'outputs' holds values that are not finite" in report.faults
    assert "grows with inputs (3,) in a batch of 3: 'outputs' has 9 rows, expected 3" in report.faults
    assert not any(fault.startswith("fixed with") for fault in report.faults)
    assert report.largest_difference is None


def test_ops_that_tensorflow_does_not_have(plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "1")
    file = folder / "saved_model.pb"
    # A name of the same length, so that the message stays whole.
    assert b"BiasAdd" in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(b"MatMul", b"NatNul"))
    report = verify_export(folder)
    assert all("op NatNul is not part of TensorFlow" in fault for fault in report.faults)
    assert report.faults
    assert report.differences == {}


# ----------------------------------------------------------------------------------------------------------- strings


def strings(inputs):
    return {"same": inputs, "length": tf.strings.length(inputs), "fixed": tf.fill(tf.shape(inputs)[:1], b"n\x00")}


def test_strings_are_run_from_the_warm_up_file(tmp_path):
    spec = tf.TensorSpec((None, 2), tf.string, name="words")
    folder = save({"serving_default": (strings, spec)}, tmp_path / "1")
    skipped = verify_export(folder)
    assert skipped.ok
    assert "serving_default: reads strings of an unknown kind, 'words'" in skipped.skipped[0]
    lengths = np.array([[len(value) for value in row] for row in STRINGS], "int32")
    answers = {"same": STRINGS, "length": lengths, "fixed": np.array([b"n\x00"] * 3, object)}
    request = Request("serving_default", {"words": STRINGS}, answers)
    cut = request._replace(outputs={"fixed": np.array([b"n", b"n\x00", b"n\x00"], object)})
    write_warm_up(folder / "assets.extra", "words", [request, cut])
    report = verify_export(folder)
    (fault,) = report.faults
    assert "(warm-up record 1) with words (2,) in a batch of 3: 'fixed' of row 0 is b'n\\x00', expected b'n'" in fault
    assert report.skipped == []
    assert report.differences == {"serving_default": {"length": 0.0}}


def ends_well(images):
    """Whether the last bytes are those of a whole PNG or JPEG file."""
    padded = tf.strings.join([" " * 8, images])
    is_png = tf.strings.substr(padded, -8, 8) == b"IEND\xaeB`\x82"
    return is_png | (tf.strings.substr(padded, -2, 2) == b"\xff\xd9")


def of_images(status, answer):
    def endpoint(images):
        length = tf.cast(tf.strings.length(images), tf.float32)
        return {"status": tf.cast(status(images), tf.int32), "answer": answer(length)}

    return endpoint, tf.TensorSpec((None,), tf.string, name="image_bytes")


def test_broken_images_must_say_so_and_disturb_no_others(tmp_path):
    functions = {
        "serving_default": of_images(lambda images: ~ends_well(images), lambda length: length),
        "careless": of_images(lambda images: tf.strings.length(images) < 0, lambda length: length),
        "mixing": of_images(lambda images: ~ends_well(images), lambda length: length - tf.reduce_mean(length)),
        "strict": of_images(lambda images: tf.strings.length(images) >= 0, lambda length: length),
    }
    report = verify_export(save(functions, tmp_path / "1"))
    broken = "(with rows that are no images) with image_bytes () in a batch of 4"
    faults = dict(fault.split(": ", 1) for fault in report.faults if "in a batch of 4" in fault)
    assert set(faults) == {f"careless {broken}", f"mixing {broken}"}
    assert faults[f"careless {broken}"].startswith("'status' of the rows [0, 1, 3] is [0, 0, 0], expected 1")
    assert faults[f"mixing {broken}"].startswith("'answer' is")
    assert sum(fault.startswith("strict") and "'status' is 1 off" in fault for fault in report.faults) == 3
    assert not any(fault.startswith("serving_default") for fault in report.faults)


def test_images_of_the_warm_up_file_take_the_place_of_made_ones(tmp_path):
    def refuses(images):
        with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(images)[0], 2)]):
            return {"length": tf.strings.length(images)}

    spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    folder = save({"serving_default": (refuses, spec), "other": (refuses, spec)}, tmp_path / "1")
    two = np.array(encoded_images()[:2], object)
    write_warm_up(folder / "assets.extra", "images", [Request("serving_default", {"image_bytes": two}, None)])
    faults = verify_export(folder).faults
    assert [fault.split(":")[0] for fault in faults] == [
        f"other with image_bytes () in a batch of {size}" for size in (1, 3, 7)
    ]


# --------------------------------------------------------------------------------------------------------- arguments


def test_a_path_that_is_no_export(plain, tmp_path):
    with pytest.raises(ModelError, match="there is no such folder"):
        verify_export(tmp_path / "2")
    (fault,) = verify_export(plain.parent).faults
    assert "holds the versions 3; give the folder of one" in fault


def test_given_inputs_go_to_the_signatures_that_they_fit(tmp_path):
    pair = [OPEN, tf.TensorSpec((None, 2), tf.float32, name="boxes")]
    module = tf.Module()
    module.both = tf.function(lambda inputs, boxes: {"sum": inputs[:, 0] + boxes[:, 0]}, input_signature=pair)
    numbers = tf.TensorSpec((None, 3), tf.uint8, name="inputs")
    functions = {
        "serving_default": (lambda inputs: {"a": inputs}, OPEN),
        "bytes": (lambda inputs: {"a": inputs}, numbers),
    }
    traced = {
        name: tf.function(function, input_signature=[spec]).get_concrete_function()
        for name, (function, spec) in functions.items()
    }
    folder = tmp_path / "1"
    tf.saved_model.save(module, str(folder), signatures={**traced, "both": module.both.get_concrete_function()})
    given = {"inputs": np.full((2, 3), 0.5), "boxes": np.ones((2, 2))}
    report = verify_export(folder, given, {"both": {"sum": np.full(2, 1.5)}, "serving_default": {"b": np.zeros(2)}})
    assert report.differences == {"both": {"sum": 0.0}}
    assert report.skipped == ["the given inputs do not fit bytes: input 'inputs' is float64, expected uint8"]
    assert {fault.split(": ")[1] for fault in report.faults} == {"output 'b' is missing"}
    with pytest.raises(ModelError, match="both: input 'boxes' is missing"):
        verify_export(folder, {"inputs": np.ones((2, 3))})


def test_inputs_that_do_not_fit(plain):
    with pytest.raises(ModelError, match="without the inputs"):
        verify_export(plain, expected={"serving_default": {"outputs": np.zeros((1, 3))}})
    with pytest.raises(ModelError, match="serving_default: input 'x' is missing"):
        verify_export(plain, {"y": np.zeros((2, 6))})
    with pytest.raises(ModelError, match=r"has the shape \(2, 5\), expected \(None, 6\)"):
        verify_export(plain, np.zeros((2, 5)))
    with pytest.raises(ModelError, match="asks for the signature 'score'"):
        verify_export(plain, np.zeros((2, 6)), {"score": {"output_0": np.zeros((2, 2))}})


def test_the_report_shows_itself_and_escapes_what_others_wrote():
    tensors = {"x": {"dtype": "float32", "shape": [None, 3]}}
    report = ExportReport(
        "models/<b-class>/1",
        {"serving_default": {"inputs": tensors, "outputs": tensors}, "features": {"inputs": tensors, "outputs": {}}},
        {"serving_default": {"x": 2.5e-7}},
        loader="the C library",
        skipped=["no <warm-up>"],
    )
    reader = card(report)
    assert "Export models/<b-class>/1 Fit to be served." in reader.cells
    assert "serving_default x (None, 3) float32 x (None, 3) float32 2.5e-07 features" in reader.cells
    assert "not compared" in reader.cells
    assert "Not looked at: no <warm-up>" in reader.cells
    wrong = card(ExportReport("1", faults=["calls <Python>"]))
    assert "Not fit to be served: calls <Python>" in wrong.cells
    assert "table" not in wrong.tags
