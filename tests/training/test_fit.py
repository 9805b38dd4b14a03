"""One training: best weights, early stopping, class weights, and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tumorkeras.data.pipeline import arrays_of
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import ModelError
from tumorkeras.models import build_autoencoder, build_classifier, target_of
from tumorkeras.spec import DataSpec
from tumorkeras.training.fit import _balancing_weights, fit
from tumorkeras.training.predict import predict

SHAPE = (6, 8, 8, 1)
MODEL = {"filters": (4,), "dense": (8,)}


def spec_of(**training):
    return DataSpec.from_dict(
        {
            "name": "motion",
            "source": {"kind": "simulation", "samples_per_class": 16, "frames": 6},
            "input": {"shape": list(SHAPE), "spacing": [1, 6, 6]},
            "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, **training},
        }
    )


@pytest.fixture(scope="module")
def samples():
    return load_samples(spec_of())


def classifier(seed=1, **options):
    keras.utils.set_random_seed(seed)
    return build_classifier(SHAPE, 3, **{**MODEL, **options})


def fitted(model, samples, folder=None, epochs=None, **training):
    settings = spec_of(**training).training
    return fit(model, samples.part("train"), samples.part("val"), settings, folder=folder, epochs=epochs)


def loss_of(model, samples):
    probabilities = np.asarray(model(arrays_of(samples), training=False))
    return float(-np.log(probabilities[np.arange(len(samples)), samples.labels]).mean())


def assert_equal_weights(one, other, atol=0.0):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


# --------------------------------------------------------------------------------------------- what comes back


def test_history_of_a_classifier_and_its_best_weights(samples):
    model = classifier()
    history = fitted(model, samples, epochs=6, learning_rate=0.3)  # so high that the last epoch is not the best
    assert list(history) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert history["epoch"].tolist() == list(range(1, len(history) + 1))
    assert history["val_loss"].idxmin() < len(history) - 1
    assert loss_of(model, samples.part("val")) == pytest.approx(history["val_loss"].min(), rel=1e-4)
    best = history.loc[history["val_loss"].idxmin()]
    predicted = np.asarray(model(arrays_of(samples.part("val")), training=False)).argmax(axis=1)
    assert (predicted == samples.part("val").labels).mean() == pytest.approx(best["val_accuracy"])


def test_training_stops_when_validation_gets_no_better(samples):
    history = fitted(classifier(), samples, epochs=40, learning_rate=0.5, patience=2)
    best = int(history["val_loss"].idxmin())
    assert len(history) == best + 1 + 2 < 40


def test_an_autoencoder_is_fitted_to_its_preprocessed_input(samples):
    keras.utils.set_random_seed(1)
    model = build_autoencoder(SHAPE, filters=(4,), preprocessing=[{"step": "rescale", "scale": 10.0}])
    history = fitted(model, samples)
    assert list(history) == ["epoch", "loss", "val_loss"]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    arrays = arrays_of(samples.part("val"))
    difference = np.asarray(model(arrays, training=False)) - np.asarray(target_of(model)(arrays))
    assert np.square(difference).mean() == pytest.approx(history["val_loss"].min(), rel=1e-3)


def test_without_validation_the_last_weights_stay(samples):
    model = classifier()
    history = fit(model, samples.part("train"), None, spec_of().training)
    assert list(history) == ["epoch", "accuracy", "loss"]
    assert len(history) == 3


def test_two_fits_with_a_seed_are_equal(samples):
    models = [classifier(), classifier()]
    one, other = (fitted(model, samples, epochs=2) for model in models)
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)
    assert_equal_weights(*models, atol=1e-6)


# ------------------------------------------------------------------------------------------------ class weights


def test_balancing_weights_give_classes_the_same_sum():
    labels = np.array([0] * 6 + [2] * 2)
    weights = _balancing_weights(labels)
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 2].sum())
    assert weights.mean() == pytest.approx(1)


def test_class_weights_move_the_answer_to_the_rare_class():
    spec = spec_of(learning_rate=0.05, augment=[])
    noise = np.zeros((40, 6, 2), "float32")  # nothing to tell the classes by
    labels = np.array([0] * 32 + [1] * 8)
    table = pd.DataFrame({"class_id": labels, "class_name": labels.astype(str), "group": None, "split": "train"})
    lopsided = Samples(table, noise, ("0", "1"), spec)
    shares = {}
    for weighted in (True, False):
        keras.utils.set_random_seed(0)
        model = build_classifier(SHAPE, 2, filters=(2,), dense=(4,), dropout=0.0)
        settings = spec.training.model_copy(update={"class_weights": weighted, "batch_size": 40})
        fit(model, lopsided, None, settings, epochs=60)
        shares[weighted] = float(model(arrays_of(lopsided)[:1], training=False)[0, 1])
    assert shares[True] == pytest.approx(0.5, abs=0.05)
    assert shares[False] == pytest.approx(0.2, abs=0.05)


# ---------------------------------------------------------------------------------------------------- resuming

CHILD = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_fit as t
folder, slow = Path(sys.argv[2]), sys.argv[3] == "slow"
if slow:
    from tumorkeras.training.state import TrainingState
    save = TrainingState.save
    def save_and_wait(self, progress):
        save(self, progress)
        (folder / "saved").write_text(str(progress.epoch))
        if progress.epoch == 2:
            time.sleep(600)
    TrainingState.save = save_and_wait
t.fitted(t.classifier(dropout=0.5), t.load_samples(t.spec_of()), folder=folder, epochs=5)
"""


