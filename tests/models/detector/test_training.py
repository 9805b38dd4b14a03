"""Training of the detector: one pass a step, four losses, what is trained and what is not, strange boxes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_detectors import blocks, small_detector, some_images, some_objects, some_proposals

from tumorkeras.errors import ModelError
from tumorkeras.layers import PyramidLevels
from tumorkeras.models.detector.model import split_batch

LOSSES = ["rpn_objectness_loss", "rpn_box_loss", "region_class_loss", "region_box_loss"]
SEED = tf.constant([0, 5], tf.int64)


@pytest.fixture(scope="module")
def detector():
    """Compiled, and only evaluated and asked for losses."""
    keras.utils.set_random_seed(2)
    model = small_detector()
    model.compile("adam")
    return model


@pytest.fixture(scope="module")
def losses_of(detector):
    """Its losses as numbers, from one graph."""
    graph = tf.function(lambda images, truth: detector.losses_of(images, truth, SEED, training=False))
    return lambda images, truth: {key: float(value) for key, value in graph(images, truth).items()}


def gradients_of(model, images, truth, names):
    """The gradient of the sum of the named losses, by the path of each weight; None where none comes."""
    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        losses = model.losses_of(images, truth, SEED, training=True)
        total = tf.add_n([losses[name] for name in names])
    gradients = tape.gradient(total, [weight.value for weight in weights])
    return {weight.path: gradient for weight, gradient in zip(weights, gradients, strict=True)}


def without_objects(batch=2, most=2):
    return {"boxes": np.zeros((batch, most, 4), "float32"), "classes": np.full((batch, most), -1, "int32")}


@pytest.fixture(scope="module")
def trained():
    """A detector after thirty steps on four easy images, its history, and how often the backbone was traced."""
    calls, call = [], PyramidLevels.call
    keras.utils.set_random_seed(3)
    model = small_detector(num_classes=1, dropout=0.0)
    model.compile(keras.optimizers.Adam(3e-3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PyramidLevels, "call", lambda *args, **options: calls.append(1) or call(*args, **options))
        data = tf.data.Dataset.from_tensors(blocks(4)).repeat(15)
        history = model.fit(data, epochs=2, verbose=0, shuffle=False)
    return model, history.history, len(calls)


def test_a_step_passes_through_the_graph_once(trained):
    assert trained[2] == 1


def test_the_four_losses_and_their_sum_are_logged(trained):
    _, history, _ = trained
    assert set(history) == {"loss", *LOSSES}
    np.testing.assert_allclose(history["loss"], np.sum([history[name] for name in LOSSES], axis=0), rtol=1e-4)


def test_the_losses_decrease(trained):
    _, history, _ = trained
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert history["rpn_objectness_loss"][-1] < history["rpn_objectness_loss"][0]


def test_evaluate_is_deterministic_and_takes_both_forms_of_batches(trained):
    model, _, _ = trained
    images, truth = blocks(4)
    first = model.evaluate(images, truth, batch_size=2, verbose=0, return_dict=True)
    assert set(first) == {"loss", *LOSSES}
    first = pytest.approx(first, rel=1e-5)  # sums of several threads
    assert model.evaluate(images, truth, batch_size=2, verbose=0, return_dict=True) == first
    merged = tf.data.Dataset.from_tensor_slices({"images": images, **truth}).batch(2)
    assert model.evaluate(merged, verbose=0, return_dict=True) == first


def test_predict_gives_what_a_call_gives(trained):
    model, _, _ = trained
    images, truth = blocks(3)
    expected = model(images, training=False)
    assert expected["num_detections"].numpy().any()
    merged = tf.data.Dataset.from_tensor_slices({"images": images, **truth}).batch(2)
    for given in (images, merged):
        found = model.predict(given, verbose=0, batch_size=None if isinstance(given, tf.data.Dataset) else 2)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-3)


def test_proposals_have_no_gradient_from_the_regions(detector):
    images, truth = some_images(), some_objects()
    found = gradients_of(detector, images, truth, LOSSES[2:])
    assert {path for path, gradient in found.items() if gradient is None} == {path for path in found if "rpn" in path}
    assert any("rpn" in path for path in found)
    reached = [path for path, gradient in found.items() if gradient is not None and np.abs(gradient).max() > 0]
    for part in ("stem", "dark3", "lateral_8", "smoothed_4", "dense_1", "logits", "deltas"):
        assert any(part in path for path in reached), part


def test_the_region_head_has_no_gradient_from_the_proposals(detector):
    found = gradients_of(detector, some_images(), some_objects(), LOSSES[:2])
    silent = {path for path, gradient in found.items() if gradient is None}
    assert silent == {
        path for path in found if path.split("/")[0] in ("dense_1", "logits", "deltas") or "dense_n" in path
    }
    assert all(np.abs(gradient).max() > 0 for gradient in found.values() if gradient is not None)


def test_images_without_objects_train():
    """Finite losses and gradients for one such image beside others, and for a batch of them alone."""
    model = small_detector()
    for truth in (some_objects(), without_objects(), without_objects(most=0)):
        losses = {key: float(value) for key, value in model.losses_of(some_images(), truth, SEED, True).items()}
        assert np.isfinite(list(losses.values())).all()
        for gradient in gradients_of(model, some_images(), truth, LOSSES).values():
            assert np.isfinite(gradient).all()
        if not (truth["classes"] >= 0).any():
            assert losses["rpn_box_loss"] == losses["region_box_loss"] == 0
            assert losses["rpn_objectness_loss"] > 0
            assert losses["region_class_loss"] > 0


@pytest.mark.parametrize(
    "box",
    [
        [np.nan, 5, 20, 20],
        [5, 5, np.nan, 20],
        [np.nan] * 4,
        [5, 5, np.inf, 20],
        [-np.inf, 5, 20, 20],
        [20, 20, 20, 40],
        [30, 5, 20, 20],
        [200, 10, 240, 30],
        [10, -40, 30, -2],
        [0, 0, 0, 0],
    ],
)
def test_boxes_that_are_none_become_padding(losses_of, box):
    truth, images = some_objects(), some_images()
    padded = {key: value.copy() for key, value in truth.items()}
    padded["boxes"][0, 1], padded["classes"][0, 1] = 0, -1
    truth["boxes"][0, 1] = box
    assert losses_of(images, truth) == losses_of(images, padded)


def test_padding_with_a_box_is_padding_and_boxes_are_cut_at_the_edges(losses_of):
    truth, images = some_objects(), some_images()
    ghost = {key: value.copy() for key, value in truth.items()}
    ghost["boxes"][1] = [5, 5, 20, 20]
    assert losses_of(images, ghost) == losses_of(images, truth)
    truth["boxes"][0, 0], ghost["boxes"][0, 0] = [40, 30, 96, 64], [40, 30, 196, 99]
    assert losses_of(images, ghost) == losses_of(images, truth)


def test_boxes_are_in_pixels_of_the_images(losses_of):
    """Images and boxes twice as large are the same on the canvas."""
    truth, images = some_objects(), some_images()
    large = {**truth, "boxes": 2 * truth["boxes"]}
    found = losses_of(images.repeat(2, axis=1).repeat(2, axis=2), large)
    np.testing.assert_allclose(list(found.values()), list(losses_of(images, truth).values()), rtol=1e-3)


@pytest.mark.parametrize("label", [2, 100, -2])
def test_class_ids_out_of_range_are_told(detector, label):
    truth = some_objects()
    truth["classes"][0, 0] = label
    with pytest.raises(tf.errors.InvalidArgumentError, match="a class is not from 0 to 1, nor -1 for padding"):
        detector.losses_of(some_images(), truth, SEED, training=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a class is not from 0 to 1, nor -1 for padding"):
        detector.evaluate(some_images(), truth, verbose=0)


def test_the_same_seed_gives_the_same_weights_and_frozen_ones_stay():
    after = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        model = small_detector(frozen="P2")
        before = {weight.path: weight.numpy() for weight in model.weights}
        model.compile("sgd", run_eagerly=True)
        model.fit(tf.data.Dataset.from_tensors((some_images(), some_objects())).repeat(2), verbose=0, shuffle=False)
        after.append([weight.numpy() for weight in model.weights])
    for one, other in zip(*after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # sums of several threads
    frozen = [weight for weight in model.weights if "stem" in weight.path or "dark2" in weight.path]
    assert frozen
    assert all((weight.numpy() == before[weight.path]).all() for weight in frozen)
    still = {weight.path for weight in model.trainable_weights if (weight.numpy() == before[weight.path]).all()}
    assert not still


def test_proposals_from_outside_train():
    model = small_detector(proposals="external")
    model.compile("sgd", run_eagerly=True)
    inputs = {"images": some_images(), "proposals": some_proposals()}
    assert set(model.losses_of(inputs, some_objects(), SEED, training=False)) == set(LOSSES[2:])
    data = tf.data.Dataset.from_tensors({**inputs, **some_objects()})
    history = model.fit(data, verbose=0, shuffle=False).history
    assert set(history) == {"loss", *LOSSES[2:]}
    assert np.isfinite(history["loss"]).all()
    found = model.predict(data, verbose=0)
    np.testing.assert_allclose(found["boxes"], model(inputs)["boxes"], atol=1e-3)
    nothing = {"images": some_images(), "proposals": np.zeros((2, 0, 4), "float32")}
    for truth in (without_objects(most=0), some_objects()):
        assert np.isfinite(list(model.losses_of(nothing, truth, SEED, training=True).values())).all()


@pytest.mark.parametrize("options", [{}, {"head": "volume", "region_size": 4, "filters": (4,)}])
def test_mixed_precision_trains(options):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_detector(**options)
        model.compile("sgd", run_eagerly=True)
    finally:
        keras.config.set_dtype_policy("float32")
    history = model.fit(
        tf.data.Dataset.from_tensors((some_images(), some_objects())).repeat(3), verbose=0, shuffle=False
    ).history
    assert np.isfinite([history[name] for name in history]).all()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    found = model(some_images())
    assert found["boxes"].dtype == found["scores"].dtype == "float32"
    assert np.isfinite(found["boxes"]).all()


def test_compile_takes_no_losses():
    model = small_detector()
    with pytest.raises(ModelError) as caught:
        model.compile("adam", loss="mse", metrics=["accuracy"])
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["loss", "metrics"]


def test_training_without_objects_given_is_told(detector):
    with pytest.raises(ModelError, match="the batch has no boxes and no classes"):
        detector.evaluate(some_images(), verbose=0)


def test_batches_are_split():
    images, truth = object(), {"boxes": object(), "classes": object()}
    assert split_batch((images, truth)) == (images, truth)
    assert split_batch({"images": images, **truth}) == (images, truth)
    assert split_batch({"images": images}) == (images, {})
    assert split_batch(images) == (images, {})
    both = {"images": images, "proposals": object()}
    assert split_batch({**both, **truth}) == (both, truth)
    assert split_batch((both, truth)) == (both, truth)
