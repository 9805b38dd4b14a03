"""Suppression against a plain loop, and the score of outlines on drawings of known edges."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.boxes import iou
from tumorkeras.data.proposals import edge_steadiness, suppress


def suppressed_one_by_one(boxes, scores, overlap, most):
    left, kept = list(range(len(boxes))), []
    while left and len(kept) < most:
        best = max(left, key=lambda k: (scores[k], -k))
        kept.append(best)
        left = [k for k in left if k != best and iou(boxes[[best]], boxes[[k]])[0, 0] <= overlap]
    return kept


@given(
    st.lists(st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 9)] * 2, st.integers(0, 5)), max_size=25),
    st.sampled_from([0.21, 0.43, 0.78]),
    st.integers(0, 30),
)
def test_suppression_is_the_greedy_one(rows, overlap, most):
    table = np.array(rows, "float64").reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    expected = suppressed_one_by_one(boxes, table[:, 4], overlap, most)
    assert suppress(boxes, table[:, 4], overlap, most).tolist() == expected


def test_many_boxes_are_thinned():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (20_000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 50, (20_000, 2))], axis=1)
    scores = rng.uniform(size=20_000)
    kept = suppress(boxes, scores, 0.5, 300)
    assert len(kept) == 300
    assert (np.diff(scores[kept]) <= 0).all()
    assert iou(boxes[kept], boxes[kept])[np.triu_indices(300, 1)].max() <= 0.5


def test_an_outline_of_one_direction_is_steadier_than_half_an_edge():
    image = np.zeros((100, 200), "float32")
    cv2.circle(image, (50, 50), 20, 1.0, -1)
    image[:, 150:] = 1  # a straight edge through the middle of the second box
    disk, dark_disk = (
        edge_steadiness(each, np.array([[29.5, 29.5, 71.5, 71.5], [129.5, 29.5, 171.5, 71.5]]))
        for each in (image, 1 - image)
    )
    np.testing.assert_allclose(disk, dark_disk, atol=1e-4)
    assert disk[0] > 4
    assert disk[1] < 0.5


def test_what_lies_outside_the_image_counts_against_a_box():
    image = np.zeros((60, 60), "float32")
    cv2.circle(image, (0, 30), 15, 1.0, -1)  # half of it is seen
    whole = np.zeros((60, 60), "float32")
    cv2.circle(whole, (30, 30), 15, 1.0, -1)
    (cut,) = edge_steadiness(image, np.array([[-15.0, 15, 15, 45]]))
    (seen,) = edge_steadiness(whole, np.array([[15.0, 15, 45, 45]]))
    assert 0.5 * seen < cut < 0.9 * seen


def test_no_boxes_have_no_scores_and_many_are_read_in_pieces():
    image = np.random.default_rng(0).random((50, 50)).astype("float32")
    assert edge_steadiness(image, np.empty((0, 4))).shape == (0,)
    boxes = np.tile([[10.0, 10, 30, 30]], (40_000, 1))
    scores = edge_steadiness(image, boxes)
    np.testing.assert_array_equal(scores, scores[0])
    assert scores[0] == edge_steadiness(image, boxes[:1])[0]
