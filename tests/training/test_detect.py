"""What a detector finds in samples: in pixels of the files, whatever their sizes, and what a callback says of it."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from made_detectors import untrained_detector

from tumorkeras.data.detection import detection_batches
from tumorkeras.errors import ModelError
from tumorkeras.metrics import average_precision
from tumorkeras.models import build_classifier
from tumorkeras.training.detect import DetectionAveragePrecision, compiled_detector, detect
from tumorkeras.training.folder import TrainedModel


@pytest.fixture(scope="module")
def network(lesions):
    """Only asked, but for the callback's test, which trains it at a rate of 0."""
    return untrained_detector(lesions)


def test_truth_is_in_pixels_of_the_files(lesions):
    truth = lesions.truth()
    for k in range(len(lesions)):
        boxes, classes = lesions.boxes_of(k)
        count = len(boxes)
        np.testing.assert_allclose(truth["boxes"][k, :count], lesions.placement(k).invert(boxes), atol=1e-4)
        assert truth["classes"][k].tolist() == [*classes, *[-1] * (truth["classes"].shape[1] - count)]


def test_a_detector_sees_the_image_without_the_border_of_the_canvas(lesions, network):
    """Of images of 32 x 64 in files twice as large: what is found is what the model finds in the image alone."""
    wide = replace(lesions, sizes=np.tile([[64, 128]], (len(lesions.images), 1)))
    assert wide.image_of(0).shape == (32, 64, 1)
    np.testing.assert_array_equal(wide.image_of(3), lesions.images[3, 16:48])
    found = detect(network, wide, batch_size=3)
    alone = {key: np.asarray(value) for key, value in network(lesions.images[:, 16:48]).items()}
    assert alone["num_detections"].sum() > 0
    np.testing.assert_allclose(found["boxes"], 2 * alone["boxes"], atol=1e-2)
    np.testing.assert_array_equal(found["classes"], alone["classes"])


def test_images_of_several_sizes_keep_their_order(lesions, network):
    sizes = np.tile([[64, 128], [64, 64]], (len(lesions.images) // 2, 1))
    mixed = replace(lesions, sizes=sizes)
    found = detect(network, mixed, batch_size=4)
    for row in (0, 1, 6):
        alone = network(mixed.image_of(row)[None])["scores"]
        np.testing.assert_allclose(found["scores"][row], alone[0], atol=1e-5)


def test_the_compiled_call_takes_any_number_of_images_of_any_size(network):
    call = compiled_detector(network)
    for shape in ((1, 64, 64, 1), (3, 40, 90, 1)):
        assert call(tf.zeros(shape))["boxes"].shape == (shape[0], 10, 4)
    assert call.experimental_get_tracing_count() == 1


def test_many_compiled_detectors_are_not_warned_of(network, caplog, monkeypatch):
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    for _ in range(7):
        compiled_detector(network)(tf.zeros((1, 64, 64, 1)))
    assert "retracing" not in caplog.text


def test_the_callback_logs_what_the_metric_says(lesions, network):
    """Of images whose objects are the first detections, but for every third, which is of the other class."""
    first = {
        key: np.array(value)[:, 0] for key, value in network(lesions.images).items() if key in ("boxes", "classes")
    }
    first["classes"][::3] = 1 - first["classes"][::3]
    offsets = np.arange(len(lesions) + 1)
    samples = replace(lesions, boxes=first["boxes"], class_ids=first["classes"], offsets=offsets)
    network.compile(keras.optimizers.SGD(0.0))
    data = detection_batches(samples, 8)
    measure = DetectionAveragePrecision(data, samples.classes)
    history = network.fit(data, verbose=0, shuffle=False, callbacks=[measure]).history
    expected = average_precision(samples.truth(), detect(network, samples), samples.classes)
    assert 0 < expected.ap50 < 1
    assert history["val_AP50"] == [pytest.approx(expected.ap50, abs=1e-6)]
    assert history["val_AP"] == [pytest.approx(expected.ap, abs=1e-6)]


def test_a_trained_model_detects_as_its_network_does_and_others_are_refused(lesions, network):
    trained = TrainedModel(
        network, lesions.spec, {"kind": "detector", "classes": list(lesions.classes)}, pd.DataFrame()
    )
    wanted = detect(network, lesions)
    for key, value in detect(trained, lesions).items():
        np.testing.assert_array_equal(value, wanted[key])
    for model, name in ((build_classifier((8, 8, 1), 2, filters=(2,)), "classifier"), (3, "int")):
        with pytest.raises(ModelError, match=f"detect: model: {name} is no detector"):
            detect(model, lesions)
