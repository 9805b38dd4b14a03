"""From the probabilities of a method on the folds to its figures, their intervals, and paired tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tumorkeras.comparison.store import FoldResult
from tumorkeras.data.folds import Folds
from tumorkeras.metrics import (
    classification_metrics,
    corrected_resampled_t,
    mean_interval,
    paired_bootstrap,
    weighted_auc,
)
from tumorkeras.metrics.intervals import Statistic

METRICS = ("sensitivity", "specificity", "accuracy", "auc")
CONFIDENCE = 0.95

Figures = dict[str, float | None]


def figures_of(labels: np.ndarray, probabilities: np.ndarray) -> Figures:
    """The metrics of one fold; None where undefined.

    Examples
    --------
    >>> figures_of(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))["specificity"]
    0.5
    """
    # The interval is over folds, so the bootstrap inside a fold is left at one resample.
    values = classification_metrics(labels, probabilities, resamples=1)["value"]
    found = {metric: float(values[name]) for metric, name in _names_of_metrics(probabilities.shape[1]).items()}
    return {metric: value if np.isfinite(value) else None for metric, value in found.items()}


def intervals_of(results: Sequence[FoldResult], groups: np.ndarray | None) -> dict[str, tuple[float, float, float]]:
    """Each metric with its interval: a t interval over the folds, of a single fold a bootstrap over its samples.

    Parameters
    ----------
    results : sequence of FoldResult
        Of one row of the table; none where it failed.
    groups : ndarray, optional
        Of all samples.
    """
    if len(results) == 1:
        return _bootstrap_intervals(results[0], groups)
    figures = pd.DataFrame([result.metrics for result in results], columns=list(METRICS), dtype="float64")
    intervals = {metric: mean_interval(figures[metric] if results else [np.nan], CONFIDENCE) for metric in METRICS}
    # A t interval knows nothing of the ends of the scale.
    return {
        metric: (found.value, max(found.low, 0.0), min(found.high, 1.0)) if np.isfinite(found.low) else found[:3]
        for metric, found in intervals.items()
    }


def _bootstrap_intervals(only: FoldResult, groups: np.ndarray | None) -> dict[str, tuple[float, float, float]]:
    probabilities, own = np.array(only.probabilities), None if groups is None else groups[only.rows]
    table = classification_metrics(only.labels, probabilities, groups=own, confidence=CONFIDENCE)
    values, lows, highs = (table[column].astype("float64") for column in ("value", "low", "high"))
    names = _names_of_metrics(probabilities.shape[1])
    return {metric: (values[name], lows[name], highs[name]) for metric, name in names.items()}


def _names_of_metrics(classes: int) -> dict[str, str]:
    """What :func:`classification_metrics` calls the metrics of this table."""
    prefix = "" if classes == 2 else "macro_"
    names = {"accuracy": "accuracy", "auc": f"{prefix}AUC"}
    return {metric: names.get(metric, prefix + metric) for metric in METRICS}


def p_value(
    first: Sequence[FoldResult], second: Sequence[FoldResult], metric: str, folds: Folds, groups: np.ndarray | None
) -> float:
    """Two-sided, of the difference of two rows of the table in a metric.

    Over folds the corrected resampled t test; of a single fold a paired bootstrap of its samples, whole groups where
    there are any.
    """
    if len(folds) == 1:
        return _bootstrap_p_value(first[0], second[0], metric, groups)
    fraction = float(np.mean([len(test) / (len(training) + len(test)) for training, test in folds]))
    a, b = (np.array([result.metrics[metric] for result in found], dtype="float64") for found in (first, second))
    return corrected_resampled_t(a, b, test_fraction=fraction).p_value


def _bootstrap_p_value(first: FoldResult, second: FoldResult, metric: str, groups: np.ndarray | None) -> float:
    a, b = (_weighted(metric, np.array(found.labels), np.array(found.probabilities)) for found in (first, second))
    own = None if groups is None else groups[first.rows]
    return paired_bootstrap(lambda weights: a(weights) - b(weights), len(first.rows), groups=own).p_value


def _weighted(metric: str, labels: np.ndarray, probabilities: np.ndarray) -> Statistic:
    """Accuracy, or the mean AUC of the classes, from weights of the samples."""
    if metric == "accuracy":
        two = probabilities.shape[1] == 2
        called = probabilities[:, 1] >= 0.5 if two else probabilities.argmax(axis=1)
        return lambda weights: weights @ (called == labels) / weights.sum(axis=1)
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    return lambda weights: np.mean([weighted_auc(labels == k, probabilities[:, k], weights) for k in classes], axis=0)
