"""The classifier: what it is made of, that it learns, saves and loads, and what it refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from model_check import check_models

from tumorkeras.errors import ModelError
from tumorkeras.models import build_classifier, encoder_of
from tumorkeras.spec import Activation, ClassifierSection, DataSpec
from tumorkeras.training.networks import OF_TRAINING

ACTIVATIONS = Activation.__args__
VOLUME, IMAGE = (6, 8, 8, 1), (9, 8, 2)
SMALL = {"filters": (3, 4), "dense": (6, 5)}
WIDE = {"filters": (4, 6), "dense": (24, 16)}  # so wide that no draw of weights kills a whole ReLU layer


@pytest.mark.slow
def test_every_form_runs_trains_saves_and_loads(tmp_path):
    builders = {
        name: lambda name=name: build_classifier((6, 5, 1), 3, activation=name, filters=(4,), dense=(16,))
        for name in ACTIVATIONS
    }
    builders |= {
        "volume": lambda: build_classifier(VOLUME, 2, **WIDE),
        "volume_maxout": lambda: build_classifier(VOLUME, 3, activation="maxout", **WIDE),
        "pooled_apart": lambda: build_classifier(VOLUME, 2, pool=(1, 2, 2), stride=2, **WIDE),
        "valid": lambda: build_classifier((9, 12, 12, 2), 2, padding="valid", pool=1, **WIDE),
        "everything": lambda: build_classifier(
            IMAGE,
            2,
            weight_decay=0.1,
            dropout=0.5,
            preprocessing=[
                {"step": "lee_filter", "size": 3},
                {"step": "rescale", "scale": 2.0},
                {"step": "standardize"},
            ],
            **WIDE,
        ),
    }
    check_models(builders, tmp_path)


def test_the_parts_are_those_of_the_paper():
    model = build_classifier((16, 24, 24, 1), 3)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv3D") == 3
    assert kinds.count("MaxPooling3D") == 3
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.3, 0.3]
    activations = [layer.activation.__name__ for layer in model.layers if isinstance(layer, keras.layers.Activation)]
    assert set(activations) == {"relu"}
    assert {layer.kernel.shape[:3] for layer in model.layers if "Conv3D" in type(layer).__name__} == {(3, 3, 3)}
    assert model.output_names == ["probabilities"]
    assert encoder_of(model).output_shape == (None, 64)
    # By hand: 3x3x3 convolutions 1-8-16-32, the embedding of 64, dense 64, 32, 3; a bias each.
    convolutions = 27 * (1 * 8 + 8 * 16 + 16 * 32) + 8 + 16 + 32
    assert model.count_params() == convolutions + 65 * 64 + 65 * 32 + 33 * 3


def test_probabilities_sum_to_one():
    model = build_classifier(VOLUME, 4, **SMALL)
    outputs = np.asarray(model(np.random.default_rng(0).normal(size=(5, *VOLUME)) * 50, training=False))
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)


def test_the_embedding_is_mean_and_maximum_of_each_channel():
    model = build_classifier(VOLUME, 2, **SMALL)
    arrays = np.random.default_rng(0).random((3, *VOLUME), dtype="float32")
    maps = np.asarray(keras.Model(model.input, model.get_layer("pool_2").output)(arrays))
    expected = np.concatenate([maps.mean(axis=(1, 2, 3)), maps.max(axis=(1, 2, 3))], axis=1)
    np.testing.assert_allclose(encoder_of(model)(arrays), expected, rtol=1e-5)


def test_pooling_of_time_is_apart_from_space():
    model = build_classifier((8, 16, 16, 1), 2, pool=(1, 2, 2), filters=(2, 2))
    assert model.get_layer("pool_2").output.shape == (None, 8, 4, 4, 2)
    strided = build_classifier((8, 16, 16, 1), 2, stride=2, filters=(2,))
    assert strided.get_layer("conv_1").output.shape == (None, 8, 8, 8, 2)


def test_kernels_may_differ_by_axis():
    model = build_classifier(VOLUME, 2, kernel_size=(1, 3, 5), stride=2, **SMALL)
    assert model.get_layer("conv_1").kernel.shape == (1, 3, 5, 1, 3)
    assert build_classifier(IMAGE, 2, kernel_size=[3, 5], **SMALL).get_layer("conv_2").kernel.shape == (3, 5, 3, 4)


def test_maxout_units_are_the_larger_of_two_affine_maps():
    model = build_classifier(IMAGE, 2, activation="maxout", **SMALL)
    arrays = np.random.default_rng(0).random((2, *IMAGE), dtype="float32")
    both = keras.Model(model.input, [model.get_layer("conv_1").output, model.get_layer("activation_1").output])
    convolved, hidden = map(np.asarray, both(arrays))
    assert convolved.shape[-1] == 6
    pairs = np.sort(convolved, axis=-1)
    assert hidden.shape[-1] == 3
    candidates = [np.maximum(convolved[..., i], convolved[..., j]) for i in range(6) for j in range(i)]
    assert all(any(np.allclose(hidden[..., k], one) for one in candidates) for k in range(3))
    assert (hidden.max(axis=-1) == pairs[..., -1]).all()


def test_weight_decay_is_the_sum_of_squares_of_the_kernels():
    model = build_classifier(IMAGE, 2, weight_decay=0.01, **SMALL)
    model(np.zeros((1, *IMAGE), "float32"))
    kernels = [layer.kernel for layer in model.layers if layer.name.startswith(("conv_", "dense_")) and layer.weights]
    expected = 0.01 * sum(float(tf.reduce_sum(tf.square(kernel))) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [IMAGE, VOLUME])
def test_eight_samples_are_learnt_by_heart(shape):
    keras.utils.set_random_seed(0)
    arrays = np.random.default_rng(0).random((8, *shape), dtype="float32")
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    model = build_classifier(shape, 3, filters=(16,), dense=(32, 16), dropout=0.0)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(tf.data.Dataset.from_tensors((arrays, labels)).repeat(200), verbose=0, shuffle=False)
    assert (np.asarray(model(arrays, training=False)).argmax(axis=1) == labels).all()


def test_volumes_train_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build_classifier((6, 8, 8, 1), 2, filters=(3, 4), dense=(5,))
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(4, 6, 8, 8, 1)).astype("float32")
    assert model.get_layer("conv_1").compute_dtype == "float16"
    assert np.isfinite(model.fit(x, np.array([0, 1, 0, 1]), verbose=0).history["loss"]).all()
    assert model(x).dtype == "float32"


def test_every_field_of_the_spec_is_an_argument():
    section = ClassifierSection().model_dump(exclude=OF_TRAINING)
    spec = DataSpec.from_dict({"name": "m", "source": {"kind": "simulation"}, "input": {"shape": [101, 9, 9, 1]}})
    assert build_classifier(spec.input.shape, 3, **section).output_shape == (None, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_classes": 1}, "num_classes: 1"),
        ({"num_classes": 2.5}, "num_classes: 2.5"),
        ({"filters": ()}, "filters"),
        ({"filters": (4, 0)}, "filters"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"stride": 0}, "stride: 0"),
        ({"stride": 1.5}, "stride: 1.5"),
        ({"stride": 4, "filters": (4,)}, "stride: 4 is more than kernel_size in height and width, 3,"),
        (
            {"stride": 2, "kernel_size": (3, 3, 1), "filters": (4,)},
            "stride: 2 is more than kernel_size in height and width, 1,",
        ),
        ({"kernel_size": (3, 3)}, r"kernel_size: \(3, 3\) is not 3 positive integers"),
        ({"pool": (2, 2)}, "pool"),
        ({"dense": ()}, "dense"),
        ({"dense": (8, -1)}, "dense"),
        ({"dense": (8.5,)}, "dense"),
        ({"dropout": 1.0}, "dropout: 1.0"),
        ({"dropout": -0.1}, "dropout: -0.1"),
        ({"activation": "rellu"}, "activation: 'rellu'"),
        ({"padding": "full"}, "padding: 'full'"),
        ({"weight_decay": -1.0}, "weight_decay: -1.0"),
        ({"preprocessing": [{"step": "sharpen"}]}, "'sharpen' is not one of"),
        ({"input_shape": (8, 8)}, r"\(8, 8\) has 2 axes"),
        ({"input_shape": (2, 8, 8, 1), "filters": (2, 2, 2)}, "axis 0 has 2 pixels"),
    ],
)
def test_bad_arguments_are_told(arguments, words):
    with pytest.raises(ModelError, match=words):
        build_classifier(**{"input_shape": VOLUME, "num_classes": 2, **arguments})


def test_all_bad_arguments_are_told_at_once():
    with pytest.raises(ModelError) as caught:
        build_classifier(VOLUME, 1, dropout=2.0, activation="no", weight_decay=-1.0, padding="no")
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "padding",
        "num_classes",
        "dropout",
        "activation",
        "weight_decay",
    ]
