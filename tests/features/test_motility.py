from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from tumorkeras.data.simulate import KINDS, simulate_motility
from tumorkeras.errors import DataError
from tumorkeras.features.motility import motility_features


def features_of(track, **options):
    return motility_features(np.asarray(track, np.float64)[None], **options).iloc[0]


def assert_values(found, expected):
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


@pytest.fixture(scope="module")
def tracks():
    return np.concatenate([simulate_motility(kind, 30, frames=40, seed=0) for kind in KINDS]).astype(np.float64)


def test_straight_line():
    # 20 steps of length 5 along (3, 4).
    line = np.arange(21)[:, None] * np.array([3.0, 4.0])
    found = features_of(line)
    assert_values(
        found,
        {
            "total_path": 100, "net_displacement": 100, "straightness": 1, "max_displacement": 100,
            "step_mean": 5, "step_median": 5, "step_std": 0, "step_min": 5, "step_max": 5, "step_cv": 0,
            "step_acf_1": 0, "step_acf_2": 0, "moving_over_4": 1, "moving_over_8": 0,
            # The variance of 0..20 is (21^2 - 1) / 12.
            "radius_of_gyration": 5 * np.sqrt(440 / 12), "asphericity": 1,
            "turn_cos_1": 1, "turn_cos_5": 1, "turn_abs_mean": 0, "turn_left": 0, "turn_backward": 0,
            "velocity_acf_1": 1, "velocity_acf_8": 1, "msd_2": 100, "msd_16": 6400, "msd_slope": 2,
            "hurst": 0, "non_gaussianity": -0.5,
        },
    )  # fmt: skip


def test_right_angle_staircase():
    # East 2, north 2, in turn, 8 steps: to (8, 8).
    stairs = np.concatenate([np.zeros((1, 2)), np.cumsum(np.tile([[2.0, 0], [0, 2.0]], (4, 1)), axis=0)])
    assert_values(
        features_of(stairs),
        {
            "total_path": 16, "net_displacement": 8 * np.sqrt(2), "straightness": np.sqrt(0.5),
            "turn_cos_1": 0, "turn_cos_2": 1, "turn_cos_3": 0, "turn_cos_4": 1,
            "turn_abs_mean": np.pi / 2, "turn_left": 4 / 7, "turn_right": 3 / 7, "turn_backward": 0,
            # 6 of 6 pairs agree, each with product 4, over the mean square 4.
            "velocity_acf_1": 0, "velocity_acf_2": 1, "velocity_acf_8": 0,
            "msd_2": 8, "msd_4": 32, "msd_8": 128, "msd_16": 0, "step_std": 0,
            "moving_over_1": 1, "moving_over_2": 0,
        },
    )  # fmt: skip


def test_back_and_forth():
    # Steps +1, -1, +1, -1, +3: path 7, net 3.
    track = np.array([[0, 0], [1, 0], [0, 0], [1, 0], [0, 0], [3, 0]])
    assert_values(
        features_of(track),
        {
            "straightness": 3 / 7, "turn_cos_1": -1, "turn_backward": 1, "turn_abs_mean": np.pi,
            "step_mean": 1.4,
            # Lengths less their mean: -.4 x 4, 1.6; mean product (.16 x 3 - .64) / 4,
            # mean square (.64 + 2.56) / 5.
            "step_acf_1": -0.04 / 0.64, "step_std": 0.8, "step_cv": 0.8 / 1.4, "step_q75": 1, "step_max": 3,
            "velocity_acf_1": (-3 - 3) / 4 / (13 / 5), "msd_2": (0 + 0 + 0 + 4) / 4, "msd_4": (0 + 4) / 2,
            "non_gaussianity": (85 / 5) / (2 * (13 / 5) ** 2) - 1, "asphericity": 1,
        },
    )  # fmt: skip


def test_hurst_leaves_the_drift_out():
    x = np.array([0.0, 1, 0, 1, 0])
    bridge = np.stack([x, np.zeros(5)], axis=-1)
    drifting = bridge + np.arange(5)[:, None] * np.array([2.0, 3.0])
    noisy = simulate_motility("random_walk", 1, frames=50, seed=0).astype(np.float64)[0]
    wind = np.arange(50)[:, None] * np.array([20.0, 0])
    assert features_of(drifting).hurst == pytest.approx(features_of(bridge).hurst)
    assert features_of(noisy + wind).hurst == pytest.approx(features_of(noisy).hurst)
    assert features_of(noisy + wind).msd_slope > 1.8


