from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from tumorkeras.errors import DataError
from tumorkeras.features.volumes import volume_features


def features_of(sample, **options):
    return volume_features(np.asarray(sample)[None, ..., None], **options).iloc[0]


def assert_values(found, expected):
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def ball(radius, side):
    distance = np.stack(np.meshgrid(*[np.arange(side) - side // 2] * 3, indexing="ij"))
    return ((distance**2).sum(axis=0) <= radius**2).astype("float32")


def test_a_block_by_hand():
    # 2 x 3 x 4 voxels of 7: faces 2 * (6 + 8 + 12), variance of k equal steps (k^2 - 1) / 12.
    volume = np.zeros((8, 8, 8))
    volume[1:3, 2:5, 3:7] = 7
    assert_values(
        features_of(volume),
        {
            "size": 24, "extent_depth": 2, "extent_height": 3, "extent_width": 4, "fill": 1, "parts": 1,
            "largest_part": 1, "surface": 52, "surface_to_volume": 52 / 24,
            "sphericity": np.cbrt(36 * np.pi * 24**2) / 52,
            "axis_1": 4 * np.sqrt(15 / 12), "axis_2": 4 * np.sqrt(8 / 12), "axis_3": 4 * np.sqrt(3 / 12),
            "elongation": 1 - np.sqrt(8 / 15), "flatness": 1 - np.sqrt(3 / 15), "thickness": 1,
            "radius_max": np.sqrt(0.5**2 + 1 + 1.5**2),
            "intensity_mean": 7, "intensity_std": 0, "intensity_median": 7, "intensity_skew": 0,
            "intensity_kurtosis": 0, "intensity_entropy": 0, "core_mean": 7, "rim_mean": 7,
            "core_minus_rim": 0, "roughness": 0, "neighbour_correlation": 0,
        },
    )  # fmt: skip


def test_spacing_scales_lengths_and_faces():
    volume = np.zeros((8, 8, 8))
    volume[1:3, 2:5, 3:7] = 7
    found = features_of(volume, spacing=[2, 1, 0.5])
    assert_values(found, {"size": 24, "extent_depth": 4, "extent_height": 3, "extent_width": 2, "thickness": 1})
    # Sides 4, 3 and 2.
    assert_values(found, {"surface": 2 * (12 + 8 + 6), "surface_to_volume": 52 / 24, "axis_1": 4 * 2 * 0.5})


def test_intensities_against_scipy():
    values = np.random.default_rng(0).gamma(2, 20, size=(6, 7, 8)) + 1
    found, flat = features_of(values), values.ravel()
    assert_values(
        found,
        {
            "intensity_mean": flat.mean(), "intensity_std": flat.std(),
            "intensity_q05": np.quantile(flat, 0.05), "intensity_q95": np.quantile(flat, 0.95),
            "intensity_skew": stats.skew(flat),
            "intensity_kurtosis": stats.kurtosis(flat),
            "intensity_entropy": stats.entropy(np.histogram(flat, 32)[0], base=2),
        },
    )  # fmt: skip
    assert abs(found.neighbour_correlation) < 0.2


def test_bright_core_and_dark_rim():
    volume = ball(6, 15) * 10 + ball(3, 15) * 40
    found = features_of(volume)
    assert found.core_mean > 40 > 11 > found.rim_mean
    assert found.core_minus_rim == found.core_mean - found.rim_mean
    assert found.elongation == pytest.approx(0, abs=1e-9)
    assert found.sphericity == pytest.approx(2 / 3, abs=0.05)
    assert found.neighbour_correlation > 0.7


def test_parts_that_touch_by_an_edge_are_two():
    image = np.zeros((5, 5))
    image[1, 1:4] = image[2, 4] = 1
    assert_values(features_of(image), {"parts": 2, "largest_part": 0.75, "size": 4, "surface": 12})


def test_roughness_of_a_chequerboard():
    board = np.indices((4, 4)).sum(axis=0) % 2 * 2 + 1  # 1 and 3
    assert_values(features_of(board), {"roughness": 2, "neighbour_correlation": -1, "intensity_mean": 2})


def test_nothing_and_a_single_voxel_are_finite():
    single = np.zeros((2, 5, 5, 5, 1), "uint8")
    single[1, 2, 2, 2] = 255
    table = volume_features(single)
    assert not table.iloc[0].any()
    assert np.isfinite(table.to_numpy()).all()
    assert_values(table.iloc[1], {"size": 1, "surface": 6, "axis_1": 0, "elongation": 0, "rim_mean": 255})


def test_the_columns_do_not_depend_on_the_data():
    empty = volume_features(np.zeros((0, 4, 4, 4, 1)))
    assert empty.shape == (0, 37)
    assert list(empty) == list(volume_features(np.ones((1, 2, 3, 4, 2), "uint8")))
    images = volume_features(np.ones((1, 4, 4, 3)))
    assert set(empty) - set(images) == {"extent_depth", "axis_3"}


def test_channels_are_averaged_and_any_of_them_is_foreground():
    image = np.zeros((1, 4, 4, 3))
    image[0, 1, 1] = [0, 0, 6]
    image[0, 1, 2] = [3, 3, 3]
    assert_values(volume_features(image).iloc[0], {"size": 2, "intensity_mean": 2.5})


@settings(max_examples=40)
@given(
    volume=arrays.arrays("float32", (4, 5, 3, 1), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    shift=st.integers(0, 3),
)
def test_finite_and_the_same_wherever_it_lies(volume, shift):
    wide = np.zeros((2, 9, 9, 9, 1), "float32")
    wide[0, :4, :5, :3] = volume
    wide[1, shift : shift + 4, 3:8, shift : shift + 3] = volume
    table = volume_features(wide).to_numpy()
    assert np.isfinite(table).all()
    np.testing.assert_allclose(table[0], table[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("volumes", "options", "message"),
    [
        (np.zeros((3, 4, 4)), {}, r"found shape \(3, 4, 4\)"),
        (np.zeros((1, 4, 0, 1)), {}, "found shape"),
        (np.zeros((1, 4, 4, 1), "complex"), {}, "dtype complex128, expected numbers"),
        (
            np.full((2, 4, 4, 1), np.nan),
            {"spacing": [1]},
            r"(?s)expected 2 positive.*2 of 2 samples \(row 0, 1\)",
        ),
        (np.ones((1, 4, 4, 1)), {"spacing": [1, -1]}, "expected 2 positive numbers"),
    ],
)
def test_bad_input(volumes, options, message):
    with pytest.raises(DataError, match=message):
        volume_features(volumes, **options)
