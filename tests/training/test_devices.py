"""Training on several devices: the same as on one, in parts of each batch; and what is refused."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tumorkeras.errors import ModelError
from tumorkeras.spec import DataSpec, Training
from tumorkeras.training import devices, train
from tumorkeras.training.devices import devices_of, strategy_of
from tumorkeras.training.recipes import RECIPES

MIRRORED = Training(strategy="mirrored")
CLUSTER = {"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "chief", "index": 0}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What trainings on one device and on two gave."""
    folder = tmp_path_factory.mktemp("devices")
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(tests.parent), str(tests)])
    environment = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_CONFIG", None)
    script = Path(__file__).with_name("on_two_devices.py")
    done = subprocess.run([sys.executable, script, folder], env=environment, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "made.json").read_text())


@pytest.mark.parametrize("kind", ["classifier", "autoencoder", "detector"])
def test_losses_and_weights_are_those_of_one_device(made, kind):
    """To rounding: uneven parts, clipped gradients, a last batch that is smaller, and a stop in between."""
    alone, together = made[kind]["none"], made[kind]["mirrored"]
    assert alone["history"].keys() == together["history"].keys()
    for name, values in alone["history"].items():
        np.testing.assert_allclose(together["history"][name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    assert len(set(alone["history"]["loss"])) == 2  # it was trained
    np.testing.assert_allclose(together["weights"], alone["weights"], atol=1e-3 if kind == "detector" else 1e-5)


def test_two_devices_were_used_and_the_model_is_of_one(made):
    assert made["devices"] == {"none": 1, "mirrored": 2}
    assert made["detector"]["mirrored"]["variable"] == "MirroredVariable"  # the copy that trains
    for kind in ("classifier", "autoencoder"):
        assert made[kind]["mirrored"]["variable"] == made[kind]["none"]["variable"] != "MirroredVariable"


def test_a_mean_is_over_the_parts_of_all_devices(made):
    assert made["means"] == [0.75, 0.75]


def test_running_statistics_are_the_mean_over_the_devices(made):
    assert made["statistics"] == [0.5, 0.5]


def test_one_device_alone_is_told_once(caplog):
    devices._tell_of_one.cache_clear()
    with caplog.at_level(logging.INFO, "tumorkeras"):
        assert [strategy_of(MIRRORED).num_replicas_in_sync for _ in range(2)] == [1, 1]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("training.strategy: mirrored, but there is one device alone")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (json.dumps(CLUSTER), r"TF_CONFIG names 3 workers; on Keras 3 fit fails under MultiWorkerMirroredStrategy "),
        ("{", "TF_CONFIG cannot be read: .*; unset it"),
        ("[]", "TF_CONFIG cannot be read: .*; unset it"),
    ],
)
def test_several_machines_are_refused_before_anything_is_read(monkeypatch, tmp_path, config, words):
    monkeypatch.setenv("TF_CONFIG", config)
    monkeypatch.setitem(RECIPES, "classifier", RECIPES["classifier"]._replace(load=None))
    with pytest.raises(ModelError, match=rf"training\.strategy: .*{words}"):
        train(spec_of("mirrored"), output=tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert len(devices_of(Training())) == 1  # what is not distributed does not look at it


@pytest.mark.parametrize("cluster", [{}, {"worker": ["a:1"]}, {"worker": ["a:1"], "ps": ["b:1"]}])
def test_one_worker_is_one_machine(monkeypatch, cluster):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster}))
    assert len(devices_of(MIRRORED)) == 1


def spec_of(strategy):
    return DataSpec.from_dict(
        {
            "name": "motion",
            "source": {"kind": "simulation", "samples_per_class": 8, "frames": 4},
            "input": {"shape": [4, 8, 8, 1]},
            "autoencoder": {"filters": [2], "bottleneck": None},
            "training": {"epochs": 1, "strategy": strategy},
        }
    )


def test_the_card_says_where_it_was_trained(tmp_path, monkeypatch):
    table = pd.DataFrame({"value": [1.0]}, index=["metric"])
    recipe = RECIPES["autoencoder"]._replace(fit=lambda *_, **__: table, measure=lambda *_: table)
    monkeypatch.setitem(RECIPES, "autoencoder", recipe)
    trained = train(spec_of("mirrored"), "autoencoder", tmp_path)
    assert (trained.card["strategy"], trained.card["devices"]) == ("mirrored", 1)
    with pytest.raises(ModelError, match="other settings in training"):
        train(spec_of("none"), "autoencoder", tmp_path)


def test_a_training_that_is_not_distributed_is_described_as_before():
    """What folds, states and runs are known by does not change by a field that says nothing."""
    values = {"epochs", "batch_size", "learning_rate", "patience", "augment", "class_weights", "weight_decay", "seed"}
    assert set(Training().model_dump(mode="json")) == values
    assert Training(strategy="mirrored").model_dump(mode="json")["strategy"] == "mirrored"
    assert DataSpec.from_dict(spec_of("mirrored").to_dict()) == spec_of("mirrored") != spec_of("none")
