"""Matching, by hand and against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from made_detections import made_detections

from tumorkeras.metrics.detection_checks import read_scenes
from tumorkeras.metrics.detection_matching import match, overlapping_pairs


def scenes_of(truth, found, scores):
    """One image, one class."""
    return read_scenes(
        "x",
        {"boxes": [truth], "classes": [[0] * len(truth)]},
        {"boxes": [found], "classes": [[0] * len(found)], "scores": [scores]},
        ["a"],
    )


def plain_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union else 0.0


def plain_match(scenes, threshold, ignored):
    """The truth of each detection, one detection after another."""
    taken, result = set(), []
    for d in range(len(scenes.found)):
        best, best_key = -1, None
        for t in range(len(scenes.truth)):
            same = scenes.truth.image[t] == scenes.found.image[d] and scenes.truth.label[t] == scenes.found.label[d]
            if not same or t in taken:
                continue
            overlap = plain_iou(scenes.found.boxes[d], scenes.truth.boxes[t])
            key = (not ignored[t], overlap, t)
            if overlap >= threshold and (best_key is None or key > best_key):
                best, best_key = t, key
        taken.add(best)
        taken.discard(-1)
        result.append(best)
    return result


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_matches_as_a_plain_loop_does(seed, ties):
    truth, found = made_detections(images=8, k=2, most_truths=9, most_found=25, seed=seed, ties=ties)
    truth["boxes"], found["boxes"] = (np.round(part["boxes"], -1) for part in (truth, found))  # overlaps tie too
    scenes = read_scenes("x", truth, found, ["a", "b"])
    ignored = np.random.default_rng(seed).random(len(scenes.truth)) < 0.3
    thresholds = [0.1, 0.5, 0.75, 0.95]
    matched = match(scenes, thresholds, ignored)
    assert (matched >= 0).any(axis=0).all()
    for column, threshold in zip(matched.T, thresholds, strict=True):
        assert column.tolist() == plain_match(scenes, threshold, ignored)


def test_pairs_in_chunks_are_the_same_pairs(monkeypatch):
    scenes = read_scenes("x", *made_detections(), list("abc"))
    whole = overlapping_pairs(scenes, 0.2)
    monkeypatch.setattr("tumorkeras.metrics.detection_matching.CHUNK", 7)
    parts = overlapping_pairs(scenes, 0.2)
    assert len(whole.iou) > 20
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_truth_is_found_once_by_the_highest_score():
    scenes = scenes_of([[0, 0, 10, 10]], [[0, 0, 10, 10], [0, 0, 10, 9]], [0.3, 0.8])
    assert scenes.scores.tolist() == [0.8, 0.3]
    assert match(scenes, [0.5]).ravel().tolist() == [0, -1]


def test_a_detection_takes_what_it_overlaps_most_and_else_what_is_left():
    truth = [[0, 0, 10, 10], [0, 0, 10, 8]]
    scenes = scenes_of(truth, [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8, 0.7])
    assert match(scenes, [0.5, 0.9]).T.tolist() == [[0, 1, -1], [0, -1, -1]]


def test_of_equal_overlaps_the_last_truth_is_taken():
    scenes = scenes_of([[0, 0, 4, 4], [4, 0, 8, 4]], [[2, 0, 6, 4]], [0.9])
    assert match(scenes, [0.3]).tolist() == [[1]]


def test_an_ignored_truth_is_the_last_choice():
    scenes = scenes_of([[0, 0, 10, 10], [0, 0, 10, 6]], [[0, 0, 10, 10]] * 2, [0.9, 0.8])
    assert match(scenes, [0.5], np.array([True, False])).ravel().tolist() == [1, 0]


def test_an_overlap_of_exactly_the_threshold_is_a_match():
    scenes = scenes_of([[0, 0, 10, 10]], [[0, 0, 10, 6]], [0.9])
    assert match(scenes, [0.6, np.nextafter(0.6, 1)]).tolist() == [[0, -1]]
    same = scenes_of([[0, 0, 10, 10]], [[0, 0, 10, 10]], [0.9])
    assert match(same, [1.0]).tolist() == [[0]]


def test_boxes_without_area_match_nothing():
    scenes = scenes_of([[5, 5, 5, 9]], [[5, 5, 5, 9], [0, 0, 9, 9]], [0.9, 0.8])
    assert match(scenes, [0.01]).ravel().tolist() == [-1, -1]


def test_without_truth_or_detections_there_is_no_match():
    assert match(scenes_of([[0, 0, 1, 1]], np.zeros((0, 4)), []), [0.5]).shape == (0, 1)
    assert match(scenes_of(np.zeros((0, 4)), [[0, 0, 1, 1]], [0.5]), [0.5, 0.9]).tolist() == [[-1, -1]]
