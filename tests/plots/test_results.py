"""Confusion, ROC and comparison: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, roc_auc_score

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.plots.style import COLORS, GREY

METHODS = pd.DataFrame(
    [["majority", 0.5, 0.4, 0.6], ["cnn", 0.9, 0.8, 0.95], ["ann", 0.7, 0.6, 0.85]],
    columns=["method", "accuracy", "accuracy_low", "accuracy_high"],
)


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_confusion_shades_shares_of_the_true_class():
    matrix = pd.DataFrame([[3, 1], [2, 2]], ["normal", "tumor"], ["normal", "tumor"])
    ax = plots.confusion(matrix)
    assert ax.images[0].get_array().tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert [text.get_text() for text in ax.texts] == ["3\n75 %", "1\n25 %", "2\n50 %", "2\n50 %"]
    assert [text.get_position() for text in ax.texts][1] == (1, 0)  # x is the predicted class
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "actual")
    assert "n = 8" in ax.get_title(loc="left")


def test_confusion_with_an_absent_class_one_class_and_many():
    ax = plots.confusion(pd.DataFrame([[3, 1], [0, 0]]))
    assert np.isnan(np.ma.filled(ax.images[0].get_array(), np.nan)[1]).all()
    assert [text.get_text() for text in ax.texts][2:] == ["0", "0"]
    assert plots.confusion(pd.DataFrame([[5]])).texts[0].get_text() == "5\n100 %"
    many = plots.confusion(pd.DataFrame(np.eye(30, dtype=int)))
    assert not many.texts
    assert len(many.get_xticklabels()) == 30


@pytest.mark.parametrize(
    ("matrix", "fault"),
    [
        (pd.DataFrame(), r"shape \(0, 0\)"),
        (pd.DataFrame([[1, 2]]), r"shape \(1, 2\)"),
        (pd.DataFrame([[1, -2], [0, 1]]), "0 or more"),
        (pd.DataFrame([[1, np.nan], [0, 1]]), "0 or more"),
        (pd.DataFrame([["a", "b"], ["c", "d"]]), "2 faults"),
    ],
)
def test_confusion_refuses(matrix, fault):
    with pytest.raises(DataError, match=fault):
        plots.confusion(matrix)


def test_binary_roc_is_one_curve_with_its_area():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=100), rng.random(100)
    ax = plots.roc(labels, scores, ["normal", "tumor"])
    curve, chance = ax.lines
    area = roc_auc_score(labels, scores)
    assert auc(*curve.get_xydata().T) == pytest.approx(area)
    assert chance.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert legend_texts(ax) == [f"tumor, AUC {area:.3f}", "chance"]


def test_multiclass_roc_is_a_curve_a_class():
    rng = np.random.default_rng(0)
    labels, table = rng.integers(3, size=90), rng.dirichlet(np.ones(3), 90)
    ax = plots.roc(labels, table)
    assert len(ax.lines) == 4
    for c, line in enumerate(ax.lines[:3]):
        assert auc(*line.get_xydata().T) == pytest.approx(roc_auc_score(labels == c, table[:, c]))
    assert len({line.get_color() for line in ax.lines}) == 4


def test_roc_says_which_class_has_no_samples():
    table = np.full((4, 3), 1 / 3)
    assert legend_texts(plots.roc([0, 1, 1, 0], table, ["a", "b", "c"]))[2] == "c: no samples"


@pytest.mark.parametrize(
    ("labels", "probabilities", "fault"),
    [
        ([], [], "empty"),
        ([1, 1], [0.2, 0.3], "all are 1"),
        ([0, 1], [np.nan, 0.3], "NaN or infinite in row 0"),
    ],
)
def test_roc_refuses(labels, probabilities, fault):
    with pytest.raises(DataError, match=fault):
        plots.roc(labels, probabilities)


def test_comparison_has_the_best_on_top_with_its_interval():
    ax = plots.comparison(METHODS)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cnn", "ann", "majority"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is at the top
    centres = [bar.lines[0].get_xydata().tolist() for bar in ax.containers]
    assert centres == [[[0.9, 0]], [[0.7, 1]], [[0.5, 2]]]
    ends = [bar.lines[2][0].get_segments()[0][:, 0] for bar in ax.containers]
    np.testing.assert_allclose(ends, [[0.8, 0.95], [0.6, 0.85], [0.4, 0.6]])
    assert ax.texts[0].get_text() == "0.900  [0.800, 0.950]"
    assert ax.get_xlabel() == "accuracy, 95 % interval"


def test_an_end_that_rounding_puts_beyond_its_figure_is_drawn():
    rows = [["a", 0.3, 0.1 + 0.2, 0.4], ["b", 0.1 + 0.2, 0.2, 0.3]]
    table = pd.DataFrame(rows, columns=["method", "accuracy", "accuracy_low", "accuracy_high"])
    assert len(plots.comparison(table).containers) == 2


def test_comparison_marks_best_and_baselines():
    colors = [bar.lines[0].get_color() for bar in plots.comparison(METHODS).containers]
    assert len(set(colors)) == 3
    chosen = [bar.lines[0].get_color() for bar in plots.comparison(METHODS, baselines=["ann"]).containers]
    assert chosen == [colors[0], colors[2], colors[1]]


def test_a_baseline_that_wins_stays_grey_and_is_marked_as_best():
    ax = plots.comparison(METHODS, baselines=["cnn"])
    best, second, _ = (bar.lines[0] for bar in ax.containers)
    assert best.get_color() == ax.get_yticklabels()[0].get_color() == ax.texts[0].get_color() == GREY
    assert second.get_color() != COLORS[0]
    assert (best.get_marker(), second.get_marker()) == ("D", "o")
    assert [label.get_fontweight() for label in ax.get_yticklabels()] == ["bold", "normal", "normal"]


def test_comparison_of_another_metric_and_confidence():
    table = METHODS.rename(columns=lambda name: name.replace("accuracy", "macro_AUC"))
    table.attrs["confidence"] = 0.9
    ax = plots.comparison(table, "macro_AUC")
    assert ax.get_xlabel() == "macro AUC, 90 % interval"


def test_comparison_with_undefined_figures():
    table = METHODS.copy()
    table.loc[1, ["accuracy", "accuracy_low", "accuracy_high"]] = np.nan
    table.loc[2, ["accuracy_low", "accuracy_high"]] = np.nan
    ax = plots.comparison(table)
    assert [text.get_text() for text in ax.texts] == ["0.700", "0.500  [0.400, 0.600]", "undefined"]
    plots.to_png(ax)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (METHODS.iloc[:0], "no rows"),
        (METHODS.drop(columns="method"), "no column 'method'"),
        (METHODS.drop(columns=["accuracy_low", "accuracy_high"]), "2 faults"),
        (METHODS.assign(accuracy=np.nan), "no finite accuracy"),
        (METHODS.assign(accuracy_low=0.8), "outside its own interval for majority, ann"),
    ],
)
def test_comparison_refuses(table, fault):
    with pytest.raises(DataError, match=fault):
        plots.comparison(table)
