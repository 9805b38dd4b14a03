"""Exports: what is in them, who can load them, and what a failure leaves."""

import importlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.metrics import apply_temperature
from tumorkeras.scoring import score
from tumorkeras.serving.export import export
from tumorkeras.serving.signatures import endpoints
from tumorkeras.serving.verify import ExportReport, verify_export
from tumorkeras.serving.warm_up import read_warm_up
from tumorkeras.spec import DataSpec
from tumorkeras.training.folder import TrainedModel, save_model

SHAPE = (4, 6, 6, 1)

# What a server has: TensorFlow, and nothing of Keras or of this package.
ALONE = """
import json, sys
for name in ("keras", "tf_keras", "keras_cv", "tumorkeras"):
    sys.modules[name] = None
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
given = tf.constant(np.linspace(0, 1, 5 * 144, dtype="float32").reshape(5, 4, 6, 6, 1))
answer = {name: {key: value.numpy().tolist() for key, value in signature(inputs=given).items()}
          for name, signature in loaded.signatures.items()}
print(json.dumps(answer))
"""


def classifier(seed=0, classes=2):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(SHAPE)
    hidden = keras.layers.Conv3D(3, 3, padding="same", name="conv_1")(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.5)(hidden)
    features = keras.layers.GlobalAveragePooling3D(name="features")(hidden)
    return keras.Model(
        inputs,
        keras.layers.Dense(classes, activation="softmax", name="probabilities")(features),
        name="cells",
    )


def autoencoder():
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    target = keras.layers.Identity(name="target")(keras.layers.Rescaling(2.0, offset=-1.0)(inputs))
    noisy = keras.layers.GaussianNoise(0.5)(target)
    features = keras.layers.Dense(5, name="features")(keras.layers.Flatten()(noisy))
    decoded = keras.layers.Dense(144)(features)
    return keras.Model(inputs, keras.layers.Reshape(SHAPE, name="reconstruction")(decoded), name="coder")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "motion-model"
    source = {"kind": "npz", "path": "../data/volumes.npz"}
    values = {"name": "motion", "source": source, "input": {"shape": list(SHAPE)}}
    spec = DataSpec.from_dict(values, folder=folder)
    card = {"kind": "classifier", "classes": ["still", "müde"], "seed": 3}
    found = TrainedModel(classifier(), spec, card, pd.DataFrame({"epoch": [0]}), folder)
    save_model(found, folder)
    return found


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return export(trained, tmp_path_factory.mktemp("exports"))


@pytest.fixture
def unchecked(monkeypatch):
    """Leave out the process of the check, where it is not what is tested."""
    module = importlib.import_module("tumorkeras.serving.export")
    monkeypatch.setattr(module, "verify_export", lambda path: ExportReport(str(path)))
    return module


