"""Layer-wise learning rates and gradual unfreezing: the optimizer, a training with it, and the fields of the spec."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pandas as pd
import pytest

from tumorkeras import mimic_motility
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import ModelError, SpecError
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.spec import DataSpec
from tumorkeras.training import fit, load, train
from tumorkeras.training.layerwise import EVENLY, Layerwise, LayerwiseAdam, adam, distances_of
from tumorkeras.training.networks import classifier_of
from tumorkeras.training.recipes import RECIPES
from tumorkeras.training.state import TrainingState

SHAPE = (4, 6, 6, 1)
KINDS = ["random_walk", "levy_flight", "fractional_brownian"]


def spec_of(motions=2, classifier=None, **training):
    values = {
        "name": "motion",
        "source": {"kind": "simulation", "samples_per_class": 12, "frames": 4, "motions": KINDS[:motions]},
        "input": {"shape": list(SHAPE), "spacing": [1, 6, 6]},
        "classifier": {"filters": [2, 3], "dense": [4], "pretraining": "none", **(classifier or {})},
        "training": {"epochs": 1, "batch_size": 8, "learning_rate": 0.01, **training},
    }
    return DataSpec.from_dict(values)


@pytest.fixture(scope="module")
def samples():
    return load_samples(spec_of())


def model_of(seed=1):
    keras.utils.set_random_seed(seed)
    return build_classifier(SHAPE, 2, filters=(2, 3), dense=(4,))


def values_of(model):
    return {weight.path: weight.numpy().copy() for weight in model.weights}


# ---------------------------------------------------------------------------------------------------- the optimizer


def three_variables():
    return [keras.Variable([1.0, 2.0], name=f"depth_{k}") for k in range(3)]


def optimizer_of(variables, **options):
    return LayerwiseAdam(0.1, distances={variable.path: k for k, variable in enumerate(variables)}, **options)


def gradients(*values):
    return [keras.ops.convert_to_tensor(value) for value in values]


def test_the_first_step_is_the_learning_rate_times_the_factor():
    """Adam's first step is the learning rate times the sign of the gradient."""
    variables = three_variables()
    optimizer_of(variables, decay=0.5).apply(gradients([3.0, -0.2], [3.0, -0.2], [3.0, -0.2]), variables)
    for variable, rate in zip(variables, (0.1, 0.05, 0.025), strict=True):
        np.testing.assert_allclose(variable, [1 - rate, 2 + rate], rtol=1e-5)


def test_a_layer_waits_and_then_steps_as_any_other():
    variables = three_variables()
    optimizer, places = optimizer_of(variables, unfreeze_steps=2), []
    for _ in range(6):
        optimizer.apply(gradients(*[[3.0, -0.2]] * 3), variables)
        places.append([variable.numpy().copy() for variable in variables])
    for distance in range(3):
        track = np.stack([np.array([1.0, 2.0], "float32"), *(place[distance] for place in places)])
        steps = np.diff(track, axis=0)
        assert not steps[: 2 * distance].any()  # bit-equal until then
        # Of a gradient that stays the same every step is the learning rate: the moments were followed all the time.
        np.testing.assert_allclose(steps[2 * distance :], np.tile([-0.1, 0.1], (6 - 2 * distance, 1)), rtol=1e-4)


def test_even_factors_are_adam_to_the_bit():
    rng = np.random.default_rng(0)
    ours, theirs = three_variables(), three_variables()
    one, other = optimizer_of(ours), keras.optimizers.Adam(0.1)
    for _ in range(5):
        given = gradients(*rng.normal(size=(3, 2)).astype("float32"))
        one.apply(given, ours)
        other.apply(given, theirs)
    for mine, plain in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, plain)


def test_without_settings_the_optimizer_is_keras_own():
    optimizer = adam(model_of(), 0.1, EVENLY, steps=3, epochs=2)
    assert type(optimizer) is keras.optimizers.Adam
    assert optimizer.get_config() == keras.optimizers.Adam(0.1, clipnorm=1.0, name=optimizer.name).get_config()


def test_distances_are_counted_from_the_head():
    model = build_classifier(SHAPE, 2, filters=(2, 3), activation="maxout")
    assert distances_of(model) == {"conv_2/kernel": 1, "conv_2/bias": 1, "conv_1/kernel": 2, "conv_1/bias": 2}
    model.get_layer("conv_1").trainable = False
    assert set(distances_of(model)) == {"conv_2/kernel", "conv_2/bias"}


def test_layers_that_would_begin_after_the_end_are_told(caplog):
    adam(model_of(), 0.1, Layerwise(unfreeze_every=2), steps=3, epochs=4)
    assert caplog.messages == ["unfreeze_every: conv_1 would begin to learn after the last of 4 epochs"]
    caplog.clear()
    adam(model_of(), 0.1, Layerwise(unfreeze_every=2), steps=3, epochs=5)
    assert caplog.messages == []


# ------------------------------------------------------------------------------------------------------- a training


LAYERWISE = Layerwise(decay=0.5, unfreeze_every=1)


def fitted(model, samples, folder, layerwise=LAYERWISE):
    # Without a part that stops it, the last weights stay.
    return fit(model, samples, None, spec_of().training, epochs=3, folder=folder, layerwise=layerwise)


@pytest.fixture(scope="module")
def whole(samples, tmp_path_factory):
    """A training with its history, and the weights before and after each epoch."""
    model = model_of()
    weights = [values_of(model)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingState, "save", lambda state, progress: weights.append(values_of(state.model)))
        history = fitted(model, samples, tmp_path_factory.mktemp("whole"))
    return history, weights


