from __future__ import annotations

import numpy as np
import pytest

from tumorkeras.errors import DataError
from tumorkeras.metrics import classification_metrics, threshold_for_sensitivity


def test_by_hand():
    labels, scores = [1] * 20 + [0] * 4, [*np.arange(1, 21) / 20, 0.0, 0.06, 0.1, 0.9]
    found = threshold_for_sensitivity(labels, scores, 0.95)
    assert found.threshold == pytest.approx(0.1)  # 19 of 20 are at 0.1 or above
    assert found.sensitivity.value == pytest.approx(0.95)
    assert found.specificity.value == 0.5  # 0.0 and 0.06 are below
    assert (found.sensitivity.n, found.specificity.n) == (20, 4)
    assert threshold_for_sensitivity(labels, scores, 1.0).threshold == pytest.approx(0.05)


def test_no_larger_threshold_reaches_the_wanted_sensitivity():
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 300), rng.random(300).round(2)
    for wanted in (0.5, 0.9, 0.99):
        found = threshold_for_sensitivity(labels, scores, wanted, resamples=10)
        reached = [np.mean(scores[labels == 1] >= each) >= wanted for each in np.unique(scores)]
        assert found.threshold == np.unique(scores)[reached].max()
        table = classification_metrics(labels, scores, threshold=found.threshold, resamples=10)
        assert found.specificity.value == table.loc["specificity", "value"]


def test_intervals_resample_whole_groups():
    rng = np.random.default_rng(1)
    labels, scores = np.repeat(rng.integers(0, 2, 40), 8), np.repeat(rng.random(40), 8)
    alone = threshold_for_sensitivity(labels, scores, 0.8).specificity
    grouped = threshold_for_sensitivity(labels, scores, 0.8, groups=np.repeat(np.arange(40), 8)).specificity
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


@pytest.mark.parametrize(
    ("labels", "scores", "wanted", "fault"),
    [
        ([1, 1], [0.2, 0.3], 0.9, "all are class 1"),
        ([0, 1], [0.2, 0.3], 0.0, "sensitivity: 0.0 is not above 0 to 1"),
        ([0, 1], [0.2, 0.3], 95, "sensitivity: 95"),
        ([0, 2], [[0.2, 0.3, 0.5]] * 2, 0.9, "3 classes; a threshold needs two"),
        ([0, 1], [0.2, np.nan], 0.9, "NaN"),
    ],
)
def test_bad_input(labels, scores, wanted, fault):
    with pytest.raises(DataError, match=fault):
        threshold_for_sensitivity(labels, scores, wanted)
