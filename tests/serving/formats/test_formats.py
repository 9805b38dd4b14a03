"""Exports as ONNX, LiteRT and OpenVINO: which can be had, what they answer, and what a failure leaves."""

import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from tumorkeras import boxes
from tumorkeras.errors import MissingExtraError, ModelError
from tumorkeras.layers import letterbox_boxes
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.serving.export import export
from tumorkeras.serving.formats import FORMATS, load_format, write_formats
from tumorkeras.serving.signatures import endpoints
from tumorkeras.serving.synthetic import synthetic_inputs
from tumorkeras.serving.warm_up import Request

ALL = list(FORMATS)


def signature_of(path):
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def answers(signature, inputs):
    given = {name: tf.constant(values) for name, values in inputs.items()}
    return {name: value.numpy() for name, value in signature(**given).items()}


def requests_of(path):
    signature = signature_of(path)
    shapes = {name: tuple(spec.shape[1:]) for name, spec in signature.structured_input_signature[1].items()}
    return [Request("serving_default", batch, answers(signature, batch)) for batch in synthetic_inputs(shapes)]


def files_of(path):
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*"))


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Poolings that differ from axis to axis, over sizes that they do not divide."""
    keras.utils.set_random_seed(0)
    model = build_classifier((4, 7, 6, 1), 3, filters=(2, 3), pool=(1, 2, 2), dense=(4, 4))
    return export(model, tmp_path_factory.mktemp("volumes"))


@pytest.fixture(scope="module")
def coder(tmp_path_factory):
    """With tied kernels, whose decoder is a transposed convolution, over volumes."""
    keras.utils.set_random_seed(0)
    model = build_autoencoder((4, 8, 8, 1), filters=(3,), pool=(1, 2, 2), bottleneck=5)
    return export(model, tmp_path_factory.mktemp("coder"))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Of any size, letterboxed in the graph; eight filters, for which OpenVINO lays images out in blocks."""
    keras.utils.set_random_seed(0)
    model = build_classifier((20, 24, 1), 3, filters=(8,), dense=(4,), preprocessing=[{"step": "rescale"}])
    return saved(model, tmp_path_factory.mktemp("images") / "1")


@pytest.fixture(scope="module")
def image_coder(tmp_path_factory):
    """Of images of any size in as many colours as its tied kernel has filters."""
    keras.utils.set_random_seed(0)
    model = build_autoencoder((20, 24, 3), filters=(3,), bottleneck=5, preprocessing=[{"step": "rescale"}])
    return saved(model, tmp_path_factory.mktemp("image_coder") / "1")


def saved(model, path):
    """The one signature that is converted, as an export has it."""
    module = tf.Module()
    module.variables_of_model, module.answer = model.variables, endpoints(model)["serving_default"].compiled()
    tf.saved_model.save(module, str(path), {"serving_default": module.answer})
    return path


class Placing(tf.Module):
    """Where images of given sizes lie on a canvas: sizes that no image in memory has."""

    @tf.function(input_signature=[tf.TensorSpec((None, 2), name="inputs")])
    def place(self, inputs):
        whole = tf.concat([tf.zeros_like(inputs), inputs[:, ::-1]], axis=-1)[:, None]
        return {"boxes": letterbox_boxes(whole, tf.cast(inputs, tf.int32), (1023, 2047))}