def test_cell_at_rest_is_all_zero():
    assert not motility_features(np.full((2, 30, 2), 7.5)).to_numpy().any()
    assert not motility_features(np.full((2, 30, 2), 7.5), normalise=True).to_numpy().any()


def test_angles_beside_a_pause_do_not_count():
    track = np.array([[0, 0], [1, 0], [1, 0], [1, 1], [1, 2]])
    found = features_of(track)
    assert_values(found, {"turn_cos_1": 1, "turn_cos_2": 0, "turn_cos_3": 0, "turn_abs_mean": 0, "turn_left": 0})


def test_expected_values_of_the_simulated_kinds():
    walk, levy = (motility_features(simulate_motility(kind, 1000, seed=0)).median() for kind in KINDS[:2])
    fractional = motility_features(simulate_motility(KINDS[2], 1000, hurst=0.7, seed=0)).median()
    assert walk.msd_slope == pytest.approx(1, abs=0.05)
    assert walk.hurst == pytest.approx(0.5, abs=0.05)
    assert walk.turn_backward == pytest.approx(0.25, abs=0.02)
    assert abs(walk.non_gaussianity) < 0.1
    assert fractional.hurst == pytest.approx(0.7, abs=0.06)
    assert fractional.velocity_acf_1 == pytest.approx(2**0.4 - 1, abs=0.05)
    assert levy.non_gaussianity > 5


@settings(max_examples=40, deadline=None)
@given(
    angle=st.floats(-np.pi, np.pi),
    shift=st.tuples(*[st.floats(-1e3, 1e3)] * 2),
    mirror=st.booleans(),
    normalise=st.booleans(),
)
def test_place_direction_and_mirror_do_not_matter(tracks, angle, shift, mirror, normalise):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = tracks @ turn.T * np.array([1, -1 if mirror else 1]) + np.array(shift)
    found = motility_features(moved, normalise=normalise)
    if mirror:
        found = found.rename(columns={"turn_left": "turn_right", "turn_right": "turn_left"})
    expected = motility_features(tracks, normalise=normalise)
    np.testing.assert_allclose(found[expected.columns], expected, rtol=1e-6, atol=1e-7)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3))
def test_normalised_features_have_no_scale(tracks, scale):
    found, expected = (motility_features(given, normalise=True) for given in (tracks * scale, tracks))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.step_mean, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 20).flatmap(
        lambda frames: st.lists(
            st.tuples(*[st.integers(-3, 3).map(float) | st.floats(-1e4, 1e4)] * 2),
            min_size=frames,
            max_size=frames,
        )
    ),
    st.booleans(),
)
def test_values_are_finite_and_in_range(track, normalise):
    found = features_of(track, normalise=normalise)
    assert np.isfinite(found).all()
    shares = found.filter(regex="moving|turn_left|turn_right|turn_backward|straightness|asphericity")
    assert shares.between(0, 1 + 1e-9).all()
    assert found.filter(like="turn_cos").between(-1 - 1e-9, 1 + 1e-9).all()


def test_columns_do_not_depend_on_the_number_of_frames_or_cells(tracks):
    whole = motility_features(tracks)
    assert whole.shape == (90, 40)
    assert (whole.dtypes == np.float64).all()
    assert list(motility_features(tracks[:, :2]).columns) == list(whole.columns)
    assert motility_features(tracks[:0]).shape == (0, 40)


@pytest.mark.parametrize("bad", [np.zeros((3, 5)), np.zeros((3, 1, 2)), np.full((3, 5, 2), np.inf)])
def test_bad_tracks_are_named(bad):
    with pytest.raises(DataError, match="motility_features: tracks: found"):
        motility_features(bad)


def test_real_cells_are_told_apart(data_folder):
    rng = np.random.default_rng(0)
    cells = []
    for name in ("musc", "myoblast"):
        x, y = (np.loadtxt(data_folder / "motility" / f"{name}_{axis}.csv", delimiter=",") for axis in "XY")
        cells.append(np.stack([x, y], axis=-1)[rng.permutation(len(x))[:225], :60])
    model = make_pipeline(FunctionTransformer(lambda x: np.sign(x) * np.log1p(np.abs(x))), StandardScaler(), SVC())
    table = motility_features(np.concatenate(cells)).to_numpy()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    assert cross_val_score(model, table, np.repeat([0, 1], 225), cv=folds).mean() > 0.92
