"""The inputs that exports are checked with."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.serving.golden import golden_requests, warm_up_requests
from tumorkeras.serving.signatures import BYTES, DEFAULT, UINT8, Endpoint, endpoints
from tumorkeras.serving.synthetic import synthetic_inputs

IMAGES = tf.TensorSpec((None, None, None, 1), tf.float32, name="inputs")


def brightest(scores):
    """A detector with one detection an image, around it, whose score a function makes of the mean grey value."""

    def find(images):
        size = tf.cast(tf.shape(images), tf.float32)
        score = scores(tf.reduce_mean(images, (1, 2, 3)))
        found = tf.cast(score > 0.5, tf.int32)
        box = tf.stack([0.0, 0.0, size[2], size[1]])
        return {
            "boxes": tf.where(found[:, None, None] > 0, box, 0.0),
            "scores": tf.where(found > 0, score, 0.0)[:, None],
            "classes": found[:, None] - 1,
            "num_detections": found,
        }

    return {DEFAULT: Endpoint(find, [IMAGES])}


def test_open_sizes_are_tried_square_high_and_wide():
    shapes = {"inputs": (None, None, 3), "proposals": (None, 4)}
    batches = synthetic_inputs(shapes)
    assert [batch["inputs"].shape[1:3] for batch in batches] == [(64, 64), (75, 53), (45, 97)]
    for batch in batches:
        images, boxes = batch["inputs"], batch["proposals"]
        assert images.dtype == boxes.dtype == np.float32
        assert images.min() >= 0
        assert images.max() <= 255
        assert images.std() > 20
        height, width = images.shape[1:3]
        assert (boxes[:, :-2, 2:] > boxes[:, :-2, :2]).all()
        assert (boxes <= [width, height, width, height]).all()
        assert (boxes[:, -2:] == 0).all()
    for one, other in zip(batches, synthetic_inputs(shapes), strict=True):
        np.testing.assert_array_equal(one["inputs"], other["inputs"])


def test_fixed_sizes_and_integers():
    (batch,) = synthetic_inputs({"inputs": (4, 6, 6, 1), "count": (2,)}, {"count": "int64"})
    assert batch["inputs"].shape == (3, 4, 6, 6, 1)
    assert batch["count"].dtype == np.int64
    assert set(batch["count"].flat) <= {0, 1}


def test_images_at_the_threshold_are_left_out():
    """The score of an image of grey value 100 crosses the threshold when its pixels change by a millionth."""
    steep = brightest(lambda mean: tf.sigmoid((mean - 100.0) * 1e4))
    samples = np.full((3, 20, 30, 1), [[[[40.0]]], [[[100.00001]]], [[[180.0]]]], "float32")
    (golden,) = golden_requests(steep, samples)
    assert golden.inputs["inputs"][:, 0, 0, 0].tolist() == [40.0, 180.0]
    assert golden.outputs["num_detections"].tolist() == [0, 1]
    (nothing,) = golden_requests(steep, samples[1:2])
    assert len(nothing.inputs["inputs"]) == 1
    assert nothing.outputs is None


def test_images_whose_grey_levels_are_at_the_threshold_are_left_out_too():
    """The score is settled at 100.3 and at 180, but not at the whole level that 100.3 becomes."""
    steep = brightest(lambda mean: tf.where(tf.equal(mean, 100.0), 0.9, 0.1))
    samples = np.full((2, 2, 3, 1), [[[[100.3]]], [[[180.0]]]], "float32")
    (golden,) = golden_requests(steep, samples)
    assert golden.inputs["inputs"][:, 0, 0, 0].tolist() == [180.0]


def test_every_signature_is_asked_with_the_same_images_in_its_own_form():
    inputs = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten(name="features")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(flat))
    samples = np.random.default_rng(0).uniform(-20, 300, (2, 8, 8, 3)).astype("float32")
    requests = {request.signature: request for request in golden_requests(endpoints(model), samples)}
    assert sorted(requests) == ["features", BYTES, DEFAULT, UINT8]
    np.testing.assert_array_equal(requests[DEFAULT].inputs["inputs"], samples)
    levels = requests[UINT8].inputs["inputs"]
    np.testing.assert_array_equal(levels, np.rint(samples).clip(0, 255))
    images = [tf.io.decode_png(content).numpy() for content in requests[BYTES].inputs["image_bytes"]]
    np.testing.assert_array_equal(images, levels)
    np.testing.assert_allclose(requests[BYTES].outputs["probabilities"], model(levels.astype("float32")), atol=1e-6)
    warm = warm_up_requests(requests.values(), largest=5)
    assert [(request.signature, len(*request.inputs.values())) for request in warm] == [
        (name, count) for name in sorted(requests) for count in (1, 5)
    ]
    assert {request.outputs for request in warm} == {None}


def test_images_of_all_sizes_are_encoded_together():
    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten(name="features")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(flat))
    asked = [request for request in golden_requests(endpoints(model)) if request.signature == BYTES]
    (request,) = asked
    shapes = [tf.io.decode_png(content).shape[:2].as_list() for content in request.inputs["image_bytes"]]
    assert shapes == [[64, 64]] * 3 + [[75, 53]] * 3 + [[45, 97]] * 3
    assert not request.outputs["status"].any()


def test_a_model_that_finds_nothing_is_warned_of(caplog):
    golden_requests(brightest(lambda mean: mean * 0 + 0.75))
    assert "finds nothing" not in caplog.text
    golden_requests(brightest(lambda mean: mean * 0))
    assert "finds nothing to compare its export by in the synthetic images" in caplog.text
    golden_requests(brightest(lambda mean: mean * 0), np.zeros((1, 9, 9, 1)))
    assert "in the samples" in caplog.text


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (np.zeros((2, 9, 9)), r"shape \(2, 9, 9\) found, expected \('n', None, None, 1\)"),
        (np.zeros((2, 9, 9, 3)), r"shape \(2, 9, 9, 3\)"),
        (np.zeros((0, 9, 9, 1)), "n > 0"),
        (object(), "object found, expected numbers of one shape"),
        ([np.zeros((9, 9, 1)), np.zeros((8, 9, 1))], "list found, expected numbers of one shape"),
        ({"images": np.zeros((2, 9, 9, 1))}, "'inputs' is missing"),
        ({"inputs": np.zeros((2, 9, 9, 1)), "boxes": np.zeros(3)}, "'boxes' is no input; there are inputs"),
        ({"inputs": np.zeros((2, 9, 9, 1)), "boxes": np.zeros(3)}, "not as many of every input"),
    ],
)
def test_samples_that_do_not_fit_are_told(samples, fault):
    with pytest.raises(ModelError, match=fault):
        golden_requests(brightest(lambda mean: mean), samples)
