from __future__ import annotations

import numpy as np
import pytest

from tumorkeras.data.mimic import behaviour_clusters, mimic_motility
from tumorkeras.data.motion import headings_of, steps_of
from tumorkeras.data.simulate import simulate_motility
from tumorkeras.errors import DataError


@pytest.fixture(scope="module")
def mixture():
    """60 slow cells that wander and 40 fast ones that persist."""
    slow = simulate_motility("random_walk", 60, frames=80, mean_step=2, seed=0)
    fast = simulate_motility("fractional_brownian", 40, frames=80, mean_step=10, hurst=0.85, seed=1)
    return np.concatenate([slow, fast])


def step_quantiles(tracks):
    return np.quantile(steps_of(tracks)[1], [0.05, 0.25, 0.5, 0.75, 0.95])


def mean_cosines(tracks, lags=(1, 2, 4)):
    headings = headings_of(steps_of(tracks)[0])
    return np.array([np.cos(headings[:, lag:] - headings[:, :-lag]).mean() for lag in lags])


def msd(tracks, lags=(1, 2, 4, 8, 16)):
    tracks = tracks.astype(np.float64)
    return np.array([((tracks[:, lag:] - tracks[:, :-lag]) ** 2).sum(axis=-1).mean() for lag in lags])


def median_msd(tracks, lags):
    tracks = tracks.astype(np.float64)
    squares = [((tracks[:, lag:] - tracks[:, :-lag]) ** 2).sum(axis=-1) for lag in lags]
    return np.array([np.median(square.mean(axis=1)) for square in squares])


def step_autocorrelation(tracks):
    """Mean over the cells, each by its own variance: pooled, a few fast cells decide (MuSC: 0.27 +- 0.09)."""
    lengths = steps_of(tracks.astype(np.float64))[1]
    centred = lengths - lengths.mean(axis=1, keepdims=True)
    return ((centred[:, 1:] * centred[:, :-1]).mean(axis=1) / (centred**2).mean(axis=1)).mean()


def assert_alike(mimic, source, *, steps, cosine, spread):
    np.testing.assert_allclose(step_quantiles(mimic), step_quantiles(source), rtol=steps)
    np.testing.assert_allclose(mean_cosines(mimic), mean_cosines(source), atol=cosine)
    np.testing.assert_allclose(msd(mimic), msd(source), rtol=spread)
    assert step_autocorrelation(mimic) == pytest.approx(step_autocorrelation(source), abs=0.06)
    means, given = (np.log(steps_of(tracks)[1].mean(axis=1)) for tracks in (mimic, source))
    assert means.mean() == pytest.approx(given.mean(), abs=0.08)
    assert means.std() == pytest.approx(given.std(), rel=0.1)


def test_shape_type_start_and_seed(mixture):
    first = mimic_motility(mixture, 7, seed=0)
    assert first.shape == (7, 80, 2)
    assert first.dtype == np.float32
    assert not first[:, 0].any()
    np.testing.assert_array_equal(first, mimic_motility(mixture, 7, seed=0))
    assert not np.array_equal(first, mimic_motility(mixture, 7, seed=1))
    assert mimic_motility(mixture, 0, seed=0).shape == (0, 80, 2)


def test_mixture_of_slow_and_fast_cells_is_kept(mixture):
    mimic = mimic_motility(mixture, 3000, seed=0)
    assert_alike(mimic, mixture, steps=0.08, cosine=0.03, spread=0.15)
    fast = steps_of(mimic)[1].mean(axis=1) > 5
    assert fast.mean() == pytest.approx(0.4, abs=0.04)
    # Persistence stays with the fast cells.
    assert mean_cosines(mimic[fast])[0] == pytest.approx(mean_cosines(mixture[60:])[0], abs=0.04)
    assert mean_cosines(mimic[~fast])[0] == pytest.approx(mean_cosines(mixture[:60])[0], abs=0.04)


def test_mixture_is_found(mixture):
    labels = behaviour_clusters(mixture, clusters=2, seed=0)
    assert set(labels[:60]).isdisjoint(labels[60:])
    chosen = behaviour_clusters(mixture, seed=0)
    assert 2 <= chosen.max() + 1 <= 5
    assert set(chosen[:60]).isdisjoint(chosen[60:])


