"""Monte-Carlo dropout: the same networks for every sample, and the ones that training has."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.models import build_classifier
from tumorkeras.models.passes import dropout_layers, dropout_passes


def linear_head(rate, units=4, outputs=2, seed=0):
    """A dense layer behind dropout: what each pass gives can be worked out."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((units,))
    return keras.Model(inputs, keras.layers.Dense(outputs)(keras.layers.Dropout(rate)(inputs)))


def samples_of(*shape):
    return np.random.default_rng(5).normal(size=shape).astype("float32")


def test_the_mean_of_a_linear_head_comes_to_its_answer_without_dropout():
    """E[m x / (1 - p)] = x, with the variance of a Bernoulli mask: p / (1 - p) sum((x w)^2)."""
    model, rate, passes = linear_head(0.4), 0.4, 4000
    x = samples_of(3, 4)
    found = dropout_passes(model, passes, seed=1)(tf.constant(x)).numpy()
    weights = model.layers[-1].get_weights()[0]
    variance = rate / (1 - rate) * (x[:, :, None] ** 2 * weights**2).sum(axis=1)
    np.testing.assert_allclose(found.mean(axis=0), model(x), atol=4 * np.sqrt(variance.max() / passes))
    np.testing.assert_allclose(found.var(axis=0), variance, rtol=0.15)


def test_each_pass_is_one_of_the_networks_that_dropout_makes():
    """Of two units there are four, in the shares of their masks."""
    model, x, rate = linear_head(0.25, units=2), samples_of(1, 2), 0.25
    found = dropout_passes(model, 2000)(tf.constant(x)).numpy()[:, 0]
    weights, bias = model.layers[-1].get_weights()
    for mask in itertools.product((0, 1), repeat=2):
        answer = (x[0] * mask / (1 - rate)) @ weights + bias
        share = np.isclose(found, answer, atol=1e-5).all(axis=1).mean()
        wanted = np.prod([1 - rate if kept else rate for kept in mask])
        assert share == pytest.approx(wanted, abs=4 * np.sqrt(wanted / 2000))


def deep(dropout=0.3):
    keras.utils.set_random_seed(2)
    return build_classifier((4, 6, 6, 1), 3, filters=(2,), dense=(8, 6), dropout=dropout)


@pytest.fixture(scope="module")
def volumes():
    return samples_of(5, 4, 6, 6, 1)


def test_an_answer_hangs_on_the_sample_and_the_seed_alone(volumes):
    model = deep()
    before = [variable.numpy().tolist() for variable in model.non_trainable_variables]
    run = tf.function(dropout_passes(model, 6, seed=3), input_signature=[tf.TensorSpec((None, 4, 6, 6, 1))])
    whole = run(volumes).numpy()
    assert whole.shape == (6, 5, 3)
    assert len({row.tobytes() for row in whole[:, 0]}) == 6
    np.testing.assert_array_equal(run(volumes), whole)
    for rows in ([4], [2, 0], [1, 1, 1]):
        np.testing.assert_allclose(run(volumes[rows]), whole[:, rows], atol=1e-6)
    np.testing.assert_allclose(dropout_passes(model, 6, seed=3)(tf.constant(volumes)), whole, atol=1e-6)
    assert np.abs(dropout_passes(model, 6, seed=4)(tf.constant(volumes)) - whole).max() > 0.01
    assert [variable.numpy().tolist() for variable in model.non_trainable_variables] == before


def test_layers_drop_units_of_their_own():
    """Two dropout layers in a row: 1/4 of the units survive both of rate 1/2, not 1/2."""
    inputs = keras.Input((64,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(keras.layers.Dropout(0.5)(inputs)))
    found = dropout_passes(model, 50)(tf.ones((1, 64))).numpy()
    assert set(np.unique(found)) == {0, 4}
    assert (found > 0).mean() == pytest.approx(0.25, abs=0.03)


def test_what_lies_before_the_first_dropout_is_computed_once():
    rows = []

    class Counts(keras.layers.Layer):
        def call(self, values):
            rows.append((self.name, values.shape[0]))
            return values

    inputs = keras.Input((3,))
    base = Counts(name="base")(inputs)
    side = Counts(name="side")(base)
    head = Counts(name="head")(keras.layers.Dropout(0.5)(base))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Concatenate()([side, head])))
    rows.clear()
    found = dropout_passes(model, 7)(tf.constant(samples_of(2, 3)))
    assert found.shape == (7, 2, 2)
    assert sorted(rows) == [("base", 2), ("head", 14), ("side", 2)]


