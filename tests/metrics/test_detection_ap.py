"""Average precision and recall: against pycocotools, by hand, and what must not change them."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detections import chosen, made_detections
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tumorkeras.errors import DataError
from tumorkeras.metrics import average_precision, detection_metrics
from tumorkeras.metrics.detection_ap import COCO_IOU, precision_by_class
from tumorkeras.metrics.detection_checks import area_of, read_scenes

CLASSES = ["a", "b", "c"]
SEEDS = st.integers(0, 10_000)


def listed(arrays):
    """The boxes as COCO writes them, one dict each."""
    rows = []
    for image, place in np.argwhere(arrays["classes"] >= 0):
        x, y, right, bottom = arrays["boxes"][image, place].astype(float)
        row = {
            "id": len(rows) + 1,
            "image_id": int(image),
            "category_id": int(arrays["classes"][image, place]),
            "bbox": [x, y, right - x, bottom - y],
            "area": (right - x) * (bottom - y),
            "iscrowd": 0,
        }
        if "scores" in arrays:
            row["score"] = float(arrays["scores"][image, place])
        rows.append(row)
    return rows


def coco_figures(truth, found, k):
    """AP and AR of each class and of all by pycocotools, keyed as in our table."""
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(truth["boxes"]))],
            "categories": [{"id": c} for c in range(k)],
            "annotations": listed(truth),
        }
        reference.createIndex()
        run = COCOeval(reference, reference.loadRes(listed(found)), "bbox")
        run.evaluate()
        run.accumulate()
    precision, recall = (np.where(run.eval[key] < 0, np.nan, run.eval[key]) for key in ("precision", "recall"))
    by_class = {
        "AP50": precision[0, :, :, 0, 2].mean(axis=0),
        "AP50:95": precision[:, :, :, 0, 2].mean(axis=(0, 1)),
        "AP75": precision[5, :, :, 0, 2].mean(axis=0),
        "AP small": precision[:, :, :, 1, 2].mean(axis=(0, 1)),
        "AP medium": precision[:, :, :, 2, 2].mean(axis=(0, 1)),
        "AP large": precision[:, :, :, 3, 2].mean(axis=(0, 1)),
        "AR1": recall[:, :, 0, 0].mean(axis=0),
        "AR10": recall[:, :, 0, 1].mean(axis=0),
        "AR100": recall[:, :, 0, 2].mean(axis=0),
    }
    return {name: [*values, mean_of_defined(values)] for name, values in by_class.items()}


def mean_of_defined(values):
    return values[~np.isnan(values)].mean() if not np.isnan(values).all() else np.nan


@pytest.mark.parametrize(
    "options",
    [
        {"images": 40, "seed": 0},
        {"images": 40, "seed": 1, "ties": True},
        {"images": 20, "seed": 2, "absent": (1,)},
        {"images": 20, "seed": 3, "absent": (0, 2), "ties": True},
        {"images": 30, "seed": 4, "most_truths": 1, "most_found": 3},
        {"images": 6, "seed": 5, "most_truths": 30, "most_found": 600},  # more than 100 of an image and class
        {"images": 30, "seed": 6, "spread": 0.02, "most_truths": 12},
        {"images": 1, "seed": 8},
    ],
)
def test_agrees_with_pycocotools(options):
    truth, found = made_detections(**options)
    table = detection_metrics(truth, found, CLASSES, resamples=1)
    for name, expected in coco_figures(truth, found, 3).items():
        np.testing.assert_allclose(table.loc[name, "value"], expected, atol=1e-9, err_msg=name)
    result = average_precision(truth, found, CLASSES)
    assert result.ap == pytest.approx(table.loc[("AP50:95", "all"), "value"])
    assert result.ap50 == pytest.approx(table.loc[("AP50", "all"), "value"])
    np.testing.assert_allclose(list(result.ap50_by_class.values()), table.loc["AP50", "value"][:-1])


def test_more_than_a_hundred_detections_of_an_image_and_class_do_occur_above():
    _, found = made_detections(images=6, seed=5, most_truths=30, most_found=600)
    assert max((row == label).sum() for row in found["classes"] for label in range(3)) > 100


def test_by_hand():
    # by score: hit, miss, hit of three truths: precision 1 up to recall 1/3, 2/3 up to recall 2/3
    truth = {"boxes": [[[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]], "classes": [[0, 0, 0]]}
    boxes = [[[0, 0, 9, 9], [60, 0, 69, 9], [20, 0, 29, 9]]]
    found = {"boxes": boxes, "scores": [[0.9, 0.8, 0.7]], "classes": [[0, 0, 0]]}
    result = average_precision(truth, found, ["tumor"])
    assert result.ap50 == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)  # recalls 0.00-0.33 and 0.34-0.66
    assert result.ap == pytest.approx(result.ap50)


def test_what_is_not_there():
    truth, found = made_detections(seed=1)
    none = {key: np.full_like(values, -1) if key == "classes" else values for key, values in found.items()}
    assert average_precision(truth, none, CLASSES).ap == 0
    no_truth = {"boxes": truth["boxes"], "classes": np.full_like(truth["classes"], -1)}
    result = average_precision(no_truth, found, CLASSES)
    assert np.isnan([result.ap, result.ap50, *result.ap50_by_class.values()]).all()


def test_other_thresholds():
    truth, found = made_detections(seed=3)
    strict, loose = (average_precision(truth, found, CLASSES, iou=[limit]) for limit in (0.75, 0.1))
    assert strict.ap < strict.ap50 == loose.ap50 < loose.ap
    with pytest.raises(DataError, match="2 faults"):
        average_precision(truth, found, CLASSES, iou=[0, 1.5])
    with pytest.raises(DataError, match="no thresholds"):
        average_precision(truth, found, CLASSES, iou=[])


def figures(truth, found):
    """All AP figures of each class, (thresholds, k)."""
    scenes = read_scenes("x", truth, found, CLASSES)
    return precision_by_class(scenes, COCO_IOU)(np.ones((1, scenes.images)))[0]


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_the_order_of_images_and_of_boxes_does_not_matter(seed):
    truth, found = made_detections(seed=seed)
    rng = np.random.default_rng(seed)
    images = rng.permutation(len(truth["boxes"]))
    places = rng.permutation(found["boxes"].shape[1])
    shuffled = {name: values[:, places] for name, values in found.items()}
    np.testing.assert_array_equal(figures(truth, found), figures(chosen(truth, images), chosen(shuffled, images)))


@given(SEEDS, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
@settings(max_examples=25, deadline=None)
def test_scale_does_not_matter_where_the_ranges_of_areas_follow_it(seed, scale):
    truth, found = made_detections(seed=seed)
    larger = [part | {"boxes": part["boxes"] * scale} for part in (truth, found)]
    before = detection_metrics(truth, found, CLASSES, resamples=1)["value"]
    limits = (32**2 * scale**2, 96**2 * scale**2)
    np.testing.assert_array_equal(before, detection_metrics(*larger, CLASSES, resamples=1, area_limits=limits)["value"])


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_perfect_detector_has_1(seed):
    truth, _ = made_detections(seed=seed, most_truths=4)
    scores = np.random.default_rng(seed).random(truth["classes"].shape)
    values = figures(truth, truth | {"scores": scores})
    assert ((values == 1) | np.isnan(values)).all()


@given(SEEDS, st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_false_positive_never_raises_it_and_below_all_scores_changes_nothing(seed, last):
    truth, found = made_detections(seed=seed)
    image = seed % len(truth["boxes"])
    added = {name: np.concatenate([values, values[:, :1]], axis=1) for name, values in found.items()}
    added["boxes"][:, -1], added["classes"][:, -1], added["scores"][:, -1] = 0, -1, 0
    score = 0.0 if last else 0.5
    added["boxes"][image, -1], added["classes"][image, -1], added["scores"][image, -1] = [900, 900, 950, 950], 1, score
    before, after = (np.nan_to_num(figures(truth, each)) for each in (found, added))
    assert (after <= before).all()
    if last:
        np.testing.assert_array_equal(before, after)


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_only_the_order_of_scores_matters(seed):
    truth, found = made_detections(seed=seed)
    np.testing.assert_array_equal(figures(truth, found), figures(truth, found | {"scores": found["scores"] ** 3}))


@pytest.mark.parametrize("area", [(0.0, np.inf), (0.0, 3000.0), (3000.0, np.inf)])
def test_weights_are_copies_of_images(area):
    truth, found = made_detections(images=10, seed=7)
    rng = np.random.default_rng(0)
    weights = rng.multinomial(10, np.full(10, 0.1), size=30)
    scenes = read_scenes("x", truth, found, CLASSES)
    weighted = precision_by_class(scenes, COCO_IOU, area)(weights)
    for row, values in zip(weights, weighted, strict=True):
        images = np.repeat(np.arange(10), row)
        copied = read_scenes("x", chosen(truth, images), chosen(found, images), CLASSES)
        expected = precision_by_class(copied, COCO_IOU, area)(np.ones((1, 10)))[0]
        np.testing.assert_allclose(values, expected, atol=1e-12)


def test_weights_in_chunks_give_the_same(monkeypatch):
    scenes = read_scenes("x", *made_detections(), CLASSES)
    weights = np.random.default_rng(0).integers(0, 3, (20, scenes.images))
    whole = precision_by_class(scenes, COCO_IOU)(weights)
    monkeypatch.setattr("tumorkeras.metrics.detection_ap.CHUNK", 100)
    np.testing.assert_array_equal(whole, precision_by_class(scenes, COCO_IOU)(weights))


def test_many_images_at_once():
    truth, found = made_detections(images=600, most_truths=20, most_found=100, seed=0)
    assert 0.1 < average_precision(truth, found, CLASSES).ap < 0.9


def test_areas_are_exact():
    assert area_of(np.array([[0.0, 0.0, 32.0, 32.0]]))[0] == 32**2
