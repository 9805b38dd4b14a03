"""Maps upon samples: what is strong is covered, the rest is seen, and nothing that does not fit is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from tumorkeras import plots
from tumorkeras.errors import DataError

rng = np.random.default_rng(0)
IMAGES = rng.random((3, 8, 12, 1))
VOLUMES = rng.random((2, 5, 8, 8, 1))


def lower(picture, height=8):
    return picture[-height:]


def test_the_sample_is_above_and_below_and_the_map_upon_the_lower_one():
    maps = np.zeros((3, 8, 12))
    maps[1, 2, 3], maps[1, 5, 6] = 4.0, 1.2
    ax = plots.heatmaps(IMAGES[1:2], maps[1:2], ["malignant"])
    pictures, colors = (image.get_array() for image in ax.images)
    scaled = (IMAGES[1, ..., 0] - IMAGES[1].min()) / np.ptp(IMAGES[1])
    np.testing.assert_allclose(pictures[:8], scaled)
    np.testing.assert_allclose(lower(pictures), scaled)
    opacity = colors[..., 3]
    assert not opacity[:-8].any()
    np.testing.assert_allclose(lower(opacity)[[2, 5], [3, 6]], [0.85, 0.85 * 0.3 / 0.4])
    assert (lower(opacity) > 0).sum() == 2
    assert [label.get_text() for label in ax.get_xticklabels()] == ["malignant"]


def test_all_maps_share_one_scale_from_zero():
    maps = np.stack([np.full((8, 12), value) for value in (0.0, 0.5, 2.0)])
    ax = plots.heatmaps(IMAGES, maps, label="squared error")
    (bar,) = ax.child_axes
    assert bar.get_ylim() == (0, 2)
    assert bar.get_ylabel() == "squared error"
    opacity = lower(ax.images[1].get_array()[..., 3])
    np.testing.assert_allclose(opacity[0, [0, 14, -1]], [0, 0.85 * 0.25 / 0.4, 0.85])


def test_values_below_zero_are_of_another_colour_on_a_scale_around_zero():
    maps = np.zeros((1, 8, 12))
    maps[0, 2:4, 2:4], maps[0, 5:7, 8:10] = 0.5, -1.0
    ax = plots.heatmaps(IMAGES[:1], maps)
    colors = lower(ax.images[1].get_array())
    assert colors[2, 2, 0] > colors[2, 2, 2]  # red
    assert colors[5, 8, 2] > colors[5, 8, 0]  # blue
    (bar,) = ax.child_axes
    assert bar.get_ylim() == (-1, 1)
    (line,) = ax.collections  # the positive part does not reach half the scale
    assert line.get_linestyle()[0][1] is not None  # dashed


def test_of_a_volume_the_slice_of_the_farthest_value():
    maps = np.zeros((2, 5, 8, 8))
    maps[0, 3, 1, 1], maps[0, 2, 4, 4], maps[1, 4, 0, 0] = -0.9, 0.5, 0.3
    ax = plots.heatmaps(VOLUMES, maps, ["a", "b"])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a\nslice 3", "b\nslice 4"]
    drawn = lower(ax.images[0].get_array())[:, :8]
    np.testing.assert_allclose(drawn, (VOLUMES[0, 3, ..., 0] - VOLUMES[0].min()) / np.ptp(VOLUMES[0]))
    assert np.argwhere(lower(ax.images[1].get_array())[:, :8, 3]).tolist() == [[1, 1]]


def test_of_a_volume_the_largest_along_the_depth():
    maps = np.zeros((1, 5, 8, 8))
    maps[0, 3, 1, 1], maps[0, 2, 1, 1], maps[0, 2, 4, 4] = -0.9, 0.5, 0.3
    ax = plots.heatmaps(VOLUMES[:1], maps, volumes="maximum")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0"]
    colors = lower(ax.images[1].get_array())
    assert np.argwhere(colors[..., 3]).tolist() == [[1, 1], [4, 4]]
    assert colors[1, 1, 2] > colors[1, 1, 0]  # farther from 0 than the value above


def test_colours_and_a_map_of_nothing():
    ax = plots.heatmaps(rng.random((1, 6, 6, 3)), np.zeros((1, 6, 6)))
    assert ax.images[0].get_array().shape == (13, 6, 3)
    assert not ax.images[1].get_array()[..., 3].any()
    assert not ax.collections


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((IMAGES, np.zeros((3, 8, 11))), r"maps: shape \(3, 8, 11\), expected \(3, 8, 12\)"),
        ((IMAGES, np.full((3, 8, 12), np.nan)), "maps: hold 288 values that are NaN"),
        ((IMAGES, IMAGES[..., 0], ["a"]), "titles: 1 for 3 samples"),
        ((IMAGES, IMAGES[..., 0], None, None, 0), "count: 0"),
        ((IMAGES, IMAGES[..., 0], None, None, 6, "first"), "volumes: 'first' is not one of slice, maximum"),
        ((IMAGES[..., 0], IMAGES[..., 0]), r"samples: shape \(3, 8, 12\)"),
        ((IMAGES[:0], IMAGES[:0, ..., 0]), "samples: shape"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, words):
    with pytest.raises(DataError, match=f"plots.heatmaps.*{words}"):
        plots.heatmaps(*arguments)
