"""Tracks in space and time: where the lines run, and axes that cannot hold them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from tumorkeras import plots
from tumorkeras.errors import DataError


def test_time_runs_upward_and_the_shadow_lies_on_the_floor():
    path = np.array([[[0.0, 5.0], [1.0, 6.0], [np.nan, np.nan], [3.0, 8.0]]])
    ax = plots.tracks_in_time(path)
    line, shadow = (np.array(line.get_data_3d(), float) for line in ax.lines)
    np.testing.assert_array_equal(line[:2], path[0].T)
    assert line[2].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(shadow[:2], path[0].T)
    assert shadow[2].tolist() == [0, 0, 0, 0]
    assert ax.get_zlim() == (0, 3)


def test_so_many_of_each_class_are_drawn():
    paths = np.random.default_rng(0).normal(size=(10, 5, 2))
    paths[0] = np.nan
    ax = plots.tracks_in_time(paths, np.arange(10) % 2, ["still", "moving"], per_class=2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["still (2 of 5)", "moving (2 of 5)"]
    assert len(ax.lines) == 8
    np.testing.assert_array_equal(ax.lines[0].get_data_3d()[0], paths[2, :, 0])  # the first has no position


def test_a_single_frame_has_a_height():
    assert plots.tracks_in_time(np.zeros((1, 1, 2))).get_zlim() == (0, 1)


def test_refuses_flat_axes_and_what_tracks_refuses():
    with pytest.raises(DataError, match=r"plots.tracks_in_time: ax: is of two dimensions; make it with"):
        plots.tracks_in_time(np.zeros((1, 2, 2)), ax=Figure().subplots())
    with pytest.raises(DataError, match=r"plots.tracks_in_time: tracks: shape \(2, 2\)"):
        plots.tracks_in_time(np.zeros((2, 2)))
