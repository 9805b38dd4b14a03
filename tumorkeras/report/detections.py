"""From a table of detections back to the arrays that metrics and plots take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS, pad


def detections_of(table: pd.DataFrame, ids: Sequence[str], classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Padded arrays of what was found in some images.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a detection, with ``id``, ``class``, ``score``, ``xmin``, ``ymin``, ``xmax`` and ``ymax``; a row without
        a class finds nothing.
    ids : sequence of str
        The images, in the order that is wanted.
    classes : sequence of str
        Names by class id.

    Returns
    -------
    dict of str to ndarray
        ``boxes`` (images, most, 4) float32, ``scores`` (images, most) float32, ``classes`` (images, most) int32,
        padded with -1.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["b", "a"], "class": ["lesion", None], "score": [0.75, None],
    ...                       "xmin": [1.0, None], "ymin": [2.0, None], "xmax": [9.0, None], "ymax": [8.0, None]})
    >>> found = detections_of(table, ["a", "b"], ["lesion"])
    >>> found["scores"].tolist(), found["classes"].tolist()
    ([[0.0], [0.75]], [[-1], [0]])
    """
    held = table[table["class"].notna()]
    image = pd.Index(ids).get_indexer(pd.Index(held["id"]))
    label = pd.Index(classes).get_indexer(pd.Index(held["class"]))
    order = np.argsort(image, kind="stable")
    own = np.split(order, np.searchsorted(image[order], np.arange(len(ids) + 1)))[1:-1]
    values, scores = held[CORNERS].to_numpy("float32"), held["score"].to_numpy("float32")
    boxes, labels = pad([values[rows] for rows in own], [label[rows] for rows in own])
    padded = np.zeros(labels.shape, "float32")
    for line, rows in zip(padded, own, strict=True):
        line[: len(rows)] = scores[rows]
    return {"boxes": boxes, "scores": padded, "classes": labels}
