"""Region proposals: where anchors lie, which boxes come out and in what order."""

from __future__ import annotations

import detector_reference as reference
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.anchors import Anchors, best_iou
from tumorkeras.errors import ModelError
from tumorkeras.layers import RegionProposals
from tumorkeras.layers.proposals import anchor_boxes

TWO_LEVELS = Anchors((8, 16), ((10.0, 16.0), (24.0, 36.5)), (0.5, 1.0, 3.0))
CANVAS = (40, 56)  # 5 x 7 and 3 x 4 cells


def layer_of(anchors, canvas=CANVAS, **options):
    return RegionProposals(canvas, anchors.strides, anchors.sizes, anchors.ratios, **options)


def random_heads(count, batch=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (batch, count)).astype("float32"), rng.normal(0, 0.4, (batch, count, 4)).astype("float32")


@pytest.mark.parametrize("canvas", [CANVAS, (64, 64), (33, 70)])
def test_anchors_lie_level_by_level_row_by_row_in_the_order_of_their_shapes(canvas):
    levels = anchor_boxes(TWO_LEVELS, canvas)
    expected = reference.placed_anchors(TWO_LEVELS.strides, TWO_LEVELS.shapes(), canvas)
    np.testing.assert_allclose(np.concatenate(levels), expected, atol=1e-4)
    assert [len(level) for level in levels] == [
        6 * -(-canvas[0] // stride) * -(-canvas[1] // stride) for stride in TWO_LEVELS.strides
    ]


def test_ratios_are_height_over_width():
    wide, square = anchor_boxes(Anchors((8,), ((8.0,),), (0.25, 1.0)), (8, 8))[0]
    np.testing.assert_allclose(wide, [-4, 2, 12, 6], atol=1e-5)
    np.testing.assert_allclose(square, [0, 0, 8, 8], atol=1e-5)


@given(st.integers(0, 1000))
def test_the_best_anchor_is_as_good_as_the_plan_says(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 30, (3, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 40, (3, 2))], axis=1)
    placed = reference.placed_anchors(TWO_LEVELS.strides, TWO_LEVELS.shapes(), CANVAS)
    best = [max(reference.iou(anchor, box) for anchor in placed) for box in boxes]
    np.testing.assert_allclose(best_iou(TWO_LEVELS, boxes, CANVAS), best, rtol=1e-6)


def test_proposals_by_hand():
    """Three anchors side by side: the second overlaps the first too much, the third is shifted beyond the edge."""
    anchors = Anchors((8,), ((8.0,),), (1.0,))
    layer = layer_of(anchors, (8, 24), most=3, nms_iou=0.5)
    deltas = np.zeros((1, 3, 4), "float32")
    deltas[0, 1, 0] = -0.75  # 6 pixels left: from 2 to 10, IoU 0.6 with the first
    deltas[0, 2, 0] = 0.5  # 4 pixels right, and cut
    found = layer(np.array([[1.0, 0.5, 2.0]], "float32"), deltas)
    np.testing.assert_allclose(found, [[[20, 0, 24, 8], [0, 0, 8, 8], [0, 0, 0, 0]]], atol=1e-5)


@pytest.mark.parametrize("options", [{"most": 20}, {"most": 4, "nms_iou": 0.3}, {"candidates": 30, "most": 50}])
@pytest.mark.parametrize("seed", range(3))
def test_proposals_are_those_of_plain_loops(options, seed):
    layer = layer_of(TWO_LEVELS, **options)
    logits, deltas = random_heads(len(layer.anchors), seed=seed)
    found = layer(logits, deltas)
    for own, each_logits, each_deltas in zip(found, logits, deltas, strict=True):
        expected = reference.proposals(
            each_logits, each_deltas, layer.anchors, CANVAS, layer.candidates, layer.most, layer.nms_iou
        )
        np.testing.assert_allclose(own, expected, atol=1e-3)


def test_the_order_is_kept_where_probabilities_are_all_0_or_1():
    layer = layer_of(Anchors((8,), ((8.0,),), (1.0,)), (8, 48), most=6)
    for logits in ([30.0, 60.0, 40.0, 90.0, 20.0, 50.0], [-300.0, -200.0, -500.0, -110.0, -900.0, -120.0]):
        found = layer(np.array([logits], "float32"), np.zeros((1, 6, 4), "float32"))
        assert (found[0, :, 0].numpy() // 8).tolist() == np.argsort(logits)[::-1].tolist()


def test_boxes_that_are_no_regions_do_not_come_out():
    """Thinner than a pixel, wholly beside the canvas, or no number."""
    layer = layer_of(Anchors((8,), ((8.0,),), (1.0,)), (8, 40), most=5)
    deltas = np.zeros((1, 5, 4), "float32")
    deltas[0, 0, 2] = np.log(0.9 / 8)
    deltas[0, 1, 1] = 2.0
    deltas[0, 2, 0] = np.nan
    found = np.asarray(layer(np.zeros((1, 5), "float32"), deltas))
    np.testing.assert_allclose(found, [[[24, 0, 32, 8], [32, 0, 40, 8], [0] * 4, [0] * 4, [0] * 4]], atol=1e-5)


def test_no_gradient_goes_through():
    layer = layer_of(TWO_LEVELS)
    heads = [tf.constant(head) for head in random_heads(len(layer.anchors))]
    with tf.GradientTape() as tape:
        tape.watch(heads)
        total = tf.reduce_sum(layer(*heads))
    assert tape.gradient(total, heads) == [None, None]


def test_the_batch_is_open_and_mixed_precision_gives_float32():
    layer = layer_of(TWO_LEVELS, most=7, dtype="mixed_float16")
    count = len(layer.anchors)
    inputs = [keras.Input((count,)), keras.Input((count, 4))]
    model = keras.Model(inputs, layer(*inputs))
    assert model.output_shape == (None, 7, 4)
    for batch in (1, 3):
        heads = random_heads(count, batch)
        found = model(list(heads))
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, layer_of(TWO_LEVELS, most=7)(*heads), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"candidates": 0}, "candidates: 0 is not a positive integer"),
        ({"most": 2.0}, "most: 2.0 is not a positive integer"),
        ({"nms_iou": 0}, "nms_iou: 0 is not above 0 to 1"),
        ({"nms_iou": 1.1}, "nms_iou: 1.1"),
    ],
)
def test_bad_arguments_are_told(options, words):
    with pytest.raises(ModelError, match=words):
        layer_of(TWO_LEVELS, **options)
