"""Detectors from a spec: anchors, training that goes on, thresholds, figures in pixels of the files."""

from __future__ import annotations

import logging
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_detectors import small_backbone

from tumorkeras import DataSpec, build_detector, evaluate, load, propose_regions, train
from tumorkeras.data.detection import detection_batches, load_detection
from tumorkeras.errors import DataError, ModelError
from tumorkeras.metrics import average_precision
from tumorkeras.training.detect import DetectionAveragePrecision, compiled_detector, detect, truth_of
from tumorkeras.training.fit_detector import anchors_of, fit_detector, optimizer_for, warn_of_recall
from tumorkeras.training.loop import averaged_weights
from tumorkeras.training.networks import autoencoder_of, classes_of, detector_of, kind_of

SMALL = {"fusion_width": 8, "dense": [8, 8], "rpn_proposals": 20, "max_detections": 10}


def spec_of(**sections):
    values = {
        "name": "lesions",
        "source": {"kind": "phantoms", "samples": 20, "seed": 3},
        "input": {"shape": [64, 64, 1]},
        "preprocessing": [{"step": "rescale"}],
        "detector": SMALL,
        "training": {"epochs": 2, "batch_size": 8, "augment": ["flip"]},
    }
    return DataSpec.from_dict({**values, **sections})


@pytest.fixture(scope="module")
def samples():
    return load_detection(spec_of())


@pytest.fixture(scope="module")
def trained(samples, tmp_path_factory):
    return train(samples.spec, "detector", tmp_path_factory.mktemp("models") / "detector", samples=samples)


def network(spec, samples, seed=1):
    keras.utils.set_random_seed(seed)
    anchors, _ = anchors_of(spec, samples.part("train"))
    return detector_of(spec, len(samples.classes), anchors)


def test_proposals_from_outside_are_learnt_and_detected_with(samples):
    """Fast R-CNN: the same call trains it, and what it finds lies in the images."""
    keras.utils.set_random_seed(1)
    options = {"fusion_width": 8, "dense": (8, 8), "max_detections": 10}
    model = build_detector((64, 64, 1), 2, backbone=small_backbone(1), proposals="external", **options)
    training, validation = samples.part("train"), samples.part("val")
    history = fit_detector(model, training, validation, samples.spec.training, progress_bar=False)
    assert list(history) == ["epoch", "loss", "region_box_loss", "region_class_loss", "val_AP50", "val_AP"]
    assert np.isfinite(history.to_numpy()).all()
    found = detect(model, validation)
    assert found["boxes"].shape == (len(validation), 10, 4)
    image = validation.image_of(0)[None].astype("float32")
    alone = model({"images": image, "proposals": propose_regions(image[0])[None]})
    np.testing.assert_allclose(found["boxes"][0], validation.in_file(0, alone["boxes"][0].numpy()), atol=1e-2)


def test_the_card_says_how_the_detector_is_used(trained):
    card = trained.card
    assert (card["kind"], card["classes"]) == ("detector", ["benign", "malignant"])
    assert card["anchor_recall"] >= 0.9
    assert card["threshold"] == card["tuned_on_validation"]["threshold"]
    values = card["metrics"]["values"]
    assert card["metrics"]["part"] == "test"
    assert {"AP50 of all", "FROC mean of all", "sensitivity of benign"} <= set(values)
    assert list(trained.history)[:2] == ["epoch", "loss"]
    assert {"val_AP50", "rpn_objectness_loss", "region_box_loss"} <= set(trained.history)


def test_a_folder_is_read_back_and_evaluated_as_it_was(trained, samples):
    again = load(trained.folder)
    assert kind_of(again.model) == "detector"
    assert classes_of(again.model) == 2
    ours, theirs = (detect(each.model, samples.part("test")) for each in (trained, again))
    for key, value in ours.items():
        np.testing.assert_allclose(theirs[key], value, atol=1e-3, err_msg=key)
    table = evaluate(again, samples)
    assert table.loc[("AP50", "all"), "value"] == trained.card["metrics"]["values"]["AP50 of all"]["value"]


