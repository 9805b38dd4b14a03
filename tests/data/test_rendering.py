"""Tracks drawn as volumes, held against a plain loop over every pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.data.rendering import TrackRenderer, renderer_of
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec


def plain(renderer, tracks):
    """The definition, pixel by pixel."""
    count, frames, _ = tracks.shape
    volumes = np.zeros((count, frames, renderer.height, renderer.width, 1))
    for n, t in np.ndindex(count, frames):
        x = tracks[n, t, 0] / renderer.spacing[1] + (renderer.width - 1) / 2
        y = tracks[n, t, 1] / renderer.spacing[0] + (renderer.height - 1) / 2
        x, y = min(max(x, 0), renderer.width - 1), min(max(y, 0), renderer.height - 1)
        step = math.dist(tracks[n, max(t, 1)], tracks[n, max(t, 1) - 1])
        brightness = 1 + math.log2(1 + step / renderer.reference_speed) if renderer.amplitude == "speed" else 1
        for row, column in np.ndindex(renderer.height, renderer.width):
            distance = math.hypot(row - y, column - x)
            if renderer.marker == "gaussian":
                value = math.exp(-(distance**2) / (2 * renderer.size**2))
            else:
                value = min(max(renderer.size + 0.5 - distance, 0), 1)
            volumes[n, t, row, column, 0] = brightness * value
    return volumes


def walks(n=3, frames=6, scale=4.0, seed=0):
    return np.random.default_rng(seed).normal(0, scale, (n, frames, 2)).cumsum(axis=1).astype("float32")


@pytest.mark.parametrize("marker", ["gaussian", "disk"])
@pytest.mark.parametrize("amplitude", ["constant", "speed"])
@pytest.mark.parametrize("size", [0.7, 2.0])
def test_rendering_is_the_plain_loop(marker, amplitude, size):
    renderer = TrackRenderer(9, 13, (1.5, 3.0), marker, size, amplitude, reference_speed=2.5)
    tracks = renderer.centered(walks(scale=9.0))
    assert not renderer.inside(tracks).all()  # clipping takes part
    np.testing.assert_allclose(renderer(tracks), plain(renderer, tracks), rtol=2e-4, atol=2e-5)


def test_x_is_width_and_spacing_is_units_a_pixel():
    renderer = TrackRenderer(11, 21, spacing=(2.0, 5.0), size=0.5)
    track = np.array([[[0, 0], [20, 0], [0, 6]]], "float32")  # 4 pixels to the right, 3 pixels down
    volume = renderer(track).numpy()[0, ..., 0]
    brightest = [np.unravel_index(frame.argmax(), frame.shape) for frame in volume]
    assert brightest == [(5, 10), (5, 14), (8, 10)]


@pytest.mark.parametrize("marker", ["gaussian", "disk"])
def test_a_marker_between_pixels_keeps_its_place(marker):
    renderer = TrackRenderer(17, 17, (1.0, 1.0), marker, size=2.0)
    frame = renderer(np.array([[[0.25, -0.5]] * 2], "float32")).numpy()[0, 0, ..., 0]
    mass = frame / frame.sum()
    rows, columns = np.mgrid[:17, :17]
    tolerance = 1e-3 if marker == "gaussian" else 0.05
    assert (mass * columns).sum() == pytest.approx(8.25, abs=tolerance)
    assert (mass * rows).sum() == pytest.approx(7.5, abs=tolerance)


def test_even_sizes_are_centered_between_the_middle_pixels():
    frame = TrackRenderer(4, 6, (1.0, 1.0))(np.zeros((1, 2, 2), "float32")).numpy()[0, 0, ..., 0]
    np.testing.assert_allclose(frame, frame[::-1, ::-1], rtol=1e-6)


def test_centers():
    track = np.array([[[1, 1], [5, 1], [3, 10]]], "float32")

    def centered(center):
        return TrackRenderer(9, 9, (1.0, 1.0), center=center).centered(track)[0]

    assert centered("start")[0].tolist() == [0, 0]
    assert centered("mean").mean(axis=0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert centered("extent").tolist() == [[-2, -4.5], [2, -4.5], [0, 4.5]]


def test_recentering_puts_the_middle_of_a_turned_track_back():
    turned = tf.constant([[[0.0, 0.0], [4.0, 2.0]]])
    assert TrackRenderer(9, 9, (1.0, 1.0)).recentered(turned)[0].numpy().tolist() == [[-2, -1], [2, 1]]
    assert TrackRenderer(9, 9, (1.0, 1.0), center="start").recentered(turned) is turned


def test_a_track_that_leaves_is_held_at_the_border():
    renderer = TrackRenderer(5, 7, (1.0, 1.0), size=0.5)
    volume = renderer(np.array([[[100, 0], [-100, 100]]], "float32")).numpy()[0, ..., 0]
    assert np.unravel_index(volume[0].argmax(), (5, 7)) == (2, 6)
    assert np.unravel_index(volume[1].argmax(), (5, 7)) == (4, 0)
    assert volume[0].max() == pytest.approx(1)


def test_inside_at_the_very_border():
    renderer = TrackRenderer(5, 9, (2.0, 1.0), center="start")
    tracks = np.array([[[0, 0], [4, 4]], [[0, 0], [4.01, 0]], [[0, 0], [0, 4.01]]], "float32")
    assert renderer.inside(tracks).tolist() == [True, False, False]


def test_shift_moves_by_pixels():
    renderer = TrackRenderer(9, 9, (3.0, 3.0), size=0.5)
    volume = renderer(np.zeros((1, 2, 2), "float32"), tf.constant([[[2.0, -1.0]]])).numpy()[0, ..., 0]
    assert np.unravel_index(volume[1].argmax(), (9, 9)) == (3, 6)


def test_a_batch_equals_its_volumes_alone():
    renderer = TrackRenderer(8, 8, (2.0, 2.0), amplitude="speed")
    tracks = walks(5)
    together = renderer(tracks).numpy()
    assert together.shape == (5, 6, 8, 8, 1)
    assert together.dtype == np.float32
    alone = np.concatenate([renderer(tracks[k : k + 1]).numpy() for k in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-7)


def test_brightness_at_the_reference_speed_is_two():
    renderer = TrackRenderer(9, 9, (9.0, 9.0), amplitude="speed", reference_speed=3.0, size=50.0)
    volume = renderer(np.array([[[0, 0], [3, 0], [3, 9]]], "float32")).numpy()[0]
    # The first frame has the step that leaves it: there is none that leads to it.
    assert volume.max(axis=(1, 2, 3)).tolist() == pytest.approx([2, 2, 3], rel=1e-3)


def test_all_wrong_numbers_are_told_at_once():
    with pytest.raises(DataError) as caught:
        TrackRenderer(0, 9, (1.0, -2.0), size=float("nan"))
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["height", "size", "spacing"]


def test_renderer_of_a_spec_takes_height_and_width_apart():
    spec = DataSpec.from_dict(
        {
            "name": "motion",
            "source": {"kind": "simulation", "frames": 8},
            "input": {"shape": [8, 10, 12, 1], "spacing": [60, 2, 3]},
            "rendering": {"marker": "disk", "size": 2.5, "center": "mean", "amplitude": "speed"},
        }
    )
    renderer = renderer_of(spec)
    assert (renderer.height, renderer.width, renderer.spacing) == (10, 12, (2.0, 3.0))
    assert (renderer.marker, renderer.size, renderer.center, renderer.amplitude) == ("disk", 2.5, "mean", "speed")
