"""ROC: the area under the curve for many weightings at once, and the curve's points."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_predictions


def weighted_auc(positive: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    """Area under the ROC curve for each row of weights; scores are sorted once for all rows.

    Parameters
    ----------
    positive : array-like of bool, shape (n,)
        Which samples are of the positive class.
    scores : array-like of float, shape (n,)
        Higher is more positive. Equal scores count half, as in the Mann-Whitney statistic.
    weights : array-like of float, shape (r, n), optional
        Non-negative; one row per resample. Without it, one row of ones.

    Returns
    -------
    ndarray of float64, shape (r,)
        From 0 to 1; NaN where a row has no weight on one of the two classes.

    Examples
    --------
    >>> weighted_auc([False, True, True], [0.2, 0.2, 0.9]).tolist()
    [0.75]
    >>> weighted_auc([False, True, True], [0.2, 0.2, 0.9], [[1, 0, 5], [0, 1, 1]]).tolist()
    [1.0, nan]
    """
    truth = np.asarray(positive, dtype=bool)
    values = np.asarray(scores, dtype=np.float64)
    rows = np.ones((1, len(values))) if weights is None else np.atleast_2d(np.asarray(weights, np.float64))
    order = np.argsort(values, kind="stable")
    ordered = rows[:, order]
    above = np.where(truth[order], ordered, 0.0)  # weight of positives, in the order of the scores
    below = ordered - above
    ties = np.flatnonzero(np.diff(values[order], prepend=-np.inf) > 0)
    if len(ties) < len(values):
        above, below = (np.add.reduceat(part, ties, axis=1) for part in (above, below))
    # a positive beats every negative with a lower score, and half of those with its own
    beaten = np.cumsum(below, axis=1) - below / 2
    wins = np.einsum("rb,rb->r", above, beaten)
    pairs = above.sum(axis=1) * below.sum(axis=1)
    return np.divide(wins, pairs, out=np.full(len(rows), np.nan), where=pairs > 0)


def roc_points(labels: ArrayLike, probabilities: ArrayLike) -> pd.DataFrame:
    """Corners of the ROC curve of two classes.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        0 or 1; 1 is the positive class.
    probabilities : array-like of float, shape (n,) or (n, 2)
        The probability of class 1, or of both.

    Returns
    -------
    DataFrame
        Columns `threshold` (falling from infinity), `false_positive_rate` and `true_positive_rate`
        (rising from 0 to 1).

    Raises
    ------
    DataError
        For labels or probabilities that :func:`classification_metrics` would refuse, for more than two
        classes, and where only one class occurs.

    Examples
    --------
    >>> roc_points([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
       threshold  false_positive_rate  true_positive_rate
    0        inf                  0.0                 0.0
    1       0.80                  0.0                 0.5
    2       0.40                  0.5                 0.5
    3       0.35                  0.5                 1.0
    4       0.10                  1.0                 1.0
    """
    ids, table, _ = check_predictions("roc_points", labels, probabilities)
    if table.shape[1] != 2:
        raise DataError("roc_points", [f"probabilities: {table.shape[1]} classes; one curve needs two"])
    if len(np.unique(ids)) < 2:
        raise DataError("roc_points", [f"labels: all are class {ids[0]}; a curve needs both classes"])
    false_positive, true_positive, threshold = roc_curve(ids, table[:, 1])
    return pd.DataFrame(
        {"threshold": threshold, "false_positive_rate": false_positive, "true_positive_rate": true_positive}
    )
