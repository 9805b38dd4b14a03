"""The table of detection metrics, its intervals, and the comparison of two detectors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_detections import chosen, made_detections

from tumorkeras.errors import DataError
from tumorkeras.metrics import compare_detections, detection_metrics
from tumorkeras.metrics.detection_blocks import COMPARED

CLASSES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def scene():
    return made_detections(images=60, seed=3)


@pytest.fixture(scope="module")
def table(scene):
    return detection_metrics(*scene, CLASSES, threshold=0.4)


def test_has_a_row_for_each_metric_and_class(table):
    metrics = [*COMPARED[:9], "sensitivity", "false positives per image", "precision", *COMPARED[9:]]
    assert table.index.tolist() == [(metric, name) for metric in metrics for name in [*CLASSES, "all"]]
    assert table.columns.tolist() == ["value", "low", "high", "n"]
    assert table["value"].between(0, 1)[table.index.get_level_values(0) != "false positives per image"].all()


def test_n_is_what_a_metric_is_computed_from(scene, table):
    truth, found = scene
    truths = [int((truth["classes"] == label).sum()) for label in range(3)]
    reported = [int(((found["classes"] == label) & (found["scores"] >= 0.4)).sum()) for label in range(3)]
    for metric in ("AP50", "AR10", "sensitivity", "FROC mean"):
        assert table.loc[metric, "n"].tolist() == [*truths, sum(truths)]
    assert table.loc["false positives per image", "n"].tolist() == [60] * 4
    assert table.loc["precision", "n"].tolist() == [*reported, sum(reported)]
    sizes = [table.loc[f"AP {size}", "n"] for size in ("small", "medium", "large")]
    assert sum(sizes).tolist() == [*truths, sum(truths)]


def test_without_a_threshold_what_needs_one_is_left_out(scene, table):
    without = detection_metrics(*scene, CLASSES, resamples=1)
    needed = table.index.isin(["sensitivity", "false positives per image", "precision"], level="metric")
    assert needed.sum() == 3 * 4
    pd.testing.assert_series_equal(without["value"], table.loc[~needed, "value"])


def test_intervals_are_those_of_plain_resampling():
    truth, found = made_detections(images=25, k=1, seed=3)
    rng = np.random.default_rng(9)
    options = {"classes": ["a"], "threshold": 0.4}
    draws = []
    for _ in range(250):
        images = rng.integers(25, size=25)
        draws.append(detection_metrics(chosen(truth, images), chosen(found, images), resamples=1, **options)["value"])
    naive = np.nanquantile(draws, [0.025, 0.975], axis=0)
    ours = detection_metrics(truth, found, resamples=3000, **options)
    off = np.abs(ours[["low", "high"]].to_numpy().T - naive) / (naive[1] - naive[0])
    assert np.median(off) < 0.06
    assert off.max() < 0.35  # the ends of 250 draws are themselves uncertain, and there are 40 of them


def test_intervals_enclose_the_values(table):
    wide = table["high"] > table["low"]
    assert wide.mean() > 0.95
    assert (table["low"] <= table["value"]).mean() > 0.95
    assert (table["high"] >= table["value"]).all()


def test_group_intervals_are_wider_for_copies():
    truth, found = made_detections(images=30, seed=3)
    copies = np.repeat(np.arange(30), 4)
    both = chosen(truth, copies), chosen(found, copies)
    plain, grouped = (detection_metrics(*both, CLASSES, groups=g, threshold=0.4) for g in (None, copies))
    assert plain["value"].equals(grouped["value"])
    widths = (grouped["high"] - grouped["low"]) / (plain["high"] - plain["low"])
    assert 1.6 < widths.loc["AR100"].median() < 2.4  # four copies count as one: sqrt(4)
    assert (grouped.attrs["resampled_by"], grouped.attrs["units"]) == ("group", 30)
    assert (plain.attrs["resampled_by"], plain.attrs["units"]) == ("image", 120)


def test_a_class_without_truth_is_undefined_and_left_out_of_the_mean():
    table = detection_metrics(*made_detections(absent=(1,)), CLASSES, threshold=0.4, resamples=50)
    value = table["value"]
    rows = table.loc[[("AP50", "b"), ("AR10", "b"), ("FROC 1", "b"), ("sensitivity", "b")], ["value", "low", "high"]]
    assert rows.isna().all(axis=None)
    assert value["AP50", "all"] == pytest.approx((value["AP50", "a"] + value["AP50", "c"]) / 2)
    assert value["precision", "b"] == 0
    assert table.attrs["undefined_resamples"]["AP50", "b"] == 50
    assert ("AP50", "a") not in table.attrs["undefined_resamples"]


def test_repeatable(scene):
    first, again, other = (detection_metrics(*scene, CLASSES, resamples=40, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_one_image_has_no_interval():
    table = detection_metrics(*made_detections(images=1, seed=0), CLASSES, resamples=5)
    assert table[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"groups": ["p"]}, "1 of them for 60 samples"),
        ({"threshold": 1.5}, "threshold: 1.5"),
        ({"iou": 0}, "iou: 0 is not above 0"),
        ({"area_limits": (96, 32)}, r"area_limits: \(96, 32\)"),
        ({"resamples": 0, "confidence": 95}, "2 faults"),
    ],
)
def test_refuses(scene, options, fault):
    with pytest.raises(DataError, match=fault):
        detection_metrics(*scene, CLASSES, **options)


# ------------------------------------------------------------------------------------------------ comparison


@pytest.mark.parametrize("metric", COMPARED)
def test_the_difference_is_that_of_the_tables(scene, metric):
    truth, found = scene
    worse = found | {"scores": found["scores"][:, ::-1]}
    test = compare_detections(truth, found, worse, CLASSES, metric=metric, resamples=20)
    first, second = (detection_metrics(truth, each, CLASSES, resamples=1)["value"] for each in (found, worse))
    assert test.difference == pytest.approx(first[metric, "all"] - second[metric, "all"])
    assert test.n == 60


def test_a_detector_does_not_differ_from_itself_and_differs_from_a_bad_one(scene):
    truth, found = scene
    same = compare_detections(truth, found, found, CLASSES)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    bad = found | {"scores": 1 - found["scores"], "boxes": found["boxes"] + 30}
    there, back = (compare_detections(truth, *both, CLASSES) for both in ((found, bad), (bad, found)))
    assert there.low > 0
    assert there.p_value < 0.01
    assert (there.difference, there.low, there.p_value) == pytest.approx((-back.difference, -back.high, back.p_value))


def test_comparison_by_groups_is_less_sure_of_copies(scene):
    truth, found = (chosen(part, np.arange(12)) for part in scene)
    copies = np.repeat(np.arange(12), 5)
    truth, found = chosen(truth, copies), chosen(found, copies)
    worse = found | {"scores": found["scores"][:, ::-1]}
    plain, grouped = (compare_detections(truth, found, worse, CLASSES, groups=g) for g in (None, copies))
    assert grouped.high - grouped.low > 1.5 * (plain.high - plain.low)
    assert (plain.n, grouped.n) == (60, 12)


def test_comparison_names_all_faults(scene):
    truth, found = scene
    bad_truth = truth | {"classes": np.full_like(truth["classes"], 7)}
    with pytest.raises(DataError, match=r"metric: 'accuracy' is not one of AP50, "):
        compare_detections(truth, found, found, CLASSES, metric="accuracy")
    with pytest.raises(DataError) as caught:
        compare_detections(truth, found | {"scores": found["scores"][:3]}, {"boxes": found["boxes"]}, CLASSES)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["first", "second"]
    with pytest.raises(DataError) as caught:
        compare_detections(bad_truth, found, found, CLASSES)
    assert len(caught.value.faults) == 11  # each once
