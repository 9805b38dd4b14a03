"""What is read of truth and detections, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tumorkeras.errors import DataError
from tumorkeras.metrics import average_precision
from tumorkeras.metrics.detection_checks import rank_within, read_scenes

BOX = [2.0, 2.0, 6.0, 6.0]


def scene(**changes):
    """Two images, one truth and one detection each; ``truth_...`` and ``found_...`` change an array."""
    truth = {"boxes": np.tile(BOX, (2, 1, 1)), "classes": np.zeros((2, 1), int)}
    found = {"boxes": np.tile(BOX, (2, 1, 1)), "classes": np.zeros((2, 1), int), "scores": np.full((2, 1), 0.5)}
    for name, value in changes.items():
        which, key = name.split("_")
        (truth if which == "truth" else found)[key] = np.asarray(value)
    return truth, found


def test_padding_is_left_out_whatever_stands_in_it():
    truth, found = scene(
        found_boxes=[[BOX, [np.nan] * 4], [[np.inf] * 4, BOX]],
        found_classes=[[1, -1], [-1, 0]],
        found_scores=[[0.2, np.nan], [7, 0.9]],
    )
    scenes = read_scenes("x", truth, found, ["a", "b"])
    assert scenes.scores.tolist() == [0.9, 0.2]
    assert scenes.found.image.tolist() == [1, 0]
    assert scenes.found.label.tolist() == [0, 1]
    assert scenes.found.place.tolist() == [1, 0]
    assert scenes.truths_by_image().tolist() == [[1, 0], [1, 0]]


def test_equal_scores_keep_the_order_of_images_and_places():
    truth, found = scene(
        found_boxes=np.tile(BOX, (2, 2, 1)), found_classes=[[0, 0], [0, 0]], found_scores=[[0.5, 0.5], [0.9, 0.5]]
    )
    scenes = read_scenes("x", truth, found, ["a"])
    assert list(zip(scenes.found.image, scenes.found.place, scenes.rank, strict=True)) == [
        (1, 0, 0),
        (0, 0, 0),
        (0, 1, 1),
        (1, 1, 1),
    ]


def test_arrays_of_no_boxes_are_legal():
    nothing = {"boxes": np.zeros((3, 0, 4)), "classes": np.zeros((3, 0)), "scores": np.zeros((3, 0))}
    scenes = read_scenes("x", nothing, nothing, ["a"])
    assert (scenes.images, len(scenes.truth), len(scenes.found)) == (3, 0, 0)


def test_rank_within_counts_up_for_each_key():
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 5, 50)
    seen = dict.fromkeys(range(5), 0)
    for key, rank in zip(keys, rank_within(keys), strict=True):
        assert rank == seen[key]
        seen[key] += 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"truth_boxes": np.zeros((2, 4))}, r"truth: boxes have shape \(2, 4\), expected \(images, n, 4\)"),
        ({"truth_classes": [0, 0]}, r"truth: classes have shape \(2,\), expected \(2, 1\)"),
        ({"found_scores": [[0.5]]}, r"detections: scores have shape \(1, 1\), expected \(2, 1\)"),
        ({"found_scores": [["x"], ["y"]]}, "detections: not arrays of numbers"),
        ({"truth_boxes": np.zeros((0, 0, 4)), "truth_classes": np.zeros((0, 0))}, "truth: no images"),
        ({"truth_boxes": [[BOX]], "truth_classes": [[0]]}, "of 1 and 2 images"),
        ({"found_boxes": [[BOX], [[0, 0, np.nan, 1]]]}, r"image 1 has box \(0, 0, nan, 1\), expected finite"),
        ({"truth_boxes": [[BOX], [[9, 0, 4, 1]]]}, r"truth: image 1 has box \(9, 0, 4, 1\), expected \(xmin"),
        ({"found_classes": [[0], [2]]}, "detections: image 1 has class 2, expected an integer from 0 to 1"),
        ({"truth_classes": [[0.5], [0]]}, "truth: image 0 has class 0.5"),
        ({"truth_classes": [[-2], [0]]}, "truth: image 0 has class -2"),
        ({"found_classes": [[np.nan], [0]]}, "image 0 has class nan"),
        ({"found_scores": [[1.5], [0]]}, "image 0 has score 1.5, expected 0 to 1"),
        ({"found_scores": [[0], [np.nan]]}, "image 1 has score nan"),
    ],
)
def test_refuses(changes, fault):
    with pytest.raises(DataError, match=fault):
        read_scenes("x", *scene(**changes), ["a", "b"])


def test_names_all_faults_at_once_and_the_first_of_many():
    truth, found = scene(truth_classes=[[5], [5]], found_scores=[[-1], [2]])
    with pytest.raises(DataError) as caught:
        average_precision(truth, found, ["a", "a"])
    assert str(caught.value).startswith("average_precision: 5 faults")
    scores = np.arange(2, 62).reshape(2, 30)
    many = scene(found_boxes=np.tile(BOX, (2, 30, 1)), found_classes=np.zeros((2, 30)), found_scores=scores)
    with pytest.raises(DataError) as caught:
        average_precision(*many, ["a"])
    assert len(caught.value.faults) == 11
    assert caught.value.faults[-1] == "and 50 more"


def test_names_what_is_missing():
    truth, found = scene()
    with pytest.raises(DataError, match="detections: without 'scores'; found 'boxes', 'classes'"):
        read_scenes("x", truth, truth, ["a"])
    with pytest.raises(DataError, match="classes: none"):
        read_scenes("x", truth, found, [])
