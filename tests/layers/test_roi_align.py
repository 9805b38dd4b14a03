"""RoIAlign: by hand, against a loop over points, and its gradient."""

from __future__ import annotations

import detector_reference as reference
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.errors import ModelError
from tumorkeras.layers import RoIAlign
from tumorkeras.layers.roi_align import level_of_boxes

RNG = np.random.default_rng(0)
STRIDES = [4, 8, 16]
LEVELS = [RNG.normal(size=(2, 96 // stride, 128 // stride, 3)).astype("float32") for stride in STRIDES]


def random_boxes(count, canvas=(96, 128), beyond=0.0, seed=0):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-beyond, 1 + beyond, (2, count, 2, 2)) * [canvas[1], canvas[0]]
    return np.concatenate([corners.min(axis=2), corners.max(axis=2)], axis=2).astype("float32")


def expected_regions(levels, boxes, strides, size=7, samples=2, of=reference.level_of):
    """Regions of all images, in a loop."""
    rows = []
    for image, own in enumerate(boxes):
        for box in own:
            k = of(box, strides)
            rows.append(reference.roi_align(levels[k][image], box, strides[k], size, samples)[0])
    return np.array(rows)


def test_a_ramp_is_read_at_its_middles():
    """On a map that grows by 1 a cell the mean of a bin is the value at its middle: 0.5 for the first cell."""
    ramp = np.tile(np.arange(8, dtype="float32")[None, None, :, None] + 0.5, (1, 8, 1, 1))
    found = RoIAlign([4], size=2)([ramp], np.array([[[8.0, 8.0, 24.0, 16.0]]]))  # cells 2 to 6: middles 3 and 5
    np.testing.assert_allclose(found[0, :, :, 0], [[3, 5], [3, 5]], rtol=1e-6)


def test_one_cell_by_hand():
    """A single bright cell, read by 2 x 2 points a bin of half a cell: the share of each is bilinear."""
    level = np.zeros((1, 4, 4, 1), "float32")
    level[0, 1, 1] = 1
    found = RoIAlign([1], size=1, samples=2)([level], np.array([[[1.0, 1.0, 2.0, 2.0]]]))
    np.testing.assert_allclose(found, [[[[0.75**2]]]], rtol=1e-6)


@pytest.mark.parametrize(("size", "samples"), [(7, 2), (3, 1), (1, 2), (5, 3)])
@pytest.mark.parametrize("beyond", [0.0, 0.3])
def test_one_level_is_that_of_the_loop(size, samples, beyond):
    boxes = random_boxes(6, beyond=beyond)
    found = RoIAlign([4], size, samples)(LEVELS[:1], boxes)
    np.testing.assert_allclose(found, expected_regions(LEVELS, boxes, [4], size, samples), atol=2e-3)


def test_each_region_comes_from_its_own_level_in_the_order_of_the_boxes():
    boxes = random_boxes(24)
    boxes[:, 3], boxes[:, 8] = [-120, -120, 128, 240], [0, 0, 128, 112]
    assert {reference.level_of(box, STRIDES) for box in boxes.reshape(-1, 4)} == {0, 1, 2}
    found = RoIAlign(STRIDES)(LEVELS, boxes)
    np.testing.assert_allclose(found, expected_regions(LEVELS, boxes, STRIDES), atol=2e-3)


def test_stacked_regions_come_from_every_level():
    boxes = random_boxes(5)
    found = RoIAlign(STRIDES, size=3, stacked=True)(LEVELS, boxes)
    assert found.shape == (10, 3, 3, 3, 3)
    for k in range(3):
        expected = expected_regions(LEVELS, boxes, STRIDES, size=3, of=lambda box, strides, k=k: k)
        np.testing.assert_allclose(found[:, k], expected, atol=2e-3)


@given(st.lists(st.tuples(*[st.floats(-40, 160, width=32)] * 4), min_size=1, max_size=4))
def test_any_boxes_are_read_as_in_the_loop(boxes):
    """Also boxes that are inside out, without area, and beside the map; but not on its outer edge to a hair."""
    boxes = np.round(np.array([boxes], "float32") * 8) / 8 + 0.03
    found = RoIAlign([4], size=2)([LEVELS[0][:1]], boxes)
    np.testing.assert_allclose(found, expected_regions(LEVELS, boxes, [4], size=2), atol=2e-3)


def test_a_region_without_area_is_a_point_and_far_outside_is_nothing():
    boxes = np.array([[[0, 0, 0, 0], [10, 6, 10, 6], [300, 300, 340, 340]]], "float32")
    found = np.asarray(RoIAlign([4])([LEVELS[0][:1]], boxes))
    np.testing.assert_allclose(found[0], np.broadcast_to(LEVELS[0][0, 0, 0], (7, 7, 3)), rtol=1e-5)
    np.testing.assert_allclose(found[1], np.broadcast_to(LEVELS[0][0, 1, 2], (7, 7, 3)), rtol=1e-4)
    assert not found[2].any()


def test_up_to_the_edge_the_map_is_level():
    level = np.ones((1, 6, 8, 1), "float32")
    np.testing.assert_allclose(RoIAlign([4])([level], np.array([[[0.0, 0.0, 32.0, 24.0]]])), np.ones((1, 7, 7, 1)))


@pytest.mark.parametrize("stacked", [False, True])
def test_gradient_of_the_maps_is_that_of_the_loop_and_boxes_have_none(stacked):
    boxes = random_boxes(4, beyond=0.1)
    boxes[:, 0] = [-120, -120, 128, 240]
    levels, places = [tf.constant(level) for level in LEVELS], tf.constant(boxes)
    layer = RoIAlign(STRIDES, size=3, stacked=stacked)
    with tf.GradientTape() as tape:
        tape.watch([*levels, places])
        regions = layer(levels, places)
        weights = np.random.default_rng(4).normal(size=regions.shape).astype("float32")
        total = tf.reduce_sum(regions * weights)
    gradients = tape.gradient(total, [*levels, places])
    assert gradients.pop() is None
    expected = [np.zeros(level.shape) for level in LEVELS]
    for row, own in enumerate(boxes.reshape(-1, 4)):
        image = row // boxes.shape[1]
        for k in range(3) if stacked else [reference.level_of(own, STRIDES)]:
            _, shares = reference.roi_align(LEVELS[k][image], own, STRIDES[k], 3, 2)
            weight = weights[row, k] if stacked else weights[row]
            expected[k][image] += np.einsum("ijyx,ijc->yxc", shares, weight)
    for found, own in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, own, atol=2e-3)


def test_the_gradient_is_the_same_every_time_and_loses_no_summand():
    """Hundreds of regions on one place: threads that add to one cell at once would differ, and miss some."""
    places = tf.constant(np.tile(np.array([[[8.0, 8.0, 24.0, 24.0]]], "float32"), (1, 500, 1)))
    level = tf.constant(RNG.normal(size=(1, 16, 16, 8)).astype("float32"))
    layer = RoIAlign([4])

    def gradient_of(count):
        with tf.GradientTape() as tape:
            tape.watch(level)
            total = tf.reduce_sum(layer([level], places[:, :count]))
        return tape.gradient(total, level).numpy()

    first = gradient_of(500)
    np.testing.assert_allclose(first, 500 * gradient_of(1), rtol=1e-4)
    assert all((gradient_of(500) == first).all() for _ in range(20))


def test_the_level_is_the_last_on_which_a_box_is_14_cells_wide():
    sides = np.array([1, 55, 56, 57, 111, 112, 113, 223, 224, 225, 900], "float32")
    boxes = np.stack([sides * 0, sides * 0, sides * 2, sides / 2], axis=1)
    expected = [reference.level_of(box, [4, 8, 16]) for box in boxes]
    assert expected == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert level_of_boxes(boxes, [4, 8, 16]).numpy().tolist() == expected
    assert level_of_boxes(tf.constant([[5.0, 5, 1, 1], [0, 0, 0, 0]]), [4, 8]).numpy().tolist() == [0, 0]


def test_places_are_exact_in_mixed_precision():
    """float16 has steps of half a pixel beyond 512: the regions would be others."""
    level = np.random.default_rng(1).normal(size=(1, 256, 256, 2)).astype("float16").astype("float32")
    boxes = np.array([[[700.3, 801.2, 763.7, 842.9], [1000.4, 1000.3, 1012.2, 1013.9]]], "float32")
    found = RoIAlign([4], dtype="mixed_float16")([level], boxes)
    assert found.dtype == "float16"
    np.testing.assert_allclose(found, RoIAlign([4])([level], boxes), atol=4e-3)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize(("batch", "count"), [(2, 0), (0, 3), (1, 1)])
def test_no_image_and_no_region(batch, count, stacked):
    levels = [level[:batch] for level in LEVELS]
    found = RoIAlign(STRIDES, size=2, stacked=stacked)(levels, np.zeros((batch, count, 4), "float32"))
    assert found.shape == ((batch * count, 3, 2, 2, 3) if stacked else (batch * count, 2, 2, 3))


def test_batch_and_number_of_regions_are_open():
    inputs = [[keras.Input((None, None, 3)) for _ in STRIDES], keras.Input((None, 4))]
    model = keras.Model(inputs, RoIAlign(STRIDES)(*inputs))
    assert model.output_shape == (None, 7, 7, 3)
    for batch, count in ((2, 5), (1, 3)):
        boxes = random_boxes(count)[:batch]
        found = model([[level[:batch] for level in LEVELS], boxes])
        np.testing.assert_allclose(found, expected_regions(LEVELS, boxes, STRIDES), atol=2e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"strides": []}, r"strides: \[\] are not positive integers"),
        ({"strides": [4, 0]}, "strides"),
        ({"strides": [4], "size": 0}, "size: 0 is not a positive integer"),
        ({"strides": [4], "samples": 1.5}, "samples: 1.5 is not a positive integer"),
        ({"strides": [4], "size": 1, "samples": 1}, "expected at least 2"),
    ],
)
def test_bad_arguments_are_told(arguments, words):
    with pytest.raises(ModelError, match=words):
        RoIAlign(**arguments)


def test_every_stride_has_its_level():
    with pytest.raises(ModelError, match="2 levels for 3 strides"):
        RoIAlign(STRIDES)(LEVELS[:2], random_boxes(2))
