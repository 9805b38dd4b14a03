"""The table of predictions: its columns, and its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS, NO_CLASS
from tumorkeras.errors import DataError, ModelError
from tumorkeras.files import write_whole


def predictions_table(
    paths: list[str],
    ids: list[int | str | None],
    errors: list[str | None],
    values: np.ndarray,
    output: str,
    classes: Sequence[str] | None,
) -> pd.DataFrame:
    """Lay out one row per outcome; ``values`` (n, width) is not a number where ``errors`` says why."""
    table = _outcomes(paths, ids, errors)
    if output == "reconstruction_error":
        table[output] = values[:, 0]
        return table
    ok = (table["status"] == "ok").to_numpy()
    winners = np.zeros(len(table), dtype="int64")
    winners[ok] = values[ok].argmax(axis=1)
    table["class_id"] = pd.Series(winners, dtype="Int64").mask(~ok)
    if classes is not None:
        table["class_name"] = pd.Series(np.asarray(classes, dtype=object)[winners], dtype="str").mask(~ok)
    columns = [f"probability_{name}" for name in classes or range(values.shape[1])]
    return pd.concat([table, pd.DataFrame(values, columns=columns)], axis=1)


def detections_table(
    paths: list[str],
    ids: list[int | str | None],
    errors: list[str | None],
    found: np.ndarray,
    classes: Sequence[str] | None,
) -> pd.DataFrame:
    """Lay out one row per detection, and one per sample without any: its class, score and box are missing.

    Parameters
    ----------
    paths, ids, errors : list
        Of the samples.
    found : ndarray, shape (n, most, 6)
        Class id, score, xmin, ymin, xmax and ymax, best first, padded with class -1; not numbers where ``errors``
        says why.
    classes : sequence of str or None
        Names by class id; without, the ids as text.

    Examples
    --------
    >>> found = np.array([[[0, 0.75, 1, 2, 9, 8], [-1, 0, 0, 0, 0, 0]], np.full((2, 6), np.nan)])
    >>> detections_table(["a.png", "b.png"], [None, None], [None, "is empty"], found, ["cyst"]).drop(columns="id")
        path status     error class  score  xmin  ymin  xmax  ymax
    0  a.png     ok       NaN  cyst   0.75   1.0   2.0   9.0   8.0
    1  b.png  error  is empty   NaN    NaN   NaN   NaN   NaN   NaN
    """
    real = found[..., 0] > NO_CLASS  # not so for what is no number
    real[~real.any(axis=1), 0] = True  # a row that says that there is nothing
    sample, place = np.nonzero(real)
    rows = np.where(found[sample, place, :1] > NO_CLASS, found[sample, place], np.nan)
    table = _outcomes(paths, ids, errors).iloc[sample].reset_index(drop=True)
    table["class"] = _class_names(rows[:, 0], classes)
    return pd.concat([table, pd.DataFrame(rows[:, 1:], columns=["score", *CORNERS])], axis=1)


def _class_names(labels: np.ndarray, classes: Sequence[str] | None) -> pd.Series:
    known = np.isfinite(labels)
    ids = np.where(known, labels, 0).astype("int64")
    most = int(ids.max(initial=0)) + 1
    names = list(classes) if classes is not None else [str(k) for k in range(most)]
    if known.any() and most > len(names):
        raise ModelError("score", [f"there are {len(names)} names of classes, but the model finds class {most - 1}"])
    return pd.Series(np.asarray([*names, ""], dtype=object)[np.where(known, ids, -1)], dtype="str").where(known)


def _outcomes(paths: list[str], ids: list[int | str | None], errors: list[str | None]) -> pd.DataFrame:
    names = any(isinstance(name, str) for name in ids)
    return pd.DataFrame(
        {
            "path": pd.Series(paths, dtype="str"),
            "id": pd.Series(ids, dtype="str" if names else "Int64"),
            "status": pd.Series(["ok" if error is None else "error" for error in errors], dtype="str"),
            "error": pd.Series(errors, dtype="str"),
        }
    )


def write_predictions(table: pd.DataFrame, path: str | Path) -> Path:
    r"""Write a table of predictions; nobody sees half of it, and a table that is there is replaced whole.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`tumorkeras.score` gives it.
    path : str or Path
        Ends in ``.parquet`` or ``.csv``; its folder must be there.

    Returns
    -------
    Path
        Where the table is.

    Raises
    ------
    DataError
        If :func:`check_place` finds a fault, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame({"path": ["a.npy"], "status": ["ok"]})
    >>> write_predictions(table, Path(tempfile.mkdtemp()) / "predictions.csv").read_text()
    'path,status\na.npy,ok\n'
    """
    path = check_place(path)
    try:
        content = table.to_csv(index=False) if path.suffix.lower() == ".csv" else table.to_parquet(index=False)
        write_whole(path, content)
    except OSError as error:
        raise DataError(str(path), [f"cannot be written: {error.strerror}"]) from None
    return path


def check_place(path: str | Path) -> Path:
    """See, before any work, that a table could be written to ``path``; nothing is written.

    Raises
    ------
    DataError
        If the ending is neither ``.parquet`` nor ``.csv``, or the folder is missing or cannot be written to.
    """
    path = Path(path)
    faults = []
    if path.suffix.lower() not in (".parquet", ".csv"):
        faults.append(f"ends in {path.suffix!r}, expected .parquet or .csv")
    if not path.parent.is_dir():
        faults.append(f"cannot be written: there is no folder {path.parent}; make it first")
    elif path.is_dir() or not os.access(path.parent, os.W_OK):
        faults.append("cannot be written: it is a folder, or its folder is read-only")
    if faults:
        raise DataError(str(path), faults)
    return path