class Suppressing(tf.Module):
    """The end of a detector: scores of given boxes, to detections with their names; and a signature of strings."""

    @tf.function(
        input_signature=[tf.TensorSpec((None, 6, 4), name="inputs"), tf.TensorSpec((None, 6, 2), name="marks")]
    )
    def find(self, inputs, marks):
        with tf.name_scope("model/detections"):
            found = tf.image.combined_non_max_suppression(inputs[:, :, None], marks, 5, 4, 0.5, 0.1, clip_boxes=False)
            corners, scores, classes, count = found
            real = tf.range(4) < count[:, None]
            classes = tf.where(real, tf.cast(classes, tf.int32), -1)
        outputs = {"boxes": corners, "scores": scores, "classes": classes, "num_detections": count}
        return {**outputs, "class_name": tf.gather(["", "cyst", "mass"], classes + 1)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def read(self, image_bytes):
        return {"length": tf.strings.length(image_bytes)}


@pytest.fixture(scope="module")
def detections(tmp_path_factory):
    path = tmp_path_factory.mktemp("detections") / "1"
    module = Suppressing()
    tf.saved_model.save(module, str(path), {"serving_default": module.find, "serving_bytes": module.read})
    corner = np.random.default_rng(0).uniform(0, 6, (3, 6, 2))
    inputs = np.concatenate([corner, corner + 4], axis=-1).astype("float32")
    marks = np.random.default_rng(1).random((3, 6, 2)).astype("float32")
    given = {"inputs": inputs, "marks": marks}
    return path, [Request("serving_default", given, answers(signature_of(path), given))]


@pytest.fixture
def bare(volumes, tmp_path):
    """A copy of an export, without formats."""
    return copy_of(volumes, tmp_path)


def copy_of(export_, folder):
    return shutil.copytree(export_, folder / "1", ignore=shutil.ignore_patterns("formats"))


@pytest.mark.parametrize("name", ["volumes", "coder"])
def test_models_of_volumes_in_every_format(name, request, tmp_path):
    path = copy_of(request.getfixturevalue(name), tmp_path)
    signature = signature_of(path)
    differences = write_formats(path, ALL, requests_of(path))
    assert files_of(path / "formats") == ["model.bin", "model.onnx", "model.tflite", "model.xml"]
    outputs = set(signature.structured_outputs)
    for runtime in ALL:
        assert set(differences[runtime]) == outputs
        assert max(differences[runtime].values()) < 1e-6
        run = load_format(path, runtime, threads=1)
        for batch in (1, 3, 5):  # another one than was checked, and back
            given = {"inputs": np.random.default_rng(batch).random((batch, *signature.inputs[0].shape[1:]), "float32")}
            found, wanted = run(given), answers(signature, given)
            assert set(found) == outputs
            for output, values in wanted.items():
                assert found[output].dtype == values.dtype
                np.testing.assert_allclose(found[output], values, atol=1e-6)


@pytest.mark.parametrize("name", ["images", "image_coder"])
def test_images_of_any_size_in_every_format(name, request, tmp_path):
    """The canvas' size comes first, and in a larger batch; 72 x 45 becomes 12.5 wide: in float32 maybe another side."""
    path = copy_of(request.getfixturevalue(name), tmp_path)
    signature, differences = signature_of(path), write_formats(path, ALL, requests_of(path))
    (_, *size, channels) = signature.inputs[0].shape
    assert size == [None, None]
    for runtime in ALL:
        run = load_format(path, runtime, threads=1)
        assert max(differences[runtime].values()) < 1e-4
        for batch, *size in ((1, 20, 24), (2, 72, 45), (5, 20, 24), (1, 7, 301), (6, 3, 5)):
            shape = (batch, *size, channels)
            given = {"inputs": np.random.default_rng(0).uniform(0, 255, shape).astype("float32")}
            found, wanted = run(given), answers(signature, given)
            assert set(found) == set(wanted)
            for output, values in wanted.items():
                np.testing.assert_allclose(found[output], values, rtol=1e-5, atol=1e-6)


def test_images_lie_alike_in_every_format_up_to_a_million_pixels_a_side(tmp_path):
    module = Placing()
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": module.place})
    generator = np.random.default_rng(0)
    factor = 2 * generator.integers(1, 256, 500)
    halves = np.stack([1023 * factor, factor * generator.integers(0, 2047, 500) + factor // 2], axis=-1)
    sizes = np.concatenate([2 ** generator.uniform(0, 20, (500, 2)), halves, [[2**20, 2**20], [2**20, 1], [1, 2**20]]])
    given = {"inputs": np.floor(sizes).astype("float32")}
    placed = [boxes.letterbox((int(height), int(width)), (1023, 2047)) for height, width in given["inputs"]]
    expected = [[[one.left, one.top, one.left + one.width, one.top + one.height]] for one in placed]
    write_formats(
        tmp_path / "1", ALL, [Request("serving_default", given, answers(signature_of(tmp_path / "1"), given))]
    )
    for runtime in ALL:
        found = load_format(tmp_path / "1", runtime, threads=1)(given)
        np.testing.assert_allclose(found["boxes"], expected, rtol=1e-6)


class Halving(tf.Module):
    """float64 of what an open size is."""

    @tf.function(input_signature=[tf.TensorSpec((None, None), name="inputs")])
    def run(self, inputs):
        with tf.name_scope("model/halving"):
            half = tf.round(tf.cast(tf.shape(inputs)[1], tf.float64) / 2)
        return {"outputs": inputs * tf.cast(half, tf.float32)}


def test_float64_of_open_sizes_in_onnx_alone(tmp_path):
    """What OpenVINO writes of it may answer differently at sizes that no request has; all are written, or none."""
    module, path = Halving(), tmp_path / "1"
    tf.saved_model.save(module, str(path), {"serving_default": module.run})
    given = {"inputs": np.ones((2, 5), "float32")}
    before = files_of(path)
    with pytest.raises(ModelError) as caught:
        write_formats(path, ALL, [Request("serving_default", given, answers(signature_of(path), given))])
    assert caught.value.faults == [
        "litert: LiteRT has no float64 (in halving); leave 'litert' out and use the SavedModel or 'onnx'",
        "openvino: OpenVINO has no float64 (in halving); leave 'openvino' out and use the SavedModel or 'onnx'",
    ]
    assert files_of(path) == before


def test_detections_in_onnx(detections, tmp_path):
    """Held as sets; names of classes are left out, and other signatures do not matter."""
    path = copy_of(detections[0], tmp_path)
    (request,) = detections[1]
    assert request.outputs["num_detections"].min() > 1
    differences = write_formats(path, ["onnx"], [request, Request("serving_bytes", {"image_bytes": None}, {})])
    assert differences["onnx"].keys() >= {"boxes", "scores"}
    assert max(differences["onnx"].values()) < 1e-3
    found = load_format(path, "onnx")(request.inputs)
    assert sorted(found) == ["boxes", "classes", "num_detections", "scores"]
    for name, values in found.items():
        np.testing.assert_allclose(values, request.outputs[name], atol=1e-6)


@pytest.mark.parametrize("name", ["litert", "openvino"])
def test_detections_in_no_other_format(name, detections, tmp_path):
    path = copy_of(detections[0], tmp_path)
    with pytest.raises(ModelError, match=rf"{name}: \w+ has no CombinedNonMaxSuppression \(in detections\); leave"):
        write_formats(path, [name], detections[1])
    assert not (path / "formats").exists()


class Oddity(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((None, 3), name="inputs")])
    def run(self, inputs):
        with tf.name_scope("model/oddity"):
            return {"outputs": tf.math.lgamma(inputs)}


def test_what_onnx_does_not_have_is_named_and_not_logged(tmp_path, caplog):
    module = Oddity()
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": module.run})
    given = {"inputs": np.ones((1, 3), "float32")}
    caplog.clear()
    with pytest.raises(ModelError, match=r"onnx: ONNX has no Lgamma \(in oddity\); leave 'onnx' out and use the Sav"):
        write_formats(tmp_path / "1", ["onnx"], [Request("serving_default", given, {"outputs": given["inputs"]})])
    assert caplog.records == []


class Branching(tf.Module):
    """A branch that stays one, for a size is open; float64 only where a size is known."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, 4), name="inputs")])
    def run(self, inputs):
        share = tf.cast(tf.sqrt(tf.constant(inputs.shape[2], tf.float64)), tf.float32)
        longer = tf.cond(tf.shape(inputs)[1] > 2, lambda: inputs / share + share, lambda: inputs)
        return {"outputs": tf.reduce_sum(longer, axis=1)}


def test_branches_and_float64_of_known_sizes_in_every_format(tmp_path):
    module = Branching()
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": module.run})
    inputs = [np.random.default_rng(0).random((3, length, 4), "float32") for length in (2, 5)]
    requests = [
        Request("serving_default", {"inputs": x}, {"outputs": module.run(x)["outputs"].numpy()}) for x in inputs
    ]
    for differences in write_formats(tmp_path / "1", ALL, requests).values():
        assert differences["outputs"] < 1e-5


@pytest.mark.parametrize("name", ALL)
def test_a_format_that_answers_differently_is_not_written(name, bare):
    request = requests_of(bare)[0]
    wrong = {**request.outputs, "probabilities": request.outputs["probabilities"] + np.float32(2e-5)}
    with pytest.raises(ModelError) as caught:
        write_formats(bare, [name], [request._replace(outputs=wrong)])
    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}: 'probabilities' is 2e-05 off, expected 1e-05 at most, for inputs (4, 7, 6, 1) in")
    assert not (bare / "formats").exists()
    assert not list(bare.glob(".formats*"))


def test_a_failure_leaves_what_was_there(bare):
    (request,) = requests_of(bare)
    write_formats(bare, ["onnx"], [request])
    before = (bare / "formats" / "model.onnx").stat()
    with pytest.raises(ModelError):
        write_formats(bare, ["onnx"], [request._replace(outputs={"probabilities": np.zeros((3, 3), "float32")})])
    after = (bare / "formats" / "model.onnx").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_bad_arguments(bare, monkeypatch, tmp_path):
    (request,) = requests_of(bare)
    assert write_formats(bare, [], []) == {}
    with pytest.raises(ModelError, match="there is no 'tflite'; there are 'onnx', 'litert', 'openvino'"):
        write_formats(bare, ["onnx", "tflite"], [request])
    for none in ([], [request._replace(signature="features")], [request._replace(outputs=None)]):
        with pytest.raises(ModelError, match="no request of 'serving_default' with its answer"):
            write_formats(bare, ["onnx"], none)
    with pytest.raises(ModelError, match="holds no SavedModel; expected NAME/VERSION"):
        write_formats(tmp_path, ["onnx"], [request])
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(MissingExtraError, match=r"tf2onnx is not installed.*'tumorkeras\[formats\]'"):
        write_formats(bare, ["openvino", "onnx"], [request])
    assert not (bare / "formats").exists()


@pytest.fixture(scope="module")
def written(volumes, tmp_path_factory):
    """The volumes' classifier in every format, which is read only."""
    path = copy_of(volumes, tmp_path_factory.mktemp("written"))
    write_formats(path, ALL, requests_of(path))
    return path


@pytest.mark.parametrize("runtime", ALL)
def test_bad_inputs(runtime, written):
    run = load_format(written, runtime)
    with pytest.raises(ModelError) as caught:
        run({"images": np.zeros((1, 4, 7, 6, 1))})
    assert caught.value.faults == ["inputs: is missing", "images: is no input; there are inputs"]
    for shape in ((1, 4, 9, 6, 1), (4, 7, 6, 1)):
        with pytest.raises(ModelError) as caught:
            run({"inputs": np.zeros(shape)})
        assert caught.value.faults == [f"inputs: shape {shape} found, expected (None, 4, 7, 6, 1), None being any"]
    assert run({"inputs": np.zeros((2, 4, 7, 6, 1), int)})["probabilities"].shape == (2, 3)  # and it runs again


@pytest.mark.parametrize("runtime", ALL)
def test_what_cannot_be_loaded(runtime, bare):
    (bare / "formats").mkdir()
    with pytest.raises(ModelError, match=rf"model\.\w+: is not there; export with format='{runtime}'"):
        load_format(bare, runtime)
    file = bare / "formats" / FORMATS[runtime].files[0]
    file.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"model\.\w+: cannot be read \(.+\)"):
        load_format(bare, runtime)
    with pytest.raises(ModelError, match="threads: 0 found, expected a positive integer"):
        load_format(bare, runtime, threads=0)


def test_what_cannot_be_loaded_for_other_reasons(written, monkeypatch):
    with pytest.raises(ModelError, match="there is no 'torch'; there are"):
        load_format(written, "torch")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingExtraError, match="ai-edge-litert is not installed"):
        load_format(written, "litert")


@pytest.mark.parametrize("runtime", ALL)
def test_threads_may_share_one(runtime, written):
    run = load_format(written, runtime, threads=1)
    batches = [np.random.default_rng(n).random((1 + n % 4, 4, 7, 6, 1), "float32") for n in range(40)]
    alone = [run({"inputs": batch})["probabilities"] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: run({"inputs": batch})["probabilities"], batches))
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first, second)


def test_nothing_is_said_and_nobody_is_called(bare, detections, tmp_path, capfd, caplog, monkeypatch):
    """Converters log, print from C++ and warn; OpenVINO reports that it was imported, from a process of its own."""
    requests, refused = requests_of(bare), copy_of(detections[0], tmp_path / "refused")
    called = []
    monkeypatch.setattr(socket.socket, "connect", lambda *given: called.append(given))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: called.append(given))
    capfd.readouterr()
    caplog.clear()
    write_formats(bare, ALL, requests)
    for runtime in ALL:
        load_format(bare, runtime)(requests[0].inputs)
    with pytest.raises(ModelError):
        write_formats(refused, ["litert"], detections[1])
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert called == []
    assert sys.modules["openvino_telemetry"] is None
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__.endswith(".telemetry_stub")
