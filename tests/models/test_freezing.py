"""Freezing: what keeps its weights, what goes on learning, and what is told."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from made_detectors import CANVAS, mobile_net, small_detector

import tumorkeras
from tumorkeras.errors import ModelError
from tumorkeras.models import build_autoencoder, build_classifier, freeze

SHAPE = (4, 6, 6, 1)
rng = np.random.default_rng(0)
VOLUMES, LABELS = rng.normal(size=(8, *SHAPE)).astype("float32"), np.arange(8) % 2


def classifier():
    keras.utils.set_random_seed(1)
    return build_classifier(SHAPE, 2, filters=(2, 3, 4), pool=(1, 2, 2), dense=(5,))


def values_of(model):
    return {weight.path: weight.numpy().copy() for weight in model.weights}


def moved(model, x, y, loss):
    """Layers of which a weight is another after two steps of training."""
    before = values_of(model)
    model.compile("adam", loss, run_eagerly=True)  # nothing to trace
    for _ in range(2):
        model.train_on_batch(x, y)
    return {path.split("/")[0] for path, value in values_of(model).items() if not np.array_equal(value, before[path])}


def layers_that_train(model):
    return {weight.path.split("/")[0] for weight in model.trainable_weights}


# --------------------------------------------------------------------------------------------------- classifiers


@pytest.mark.parametrize(
    ("until", "trained"),
    [
        (True, {"dense_1", "probabilities"}),
        ("features", {"dense_1", "probabilities"}),
        ("conv_3", {"dense_1", "probabilities"}),
        ("pool_1", {"conv_2", "conv_3", "dense_1", "probabilities"}),
        (None, {"conv_1", "conv_2", "conv_3", "dense_1", "probabilities"}),
    ],
)
def test_frozen_weights_stay_bit_equal_while_the_others_move(until, trained):
    model = classifier()
    assert freeze(model, until) is model
    assert layers_that_train(model) == trained
    assert moved(model, VOLUMES, LABELS, "sparse_categorical_crossentropy") == trained


def test_each_call_sets_all_layers_anew():
    model = freeze(freeze(classifier()), "conv_1")
    assert layers_that_train(model) == {"conv_2", "conv_3", "dense_1", "probabilities"}
    assert layers_that_train(freeze(model, until=None)) == layers_that_train(classifier())


def test_the_log_says_how_many_weights_train(caplog):
    with caplog.at_level("INFO", logger="tumorkeras"):
        freeze(classifier())
    # dense_1: 8 features to 5 units, probabilities: 5 to 2; conv_1: 27 * 2 + 2, conv_2: 54 * 3 + 3, conv_3: 81 * 4 + 4
    assert caplog.messages == ["classifier: 57 of 606 weights train, frozen up to features"]


def test_an_unknown_layer_is_told_with_those_there_are():
    with pytest.raises(ModelError, match=r"no layer named 'conv_9'; its layers are inputs, target, conv_1, .*features"):
        freeze(classifier(), "conv_9")
    with pytest.raises(ModelError, match="no layer named 'features'"):
        freeze(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))


def test_frozen_batch_normalisation_keeps_its_statistics_and_uses_them():
    inputs = keras.Input((3,))
    x = keras.layers.BatchNormalization(name="normalised")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="last")(x))
    x, y = rng.normal(5, 2, (8, 3)).astype("float32"), np.zeros((8, 2), "float32")
    freeze(model, "normalised")
    assert moved(model, x, y, "mse") == {"last"}
    layer = model.get_layer("normalised")
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))
    np.testing.assert_allclose(layer(x, training=True), x / np.sqrt(1 + layer.epsilon), rtol=1e-5)
    assert moved(freeze(model, None), x, y, "mse") == {"normalised", "last"}


def test_freeze_is_public_and_survives_saving(tmp_path):
    model = tumorkeras.freeze(classifier(), "conv_2")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert layers_that_train(loaded) == {"conv_3", "dense_1", "probabilities"}


# ----------------------------------------------------------------------------------------------------- autoencoder


def test_a_frozen_layer_that_the_decoder_shares_is_stated_and_stays(caplog):
    keras.utils.set_random_seed(1)
    model = build_autoencoder(SHAPE, filters=(2, 3), bottleneck=4)
    with caplog.at_level("INFO", logger="tumorkeras"):
        freeze(model, "conv_1")
    assert caplog.messages[1] == "autoencoder: the decoder shares conv_1, and does not learn them either"
    assert moved(model, VOLUMES, VOLUMES, "mse") == {"conv_2", "bottleneck"}


def test_the_decoder_of_its_own_kernels_goes_on_learning(caplog):
    model = build_autoencoder(SHAPE, filters=(2, 3), tied=False)
    with caplog.at_level("INFO", logger="tumorkeras"):
        freeze(model)
    assert layers_that_train(model) == {"decoder_conv_1", "decoder_conv_2"}
    assert len(caplog.messages) == 1


# -------------------------------------------------------------------------------------------------------- detector


def backbone_weights(model):
    return {weight.path for weight in model.get_layer("backbone").trainable_weights}


@pytest.fixture(scope="module")
def detector():
    return small_detector(backbone=mobile_net())


@pytest.mark.parametrize("level", [False, "P3"])
def test_levels_of_a_backbone_are_frozen_as_when_it_is_built(detector, level):
    built = small_detector(backbone=mobile_net(), frozen=level)
    freeze(detector, "P4")
    freeze(detector, level)
    assert len(backbone_weights(detector)) == len(backbone_weights(built))
    assert len(detector.trainable_weights) == len(built.trainable_weights)
    assert detector.get_layer("backbone").get_config()["frozen"] == level  # so it is saved


def test_a_layer_after_the_backbone_freezes_it_whole(detector):
    freeze(detector, "lateral_4")
    assert backbone_weights(detector) == set()
    assert not detector.get_layer("lateral_4").trainable
    assert detector.get_layer("lateral_8").trainable


def test_levels_of_an_encoder():
    encoder = build_autoencoder((*CANVAS, 1), filters=(2, 3, 4, 5))
    model = small_detector(backbone=encoder)
    convolutions = {f"conv_{k}" for k in range(1, 5)}
    for until, trained in ((True, set()), ("P2", {"conv_4"}), ("conv_1", convolutions - {"conv_1"})):
        assert layers_that_train(freeze(model, until)) & convolutions == trained
    with pytest.raises(ModelError, match=r"no layer named 'P9'; .*, the levels of its backbone P0, P1, P2, P3"):
        freeze(model, "P9")