def test_tracks_are_new_and_differ(mixture):
    lengths = steps_of(mimic_motility(mixture[:10], 200, seed=0))[1].round(4)
    assert len(np.unique(lengths, axis=0)) == 200
    given = steps_of(mixture[:10])[1].round(4)
    assert not (lengths[:, None] == given[None]).all(axis=-1).any()


def test_directions_are_uniform(mixture):
    heading = headings_of(steps_of(mimic_motility(mixture, 4000, seed=0))[0])[:, [0, 40]]
    assert np.abs(np.exp(1j * heading).mean(axis=0)).max() < 0.05


def test_ten_cells_are_enough(mixture):
    few = mixture[50:70:2]
    mimic = mimic_motility(few, 1000, seed=0)
    np.testing.assert_allclose(step_quantiles(mimic), step_quantiles(few), rtol=0.15)
    np.testing.assert_allclose(mean_cosines(mimic), mean_cosines(few), atol=0.06)


def test_cells_at_rest_stay_at_rest():
    walking = simulate_motility("random_walk", 15, frames=20, seed=0)
    tracks = np.concatenate([walking, np.full((5, 20, 2), 3.0)])
    resting = ~mimic_motility(tracks, 1000, clusters=2, seed=0).any(axis=(1, 2))
    assert resting.mean() == pytest.approx(0.25, abs=0.05)
    assert not mimic_motility(np.ones((4, 20, 2)), 10, seed=0).any()


@pytest.mark.parametrize(("cells", "frames", "clusters"), [(2, 3, None), (2, 3, 2), (5, 4, 3), (6, 40, 6)])
def test_smallest_input(cells, frames, clusters):
    tracks = simulate_motility("random_walk", cells, frames=frames, seed=0)
    mimic = mimic_motility(tracks, 20, clusters=clusters, seed=0)
    assert mimic.shape == (20, frames, 2)
    assert np.isfinite(mimic).all()


def test_copies_of_one_cell_make_one_cluster():
    tracks = np.repeat(simulate_motility("random_walk", 1, frames=20, seed=0), 12, axis=0)
    assert behaviour_clusters(tracks, clusters=3, seed=0).max() == 0


# A few fast cells make most of the mean square displacement of MuSC: over its cells the standard error is
# 21 % at lag 1, and three of these are allowed. The medians do not depend on such cells.
@pytest.mark.parametrize(
    ("name", "spread", "far"),
    [("musc", 0.6, 0.6), ("myoblast", 0.1, 0.2), ("wt_mef", 0.1, 0.2), ("myc_mef", 0.1, 0.2)],
)
def test_real_cells_are_kept(data_folder, name, spread, far):
    x, y = (np.loadtxt(data_folder / "motility" / f"{name}_{axis}.csv", delimiter=",") for axis in "XY")
    real = np.stack([x, y], axis=-1)
    mimic = mimic_motility(real, 3000, seed=0)
    assert_alike(mimic, real, steps=0.12, cosine=0.03, spread=spread)
    np.testing.assert_allclose(median_msd(mimic, (1, 2, 4)), median_msd(real, (1, 2, 4)), rtol=0.15)
    # Memory longer than a piece is lost, which shows in the MuSC, most of which hardly leave their place.
    np.testing.assert_allclose(median_msd(mimic, (16,)), median_msd(real, (16,)), rtol=far)


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        (np.zeros((4, 10)), "found shape (4, 10), expected (n, frames, 2)"),
        (np.zeros((4, 10, 3)), "found shape (4, 10, 3)"),
        (np.zeros((1, 10, 2)), "found 1 cells, expected at least 2"),
        (np.zeros((4, 2, 2)), "found 2 frames, expected at least 3"),
        (np.where(np.arange(4)[:, None, None] == 2, np.nan, np.zeros((4, 10, 2))), "1 of 4 tracks (row 2)"),
        ([["a"]], "expected numbers"),
    ],
)
def test_bad_tracks_are_named(tracks, words):
    with pytest.raises(DataError) as caught:
        mimic_motility(tracks, 5)
    assert words in str(caught.value)


def test_all_faults_at_once():
    with pytest.raises(DataError) as caught:
        mimic_motility(np.full((1, 2, 2), np.nan), -1, clusters=0, seed=-1)
    assert len(caught.value.faults) == 6
    with pytest.raises(DataError, match="clusters: found 5, expected at most 3"):
        mimic_motility(np.zeros((3, 5, 2)), 1, clusters=5)
