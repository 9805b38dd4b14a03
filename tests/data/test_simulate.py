from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tumorkeras.data.simulate import KINDS, fractional_covariance, simulate_motility
from tumorkeras.errors import DataError

FRACTIONAL = "fractional_brownian"


def moves(kind, n=2000, frames=101, **options):
    return np.diff(simulate_motility(kind, n, frames, seed=3, **options).astype(np.float64), axis=1)


def msd_exponent(steps, lags=(1, 2, 4, 8, 16, 32)):
    paths = np.cumsum(steps, axis=1)
    msd = [((paths[:, lag:] - paths[:, :-lag]) ** 2).sum(axis=-1).mean() for lag in lags]
    return np.polyfit(np.log(lags), np.log(msd), 1)[0]


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), n=st.integers(0, 5), frames=st.integers(2, 40))
def test_shape_type_and_start(kind, n, frames):
    tracks = simulate_motility(kind, n, frames, seed=0)
    assert tracks.shape == (n, frames, 2)
    assert tracks.dtype == np.float32
    assert np.isfinite(tracks).all()
    assert not tracks[:, 0].any()


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides_the_numbers(kind):
    first = simulate_motility(kind, 5, seed=1)
    np.testing.assert_array_equal(first, simulate_motility(kind, 5, seed=1))
    np.testing.assert_array_equal(first, simulate_motility(kind, 5, seed=np.random.default_rng(1)))
    assert not np.array_equal(first, simulate_motility(kind, 5, seed=2))


@pytest.mark.parametrize("kind", ["random_walk", FRACTIONAL])
def test_normal_steps_are_rayleigh_with_the_mean_asked_for(kind):
    steps = moves(kind, n=4000, mean_step=7.0)
    # One step a track: the steps of one fractional track are not independent.
    lengths = np.linalg.norm(steps[:, 50], axis=-1)
    assert stats.kstest(lengths, stats.rayleigh(scale=7 / np.sqrt(np.pi / 2)).cdf).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["random_walk", FRACTIONAL])
def test_mean_step(kind):
    assert np.linalg.norm(moves(kind), axis=-1).mean() == pytest.approx(5, rel=0.01)


def test_mean_step_of_levy_flight_with_the_lightest_tail():
    lengths = np.linalg.norm(moves("levy_flight", n=10_000, alpha=2.0), axis=-1)
    assert lengths.mean() == pytest.approx(5, rel=0.02)


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0])
def test_levy_steps_are_pareto(alpha):
    lengths = np.linalg.norm(moves("levy_flight", alpha=alpha), axis=-1).ravel()
    shortest = 5 * (alpha - 1) / alpha
    # The float32 positions after a far jump are coarse, so the test takes the first step of each track.
    first = np.linalg.norm(moves("levy_flight", n=5000, frames=2, alpha=alpha), axis=-1).ravel()
    assert stats.kstest(first, stats.pareto(alpha, scale=shortest).cdf).pvalue > 1e-3
    tail = np.sort(lengths)[-4000:]
    hill = 1 / np.mean(np.log(tail[1:] / tail[0]))
    assert hill == pytest.approx(alpha, rel=0.06)  # the standard error of Hill's estimate is 1.6 % here


@pytest.mark.parametrize("kind", KINDS)
def test_directions_are_uniform_and_coordinates_uncorrelated(kind):
    steps = moves(kind, n=5000)[:, 50]
    heading = np.arctan2(steps[:, 1], steps[:, 0])
    assert stats.kstest(heading, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    assert abs(stats.spearmanr(steps[:, 0], steps[:, 1]).statistic) < 0.05


@pytest.mark.parametrize("kind", ["random_walk", FRACTIONAL])
def test_coordinates_are_independent_at_every_lag(kind):
    x, y = np.moveaxis(moves(kind, hurst=0.9, n=5000), -1, 0)
    assert abs(stats.pearsonr(np.abs(x[:, 20]), np.abs(y[:, 20])).statistic) < 0.05
    for lag in (1, 5):
        assert abs(stats.pearsonr(x[:, 20], y[:, 20 + lag]).statistic) < 0.05


def test_random_walk_spreads_with_exponent_one():
    assert msd_exponent(moves("random_walk")) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("hurst", [0.3, 0.6, 0.7, 0.9])
def test_fractional_motion_spreads_with_twice_the_hurst_exponent(hurst):
    assert msd_exponent(moves(FRACTIONAL, hurst=hurst)) == pytest.approx(2 * hurst, abs=0.03)


@pytest.mark.parametrize("hurst", [0.2, 0.5, 0.7, 0.9])
def test_fractional_noise_has_the_exact_covariance(hurst):
    steps = moves(FRACTIONAL, n=5000, frames=60, hurst=hurst)
    variance = 25 * 2 / np.pi
    for lag in (0, 1, 2, 5, 20, 58):
        found = (steps[:, : 59 - lag] * steps[:, lag:]).mean() / variance
        expected = 0.5 * ((lag + 1) ** (2 * hurst) - 2 * lag ** (2 * hurst) + abs(lag - 1) ** (2 * hurst))
        assert found == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("hurst", [0.001, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("frames", [2, 3, 101])
def test_every_hurst_exponent_can_be_simulated(hurst, frames):
    assert np.isfinite(simulate_motility(FRACTIONAL, 3, frames, hurst=hurst, seed=0)).all()


def test_fractional_covariance_is_that_of_brownian_increments():
    # Var B(t) = t^2H, so the covariances of the unit increments of 10 steps add up to 10^2H.
    lags = np.subtract.outer(np.arange(10), np.arange(10))
    assert fractional_covariance(lags, 0.7).sum() == pytest.approx(10**1.4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "brownian"),
        ("kind", None),
        ("n", -1),
        ("n", 2.0),
        ("n", True),
        ("frames", 1),
        ("hurst", 0),
        ("hurst", 1.0),
        ("hurst", float("nan")),
        ("alpha", 1.0),
        ("alpha", 2.1),
        ("mean_step", 0),
        ("mean_step", float("inf")),
        ("mean_step", "5"),
        ("seed", -1),
        ("seed", "a"),
    ],
)
def test_argument_outside_its_range_is_named(name, value):
    arguments = {"kind": "random_walk", "n": 2} | {name: value}
    with pytest.raises(DataError) as caught:
        simulate_motility(**arguments)
    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}: found {value!r}, expected ")


def test_all_faults_at_once():
    with pytest.raises(DataError) as caught:
        simulate_motility("walk", -1, 1, hurst=2, alpha=0, mean_step=-5, seed=-1)
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "kind", "n", "frames", "hurst", "alpha", "mean_step", "seed",
    ]  # fmt: skip
