"""Where to call class 1: the threshold for a wanted sensitivity, and the specificity it costs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_predictions
from tumorkeras.metrics.classification import classification_metrics
from tumorkeras.metrics.intervals import Interval


class OperatingPoint(NamedTuple):
    """A threshold of the probability of class 1, with the sensitivity and specificity of calling class 1 from it on.

    Examples
    --------
    >>> OperatingPoint(0.3, Interval(0.95, 0.9, 1.0, 40), Interval(0.6, 0.5, 0.7, 80)).specificity.value
    0.6
    """

    threshold: float
    sensitivity: Interval
    specificity: Interval


def threshold_for_sensitivity(
    labels: ArrayLike,
    probabilities: ArrayLike,
    sensitivity: float = 0.95,
    *,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> OperatingPoint:
    """Find the largest threshold whose sensitivity reaches the wanted one.

    Choose it on samples that are not reported on, such as the validation part: on those that chose it the sensitivity
    is a little too good.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        0 or 1; 1 is the positive class.
    probabilities : array-like of float, shape (n,) or (n, 2)
        The probability of class 1, or of both.
    sensitivity : float, default 0.95
        Wanted share of the positives, above 0 to 1.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample. Whole groups are resampled where it is given.
    confidence : float, default 0.95
    resamples : int, default 1000
    seed : int, default 0

    Returns
    -------
    OperatingPoint
        The intervals are those of the figures at this threshold; that another sample would choose another threshold
        is not in them.

    Raises
    ------
    DataError
        For what :func:`classification_metrics` refuses, more than two classes, one class only, or a wanted sensitivity
        out of range.

    Examples
    --------
    >>> point = threshold_for_sensitivity([0, 0, 0, 1, 1, 1], [0.1, 0.4, 0.6, 0.3, 0.7, 0.9], sensitivity=0.9)
    >>> point.threshold, point.sensitivity.value, round(point.specificity.value, 3)
    (0.3, 1.0, 0.333)
    """
    heading = "threshold_for_sensitivity"
    ids, table, _ = check_predictions(heading, labels, probabilities)
    faults = [] if table.shape[1] == 2 else [f"probabilities: {table.shape[1]} classes; a threshold needs two"]
    if not 0 < sensitivity <= 1:
        faults.append(f"sensitivity: {sensitivity} is not above 0 to 1")
    if len(np.unique(ids)) < 2:
        faults.append(f"labels: all are class {ids[0]}; both classes are needed")
    if faults:
        raise DataError(heading, faults)
    positives = np.sort(table[ids == 1, 1])[::-1]
    needed = math.ceil(sensitivity * len(positives) - 1e-9)  # 0.95 of 20 is 19, whatever the rounding of the product
    threshold = float(positives[needed - 1])
    figures = classification_metrics(
        ids, table, groups=groups, threshold=threshold, confidence=confidence, resamples=resamples, seed=seed
    )
    return OperatingPoint(threshold, _figure(figures, "sensitivity"), _figure(figures, "specificity"))


def _figure(table: pd.DataFrame, name: str) -> Interval:
    value, low, high, n = table.loc[name, ["value", "low", "high", "n"]].to_numpy("float64")
    return Interval(float(value), float(low), float(high), int(n))
