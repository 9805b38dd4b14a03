"""Plots of tracks, volumes and reconstructions: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pytest

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.plots.images import evenly


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def drawn(ax):
    return np.ma.filled(ax.images[0].get_array().astype(float), np.nan)


@pytest.fixture
def paths():
    return np.random.default_rng(0).normal(size=(20, 15, 2)).cumsum(axis=1)


def test_tracks_are_drawn_as_given(paths):
    ax = plots.tracks(paths[:4], [1, 0, 1, 0], ["myoblast", "MuSC"])
    order = [1, 3, 0, 2]  # by class
    assert len(ax.lines) == 4
    for line, row in zip(ax.lines, order, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), paths[row])
    assert ax.lines[0].get_color() == ax.lines[1].get_color() != ax.lines[2].get_color()
    assert legend_texts(ax) == ["myoblast (2 of 2)", "MuSC (2 of 2)"]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), paths[[1, 3], -1])  # where they end


def test_tracks_are_thinned_evenly(paths):
    ax = plots.tracks(paths, per_class=3)
    assert legend_texts(ax) == ["paths (3 of 20)"]
    np.testing.assert_array_equal(ax.lines[-1].get_xydata(), paths[-1])


@pytest.mark.parametrize(("n", "count", "expected"), [(9, 3, [0, 4, 8]), (3, 8, [0, 1, 2]), (5, 1, [0]), (0, 4, [])])
def test_places_are_spread_from_the_first_to_the_last(n, count, expected):
    assert evenly(n, count).tolist() == expected


def test_no_place_is_chosen_twice():
    assert all(len(set(evenly(n, count))) == min(n, count) for n in range(40) for count in range(1, 40))


def test_tracks_with_gaps(paths):
    paths[0, 10:] = np.nan
    paths[1] = np.nan
    ax = plots.tracks(paths[:3], [0, 1, 2], ["a", "b", "c"])
    assert len(ax.lines) == 2
    np.testing.assert_array_equal(ax.collections[0].get_offsets()[0], paths[0, 9])
    assert legend_texts(ax) == ["a (1 of 1)", "c (1 of 1)"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((np.zeros((0, 5, 2)),), r"shape \(0, 5, 2\)"),
        ((np.zeros((5, 2)),), r"shape \(5, 2\)"),
        ((np.full((2, 3, 2), np.nan),), "no finite position"),
        ((np.zeros((2, 3, 2)), [0]), "1 for 2 tracks"),
        ((np.zeros((2, 3, 2)), [0, 2], ["a", "b"]), "such as 2"),
        ((np.zeros((2, 3, 2)), None, None, None, 0), "per_class: 0"),
    ],
)
def test_tracks_refuse(arguments, fault):
    with pytest.raises(DataError, match=fault):
        plots.tracks(*arguments)


def test_montage_holds_the_slices_in_order():
    volume = np.random.default_rng(0).random((9, 20, 40, 1))
    ax = plots.volume_montage(volume, slices=3)
    image, gap = drawn(ax), 2
    assert image.shape == (20, 3 * 40 + 2 * gap)
    for place, depth in enumerate([0, 4, 8]):
        start = place * (40 + gap)
        np.testing.assert_array_equal(image[:, start : start + 40], volume[depth, ..., 0])
        assert ax.get_xticks()[place] == start + 19.5
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "4", "8"]
    assert ax.images[0].get_clim() == (volume[[0, 4, 8]].min(), volume[[0, 4, 8]].max())


def test_montage_of_few_slices_colours_and_many_channels():
    rgb = np.zeros((2, 4, 4, 3), np.uint8)
    rgb[1, ..., 1] = 255
    image = drawn(plots.volume_montage(rgb))
    assert image.shape == (4, 9, 3)
    assert image[0, 0].tolist() == [0, 0, 0]
    assert image[0, 4].tolist() == [1, 1, 1]  # the gap
    assert image[0, 5].tolist() == [0, 1, 0]
    ax = plots.volume_montage(np.stack([np.zeros((2, 4, 4)), np.ones((2, 4, 4))], axis=-1))
    assert drawn(ax)[0, 0] == 0.5
    assert "mean of 2 channels" in ax.get_title(loc="left")


def test_volumes_with_nan_leave_it_blank():
    volume = np.arange(32.0).reshape(2, 4, 4, 1)
    volume[1] = np.nan
    volume[0, 0, 0] = np.nan
    assert np.isnan(drawn(plots.volume_montage(volume))[0, 0])
    projection = plots.volume_projection(volume)
    np.testing.assert_array_equal(drawn(projection), volume[0, ..., 0])
    plots.to_png(projection)


def test_projection_is_the_maximum():
    volume = np.random.default_rng(0).normal(size=(6, 5, 7, 1))
    ax = plots.volume_projection(volume)
    np.testing.assert_array_equal(drawn(ax), volume.max(axis=0)[..., 0])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (pixels)", "y (pixels)")


def test_constant_volume_is_drawn():
    plots.to_png(plots.volume_montage(np.ones((3, 4, 4, 1))))


@pytest.mark.parametrize(
    ("volume", "fault"),
    [
        (np.zeros((4, 4, 1)), "is not .depth, height, width, channels"),
        (np.zeros((0, 4, 4, 1)), "each above 0"),
        (np.full((2, 4, 4, 1), np.nan), "every value is NaN"),
        (np.full((2, 4, 4, 1), np.inf), r"infinite values in rows 0, 1 \(2 of 2\)"),
    ],
)
@pytest.mark.parametrize("plot", [plots.volume_montage, plots.volume_projection])
def test_volumes_refuse(plot, volume, fault):
    with pytest.raises(DataError, match=fault):
        plot(volume)


def test_reconstructions_are_paired_on_the_scale_of_the_input():
    inputs = np.zeros((3, 4, 4, 1))
    inputs[:, :2] = [[[[10.0]]], [[[20.0]]], [[[40.0]]]]
    outputs = inputs / 2
    ax = plots.reconstructions(inputs, outputs)
    image = drawn(ax)  # rows: 4 of the input, a gap, 4 of the output
    assert image[[0, 3, 5, 8], 0].tolist() == [1, 0, 0.5, 0]
    assert np.isnan(image[4]).all()
    assert image[5, [0, 5, 10]].tolist() == [0.5, 0.5, 0.5]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["12", "50", "2e+02"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["input", "output"]


def test_reconstructions_of_volumes_are_maxima():
    inputs = np.random.default_rng(0).random((2, 5, 6, 6, 1))
    image = drawn(plots.reconstructions(inputs, inputs, count=1))
    expected = inputs[0].max(axis=0)[..., 0]
    low, high = inputs[0].min(), inputs[0].max()
    np.testing.assert_allclose(image[:6], (expected - low) / (high - low))
    np.testing.assert_array_equal(image[:6], image[7:])


def test_reconstructions_of_a_nan_pair_are_drawn_blank():
    inputs = np.random.default_rng(0).random((2, 6, 6, 3))
    inputs[1] = np.nan
    plots.to_png(plots.reconstructions(inputs, inputs))


@pytest.mark.parametrize(
    ("inputs", "outputs", "count", "fault"),
    [
        (np.zeros((2, 4, 4, 1)), np.zeros((3, 4, 4, 1)), 2, "must be equal"),
        (np.zeros((4, 4, 1)), np.zeros((4, 4, 1)), 2, "is not .n, height, width, channels"),
        (np.zeros((2, 4, 4, 1)), np.full((2, 4, 4, 1), np.nan), 2, "outputs: every value is NaN"),
        (np.zeros((2, 4, 4, 1)), np.zeros((2, 4, 4, 1)), 0, "count: 0"),
    ],
)
def test_reconstructions_refuse(inputs, outputs, count, fault):
    with pytest.raises(DataError, match=fault):
        plots.reconstructions(inputs, outputs, count=count)


class OnDisk:
    """Stands for rows that lie on disk, and notes which are read."""

    def __init__(self, values):
        self.values, self.shape, self.read = values, values.shape, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, row):
        self.read.append(int(row))
        return self.values[row]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all of it is read")


def test_of_many_samples_only_those_that_are_drawn_are_read():
    images = OnDisk(np.random.default_rng(0).random((1000, 4, 4, 1)))
    ax = plots.reconstructions(images, images, count=3)
    assert images.read == [0, 500, 999] * 2
    assert ax.get_title(loc="left") == "Reconstruction: 3 of 1000"
    images.read.clear()
    ax = plots.heatmaps(images, OnDisk(images.values[..., 0]), count=2)
    assert images.read == [0, 999]
    assert ax.get_title(loc="left") == "Maps: 2 of 1000"


def test_a_broken_row_is_named_by_its_own_number():
    images = np.zeros((9, 4, 4, 1))
    images[8] = np.inf
    with pytest.raises(DataError, match=r"inputs: infinite values in row 8 \(1 of 9\)"):
        plots.reconstructions(images, np.zeros_like(images), count=2)
