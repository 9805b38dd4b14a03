"""Intervals and paired tests, against hand-worked values, SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tumorkeras.errors import DataError
from tumorkeras.metrics import bootstrap, corrected_resampled_t, mean_interval


def weighted_mean(values):
    return lambda weights: weights @ values / weights.sum(axis=1)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=80)
    ours = bootstrap(weighted_mean(values), 80, resamples=8000)
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=8000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    width = reference.high - reference.low
    assert ours.value[0] == pytest.approx(values.mean())
    assert abs(ours.low[0] - reference.low) < 0.05 * width
    assert abs(ours.high[0] - reference.high) < 0.05 * width


def test_bootstrap_weights_are_counts_of_whole_groups():
    seen = []
    groups = ["b", "a", "b", "c", "c", "c"]

    def statistic(weights):
        seen.append(weights)
        return weights.sum(axis=1)

    bootstrap(statistic, 6, groups=groups, resamples=50)
    weights = np.concatenate(seen[1:])
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3:] == weights[:, 3:4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()  # as many groups drawn as there are


def test_bootstrap_in_chunks_gives_every_resample(monkeypatch):
    monkeypatch.setattr("tumorkeras.metrics.intervals.CHUNK", 30)
    rows = []
    bootstrap(lambda w: rows.append(len(w)) or w.sum(axis=1), 10, resamples=7)
    assert rows == [1, 3, 3, 1]


def test_bootstrap_is_repeatable_and_the_seed_counts():
    values = np.arange(20.0)
    first, again, other = (bootstrap(weighted_mean(values), 20, seed=seed) for seed in (3, 3, 4))
    assert first.low == again.low
    assert first.high == again.high
    assert first.low != other.low


def test_bootstrap_counts_undefined_resamples_and_leaves_them_out():
    def sometimes(weights):
        figures = weights[:, 0].copy()
        figures[figures == 0] = np.nan
        return figures

    result = bootstrap(sometimes, 5, resamples=2000)
    assert result.low[0] >= 1
    assert result.undefined[0] == pytest.approx(2000 * 0.8**5, rel=0.1)


def test_bootstrap_of_one_unit_or_an_undefined_figure_has_no_interval():
    one = bootstrap(weighted_mean(np.arange(4.0)), 4, groups=[7, 7, 7, 7])
    assert (one.value[0], one.units) == (1.5, 1)
    assert np.isnan([one.low[0], one.high[0]]).all()
    nothing = bootstrap(lambda w: np.full(len(w), np.nan), 4, resamples=10)
    assert np.isnan([nothing.value[0], nothing.low[0], nothing.high[0]]).all()
    assert nothing.undefined[0] == 10


def test_group_bootstrap_is_wider_for_copies():
    values = np.random.default_rng(0).normal(size=30)
    copied, groups = np.repeat(values, 9), np.repeat(np.arange(30), 9)
    plain = bootstrap(weighted_mean(copied), 270)
    grouped = bootstrap(weighted_mean(copied), 270, groups=groups)
    ratio = (grouped.high[0] - grouped.low[0]) / (plain.high[0] - plain.low[0])
    assert ratio == pytest.approx(3, rel=0.15)  # nine copies count as one: sqrt(9)


def test_bootstrap_covers_the_true_accuracy():
    rng = np.random.default_rng(5)
    covered = 0
    for seed in range(300):
        right = (rng.random(100) < 0.8).astype(float)
        result = bootstrap(weighted_mean(right), 100, resamples=200, seed=seed)
        covered += result.low[0] <= 0.8 <= result.high[0]
    assert 0.89 < covered / 300 < 0.985


def test_bootstrap_names_all_faults():
    with pytest.raises(DataError) as caught:
        bootstrap(weighted_mean(np.ones(3)), 3, groups=["a", None], confidence=95, resamples=0)
    text = str(caught.value)
    assert len(caught.value.faults) == 4
    assert "confidence: 95" in text
    assert "resamples: 0" in text
    assert "2 of them for 3 samples" in text
    assert "missing in row 1" in text


def test_mean_interval_agrees_with_scipy():
    values = [0.81, 0.79, 0.86, 0.9, 0.77]
    low, high = stats.t.interval(0.9, 4, loc=np.mean(values), scale=stats.sem(values))
    assert mean_interval(values, 0.9) == pytest.approx((np.mean(values), low, high, 5))


def test_mean_interval_leaves_out_undefined_folds():
    assert mean_interval([0.8, np.nan, 0.9]) == mean_interval([0.8, 0.9])
    one = mean_interval([0.8, np.nan])
    assert (one.value, one.n) == (0.8, 1)
    assert np.isnan([one.low, one.high]).all()
    assert mean_interval([np.nan]).n == 0


@pytest.mark.parametrize(
    ("values", "confidence", "fault"),
    [([], 0.95, "empty"), ([0.5, np.inf], 0.95, "infinite"), ([0.5, 0.6], 1.0, "confidence")],
)
def test_mean_interval_refuses(values, confidence, fault):
    with pytest.raises(DataError, match=fault):
        mean_interval(values, confidence)


def test_corrected_t_by_hand():
    # differences 0.1, 0.2, 0.3: mean 0.2, variance 0.01; (1/3 + 0.25/0.75) * 0.01 = 0.01 * 2/3
    test = corrected_resampled_t([0.6, 0.7, 0.8], [0.5, 0.5, 0.5], test_fraction=0.25)
    error = np.sqrt(0.01 * 2 / 3)
    assert test.difference == pytest.approx(0.2)
    assert test.statistic == pytest.approx(0.2 / error)
    assert test.p_value == pytest.approx(2 * stats.t.sf(0.2 / error, 2))
    assert test.high - test.difference == pytest.approx(stats.t.ppf(0.975, 2) * error)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2, max_size=10))
@settings(max_examples=60, deadline=None)
def test_corrected_t_is_antisymmetric_and_no_bolder_than_the_plain_test(pairs):
    a, b = np.array(pairs).T / 100
    forth, back = corrected_resampled_t(a, b, 0.2), corrected_resampled_t(b, a, 0.2)
    assert forth.p_value == back.p_value
    assert forth.difference == -back.difference
    assert forth.low <= forth.difference <= forth.high
    if np.ptp(a - b) > 1e-9:
        assert forth.p_value >= stats.ttest_rel(a, b).pvalue - 1e-12


def test_corrected_t_holds_its_level_on_random_splits():
    """Two equal methods over ten overlapping splits: the plain test cries wolf."""
    rng = np.random.default_rng(0)
    plain = corrected = 0
    for _ in range(300):
        samples = rng.normal(size=60)  # each sample's difference between the methods; its mean is 0
        folds = [samples[rng.permutation(60)[:20]].mean() for _ in range(10)]
        plain += stats.ttest_1samp(folds, 0).pvalue < 0.05
        corrected += corrected_resampled_t(folds, np.zeros(10), 1 / 3).p_value < 0.05
    assert plain / 300 > 0.2
    assert corrected / 300 < plain / 300 / 2


def test_corrected_t_at_its_limits():
    assert corrected_resampled_t([0.5, 0.6], [0.5, 0.6], 0.5).p_value == 1
    constant = corrected_resampled_t([0.9, 1.0, 0.8], [0.4, 0.5, 0.3], 1 / 3)
    assert constant.p_value == 0
    assert constant.low == constant.high == pytest.approx(0.5)
    single = corrected_resampled_t([0.9, np.nan], [0.4, 0.5], 0.5)
    assert (single.difference, single.n) == (0.5, 1)
    assert np.isnan(single.p_value)


def test_corrected_t_names_all_faults():
    with pytest.raises(DataError) as caught:
        corrected_resampled_t([0.5], [0.5, 0.6], test_fraction=5)
    assert "test_fraction: 5" in str(caught.value)
    assert "1 and 2 figures" in str(caught.value)