def test_export_runs_with_tensorflow_alone(trained, exported):
    command = [sys.executable, "-P", "-c", ALONE, str(exported)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    given = np.linspace(0, 1, 5 * 144, dtype="float32").reshape(5, *SHAPE)
    probabilities = trained.model(given, training=False).numpy()
    embedding = keras.Model(trained.model.inputs[0], trained.model.get_layer("features").output)
    assert set(answer) == {"serving_default", "features"}
    np.testing.assert_allclose(answer["serving_default"]["probabilities"], probabilities, atol=1e-6)
    assert answer["serving_default"]["class_id"] == probabilities.argmax(1).tolist()
    np.testing.assert_allclose(answer["features"]["features"], embedding(given), atol=1e-6)


def test_folder_holds_what_belongs_to_the_model(trained, exported):
    assert exported.parts[-2:] == ("motion-model", "1")
    assert [path.name for path in exported.parent.parent.iterdir()] == ["motion-model"]
    assert [path.name for path in exported.parent.iterdir()] == ["1"]
    extra = exported / "assets.extra"
    assert json.loads((extra / "classes.json").read_text(encoding="utf-8")) == ["still", "müde"]
    card = json.loads((extra / "model_card.json").read_text())
    found = card.pop("export")
    assert card == trained.card
    assert found["warm_up"] == "synthetic"
    assert 0 <= found["largest_difference"] < 1e-5
    assert (found["threshold"], found["temperature"], found["formats"]) == (None, 1.0, {})
    spec = DataSpec.from_yaml(extra / "data_spec.yaml")
    meant = spec.resolve(spec.source.path).resolve()
    assert meant == (trained.folder.parent / "data" / "volumes.npz").resolve()
    assert len(list((exported / "variables").glob("variables.data-*"))) == 1


def test_an_empty_batch_has_an_empty_answer(exported):
    loaded = tf.saved_model.load(str(exported))
    for function in loaded.signatures.values():
        _, read = function.structured_input_signature
        answer = function(
            **{name: tf.zeros([0, *(size or 9 for size in spec.shape[1:])], spec.dtype) for name, spec in read.items()}
        )
        assert {value.shape[0] for value in answer.values()} == {0}


def test_a_path_is_loaded_as_a_trained_model(trained, unchecked, tmp_path):
    path = export(str(trained.folder), tmp_path / "of-path")
    assert path == tmp_path / "of-path" / "motion-model" / "1"
    assert json.loads((path / "assets.extra" / "classes.json").read_text(encoding="utf-8")) == [
        "still",
        "müde",
    ]
    in_memory = export(replace(trained, folder=None), tmp_path, name=None)
    assert in_memory == tmp_path / "motion-classifier" / "1"
    with pytest.raises(ModelError, match="missing"):
        export(tmp_path / "missing", tmp_path)


def test_autoencoder_measures_the_error_against_the_preprocessed_input(tmp_path):
    model = autoencoder()
    samples = np.random.default_rng(1).random((2, *SHAPE)).astype("float32")
    answer = endpoints(model)["serving_default"].function(tf.constant(samples))
    difference = model(samples, training=False).numpy() - (2 * samples - 1)
    np.testing.assert_allclose(answer["reconstruction_error"], (difference**2).mean((1, 2, 3, 4)), rtol=1e-5)
    path = export(model, tmp_path / "new" / "folder", version=4, samples=samples)
    assert path == tmp_path / "new" / "folder" / "coder" / "4"
    loaded = tf.saved_model.load(str(path))
    outputs = loaded.signatures["serving_default"].structured_outputs
    assert {name: spec.shape.as_list() for name, spec in outputs.items()} == {
        "reconstruction": [None, *SHAPE],
        "reconstruction_error": [None],
        "features": [None, 5],
    }


def test_an_export_says_nothing(unchecked, tmp_path, capfd):
    export(classifier(), tmp_path)
    found = capfd.readouterr()
    assert found.out == ""
    assert "Assets written" not in found.err


def test_versions_go_up_from_the_largest(unchecked, tmp_path):
    for name in ("1", "7", "notes", ".12"):
        (tmp_path / "cells" / name).mkdir(parents=True)
    model = classifier()
    assert export(model, tmp_path).name == "8"
    assert export(model, tmp_path, version=3).name == "3"
    assert export(model, tmp_path).name == "9"
    with pytest.raises(ModelError, match="is there already"):
        export(model, tmp_path, version=3)


def test_exporters_at_once_never_mix(unchecked, tmp_path):
    models = [classifier(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda model: export(model, tmp_path, name="cells"), models))
    assert sorted(path.name for path in paths) == ["1", "2", "3", "4"]
    assert sorted(os.listdir(tmp_path)) == ["cells"]
    given = np.random.default_rng(0).random((2, *SHAPE)).astype("float32")
    for model, path in zip(models, paths, strict=True):
        answer = tf.saved_model.load(str(path)).signatures["serving_default"](inputs=tf.constant(given))
        np.testing.assert_allclose(answer["probabilities"], model(given, training=False), atol=1e-6)


def test_a_version_taken_meanwhile_is_left_alone(unchecked, tmp_path, monkeypatch):
    def faster(path):
        (tmp_path / "cells" / "5").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cells" / "5" / "saved_model.pb").write_bytes(b"theirs")
        return ExportReport(str(path))

    monkeypatch.setattr(unchecked, "verify_export", faster)
    with pytest.raises(ModelError, match="another exporter"):
        export(classifier(), tmp_path, version=5)
    assert (tmp_path / "cells" / "5" / "saved_model.pb").read_bytes() == b"theirs"
    assert export(classifier(), tmp_path).name == "6"
    assert sorted(os.listdir(tmp_path)) == ["cells"]


@keras.saving.register_keras_serializable(package="tests")
class CallsPython(keras.layers.Layer):
    def call(self, inputs):
        return tf.ensure_shape(tf.numpy_function(np.tanh, [inputs], tf.float32), (None, *SHAPE))


@keras.saving.register_keras_serializable(package="tests")
class LooksAtNeighbours(keras.layers.Layer):
    def call(self, inputs):
        return inputs - tf.reduce_mean(inputs, axis=0, keepdims=True)


def classifier_behind(layer):
    inputs = keras.Input(SHAPE)
    flat = keras.layers.Flatten(name="features")(layer(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(flat))


@pytest.mark.parametrize(
    ("layer", "fault"),
    [(CallsPython, "calls Python"), (LooksAtNeighbours, "the last row alone. with .*'probabilities' is")],
)
def test_an_unfit_export_is_refused_and_leaves_nothing(layer, fault, tmp_path):
    with pytest.raises(ModelError, match=fault):
        export(classifier_behind(layer()), tmp_path / "new" / "exports")
    assert os.listdir(tmp_path) == []


def test_a_failure_while_writing_leaves_nothing(unchecked, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    (tmp_path / "cells" / "1").mkdir(parents=True)
    monkeypatch.setattr(unchecked, "_write", full)
    with pytest.raises(ModelError, match=r"cannot be written.*no space.*nothing was published"):
        export(classifier(), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["cells", "cells/1"]


# A disk that takes no more than so many bytes a file, in a process of its own.
FULL = """
import resource, sys
import keras
from tumorkeras import export
from tumorkeras.errors import ModelError
inputs = keras.Input((4, 6, 6, 1))
flat = keras.layers.Flatten(name="features")(inputs)
model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(flat))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    export(model, sys.argv[1], name="cells")
except ModelError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path):
    command = [sys.executable, "-c", FULL, str(tmp_path / "exports")]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    assert "cannot be written" in done.stdout, done.stderr
    assert os.listdir(tmp_path) == []


def test_an_exporter_that_is_killed_leaves_nothing_that_a_server_takes_up(unchecked, tmp_path, monkeypatch):
    """What lies on the disk when the process ends at once, in the middle of the check."""

    class Killed(BaseException):
        pass

    def kill(path):
        seen.extend(sorted(path.relative_to(tmp_path).parts for path in tmp_path.rglob("saved_model.pb")))
        seen.append((tmp_path / "cells").exists())
        raise Killed

    seen = []
    monkeypatch.setattr(unchecked, "verify_export", kill)
    with pytest.raises(Killed):
        export(classifier(), tmp_path)
    (draft, *_), base_is_there = seen
    assert draft.startswith(".cells-")
    assert not base_is_there


def test_a_place_with_spaces_and_other_letters(tmp_path):
    folder = tmp_path / "Ausfuhr für Köln" / "模型"
    path = export(classifier(), folder, name="cells")
    assert path == folder / "cells" / "1"
    assert verify_export(path).ok


def test_the_choices_of_an_export_are_in_its_graph_and_its_card(trained, tmp_path):
    card = trained.card | {"threshold": 0.9}
    path = export(
        replace(trained, card=card), tmp_path, threshold="tuned", class_names=True, max_pixels=500, largest_batch=5
    )
    given = np.random.default_rng(0).random((20, *SHAPE), dtype="float32")
    found = tf.saved_model.load(str(path)).signatures["serving_default"](inputs=tf.constant(given))
    called = found["probabilities"].numpy()[:, 1] >= 0.9
    np.testing.assert_array_equal(found["class_id"], called)
    assert found["class_name"].numpy().tolist() == ["müde".encode() if each else b"still" for each in called]
    written = json.loads((path / "assets.extra" / "model_card.json").read_text())
    assert (written["export"]["threshold"], written["export"]["max_pixels"]) == (0.9, 500)
    assert {len(request.inputs["inputs"]) for request in read_warm_up(path) if request.outputs is None} == {1, 5}


@pytest.mark.parametrize("nested", [False, True])
def test_a_sequential_model_is_exported_and_scored_as_its_graph_is(nested, unchecked, tmp_path):
    """Also where one of our classifiers is its last layer, behind one of the user's own."""
    inner = classifier()
    ours = [inner] if nested else inner.layers[1:]
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Rescaling(0.5), *ours])
    volumes = np.random.default_rng(0).random((3, *SHAPE)).astype("float32")
    wanted = model(volumes).numpy()
    loaded = tf.saved_model.load(str(export(model, tmp_path, name="m")))
    answer = loaded.signatures["serving_default"](inputs=tf.constant(volumes))
    np.testing.assert_allclose(answer["probabilities"], wanted, atol=1e-6)
    np.testing.assert_allclose(
        score(model, volumes, progress=False)[["probability_0", "probability_1"]], wanted, atol=1e-6
    )


def test_a_layer_that_another_model_has_too_is_that_of_this_one(unchecked, tmp_path):
    shared = keras.layers.GlobalAveragePooling3D(name="features")
    other, inputs = keras.Input(SHAPE), keras.Input(SHAPE)
    keras.Model(other, shared(other))
    head = keras.layers.Dense(2, activation="softmax", name="probabilities")
    model = keras.Model(inputs, head(shared(keras.layers.Rescaling(2.0)(inputs))))
    loaded = tf.saved_model.load(str(export(model, tmp_path, name="m")))
    found = loaded.signatures["features"](inputs=tf.ones((1, *SHAPE)))["features"]
    np.testing.assert_allclose(found, [[2.0]])


def test_an_autoencoder_in_a_model_is_not_taken_for_one(tmp_path):
    """Its error would be measured against what another layer made of the input."""
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Rescaling(0.5), autoencoder()])
    with pytest.raises(ModelError, match="the autoencoder is a model in the model; give that one"):
        export(model, tmp_path)


