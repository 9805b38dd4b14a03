"""A detector in a file and as a SavedModel: what comes back in a new process."""

from __future__ import annotations

import json
import pickle
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_detectors import mobile_net, small_detector, small_encoder, some_images, some_objects, some_proposals
from model_check import run_python

CONTINUE = """
import pickle, sys, warnings
from pathlib import Path
import keras, numpy as np, tensorflow as tf
import tumorkeras.models
warnings.simplefilter("error")
folder = Path(sys.argv[1])
batch, = pickle.loads((folder / "batch.pickle").read_bytes())
model = keras.saving.load_model(folder / "model.keras")
found = [model.optimizer.iterations.numpy(), [value.numpy() for value in model.optimizer.variables]]
found.append(model.predict(batch[0], verbose=0))
model.fit(tf.data.Dataset.from_tensors(batch), verbose=0, shuffle=False)
found += [model.optimizer.iterations.numpy(), [value.numpy() for value in model.weights], model.settings.seed]
(folder / "found.pickle").write_bytes(pickle.dumps(found))
"""

SERVE = """
import pickle, sys
from pathlib import Path
import tensorflow as tf
folder = Path(sys.argv[1])
found = {}
for name, batches in pickle.loads((folder / "batches.pickle").read_bytes()).items():
    served = tf.saved_model.load(str(folder / name))
    found[name] = [{key: value.numpy() for key, value in served.serve(batch).items()} for batch in batches]
    graph = served.signatures["serving_default"].graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert not [node.op for node in nodes if "PyFunc" in node.op]
assert not {"tumorkeras", "keras_cv"} & set(sys.modules)
(folder / "served.pickle").write_bytes(pickle.dumps(found))
"""


@pytest.mark.slow
def test_training_goes_on_from_the_file(tmp_path):
    keras.utils.set_random_seed(5)
    model = small_detector(dropout=0.0)
    model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    batch = (some_images(), some_objects())
    data = tf.data.Dataset.from_tensors(batch)
    model.fit(data.repeat(2), verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    (tmp_path / "batch.pickle").write_bytes(pickle.dumps([batch]))
    run_python(CONTINUE, str(tmp_path))
    steps, state, detections, later, weights, seed = pickle.loads((tmp_path / "found.pickle").read_bytes())
    assert (steps, later, seed) == (2, 3, 0)
    for own, loaded in zip(model.optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(own.numpy(), loaded)
    for key, value in model(batch[0], training=False).items():
        np.testing.assert_allclose(detections[key], value, atol=1e-3)
    model.fit(data, verbose=0, shuffle=False)
    for own, loaded in zip(model.weights, weights, strict=True):
        np.testing.assert_allclose(own.numpy(), loaded, atol=1e-4)


def test_the_file_has_no_lambda_and_every_weight_once(tmp_path):
    model = small_detector(backbone=mobile_net())
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = archive.read("config.json").decode()
        size = archive.getinfo("model.weights.h5").file_size
    assert "Lambda" not in config
    assert json.loads(config)["class_name"] == "Detector"
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert [weight.shape for weight in loaded.trainable_weights] == [weight.shape for weight in model.trainable_weights]
    entries = 2500 * len(model.weights)  # what HDF5 writes beside the numbers
    assert size < 4 * model.count_params() + entries


@pytest.mark.slow
def test_tensorflow_alone_serves_boxes_for_every_batch_and_size(tmp_path):
    models = {
        "own": small_detector(preprocessing=[{"step": "lee_filter", "size": 3}, {"step": "standardize"}]),
        "external": small_detector(backbone=small_encoder(), proposals="external", head="volume"),
    }
    cases = [(1, (64, 96)), (3, (50, 40)), (2, (130, 201))]
    batches = {"own": [some_images(*case).astype("float32") for case in cases]}
    batches["external"] = [
        {"images": images, "proposals": some_proposals(*case)}
        for images, case in zip(batches["own"], cases, strict=True)
    ]
    for name, model in models.items():
        model.export(tmp_path / name, verbose=False)
    (tmp_path / "batches.pickle").write_bytes(pickle.dumps(batches))
    run_python(SERVE, str(tmp_path))
    served = pickle.loads((tmp_path / "served.pickle").read_bytes())
    for name, model in models.items():
        for batch, found in zip(batches[name], served[name], strict=True):
            expected = model(batch, training=False)
            assert expected["num_detections"].numpy().any()
            assert set(found) == set(expected)
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, atol=1e-3)
