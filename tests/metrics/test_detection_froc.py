"""FROC and the figures at a threshold, by hand and against a plain loop over thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detections import chosen, made_detections

from tumorkeras.metrics.detection_checks import read_scenes
from tumorkeras.metrics.detection_froc import FROC_RATES, froc_by_class, operating_by_class

CLASSES = ["a", "b", "c"]
SEEDS = st.integers(0, 10_000)


def plain_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def counted(truth, found, threshold, iou, label):
    """Truths, hits and false positives of a class at a threshold, image after image; None: of all classes."""
    truths = hits = wrong = 0
    for image in range(len(truth["boxes"])):
        for own in range(3) if label is None else [label]:
            targets = [box for box, c in zip(truth["boxes"][image], truth["classes"][image], strict=True) if c == own]
            boxes, labels, scores = (found[key][image] for key in ("boxes", "classes", "scores"))
            rows = [row for row in np.argsort(-scores, kind="stable") if labels[row] == own]
            rows = [row for row in rows if scores[row] >= threshold]
            truths, free = truths + len(targets), set(range(len(targets)))
            for row in rows:
                overlaps = {t: plain_iou(boxes[row].astype(float), targets[t].astype(float)) for t in free}
                best = max(overlaps, key=overlaps.get, default=None)
                if best is not None and overlaps[best] >= iou:
                    free.discard(best)
                    hits += 1
                else:
                    wrong += 1
    return truths, hits, wrong


def plain_froc(truth, found, iou, label):
    images = len(truth["boxes"])
    at = [counted(truth, found, threshold, iou, label) for threshold in np.unique(found["scores"])]
    truths = at[0][0]
    if not truths:
        return [np.nan] * 8
    values = [max([hits for _, hits, wrong in at if wrong <= rate * images], default=0) / truths for rate in FROC_RATES]
    return [*values, np.mean(values)]


@pytest.mark.parametrize("options", [{"ties": True}, {"seed": 4}, {"absent": (1,), "most_found": 40, "images": 5}])
@pytest.mark.parametrize("iou", [0.5, 0.2])
def test_froc_is_that_of_a_plain_loop(options, iou):
    truth, found = made_detections(**options)
    values = froc_by_class(read_scenes("x", truth, found, CLASSES), iou)(np.ones((1, len(truth["boxes"]))))[0]
    for column, label in zip(values.T, [0, 1, 2, None], strict=True):
        np.testing.assert_allclose(column, plain_froc(truth, found, iou, label), atol=1e-12)


@pytest.mark.parametrize("options", [{"ties": True}, {"seed": 4}, {"absent": (1,), "most_found": 2}])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_figures_at_a_threshold_are_those_of_a_plain_loop(options, threshold):
    truth, found = made_detections(**options)
    images = len(truth["boxes"])
    values = operating_by_class(read_scenes("x", truth, found, CLASSES), threshold, 0.5)(np.ones((1, images)))[0]
    for column, label in zip(values.T, [0, 1, 2, None], strict=True):
        truths, hits, wrong = counted(truth, found, threshold, 0.5, label)
        sensitivity = hits / truths if truths else np.nan
        precision = hits / (hits + wrong) if hits + wrong else np.nan
        np.testing.assert_allclose(column, [sensitivity, wrong / images, precision])


def test_froc_by_hand():
    # eight images; scores: hit 0.9, miss 0.8 (1/8 an image), hit 0.7, miss 0.6 and hit 0.6 together (2/8), then no more
    boxes = np.tile([0, 0, 9, 9], (8, 1, 1))
    truth = {"boxes": boxes, "classes": np.array([0, 0, 0, 0, -1, -1, -1, -1])[:, None]}
    found = {
        "boxes": boxes,
        "scores": np.array([0.9, 0.7, 0.6, 0, 0.8, 0.6, 0, 0])[:, None],
        "classes": np.array([0, 0, 0, -1, 0, 0, -1, -1])[:, None],
    }
    scenes = read_scenes("x", truth, found, ["tumor"])
    values = froc_by_class(scenes, 0.5)(np.ones((1, 8)))[0, :, 0]
    assert values[:7].tolist() == [0.5, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75]
    assert values[7] == np.mean(values[:7])
    assert operating_by_class(scenes, 0.7, 0.5)(np.ones((1, 8)))[0, :, 0].tolist() == [0.5, 0.125, 2 / 3]


def test_a_second_detection_of_a_truth_is_a_false_positive():
    truth = {"boxes": [[[0, 0, 9, 9]]], "classes": [[0]]}
    found = {"boxes": [[[0, 0, 9, 9]] * 3], "scores": [[0.9, 0.8, 0.7]], "classes": [[0] * 3]}
    values = operating_by_class(read_scenes("x", truth, found, ["tumor"]), 0.5, 0.5)(np.ones((1, 1)))
    assert values[0, :, 0].tolist() == [1, 2, 1 / 3]


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_froc_rises_and_the_order_of_images_does_not_matter(seed):
    truth, found = made_detections(seed=seed)
    order = np.random.default_rng(seed).permutation(len(truth["boxes"]))
    every = np.ones((1, len(order)))
    values, shuffled = (
        froc_by_class(read_scenes("x", *both, CLASSES), 0.5)(every)[0]
        for both in ((truth, found), (chosen(truth, order), chosen(found, order)))
    )
    np.testing.assert_array_equal(values, shuffled)
    rising = np.diff(values[:7], axis=0)
    assert ((rising >= 0) | np.isnan(rising)).all()


@pytest.mark.parametrize("ties", [False, True])
def test_weights_are_copies_of_images(ties):
    truth, found = made_detections(images=10, seed=7, ties=ties)
    weights = np.random.default_rng(0).multinomial(10, np.full(10, 0.1), size=30)
    scenes = read_scenes("x", truth, found, CLASSES)
    froc, operating = froc_by_class(scenes, 0.5)(weights), operating_by_class(scenes, 0.4, 0.5)(weights)
    for place, row in enumerate(weights):
        images = np.repeat(np.arange(10), row)
        copied = read_scenes("x", chosen(truth, images), chosen(found, images), CLASSES)
        every = np.ones((1, 10))
        np.testing.assert_allclose(froc[place], froc_by_class(copied, 0.5)(every)[0], atol=1e-12)
        np.testing.assert_allclose(operating[place], operating_by_class(copied, 0.4, 0.5)(every)[0], atol=1e-12)


def test_without_detections_nothing_is_found():
    truth, found = made_detections()
    found["classes"][:] = -1
    scenes = read_scenes("x", truth, found, CLASSES)
    every = np.ones((1, scenes.images))
    assert (froc_by_class(scenes, 0.5)(every) == 0).all()
    sensitivity, wrong, precision = operating_by_class(scenes, 0.5, 0.5)(every)[0]
    assert (sensitivity == 0).all()
    assert (wrong == 0).all()
    assert np.isnan(precision).all()
