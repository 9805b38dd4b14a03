"""When two answers are the same: the tolerances, and detections in any order."""

import numpy as np
import pytest

from tumorkeras.serving.compare import compare, unmatched

BOXES = np.array([[[0, 0, 8, 8], [2, 2, 9, 9], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 3], "float32")


def detections(boxes=BOXES, scores=((0.5, 0.25, 0), (0, 0, 0)), classes=((1, 0, -1), (-1, -1, -1)), counts=(2, 0)):
    """Two images: one with two detections, one without any."""
    return {
        "boxes": np.array(boxes, "float32"),
        "scores": np.array(scores, "float32"),
        "classes": np.array(classes, "int32"),
        "num_detections": np.array(counts, "int32"),
    }


def shifted(by):
    boxes = BOXES.copy()
    boxes[0, 1, 2] += by
    return boxes


def test_the_same_detections_have_no_difference():
    assert compare(detections(), detections(), 2) == (0.0, [])


def test_the_order_of_detections_is_no_fault():
    swapped = detections(BOXES[:, [1, 0, 2]], [[0.25, 0.5, 0], [0, 0, 0]], [[0, 1, -1], [-1, -1, -1]])
    assert compare(swapped, detections(), 2) == (0.0, [])


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (detections(shifted(0.0005)), True),
        (detections(shifted(0.002)), False),
        (detections(scores=((0.500008, 0.25, 0), (0, 0, 0))), True),
        (detections(scores=((0.50002, 0.25, 0), (0, 0, 0))), False),
        (detections(classes=((1, 1, -1), (-1, -1, -1))), False),
        (detections(classes=((1, -1, -1), (-1, -1, -1)), counts=(1, 0)), False),
        (detections(classes=((1, 0, 0), (-1, -1, -1)), counts=(3, 0)), False),
        (detections(classes=((1, 0, -1), (0, -1, -1)), counts=(2, 1)), False),
    ],
)
def test_what_counts_as_the_same_detection(found, same):
    difference, faults = compare(found, detections(), 2)
    assert (not faults) == same
    assert difference < 0.0011


def test_a_detection_is_the_counterpart_of_one():
    one = {"boxes": np.ones((2, 4)), "scores": np.full(2, 0.5), "classes": np.array([0, -1])}
    two = {**one, "classes": np.array([0, 0])}
    assert unmatched(two, one)[:2] == (1, 0)
    assert unmatched(one, two)[:2] == (0, 1)


def test_missing_and_surplus_detections_are_counted():
    (fault,) = compare(detections(classes=((1, 1, -1), (-1, -1, -1))), detections(), 2)[1]
    assert fault.startswith("image 0: 1 of 2 detections are not among the 2 expected ones, and 1 of these are missing")


def test_faults_of_the_padding_and_of_the_shape():
    (fault,) = compare(detections(counts=(1, 0)), {}, 2)[1]
    assert "'classes' are not -1 from 'num_detections' on" in fault
    (fault,) = compare(detections(), {"scores": np.zeros((2, 4))}, 2)[1]
    assert fault == "'scores' has the shape (2, 3), expected (2, 4)"
    broken = detections()
    broken["boxes"][0, 0, 0] = np.nan
    faults = compare(broken, detections(), 2)[1]
    assert faults[0] == "'boxes' holds values that are not finite"
    assert "image 0: 1 of 2" in faults[1]
