"""How sure a classifier is: the sums, and the signatures that give them."""

import json
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tumorkeras.data.augment_views import views
from tumorkeras.errors import ModelError
from tumorkeras.metrics import apply_temperature
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.models.passes import dropout_passes
from tumorkeras.serving.export import export
from tumorkeras.serving.served import Choices, emptied
from tumorkeras.serving.signatures import endpoints
from tumorkeras.serving.uncertainty import Uncertainty, spread
from tumorkeras.serving.verify import verify_export
from tumorkeras.spec import DataSpec
from tumorkeras.training.folder import TrainedModel

SHAPE = (3, 8, 8, 1)
VOLUMES = np.random.default_rng(0).uniform(0, 255, (6, *SHAPE)).astype("float32")


def in_numpy(probabilities):
    return {name: value.numpy() for name, value in spread(tf.constant(probabilities, tf.float32)).items()}


def test_by_hand():
    """Answers 0.9 and 0.5 of class 0: the mean is 0.7."""
    found = in_numpy([[[0.9, 0.1]], [[0.5, 0.5]]])
    np.testing.assert_allclose(found["probabilities"], [[0.7, 0.3]], rtol=1e-6)
    np.testing.assert_allclose(found["std"], [[0.2, 0.2]], rtol=1e-5)
    np.testing.assert_allclose(found["entropy"], [0.6108643], rtol=1e-5)  # -0.7 ln 0.7 - 0.3 ln 0.3
    # Less the mean of 0.3250830 and 0.6931472.
    np.testing.assert_allclose(found["mutual_information"], [0.1017492], rtol=1e-4)


def test_the_ends():
    sure, torn, unknowing = [[1.0, 0.0, 0.0]] * 3, np.eye(3), np.full((3, 3), 1 / 3)
    found = in_numpy(np.stack([sure, torn, unknowing], axis=1))
    np.testing.assert_allclose(found["entropy"], [0, np.log(3), np.log(3)], atol=1e-6)
    np.testing.assert_allclose(found["mutual_information"], [0, np.log(3), 0], atol=1e-6)
    assert not np.signbit(found["entropy"]).any()
    assert not found["std"][[0, 2]].any()


@given(arrays("float64", (4, 2, 3), elements=st.floats(-120, 120)))
def test_the_sums_are_those_of_their_definition(logits):
    """Also of probabilities that float32 can hardly hold."""
    each = np.exp(logits - logits.max(axis=-1, keepdims=True))
    each = (each / each.sum(axis=-1, keepdims=True)).astype("float32")
    found = in_numpy(each)
    wide = each.astype("float64")

    def entropy(values):
        return -np.where(values > 0, values * np.log(np.maximum(values, 1e-300)), 0).sum(axis=-1)

    np.testing.assert_allclose(found["entropy"], entropy(wide.mean(axis=0)), atol=1e-5)
    difference = entropy(wide.mean(axis=0)) - entropy(wide).mean(axis=0)
    np.testing.assert_allclose(found["mutual_information"], difference, atol=1e-5)
    np.testing.assert_allclose(found["std"], wide.std(axis=0), atol=1e-5)
    assert (found["mutual_information"] >= 0).all()


# ------------------------------------------------------------------------------------------------------- signatures


def classifier(dropout=0.4, shape=SHAPE):
    keras.utils.set_random_seed(3)
    steps = [{"step": "rescale"}]
    return build_classifier(shape, 2, filters=(3,), dense=(8, 6), dropout=dropout, preprocessing=steps, name="cells")


def answer(model, name, samples, **choices):
    return {key: value.numpy() for key, value in endpoints(model, Choices(**choices))[name].compiled()(samples).items()}


def test_a_signature_sums_up_the_passes():
    model = classifier()
    found = answer(model, "uncertainty_dropout", VOLUMES, uncertainty=Uncertainty(["dropout"], passes=7, seed=5))
    wanted = in_numpy(dropout_passes(model, 7, seed=5)(tf.constant(VOLUMES)))
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)
    assert found["class_id"].tolist() == wanted["probabilities"].argmax(axis=1).tolist()
    assert found["std"].min() > 0.001


def test_views_are_looked_at_one_by_one():
    model = classifier(dropout=0)
    asked = Uncertainty(["augmentation"], views=views(["flip", "rotate"], square=True))
    found = answer(model, "uncertainty_augmentation", VOLUMES, uncertainty=asked)
    forms = [np.rot90(each, k, axes=(2, 3)) for each in (VOLUMES, VOLUMES[:, :, ::-1]) for k in range(4)]
    for name, values in in_numpy(np.stack([model(form) for form in forms])).items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)


def test_the_choices_of_an_export_hold_for_its_uncertainty():
    model = classifier()
    asked = Uncertainty(["dropout"], passes=5)
    found = answer(
        model,
        "uncertainty_dropout",
        VOLUMES,
        uncertainty=asked,
        temperature=2.0,
        threshold=0.6,
        class_names=["still", "moving"],
    )
    each = dropout_passes(model, 5)(tf.constant(VOLUMES)).numpy()
    warmed = np.stack([apply_temperature(values.astype("float64"), 2.0) for values in each])
    for name, values in in_numpy(warmed).items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)
    np.testing.assert_array_equal(found["class_id"], found["probabilities"][:, 1] >= 0.6)
    assert found["class_name"].tolist() == [[b"still", b"moving"][number] for number in found["class_id"]]


