"""The training of a detector: from its state after a stop, by a moving average, with anchors that reach the boxes."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_detectors import detection_spec, small_encoder, untrained_detector

from tumorkeras import build_detector, propose_regions
from tumorkeras.metrics import average_precision
from tumorkeras.training.detect import detect
from tumorkeras.training.fit_detector import anchors_of, fit_detector, optimizer_for, warn_of_recall
from tumorkeras.training.loop import averaged_weights
from tumorkeras.training.state import STATE_FOLDER


def test_proposals_from_outside_are_learnt_and_detected_with(lesions):
    """Fast R-CNN: the same call trains it, and what it finds lies in the images."""
    keras.utils.set_random_seed(1)
    options = {"fusion_width": 8, "dense": (8, 8), "max_detections": 10}
    model = build_detector((64, 64, 1), 2, backbone=small_encoder(), proposals="external", **options)
    training, validation = lesions.part("train"), lesions.part("val")
    history = fit_detector(model, training, validation, lesions.spec.training, progress=False)
    assert list(history) == ["epoch", "loss", "region_box_loss", "region_class_loss", "val_AP50", "val_AP"]
    assert np.isfinite(history.to_numpy()).all()
    found = detect(model, validation)
    assert found["boxes"].shape == (len(validation), 10, 4)
    image = validation.image_of(0)[None].astype("float32")
    alone = model({"images": image, "proposals": propose_regions(image[0])[None]})
    np.testing.assert_allclose(found["boxes"][0], validation.in_file(0, alone["boxes"][0].numpy()), atol=1e-2)


def kept_of(folder):
    """What a training keeps on disk: its progress, and the arrays of the last and of the best epoch."""
    state = folder / STATE_FOLDER
    progress = json.loads((state / "progress.json").read_text())
    arrays = []
    for name in ("last", "best"):
        with np.load(state / f"{name}.npz") as archive:
            arrays += [archive[key] for key in archive.files]
    return progress, arrays


def test_a_stopped_training_goes_on_as_if_it_had_not_been(lesions, tmp_path, monkeypatch):
    """Weights, optimizer, random numbers, history and best epoch are the same in the end."""
    parts = lesions.part("train"), lesions.part("val")
    whole = untrained_detector(lesions)
    fit_detector(whole, *parts, lesions.spec.training, folder=tmp_path / "whole")

    def stopped(*given, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return average_precision(*given, **options)

    calls = []
    monkeypatch.setattr("tumorkeras.training.detect.average_precision", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_detector(untrained_detector(lesions), *parts, lesions.spec.training, folder=tmp_path / "stopped")
    monkeypatch.undo()
    assert kept_of(tmp_path / "stopped")[0]["epoch"] == 1
    resumed = untrained_detector(lesions, seed=5)
    history = fit_detector(resumed, *parts, lesions.spec.training, folder=tmp_path / "stopped")
    assert history["epoch"].tolist() == [1, 2]
    (progress, arrays), (expected, own) = kept_of(tmp_path / "stopped"), kept_of(tmp_path / "whole")
    for row, other in zip(progress.pop("history"), expected.pop("history"), strict=True):
        assert row == pytest.approx(other, abs=1e-5)
    assert progress == pytest.approx(expected)
    for ours, theirs in zip(arrays, own, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    for ours, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_without_validation_the_last_average_stays(lesions):
    model = untrained_detector(lesions)
    history = fit_detector(model, lesions.part("train"), None, lesions.spec.training)
    assert "val_AP50" not in history
    averages = [np.asarray(value) for value in model.optimizer._model_variables_moving_average]
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        np.testing.assert_allclose(np.asarray(variable), average, atol=1e-7)


def test_averaged_weights_are_lent_and_given_back(lesions):
    model = untrained_detector(lesions)
    model.compile(optimizer_for(lesions.spec.training, 1, 1))
    model.optimizer.build(model.trainable_variables)
    before = [np.asarray(variable) for variable in model.trainable_variables]
    for average in model.optimizer._model_variables_moving_average:
        average.assign(tf.ones_like(average))
    with averaged_weights(model):
        assert all((np.asarray(variable) == 1).all() for variable in model.trainable_variables)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


def test_averaged_weights_go_back_whatever_happens_and_under_mixed_precision(lesions):
    model = untrained_detector(lesions)
    model.compile(keras.mixed_precision.LossScaleOptimizer(optimizer_for(lesions.spec.training, 1, 1)))
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


def test_anchors_that_miss_the_boxes_are_warned_of(lesions, caplog):
    given = {"strides": [4], "sizes": [[4.0]], "ratios": [1.0]}
    anchors, reached = anchors_of(detection_spec(detector={"anchors": given}), lesions.part("train"))
    assert (anchors.sizes, anchors.strides) == (((4.0,),), (4,))
    assert reached < 0.9
    warn_of_recall(reached)
    assert "the anchors meet 0.0" in caplog.text


def test_anchors_that_reach_the_boxes_are_not_warned_of(lesions, caplog):
    _, reached = anchors_of(lesions.spec, lesions.part("train"))
    assert reached >= 0.9
    warn_of_recall(reached)
    assert not caplog.text
