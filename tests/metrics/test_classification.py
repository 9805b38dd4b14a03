"""Classification metrics, by hand and against scikit-learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn import metrics as reference

from tumorkeras.errors import DataError
from tumorkeras.metrics import classification_metrics, confusion_matrix


def predictions(n, k, seed=0, skill=0.4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(k, size=n)
    table = rng.dirichlet(np.ones(k), n)
    table[np.arange(n), labels] += skill
    return labels, table / table.sum(axis=1, keepdims=True)


def mann_whitney_auc(labels, scores):
    positives = labels == 1
    n, m = positives.sum(), (~positives).sum()
    return (rankdata(scores)[positives].sum() - n * (n + 1) / 2) / (n * m)


def test_binary_by_hand():
    #                          TN   TN   FP   FN   TP   TP   TP
    labels = [0, 0, 0, 1, 1, 1, 1]
    probabilities = [0.1, 0.2, 0.7, 0.3, 0.5, 0.8, 0.9]
    value = classification_metrics(labels, probabilities)["value"]
    assert value[["TP", "TN", "FP", "FN"]].tolist() == [3, 2, 1, 1]
    assert value["sensitivity"] == 3 / 4
    assert value["specificity"] == 2 / 3
    assert value["accuracy"] == 5 / 7
    assert value["AUC"] == (2 + 2 + 3 + 3) / 12  # negatives that each positive beats


def test_binary_threshold_moves_sensitivity_against_specificity():
    labels, table = predictions(300, 2)
    low, high = (classification_metrics(labels, table, threshold=t, resamples=10)["value"] for t in (0.2, 0.8))
    assert low["sensitivity"] > high["sensitivity"]
    assert low["specificity"] < high["specificity"]
    assert low["AUC"] == high["AUC"]


def test_binary_forms_agree():
    labels, table = predictions(50, 2)
    pd.testing.assert_frame_equal(classification_metrics(labels, table), classification_metrics(labels, table[:, 1]))


def test_multiclass_agrees_with_scikit_learn():
    labels, table = predictions(400, 4)
    called = table.argmax(axis=1)
    value = classification_metrics(labels, table, classes=list("abcd"), resamples=10)["value"]
    assert value["accuracy"] == reference.accuracy_score(labels, called)
    assert value["macro_sensitivity"] == pytest.approx(reference.recall_score(labels, called, average="macro"))
    assert value["macro_F1"] == pytest.approx(reference.f1_score(labels, called, average="macro"))
    assert value["macro_AUC"] == pytest.approx(reference.roc_auc_score(labels, table, multi_class="ovr"))
    for c, ((tn, fp), (fn, tp)) in enumerate(reference.multilabel_confusion_matrix(labels, called)):
        name = "abcd"[c]
        assert value[[f"{m}[{name}]" for m in ("TP", "TN", "FP", "FN")]].tolist() == [tp, tn, fp, fn]
        assert value[f"sensitivity[{name}]"] == tp / (tp + fn)
        assert value[f"specificity[{name}]"] == tn / (tn + fp)


def test_support_is_what_a_metric_is_computed_from():
    binary = classification_metrics([0, 0, 1], [0.2, 0.6, 0.7])["n"]
    assert binary[["sensitivity", "specificity", "accuracy", "AUC", "TP"]].tolist() == [1, 2, 3, 3, 3]
    many = classification_metrics([0, 0, 1, 2], np.eye(3)[[0, 0, 1, 2]], classes=list("abc"))["n"]
    assert many[["sensitivity[a]", "specificity[a]", "macro_F1"]].tolist() == [2, 2, 4]


def test_intervals_enclose_the_values_and_counts_have_them():
    labels, table = predictions(200, 2)
    frame = classification_metrics(labels, table)
    assert frame.columns.tolist() == ["value", "low", "high", "n"]
    assert (frame["low"] < frame["value"]).all()
    assert (frame["value"] < frame["high"]).all()


def test_intervals_are_those_of_plain_resampling():
    labels, table = predictions(150, 2)
    rng = np.random.default_rng(9)
    draws = [rng.integers(150, size=150) for _ in range(1500)]
    areas = [mann_whitney_auc(labels[d], table[d, 1]) for d in draws]
    low, high = np.quantile(areas, [0.025, 0.975])
    ours = classification_metrics(labels, table, resamples=4000).loc["AUC"]
    assert abs(ours["low"] - low) < 0.1 * (high - low)
    assert abs(ours["high"] - high) < 0.1 * (high - low)


def test_group_intervals_are_wider_for_copies():
    labels, table = predictions(40, 2)
    labels, table, groups = np.repeat(labels, 4), np.repeat(table, 4, axis=0), np.repeat(np.arange(40), 4)
    plain, grouped = (
        classification_metrics(labels, table),
        classification_metrics(labels, table, groups=groups),
    )
    assert plain["value"].equals(grouped["value"])
    widths = (grouped["high"] - grouped["low"]) / (plain["high"] - plain["low"])
    assert widths.between(1.6, 2.4).all()  # four copies count as one: sqrt(4)
    assert (grouped.attrs["resampled_by"], grouped.attrs["units"]) == ("group", 40)
    assert (plain.attrs["resampled_by"], plain.attrs["units"]) == ("sample", 160)


def test_one_class_leaves_what_it_cannot_tell_undefined():
    frame = classification_metrics([1, 1, 1], [0.2, 0.7, 0.9])
    assert frame["value"]["sensitivity"] == 2 / 3
    assert frame.loc[["specificity", "AUC"], ["value", "low", "high"]].isna().all(axis=None)
    assert frame["n"]["specificity"] == 0


def test_an_absent_class_leaves_its_metrics_undefined_not_zero():
    value = classification_metrics([0, 1, 0], np.eye(3)[[0, 1, 1]], classes=list("abc"))["value"]
    undefined = ["sensitivity[c]", "AUC[c]", "macro_sensitivity", "macro_AUC", "macro_F1"]
    assert value[undefined].isna().all()
    assert value["accuracy"] == 2 / 3
    assert value["specificity[c]"] == 1


def test_resamples_of_one_class_are_counted_and_left_out():
    frame = classification_metrics([0, 0, 0, 1], [0.1, 0.2, 0.6, 0.7], resamples=2000)
    skipped = frame.attrs["undefined_resamples"]
    one_class = (3 / 4) ** 4 + (1 / 4) ** 4
    assert skipped["AUC"] == pytest.approx(2000 * one_class, rel=0.1)
    assert skipped["sensitivity"] == pytest.approx(2000 * (3 / 4) ** 4, rel=0.1)
    assert "accuracy" not in skipped
    assert frame.loc["AUC", ["low", "high"]].tolist() == [1, 1]


def test_repeatable():
    labels, table = predictions(60, 3)
    first, again, other = (classification_metrics(labels, table, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (([0, 2], [[0.5, 0.5], [0.5, 0.5]]), "integers from 0 to 1; found otherwise in row 1"),
        (([0, -1], [0.5, 0.5]), "such as -1"),
        (([0, 0.5], [0.5, 0.5]), "such as 0.5"),
        ((["a", "b"], [0.5, 0.5]), "'a' is not a class id"),
        (([[0], [1]], [0.5, 0.5]), r"labels: shape \(2, 1\)"),
        (([0, 1], [[0.5, 0.5], [np.nan, 0.5]]), "NaN or infinite in row 1"),
        (([0, 1], [[0.5, 0.6], [0.5, 0.5]]), "do not sum to 1 in row 0 .*such as 1.1"),
        (([0, 1], [[-3.0, 4.0], [0.5, 0.5]]), "outside 0 to 1 in row 0"),
        (([0, 1], [[1.0], [1.0]]), r"shape \(2, 1\)"),
        (([0, 1], [["x", "y"], ["z", "w"]]), "not a table of numbers"),
        (([0, 1, 1], [0.5, 0.5]), "3 and 2 rows"),
        (([], np.zeros((0, 3))), "empty"),
    ],
)
def test_refuses_bad_predictions(arguments, fault):
    with pytest.raises(DataError, match=fault):
        classification_metrics(*arguments)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"classes": ["a"]}, "1 names for 2 columns"),
        ({"classes": ["a", "a"]}, "named twice: a"),
        ({"groups": ["p"]}, "1 of them for 2 samples"),
        ({"groups": ["p", None]}, "missing in row 1"),
        ({"threshold": 1.5}, "threshold: 1.5"),
        ({"confidence": 0}, "confidence: 0"),
        ({"resamples": 0}, "resamples: 0"),
    ],
)
def test_refuses_bad_settings(options, fault):
    with pytest.raises(DataError, match=fault):
        classification_metrics([0, 1], [0.2, 0.8], **options)


def test_names_all_faults_at_once():
    with pytest.raises(DataError) as caught:
        classification_metrics([0, 5, 1], [[0.5, np.inf], [0.9, 0.9]], classes=["x", "x"])
    assert len(caught.value.faults) == 5
    assert str(caught.value).startswith("classification_metrics: 5 faults")


def test_confusion_matrix_by_hand():
    matrix = confusion_matrix([0, 0, 1, 1, 1], [0, 1, 1, 1, 0], ["normal", "tumor", "cyst"])
    assert matrix.to_numpy().tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert (matrix.index.name, matrix.columns.name) == ("actual", "predicted")
    assert matrix.columns.tolist() == ["normal", "tumor", "cyst"]


def test_confusion_matrix_names_all_faults():
    with pytest.raises(DataError) as caught:
        confusion_matrix([0, 3], [0], ["a", "b"])
    assert len(caught.value.faults) == 2
    assert "such as 3" in str(caught.value)


def test_metrics_start_no_tensorflow():
    code = "import sys, tumorkeras.metrics; print({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
