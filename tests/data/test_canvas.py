"""Images and volumes of any size on a canvas of one size."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.data.canvas import fit_volume, letterbox, with_channels
from tumorkeras.errors import DataError


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(1, 24), st.sampled_from([1, 3]))
def test_letterbox_keeps_shape_middle_and_values(rows, columns, height, width, channels):
    canvas = letterbox(np.full((rows, columns, channels), 7, "uint8"), height, width)
    assert canvas.shape == (height, width, channels)
    filled = canvas[..., 0] > 0
    down, across = filled.any(axis=1), filled.any(axis=0)
    assert set(np.unique(canvas)) <= {0, 7}
    assert down.all() or across.all()  # as large as fits
    scale, half = min(Fraction(height, rows), Fraction(width, columns)), Fraction(1, 2)
    assert (down.sum(), across.sum()) == tuple(max(1, floor(side * scale + half)) for side in (rows, columns))
    for axis in (down, across):
        before, after = axis.argmax(), axis[::-1].argmax()
        assert 0 <= after - before <= 1


def test_around_negative_values_lies_the_smallest():
    canvas = letterbox(np.array([[[-1000.0], [50.0]]], "float32"), 4, 4)
    assert canvas.min() == -1000
    assert (canvas[0] == -1000).all()
    assert (letterbox(np.full((2, 4, 1), 7, "int16"), 4, 4)[0] == 0).all()


def test_colour_becomes_grey_and_grey_becomes_colour():
    colour = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], "uint8")
    assert with_channels(colour, 1)[0, :, 0].tolist() == [76, 150, 29, 9]
    assert with_channels(np.full((2, 3, 4, 1), 5, "uint16"), 3).shape == (2, 3, 4, 3)
    with pytest.raises(DataError, match="has 2, expected 3"):
        with_channels(np.zeros((2, 2, 2)), 3)


def test_a_volume_that_fits_stays_as_it_is():
    volume = np.random.default_rng(0).integers(0, 99, (3, 4, 5, 1)).astype("int16")
    assert (fit_volume(volume, volume.shape) == volume).all()
    assert (fit_volume(volume, volume.shape, (2, 1, 1), (2, 1, 1)) == volume).all()


def test_true_spacing_keeps_sizes_and_pads_with_the_smallest_value():
    volume = np.full((2, 4, 4, 1), -1000, "int16")
    volume[:, 1:3, 1:3] = 50
    fitted = fit_volume(volume, (6, 4, 4, 1), spacing=(2.0, 1.0, 1.0), wanted=(1.0, 1.0, 1.0))
    assert (fitted[1:5, 1:3, 1:3] == 50).all()
    assert (fitted[[0, 5]] == -1000).all()
    assert fitted.dtype == np.int16


def test_a_volume_larger_than_the_canvas_is_cut_around_its_middle():
    volume = np.zeros((9, 9, 9, 1), "uint8")
    volume[4, 4, 4] = 255
    cut = fit_volume(volume, (3, 3, 3, 1), (1, 1, 1), (1, 1, 1))
    assert cut[1, 1, 1, 0] == 255
    assert cut.sum() == 255


@given(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), st.tuples(*[st.integers(1, 9)] * 3))
def test_without_spacing_each_axis_fills_the_canvas(size, canvas):
    fitted = fit_volume(np.full((*size, 1), 7, "uint8"), (*canvas, 1))
    assert fitted.shape == (*canvas, 1)
    assert (fitted == 7).all()
