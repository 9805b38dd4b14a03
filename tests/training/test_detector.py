"""Detectors from a spec: what their folder and card hold, where they start from, and what is refused."""

from __future__ import annotations

import json
import logging
from functools import partialmethod

import numpy as np
import pytest
from made_detectors import detection_spec

from tumorkeras import evaluate, load, train
from tumorkeras.errors import DataError, ModelError
from tumorkeras.models.detector import Detector
from tumorkeras.training.detect import detect
from tumorkeras.training.networks import autoencoder_of, classes_of, kind_of

DEFAULT = {"backbone": "csp_darknet"}


@pytest.fixture(scope="module")
def trained(lesions, tmp_path_factory):
    """With the backbone that a spec has by default, whose steps as a graph would take half a minute to compile."""
    folder = tmp_path_factory.mktemp("models") / "detector"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detector, "compile", partialmethod(Detector.compile, run_eagerly=True))
        return train(detection_spec(detector=DEFAULT), "detector", folder, samples=lesions)


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


def test_a_folder_is_read_back_and_evaluated_as_it_was(trained, lesions):
    again = load(trained.folder)
    assert kind_of(again.model) == "detector"
    assert classes_of(again.model) == 2
    ours, theirs = (detect(each.model, lesions.part("test")) for each in (trained, again))
    for key, value in ours.items():
        np.testing.assert_allclose(theirs[key], value, atol=1e-3, err_msg=key)
    table = evaluate(again, lesions)
    assert table.loc[("AP50", "all"), "value"] == trained.card["metrics"]["values"]["AP50 of all"]["value"]


def test_a_finished_detector_is_not_trained_again(trained, lesions, caplog):
    with caplog.at_level(logging.INFO):
        again = train(trained.spec, "detector", trained.folder, samples=lesions)
    assert "already trained" in caplog.text
    assert again.card == json.loads((trained.folder / "model_card.json").read_text())
    with pytest.raises(ModelError, match="other settings in detector"):
        train(detection_spec(detector={**DEFAULT, "dropout": 0.1}), "detector", trained.folder, samples=lesions)


def test_no_object_to_learn_from_is_an_error():
    source = {"kind": "phantoms", "samples": 12, "without": 1.0}
    with pytest.raises(DataError, match="no image has an object"):
        train(detection_spec(source=source, detector=DEFAULT), "detector")


def test_the_encoder_of_the_autoencoder_comes_first(tmp_path):
    training = {"epochs": 1, "batch_size": 8, "augment": []}
    spec = detection_spec(detector={"frozen": True}, training=training)
    done = train(spec, "detector", tmp_path / "detector")
    first = load(tmp_path / "detector" / "autoencoder")
    assert done.card["pretraining"] == "autoencoder"
    for name in ("conv_1", "conv_2", "conv_3"):
        np.testing.assert_array_equal(done.model.get_layer(name).kernel, first.model.get_layer(name).kernel)
    # A finished one is loaded with the autoencoder that it started from.
    assert train(spec, "detector", tmp_path / "detector").card["initial_sha256"]


def test_a_backbone_that_the_spec_does_not_want_is_refused(lesions):
    spec = detection_spec(detector=DEFAULT)
    with pytest.raises(ModelError, match=r"detector\.backbone: is csp_darknet, but a model to start from is given"):
        train(spec, "detector", initial=autoencoder_of(spec), samples=lesions)