def test_a_killed_training_goes_on_as_if_it_had_not_been(samples, tmp_path):
    folder = tmp_path / "model"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(folder), "slow"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as child:
        whole = classifier(dropout=0.5)
        expected = fitted(whole, samples, epochs=5)
        began = time.monotonic()
        mark = folder / "saved"
        while not (mark.is_file() and mark.read_text() == "2"):
            assert child.poll() is None, child.stderr.read()
            assert time.monotonic() - began < 240
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
    progress = json.loads((folder / ".training" / "progress.json").read_text())
    assert progress["epoch"] == 2
    resumed = classifier(seed=99, dropout=0.5)  # other weights, other dropout: all come from the state
    history = fitted(resumed, samples, folder=folder, epochs=5)
    pd.testing.assert_frame_equal(history, expected, rtol=0, atol=1e-5)
    assert_equal_weights(resumed, whole, atol=1e-5)
    for ours, theirs in zip(resumed.variables, whole.variables, strict=False):
        if "seed" in ours.path:  # where dropout's random numbers are after five epochs
            np.testing.assert_array_equal(ours, theirs)


def test_the_state_of_dropout_matters_to_the_comparison(samples):
    """Without it the test above could not fail."""
    one, other = classifier(dropout=0.5), classifier(dropout=0.5)
    states = [variable for variable in other.variables if "seed" in variable.path]
    assert states
    for state in states:
        state.assign(np.asarray(state) + 7)
    first, second = fitted(one, samples, epochs=1), fitted(other, samples, epochs=1)
    assert abs(first["loss"] - second["loss"]).max() > 1e-4


def test_a_finished_training_is_not_trained_again(samples, tmp_path):
    first, second = classifier(), classifier(seed=5)
    expected = fitted(first, samples, tmp_path, epochs=2)
    began = time.monotonic()
    history = fitted(second, samples, tmp_path, epochs=2)
    assert time.monotonic() - began < 5
    pd.testing.assert_frame_equal(history, expected)
    assert_equal_weights(first, second)


@pytest.fixture(scope="module")
def saved(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("state")
    fitted(classifier(), samples, folder, epochs=1)
    return folder


@pytest.mark.parametrize("change", ["data", "settings", "epochs", "activation", "drawing", "origin"])
def test_the_state_of_another_training_is_refused(samples, saved, change):
    model = classifier(activation="elu") if change == "activation" else classifier()
    training, settings, epochs, origin = samples.part("train"), spec_of().training, 1, ""
    if change == "data":
        training = training.select(np.arange(len(training) - 1))
    elif change == "settings":
        settings = spec_of(learning_rate=0.02).training
    elif change == "epochs":
        epochs = 2
    elif change == "drawing":
        other = DataSpec.from_dict({**samples.spec.to_dict(), "rendering": {"marker": "disk"}})
        training = Samples(training.table, training.values, training.classes, other)
    elif change == "origin":
        origin = "an autoencoder"
    with pytest.raises(ModelError, match="holds a training of other data or settings"):
        fit(model, training, samples.part("val"), settings, epochs=epochs, folder=saved, origin=origin)
    assert (saved / ".training" / "progress.json").is_file()


def test_a_kill_between_the_renames_leaves_a_state(samples, saved, tmp_path):
    state = tmp_path / ".training"
    copy(saved / ".training", state)
    state.rename(tmp_path / ".training.old")
    (tmp_path / ".training.new").mkdir()
    model = classifier(seed=5)
    history = fitted(model, samples, tmp_path, epochs=1)
    assert len(history) == 1
    assert loss_of(model, samples.part("val")) == pytest.approx(history["val_loss"][0], rel=1e-4)


def test_a_broken_state_is_told(samples, saved, tmp_path):
    copy(saved / ".training", tmp_path / ".training")
    (tmp_path / ".training" / "last.npz").write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"\.training: cannot be read: .*remove it to train anew"):
        fitted(classifier(), samples, tmp_path, epochs=1)


def copy(source, target):
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())


# ------------------------------------------------------------------------------------------------------- faults


def test_a_loss_that_is_no_number_ends_in_words(samples, tmp_path):
    model = classifier(preprocessing=[{"step": "rescale", "scale": 1e38}])
    with pytest.raises(ModelError, match=r"is not a finite number; lower training\.learning_rate or rescale"):
        fitted(model, samples, tmp_path / "model", epochs=2)
    assert not (tmp_path / "model").exists()


def test_a_validation_loss_that_never_is_a_number_ends_in_words(samples):
    table = pd.DataFrame({"class_id": [0, 1, 2] * 4, "group": None})
    small, huge = (
        Samples(table, np.full((12, *SHAPE), value, "float32"), samples.classes, samples.spec) for value in (0, 1e30)
    )
    model = build_autoencoder(SHAPE, filters=(4,))
    with pytest.raises(ModelError, match="no epoch has a finite validation loss"):
        fit(model, small, huge, spec_of(augment=[]).training, epochs=2)


def test_trainings_one_after_the_other_leave_no_warnings(caplog, monkeypatch):
    """TensorFlow takes the steps of several models for one that is traced again and again."""
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    samples = load_samples(spec_of(epochs=1, augment=[]))
    for _ in range(6):
        model = build_classifier(SHAPE, 3, filters=(2,), dense=(2,))
        fit(model, samples.part("train"), samples.part("val"), samples.spec.training, progress=False)
        predict(model, samples)
    assert [record.getMessage() for record in caplog.records if "retracing" in record.getMessage()] == []
