"""First weights from an autoencoder's encoder, or from another classifier."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tumorkeras.errors import ModelError
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.models.transfer import copy_encoder_weights

SHAPE = (6, 8, 8, 1)
SMALL = {"filters": (3, 4), "dense": (6, 5)}


def weights_of(model, name):
    layer = model.get_layer(name)
    return [np.asarray(layer.kernel), np.asarray(layer.bias)]


def assert_equal(one, other, name):
    for ours, theirs in zip(weights_of(one, name), weights_of(other, name), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def randomised(model):
    """Biases start at zero in every model: give them values that show whether they were copied."""
    generator = np.random.default_rng(4)
    model.set_weights([generator.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activation", ["relu", "maxout"])
def test_an_encoder_goes_into_a_classifier(tied, activation):
    source = randomised(build_autoencoder(SHAPE, filters=(3, 4), bottleneck=6, tied=tied, activation=activation))
    target = build_classifier(SHAPE, 2, activation=activation, **SMALL)
    head = weights_of(target, "dense_1")
    assert copy_encoder_weights(source, target) == ["conv_1", "conv_2"]
    assert_equal(source, target, "conv_1")
    assert_equal(source, target, "conv_2")
    np.testing.assert_array_equal(head[0], weights_of(target, "dense_1")[0])


def test_the_copied_encoder_computes_the_same_maps():
    source = randomised(build_autoencoder(SHAPE, filters=(3, 4)))
    target = build_classifier(SHAPE, 2, initial=source, **SMALL)
    arrays = np.random.default_rng(0).random((2, *SHAPE), dtype="float32")
    maps = [np.asarray(keras.Model(m.input, m.get_layer("pool_2").output)(arrays)) for m in (source, target)]
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-5)


def test_a_classifier_goes_into_another_of_other_size_and_classes():
    source = randomised(build_classifier(SHAPE, 3, **SMALL))
    target = build_classifier((8, 12, 12, 1), 2, initial=source, **SMALL)
    for name in ("conv_1", "conv_2", "dense_1", "dense_2"):
        assert_equal(source, target, name)
    assert target.get_layer("probabilities").kernel.shape == (5, 2)


def test_copies_are_apart():
    source = randomised(build_autoencoder(SHAPE, filters=(3, 4)))
    target = build_classifier(SHAPE, 2, initial=source, **SMALL)
    before = weights_of(source, "conv_1")[0]
    target.get_layer("conv_1").kernel.assign(target.get_layer("conv_1").kernel * 2)
    np.testing.assert_array_equal(weights_of(source, "conv_1")[0], before)


def test_layers_of_other_shape_are_left_as_they_are(caplog):
    source = randomised(build_classifier(SHAPE, 2, filters=(3, 7), dense=(6, 5)))
    target = build_classifier(SHAPE, 2, **SMALL)
    before = weights_of(target, "conv_2")[0]
    with caplog.at_level("INFO", logger="tumorkeras"):
        assert copy_encoder_weights(source, target) == ["conv_1", "dense_2"]
    assert caplog.messages == ["initial weights: copied conv_1, dense_2; not the convolutions conv_2"]
    np.testing.assert_array_equal(weights_of(target, "conv_2")[0], before)


def test_nothing_in_common_is_an_error_that_shows_both():
    source = build_autoencoder((8, 8, 1), filters=(3, 4))
    with pytest.raises(ModelError, match=r"no layer agrees: the source has .*\(3, 3, 1, 3\).*\(3, 3, 3, 1, 3\)"):
        build_classifier(SHAPE, 2, initial=source, **SMALL)
