"""The table of predictions: its columns, and its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.errors import DataError
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
    names = any(isinstance(name, str) for name in ids)
    table = pd.DataFrame(
        {
            "path": pd.Series(paths, dtype="str"),
            "id": pd.Series(ids, dtype="str" if names else "Int64"),
            "status": pd.Series(["ok" if error is None else "error" for error in errors], dtype="str"),
            "error": pd.Series(errors, dtype="str"),
        }
    )
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
