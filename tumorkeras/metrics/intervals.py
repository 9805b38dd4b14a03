"""How sure a figure is: bootstrap intervals, intervals over folds, paired tests on the same folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_groups, check_settings

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
CHUNK = 2_000_000  # weights held at once (16 MB): resamples are drawn in chunks of rows


class Interval(NamedTuple):
    """A figure, the ends of its interval, and the number of values behind it.

    Examples
    --------
    >>> Interval(0.84, 0.74, 0.94, 3).low
    0.74
    """

    value: float
    low: float
    high: float
    n: int


class BootstrapResult(NamedTuple):
    """Figures and their bootstrap intervals; each array has a place for each figure.

    `undefined` counts the resamples in which a figure was NaN and which its interval leaves out;
    `units` is the number of groups (or samples) that were resampled.

    Examples
    --------
    >>> bootstrap(lambda weights: weights[:, 0], 4, groups=["p1", "p1", "p2", "p3"]).units
    3
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    undefined: NDArray[np.int64]
    units: int


class PairedTest(NamedTuple):
    """The difference of two methods, its interval, statistic and two-sided p-value; `n` folds or units are behind it.

    Examples
    --------
    >>> corrected_resampled_t([0.9, 0.8], [0.7, 0.7], test_fraction=0.5).n
    2
    """

    difference: float
    low: float
    high: float
    statistic: float
    p_value: float
    n: int


