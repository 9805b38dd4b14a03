"""The paired bootstrap, against theory and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tumorkeras.errors import DataError
from tumorkeras.metrics import bootstrap, paired_bootstrap


def weighted_mean(values):
    return lambda weights: weights @ values / weights.sum(axis=1)


def test_agrees_with_the_normal_test_of_many_samples():
    gain = np.random.default_rng(0).normal(0.12, 1, 400)
    ours = paired_bootstrap(weighted_mean(gain), 400, resamples=20_000)
    z = gain.mean() / (gain.std() / 20)
    assert ours.statistic == pytest.approx(z, rel=0.03)
    assert ours.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.1)


def test_the_interval_is_that_of_the_bootstrap_and_zero_within_it_goes_with_p():
    for shift in (0.0, 0.2, 0.4, 0.6):
        gain = np.random.default_rng(1).normal(shift, 1, 40)
        test = paired_bootstrap(weighted_mean(gain), 40, seed=5)
        plain = bootstrap(weighted_mean(gain), 40, resamples=2000, seed=5)
        assert (test.low, test.high) == (plain.low[0], plain.high[0])
        assert (test.low <= 0 <= test.high) == (test.p_value > 0.05)


def test_holds_its_level_where_nothing_differs():
    rng = np.random.default_rng(2)
    rejected = [
        paired_bootstrap(weighted_mean(rng.normal(size=60)), 60, resamples=300, seed=seed).p_value < 0.05
        for seed in range(500)
    ]
    assert 0.025 < np.mean(rejected) < 0.085


def test_differences_that_are_all_the_same():
    none, some = (paired_bootstrap(weighted_mean(np.full(10, value)), 10, resamples=99) for value in (0.0, -0.5))
    assert (none.p_value, none.statistic) == (1, 0)
    assert some.p_value == pytest.approx(2 / 100)
    assert some.statistic == -np.inf


def test_one_unit_or_an_undefined_difference_tell_nothing():
    one = paired_bootstrap(weighted_mean(np.arange(4.0)), 4, groups=[7] * 4)
    nothing = paired_bootstrap(lambda weights: np.full(len(weights), np.nan), 4, resamples=10)
    assert (one.difference, one.n) == (1.5, 1)
    for test in (one, nothing):
        assert np.isnan([test.low, test.high, test.statistic, test.p_value]).all()


def test_refuses():
    with pytest.raises(DataError, match="2 faults"):
        paired_bootstrap(weighted_mean(np.ones(3)), 3, groups=["a"], resamples=0)
