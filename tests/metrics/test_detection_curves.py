"""The points of the curves and the threshold chosen on them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detections import made_detections

from tumorkeras.errors import DataError
from tumorkeras.metrics import detection_metrics, froc_points, precision_recall_points, tune_threshold

CLASSES = ["a", "b", "c"]


def line_of(hits, scores):
    """One image a detection: a hit where told, else a detection without truth."""
    boxes = np.tile([0, 0, 9, 9], (len(hits), 1, 1))
    truth = {"boxes": boxes, "classes": np.where(hits, 0, -1)[:, None]}
    return truth, {"boxes": boxes, "classes": np.zeros((len(hits), 1)), "scores": np.array(scores)[:, None]}


def operating(truth, found, threshold):
    table = detection_metrics(truth, found, CLASSES, threshold=threshold, resamples=1)["value"]
    return table.loc[["sensitivity", "false positives per image", "precision"]].to_numpy().reshape(3, 4)


@pytest.mark.parametrize("ties", [False, True])
def test_points_are_what_the_detector_does_at_each_threshold(ties):
    truth, found = made_detections(seed=2, ties=ties)
    froc, curve = froc_points(truth, found, CLASSES), precision_recall_points(truth, found, CLASSES)
    assert froc["class"].unique().tolist() == curve["class"].unique().tolist() == [*CLASSES, "all"]
    for place, name in enumerate([*CLASSES, "all"]):
        own_froc, own_curve = froc[froc["class"] == name], curve[curve["class"] == name]
        assert own_froc.iloc[0, 1:].tolist() == [np.inf, 0, 0]
        assert own_froc["threshold"].tolist()[1:] == own_curve["threshold"].tolist()
        for row in range(0, len(own_curve), 5):
            sensitivity, wrong, precision = operating(truth, found, own_curve["threshold"].iloc[row])[:, place]
            assert own_curve.iloc[row, 2:].tolist() == pytest.approx([sensitivity, precision])
            assert own_froc.iloc[row + 1, 2:].tolist() == pytest.approx([wrong, sensitivity])


def test_a_class_without_truth_has_no_sensitivity_and_one_without_detections_no_points():
    truth, found = made_detections(absent=(1,))
    found["classes"][found["classes"] == 2] = -1
    froc, curve = froc_points(truth, found, CLASSES), precision_recall_points(truth, found, CLASSES)
    assert froc.loc[froc["class"] == "b", "sensitivity"].isna().all()
    assert froc["class"].value_counts()["c"] == 1
    assert "c" not in set(curve["class"])
    assert (curve.loc[curve["class"] == "b", "precision"] == 0).all()


def test_a_class_that_is_named_all():
    truth, found = made_detections(k=2)
    assert froc_points(truth, found, ["all", "hem"])["class"].unique().tolist() == ["all", "hem", "all classes"]
    table = detection_metrics(truth, found, ["all", "hem"], resamples=1)
    assert table.attrs["overall"] == "all classes"
    assert table.index.is_unique


def test_highest_f1_by_hand():
    truth, found = line_of([True, False, True, False, False, True], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    best = tune_threshold(truth, found, ["a"])  # F1 at 0.7: 4 / 6; at 0.4: 6 / 9, the same
    assert best.threshold == 0.7
    assert best.f1 == pytest.approx(2 / 3)
    assert (best.sensitivity, best.precision, best.false_positives) == pytest.approx((2 / 3, 2 / 3, 1 / 6))


def test_detections_of_one_score_are_reported_together():
    truth, found = line_of([True, True, False, False], [0.9, 0.5, 0.5, 0.5])
    assert tune_threshold(truth, found, ["a"]).threshold == 0.9  # F1 2 / 3 at both: the higher score of the two
    limited = tune_threshold(truth, found, ["a"], criterion="false_positives", false_positives=0.25)
    assert (limited.threshold, limited.sensitivity) == (0.9, 0.5)


@pytest.mark.parametrize(("most", "threshold"), [(0, 0.9), (0.2, 0.7), (0.34, 0.6), (0.5, 0.4), (9, 0.4)])
def test_lowest_score_within_a_rate_of_false_positives(most, threshold):
    truth, found = line_of([True, False, True, False, False, True], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    result = tune_threshold(truth, found, ["a"], criterion="false_positives", false_positives=most)
    assert result.threshold == threshold
    assert result.false_positives <= most


def test_where_the_first_detection_is_wrong_already_nothing_is_reported():
    truth, found = line_of([False, True], [0.9, 0.8])
    result = tune_threshold(truth, found, ["a"], criterion="false_positives", false_positives=0.1)
    assert (result.threshold, result.sensitivity, result.false_positives) == (1.0, 0, 0)
    assert np.isnan(result.precision)
    truth, found = line_of([False, True], [1.0, 0.8])
    with pytest.raises(DataError, match=r"at most 0.1 an image cannot be kept; score 1 alone gives 0.5"):
        tune_threshold(truth, found, ["a"], criterion="false_positives", false_positives=0.1)


def test_without_detections_or_truth_there_is_a_threshold_still():
    truth, found = made_detections()
    nothing = found | {"classes": np.full_like(found["classes"], -1)}
    assert tune_threshold(truth, nothing, CLASSES)[:2] == (0.5, 0)
    no_truth = truth | {"classes": np.full_like(truth["classes"], -1)}
    result = tune_threshold(no_truth, found, CLASSES)
    assert result.threshold == found["scores"].max()
    assert np.isnan(result.sensitivity)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=30, deadline=None)
def test_no_other_threshold_is_better(seed, ties):
    truth, found = made_detections(seed=seed, images=5, ties=ties)
    best = tune_threshold(truth, found, CLASSES)
    curve = precision_recall_points(truth, found, CLASSES)
    curve = curve[curve["class"] == "all"].assign(f1=lambda t: 2 / (1 / t["recall"] + 1 / t["precision"]))
    if np.isfinite(best.f1) and len(curve):
        assert best.f1 == pytest.approx(np.nan_to_num(curve["f1"]).max(), abs=1e-9)
        assert best.threshold in set(curve["threshold"])


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"criterion": "youden"}, "criterion: 'youden' is not one of f1, false_positives"),
        ({"false_positives": 1.0}, "the criterion 'f1' has no use for it"),
        ({"criterion": "false_positives"}, "false_positives: None is not a number"),
        ({"criterion": "false_positives", "false_positives": -1}, "false_positives: -1"),
        ({"iou": 0}, "iou: 0 is not above 0"),
    ],
)
def test_refuses(options, fault):
    with pytest.raises(DataError, match=fault):
        tune_threshold(*made_detections(), CLASSES, **options)
