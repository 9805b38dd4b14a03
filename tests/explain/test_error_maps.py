"""Where an autoencoder fails: against NumPy, and at a foreign object."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from made_planted import set_kernel

from tumorkeras import explain
from tumorkeras.errors import DataError, ModelError
from tumorkeras.models import build_autoencoder, build_classifier, target_of
from tumorkeras.training.predict import compiled


@pytest.mark.parametrize("shape", [(8, 9, 3), (4, 6, 5, 2)])
def test_against_numpy(shape):
    model = build_autoencoder(shape, filters=(4,), preprocessing=[{"step": "rescale", "scale": 0.5, "offset": 1.0}])
    samples = np.random.default_rng(0).normal(size=(5, *shape)).astype("float32")
    found = explain.reconstruction_error_map(model, samples, batch_size=2)
    expected = ((compiled(model)(samples).numpy() - (samples * 0.5 + 1)) ** 2).mean(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert found.dtype == np.float32
    assert explain.reconstruction_error_map(model, samples[:0]).shape == (0, *shape[:-1])


def test_a_foreign_object_stands_out():
    """The best linear autoencoder of ramps is known: it gives back what a plane through the pixels has."""
    y, x = np.indices((16, 16)) / 7.5 - 1
    planes = np.stack([x.ravel(), y.ravel()]) / np.sqrt((x**2).sum())
    model = build_autoencoder((16, 16, 1), filters=(1,), bottleneck=2, pool=None, activation="linear", tied=False)
    for name in ("conv_1", "decoder_conv_1"):
        set_kernel(model.get_layer(name), [[1.0]])
    model.get_layer("bottleneck").set_weights([planes.T, np.zeros(2)])
    model.get_layer("decoder_bottleneck").set_weights([planes, np.zeros(256)])
    samples = np.stack([2 * x - y, x + 0.5 * y, 2 * x - y])[..., None]
    mask = np.zeros((16, 16), bool)
    mask[9:12, 3:6] = True
    samples[2, mask] += 3
    *usual, found = explain.reconstruction_error_map(model, samples)
    np.testing.assert_allclose(usual, 0, atol=1e-6)
    left = samples[2, ..., 0].ravel()
    np.testing.assert_allclose(found.ravel(), (left - left @ planes.T @ planes) ** 2, atol=1e-5)
    assert mask[np.unravel_index(found.argmax(), found.shape)]
    assert found[mask].sum() > 0.9 * found.sum()


def test_another_autoencoder_is_compared_with_its_input():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Rescaling(0.0, 2.0)(inputs))
    samples = np.array([[[[1.0], [2.0]], [[3.0], [5.0]]]])
    assert explain.reconstruction_error_map(model, samples).tolist() == [[[1.0, 0.0], [1.0, 9.0]]]


def test_other_models_and_samples_are_refused():
    classifier = build_classifier((8, 8, 1), 2, filters=(2,), dense=(2,))
    autoencoder = build_autoencoder((8, 8, 1), filters=(2,))
    assert target_of(autoencoder).output_shape == (None, 8, 8, 1)
    with pytest.raises(ModelError, match=r"is not an autoencoder: gives \(None, 2\), expected one output \(None, 8"):
        explain.reconstruction_error_map(classifier, np.zeros((1, 8, 8, 1)))
    with pytest.raises(DataError, match=r"reconstruction_error_map: samples: has the shape \(1, 8, 8\)"):
        explain.reconstruction_error_map(autoencoder, np.zeros((1, 8, 8)))
    with pytest.raises(DataError, match="row 1: holds 1 values that are NaN"):
        explain.reconstruction_error_map(autoencoder, np.pad([[[[np.nan]]]], ((1, 0), (0, 7), (0, 7), (0, 0))))
