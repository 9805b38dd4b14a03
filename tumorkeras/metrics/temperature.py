"""Temperature scaling: one number that makes a network as sure as it is right."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tumorkeras.errors import DataError
from tumorkeras.metrics.calibration import SMALLEST
from tumorkeras.metrics.checks import check_predictions, check_probabilities

LEAST, MOST = 0.05, 20.0


class Temperature(NamedTuple):
    """A temperature, and the mean log loss of the samples it was fitted to, without and with it.

    Above 1 the probabilities were too sure, below 1 not sure enough.

    Examples
    --------
    >>> found = Temperature(1.5, log_loss_before=0.7, log_loss_after=0.6, n=80)
    >>> found.value, found.at_end
    (1.5, False)
    """

    value: float
    log_loss_before: float
    log_loss_after: float
    n: int

    @property
    def at_end(self) -> bool:
        """Whether it is an end of the range, 0.05 or 20, and so not to be used: the samples tell none.

        All of them are called right, or the probabilities say less than nothing.
        """
        return any(math.isclose(self.value, end, rel_tol=1e-4) for end in (LEAST, MOST))


def fit_temperature(labels: ArrayLike, probabilities: ArrayLike) -> Temperature:
    """Find the temperature with the smallest log loss.

    Fit it to samples that trained nothing, such as the validation part.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Class ids, from 0 to k - 1.
    probabilities : array-like of float, shape (n, k) or (n,)
        Rows that sum to 1; or, for two classes, the probability of class 1.

    Returns
    -------
    Temperature
        From 0.05 to 20; 1 where all are as good. See `at_end` before it is used.

    Raises
    ------
    DataError
        For what :func:`classification_metrics` refuses, and where all samples are of one class.

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017.

    Examples
    --------
    >>> fit_temperature([0, 0, 0, 1, 1, 0, 1, 1], [0.01, 0.01, 0.01, 0.01, 0.99, 0.99, 0.99, 0.99]).value > 3
    True
    """
    ids, table, _ = check_predictions("fit_temperature", labels, probabilities)
    if len(np.unique(ids)) < 2:
        raise DataError(
            "fit_temperature", [f"labels: all are class {ids[0]}; a temperature needs at least two classes"]
        )
    logits, rows = _logits(table), np.arange(len(ids))

    def loss(logarithm: float) -> float:
        return float(-log_softmax(logits / np.exp(logarithm), axis=1)[rows, ids].mean())

    ends = (np.log(LEAST), np.log(MOST))
    best = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-6})
    # The search stops just inside of an end. Of equals the first counts: 1 where no temperature changes anything, the
    # end where the loss is 0 from somewhere on.
    chosen = min((0.0, *ends, best.x), key=loss)
    return Temperature(float(np.exp(chosen)), loss(0.0), loss(chosen), len(ids))


def apply_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Probabilities at a temperature: softmax of their logarithms over it.

    Parameters
    ----------
    probabilities : array-like of float, shape (n, k) or (n,)
        Rows that sum to 1; or, for two classes, the probability of class 1.
    temperature : float
        Above 0; 1 changes nothing.

    Returns
    -------
    ndarray of float64, shape (n, k) or (n,)
        In the form of what was given. The order of the classes stays. What is below 1.2e-7 is taken as that.

    Raises
    ------
    DataError
        For probabilities that are none, and a temperature of 0 or less.

    Examples
    --------
    >>> apply_temperature([[0.8, 0.2]], 2.0).round(3).tolist()
    [[0.667, 0.333]]
    """
    table, faults = check_probabilities(probabilities)
    if not temperature > 0:
        faults.append(f"temperature: {temperature} is not above 0")
    if faults:
        raise DataError("apply_temperature", faults)
    scaled = softmax(_logits(table) / temperature, axis=1)
    return scaled if np.ndim(probabilities) == 2 else scaled[:, 1]


def _logits(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(table, SMALLEST))
