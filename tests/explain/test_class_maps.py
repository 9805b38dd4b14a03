"""Grad-CAM finds the planted cause, is what its equation says, and leaves the model as it was."""

from __future__ import annotations

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_planted import SIDES, grown, planted_classifier, planted_sample
from scipy.ndimage import map_coordinates

from tumorkeras import explain
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError, ModelError
from tumorkeras.explain import class_maps
from tumorkeras.models import build_autoencoder, build_classifier, build_detector
from tumorkeras.spec import DataSpec

CORNERS = {2: ((3, 2), (14, 12)), 3: ((1, 3, 2), (4, 14, 12))}


@pytest.mark.parametrize(
    ("rank", "padding", "corners"), [(2, "same", CORNERS[2]), (2, "valid", ((7, 5), (13, 11))), (3, "same", CORNERS[3])]
)
def test_the_planted_place_speaks_for_its_class(rank, padding, corners):
    model = planted_classifier(rank, padding)
    sample, masks = planted_sample(rank, *corners)
    for class_id, mask in enumerate(masks):
        (found,) = explain.grad_cam(model, sample, class_id)
        assert found.shape == SIDES[rank]
        assert (found.min(), found.max()) == (0, 1)
        assert mask[np.unravel_index(found.argmax(), found.shape)]
        middle = np.array(np.nonzero(mask)).mean(axis=1)
        gravity = np.array([(places * found).sum() for places in np.indices(found.shape)]) / found.sum()
        np.testing.assert_allclose(gravity, middle, atol=1)  # half a cell
        assert found[grown(mask, 2)].sum() > 0.99 * found.sum()  # a cell around the block
        assert found[mask].sum() > 0.5 * found.sum()


def test_by_default_each_sample_has_its_predicted_class():
    model = planted_classifier(2)
    bright, _ = planted_sample(2, *CORNERS[2])
    both = np.concatenate([bright, -bright])
    predicted = model(both).numpy().argmax(axis=1)
    assert predicted.tolist() == [0, 1]
    expected = [explain.grad_cam(model, both[k : k + 1], int(predicted[k]))[0] for k in range(2)]
    np.testing.assert_array_equal(explain.grad_cam(model, both), expected)


def test_where_nothing_speaks_for_a_class_the_map_is_zero():
    model = planted_classifier(2)
    found = explain.grad_cam(model, np.maximum(planted_sample(2, *CORNERS[2])[0], 0), class_id=1)
    assert not found.any()


@pytest.fixture(scope="module")
def random_classifier():
    keras.utils.set_random_seed(3)
    return build_classifier((9, 12, 2), 3, filters=(3, 4), dense=(5,), activation="elu")


