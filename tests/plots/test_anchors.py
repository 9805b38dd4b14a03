"""Which boxes the anchors meet, as a picture."""

import numpy as np
import pytest

from tumorkeras import plots
from tumorkeras.anchors import Anchors, best_iou
from tumorkeras.errors import DataError

CANVAS = (256, 256)
ANCHORS = Anchors((8, 16), ((32.0,), (64.0,)), (0.5, 1.0))
BOXES = np.array([[4, 4, 36, 36], [64, 64, 128, 128], [0, 100, 250, 104], [9, 9, 11, 11]], "float32")


def drawn(ax):
    """The points of each entry of the legend."""
    return {points.get_label(): np.asarray(points.get_offsets()) for points in ax.collections}


def test_boxes_and_anchors_stand_at_their_shapes_the_unmet_apart():
    ax = plots.anchors(BOXES, ANCHORS, CANVAS)
    points = drawn(ax)
    assert points["box, met"].tolist() == [[32, 32], [64, 64]]
    assert points["box, not met"].tolist() == [[250, 4], [2, 2]]
    np.testing.assert_allclose(points["anchor, stride 8"], ANCHORS.shapes()[0])
    np.testing.assert_allclose(points["anchor, stride 16"], ANCHORS.shapes()[1])
    assert ax.get_title(loc="left") == "Anchors meet 2 of 4 boxes (IoU 0.5)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(points)


def test_the_count_is_that_of_the_wanted_overlap_and_an_empty_kind_has_no_entry():
    assert "box, not met" not in drawn(plots.anchors(BOXES[:2], ANCHORS, CANVAS))
    strict = plots.anchors(BOXES, ANCHORS, CANVAS, iou=0.9)
    met = (best_iou(ANCHORS, BOXES, CANVAS) >= 0.9).sum()
    assert strict.get_title(loc="left") == f"Anchors meet {met} of 4 boxes (IoU 0.9)"


@pytest.mark.parametrize(
    ("boxes", "iou", "words"),
    [
        (np.zeros((0, 4)), 0.5, r"boxes: have the shape \(0, 4\)"),
        (BOXES[:, :2], 0.5, r"boxes: have the shape \(4, 2\)"),
        ([[0, 0, 5, 5], [3, 3, 3, 9]], 0.5, r"row 1 has no area: \[3.0, 3.0, 3.0, 9.0\]"),
        ([[0, 0, 5, np.nan]], 0.5, "row 0 has no area"),
        (BOXES, 0, "iou: 0 found"),
        (BOXES, 1.5, "iou: 1.5 found"),
    ],
)
def test_what_cannot_be_drawn_is_named(boxes, iou, words):
    with pytest.raises(DataError, match=words):
        plots.anchors(boxes, ANCHORS, CANVAS, iou)
