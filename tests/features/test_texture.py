"""Texture, by hand, against plain loops and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.feature import graycomatrix, graycoprops

from tumorkeras.errors import DataError
from tumorkeras.features.texture import ANGLES, DISTANCES, texture_features

PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy")


def features_of(sample):
    return texture_features(np.asarray(sample)[None, ..., None]).iloc[0]


def speckle(*shape, seed=0):
    """Numbers from 1 to 255."""
    return np.random.default_rng(seed).integers(1, 256, shape)


def levels_of(image, count):
    """Grey levels from 0 of an image that is all foreground."""
    low, high = np.percentile(image, [1, 99])
    return np.clip(np.floor((image - low) * count / (high - low) + 1e-9), 0, count - 1).astype(int)


def patterns_by_hand(levels, radius, points):
    """Uniform patterns by a plain loop; 0 is outside."""
    height, width = levels.shape
    around = np.pad(levels, 8).astype(float)
    histogram = np.zeros(points + 2)
    for row in range(height):
        for column in range(width):
            if not levels[row, column]:
                continue
            bits = []
            for point in range(points):
                angle = 2 * np.pi * point / points
                y = round(row + 8 - radius * np.sin(angle), 5)
                x = round(column + 8 + radius * np.cos(angle), 5)
                top, left = int(y), int(x)
                dy, dx = y - top, x - left
                upper = (1 - dx) * around[top, left] + dx * around[top, left + 1]
                lower = (1 - dx) * around[top + 1, left] + dx * around[top + 1, left + 1]
                bits.append((1 - dy) * upper + dy * lower >= levels[row, column])
            changes = sum(bits[k] != bits[k - 1] for k in range(points))
            histogram[sum(bits) if changes <= 2 else points + 1] += 1
    return histogram / histogram.sum()


def test_two_by_two_pixels_by_hand():
    # Levels 0 and 31 over 31 and 31. Across: (0, 31), (31, 31). Down: the same. Diagonals: (0, 31) and (31, 31).
    found = features_of([[10, 90], [90, 90]])
    assert found.glcm_contrast_1 == pytest.approx((480.5 + 480.5 + 961 + 0) / 4)
    assert found.glcm_contrast_1_range == pytest.approx(961)
    assert found.glcm_dissimilarity_1 == pytest.approx((15.5 + 15.5 + 31 + 0) / 4)
    assert found.glcm_homogeneity_1 == pytest.approx((2 * (1 + 1 / 962) / 2 + 1 / 962 + 1) / 4)
    # Shares across and down 1/4, 1/4, 1/2; of one diagonal 1/2, 1/2; of the other 1.
    assert found.glcm_energy_1 == pytest.approx((2 * np.sqrt(3 / 8) + np.sqrt(1 / 2) + 1) / 4)
    assert found.glcm_entropy_1 == pytest.approx((1.5 + 1.5 + 1 + 0) / 4)
    # Across, mean 3/4 of 31: (1/2 - 9/16) / (3/4 - 9/16). The equal diagonal defines none.
    assert found.glcm_correlation_1 == pytest.approx((-1 / 3 - 1 / 3 - 1) / 3)
    assert found.glcm_correlation_1_range == pytest.approx(2 / 3)
    # Steps of 2 pixels: the diagonal one is rounded to 1, the straight ones leave the image.
    assert found.glcm_contrast_2 == pytest.approx((961 + 0) / 2)
    assert not found[[f"glcm_{name}_4" for name in PROPERTIES]].any()


def test_pairs_with_the_background_are_left_out():
    # The same rows, with nothing between them: only pairs across.
    found = features_of([[10, 90], [0, 0], [10, 90]])
    assert found.glcm_contrast_1 == 961
    assert found.glcm_contrast_1_range == 0
    assert found.glcm_correlation_1 == -1
    # Two pixels down lies the same value; two on the diagonal are one, which is background.
    assert found.glcm_contrast_2 == found.glcm_contrast_2_range == 0
    assert found.glcm_homogeneity_2 == 1


def test_co_occurrence_against_scikit_image():
    image = speckle(20, 17)
    counts = graycomatrix(levels_of(image, 32).astype("uint8"), DISTANCES, ANGLES, 32, symmetric=True, normed=True)
    found = features_of(image)
    for name in PROPERTIES:
        unit = np.log(2) if name == "entropy" else 1
        expected = graycoprops(counts, name) / unit
        for distance, angles in zip(DISTANCES, expected, strict=True):
            assert found[f"glcm_{name}_{distance}"] == pytest.approx(angles.mean()), name
            assert found[f"glcm_{name}_{distance}_range"] == pytest.approx(np.ptp(angles)), name


@pytest.mark.parametrize(("radius", "points"), [(1, 8), (3, 24)])
def test_local_patterns_against_a_plain_loop(radius, points):
    image = speckle(9, 8)
    mask = np.ones((9, 8), bool)
    mask[3:5, 2] = mask[:2, :3] = False
    levels = np.zeros((9, 8))
    levels[mask] = levels_of(image[mask], 256) + 1
    found = features_of(np.where(mask, image, 0)).filter(like=f"lbp_{radius}_")
    np.testing.assert_allclose(found, patterns_by_hand(levels, radius, points), atol=1e-12)


def test_brightness_and_contrast_change_nothing():
    image = np.where(speckle(24, 24, seed=1) > 60, speckle(24, 24), 0)
    brighter = np.where(image > 0, image * 3 + 500, 0)
    darker = image * 0.1
    expected = features_of(image)
    assert expected.glcm_contrast_1 > 0
    np.testing.assert_array_equal(features_of(brighter), expected)
    np.testing.assert_array_equal(features_of(darker), expected)


def test_a_few_bright_pixels_do_not_set_the_levels():
    image = speckle(30, 30)
    glaring = image.copy()
    glaring[15, 15] = 100_000
    assert features_of(glaring).glcm_contrast_1 == pytest.approx(features_of(image).glcm_contrast_1, rel=0.05)


def test_coarse_texture_is_smoother_than_fine():
    fine = speckle(32, 32)
    coarse = np.kron(speckle(8, 8), np.ones((4, 4), int))
    assert features_of(coarse).glcm_correlation_1 > 0.5 > abs(features_of(fine).glcm_correlation_1)
    assert features_of(coarse).glcm_contrast_4 > features_of(coarse).glcm_contrast_1


def test_slices_are_measured_one_by_one():
    volume = np.where(speckle(3, 12, 12, seed=2) > 90, speckle(3, 12, 12), 0)
    volume[1, 4:] = 0
    apart = np.zeros((5, 12, 12), int)
    apart[[0, 2, 4]] = volume
    np.testing.assert_array_equal(features_of(apart), features_of(volume))
    same = np.stack([volume[0], volume[0]])
    np.testing.assert_allclose(features_of(same), features_of(volume[0]), atol=1e-12)


def test_slices_count_by_their_foreground():
    # 2 x 4 pixels side by side alike, 1 x 2 that differ most: weights 8 and 2.
    volume = np.zeros((2, 4, 4), int)
    volume[0, :2] = 10
    volume[1, 0, :2] = [10, 90]
    found = features_of(volume)
    assert found.glcm_contrast_1 == pytest.approx(2 * 961 / 10)
    assert found.glcm_correlation_1 == pytest.approx(-1)  # the slice of equal values defines none


def test_nothing_a_pixel_and_a_constant_are_finite():
    images = np.zeros((3, 8, 8, 1), "float32")
    images[1, 3, 3] = 7
    images[2] = 0.3
    table = texture_features(images)
    assert table.shape == (3, 72)
    assert not table.iloc[0].any()
    assert table.iloc[1][table.iloc[1] != 0].to_dict() == {"lbp_1_0": 1, "lbp_3_0": 1}
    assert table.iloc[2][["glcm_energy_1", "glcm_homogeneity_4"]].tolist() == [1, 1]
    assert table.iloc[2][["glcm_contrast_1", "glcm_entropy_1", "glcm_correlation_1"]].tolist() == [0, 0, 0]


@settings(max_examples=25, deadline=None)
@given(
    volume=arrays.arrays("float32", (2, 5, 6, 1), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    shift=st.integers(0, 3),
)
def test_finite_and_the_same_wherever_it_lies(volume, shift):
    wide = np.zeros((2, 4, 12, 12, 1), "float32")
    wide[0, :2, :5, :6] = volume
    wide[1, 1:3, shift : shift + 5, 4:10] = volume
    table = texture_features(wide).to_numpy()
    assert np.isfinite(table).all()
    np.testing.assert_allclose(table[0], table[1], atol=1e-12)


def test_shares_sum_to_one():
    found = features_of(speckle(3, 10, 10))
    assert found.filter(like="lbp_1_").sum() == pytest.approx(1)
    assert found.filter(like="lbp_3_").sum() == pytest.approx(1)


def test_no_number_is_refused():
    with pytest.raises(DataError, match=r"(?s)texture_features.*NaN or infinite in 1 of 2 samples \(row 1\)"):
        texture_features(np.array([0, np.nan]).reshape(2, 1, 1, 1))