def bootstrap(
    statistic: Statistic,
    n: int,
    *,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> BootstrapResult:
    """Percentile bootstrap of figures that can be computed from sample weights.

    A resample is a row of counts: how often each sample was drawn. Where groups are given whole groups
    are drawn, so that samples of one patient stay together.

    Parameters
    ----------
    statistic : callable
        Takes weights of shape (r, n), gives figures of shape (r, m) or (r,); NaN where a figure is undefined.
    n : int
        Number of samples.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample. Each sample is its own unit without it.
    confidence : float, default 0.95
        Coverage of the interval, between 0 and 1.
    resamples : int, default 1000
    seed : int, default 0

    Returns
    -------
    BootstrapResult
        The ends are NaN where the figure is undefined, and where there are fewer than two units: one
        patient says nothing of how patients differ. Resamples with an undefined figure are left out of
        that figure's interval and counted in `undefined`.

    Raises
    ------
    DataError
        For no samples, groups of another length or missing, a setting out of range.

    Notes
    -----
    Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13. Percentile intervals are
    narrow for few units, and have no width where every sample agrees (an accuracy of exactly 1).

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([2.0, 4.0, 6.0, 8.0])
    >>> result = bootstrap(lambda weights: weights @ values / weights.sum(axis=1), 4)
    >>> float(result.value[0]), bool(result.low[0] < 5 < result.high[0])
    (5.0, True)
    """
    value, draws, units = resample(statistic, n, groups, confidence, resamples, seed)
    undefined = np.isnan(draws).sum(axis=0)
    low, high = percentiles(draws, confidence, usable=~np.isnan(value) & (units > 1))
    return BootstrapResult(value, low, high, undefined, units)


def resample(
    statistic: Statistic, n: int, groups: ArrayLike | None, confidence: float, resamples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Figures on all samples (m,), on each resample (resamples, m), and the number of units; see :func:`bootstrap`.

    Examples
    --------
    >>> value, draws, units = resample(lambda weights: weights.sum(axis=1), 4, None, 0.95, 3, seed=0)
    >>> value.tolist(), draws.ravel().tolist(), units
    ([4.0], [4.0, 4.0, 4.0], 4)
    """
    codes, faults = check_groups(groups, n)
    faults = check_settings(confidence=confidence, resamples=resamples) + faults
    if n < 1:
        faults.append("samples: none; at least one is needed")
    if faults:
        raise DataError("bootstrap", faults)
    units = n if codes is None else int(codes.max()) + 1
    value = _columns(statistic(np.ones((1, n))))[0]
    draws = np.concatenate(
        [_columns(statistic(weights)) for weights in _resampled_weights(codes, units, n, resamples, seed)]
    )
    return value, draws, units


def _columns(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    figures = np.asarray(figures, dtype=np.float64)
    return figures[:, None] if figures.ndim == 1 else figures


def _resampled_weights(
    codes: NDArray[np.int64] | None, units: int, n: int, resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Yield weights (rows, n), in all `resamples` rows: how often each sample's unit was drawn."""
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(units, size=(rows, units)) + np.arange(rows)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)
        yield (counts if codes is None else counts[:, codes]).astype(np.float64)


def percentiles(
    draws: NDArray[np.float64], confidence: float, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the percentile intervals of figures (resamples, m), NaN left out; NaN where one is not usable.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = percentiles(np.arange(101.0)[:, None], 0.9, np.array([True]))
    >>> low.round(6).tolist(), high.round(6).tolist()
    ([5.0], [95.0])
    """
    ends = np.full((2, draws.shape[1]), np.nan)
    tail = (1 - confidence) / 2
    for column in np.flatnonzero(usable):
        defined = draws[~np.isnan(draws[:, column]), column]
        if len(defined):
            ends[:, column] = np.quantile(defined, [tail, 1 - tail])
    return ends[0], ends[1]


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean over folds or seeds.

    Parameters
    ----------
    values : array-like of float, shape (n,)
        One figure a fold. NaN, a fold where the figure is undefined, is left out and not counted in `n`.
    confidence : float, default 0.95

    Returns
    -------
    Interval
        Ends are NaN where fewer than two folds have a figure; all is NaN where none has.

    Raises
    ------
    DataError
        For no values, infinite values, or a confidence out of range.

    Notes
    -----
    Folds share training samples, so that this interval is somewhat narrow for "another training set";
    to compare two methods use :func:`corrected_resampled_t`.

    Examples
    --------
    >>> mean, low, high, n = mean_interval([0.80, 0.84, 0.88])
    >>> f"{mean:.2f} [{low:.3f}, {high:.3f}] over {n} folds"
    '0.84 [0.741, 0.939] over 3 folds'
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    faults = check_settings(confidence=confidence)
    if len(array) == 0:
        faults.append("values: empty; one figure per fold is needed")
    if np.isinf(array).any():
        faults.append("values: infinite figures have no mean")
    if faults:
        raise DataError("mean_interval", faults)
    array = array[~np.isnan(array)]
    n = len(array)
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = float(array.mean())
    if n == 1:
        return Interval(mean, np.nan, np.nan, 1)
    reach = _t_quantile(confidence, n - 1) * float(array.std(ddof=1)) / np.sqrt(n)
    return Interval(mean, float(mean - reach), float(mean + reach), n)


def corrected_resampled_t(a: ArrayLike, b: ArrayLike, test_fraction: float, confidence: float = 0.95) -> PairedTest:
    """Compare two methods that were run on the same folds or random splits.

    The variance of the mean difference is (1/n + n_test/n_train) times the variance of the differences:
    training parts overlap, so the plain paired t test calls too many differences real.

    Parameters
    ----------
    a, b : array-like of float, shape (n,)
        The figures of the two methods, fold by fold. Folds where either is NaN are left out.
    test_fraction : float
        Share of the samples that a fold tests on, between 0 and 1: 1/k for k folds.
    confidence : float, default 0.95

    Returns
    -------
    PairedTest
        `difference` is mean(a - b). With fewer than two folds all but the difference is NaN. Where all folds
        differ by the same amount the test is at its limit: p = 1 for no difference, else 0.

    Raises
    ------
    DataError
        For figures of different lengths, none at all, or a fraction out of range.

    Notes
    -----
    Nadeau & Bengio, *Inference for the Generalization Error*, Machine Learning 52:239-281, 2003.

    Examples
    --------
    >>> test = corrected_resampled_t([0.9, 0.8, 0.9, 0.8], [0.7, 0.7, 0.7, 0.7], test_fraction=0.25)
    >>> f"{test.difference:.2f} [{test.low:.2f}, {test.high:.2f}], p = {test.p_value:.3f}"
    '0.15 [0.01, 0.29], p = 0.042'
    """
    first, second = (np.asarray(values, dtype=np.float64).ravel() for values in (a, b))
    faults = check_settings(confidence=confidence)
    if not 0 < test_fraction < 1:
        faults.append(f"test_fraction: {test_fraction} is not between 0 and 1; k folds test on 1/k")
    if len(first) != len(second) or len(first) == 0:
        faults.append(f"a and b: {len(first)} and {len(second)} figures; give one per fold, the same folds in order")
    if faults:
        raise DataError("corrected_resampled_t", faults)
    differences = (first - second)[~np.isnan(first - second)]
    n = len(differences)
    mean = float(differences.mean()) if n else np.nan
    if n < 2:
        return PairedTest(mean, np.nan, np.nan, np.nan, np.nan, n)
    error = float(np.sqrt((1 / n + test_fraction / (1 - test_fraction)) * differences.var(ddof=1)))
    if error <= 1e-12 * abs(mean) or error == 0:  # constant differences, up to rounding
        statistic = float(np.copysign(np.inf, mean)) if mean else 0.0
        return PairedTest(mean, mean, mean, statistic, 0.0 if mean else 1.0, n)
    reach = _t_quantile(confidence, n - 1) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, n - 1))
    return PairedTest(mean, mean - reach, mean + reach, mean / error, p_value, n)


def _t_quantile(confidence: float, freedom: int) -> float:
    return float(stats.t.ppf((1 + confidence) / 2, freedom))