def test_a_finished_detector_is_not_trained_again(trained, samples, caplog):
    with caplog.at_level(logging.INFO):
        again = train(samples.spec, "detector", trained.folder, samples=samples)
    assert "already trained" in caplog.text
    assert again.card == load(trained.folder).card
    with pytest.raises(ModelError, match="other settings in detector"):
        train(spec_of(detector={**SMALL, "dropout": 0.1}), "detector", trained.folder, samples=samples)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(samples, tmp_path, monkeypatch):
    whole = network(samples.spec, samples)
    parts = samples.part("train"), samples.part("val")
    fit_detector(whole, *parts, samples.spec.training)

    def stopped(*given, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measured(*given, **options)

    calls, measured = [], average_precision
    monkeypatch.setattr("tumorkeras.training.detect.average_precision", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_detector(network(samples.spec, samples), *parts, samples.spec.training, folder=tmp_path)
    monkeypatch.undo()
    resumed = network(samples.spec, samples, seed=5)
    history = fit_detector(resumed, *parts, samples.spec.training, folder=tmp_path)
    assert history["epoch"].tolist() == [1, 2]
    for own, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(other, own, atol=1e-5)


def test_without_validation_the_last_average_stays(samples):
    model = network(samples.spec, samples)
    history = fit_detector(model, samples.part("train"), None, samples.spec.training)
    assert "val_AP50" not in history
    averages = [np.asarray(value) for value in model.optimizer._model_variables_moving_average]
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        np.testing.assert_allclose(np.asarray(variable), average, atol=1e-7)


def test_averaged_weights_are_lent_and_given_back(samples):
    model = network(samples.spec, samples)
    model.compile(optimizer_for(samples.spec.training, 1, 1))
    model.optimizer.build(model.trainable_variables)
    before = [np.asarray(variable) for variable in model.trainable_variables]
    for average in model.optimizer._model_variables_moving_average:
        average.assign(tf.ones_like(average))
    with averaged_weights(model):
        assert all((np.asarray(variable) == 1).all() for variable in model.trainable_variables)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


def test_averaged_weights_go_back_whatever_happens_and_under_mixed_precision(samples):
    model = network(samples.spec, samples)
    model.compile(keras.mixed_precision.LossScaleOptimizer(optimizer_for(samples.spec.training, 1, 1)))
    model.optimizer.build(model.trainable_variables)
    before = [np.asarray(variable) for variable in model.trainable_variables]
    for average in model.optimizer.inner_optimizer._model_variables_moving_average:
        average.assign(tf.zeros_like(average))

    def interrupted():
        with averaged_weights(model):
            assert not any(np.asarray(variable).any() for variable in model.trainable_variables)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


def test_anchors_that_miss_the_boxes_are_warned_of(samples, caplog):
    given = {"strides": [4], "sizes": [[4.0]], "ratios": [1.0]}
    anchors, reached = anchors_of(spec_of(detector={"anchors": given}), samples.part("train"))
    assert (anchors.sizes, anchors.strides) == (((4.0,),), (4,))
    assert reached < 0.9
    warn_of_recall(reached)
    assert "the anchors meet 0.0" in caplog.text


def test_anchors_that_reach_the_boxes_are_not_warned_of(trained, caplog):
    warn_of_recall(trained.card["anchor_recall"])
    assert not caplog.text


def test_no_object_to_learn_from_is_an_error():
    spec = spec_of(source={"kind": "phantoms", "samples": 12, "without": 1.0})
    with pytest.raises(DataError, match="no image has an object"):
        train(spec, "detector")


def test_truth_is_in_pixels_of_the_files(samples):
    truth = truth_of(samples)
    for k in range(len(samples)):
        boxes, classes = samples.boxes_of(k)
        count = len(boxes)
        np.testing.assert_allclose(truth["boxes"][k, :count], samples.placement(k).invert(boxes), atol=1e-4)
        assert truth["classes"][k].tolist() == [*classes, *[-1] * (truth["classes"].shape[1] - count)]


def test_a_detector_sees_the_image_without_the_border_of_the_canvas(samples):
    """Of images of 32 x 64 in files twice as large: what is found is what the model finds in the image alone."""
    model = network(samples.spec, samples)
    wide = replace(samples, sizes=np.tile([[64, 128]], (len(samples.images), 1)))
    assert wide.image_of(0).shape == (32, 64, 1)
    np.testing.assert_array_equal(wide.image_of(3), samples.images[3, 16:48])
    found = detect(model, wide, batch_size=3)
    alone = {key: np.asarray(value) for key, value in model(samples.images[:, 16:48]).items()}
    assert alone["num_detections"].sum() > 0
    np.testing.assert_allclose(found["boxes"], 2 * alone["boxes"], atol=1e-2)
    np.testing.assert_array_equal(found["classes"], alone["classes"])


def test_images_of_several_sizes_keep_their_order(samples):
    sizes = np.tile([[64, 128], [64, 64]], (len(samples.images) // 2, 1))
    mixed, model = replace(samples, sizes=sizes), network(samples.spec, samples)
    found = detect(model, mixed, batch_size=4)
    for row in (0, 1, 6):
        alone = model(mixed.image_of(row)[None])["scores"]
        np.testing.assert_allclose(found["scores"][row], alone[0], atol=1e-5)


def test_the_callback_logs_what_the_metric_says(samples):
    model, part = network(samples.spec, samples), samples.part("val")
    model.compile(keras.optimizers.SGD(0.0))
    data = detection_batches(part, 4)
    history = model.fit(data, verbose=0, shuffle=False, callbacks=[DetectionAveragePrecision(data, samples.classes)])
    expected = average_precision(truth_of(part), detect(model, part), samples.classes)
    assert history.history["val_AP50"] == [pytest.approx(expected.ap50, abs=1e-6)]
    assert history.history["val_AP"] == [pytest.approx(expected.ap, abs=1e-6)]


def test_the_compiled_call_takes_any_number_of_images_of_any_size(samples):
    call = compiled_detector(network(samples.spec, samples))
    for shape in ((1, 64, 64, 1), (3, 40, 90, 1)):
        assert call(tf.zeros(shape))["boxes"].shape == (shape[0], 10, 4)
    assert call.experimental_get_tracing_count() == 1


def test_the_encoder_of_the_autoencoder_comes_first(tmp_path):
    sections = {
        "detector": {**SMALL, "backbone": "autoencoder", "frozen": True},
        "autoencoder": {"filters": [4, 4, 4], "bottleneck": None, "epochs": 1},
        "training": {"epochs": 1, "batch_size": 8, "augment": []},
    }
    done = train(spec_of(**sections), "detector", tmp_path / "detector")
    first = load(tmp_path / "detector" / "autoencoder")
    assert done.card["pretraining"] == "autoencoder"
    for name in ("conv_1", "conv_2", "conv_3"):
        np.testing.assert_array_equal(done.model.get_layer(name).kernel, first.model.get_layer(name).kernel)
    # A finished one is loaded with the autoencoder that it started from.
    assert train(spec_of(**sections), "detector", tmp_path / "detector").card["initial_sha256"]


def test_a_backbone_that_the_spec_does_not_want_is_refused(samples):
    with pytest.raises(ModelError, match=r"detector\.backbone: is csp_darknet, but a model to start from is given"):
        train(samples.spec, "detector", initial=autoencoder_of(samples.spec), samples=samples)