def samples_of(count, shape=(9, 12, 2), seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("float32")


def test_the_map_is_that_of_the_equation(random_classifier):
    """Step by step, with the dense layers written out and the cells placed by SciPy."""
    model, samples = random_classifier, samples_of(5)
    maps = keras.Model(model.inputs[0], model.get_layer("activation_2").output)(samples).numpy()
    weights = {name: model.get_layer(name).get_weights() for name in ("dense_1", "probabilities")}
    with tf.GradientTape() as tape:
        watched = tf.constant(maps)
        tape.watch(watched)
        pooled = model.get_layer("pool_2")(watched)
        seen = tf.concat([tf.reduce_mean(pooled, (1, 2)), tf.reduce_max(pooled, (1, 2))], -1)
        hidden = tf.nn.elu(seen @ weights["dense_1"][0] + weights["dense_1"][1])
        score = (hidden @ weights["probabilities"][0] + weights["probabilities"][1])[:, 2]
    slopes = tape.gradient(score, watched).numpy().mean(axis=(1, 2))
    cells = np.maximum(np.einsum("nhwc,nc->nhw", maps, slopes), 0)
    rows, columns = (
        (np.arange(side) - (side - 1) / 2) / 2 + (cell - 1) / 2
        for side, cell in zip((9, 12), cells.shape[1:], strict=True)
    )
    places = np.meshgrid(rows, columns, indexing="ij")
    expected = np.stack([map_coordinates(each, places, order=1, mode="nearest") for each in cells])
    expected /= expected.max(axis=(1, 2), keepdims=True)
    found = explain.grad_cam(model, samples, class_id=2, batch_size=2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(explain.grad_cam(model, samples, 2, layer="activation_2"), found, atol=1e-6)
    assert np.abs(explain.grad_cam(model, samples, 2, layer="pool_2") - found).max() > 0.01


ENDS = {
    "a dense layer with softmax": lambda x: keras.layers.Dense(3, activation="softmax", name="end")(x),
    "a layer of softmax": lambda x: keras.layers.Softmax()(keras.layers.Dense(3, name="end")(x)),
    "an activation": lambda x: keras.layers.Activation("softmax")(keras.layers.Dense(3, name="end")(x)),
    "an operation": lambda x: keras.ops.softmax(keras.layers.Dense(3, name="end")(x)),
    "the scores": lambda x: keras.layers.Dense(3, name="end")(x),
    "sigmoids": lambda x: keras.layers.Dense(3, activation="sigmoid", name="end")(x),
}


def test_every_way_to_write_a_head_gives_the_same_map():
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3, activation="relu")(inputs))
    samples, rng = samples_of(3, (8, 8, 1)), np.random.default_rng(1)
    weights, found = [rng.normal(size=(3, 3)) * 20, rng.normal(size=3)], {}
    for name, end in ENDS.items():
        model = keras.Model(inputs, end(features))
        model.get_layer("end").set_weights(weights)
        found[name] = explain.grad_cam(model, samples, class_id=1)
    assert found["the scores"].any()
    for maps in found.values():
        np.testing.assert_allclose(maps, found["the scores"], atol=1e-6)


def test_one_sigmoid_is_two_classes():
    inputs = keras.Input((24, 20, 1))
    maps = planted_classifier(2).get_layer("conv_1")(inputs)
    bright_less_dark = keras.layers.Dense(1, activation="sigmoid", name="end")(
        keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(maps))
    )
    model = keras.Model(inputs, bright_less_dark)
    model.get_layer("end").set_weights([np.array([[1.0], [-1.0]]), np.zeros(1)])
    sample, (bright, dark) = planted_sample(2, *CORNERS[2])
    for class_id, mask in ((1, bright), (0, dark), (None, bright)):
        (found,) = explain.grad_cam(model, sample, class_id)
        assert ((found > 0) == mask).all()


def test_the_model_is_left_as_it_was(random_classifier):
    config, before = random_classifier.get_config(), random_classifier(samples_of(2)).numpy()
    explain.grad_cam(random_classifier, samples_of(2), 0)
    assert random_classifier.get_config() == config
    np.testing.assert_array_equal(random_classifier(samples_of(2)).numpy(), before)


def test_frozen_weights_do_not_matter(random_classifier):
    twin = keras.models.clone_model(random_classifier)
    twin.trainable = False
    frozen = keras.models.clone_model(twin)  # as one that was saved frozen: its variables were never trainable
    frozen.set_weights(random_classifier.get_weights())
    expected = explain.grad_cam(random_classifier, samples_of(2), 0)
    np.testing.assert_allclose(explain.grad_cam(frozen, samples_of(2), 0), expected, atol=1e-6)


def test_a_map_before_any_weight():
    inputs = keras.Input((4, 5, 2), name="inputs")
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(inputs)))
    samples = samples_of(2, (4, 5, 2))
    expected = np.maximum(samples[..., 1], 0)  # the score of class 1 is the mean of channel 1
    expected /= expected.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(explain.grad_cam(model, samples, 1, layer="inputs"), expected, rtol=1e-6)


def test_it_is_compiled_once_follows_the_weights_and_lets_the_model_go():
    model = planted_classifier(2)
    sample, _ = planted_sample(2, *CORNERS[2])
    first = explain.grad_cam(model, np.repeat(sample, 3, axis=0), 0, batch_size=2)
    model.get_layer("probabilities").set_weights([4 * np.eye(2)[::-1], np.zeros(2)])
    assert (explain.grad_cam(model, sample, 1) == first[0]).all()
    (made,) = class_maps._compiled[model].values()
    assert made.call.experimental_get_tracing_count() == 1
    held = weakref.ref(model)
    del model, made
    gc.collect()
    assert held() is None