def test_a_model_that_nobody_trained_says_so(tmp_path):
    path = export(classifier(), tmp_path)
    card = json.loads((path / "assets.extra" / "model_card.json").read_text())
    assert card["kind"] == "classifier"
    assert "is not known" in card["training"]
    assert not (path / "assets.extra" / "data_spec.yaml").exists()


@pytest.mark.parametrize(
    ("choice", "fault"),
    [
        ({"threshold": "tuned"}, "threshold: none was tuned"),
        ({"threshold": 1.5}, "threshold: 1.5 found"),
        ({"threshold": "best"}, "threshold: 'best' found"),
        ({"class_names": True}, "class_names: none are known"),
        ({"max_pixels": 0}, "max_pixels: 0 found"),
        ({"largest_batch": 0}, "largest_batch: 0 found"),
        ({"format": "caffe"}, "'caffe'"),
    ],
)
def test_choices_that_the_model_does_not_bear(choice, fault, tmp_path):
    with pytest.raises(ModelError, match=fault):
        export(classifier(), tmp_path, **choice)
    with pytest.raises(ModelError, match="threshold: an autoencoder has none"):
        export(autoencoder(), tmp_path, threshold=0.5)
    with pytest.raises(ModelError, match="only of two classes, and the model has 3"):
        export(classifier(classes=3), tmp_path, threshold=0.5)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"name": "a/b"}, "name: 'a/b'"),
        ({"name": ".."}, r"name: '\.\.'"),
        ({"name": ".hidden"}, "name"),
        ({"version": 0}, "version: 0"),
        ({"version": True}, "version: True"),
        ({"version": "2"}, "version: '2'"),
        ({"samples": np.zeros((3, 4, 6, 6))}, r"samples: shape \(3, 4, 6, 6\)"),
        ({"samples": np.zeros((0, *SHAPE))}, "n > 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, fault, tmp_path):
    with pytest.raises(ModelError, match=fault):
        export(classifier(), tmp_path / "exports", **arguments)
    assert os.listdir(tmp_path) == []


def test_both_faults_at_once(tmp_path):
    with pytest.raises(ModelError, match="2 faults"):
        export(classifier(), tmp_path, name="a b", version=-1)


def test_what_cannot_be_exported_is_refused(trained, tmp_path):
    inputs = keras.Input(SHAPE)
    with pytest.raises(ModelError, match="expected one layer, named 'probabilities'"):
        export(keras.Model(inputs, keras.layers.Flatten(name="flat")(inputs)), tmp_path)
    with pytest.raises(ModelError, match="no graph yet"):
        export(keras.Sequential([keras.layers.Dense(2)]), tmp_path)
    with pytest.raises(ModelError, match="model: dict found"):
        export({}, tmp_path)
    with pytest.raises(ModelError, match="2 class names for 3 outputs"):
        export(replace(trained, model=classifier(classes=3)), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be written"):
        export(classifier(), tmp_path / "file" / "exports")
    with pytest.raises(ModelError, match="is a file"):
        export(classifier(), tmp_path, name="file")
    assert os.listdir(tmp_path) == ["file"]


def test_verify_passes_a_good_export_and_measures_a_difference(exported):
    given = np.random.default_rng(2).random((2, *SHAPE)).astype("float32")
    signature = tf.saved_model.load(str(exported)).signatures["serving_default"]
    probabilities = signature(inputs=tf.constant(given))["probabilities"].numpy()
    wrong = {"serving_default": {"probabilities": probabilities + 0.25, "logits": probabilities}}
    report = verify_export(exported, given, wrong)
    assert [fault for fault in report.faults if "'logits' is missing" in fault]
    assert report.largest_difference == pytest.approx(0.25, abs=1e-5)
    assert not report.ok
    assert [fault for fault in report.faults if "'probabilities' is 0.25 off" in fault]
    assert report.signatures["serving_default"]["inputs"] == {"inputs": {"dtype": "float32", "shape": [None, *SHAPE]}}
    assert json.loads(json.dumps(report.to_dict()))["ok"] is False


# ------------------------------------------------------------------------------------------------ calibration


def test_a_calibrated_export_answers_at_the_temperature_of_the_card(trained, tmp_path):
    card = trained.card | {"temperature": {"value": 2.5}, "threshold": 0.7}
    folder = export(replace(trained, card=card), tmp_path, calibrated=True)
    given = np.random.default_rng(0).random((5, *SHAPE), dtype="float32")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](inputs=tf.constant(given))
    plain = trained.model(given).numpy()
    np.testing.assert_allclose(served["probabilities"], apply_temperature(plain, 2.5), atol=1e-6)
    np.testing.assert_array_equal(served["class_id"], plain.argmax(axis=1))
    written = json.loads((folder / "assets.extra" / "model_card.json").read_text())
    assert written["calibrated"] is True
    # What is called from the threshold on is the same.
    assert written["threshold"] == pytest.approx(apply_temperature([0.7], 2.5)[0])


def test_without_a_temperature_nothing_is_calibrated(trained, tmp_path):
    for model in (trained, trained.model, autoencoder()):
        with pytest.raises(ModelError, match="calibrated: needs a temperature"):
            export(model, tmp_path / "out", calibrated=True)
    assert not (tmp_path / "out").exists()
