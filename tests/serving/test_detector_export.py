"""Exports of detectors: what a server reads and gives, for images of any size."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from made_detectors import small_detector, small_encoder

from tumorkeras.errors import ModelError
from tumorkeras.serving.export import export
from tumorkeras.serving.signatures import endpoints, model_kind
from tumorkeras.serving.synthetic import synthetic_inputs
from tumorkeras.serving.verify import verify_export
from tumorkeras.spec import DataSpec
from tumorkeras.training.folder import TrainedModel, save_model

OUTPUTS = {"boxes": [None, 10, 4], "scores": [None, 10], "classes": [None, 10], "num_detections": [None]}

# What a server has: TensorFlow, and nothing of Keras or of this package.
ALONE = """
import sys
for name in ("keras", "tf_keras", "keras_cv", "tumorkeras"):
    sys.modules[name] = None
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
found = {}
with np.load(sys.argv[2]) as images:
    for size in images.files:
        for name in ("serving_default", "features"):
            answer = loaded.signatures[name](inputs=images[size])
            found |= {f"{size}/{name}/{key}": value for key, value in answer.items()}
np.savez(sys.argv[3], **found)
"""


def detector(**options):
    """With the backbone that is traced most quickly: an export has the graph three times."""
    keras.utils.set_random_seed(0)
    return small_detector(backbone=small_encoder(), **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "lesions-model"
    spec = DataSpec.from_dict({"name": "lesions", "source": {"kind": "phantoms"}, "input": {"shape": [64, 96, 1]}})
    card = {"kind": "detector", "classes": ["cyst", "mass"], "threshold": 0.37}
    found = TrainedModel(detector(), spec, card, pd.DataFrame({"epoch": [0]}), folder)
    save_model(found, folder)
    return found


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """From the folder, so that saving and loading lies between the model and its export."""
    return export(trained.folder, tmp_path_factory.mktemp("exports"))


def test_what_lies_beside_the_graph(exported):
    extra = exported / "assets.extra"
    assert exported.parts[-2:] == ("lesions-model", "1")
    assert json.loads((extra / "classes.json").read_text()) == ["cyst", "mass"]
    assert json.loads((extra / "model_card.json").read_text())["threshold"] == 0.37
    assert DataSpec.from_yaml(extra / "data_spec.yaml").name == "lesions"


def test_signatures_are_dense_and_open(exported):
    report = verify_export(exported)
    assert report.ok, report.faults
    images = {"inputs": {"dtype": "float32", "shape": [None, None, None, 1]}}
    default, features = report.signatures["serving_default"], report.signatures["features"]
    assert default["inputs"] == features["inputs"] == images
    assert {name: output["shape"] for name, output in default["outputs"].items()} == OUTPUTS
    dtypes = {name: output["dtype"] for name, output in default["outputs"].items()}
    assert dtypes == {"boxes": "float32", "scores": "float32", "classes": "int32", "num_detections": "int32"}
    assert features["outputs"] == {"features": {"dtype": "float32", "shape": [None, 2 * 16]}}


def test_tensorflow_alone_gives_the_answers_of_the_model(trained, exported, tmp_path):
    images = {f"{k}": batch["inputs"] for k, batch in enumerate(synthetic_inputs({"inputs": (None, None, 1)}))}
    images["one"] = images["1"][:1]
    np.savez(tmp_path / "images.npz", **images)
    command = [sys.executable, "-P", "-c", ALONE, str(exported), tmp_path / "images.npz", tmp_path / "found.npz"]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *levels, _ = trained.model.get_layer("roi_align").input
    pyramid = keras.Model(trained.model.inputs[0], levels)
    with np.load(tmp_path / "found.npz") as found:
        for size, batch in images.items():
            for name, value in trained.model(batch, training=False).items():
                np.testing.assert_allclose(found[f"{size}/serving_default/{name}"], value, atol=1e-3)
            means = [np.mean(level, axis=(1, 2)) for level in pyramid(batch, training=False)]
            np.testing.assert_allclose(found[f"{size}/features/features"], np.concatenate(means, 1), atol=1e-5)
        assert found["0/serving_default/num_detections"].min() > 3


def test_an_empty_batch_has_an_empty_answer(exported):
    loaded = tf.saved_model.load(str(exported))
    read = {"serving_default": tf.zeros((0, 40, 50, 1)), "serving_uint8": tf.zeros((0, 40, 50, 1), tf.uint8)}
    for name, images in read.items():
        found = loaded.signatures[name](inputs=images)
        assert {key: list(value.shape) for key, value in found.items()} == {
            key: [0, *shape[1:]] for key, shape in OUTPUTS.items()
        }
    assert loaded.signatures["features"](inputs=tf.zeros((0, 40, 50, 1)))["features"].shape == (0, 32)
    found = loaded.signatures["serving_bytes"](image_bytes=tf.zeros((0,), tf.string))
    assert found["boxes"].shape == (0, 10, 4)
    assert found["status"].shape == (0,)


def test_proposals_from_outside_are_a_second_input(tmp_path):
    model = detector(proposals="external")
    path = export(model, tmp_path, name="external")
    given = synthetic_inputs({"inputs": (None, None, 1), "proposals": (None, 4)})[1]
    loaded = tf.saved_model.load(str(path))
    found = loaded.signatures["serving_default"](**{name: tf.constant(value) for name, value in given.items()})
    wanted = model({"images": given["inputs"], "proposals": given["proposals"]}, training=False)
    assert wanted["num_detections"].numpy().min() > 0
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-3)
    nothing = {"inputs": tf.zeros((0, *given["inputs"].shape[1:])), "proposals": tf.zeros((0, 3, 4))}
    assert loaded.signatures["serving_default"](**nothing)["boxes"].shape == (0, 10, 4)
    assert list(loaded.signatures["features"].structured_input_signature[1]) == ["inputs"]
    with pytest.raises(ModelError, match="'proposals' is missing"):
        verify_export(path, {"inputs": given["inputs"]}, {"serving_default": {"scores": wanted["scores"].numpy()}})


def test_a_wrong_answer_is_found(trained, exported):
    """Another model's detections, and a lost one, are not those of the export."""
    given = synthetic_inputs({"inputs": (None, None, 1)})[2]["inputs"]
    own = {name: value.numpy() for name, value in trained.model(given, training=False).items()}
    lost = {name: value.copy() for name, value in own.items()}
    lost["classes"][1, own["num_detections"][1] - 1] = -1
    report = verify_export(exported, given, {"serving_default": lost})
    (fault,) = report.faults  # not in the batch of one
    assert "in a batch of 3: image 1: 1 of " in fault
    other = {name: value.numpy() for name, value in detector(nms_iou=0.3)(given, training=False).items()}
    assert not verify_export(exported, given, {"serving_default": other}).ok


def test_every_form_of_detector_has_its_endpoints():
    for options in ({"fusion": "deepest"}, {"head": "volume"}):
        model = small_detector(**options)
        assert model_kind(model) == "detector"
        found = endpoints(model)
        images = tf.constant(synthetic_inputs({"inputs": (None, None, 1)})[0]["inputs"])
        assert found["features"].function(images)["features"].shape == (
            3,
            16 * len(model.get_layer("roi_align").input[:-1]),
        )
        assert set(found["serving_default"].function(images)) == set(OUTPUTS)


def test_card_and_model_that_do_not_belong_together(trained, tmp_path):
    with pytest.raises(ModelError, match="1 class names for 2 outputs"):
        export(replace(trained, card={**trained.card, "classes": ["cyst"]}), tmp_path)
