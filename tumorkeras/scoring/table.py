"""The table of predictions: its columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS, NO_CLASS
from tumorkeras.errors import ModelError


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