def test_images_of_any_size_are_brought_to_the_canvas():
    model, asked = classifier(shape=(8, 8, 1)), Uncertainty(["dropout"], passes=3)
    images = VOLUMES[:, 0]
    large = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    found = answer(model, "uncertainty_dropout", large, uncertainty=asked)
    each = dropout_passes(model, 3)(tf.constant(images))
    np.testing.assert_allclose(found["std"], in_numpy(each)["std"], atol=1e-4)


def test_a_row_that_is_no_number_has_no_class_and_harms_no_other():
    inputs = keras.Input((4,))
    dropped = keras.layers.Dropout(0.5)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(dropped))
    asked, rows = Uncertainty(["dropout"], passes=3), VOLUMES[:, 0, 0, :4, 0] / 255
    whole = answer(model, "uncertainty_dropout", rows, uncertainty=asked)
    broken = np.where(np.arange(6)[:, None] == 1, np.float32("nan"), rows)
    found = answer(model, "uncertainty_dropout", broken, uncertainty=asked)
    assert found["class_id"][1] == -1
    assert np.isnan(found["entropy"][1])
    for name, values in found.items():
        np.testing.assert_array_equal(np.delete(values, 1, 0), np.delete(whole[name], 1, 0))


def test_nothing_is_there_that_was_not_asked_for():
    assert sorted(endpoints(classifier())) == ["features", "serving_default"]


# ---------------------------------------------------------------------------------------------------------- exports


@pytest.fixture(scope="module")
def trained():
    source = {"kind": "simulation", "frames": 3}
    spec = DataSpec.from_dict({"name": "motion", "source": source, "input": {"shape": list(SHAPE)}})
    card = {"kind": "classifier", "classes": ["still", "moving"], "temperature": {"value": 1.5}}
    return TrainedModel(classifier(), spec, card, pd.DataFrame({"epoch": [0]}))


def test_an_export_is_checked_with_its_uncertainties(trained, tmp_path):
    """By TensorFlow's C library, in odd batches, and held to the model's own answers."""
    folder = export(trained, tmp_path, uncertainty=("dropout", "augmentation"), passes=6, seed=9, calibrated=True)
    report = verify_export(folder)
    assert report.ok
    outputs = {
        "probabilities": [None, 2],
        "std": [None, 2],
        "entropy": [None],
        "mutual_information": [None],
        "class_id": [None],
    }
    for name in ("uncertainty_dropout", "uncertainty_augmentation"):
        found = report.signatures[name]["outputs"]
        assert {key: tensor["shape"] for key, tensor in found.items()} == outputs
        assert set(report.differences[name]) == set(outputs)
    card = json.loads((folder / "assets.extra" / "model_card.json").read_text())
    assert card["export"]["uncertainty"] == {"dropout": {"passes": 6, "seed": 9}, "augmentation": {"views": 8}}


@pytest.mark.parametrize(
    ("choice", "faults"),
    [
        ({"uncertainty": "dropout", "passes": 1}, ["passes: 1 found, expected an integer of 2 or more"]),
        ({"uncertainty": "dropout", "seed": -1}, ["seed: -1 found"]),
        ({"uncertainty": ("bayes", "dropout"), "passes": True}, ["2 faults", "'bayes' found", "passes: True"]),
    ],
)
def test_wrong_arguments_are_named(trained, choice, faults, tmp_path):
    with pytest.raises(ModelError) as error:
        export(trained, tmp_path, **choice)
    assert all(fault in str(error.value) for fault in faults)
    assert not any(tmp_path.iterdir())


def test_models_that_cannot_tell_are_refused(trained, tmp_path):
    unturned = DataSpec.from_dict({**trained.spec.to_dict(), "training": {"augment": ["shift"]}})
    for model, method, fault in (
        (classifier(dropout=0), "dropout", "cells: uncertainty: no layer of the model drops units"),
        (classifier(), "augmentation", "no flips or turns are known"),
        (replace(trained, spec=unturned), "augmentation", "no flips or turns are known"),
        (build_autoencoder((8, 8, 1), filters=(2,)), "dropout", "is of classifiers, and this is of the kind autoenc"),
    ):
        with pytest.raises(ModelError, match=fault):
            export(model, tmp_path, uncertainty=method)


# ------------------------------------------------------------------------------------------------ out of distribution


def test_an_autoencoder_flags_what_is_above_its_largest_error():
    """Reconstructs zeros, so the error is the mean square of the input."""
    inputs = keras.Input((2, 4, 4, 1))
    model = keras.Model(inputs, keras.layers.Rescaling(0.0, name="reconstruction")(inputs))
    rows = np.ones((3, 2, 4, 4, 1), "float32") * np.float32([1, 2, 3])[:, None, None, None, None]
    found = answer(model, "serving_default", rows, largest_error=4.0)
    assert found["reconstruction_error"].tolist() == [1, 4, 9]
    assert found["out_of_distribution"].tolist() == [False, False, True]
    assert "out_of_distribution" not in answer(model, "serving_default", rows)


def test_what_is_emptied_is_of_its_own_kind():
    outputs = {"out_of_distribution": tf.constant([True, True]), "class_name": tf.constant(["a", "b"])}
    found = emptied(outputs, tf.constant([True, False]))
    assert found["out_of_distribution"].numpy().tolist() == [True, False]
    assert found["class_name"].numpy().tolist() == [b"a", b""]
