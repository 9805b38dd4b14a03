"""Boxes as deltas and back: by hand, against plain Python, and inverse to one another."""

from __future__ import annotations

import math

import detector_reference as reference
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.layers.box_coding import clip_boxes, decode_boxes, encode_boxes

SPREADS = [(1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)]
PLACE, SIDE = st.floats(-500, 1500, width=32), st.floats(1, 900, width=32)
BOX = st.tuples(PLACE, PLACE, SIDE, SIDE).map(lambda box: (*box[:2], box[0] + box[2], box[1] + box[3]))


def random_boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-20, 300, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(1, 200, (count, 2))], axis=1).astype("float32")


def test_deltas_by_hand():
    """From a square of 10 at (5, 5): its own place, half a side right, twice as wide, half as high."""
    anchor = tf.constant([0.0, 0.0, 10.0, 10.0])
    boxes = tf.constant([[0.0, 0, 10, 10], [5, 0, 15, 10], [-5, 0, 15, 10], [0, 2.5, 10, 7.5]])
    deltas = np.array([[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, math.log(2), 0], [0, 0, 0, -math.log(2)]])
    np.testing.assert_allclose(encode_boxes(boxes, anchor), deltas, atol=1e-6)
    np.testing.assert_allclose(
        encode_boxes(boxes, anchor, (0.1, 0.1, 0.2, 0.2)) * [0.1, 0.1, 0.2, 0.2], deltas, atol=1e-6
    )
    np.testing.assert_allclose(decode_boxes(tf.constant(deltas, tf.float32), anchor), boxes, atol=1e-5)


@pytest.mark.parametrize("spread", SPREADS)
def test_both_ways_are_those_of_plain_python(spread):
    boxes, anchors = random_boxes(50), random_boxes(50, seed=1)
    deltas = np.random.default_rng(2).normal(0, 2, (50, 4)).astype("float32")
    expected = [reference.encode(*pair, spread) for pair in zip(boxes, anchors, strict=True)]
    np.testing.assert_allclose(encode_boxes(boxes, anchors, spread), expected, rtol=1e-4, atol=1e-5)
    expected = [reference.decode(*pair, spread) for pair in zip(deltas, anchors, strict=True)]
    np.testing.assert_allclose(decode_boxes(deltas, anchors, spread), expected, rtol=1e-4, atol=1e-2)


@given(BOX, BOX, st.sampled_from(SPREADS))
def test_decoding_undoes_encoding(box, anchor, spread):
    box, anchor = np.array([box], "float32"), np.array([anchor], "float32")
    if np.any((box[:, 2:] - box[:, :2]) > 62 * (anchor[:, 2:] - anchor[:, :2])):
        return  # a growth that is cut
    back = decode_boxes(encode_boxes(box, anchor, spread), anchor, spread)
    np.testing.assert_allclose(back, box, atol=0.02)


def test_growth_has_an_end():
    anchor = tf.constant([[0.0, 0.0, 16.0, 16.0]])
    grown = decode_boxes(tf.constant([[0.0, 0.0, 80.0, 1e9]]), anchor)
    np.testing.assert_allclose(grown, [[8 - 500, 8 - 500, 8 + 500, 8 + 500]], rtol=1e-5)


def test_boxes_without_area_have_finite_deltas():
    """Padding is encoded too, and left aside later: a product of 0 and infinity would be no number."""
    flat = tf.zeros((1, 4))
    for box, anchor in ((flat, tf.constant([[0.0, 0, 8, 8]])), (tf.constant([[0.0, 0, 8, 8]]), flat), (flat, flat)):
        assert np.isfinite(encode_boxes(box, anchor)).all()


def test_batches_and_anchors_of_all_images_go_together():
    boxes, anchors = random_boxes(12).reshape(3, 4, 4), random_boxes(4, seed=5)
    deltas = encode_boxes(boxes, anchors)
    assert deltas.shape == (3, 4, 4)
    np.testing.assert_allclose(deltas[1], encode_boxes(boxes[1], anchors), rtol=1e-6)
    assert decode_boxes(tf.zeros((2, 0, 4)), tf.zeros((0, 4))).shape == (2, 0, 4)


@given(st.lists(BOX, max_size=5), st.integers(1, 400), st.integers(1, 400))
def test_cut_boxes_lie_inside(boxes, height, width):
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    found = np.asarray(clip_boxes(boxes, (height, width)))
    expected = [reference.cut(box, (0, 0, width, height)) for box in boxes]
    # TensorFlow makes 0 of what is below the smallest normal number.
    np.testing.assert_allclose(found, np.array(expected).reshape(-1, 4), rtol=0, atol=np.finfo("float32").tiny)
    np.testing.assert_array_equal(found, clip_boxes(boxes, tf.constant([height, width])))
