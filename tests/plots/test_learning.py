"""Learning curves and embedding: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tumorkeras import plots
from tumorkeras.errors import DataError


@pytest.fixture
def history():
    return pd.DataFrame(
        {
            "epoch": [1, 2, 3, 4],
            "loss": [0.9, 0.5, 0.4, 0.3],
            "val_loss": [0.9, 0.5, 0.6, 0.7],
            "accuracy": [0.5, 0.6, 0.7, 0.8],
            "val_accuracy": [0.4, 0.6, 0.7, 0.6],
        },
        index=[7, 7, 7, 7],
    )


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_curves_are_drawn_as_given(history):
    ax = plots.learning_curves(history)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), history[["epoch", "loss"]])
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), history[["epoch", "val_loss"]])
    assert ax.collections[0].get_offsets().tolist() == [[2, 0.5]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")


def test_the_best_accuracy_is_the_highest(history):
    assert legend_texts(plots.learning_curves(history, "accuracy"))[-1] == "best: 0.7 at epoch 3"


def test_curves_without_validation(history):
    assert legend_texts(plots.learning_curves(history[["epoch", "loss"]])) == ["training"]


def test_one_epoch_shows(history):
    ax = plots.learning_curves(history.iloc[:1])
    assert ax.lines[0].get_marker() == "."
    plots.to_png(ax)


def test_curves_with_nan_and_infinite_epochs_have_gaps(history):
    history["val_loss"] = [np.nan, np.inf, 0.6, 0.7]
    ax = plots.learning_curves(history)
    assert np.isnan(ax.lines[1].get_ydata()).tolist() == [True, True, False, False]
    assert legend_texts(ax)[-1] == "best: 0.6 at epoch 3"
    history["val_loss"] = np.nan
    assert legend_texts(plots.learning_curves(history)) == ["training", "validation"]


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (pd.DataFrame({"epoch": [], "loss": []}), "no rows"),
        (pd.DataFrame({"step": [1]}), "2 faults"),
        (pd.DataFrame({"epoch": [1], "loss": ["low"]}), "column 'loss': holds other than numbers"),
        (pd.DataFrame({"epoch": [1], "loss": [np.nan]}), "no finite loss"),
    ],
)
def test_curves_refuse(table, fault):
    with pytest.raises(DataError, match=fault):
        plots.learning_curves(table)


def test_embedding_is_the_principal_components():
    features = np.random.default_rng(0).normal(size=(30, 5)) * [5, 3, 1, 1, 1]
    labels = np.arange(30) % 3
    ax = plots.embedding(features, labels, ["a", "b", "c"])
    centred = features - features.mean(axis=0)
    _, scales, axes = np.linalg.svd(centred, full_matrices=False)
    reference = centred @ axes[:2].T
    drawn = np.concatenate([scatter.get_offsets() for scatter in ax.collections])
    expected = np.concatenate([reference[labels == c] for c in range(3)])
    np.testing.assert_allclose(np.abs(drawn), np.abs(expected), atol=1e-9)  # signs are free
    share = scales**2 / (scales**2).sum()
    assert ax.get_xlabel() == f"PC 1 ({100 * share[0]:.0f} % of variance)"
    assert legend_texts(ax) == ["a (10)", "b (10)", "c (10)"]


def test_embedding_of_one_class():
    ax = plots.embedding(np.eye(4), [2, 2, 2, 2])
    assert legend_texts(ax) == ["2 (4)"]


@pytest.mark.parametrize(
    ("features", "labels", "fault"),
    [
        (np.zeros((0, 4)), [], r"shape \(0, 4\)"),
        (np.zeros((5, 1)), [0] * 5, "k >= 2"),
        (np.zeros(5), [0] * 5, r"shape \(5,\)"),
        (np.ones((5, 3)), [0] * 5, "all rows are equal"),
        ([[1, 2], [3, np.nan], [5, 5]], [0] * 3, "NaN or infinite in row 1"),
        (np.eye(4), [0, 1], "2 for 4 rows"),
        (np.eye(4), [0, 1, -1, 0], "such as -1"),
    ],
)
def test_embedding_refuses(features, labels, fault):
    with pytest.raises(DataError, match=fault):
        plots.embedding(features, labels)