def functional():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dropout(0.5, name="inner")(inputs))


def sequential():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5, name="inner")])


@pytest.mark.parametrize("build", [functional, sequential])
def test_branches_meet_pass_by_pass_and_sample_by_sample(build):
    """Dropout beside an untouched branch, a product with a constant, and a model within the model."""
    inner = build()
    inputs = keras.Input((3,))
    dropped = inner(inputs)
    model = keras.Model(inputs, keras.ops.add(keras.ops.multiply(dropped, np.float32([1, 10, 100])), inputs))
    assert [layer.name for layer in dropout_layers(model)] == ["inner"]
    x = np.abs(samples_of(4, 3)) + 1
    found = dropout_passes(model, 9)(tf.constant(x)).numpy()
    masks = (found - x) / (x * [1, 10, 100])
    np.testing.assert_allclose(masks, np.broadcast_to(masks[:, :1], masks.shape), atol=1e-4)
    np.testing.assert_allclose(np.unique(masks.round(3)), [0, 2])


@pytest.mark.parametrize(
    ("layer", "together"),
    [
        (keras.layers.SpatialDropout2D(0.5), (1, 2)),
        (keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 4)), (1, 2)),
        (keras.layers.Dropout(0.5, noise_shape=(None, 1, None, 1)), (1, 3)),
    ],
)
def test_units_that_are_dropped_together_are(layer, together):
    inputs = keras.Input((None, 5, 4))
    found = dropout_passes(keras.Model(inputs, layer(inputs)), 8)(tf.ones((2, 3, 5, 4))).numpy()[:, 0]
    assert found.shape == (8, 3, 5, 4)
    assert set(np.unique(found)) == {0, 2}
    np.testing.assert_array_equal(found, np.broadcast_to(found.max(axis=together, keepdims=True), found.shape))
    free = tuple(axis for axis in (1, 2, 3) if axis not in together)
    assert (found.max(axis=free) != found.min(axis=free)).any()


def test_mixed_precision(volumes):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = deep()
    finally:
        keras.config.set_dtype_policy("float32")
    whole = deep()
    half.set_weights(whole.get_weights())
    found, wanted = (dropout_passes(model, 5)(tf.constant(volumes)) for model in (half, whole))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, wanted, atol=5e-3)


def test_without_dropout_there_are_no_passes():
    assert dropout_layers(deep(dropout=0)) == []
    with pytest.raises(ModelError, match="classifier: no layer drops units"):
        dropout_passes(deep(dropout=0))


def test_a_sequential_model_passes_as_its_graph_does():
    layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    model, x = keras.Sequential(layers), tf.constant(samples_of(3, 4))
    graph = keras.Model(model.inputs, model.outputs)
    np.testing.assert_array_equal(dropout_passes(model, 5)(x), dropout_passes(graph, 5)(x))


def test_layers_that_train_where_nothing_is_said_do_not():
    """Keras' layers of augmentation change images, and draw from a generator, unless they are told not to train."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.RandomBrightness(0.9, value_range=(0, 1), seed=1)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(x)))
    images = tf.constant(np.abs(samples_of(3, 8, 8, 1)))
    before = [variable.numpy() for variable in model.variables]
    found = dropout_passes(model, 4000)(images).numpy()
    assert all((variable.numpy() == old).all() for variable, old in zip(model.variables, before, strict=True))
    np.testing.assert_allclose(found.mean(axis=0), model(images, training=False), atol=5 * found.std() / 4000**0.5)


def test_dropout_in_a_model_that_is_called_as_if_not_trained_drops_as_it_does_where_keras_trains():
    inner = functional()
    inputs = keras.Input((3,))
    model = keras.Model(inputs, inner(inputs, training=False))
    x = tf.ones((1, 3))
    assert {0.0, 2.0} == set(np.unique([model(x, training=True) for _ in range(20)]))
    assert {0.0, 2.0} == set(np.unique(dropout_passes(model, 20)(x)))
