"""Numbers of the edge of a picture, on pictures whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tumorkeras.auditing.appearance import WINDOW, appearance, edge_pattern
from tumorkeras.errors import DataError


def picture(height=64, width=64):
    """A dark picture with one bright pixel in the middle, so that its range is 0 to 255."""
    image = np.zeros((height, width, 1), np.uint8)
    image[height // 2, width // 2] = 255
    return image


def test_the_corners_are_an_eighth_by_a_quarter():
    image = picture()
    image[:8, -16:] = 255  # all of the corner at the top right
    found = appearance(image)
    assert [found[f"corner_mean_{k}"] for k in range(4)] == [0, 1, 0, 0]
    assert [found[f"corner_max_{k}"] for k in range(4)] == [0, 1, 0, 0]
    assert found["corner_std_1"] == 0
    # the strip is 64 * 64 - 48 * 48 pixels
    assert found["strip_mean"] == pytest.approx(8 * 16 / (64**2 - 48**2))


def test_edges_are_found_in_their_own_cell():
    image = picture()
    image[2:6, 58:62] = 255  # in the last cell of the top row: the eighth of 28, clockwise
    found = appearance(image)
    edges = np.array([found[f"edges_{k}"] for k in range(28)])
    # 4 + 4 steps down its sides and across, over 64 pixels and two directions
    assert edges[7] == pytest.approx(16 / 64 / 2)
    assert np.flatnonzero(edges).tolist() == [7]


def test_thin_marks_are_told_from_thick_ones():
    thin, thick = picture(), picture()
    thin[20, 10:50] = 255
    thick[20:40, 10:50] = 255
    assert appearance(thin)["bright_marks"] == pytest.approx(41 / 64**2)
    assert appearance(thick)["bright_marks"] == 0  # the bright pixel lies within
    assert appearance(255 - thin)["dark_marks"] == pytest.approx(41 / 64**2)


def test_colour_is_the_spread_of_the_channels():
    image = np.repeat(picture(), 3, axis=-1)
    assert appearance(image)["colour"] == 0
    image[:32, :, 0] = 255
    assert appearance(image)["colour"] == pytest.approx(0.5, abs=1e-3)  # less the white pixel


def test_a_volume_is_measured_on_the_mean_of_its_slices():
    volume = np.zeros((4, 64, 64, 1), np.uint8)
    volume[:, :8, :16] = 200
    volume[0] = 0
    assert appearance(volume)["corner_mean_0"] == 1
    assert appearance(volume) == appearance(volume.mean(axis=0))


def test_a_picture_of_one_value_is_all_zeros():
    assert set(appearance(np.full((20, 30, 3), 7, np.uint16)).values()) == {0.0}


@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((0, 4, 1)), np.full((4, 4, 1), "a")])
def test_what_is_no_picture_is_refused(array):
    with pytest.raises(DataError, match="found shape"):
        appearance(array)


@settings(max_examples=30)
@given(
    st.sampled_from([np.uint8, np.int16, np.uint16, np.float32, np.float64, np.bool_]).flatmap(
        lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=3, max_dims=4, max_side=12))
    )
)
def test_any_picture_gives_shares(array):
    """Also of one pixel, with NaN, infinities, and the largest numbers that there are."""
    found = appearance(array)
    assert all(0 <= value <= 1 for value in found.values())
    assert np.isfinite(edge_pattern(array)).all()


@settings(max_examples=30)
@given(arrays.arrays(np.uint8, (24, 40, 1)), st.floats(0.1, 100), st.floats(-1000, 1000))
def test_gain_and_offset_change_nothing(array, gain, offset):
    first, second = appearance(array), appearance(array * gain + offset)
    marks = {"bright_marks", "dark_marks", "strip_marks"}  # a threshold may fall between two rounded values
    assert [first[name] for name in first.keys() - marks] == pytest.approx(
        [second[name] for name in first.keys() - marks], abs=0.02
    )


@pytest.mark.parametrize("size", [(512, 400), (300, 640)])
def test_a_mark_lies_on_the_same_pixels_of_its_window_in_pictures_of_all_sizes(size):
    image = picture(*size)
    image[10:20, -40:-20] = 200
    windows = edge_pattern(image).reshape(8, WINDOW[0] // 2, WINDOW[1] // 2)
    # rows 10 to 20 of the window at the top right, halved; columns 88 to 108, halved
    assert windows[2, 5:10, 44:54].max() > 5
    assert np.abs(windows[2, 20:]).max() == 0
    assert [np.abs(windows[k]).max() for k in (0, 1, 5, 6, 7)] == [0] * 5
