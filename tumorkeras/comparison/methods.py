"""The methods of the comparison: each is trained on some rows of the samples and then predicts others.

A new method is one function ``train(problem, rows, seed)`` that gives a predictor, and one entry in
``METHODS``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import keras
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import split_off, stratified_folds
from tumorkeras.features.table import sample_features, trivial_feature, trivial_name
from tumorkeras.training.fit import fit
from tumorkeras.training.networks import autoencoder_of, classifier_of
from tumorkeras.training.predict import predict

FeatureSet = Literal["none", "trivial", "hand-made", "pixels"]
INNER_FOLDS = 3  # of the tuning and calibration inside a training fold
VALIDATION_SHARE = 0.15  # of a training fold, where the spec sets no share aside for stopping
SEEDS = 2**32  # seeds of NumPy and of the spec are below


@dataclass(frozen=True)
class Problem:
    """The samples of a comparison and their features, which are measured once for all methods and folds.

    No feature of a sample depends on another sample, so nothing of a test fold reaches a training fold.
    """

    samples: Samples

    @cached_property
    def hand_made(self) -> np.ndarray:
        """Float64 (n, features)."""
        return sample_features(self.samples).to_numpy()

    @cached_property
    def trivial(self) -> np.ndarray:
        """Float64 (n, 1), never negative."""
        return trivial_feature(self.samples)[1].to_numpy()

    def prepare(self, features: FeatureSet) -> None:
        """Measure a feature set now, so that its time is not counted as training."""
        if features == "hand-made":
            _ = self.hand_made
        elif features == "trivial":
            _ = self.trivial

    def name_of(self, features: FeatureSet) -> str:
        """What a feature set is for these samples, in words."""
        if features == "none":
            return "none"
        if features == "trivial":
            return trivial_name(self.samples)
        pixels = "volumes" if len(self.samples.spec.input.shape) == 4 else "images"
        if features == "pixels":
            return pixels
        return "motility features" if self.samples.are_tracks else f"features of {pixels}"


Predictor = Callable[[np.ndarray], np.ndarray]
"""From rows of the samples to their probabilities (rows, classes)."""

Trainer = Callable[[Problem, np.ndarray, int], Predictor]
"""From the problem, the rows of a training fold, and a seed to a predictor."""


@dataclass(frozen=True)
class Method:
    """What a method reads, and how it is trained."""

    features: FeatureSet
    train: Trainer


def train_majority(problem: Problem, rows: np.ndarray, seed: int) -> Predictor:
    """The frequencies of the classes in the training fold, for every sample."""
    counts = np.bincount(problem.samples.labels[rows], minlength=len(problem.samples.classes))
    return lambda wanted: np.tile(counts / counts.sum(), (len(wanted), 1))


def train_trivial(problem: Problem, rows: np.ndarray, seed: int) -> Predictor:
    """Logistic regression on the logarithm of the trivial feature."""
    logarithms = np.log1p(problem.trivial)
    model = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    model.fit(logarithms[rows], problem.samples.labels[rows])
    return lambda wanted: _all_classes(model, logarithms[wanted], problem)


def train_tuned(
    problem: Problem,
    rows: np.ndarray,
    seed: int,
    *,
    estimator: BaseEstimator,
    grid: Mapping[str, Sequence[Any]],
) -> Predictor:
    """A classifier on the standardised hand-made features.

    Its settings are chosen by accuracy, and its scores turned into probabilities by a logistic curve, on
    inner folds of the training fold that keep groups whole.
    """
    table, labels = problem.hand_made[rows], problem.samples.labels[rows]
    splits = _inner_folds(problem.samples, rows, seed)
    estimator = clone(estimator).set_params(random_state=seed)
    pipeline = Pipeline([("scale", StandardScaler()), ("model", estimator)])
    search = GridSearchCV(
        pipeline,
        {f"model__{name}": list(values) for name, values in grid.items()},
        cv=splits,
        refit=False,
        error_score="raise",
    )
    with warnings.catch_warnings():
        # The network stops at its last iteration by design; how long it trains is no fault of the user's.
        warnings.simplefilter("ignore", ConvergenceWarning)
        best = clone(pipeline).set_params(**search.fit(table, labels).best_params_)
        model = CalibratedClassifierCV(best, cv=splits, ensemble=False).fit(table, labels)
    return lambda wanted: _all_classes(model, problem.hand_made[wanted], problem)


def _inner_folds(samples: Samples, rows: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    labels = samples.labels[rows]
    groups = None if samples.groups is None else samples.groups[rows]
    units = np.arange(len(rows)) if groups is None else groups
    scarcest = min(len(np.unique(units[labels == label])) for label in np.unique(labels))
    return stratified_folds(labels, groups, max(2, min(INNER_FOLDS, scarcest)), seed, names=samples.classes)


def _all_classes(model: BaseEstimator, table: np.ndarray, problem: Problem) -> np.ndarray:
    """Probabilities with a column for every class, 0 for one that the training fold lacks."""
    probabilities = np.zeros((len(table), len(problem.samples.classes)))
    probabilities[:, model.classes_] = model.predict_proba(table)
    return probabilities


def train_network(problem: Problem, rows: np.ndarray, seed: int, *, pretrained: bool) -> Predictor:
    """The spec's classifier; with ``pretrained`` its convolutions start from those of the spec's autoencoder.

    A part of the training fold is split off to stop the training, of the autoencoder as of the classifier.
    The autoencoder sees the training fold without its labels.
    """
    samples, spec = problem.samples, problem.samples.spec
    training, stopping = _inner_parts(samples.select(rows), seed)
    seed = (spec.training.seed + seed) % SEEDS
    settings = spec.training.model_copy(update={"seed": seed})
    keras.utils.set_random_seed(seed)
    initial = None
    if pretrained:
        initial = autoencoder_of(spec)
        fit(initial, training, stopping, settings, epochs=spec.autoencoder.epochs, progress_bar=False)
    model = classifier_of(spec, len(samples.classes), initial)
    fit(model, training, stopping, settings, progress_bar=False)
    return lambda wanted: predict(model, samples.select(wanted)).astype(np.float64)


def _inner_parts(fold: Samples, seed: int) -> tuple[Samples, Samples]:
    shares = fold.spec.splits.fractions
    share = shares.val / (shares.train + shares.val) or VALIDATION_SHARE
    rest, part = split_off(fold.labels, share, fold.groups, seed, names=fold.classes)
    return fold.select(rest), fold.select(part)


def _svm(kernel: str, **grid: Sequence[Any]) -> Trainer:
    # coef0 matters to the polynomial only: with 1 it has the terms of lower degree too.
    return partial(train_tuned, estimator=SVC(kernel=kernel, coef0=1.0), grid=grid)


METHODS: dict[str, Method] = {
    "majority": Method("none", train_majority),
    "trivial": Method("trivial", train_trivial),
    "svm_linear": Method("hand-made", _svm("linear", C=(0.01, 0.1, 1.0))),
    "svm_poly": Method("hand-made", _svm("poly", C=(0.01, 0.1, 1.0), degree=(2, 3))),
    "svm_rbf": Method("hand-made", _svm("rbf", C=(0.3, 1.0, 3.0, 10.0), gamma=("scale", 0.01))),
    "ann": Method(
        "hand-made",
        partial(
            train_tuned,
            estimator=MLPClassifier(hidden_layer_sizes=(32, 16), max_iter=200),
            grid={"alpha": (0.01, 1.0, 10.0)},
        ),
    ),
    "cnn": Method("pixels", partial(train_network, pretrained=False)),
    "autoencoder_cnn": Method("pixels", partial(train_network, pretrained=True)),
}
