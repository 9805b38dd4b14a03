"""What people used before: classifiers of a table of features, tuned inside the training fold."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tumorkeras.comparison.method import Method, Predictor, Trainer
from tumorkeras.comparison.problem import Fold
from tumorkeras.features.columns import columns_of
from tumorkeras.metrics.scorers import mean_auc

TREES = 300


def train_majority(fold: Fold) -> Predictor:
    """The frequencies of the classes in the training fold, for every sample."""
    counts = np.bincount(fold.labels, minlength=fold.classes)
    return lambda wanted: np.tile(counts / counts.sum(), (len(wanted), 1))


def train_trivial(fold: Fold) -> Predictor:
    """Logistic regression on the logarithm of the trivial feature."""
    logarithms = np.log1p(fold.problem.trivial)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(logarithms[fold.rows], fold.labels)
    return lambda wanted: _all_classes(model, logarithms[wanted], fold.classes)


def train_tuned(fold: Fold, *, estimator: BaseEstimator, space: Mapping[str, Any]) -> Predictor:
    """A classifier of the fold's features.

    Its settings are drawn from ``space`` and chosen, and its scores turned into probabilities by a logistic curve, on
    inner folds of the training fold that keep groups whole.
    """
    features, labels, settings = fold.table, fold.labels, fold.problem.samples.spec.comparison
    table, splits = features.iloc[fold.rows], fold.inner_splits()
    model = clone(estimator).set_params(random_state=fold.seed)
    pipeline = Pipeline([("columns", columns_of(features)), ("model", model)])
    search = RandomizedSearchCV(
        pipeline,
        {f"model__{name}": values for name, values in space.items()},
        n_iter=settings.trials,
        scoring=mean_auc if settings.metric == "auc" else "accuracy",
        n_jobs=fold.problem.n_jobs,
        refit=False,
        cv=splits,
        random_state=fold.seed,
        error_score="raise",
    )
    with warnings.catch_warnings():
        # The network stops at its last iteration by design; how long it trains is no fault of the user's.
        warnings.simplefilter("ignore", ConvergenceWarning)
        best = clone(pipeline).set_params(**search.fit(table, labels).best_params_)
        calibrated = CalibratedClassifierCV(best, cv=splits, ensemble=False).fit(table, labels)
    return lambda wanted: _all_classes(calibrated, features.iloc[wanted], fold.classes)


def _all_classes(model: BaseEstimator, table: np.ndarray | pd.DataFrame, classes: int) -> np.ndarray:
    """Probabilities with a column for every class, 0 for one that the training fold lacks."""
    probabilities = np.zeros((len(table), classes))
    probabilities[:, model.classes_] = model.predict_proba(table)
    return probabilities


def tuned(estimator: BaseEstimator, **space: Any) -> Trainer:
    """A trainer of an estimator whose settings are drawn from lists and distributions."""
    return partial(train_tuned, estimator=estimator, space=space)


# A new method is a function ``train(fold)`` that gives a predictor, or a tuned estimator, and its entry.
METHODS = {
    "majority": Method("none", train_majority),
    "trivial": Method("trivial", train_trivial),
    "svm_linear": Method("features", tuned(SVC(kernel="linear"), C=loguniform(1e-3, 10))),
    # coef0 matters to the polynomial only: with 1 it has the terms of lower degree too.
    "svm_poly": Method("features", tuned(SVC(kernel="poly", coef0=1.0), C=loguniform(1e-3, 10), degree=[2, 3])),
    "svm_rbf": Method("features", tuned(SVC(kernel="rbf"), C=loguniform(0.1, 100), gamma=loguniform(1e-4, 0.1))),
    "ann": Method(
        "features",
        tuned(
            MLPClassifier(max_iter=200),
            hidden_layer_sizes=[(32, 16), (64, 32)],
            alpha=loguniform(1e-3, 10),
            learning_rate_init=loguniform(3e-4, 1e-2),
        ),
    ),
    "random_forest": Method(
        "features",
        tuned(
            RandomForestClassifier(TREES),
            max_features=["sqrt", 0.2, 0.5],
            min_samples_leaf=[1, 2, 4, 8],
            max_depth=[None, 8],
        ),
    ),
}
