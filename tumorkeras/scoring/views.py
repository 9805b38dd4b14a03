"""The table of detections, a row a detection, seen image by image."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tumorkeras.boxes import CORNERS
from tumorkeras.errors import DataError
from tumorkeras.scoring.table import INPUT

DETECTION = ["class", "score", *CORNERS]
SAME = 1e-3  # two detections of a class that agree to this, in score and in sides, are one


def detections_per_image(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out one row an image from one row a detection.

    Images keep their order, and one that was scored twice is there twice. Where one image ends and the next begins is
    read from the rows: path, id or a column carried along changes; or there is no detection; or a score is larger than
    the one before it; or the first detection of the image comes again, which NMS leaves no image. So an image listed
    twice in a row is told apart, as long as a scoring gives it the same detections each time.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`tumorkeras.score` gives it for a detector.

    Returns
    -------
    pandas.DataFrame
        All columns but those of a detection (``path``, ``id``, ``status``, ``error``, those carried along), and
        ``num_detections``, ``best_score``, missing where nothing was found, ``classes`` (list of str), ``scores``
        (float32, (n,)) and ``boxes`` (float32, (n, 4), xmin, ymin, xmax and ymax). Of an image that could not be scored
        all of these are missing; of one without detections the count is 0 and the lists are empty.

    Raises
    ------
    DataError
        If a column is missing.

    Examples
    --------
    >>> rows = [["a.png", "ok", "cyst", 0.75, 1, 2, 9, 8], ["a.png", "ok", "cyst", 0.5, 0, 0, 4, 4],
    ...         ["b.png", "ok", None, None, None, None, None, None], ["c.png", "error"] + [None] * 6]
    >>> table = pd.DataFrame(rows, columns=["path", "status", *DETECTION])
    >>> detections_per_image(table)[["path", "status", "num_detections", "best_score", "classes"]]
        path status  num_detections  best_score       classes
    0  a.png     ok               2        0.75  [cyst, cyst]
    1  b.png     ok               0         NaN            []
    2  c.png  error            <NA>         NaN          None
    """
    absent = [name for name in ("path", "status", *DETECTION) if name not in table.columns]
    if absent:
        raise DataError("detections_per_image", [f"no column {name}; give a table of detections" for name in absent])
    starts = np.flatnonzero(image_starts(table))
    images = table.iloc[starts].reset_index(drop=True).drop(columns=[*DETECTION, INPUT], errors="ignore")
    found = table["score"].notna().to_numpy()
    counts = np.add.reduceat(found.astype("int64"), starts) if len(starts) else np.zeros(0, "int64")
    failed = (images["status"] == "error").to_numpy()
    images["num_detections"] = pd.Series(counts, dtype="Int64").mask(failed)
    images["best_score"] = table["score"].iloc[starts].to_numpy("float32")
    ends = np.cumsum(counts)[:-1]
    lists = {
        "classes": [part.tolist() for part in np.split(table["class"].to_numpy(object)[found], ends)],
        "scores": np.split(table["score"].to_numpy("float32")[found], ends),
        "boxes": np.split(table[CORNERS].to_numpy("float32")[found], ends),
    }
    for name, values in lists.items():
        whole = [None if bad else value for bad, value in zip(failed, values, strict=False)]
        images[name] = pd.Series(whole, dtype=object)
    return images


def image_starts(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows of a table of detections are the first of their image; how is said above.

    With the column ``_input`` nothing is guessed: an image starts where the input or the id changes.
    """
    if not len(table):
        return np.zeros(0, bool)
    if INPUT in table.columns:
        return _changes(table[[INPUT, "path", "id"]])
    scores = table["score"].to_numpy("float64", na_value=np.nan)
    starts = _changes(table.drop(columns=DETECTION))
    # Not so, too, where one of both is no number: it is then an image of its own.
    starts[1:] |= ~(scores[1:] <= scores[:-1])
    return starts | _comes_again(table, starts)


def _changes(columns: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows differ from the row before; two missing values do not."""
    changed = np.zeros(len(columns), bool)
    changed[0] = True
    for _, column in columns.items():
        codes = pd.factorize(column)[0]
        changed[1:] |= codes[1:] != codes[:-1]
    return changed


def _comes_again(table: pd.DataFrame, starts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows are the first detection of their image once more."""
    first = np.flatnonzero(starts)[np.cumsum(starts) - 1]
    values = table[["score", *CORNERS]].to_numpy("float64", na_value=np.nan)
    classes = pd.factorize(table["class"])[0]
    again = np.isclose(values, values[first], rtol=0, atol=SAME).all(axis=1) & (classes == classes[first])
    return again
