"""The networks of the comparison: alone, from the autoencoder, and several together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import keras
import numpy as np

from tumorkeras.comparison.method import Method, Predictor
from tumorkeras.comparison.problem import Fold
from tumorkeras.data.samples import Samples
from tumorkeras.spec import DataSpec
from tumorkeras.training.fit import fit
from tumorkeras.training.layerwise import EVENLY, layerwise_of
from tumorkeras.training.networks import classifier_of
from tumorkeras.training.predict import predict


def train_network(fold: Fold, *, pretrained: bool) -> Predictor:
    """The spec's classifier; with ``pretrained`` its convolutions start from those of the spec's autoencoder.

    Frozen layers and layer-wise learning rates of the spec are for convolutions that have learnt something: without
    ``pretrained`` they are left out.

    A part of the training fold is split off to stop the training, of the autoencoder as of the classifier, and to
    choose among settings. The autoencoder sees the training fold without its labels.
    """
    initial = fold.autoencoder() if pretrained else None
    return _average([_best(fold, *fold.inner_parts(), initial)], fold)


def train_ensemble(fold: Fold) -> Predictor:
    """The mean of networks: each is trained on all inner folds but one, which stops it."""
    samples = fold.samples
    parts = [(samples.select(training), samples.select(stopping)) for training, stopping in fold.inner_splits()]
    return _average([_best(fold, *pair, None) for pair in parts], fold)


def _average(members: list[keras.Model], fold: Fold) -> Predictor:
    samples = fold.problem.samples
    return lambda wanted: np.mean([predict(each, samples.select(wanted)) for each in members], axis=0, dtype="float64")


def _best(fold: Fold, training: Samples, stopping: Samples, initial: keras.Model | None) -> keras.Model:
    """The network with the smallest loss on the stopping part, of all settings tried."""
    spec = fold.problem.samples.spec
    found = []
    for candidate in candidates(spec, spec.comparison.network_trials, fold.seed):
        settings = candidate.training.model_copy(update={"seed": fold.settings.seed})
        keras.utils.set_random_seed(settings.seed)
        model = classifier_of(candidate, fold.classes, initial)
        layerwise = EVENLY if initial is None else layerwise_of(candidate)
        history = fit(model, training, stopping, settings, layerwise=layerwise, progress=False)
        found.append((history["val_loss"].min(), model))
    return min(found, key=lambda pair: pair[0])[1]


def candidates(spec: DataSpec, trials: int, seed: int) -> Iterator[DataSpec]:
    """The spec itself, then variants of it: learning rates up to four times as large or small, and other dropout.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "source": {"kind": "simulation", "frames": 16},
    ...     "input": {"shape": [16, 24, 24, 1]}})
    >>> first, second = candidates(spec, 2, seed=0)
    >>> first is spec, round(second.training.learning_rate / spec.training.learning_rate, 2)
    (True, 1.46)
    """
    yield spec
    rng = np.random.default_rng(seed)
    for _ in range(trials - 1):
        rate = spec.training.learning_rate * 4 ** rng.uniform(-1, 1)
        training = spec.training.model_copy(update={"learning_rate": float(rate)})
        classifier = spec.classifier.model_copy(update={"dropout": float(rng.uniform(0.1, 0.5))})
        yield spec.model_copy(update={"training": training, "classifier": classifier})


# A new method is a function ``train(fold)`` that gives a predictor, and its entry.
METHODS = {
    "cnn": Method("pixels", partial(train_network, pretrained=False)),
    "autoencoder_cnn": Method("pixels", partial(train_network, pretrained=True)),
    "cnn_ensemble": Method("pixels", train_ensemble),
}
