"""Shape, by hand, against scikit-image, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.measure import label, regionprops

from tumorkeras.errors import DataError
from tumorkeras.features.shape import shape_features

HU = [f"hu_{number}" for number in range(1, 8)]


def features_of(mask, **options):
    return shape_features(np.asarray(mask, float)[None, ..., None], **options).iloc[0]


def disk(radius, side=64):
    return ((np.indices((side, side)) - side // 2) ** 2).sum(axis=0) <= radius**2


def blob(*shape, seed=0):
    """One piece without symmetry, with its holes."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    pieces = label(field > 0, connectivity=1)
    return pieces == np.bincount(pieces[pieces > 0]).argmax()


def test_a_rectangle_by_hand():
    image = np.zeros((10, 10))
    image[2:8, 3:6] = 5
    found = features_of(image)
    assert found.solidity == found.euler_number == 1
    assert found.convexity == pytest.approx(1)
    assert found.height_over_width == 2
    assert found.eccentricity == pytest.approx(np.sqrt(1 - (9 - 1) / (36 - 1)))
    # The outline runs half a pixel outside the centres, its corners cut: sides 5 and 2, corners of root 1/2.
    perimeter, area = 2 * (5 + 2) + 4 * np.sqrt(1 / 2), 18 - 4 / 8
    assert found.compactness == pytest.approx(4 * np.pi * area / perimeter**2)
    # (mu20 + mu02) / area^2 of 6 x 3 pixels.
    first = 18 * ((36 - 1) / 12 + (9 - 1) / 12) / 18**2
    assert found.hu_1 == pytest.approx(np.log10(1 + first * 1e12))
    assert found[["hu_3", "hu_4", "hu_5", "hu_6", "hu_7"]].abs().max() < 1e-9  # symmetric


def test_spacing_makes_of_tall_pixels_a_tall_region():
    image = np.zeros((10, 10))
    image[2:5, 3:6] = 5
    stretched = features_of(image, spacing=[2, 1])
    tall = np.zeros((10, 10))
    tall[2:8, 3:6] = 5
    assert stretched.height_over_width == features_of(tall).height_over_width == 2
    assert stretched.eccentricity > features_of(image).eccentricity == 0
    assert stretched.hu_1 == pytest.approx(features_of(tall).hu_1, rel=0.01)
    assert stretched.compactness == pytest.approx(features_of(tall).compactness, rel=0.03)


def test_the_unit_of_spacing_does_not_matter():
    image = blob(30, 30)
    np.testing.assert_allclose(features_of(image, spacing=[0.1, 0.1]), features_of(image), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_hu_moments_do_not_change_with_place_and_quarter_turns(turns):
    image = blob(24, 30)
    expected = features_of(image)[HU]
    assert (expected.abs() > 1).all()
    np.testing.assert_allclose(features_of(np.rot90(image, turns))[HU], expected, atol=1e-6)
    moved = np.zeros((60, 60))
    moved[31:55, 7:37] = image
    np.testing.assert_allclose(features_of(moved)[HU], expected, atol=1e-6)


def test_mirroring_turns_the_sign_of_the_last_hu_moment_alone():
    image = blob(24, 30)
    expected = features_of(image)[HU] * [1, 1, 1, 1, 1, 1, -1]
    np.testing.assert_allclose(features_of(image[:, ::-1])[HU], expected, atol=1e-6)


def test_a_hole_lowers_the_euler_number_and_the_solidity_and_leaves_the_outline():
    image = disk(12)
    holed = image & ~disk(4)
    whole, found = features_of(image), features_of(holed)
    assert (whole.euler_number, found.euler_number) == (1, 0)
    assert found.solidity < whole.solidity
    outline = ["compactness", "convexity", "boundary_roughness"]
    assert found[outline].tolist() == whole[outline].tolist()


def test_a_tunnel_and_a_cavity():
    cube = np.zeros((7, 7, 7))
    cube[1:6, 1:6, 1:6] = 1
    tunnel, cavity = cube.copy(), cube.copy()
    tunnel[:, 3, 3] = cavity[3, 3, 3] = 0
    assert [features_of(volume).euler_number for volume in (cube, tunnel, cavity)] == [1, 0, 2]


@pytest.mark.parametrize("shape", [(20, 24), (10, 12, 11)])
@pytest.mark.parametrize("seed", range(5))
def test_solidity_and_euler_number_against_scikit_image(shape, seed):
    mask = blob(*shape, seed=seed)
    (expected,) = regionprops(mask.astype("uint8"))
    found = features_of(mask)
    assert found.solidity == pytest.approx(expected.solidity)
    assert found.solidity < 1
    assert found.euler_number == expected.euler_number


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 1, 4), (1, 3, 4), (4, 1, 2), (3, 4, 5)])
def test_boxes_however_flat_are_convex(size):
    volume = np.zeros((6, 6, 6))
    volume[tuple(slice(1, 1 + side) for side in size)] = 1
    assert features_of(volume).solidity == 1
    assert features_of(volume[:, :, 1] + volume[:, :, 2]).solidity == 1


