from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_comparisons import volume_spec

from tumorkeras import load_samples
from tumorkeras.comparison import Fold, Problem, networks


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return load_samples(volume_spec(tmp_path_factory.mktemp("networks"), comparison={"network_trials": 3}))


@pytest.fixture
def fitted(monkeypatch):
    """Trainings that take no time: what they were given, and a loss that is smallest for the second."""
    calls = []

    def fit(model, training, stopping, settings, **options):
        calls.append((model, training, stopping, settings))
        return pd.DataFrame({"val_loss": [1.0, 0.5 if len(calls) % 3 == 2 else 0.9]})

    monkeypatch.setattr(networks, "fit", fit)
    return calls


def test_the_settings_with_the_smallest_loss_on_the_stopping_part_are_taken(samples, fitted, monkeypatch):
    monkeypatch.setattr(networks, "predict", lambda model, chosen: [model is fitted[1][0]] * len(chosen))
    fold = Fold(Problem(samples), np.arange(0, 48, 2), 1)
    predictor = networks.METHODS["cnn"].train(fold)
    rates = [settings.learning_rate for *_, settings in fitted]
    own = samples.spec.training.learning_rate
    assert rates[0] == own
    assert len(set(rates)) == 3
    assert all(
        samples.spec.training.learning_rate / 4 <= rate <= samples.spec.training.learning_rate * 4 for rate in rates
    )
    assert predictor(np.arange(5)).tolist() == [1.0] * 5
    for _, training, stopping, settings in fitted:
        seen = set(training.table["id"]) | set(stopping.table["id"])
        assert seen == set(fold.samples.table["id"])
        assert not set(training.table["id"]) & set(stopping.table["id"])
        assert settings.seed == fold.seed


def test_the_ensemble_is_the_mean_of_networks_that_each_stop_by_another_fold(samples, fitted, monkeypatch):
    monkeypatch.setattr(networks, "predict", lambda model, chosen: np.full(len(chosen), len(fitted)))
    fold = Fold(Problem(samples), np.arange(0, 48, 2), 1)
    predictor = networks.train_ensemble(fold)
    assert len(fitted) == 9
    stopped_by = [frozenset(stopping.table["id"]) for _, _, stopping, _ in fitted[::3]]
    assert frozenset.union(*stopped_by) == set(fold.samples.table["id"])
    assert sum(map(len, stopped_by)) == len(fold.samples)
    values = iter([0.0, 0.3, 0.9])
    monkeypatch.setattr(networks, "predict", lambda model, chosen: np.full(len(chosen), next(values)))
    assert predictor(np.arange(4)) == pytest.approx(0.4)
