"""Folds that are kept as a file, so that every comparison of a project is made on the same ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.tracks import read_csv
from tumorkeras.errors import DataError, shortened
from tumorkeras.files import write_whole

Folds = list[tuple[np.ndarray, np.ndarray]]


def kept_folds(path: str | Path, ids: np.ndarray, groups: np.ndarray | None, make: Callable[[], Folds]) -> Folds:
    """The folds that a file holds; where there is no such file they are made and written.

    Parameters
    ----------
    path : path
        A CSV with the columns ``id`` and ``fold``: the fold that tests the sample, counted from 1.
    ids : ndarray of str
        The samples, in order.
    groups : ndarray or None
        Group of each sample, which no fold may divide.
    make : callable
        Gives pairs of training and test rows.

    Returns
    -------
    list of (ndarray, ndarray)
        Training and test rows of each fold.

    Raises
    ------
    DataError
        If the file names other samples, or its folds divide a group.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "folds.csv"
    >>> ids, halves = np.array(["a", "b"]), [(np.array([1]), np.array([0])), (np.array([0]), np.array([1]))]
    >>> kept_folds(path, ids, None, lambda: halves) == halves, path.read_text()
    (True, 'id,fold\\na,1\\nb,2\\n')
    >>> [test.tolist() for _, test in kept_folds(path, ids[::-1], None, list)]
    [[1], [0]]
    """
    path = Path(path)
    if path.is_file():
        numbers = _numbers(path, ids)
        _check_groups(path, groups, numbers)
        return [(np.flatnonzero(numbers != k), np.flatnonzero(numbers == k)) for k in np.unique(numbers)]
    folds = make()
    tested = {str(ids[row]): k for k, (_, test) in enumerate(folds, start=1) for row in test}
    table = pd.DataFrame({"id": ids, "fold": [tested[str(name)] for name in ids]})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, table.to_csv(index=False))
    return folds


def _numbers(path: Path, ids: np.ndarray) -> np.ndarray:
    table = read_csv(path)
    absent = [f"has no column {name!r}; it has {list(table.columns)}" for name in ("id", "fold") if name not in table]
    if absent:
        raise DataError(str(path), absent)
    found = dict(zip(table["id"], table["fold"], strict=True))
    known = set(map(str, ids))
    faults = [f"{name!r} has no fold" for name in known if name not in found]
    faults += [f"{name!r} is no sample outside the part 'test'" for name in found if name not in known]
    faults += [f"{name!r} stands more than once" for name in table.loc[table["id"].duplicated(), "id"]]
    odd = [(line, cell) for line, cell in table["fold"].items() if not cell.isdigit()]
    faults += [f"line {line}: fold {cell!r} is not a whole number" for line, cell in odd]
    if not faults and len(set(found.values())) < 2:
        faults = ["holds one fold only; expected at least 2"]
    if faults:
        raise DataError(str(path), [*shortened(sorted(faults)), "remove the file, and the folds are made anew"])
    return np.array([int(found[str(name)]) for name in ids])


def _check_groups(path: Path, groups: np.ndarray | None, numbers: np.ndarray) -> None:
    if groups is None:
        return
    divided = (pd.Series(numbers).groupby(groups).nunique() > 1).sum()
    if divided:
        raise DataError(str(path), [f"divides {divided} groups; remove the file, and the folds are made anew"])
