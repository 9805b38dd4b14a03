"""Paired bootstrap: whether two methods that saw the same samples differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.metrics.intervals import PairedTest, Statistic, percentiles, resample


def paired_bootstrap(
    difference: Statistic,
    n: int,
    *,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedTest:
    """Test a difference of two methods that can be computed from sample weights.

    Parameters
    ----------
    difference : callable
        Takes weights of shape (r, n), gives the figure of one method less that of the other, shape (r,), both from
        the same weights; NaN where it is undefined.
    n : int
        Number of samples.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample. Each sample is its own unit without it.
    confidence : float, default 0.95
        Coverage of the percentile interval, between 0 and 1.
    resamples : int, default 2000
    seed : int, default 0

    Returns
    -------
    PairedTest
        `p_value` is twice the smaller share of resamples on one side of zero, zero itself on both, and each counted
        once more than found: never below 2 / (resamples + 1). `statistic` is the difference over the standard
        deviation of its resamples, infinite where they are all the same. `n` is the number of units. All but the
        difference is NaN with fewer than two units or for an undefined difference.

    Raises
    ------
    DataError
        For no samples, groups of another length or missing, a setting out of range.

    Notes
    -----
    Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 13 and 15; Davison & Hinkley, *Bootstrap
    Methods and their Application*, 1997, chapter 4. The test is that of the percentile interval, and somewhat bold
    for few units.

    Examples
    --------
    >>> import numpy as np
    >>> gain = np.array([0.1, 0.3, 0.2, 0.4, -0.1, 0.2])
    >>> test = paired_bootstrap(lambda weights: weights @ gain / weights.sum(axis=1), 6)
    >>> f"{test.difference:.2f}, p = {test.p_value:.3f}"
    '0.18, p = 0.012'
    """
    value, draws, units = resample(difference, n, groups, confidence, resamples, seed)
    ends = percentiles(draws, confidence, usable=~np.isnan(value) & (units > 1))
    low, high = (float(end[0]) for end in ends)
    defined = draws[~np.isnan(draws[:, 0]), 0]
    if np.isnan(low) or not len(defined):
        return PairedTest(float(value[0]), np.nan, np.nan, np.nan, np.nan, units)
    below, above = (int((side * defined >= 0).sum()) for side in (-1, 1))
    p_value = min(1.0, 2 * (min(below, above) + 1) / (len(defined) + 1))
    return PairedTest(float(value[0]), low, high, _standardised(float(value[0]), defined), p_value, units)


def _standardised(value: float, draws: np.ndarray) -> float:
    error = float(draws.std(ddof=1)) if len(draws) > 1 else 0.0
    if error:
        return value / error
    return float(np.copysign(np.inf, value)) if value else 0.0
