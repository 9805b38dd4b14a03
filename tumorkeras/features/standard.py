"""Features on one scale, as methods that measure distances need them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

NEGLIGIBLE = 1e-12  # a deviation below this share of the largest value is rounding, not variation
SHOWN = 5


def standardised(features: ArrayLike | pd.DataFrame) -> tuple[NDArray[np.float64], list[str]]:
    """Bring each feature to mean 0 and standard deviation 1; a constant one is 0.

    Parameters
    ----------
    features : DataFrame or array-like of float, shape (n, k)

    Returns
    -------
    values : ndarray of float64, shape (n, k)
        Zeros where there are faults.
    faults : list of str
        A shape that is no table, fewer than two samples, columns that hold other than finite numbers, a table in
        which nothing varies.

    Examples
    --------
    >>> standardised([[-1, 5, -1e300], [1, 5, 1e300]])[0].tolist()
    [[-1.0, 0.0, -1.0], [1.0, 0.0, 1.0]]
    >>> standardised(pd.DataFrame({"speed": [1.0, np.nan], "turns": [1, 2]}))[1]
    ["features: NaN or infinite in column 'speed' (1 of 2 rows)"]
    """
    if not isinstance(features, pd.DataFrame):
        array = np.asarray(features)
        if array.ndim != 2:
            return np.zeros((len(np.atleast_1d(array)), 1)), [f"features: shape {array.shape} is not (n, k)"]
        features = pd.DataFrame(array)
    faults = _faults(features)
    if faults:
        return np.zeros(features.shape), faults
    values = features.to_numpy(np.float64)
    largest = np.abs(values).max(axis=0)
    values = values / np.where(largest > 0, largest, 1)  # squares of what is left cannot overflow
    deviation = values.std(axis=0)
    varies = deviation > NEGLIGIBLE
    if not varies.any():
        return values, ["features: all rows are equal; there is nothing to tell apart"]
    return np.where(varies, values - values.mean(axis=0), 0) / np.where(varies, deviation, 1), []


def _faults(table: pd.DataFrame) -> list[str]:
    if len(table) < 2 or not table.shape[1]:
        return [f"features: shape {table.shape}; at least 2 samples and 1 feature are needed"]
    wrong = [not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    if any(wrong):
        return [f"features: other than numbers in {_columns(table, wrong)}"]
    broken = ~np.isfinite(table.to_numpy(np.float64, na_value=np.nan))
    if broken.any():
        rows = f"{broken.any(axis=1).sum()} of {len(table)} rows"
        return [f"features: NaN or infinite in {_columns(table, broken.any(axis=0))} ({rows})"]
    return []


def _columns(table: pd.DataFrame, chosen: ArrayLike) -> str:
    names = [repr(name) for name in table.columns[np.asarray(chosen)]]
    named = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"column{'s' if len(names) > 1 else ''} {named}"
