"""When two answers are the same: the tolerances, ties, and detections in any order."""

import numpy as np
import pytest

from tumorkeras.serving.compare import compare, unmatched

BOXES = np.array([[[0, 0, 8, 8], [2, 2, 9, 9], [0, 0, 0, 0]], [[0, 0, 0, 0]] * 3], "float32")
SAME = {"boxes": 0.0, "scores": 0.0}


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
    assert compare(detections(), detections(), 2) == (SAME, [])


def test_the_order_of_detections_is_no_fault():
    swapped = detections(BOXES[:, [1, 0, 2]], [[0.25, 0.5, 0], [0, 0, 0]], [[0, 1, -1], [-1, -1, -1]])
    assert compare(swapped, detections(), 2) == (SAME, [])


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
    differences, faults = compare(found, detections(), 2)
    assert (not faults) == same
    assert differences["boxes"] < 0.0011
    assert differences["scores"] < 1.1e-5


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


def test_differences_are_those_of_the_outputs_apart():
    differences, faults = compare(detections(shifted(0.0005), [[0.500004, 0.25, 0], [0, 0, 0]]), detections(), 2)
    assert faults == []
    assert differences["boxes"] == pytest.approx(0.0005, rel=1e-2)
    assert differences["scores"] == pytest.approx(4e-6, rel=1e-1)


def names(*rows):
    return np.array(rows, dtype=object)


def test_names_of_detections_go_by_their_classes():
    expected = {**detections(), "class_name": names([b"mass", b"cyst", b""], [b"", b"", b""])}
    swapped = detections(BOXES[:, [1, 0, 2]], [[0.25, 0.5, 0], [0, 0, 0]], [[0, 1, -1], [-1, -1, -1]])
    right = {**swapped, "class_name": names([b"cyst", b"mass", b""], [b"", b"", b""])}
    assert compare(right, expected, 2) == (SAME, [])
    wrong = {**swapped, "class_name": names([b"cyst", b"cyst", b""], [b"", b"", b""])}
    assert compare(wrong, expected, 2)[1] == ["'class_name' of class 1 is [b'cyst'], expected [b'mass']"]


def classified(probabilities, classes, strings=(b"a", b"b")):
    return {
        "probabilities": np.array(probabilities, "float32"),
        "class_id": np.array(classes),
        "class_name": np.array([strings[number] for number in classes], dtype=object),
    }


def test_the_class_may_differ_where_two_are_as_probable():
    expected = classified([[0.500004, 0.499996], [0.75, 0.25]], [0, 0])
    assert compare(classified([[0.499997, 0.500003], [0.75, 0.25]], [1, 0]), expected, 2)[1] == []
    faults = compare(classified([[0.500004, 0.499996], [0.75, 0.25]], [0, 1]), expected, 2)[1]
    assert faults == [
        "'class_id' is 1 off, expected 0 at most",
        "'class_name' of row 1 is b'b', expected b'a'; 1 rows differ",
    ]


def test_the_class_need_not_be_the_most_probable_but_must_be_one():
    assert compare(classified([[0.75, 0.25], [0.75, 0.25]], [1, -1]), {}, 2)[1] == []
    (fault,) = compare({**classified([[0.75, 0.25]], [1]), "class_id": np.array([2])}, {}, 1)[1]
    assert fault == "'class_id' holds [2], expected -1 to 1"


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (np.array([2**60 + 1]), np.array([2**60]), False),
        (np.array([1.00005]), np.array([1.0]), True),
        (np.array([1.0002]), np.array([1.0]), False),
        (np.array([np.nan]), np.array([1.0]), False),
        (np.array([True]), np.array([False]), False),
        (np.array([b"a\0"], object), np.array([b"a"], object), False),
        (np.array([b"a\0"], object), np.array([b"a\0"], object), True),
        (np.zeros((0, 3)), np.zeros((0, 3)), True),
    ],
)
def test_numbers_and_strings(found, expected, same):
    assert (not compare({"value": found}, {"value": expected}, len(expected))[1]) == same
