"""Sensitivity, specificity, accuracy, AUC and F1 from labels and probabilities, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sklearn_metrics

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import (
    check_classes,
    check_groups,
    check_labels,
    check_predictions,
    check_settings,
)
from tumorkeras.metrics.intervals import bootstrap
from tumorkeras.metrics.ranking import weighted_auc

Array = NDArray[np.float64]


def classification_metrics(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    threshold: float = 0.5,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of classification metrics with bootstrap percentile intervals.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Class ids, from 0 to k - 1.
    probabilities : array-like of float, shape (n, k) or (n,)
        Rows that sum to 1; or, for two classes, the probability of class 1.
    classes : sequence of str, optional
        The k class names; the ids stand in for them.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample. Whole groups are resampled where it is given.
    threshold : float, default 0.5
        Two classes only: class 1 is predicted where its probability reaches the threshold. With more
        classes the most probable one is predicted.
    confidence : float, default 0.95
        Coverage of the intervals.
    resamples : int, default 1000
        Bootstrap resamples.
    seed : int, default 0

    Returns
    -------
    DataFrame
        One row per metric; columns `value`, `low`, `high` and `n`, the samples that the metric is computed
        from (the positives for a sensitivity, the negatives for a specificity).

        Two classes, class 1 positive: ``TP TN FP FN sensitivity specificity accuracy AUC``. More:
        ``accuracy macro_sensitivity macro_specificity macro_AUC macro_F1`` and, a class against the rest,
        ``sensitivity[name] specificity[name] AUC[name] TP[name] TN[name] FP[name] FN[name]``.

        A metric without samples to compute it from is NaN, and so is a macro mean over such a metric. A
        resample in which a metric is undefined (an AUC where only one class was drawn) is left out of its
        interval; ``attrs["undefined_resamples"]`` says how many were, by metric. ``attrs["units"]`` is the
        number of groups (or samples) resampled, beside ``confidence``, ``resamples`` and ``seed``.

    Raises
    ------
    DataError
        With all faults: lengths that differ, labels out of range, probabilities that are NaN, outside 0 to 1
        or do not sum to 1, missing groups, names that are too few or repeated, nothing at all.

    Examples
    --------
    >>> table = classification_metrics([0, 0, 1, 1, 1], [0.1, 0.6, 0.4, 0.8, 0.9])
    >>> table.loc[["TP", "sensitivity", "specificity", "AUC"], ["value", "n"]].round(3)
                 value  n
    TP           2.000  5
    sensitivity  0.667  3
    specificity  0.500  2
    AUC          0.833  5
    """
    heading = "classification_metrics"
    ids, table, names = check_predictions(heading, labels, probabilities, classes)
    codes, faults = check_groups(groups, len(ids))
    faults += check_settings(confidence=confidence, resamples=resamples, threshold=threshold)
    if faults:
        raise DataError(heading, faults)
    binary = table.shape[1] == 2
    predicted = (table[:, 1] >= threshold).astype(np.int64) if binary else table.argmax(axis=1)

    def figures(weights: Array) -> dict[str, Array]:
        counts = _count(ids, predicted, table, weights)
        return _binary(counts) if binary else _multiclass(counts, names)

    result = bootstrap(
        lambda weights: np.column_stack(list(figures(weights).values())),
        len(ids),
        groups=codes,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    index = list(figures(np.ones((1, len(ids)))))
    frame = pd.DataFrame(
        {"value": result.value, "low": result.low, "high": result.high, "n": _support(index, ids, names)},
        index=index,
    )
    undefined = {name: int(count) for name, count in zip(index, result.undefined, strict=True) if count}
    frame.attrs = {
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
        "resampled_by": "sample" if groups is None else "group",
        "units": result.units,
        "undefined_resamples": undefined,
    }
    return frame


class _Counts(NamedTuple):
    """A class against the rest, for r weightings of the samples: each array is (r, k)."""

    tp: Array
    tn: Array
    fp: Array
    fn: Array
    auc: Array


def _count(ids: NDArray[np.int64], predicted: NDArray[np.int64], table: Array, weights: Array) -> _Counts:
    each = np.arange(table.shape[1])
    actual, called = ids[:, None] == each, predicted[:, None] == each  # (n, k)
    truth, calls, hits = (weights @ part.astype(np.float64) for part in (actual, called, actual & called))
    total = weights.sum(axis=1, keepdims=True)
    if len(each) == 2:  # the two areas are one and the same
        auc = np.repeat(weighted_auc(actual[:, 1], table[:, 1], weights)[:, None], 2, axis=1)
    else:
        auc = np.column_stack([weighted_auc(actual[:, c], table[:, c], weights) for c in each])
    return _Counts(hits, total - truth - calls + hits, calls - hits, truth - hits, auc)


def _binary(c: _Counts) -> dict[str, Array]:
    tp, tn, fp, fn = (part[:, 1] for part in (c.tp, c.tn, c.fp, c.fn))
    return {
        "TP": tp,
        "TN": tn,
        "FP": fp,
        "FN": fn,
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "accuracy": _ratio(tp + tn, tp + tn + fp + fn),
        "AUC": c.auc[:, 1],
    }


def _multiclass(c: _Counts, names: list[str]) -> dict[str, Array]:
    sensitivity, specificity = _ratio(c.tp, c.tp + c.fn), _ratio(c.tn, c.tn + c.fp)
    f1 = _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)
    figures = {
        "accuracy": _ratio(c.tp.sum(axis=1), (c.tp + c.fn).sum(axis=1)),
        "macro_sensitivity": sensitivity.mean(axis=1),
        "macro_specificity": specificity.mean(axis=1),
        "macro_AUC": c.auc.mean(axis=1),
        "macro_F1": f1.mean(axis=1),
    }
    by_class = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "AUC": c.auc,
        "TP": c.tp,
        "TN": c.tn,
        "FP": c.fp,
        "FN": c.fn,
    }
    for column, name in enumerate(names):
        figures |= {f"{metric}[{name}]": values[:, column] for metric, values in by_class.items()}
    return figures


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _support(index: list[str], ids: NDArray[np.int64], names: list[str]) -> list[int]:
    """Count the samples behind each metric: those of the class, those of the rest, or all."""
    n = len(ids)
    support = dict.fromkeys(index, n)
    occurrences = np.bincount(ids, minlength=len(names)).tolist()
    if len(names) == 2:
        support |= {"sensitivity": occurrences[1], "specificity": occurrences[0]}
        return list(support.values())
    for name, count in zip(names, occurrences, strict=True):
        support |= {f"sensitivity[{name}]": count, f"specificity[{name}]": n - count}
    return list(support.values())


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str]) -> pd.DataFrame:
    """Count how often each class was called each class.

    Parameters
    ----------
    labels, predicted : array-like of int, shape (n,)
        Class ids, from 0 to k - 1: the true ones and the predicted ones.
    classes : sequence of str
        The k class names.

    Returns
    -------
    DataFrame
        Shape (k, k): rows are the true classes ("actual"), columns the predicted ones.

    Raises
    ------
    DataError
        For ids out of range, lengths that differ, repeated names, nothing at all.

    Examples
    --------
    >>> matrix = confusion_matrix([0, 1, 1], [0, 0, 1], ["normal", "tumor"])
    >>> matrix.to_numpy().tolist()
    [[1, 0], [1, 1]]
    >>> int(matrix.loc["tumor", "normal"])  # tumors called normal
    1
    """
    names, faults = check_classes(classes, len(classes))
    actual, label_faults = check_labels(labels, len(names))
    called, predicted_faults = check_labels(predicted, len(names), "predicted")
    faults = label_faults + predicted_faults + faults
    if len(actual) != len(called):
        faults.append(f"labels and predicted: {len(actual)} and {len(called)} rows; give the same number of both")
    if faults:
        raise DataError("confusion_matrix", faults)
    counts = sklearn_metrics.confusion_matrix(actual, called, labels=range(len(names)))
    return pd.DataFrame(counts, index=pd.Index(names, name="actual"), columns=pd.Index(names, name="predicted"))
