"""Where the cells of maps and windows lie: against interpolation by SciPy and a plain loop."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tumorkeras.explain.placement import covered, over_input, spread, steps_of, windows
from tumorkeras.models import build_classifier


@pytest.mark.parametrize(
    ("cells", "sides", "steps"), [((3, 4), (9, 11), (2, 3)), ((2, 3, 5), (5, 6, 10), (1, 2, None))]
)
def test_spreading_interpolates_about_the_middle(cells, sides, steps):
    values = np.random.default_rng(0).random((2, *cells))
    found = spread(values, [over_input(*each) for each in zip(cells, sides, steps, strict=True)])
    places = np.meshgrid(
        *[
            (np.arange(side) - (side - 1) / 2) / (step or side / cell) + (cell - 1) / 2
            for cell, side, step in zip(cells, sides, steps, strict=True)
        ],
        indexing="ij",
    )
    inside = [(place > -0.501) & (place < cell - 0.499) for place, cell in zip(places, cells, strict=True)]
    expected = [map_coordinates(each, places, order=1, mode="nearest") * np.all(inside, axis=0) for each in values]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize(("pixels", "window", "stride"), [(10, 3, 2), (7, 7, 1), (8, 2, 2), (9, 4, 4), (5, 1, 1)])
def test_windows_cover_every_pixel_and_are_averaged(pixels, window, stride):
    starts = windows(pixels, window, stride)
    assert len(set(starts.tolist())) == len(starts)
    values = np.arange(1.0, len(starts) + 1)
    found = spread(values[None], [covered(pixels, starts, window)])[0]
    for pixel in range(pixels):
        over = [value for start, value in zip(starts, values, strict=True) if start <= pixel < start + window]
        np.testing.assert_allclose(found[pixel], np.mean(over), rtol=1e-6)


@pytest.mark.parametrize(
    ("padding", "stride", "steps"), [("valid", 1, (2, 4, 4)), ("same", 2, (2, 8, 8)), ("same", 1, (2, 4, 4))]
)
def test_steps_are_those_of_the_layers(padding, stride, steps):
    model = build_classifier(
        (16, 24, 24, 1), 2, filters=(2, 2, 2), pool=(1, 2, 2), padding=padding, stride=stride, dense=(2,)
    )
    pooled = keras.layers.AveragePooling3D((2, 1, 1))(model.get_layer("activation_3").output)
    assert steps_of(pooled, model.inputs[0]) == steps


def test_steps_are_not_known_where_a_layer_resizes():
    inputs = keras.Input((8, 8, 1))
    convolved = keras.layers.Conv2D(2, 3, strides=2)(keras.layers.ZeroPadding2D(1)(inputs))
    assert steps_of(convolved, inputs) == (2, 2)
    assert steps_of(keras.layers.UpSampling2D(2)(convolved), inputs) is None
    assert steps_of(keras.layers.Resizing(5, 5)(convolved), inputs) is None
    assert steps_of(keras.layers.Conv2DTranspose(2, 3, strides=2)(convolved), inputs) is None


def test_in_open_sizes_nothing_is_known_of_what_may_resize():
    inputs = keras.Input((None, None, 1))
    inside = keras.Input((None, None, 1))
    backbone = keras.Model(inside, keras.layers.Conv2D(2, 3, strides=4)(inside))
    for layer in (backbone, keras.layers.UpSampling2D(2), keras.layers.Conv2DTranspose(2, 3, strides=2)):
        assert steps_of(layer(inputs), inputs) is None
    assert steps_of(keras.layers.ReLU()(keras.layers.Conv2D(2, 3, strides=2)(inputs)), inputs) == (2, 2)
