"""Curves that grow in a notebook: one display, updated in place; nothing anywhere else."""

from __future__ import annotations

import logging
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import keras
import numpy as np
import pytest
from read_html import card

from tumorkeras.data.samples import load_samples
from tumorkeras.models import build_autoencoder
from tumorkeras.progress import in_notebook
from tumorkeras.spec import DataSpec
from tumorkeras.training import LiveCurves, fit, live

SPEC = {
    "name": "motion",
    "input": {"shape": [4, 6, 6, 1], "spacing": [1, 9, 9]},
    "source": {"kind": "simulation", "samples_per_class": 8, "frames": 4},
    "autoencoder": {"filters": [2]},
    "training": {"batch_size": 8, "epochs": 1},
}


@pytest.fixture
def notebook(monkeypatch):
    """What a kernel's IPython offers; everything that was displayed, each with all that it was updated to."""
    displayed = []

    def display(shown, display_id):
        assert display_id is True
        displayed.append([shown])
        return SimpleNamespace(update=displayed[-1].append)

    ipython, of_display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    of_display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", of_display)
    return displayed


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="anyones")
    made.compile("sgd", "mse")
    return made


def trained(model, live_curves, epochs=3, **options):
    x = np.arange(16.0).reshape(8, 2) / 16
    return model.fit(x, x[:, 0], epochs=epochs, batch_size=4, callbacks=[live_curves], verbose=0, **options).history


def test_the_curves_are_those_of_keras_history_and_stay(model, notebook, monkeypatch):
    monkeypatch.setattr(live, "SOONEST", 0.0)
    curves = LiveCurves()
    history = trained(model, curves, validation_split=0.25)
    (shown,) = notebook
    # At first, at each of the 2 steps and the end of each of the 3 epochs, and at the end.
    assert len(shown) == 1 + 3 * 3 + 1
    assert curves.history["loss"].tolist() == pytest.approx(history["loss"])
    assert curves.history["val_loss"].tolist() == pytest.approx(history["val_loss"])
    assert "epoch 1 of 3, step 2 of 2" in card(shown[2]).text
    last = card(shown[-1])
    assert "Training anyones 3 epochs" in last.cells
    assert last.tags.count("polyline") == 2
    assert repr(shown[-1]).endswith(f"loss {history['loss'][-1]:.4f}, val_loss {history['val_loss'][-1]:.4f}")


def test_short_epochs_are_not_drawn_one_by_one(model, notebook, monkeypatch):
    monkeypatch.setattr(live, "SOONEST", 1e6)
    trained(model, LiveCurves(), epochs=5)
    (shown,) = notebook
    assert len(shown) == 2
    assert "5 epochs" in card(shown[-1]).text


def test_a_training_that_stops_early_says_so(model, notebook):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    x = np.zeros((4, 2))
    model.fit(x, x[:, 0], epochs=7, callbacks=[LiveCurves(), Stop()], verbose=0)
    assert "1 epoch (of 7: stopped early)" in card(notebook[0][-1]).text


def test_a_training_that_goes_on_to_its_end_did_not_stop_early(model, notebook):
    trained(model, LiveCurves(), epochs=7, initial_epoch=5)
    assert "2 epochs" in card(notebook[0][-1]).text
    assert "stopped early" not in card(notebook[0][-1]).text


def test_earlier_epochs_are_drawn_and_a_second_training_begins_anew(model, notebook):
    curves = LiveCurves([{"epoch": 1, "loss": 9.0}])
    for _ in range(2):
        trained(model, curves, epochs=3, initial_epoch=1)
        assert curves.history["epoch"].tolist() == [1, 2, 3]
        assert curves.history["loss"][0] == 9.0
    assert len(notebook) == 2


def test_outside_a_notebook_nothing_is_displayed(model, monkeypatch):
    terminal = ModuleType("IPython")
    terminal.get_ipython = lambda: SimpleNamespace()  # IPython in a terminal has no kernel
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    monkeypatch.setitem(sys.modules, "IPython.display", ModuleType("IPython.display"))  # has no display to import
    assert not in_notebook()
    curves = LiveCurves()
    trained(model, curves)
    assert len(curves.history) == 3


@pytest.fixture(scope="module")
def samples():
    return load_samples(DataSpec.from_dict(SPEC))


def fitted(samples, folder=None, epochs=2, **options):
    keras.utils.set_random_seed(0)
    network = build_autoencoder(samples.spec.input.shape, filters=(2,))
    training, validation = samples.part("train"), samples.part("val")
    return fit(network, training, validation, samples.spec.training, epochs=epochs, folder=folder, **options)


def test_train_draws_in_a_notebook_what_it_gives_back(samples, notebook, capsys):
    history = fitted(samples)
    (shown,) = notebook
    assert shown[-1].rows == history.to_dict("records")
    assert "2 epochs" in card(shown[-1]).text
    assert capsys.readouterr() == ("", "")  # no bar beside the curves
    fitted(samples, progress=False)
    assert len(notebook) == 1


def test_a_pipe_gets_a_line_an_epoch(samples, caplog, capsys):
    with caplog.at_level(logging.INFO, "tumorkeras"):
        history = fitted(samples)
        lines = [record.getMessage() for record in caplog.records if "epoch" in record.getMessage()]
        assert lines == [
            f"autoencoder: epoch {row.epoch} of 2: loss {row.loss:.4f}, val_loss {row.val_loss:.4f}"
            for row in history.itertuples()
        ]
        caplog.clear()
        fitted(samples, progress=False)
        assert not [record for record in caplog.records if "epoch" in record.getMessage()]
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_no_training_imports_ipython():
    code = (
        "import sys, keras_cv; from tumorkeras import train, DataSpec; "
        "before = 'IPython' in sys.modules; "  # others import it where it is installed
        f"train(DataSpec.from_dict({SPEC | {'tasks': ['autoencode']}!r}), 'autoencoder'); "
        "print(before < ('IPython' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
