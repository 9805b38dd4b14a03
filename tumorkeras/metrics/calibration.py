"""How far probabilities can be taken at their word: reliability, calibration error, Brier score."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_groups, check_predictions, check_settings
from tumorkeras.metrics.intervals import bootstrap

Array = NDArray[np.float64]
Strategy = Literal["uniform", "quantile"]
SMALLEST = float(np.finfo(np.float32).eps)  # a probability of 0 has no logarithm


def reliability_table(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    bins: int = 10,
    strategy: Strategy = "uniform",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Hold probabilities against frequencies, bin by bin.

    Of two classes the probability of class 1 is held against how often class 1 is the true one; of more the probability
    of the most probable class against how often it is right.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Class ids, from 0 to k - 1.
    probabilities : array-like of float, shape (n, k) or (n,)
        Rows that sum to 1; or, for two classes, the probability of class 1.
    bins : int, default 10
    strategy : {"uniform", "quantile"}, default "uniform"
        Bins of one width, or with about as many samples each.
    confidence : float, default 0.95
        Coverage of the intervals of the frequencies.

    Returns
    -------
    DataFrame
        A row for each bin that has a sample: `low` and `high`, its ends (`high` is in the last one only);
        `probability`, the mean; `frequency`, with the ends of its Wilson interval `frequency_low` and
        `frequency_high`; `count`.

    Raises
    ------
    DataError
        For what :func:`classification_metrics` refuses, and settings out of range.

    Examples
    --------
    >>> table = reliability_table([0, 1, 1, 1], [0.2, 0.2, 0.8, 0.9], bins=2)
    >>> table[["low", "high", "probability", "frequency", "count"]]
       low  high  probability  frequency  count
    0  0.0   0.5         0.20        0.5      2
    1  0.5   1.0         0.85        1.0      2

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017. Wilson, *JASA* 22:209-212, 1927.
    """
    ids, table, _ = _checked("reliability_table", labels, probabilities, bins, strategy, confidence=confidence)
    stated, right = _stated(ids, table)
    edges, place = _bins(stated, bins, strategy)
    rows = []
    for k in np.unique(place):
        inside = place == k
        hits, count = int(right[inside].sum()), int(inside.sum())
        low, high = stats.binomtest(hits, count).proportion_ci(confidence, method="wilson")
        ends = {"low": edges[k], "high": edges[k + 1]}
        found = {"frequency": hits / count, "frequency_low": low, "frequency_high": high, "count": count}
        rows.append({**ends, "probability": stated[inside].mean(), **found})
    return pd.DataFrame(rows)


def calibration_error(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    bins: int = 10,
    strategy: Strategy = "uniform",
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of what is wrong with probabilities, with bootstrap percentile intervals.

    Parameters
    ----------
    labels, probabilities, bins, strategy
        As for :func:`reliability_table`.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample. Whole groups are resampled where it is given.
    confidence : float, default 0.95
        Coverage of the intervals.
    resamples : int, default 1000
    seed : int, default 0

    Returns
    -------
    DataFrame
        Columns `value`, `low`, `high` and `n`; rows, all 0 at their best:

        - ``ECE``: mean distance of probability and frequency over the bins, by their counts;
        - ``MCE``: the largest distance of any bin;
        - ``Brier``: mean squared error of the probabilities: of class 1 of two, of more summed over the classes;
        - ``log_loss``: mean negative logarithm of the probability of the true class.

    Raises
    ------
    DataError
        For what :func:`classification_metrics` refuses, and settings out of range.

    Notes
    -----
    ECE and MCE of few samples are too large: also perfect probabilities differ from the frequencies of small bins. A
    resample is noisier than the data, so that their intervals may even lie above the value. Compare two sets of
    probabilities of the same samples, or read the Brier score, which is not biased.

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017. Nixon et al., *Measuring Calibration in Deep
    Learning*, CVPR Workshops 2019. Brier, *Monthly Weather Review* 78:1-3, 1950.

    Examples
    --------
    >>> table = calibration_error([0, 1, 1, 1], [0.2, 0.2, 0.8, 0.9], bins=2)
    >>> table["value"].round(3).to_dict()
    {'ECE': 0.225, 'MCE': 0.3, 'Brier': 0.183, 'log_loss': 0.54}
    """
    heading = "calibration_error"
    ids, table, codes = _checked(
        heading, labels, probabilities, bins, strategy, groups, confidence=confidence, resamples=resamples
    )
    stated, right = _stated(ids, table)
    _, place = _bins(stated, bins, strategy)
    inside = (place[:, None] == np.arange(place.max() + 1)).astype(np.float64)
    squares, losses = _squared_errors(ids, table), -np.log(np.maximum(table[np.arange(len(ids)), ids], SMALLEST))

    def figures(weights: Array) -> Array:
        total, counts = weights.sum(axis=1), weights @ inside
        gaps = np.abs(weights @ (inside * (stated - right)[:, None]))
        largest = np.divide(gaps, counts, out=np.zeros_like(gaps), where=counts > 0).max(axis=1)
        return (
            np.column_stack([gaps.sum(axis=1), largest * total, weights @ squares, weights @ losses]) / total[:, None]
        )

    found = bootstrap(figures, len(ids), groups=codes, confidence=confidence, resamples=resamples, seed=seed)
    columns = {"value": found.value, "low": found.low, "high": found.high, "n": len(ids)}
    return pd.DataFrame(columns, index=["ECE", "MCE", "Brier", "log_loss"])


def _checked(
    heading: str,
    labels: ArrayLike,
    probabilities: ArrayLike,
    bins: int,
    strategy: str,
    groups: ArrayLike | None = None,
    **settings: Any,
) -> tuple[NDArray[np.int64], Array, NDArray[np.int64] | None]:
    ids, table, _ = check_predictions(heading, labels, probabilities)
    codes, faults = check_groups(groups, len(ids))
    faults += check_settings(**settings)
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        faults.append(f"bins: {bins!r} is not a positive integer")
    if strategy not in ("uniform", "quantile"):
        faults.append(f"strategy: {strategy!r} is neither 'uniform' nor 'quantile'")
    if faults:
        raise DataError(heading, faults)
    return ids, table, codes


def _stated(ids: NDArray[np.int64], table: Array) -> tuple[Array, NDArray[np.bool_]]:
    """What is said of each sample, as a probability, and whether it is so."""
    if table.shape[1] == 2:
        return table[:, 1], ids == 1
    return table.max(axis=1), table.argmax(axis=1) == ids


def _bins(stated: Array, bins: int, strategy: str) -> tuple[Array, NDArray[np.int64]]:
    """The ends of the bins, and the bin of each sample."""
    edges = np.linspace(0, 1, bins + 1)
    if strategy == "quantile":
        edges = np.unique([0.0, *np.quantile(stated, edges[1:-1]), 1.0])
    return edges, np.searchsorted(edges[1:-1], stated, side="right")


def _squared_errors(ids: NDArray[np.int64], table: Array) -> Array:
    errors = (table - np.eye(table.shape[1])[ids]) ** 2
    return errors[:, 1] if table.shape[1] == 2 else errors.sum(axis=1)