def test_a_convolution_begins_at_its_epoch(whole):
    weights = whole[1]
    moved = [
        {path.split("/")[0] for path in after if not np.array_equal(before[path], after[path])}
        for before, after in pairwise(weights)
    ]
    head = {"dense_1", "probabilities"}
    assert moved == [head, head | {"conv_2"}, head | {"conv_2", "conv_1"}]


def test_a_stopped_training_goes_on_as_if_it_had_not_been(whole, samples, tmp_path, monkeypatch):
    expected, weights = whole
    save = TrainingState.save

    def save_once(self, progress):
        save(self, progress)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "save", save_once)
        with pytest.raises(KeyboardInterrupt):
            fitted(model_of(), samples, tmp_path)
    with pytest.raises(ModelError, match="other data or settings"):
        fitted(model_of(), samples, tmp_path, EVENLY)
    resumed = model_of(seed=9)
    pd.testing.assert_frame_equal(fitted(resumed, samples, tmp_path), expected, rtol=1e-6)
    for path, value in values_of(resumed).items():
        np.testing.assert_allclose(value, weights[-1][path], rtol=0, atol=1e-6)
    assert int(resumed.optimizer.iterations) == 9  # three epochs of three steps


# -------------------------------------------------------------------------------------------------------- the spec


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The folder of a classifier of three simulated kinds of motion."""
    return train(spec_of(3), output=tmp_path_factory.mktemp("simulated") / "model").folder


@pytest.fixture(scope="module")
def mimetic(simulated, samples, tmp_path_factory):
    """A classifier of tracks that mimic two classes, which starts from the simulated ones."""
    tracks = [mimic_motility(samples.values[samples.labels == k], 12, seed=k) for k in (0, 1)]
    mimics = Samples(samples.table, np.concatenate(tracks), samples.classes, samples.spec)
    spec = spec_of(2, {"frozen": "conv_1", "layer_decay": 0.5, "unfreeze_every": 1}, epochs=2)
    return train(spec, initial=simulated, output=tmp_path_factory.mktemp("mimetic") / "model", samples=mimics)


def test_the_fields_of_the_spec_reach_the_training(simulated, mimetic):
    ours, theirs = values_of(mimetic.model), values_of(load(simulated).model)
    equal = {path for path, value in ours.items() if np.array_equal(value, theirs[path])}
    assert equal == {"conv_1/kernel", "conv_1/bias"}
    assert ours["probabilities/bias"].shape == (2,)
    assert mimetic.card["pretraining"] == "classifier"
    optimizer = mimetic.model.optimizer
    assert (optimizer.distances, optimizer.decay) == ({"conv_2/kernel": 1, "conv_2/bias": 1}, 0.5)
    assert optimizer.unfreeze_steps == -(-mimetic.card["counts"]["train"] // 8)
    assert load(mimetic.folder).model.optimizer.get_config() == optimizer.get_config()


def test_mimicked_tracks_are_a_start_for_another_number_of_classes(mimetic, monkeypatch):
    recipe = RECIPES["classifier"]
    monkeypatch.setitem(RECIPES, "classifier", recipe._replace(fit=lambda *_, **__: pd.DataFrame()))
    trained = train(spec_of(3, {"frozen": True}), initial=mimetic.folder)
    ours, theirs = values_of(trained.model), values_of(mimetic.model)
    assert {path for path in ours if not np.array_equal(ours[path], theirs[path])} == {
        "probabilities/kernel",
        "probabilities/bias",
    }
    assert not any(trained.model.get_layer(f"conv_{k}").trainable for k in (1, 2))


def test_a_frozen_base_with_random_weights_is_refused(samples, tmp_path):
    words = r"classifier\.frozen: True, but .* set classifier\.pretraining to autoencoder"
    with pytest.raises(ModelError, match=words):
        train(spec_of(2, {"frozen": True}), samples=samples, output=tmp_path / "model")
    other = build_autoencoder(SHAPE, filters=(2, 5))
    with pytest.raises(ModelError, match="conv_2 would be frozen with random weights: 'autoencoder' has none"):
        classifier_of(spec_of(2, {"frozen": True}), 2, other)
    partly = classifier_of(spec_of(2, {"frozen": "conv_1"}), 2, other)
    assert not partly.get_layer("conv_1").trainable


def test_slow_convolutions_with_random_weights_are_warned_of(samples, caplog):
    build = RECIPES["classifier"].build
    build(spec_of(2, {"layer_decay": 0.5}), samples, None)
    assert caplog.messages == ["layer_decay and unfreeze_every slow down convolutions that start from random weights"]
    caplog.clear()
    build(spec_of(2, {"layer_decay": 0.5}), samples, model_of())
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"frozen": "conv_3"}, "'conv_3' is neither true nor false nor one of conv_1, conv_2"),
        ({"frozen": "features"}, "'features' is neither true nor false"),
        ({"layer_decay": 0}, "layer_decay"),
        ({"layer_decay": 1.5}, "layer_decay"),
        ({"unfreeze_every": 0}, "unfreeze_every"),
        ({"unfreeze_every": 2, "frozen": True}, "all convolutions are frozen"),
        ({"unfreeze_every": 2, "frozen": "conv_2"}, "all convolutions are frozen"),
    ],
)
def test_faults_in_the_spec(section, words):
    with pytest.raises(SpecError, match=words):
        spec_of(2, section)
