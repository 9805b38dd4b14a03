"""Kernels as pictures: where each weight lies, and what is no kernel."""

from __future__ import annotations

import numpy as np
import pytest

from tumorkeras import plots
from tumorkeras.errors import DataError


def drawn(ax):
    (image,) = ax.images
    return np.ma.filled(image.get_array(), np.nan), image.get_clim()


def test_a_filter_is_a_column_of_its_slices():
    kernels = np.arange(2 * 3 * 3 * 2, dtype=float).reshape(2, 3, 3, 1, 2) - 20
    picture, limits = drawn(plots.filters(kernels))
    assert picture.shape == (3 + 1 + 3, 3 + 1 + 3)
    for filter_ in range(2):
        for depth in range(2):
            own = picture[4 * depth : 4 * depth + 3, 4 * filter_ : 4 * filter_ + 3]
            np.testing.assert_array_equal(own, kernels[depth, :, :, 0, filter_])
    assert np.isnan(picture[3]).all()
    assert np.isnan(picture[:, 3]).all()
    assert limits == (-20, 20)


def test_of_several_channels_the_mean_is_drawn_and_said():
    kernels = np.zeros((3, 3, 2, 4))
    kernels[1, 1, 0] = [1, 2, 3, 4]
    ax = plots.filters(kernels, count=2)
    assert drawn(ax)[0][1, [1, 5]].tolist() == [0.5, 2.0]
    assert ax.get_title(loc="left") == "Filters: 2 of 4, mean of 2 channels"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "3"]


def test_kernels_of_zeros_are_drawn():
    assert drawn(plots.filters(np.zeros((3, 3, 1, 2))))[1] == (-1, 1)


@pytest.mark.parametrize(
    ("kernels", "count", "fault"),
    [
        (np.zeros((3, 3, 1)), 4, r"kernels: shape \(3, 3, 1\) is not \(height, width, channels, filters\)"),
        (np.zeros((3, 3, 1, 0)), 4, "kernels: shape"),
        (np.full((3, 3, 1, 2), [0, np.nan]), 4, "kernels: hold 9 values that are NaN"),
        (np.zeros((3, 3, 1, 2)), 0, "count: 0 is not a positive integer"),
    ],
)
def test_what_cannot_be_drawn_is_named(kernels, count, fault):
    with pytest.raises(DataError, match=f"plots.filters: {fault}"):
        plots.filters(kernels, count=count)
