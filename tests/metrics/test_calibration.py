from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss, log_loss

from tumorkeras.errors import DataError
from tumorkeras.metrics import calibration_error, reliability_table


def drawn(n, classes=2, seed=0):
    """Probabilities, and labels that are drawn by them: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.ones(classes), n)
    labels = (rng.random((n, 1)) > table.cumsum(axis=1)).sum(axis=1)
    return labels, table


def plain_ece(labels, table, bins):
    """Bin by bin, sample by sample."""
    stated = [row[1] if len(row) == 2 else max(row) for row in table]
    right = [label == (1 if len(row) == 2 else np.argmax(row)) for label, row in zip(labels, table, strict=True)]
    total = largest = 0.0
    for k in range(bins):
        last = k == bins - 1
        inside = [i for i, p in enumerate(stated) if k / bins <= p and (p < (k + 1) / bins or last)]
        if inside:
            gap = abs(np.mean([stated[i] for i in inside]) - np.mean([right[i] for i in inside]))
            total, largest = total + gap * len(inside) / len(labels), max(largest, gap)
    return total, largest


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("bins", [1, 5, 10])
def test_errors_are_those_of_a_plain_loop_and_of_scikit_learn(classes, bins):
    labels, table = drawn(200, classes)
    found = calibration_error(labels, table, bins=bins, resamples=2)["value"]
    assert found[["ECE", "MCE"]].tolist() == pytest.approx(plain_ece(labels, table, bins))
    truth = labels if classes == 2 else np.eye(classes)[labels]
    assert found["Brier"] == pytest.approx(brier_score_loss(truth, table[:, 1] if classes == 2 else table))
    assert found["log_loss"] == pytest.approx(log_loss(labels, table, labels=range(classes)))


def test_errors_by_hand():
    """Bins [0, 0.5) with 0.2, 0.4 and one of two; [0.5, 1] with 0.6 and none."""
    found = calibration_error([0, 1, 0], [0.2, 0.4, 0.6], bins=2, resamples=2)["value"]
    assert found["ECE"] == pytest.approx((2 * abs(0.3 - 0.5) + abs(0.6 - 0)) / 3)
    assert found["MCE"] == pytest.approx(0.6)
    assert found["Brier"] == pytest.approx((0.04 + 0.36 + 0.36) / 3)


def test_what_is_calibrated_has_a_small_error_and_what_is_too_sure_a_large_one():
    labels, table = drawn(20_000)
    assert calibration_error(labels, table, resamples=2).loc["ECE", "value"] < 0.02
    sure = (table > 0.5).astype(float)
    assert calibration_error(labels, sure, resamples=2).loc["ECE", "value"] > 0.2


def test_intervals_resample_whole_groups():
    labels, table = drawn(120)
    labels, table = np.repeat(labels, 10), np.repeat(table, 10, axis=0)
    alone = calibration_error(labels, table, resamples=200)
    grouped = calibration_error(labels, table, groups=np.repeat(np.arange(120), 10), resamples=200)
    widths = [found.loc["Brier", "high"] - found.loc["Brier", "low"] for found in (alone, grouped)]
    assert widths[1] > 2 * widths[0]
    assert grouped.loc["Brier", "low"] < grouped.loc["Brier", "value"] < grouped.loc["Brier", "high"]


def test_a_table_has_wilson_intervals_and_every_sample_once():
    labels, table = drawn(300)
    found = reliability_table(labels, table[:, 1])
    assert found["count"].sum() == 300
    assert found["frequency"] @ found["count"] == pytest.approx(labels.sum())
    row = found.iloc[4]
    hits, n, z = round(row["frequency"] * row["count"]), row["count"], stats.norm.ppf(0.975)
    centre = (hits + z**2 / 2) / (n + z**2)
    reach = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    assert [row["frequency_low"], row["frequency_high"]] == pytest.approx([centre - reach, centre + reach])


def test_bins_of_equal_counts():
    labels, table = drawn(100)
    found = reliability_table(labels, table, bins=4, strategy="quantile")
    assert found["count"].tolist() == [25] * 4
    assert found["low"].iloc[0] == 0
    assert found["high"].iloc[-1] == 1
    same = reliability_table([0, 1, 1], [0.5, 0.5, 0.5], strategy="quantile")
    assert same["count"].tolist() == [3]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"bins": 0}, "bins: 0 is not a positive integer"),
        ({"strategy": "even"}, "strategy: 'even' is neither"),
        ({"probabilities": [0.2, np.nan]}, "NaN"),
        ({"labels": [0, 1, 1]}, "3 and 2 rows"),
        ({"groups": [1]}, "groups: 1 of them for 2 samples"),
    ],
)
def test_bad_input(changes, fault):
    with pytest.raises(DataError, match=fault):
        calibration_error(**{"labels": [0, 1], "probabilities": [0.2, 0.7]} | changes)
