"""Anchors: hand-worked overlaps, every placed anchor tried one by one, clusters of known shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.anchors import (
    DEFAULT_ANCHORS,
    Anchors,
    best_iou,
    cluster_shapes,
    propose_anchors,
    pyramid_strides,
    recall,
)
from tumorkeras.boxes import iou


def placed(anchors, canvas):
    """Every anchor of every cell of every level, one by one."""
    boxes = []
    for stride, sizes in zip(anchors.strides, anchors.sizes, strict=True):
        for row in range(-(-canvas[0] // stride)):
            for column in range(-(-canvas[1] // stride)):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                for size in sizes:
                    for ratio in anchors.ratios:
                        width, height = size / ratio**0.5, size * ratio**0.5
                        boxes.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return np.array(boxes)


@st.composite
def boxes_in(draw, canvas, most=6):
    sides = st.floats(0.5, 1.0)
    boxes = []
    for _ in range(draw(st.integers(1, most))):
        left, top = draw(st.floats(0, canvas[1] - 2)), draw(st.floats(0, canvas[0] - 2))
        boxes.append([left, top, left + draw(sides) * (canvas[1] - left), top + draw(sides) * (canvas[0] - top)])
    return np.array(boxes)


@pytest.mark.parametrize("canvas", [(64, 96), (50, 37)])
@pytest.mark.parametrize(
    "anchors",
    [
        Anchors((8, 16), ((10.0, 20.0), (40.0,)), (0.5, 1.0, 2.0)),
        Anchors((7,), ((9.0,),), (1.3,)),
        Anchors((4, 64), ((6.0,), (200.0,)), (0.25, 1.0)),
    ],
)
@given(st.data())
def test_the_best_iou_is_that_of_all_placed_anchors(canvas, anchors, data):
    boxes = data.draw(boxes_in(canvas))
    expected = iou(boxes, placed(anchors, canvas)).max(axis=1)
    np.testing.assert_allclose(best_iou(anchors, boxes, canvas), expected, atol=1e-5)


def test_default_anchors_are_those_of_a_feature_pyramid():
    """Widths and heights of 32 in the ratios 0.5, 1, 2, as published with the detector: 45 x 23, 32 x 32, 23 x 45."""
    assert DEFAULT_ANCHORS.strides == (4, 8, 16, 32, 64)
    assert np.round(DEFAULT_ANCHORS.shapes()[0]).tolist() == [[45, 23], [32, 32], [23, 45]]
    assert [shape.prod(axis=1).round().tolist() for shape in DEFAULT_ANCHORS.shapes()][4] == [512**2] * 3


def test_hand_worked_recall():
    """Cells of 8: middles at 4, 12, 20, 28. A box of 8 that is 2 off has 48 of 80 pixels in common."""
    anchors = Anchors((8,), ((8.0,),), (1.0,))
    boxes = [[8, 8, 16, 16], [10, 8, 18, 16], [12, 12, 20, 20]]
    assert best_iou(anchors, boxes, (32, 32)).tolist() == pytest.approx([1, 48 / 80, 16 / 112])
    assert recall(anchors, boxes, (32, 32)) == pytest.approx(2 / 3)
    assert recall(anchors, boxes, (32, 32), 0.7) == pytest.approx(1 / 3)
    assert recall(anchors, boxes, (32, 32), 48 / 80 - 1e-9) == pytest.approx(2 / 3)


def test_a_shape_that_fits_is_missed_where_the_grid_is_too_coarse():
    box = [[12, 12, 20, 20]]
    assert recall(Anchors((8,), ((8.0,),), (1.0,)), box, (32, 32)) == 0
    assert recall(Anchors((2,), ((8.0,),), (1.0,)), box, (32, 32)) == 1


def test_the_last_cell_may_lie_over_the_edge():
    """A canvas of 10 has two cells of 8, with middles at 4 and 12."""
    assert best_iou(Anchors((8,), ((8.0,),), (1.0,)), [[8, 0, 10, 8]], (10, 10)).tolist() == [16 / 64]


def test_no_boxes_have_no_recall():
    assert np.isnan(recall(DEFAULT_ANCHORS, np.empty((0, 4)), (64, 64)))


# ------------------------------------------------------------------------------------------------------- clusters


def test_clusters_are_the_shapes_that_were_planted():
    generator = np.random.default_rng(0)
    centers = np.array([[10, 10], [20, 60], [100, 50]])
    shapes = np.concatenate([center * generator.uniform(0.9, 1.1, (200, 2)) for center in centers])
    np.testing.assert_allclose(cluster_shapes(generator.permutation(shapes), 3), centers, rtol=0.02)


def test_the_distance_is_that_of_shapes_not_of_lengths():
    """By lengths 100 x 100 and 130 x 130 are farther apart than 4 x 4 and 20 x 20."""
    shapes = [[4, 4], [5, 5], [20, 20], [100, 100], [130, 130]]
    assert cluster_shapes(shapes, 3).tolist() == [[4.5, 4.5], [20, 20], [115, 115]]


def test_fewer_different_shapes_than_clusters():
    assert cluster_shapes([[4, 8], [4, 8], [2, 2]], 5).tolist() == [[2, 2], [4, 8]]
    assert cluster_shapes(np.empty((0, 2)), 3).shape == (0, 2)


def test_clusters_are_a_function_of_the_seed():
    shapes = np.random.default_rng(0).uniform(1, 100, (300, 2))
    np.testing.assert_array_equal(cluster_shapes(shapes, 6, seed=1), cluster_shapes(shapes, 6, seed=1))


def test_many_boxes_are_clustered_from_a_part_of_them():
    shapes = np.random.default_rng(0).choice([[10.0, 10.0], [50.0, 50.0]], 30_000)
    assert cluster_shapes(shapes, 2).tolist() == [[10, 10], [50, 50]]


# ------------------------------------------------------------------------------------------------------- proposal


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([40, 130], (4, 8, 16)),
        ([32], (4,)),
        ([3, 5], (4,)),
        ([2000], (64,)),
        ([8, 4000], (4, 8, 16, 32, 64)),
        ([64, 70], (8,)),
    ],
)
def test_strides_make_objects_about_eight_cells_wide(sizes, expected):
    assert pyramid_strides(sizes) == expected


def cells(n, generator, canvas=(240, 320)):
    """Boxes of three kinds of cells: small, middle and large."""
    size = generator.choice([18.0, 50.0, 95.0], n) * generator.uniform(0.85, 1.15, n)
    ratio = generator.uniform(0.7, 1.4, n)
    width, height = size / np.sqrt(ratio), size * np.sqrt(ratio)
    left, top = generator.uniform(0, canvas[1] - width), generator.uniform(0, canvas[0] - height)
    return np.stack([left, top, left + width, top + height], axis=-1)


def test_proposed_anchors_reach_what_the_defaults_miss():
    boxes, canvas = cells(600, np.random.default_rng(0)), (240, 320)
    anchors = propose_anchors(boxes, canvas)
    assert recall(DEFAULT_ANCHORS, boxes, canvas) < 0.9
    assert recall(anchors, boxes, canvas) > 0.97
    assert recall(anchors, boxes, canvas, 0.7) > recall(DEFAULT_ANCHORS, boxes, canvas, 0.7) + 0.3
    assert len({len(sizes) for sizes in anchors.sizes}) == 1
    assert len(anchors.sizes) == len(anchors.strides)
    assert list(anchors.ratios) == sorted(anchors.ratios)
    assert anchors == propose_anchors(boxes, canvas)


@given(st.data())
def test_any_boxes_have_anchors(data):
    boxes = data.draw(boxes_in((64, 96)))
    anchors = propose_anchors(boxes, (64, 96))
    assert all(size > 0 for sizes in anchors.sizes for size in sizes)
    assert 0 <= recall(anchors, boxes, (64, 96)) <= 1