def test_spikes_make_a_disk_rough():
    smooth = disk(12)
    spiky = smooth.copy()
    for turn in range(4):
        np.rot90(spiky, turn)[31:33, 5:25] = True
    first, second = features_of(smooth), features_of(spiky)
    assert first.boundary_roughness < 0.05 < 0.2 < second.boundary_roughness
    assert first.compactness > 0.8 > 0.5 > second.compactness
    assert first.convexity > 0.9 > 0.8 > second.convexity
    assert first.solidity > 0.9 > 0.7 > second.solidity


def test_roughness_by_hand():
    # The middle touches no background, the arms are all at 1.
    assert features_of([[0, 1, 0], [1, 1, 1], [0, 1, 0]]).boundary_roughness == 0
    # Of a row of three all are rim, at 1, 0 and 1.
    assert features_of([[1, 1, 1]]).boundary_roughness == pytest.approx(np.sqrt(2 / 9) / (2 / 3))
    # Of a square of three with pixels twice as high as wide: sides at 1 and 2, corners at the root of 5.
    radii = np.sqrt([1, 1, 4, 4, 5, 5, 5, 5])
    found = features_of(np.ones((3, 3)), spacing=[2, 1])
    assert found.boundary_roughness == pytest.approx(radii.std() / radii.mean())


def test_only_the_largest_piece_counts():
    image = np.zeros((20, 20))
    image[2:8, 3:6] = 5
    with_crumbs = image.copy()
    with_crumbs[15, 10:15] = with_crumbs[8, 6] = 5  # the second touches by a corner
    pieces = [name for name in features_of(image).index if name != "euler_number"]
    np.testing.assert_allclose(features_of(with_crumbs)[pieces], features_of(image)[pieces], atol=1e-9)


def test_nothing_and_a_single_pixel_are_finite():
    images = np.zeros((2, 5, 5, 1))
    images[1, 2, 2] = 9
    table = shape_features(images)
    assert table.shape == (2, 14)
    assert not table.iloc[0].any()
    expected = {"solidity": 1, "boundary_roughness": 0, "eccentricity": 0, "convexity": 1, "height_over_width": 1}
    assert table.iloc[1][list(expected)].to_dict() == pytest.approx(expected)
    assert list(shape_features(np.zeros((0, 3, 3, 3, 1)))) == ["solidity", "boundary_roughness", "euler_number"]


@settings(max_examples=60, deadline=None)
@given(mask=arrays.arrays(bool, (7, 8)))
def test_any_mask_gives_finite_shares(mask):
    found = features_of(mask)
    assert np.isfinite(found).all()
    shares = found[["solidity", "compactness", "convexity", "eccentricity"]]
    assert shares.between(0, 1 + 1e-9).all()


def test_bad_input_is_refused():
    with pytest.raises(DataError, match=r"(?s)shape_features.*expected 2 positive numbers.*NaN or infinite in 1 of 1"):
        shape_features(np.full((1, 3, 3, 1), np.nan), spacing=[0, 1])
