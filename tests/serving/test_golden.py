"""The inputs that exports are checked with."""

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.serving.golden import DEFAULT, golden_batches, synthetic_inputs
from tumorkeras.serving.signatures import Endpoint

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
    (golden,) = golden_batches(steep, samples)
    assert golden.inputs["inputs"][:, 0, 0, 0].tolist() == [40.0, 180.0]
    assert golden.expected[DEFAULT]["num_detections"].tolist() == [0, 1]
    (nothing,) = golden_batches(steep, samples[1:2])
    assert len(nothing.inputs["inputs"]) == 1
    assert nothing.expected == {}


def test_a_model_that_finds_nothing_is_warned_of(caplog):
    golden_batches(brightest(lambda mean: mean * 0 + 0.75))
    assert "finds nothing" not in caplog.text
    golden_batches(brightest(lambda mean: mean * 0))
    assert "finds nothing to compare its export by in the synthetic images" in caplog.text
    golden_batches(brightest(lambda mean: mean * 0), np.zeros((1, 9, 9, 1)))
    assert "in the samples" in caplog.text


@pytest.mark.parametrize(
    ("samples", "fault"),
    [
        (np.zeros((2, 9, 9)), r"shape \(2, 9, 9\) found, expected \('n', None, None, 1\)"),
        (np.zeros((2, 9, 9, 3)), r"shape \(2, 9, 9, 3\)"),
        (np.zeros((0, 9, 9, 1)), "n > 0"),
        ({"images": np.zeros((2, 9, 9, 1))}, "'inputs' is missing"),
        ({"inputs": np.zeros((2, 9, 9, 1)), "boxes": np.zeros(3)}, "'boxes' is no input; there are inputs"),
        ({"inputs": np.zeros((2, 9, 9, 1)), "boxes": np.zeros(3)}, "not as many of every input"),
    ],
)
def test_samples_that_do_not_fit_are_told(samples, fault):
    with pytest.raises(ModelError, match=fault):
        golden_batches(brightest(lambda mean: mean), samples)
