import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tumorkeras.data.similarity import SIDE, thumbnail


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(0)
    values = cv2.GaussianBlur(rng.random((90, 120)), (0, 0), 6)
    return cv2.normalize(values, None, 0, 255, cv2.NORM_MINMAX).astype("uint8")


def test_a_picture_of_the_right_size_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 1)).astype("uint8")
    assert (thumbnail(picture) == picture[..., 0]).all()


def test_blocks_are_averaged_by_hand():
    blocks = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 200
    picture = np.kron(blocks, [[1, 1], [3, 3]]) + np.kron(np.zeros_like(blocks), np.ones((2, 2), "int64"))
    expected = np.minimum(blocks, 85) * 2  # the mean of b and 3 b; up to 85 none is over 255
    found = thumbnail(np.minimum(picture, 255).astype("uint8"))
    assert (found[blocks <= 85] == expected[blocks <= 85]).all()


def test_grey_values_of_8_bits_are_kept(picture):
    assert abs(float(thumbnail(picture[..., None]).mean()) - picture.mean()) < 1


@pytest.mark.parametrize("kind", ["uint16", "int16", "int32", "int64", "float16", "float32", "float64", "uint32"])
def test_other_number_types_are_stretched(picture, kind):
    small = thumbnail(
        (picture.astype("float64") * 4 - (100 if kind != "uint16" and kind != "uint32" else 0)).astype(kind)
    )
    assert small.dtype == np.uint8
    assert (small.min(), small.max()) == (0, 255)
    assert np.corrcoef(small.ravel(), thumbnail(picture).ravel())[0, 1] > 0.9999


def test_truth_values_are_a_picture(picture):
    assert set(np.unique(thumbnail(np.kron(np.eye(2, dtype=bool), np.ones((SIDE, SIDE), bool))))) == {0, 255}


def test_dark_pictures_keep_their_detail(picture):
    dark = (picture // 10).astype("uint8")
    assert np.corrcoef(thumbnail(dark).ravel(), thumbnail(picture).ravel())[0, 1] > 0.995


def test_colour_is_weighted_like_grey_files(picture):
    colour = np.stack([picture, picture[::-1], picture[:, ::-1]], axis=-1)
    grey = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    assert np.abs(thumbnail(colour).astype(int) - thumbnail(grey)).max() <= 1


def test_a_volume_is_its_mean_and_mirrors_with_it(picture):
    volume = np.stack([picture, picture[::-1], picture // 2], axis=0)[..., None]
    assert np.abs(thumbnail(volume).astype(int) - thumbnail(volume.mean(0)[..., 0].astype("uint8"))).max() <= 2
    assert (thumbnail(volume[:, :, ::-1]) == thumbnail(volume)[:, ::-1]).all()
    assert (thumbnail(volume[::-1]) == thumbnail(volume)).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (1, 4000, 1), (2, 5, 7, 3), (20, 20, 6)])
def test_odd_shapes(shape):
    small = thumbnail(np.random.default_rng(0).random(shape))
    assert small.shape == (SIDE, SIDE)
    assert small.max() == (0 if np.prod(shape) == 1 else 255)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0, 1), (5, 5, 0), (0, 5, 5, 1)])
def test_nothing_is_black(shape):
    assert (thumbnail(np.zeros(shape)) == 0).all()


def test_values_that_are_not_finite_do_not_spread(picture):
    broken = picture.astype("float32")
    broken[3, 3], broken[50, 60], broken[80, 2] = np.nan, np.inf, -np.inf
    assert np.corrcoef(thumbnail(broken).ravel(), thumbnail(picture).ravel())[0, 1] > 0.99
    assert (thumbnail(np.full((40, 40), np.nan)) == 0).all()


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 2), ()])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match=f"with {len(shape)} axes, expected an image or volume"):
        thumbnail(np.zeros(shape))


@given(
    arrays.arrays(
        st.sampled_from(["uint8", "int16", "float32", "float64", "bool"]),
        arrays.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=9),
    )
)
def test_any_array_gives_a_thumbnail(array):
    small = thumbnail(array)
    assert small.shape == (SIDE, SIDE)
    assert small.dtype == np.uint8
