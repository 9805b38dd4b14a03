"""Crops and labels of regions against hand-worked values."""

from __future__ import annotations

import numpy as np

from tumorkeras.boxes import iou
from tumorkeras.comparison.region_crops import JITTERED, cut_out, jittered, labels_of


def test_a_crop_shows_the_region_with_its_context():
    image = np.zeros((20, 30, 2), "uint16")
    image[5:15, 10:20, 0] = 1000
    image[..., 1] = 7
    (crop,) = cut_out(image, np.array([[10, 5, 20, 15]], "float32"), size=20, context=0.5)
    assert crop.dtype == np.uint16
    np.testing.assert_array_equal(crop[..., 1], 7)
    np.testing.assert_array_equal(crop[..., 0], image[0:20, 5:25, 0])


def test_context_ends_at_the_border_and_small_regions_have_a_pixel():
    image = np.arange(48, dtype="float32").reshape(6, 8, 1)
    crops = cut_out(image, np.array([[0, 0, 8, 6], [2.4, 3.4, 2.6, 3.6]], "float32"), size=2, context=1.0)
    np.testing.assert_allclose(crops[0, ..., 0], [[9.5, 13.5], [33.5, 37.5]])  # means of the quarters
    np.testing.assert_array_equal(crops[1, ..., 0], 26)
    assert cut_out(image, np.empty((0, 4), "float32"), size=5, context=0.1).shape == (0, 5, 5, 1)


def test_labels_at_the_bounds():
    truth = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], "float32")
    boxes = np.array(
        [[0, 0, 10, 5], [0, 0, 10, 4.9], [0, 0, 10, 3], [0, 0, 10, 2.9], [20, 1, 30, 10], [50, 50, 60, 60]], "float32"
    )
    assert labels_of(boxes, truth, np.array([1, 0]), ground=2).tolist() == [1, -1, -1, 2, 0, 2]
    assert labels_of(boxes, truth[:0], np.array([], "int64"), ground=2).tolist() == [2] * 6


def test_moved_copies_stay_near_and_inside():
    boxes = np.array([[0, 0, 20, 10], [30, 30, 60, 60]], "float32")
    moved = jittered(boxes, (50, 64), np.random.default_rng(0))
    assert len(moved) == 2 * JITTERED
    assert moved.dtype == np.float32
    assert (moved[:, :2] >= 0).all()
    assert (moved[:, 2:] <= [64, 50]).all()
    near = iou(moved, [[0, 0, 20, 10], [30, 30, 60, 50]]).max(axis=1)
    assert near.min() > 0.5
    assert len(np.unique(moved, axis=0)) == len(moved)
    assert jittered(boxes[:0], (50, 64), np.random.default_rng(0)).shape == (0, 4)
