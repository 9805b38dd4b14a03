"""From which reconstruction error on a sample is unlike those that an autoencoder was trained with."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError

MARGIN = 1e-3  # relative: what another machine rounds differently must not lift a sample above its own error


class ErrorThreshold(NamedTuple):
    """A reconstruction error, and how often samples like those it comes from lie above it.

    Attributes
    ----------
    threshold : float
    quantile : float
        Share of the like samples that was to lie below.
    n : int
        Samples that it comes from.
    false_alarms : float
        Mean share of further samples like them above it, at most: 1 - quantile, or where they are few 1 / (n + 1).

    Examples
    --------
    >>> ErrorThreshold(0.04, quantile=0.99, n=24, false_alarms=0.04).threshold
    0.04
    """

    threshold: float
    quantile: float
    n: int
    false_alarms: float


def error_threshold(errors: ArrayLike, quantile: float = 0.99) -> ErrorThreshold:
    """Find the error above which at most a share of ``1 - quantile`` of samples like these is expected.

    It is the k-th smallest error, k = ceil(quantile (n + 1)): a further sample that could as well have been one of
    these lies above it with a probability of at most 1 - k / (n + 1). With fewer than quantile / (1 - quantile) samples
    (99 of 0.99) no error is large enough, the largest is taken, and 1 / (n + 1) lie above it.

    Parameters
    ----------
    errors : array-like of float, shape (n,)
        Of samples that trained nothing, such as the validation part; 0 or more.
    quantile : float, default 0.99
        Between 0 and 1.

    Returns
    -------
    ErrorThreshold
        A thousandth above that error.

    Raises
    ------
    DataError
        If there are no errors, one of them is negative or no number, or the quantile is out of range.

    Examples
    --------
    >>> found = error_threshold(range(1, 200))
    >>> round(found.threshold, 3), round(found.false_alarms, 3)  # the 198th of 199
    (198.198, 0.01)

    References
    ----------
    Vovk et al., *Algorithmic Learning in a Random World*, Springer 2005 (conformal prediction).
    """
    values = np.sort(np.asarray(errors, dtype="float64"))
    faults = [] if 0 < quantile < 1 else [f"quantile: {quantile} is not between 0 and 1"]
    if values.ndim != 1 or not len(values):
        faults.append(f"errors: the shape is {values.shape}, expected (n,), n > 0")
    elif not (np.isfinite(values) & (values >= 0)).all():
        faults.append("errors: some are negative or no numbers")
    if faults:
        raise DataError("error_threshold", faults)
    n = len(values)
    rank = min(n, math.ceil(quantile * (n + 1) - 1e-9))  # 0.99 of 100 is 99, whatever the rounding of the product
    return ErrorThreshold(float(values[rank - 1] * (1 + MARGIN)), quantile, n, 1 - rank / (n + 1))
