"""ROC areas and points, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_auc_score

from tumorkeras.errors import DataError
from tumorkeras.metrics import roc_points, weighted_auc

samples = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3), st.floats(0.01, 5)),
    min_size=2,
    max_size=40,
)


@given(samples)
@settings(max_examples=150, deadline=None)
def test_weighted_auc_is_that_of_scikit_learn_ties_included(rows):
    truth, scores, counts, reals = (np.array(column) for column in zip(*rows, strict=True))
    weights = np.stack([counts, reals]).astype(float)
    for row, ours in zip(weights, weighted_auc(truth, scores, weights), strict=True):
        drawn = row > 0
        if len(np.unique(truth[drawn])) < 2:
            assert np.isnan(ours)
        else:
            assert ours == pytest.approx(roc_auc_score(truth, scores, sample_weight=row), abs=1e-12)


def test_weighted_auc_by_hand():
    # pairs (positive, negative): (0.5, 0.5) half, (0.5, 0.9) lost, (0.7, 0.5) won, (0.7, 0.9) lost
    assert weighted_auc([1, 0, 1, 0], [0.5, 0.5, 0.7, 0.9])[0] == 1.5 / 4
    assert weighted_auc([1, 0, 1, 0], [0.5, 0.5, 0.7, 0.9], [[1, 3, 1, 1]])[0] == (1.5 + 3) / 8


def test_weighted_auc_of_scores_without_ties_and_all_tied():
    assert weighted_auc([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])[0] == 1
    assert weighted_auc([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4])[0] == 0
    assert weighted_auc([0, 1, 1], [0.5, 0.5, 0.5])[0] == 0.5


def test_roc_points_enclose_the_area():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(2, size=200), rng.integers(20, size=200) / 20
    points = roc_points(labels, scores)
    area = auc(points["false_positive_rate"], points["true_positive_rate"])
    assert area == pytest.approx(weighted_auc(labels, scores)[0])
    assert points.iloc[0, 1:].tolist() == [0, 0]
    assert points.iloc[-1, 1:].tolist() == [1, 1]
    assert points["threshold"].is_monotonic_decreasing


def test_roc_points_take_both_forms():
    both = roc_points([0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    assert both.equals(roc_points([0, 1, 1], [0.1, 0.6, 0.3]))


@pytest.mark.parametrize(
    ("labels", "probabilities", "fault"),
    [
        ([0, 0], [0.1, 0.2], "all are class 0"),
        ([0, 1], np.eye(3)[:2], "3 classes"),
        ([0, 1], [0.1, np.nan], "NaN or infinite in row 1"),
        ([], [], "empty"),
    ],
)
def test_roc_points_refuse(labels, probabilities, fault):
    with pytest.raises(DataError, match=fault):
        roc_points(labels, probabilities)