def test_a_class_may_be_an_integer_of_numpy(random_classifier):
    images = samples_of(2)
    found = explain.grad_cam(random_classifier, images, np.int64(1))
    np.testing.assert_array_equal(found, explain.grad_cam(random_classifier, images, 1))


def test_sequential_models_of_open_size_and_samples_of_a_spec(random_classifier):
    model = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.Conv2D(2, 3, strides=2), keras.layers.GlobalMaxPooling2D()]
    )
    model.add(keras.layers.Dense(2, activation="softmax"))
    assert explain.grad_cam(model, samples_of(2, (9, 7, 1))).shape == (2, 9, 7)
    with pytest.raises(DataError, match=r"samples: have the sizes \(8, 9\), \(9, 8\); give those of one size"):
        explain.grad_cam(model, [np.zeros((8, 9, 1)), np.zeros((9, 8, 1))])
    assert explain.grad_cam(random_classifier, samples_of(0)).shape == (0, 9, 12)
    spec = DataSpec.from_dict(
        {
            "name": "motion",
            "input": {"shape": [8, 24, 20, 1]},
            "source": {"kind": "simulation", "samples_per_class": 3, "frames": 8},
        }
    )
    assert explain.grad_cam(planted_classifier(3), load_samples(spec), 0).shape == (9, 8, 24, 20)


def dense_network(last=3):
    inputs = keras.Input((8, 8, 1))
    return keras.Model(inputs, keras.layers.Dense(last, activation="softmax")(keras.layers.Flatten()(inputs)))


def test_models_that_cannot_be_explained(random_classifier):
    images = np.zeros((1, 9, 12, 2))
    inner = keras.Sequential([keras.Input((9, 12, 2)), random_classifier])
    vectors = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    detector = build_detector((32, 32, 1), 2, backbone=build_autoencoder((32, 32, 1), filters=(2, 4, 4)))
    for model, samples, words in [
        (dense_network(), np.zeros((1, 8, 8, 1)), "no convolution whose map is seen"),
        (inner, images, f"{random_classifier.name} is a model in the model"),
        (build_autoencoder((8, 8, 1), filters=(2,)), np.zeros((1, 8, 8, 1)), "is not a classifier"),
        (dense_network(1), np.zeros((1, 8, 8, 1)), "is not a classifier: its one output has no sigmoid"),
        (vectors, np.zeros((1, 4)), r"reads \(None, 4\), expected images"),
        (detector, np.zeros((1, 32, 32, 1)), "grad_cam_detection"),
        (3, images, "grad_cam: model: int found"),
    ]:
        with pytest.raises(ModelError, match=words):
            explain.grad_cam(model, samples)


@pytest.mark.parametrize(
    ("layer", "words"),
    [("conv_9", "'conv_9' is no layer of the model; maps are given by inputs, target, conv_1"), ("dense_1", "no map")],
)
def test_layers_that_give_no_map(random_classifier, layer, words):
    with pytest.raises(ModelError, match=f"grad_cam: layer: .*{words}"):
        explain.grad_cam(random_classifier, samples_of(1), layer=layer)


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (samples_of(2)[0], {}, r"samples: has the shape \(9, 12, 2\), expected \(n, 9, 12, 2\)"),
        (np.full((2, 9, 12, 2), np.nan), {}, "row 0: holds 216 values that are NaN"),
        ("images", {}, "samples: str found"),
        (samples_of(1), {"class_id": 3}, "class_id: 3 is neither None nor an integer from 0 to 2"),
        (samples_of(1), {"class_id": -1}, "class_id: -1"),
        (samples_of(1), {"class_id": True}, "class_id: True"),
        (samples_of(1), {"batch_size": 0}, "batch_size: 0 is not a positive integer"),
    ],
)
def test_samples_and_settings_that_are_refused(random_classifier, samples, options, words):
    with pytest.raises(DataError, match=f"(?s)grad_cam: .*{words}"):
        explain.grad_cam(random_classifier, samples, **options)
