"""What metrics refuse: every fault of labels, probabilities, groups and settings, told at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tumorkeras.errors import DataError

ROW_SUM_TOLERANCE = 1e-3  # half-precision softmax rows miss 1 by up to a few 1e-4
SHOWN = 5


def rows_of(wrong: NDArray[np.bool_]) -> str:
    """Name the rows where `wrong` is true: the first few, and how many there are.

    Examples
    --------
    >>> import numpy as np
    >>> rows_of(np.array([False, True, True]))
    'rows 1, 2 (2 of 3)'
    """
    rows = np.flatnonzero(wrong)
    named = ", ".join(str(row) for row in rows[:SHOWN]) + (", ..." if len(rows) > SHOWN else "")
    return f"{'row' if len(rows) == 1 else 'rows'} {named} ({len(rows)} of {len(wrong)})"


def check_labels(labels: ArrayLike, k: int | None, name: str = "labels") -> tuple[NDArray[np.int64], list[str]]:
    """Read class ids.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Class ids, from 0 to `k` - 1.
    k : int or None
        Number of classes; None leaves the upper end open.
    name : str, default "labels"
        What the faults call them.

    Returns
    -------
    ids : ndarray of int64, shape (n,)
        The labels; zeros in place of what could not be read.
    faults : list of str

    Examples
    --------
    >>> check_labels([0, 1, 2], 2)[1]
    ['labels: class ids must be integers from 0 to 1; found otherwise in row 2 (1 of 3), such as 2']
    """
    values = np.asarray(labels)
    if values.ndim != 1:
        return np.zeros(len(np.atleast_1d(values)), np.int64), [f"{name}: shape {values.shape} is not (n,)"]
    if len(values) == 0:
        return np.zeros(0, np.int64), [f"{name}: empty; at least one sample is needed"]
    if values.dtype.kind not in "biuf":
        fault = f"{name}: {str(values[0])!r} is not a class id; give integers from 0 in the order of the classes"
        return np.zeros(len(values), np.int64), [fault]
    numbers = values.astype(np.float64)
    wrong = ~np.isfinite(numbers) | (numbers != np.floor(numbers)) | (numbers < 0)
    if k is not None:
        wrong |= numbers >= k
    if not wrong.any():
        return values.astype(np.int64), []
    top = "" if k is None else f" to {k - 1}"
    found = f"found otherwise in {rows_of(wrong)}, such as {values[wrong][0]}"
    ids = np.where(wrong, 0, numbers).astype(np.int64)
    return ids, [f"{name}: class ids must be integers from 0{top}; {found}"]


def check_probabilities(probabilities: ArrayLike) -> tuple[NDArray[np.float64], list[str]]:
    """Read class probabilities.

    Parameters
    ----------
    probabilities : array-like of float, shape (n, k) or (n,)
        Rows that sum to 1; or the probability of class 1 of two.

    Returns
    -------
    table : ndarray of float64, shape (n, k)
    faults : list of str

    Examples
    --------
    >>> table, faults = check_probabilities([0.25, 1.0])
    >>> table.tolist(), faults
    ([[0.75, 0.25], [0.0, 1.0]], [])
    """
    try:
        table = np.asarray(probabilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        return np.zeros((0, 2)), [f"probabilities: not a table of numbers ({error})"]
    if table.ndim == 1:
        table = np.column_stack([1 - table, table])
    if table.ndim != 2 or table.shape[1] < 2:
        shapes = "(n, k) with k >= 2, nor (n,) for the positive class of two"
        rows = len(np.atleast_1d(table))
        return np.zeros((rows, 2)), [f"probabilities: shape {table.shape} is not {shapes}"]
    return table, _value_faults(table)


def _value_faults(table: NDArray[np.float64]) -> list[str]:
    if len(table) == 0:
        return ["probabilities: empty; at least one sample is needed"]
    sums = table.sum(axis=1)
    broken: NDArray[np.bool_] = ~np.isfinite(sums)
    low, high = table.min(axis=1), table.max(axis=1)
    outside: NDArray[np.bool_] = ~broken & ((low < -ROW_SUM_TOLERANCE) | (high > 1 + ROW_SUM_TOLERANCE))
    unsummed = ~broken & ~outside & (np.abs(sums - 1) > ROW_SUM_TOLERANCE)
    faults = []
    if broken.any():
        faults.append(f"probabilities: NaN or infinite in {rows_of(broken)}")
    if outside.any():
        faults.append(f"probabilities: outside 0 to 1 in {rows_of(outside)}; give softmax output, not logits")
    if unsummed.any():
        example = sums[unsummed][0]
        faults.append(f"probabilities: do not sum to 1 in {rows_of(unsummed)}, such as {example:.4g}")
    return faults


def check_groups(groups: ArrayLike | None, n: int) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Read the group (patient, exam, ...) of each sample as numbers from 0.

    Examples
    --------
    >>> check_groups(["p7", "p2", "p7"], 3)[0].tolist()
    [0, 1, 0]
    """
    if groups is None:
        return None, []
    units = np.asarray(groups, dtype=object)
    if units.ndim != 1:
        return None, [f"groups: shape {units.shape} is not (n,)"]
    codes, _ = pd.factorize(units)
    faults = []
    if len(codes) != n:
        faults.append(f"groups: {len(codes)} of them for {n} samples; give one per sample")
    if (codes < 0).any():
        faults.append(f"groups: missing in {rows_of(codes < 0)}; give a sample without a group its own")
    return codes.astype(np.int64), faults


def check_settings(*, confidence: float = 0.95, resamples: int = 1, threshold: float = 0.5) -> list[str]:
    """Name the settings that are out of range.

    Examples
    --------
    >>> check_settings(confidence=95)
    ['confidence: 95 is not between 0 and 1']
    """
    faults = []
    if not 0 < confidence < 1:
        faults.append(f"confidence: {confidence} is not between 0 and 1")
    if int(resamples) != resamples or resamples < 1:
        faults.append(f"resamples: {resamples} is not a positive integer")
    if not 0 <= threshold <= 1:
        faults.append(f"threshold: {threshold} is not from 0 to 1")
    return faults


def check_classes(classes: Sequence[str] | None, k: int) -> tuple[list[str], list[str]]:
    """Read class names; the ids themselves where none are given.

    Examples
    --------
    >>> check_classes(None, 2)
    (['0', '1'], [])
    """
    if classes is None:
        return [str(i) for i in range(k)], []
    names = [str(name) for name in classes]
    faults = []
    if len(names) != k:
        faults.append(f"classes: {len(names)} names for {k} columns of probabilities")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        faults.append(f"classes: named twice: {', '.join(repeated)}")
    return names, faults


def check_predictions(
    heading: str, labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:
    """Read labels, probabilities and class names that belong together.

    Raises
    ------
    DataError
        With all faults, under `heading`.

    Examples
    --------
    >>> labels, table, names = check_predictions("scores", [0, 1], [0.1, 0.9])
    >>> names
    ['0', '1']
    """
    table, faults = check_probabilities(probabilities)
    k = None if faults and not len(table) else table.shape[1]
    ids, label_faults = check_labels(labels, k)
    names, class_faults = check_classes(classes, k) if k else ([], [])
    faults = label_faults + faults + class_faults
    if len(ids) != len(table):
        faults.append(f"labels and probabilities: {len(ids)} and {len(table)} rows; give the same number of both")
    if faults:
        raise DataError(heading, faults)
    return ids, table, names
