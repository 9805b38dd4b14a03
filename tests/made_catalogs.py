"""Catalogs and facts for tests, made up without any file."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tumorkeras.auditing.facts import Facts
from tumorkeras.data.catalog import Catalog
from tumorkeras.spec import DataSpec

SPEC = {
    "name": "cells",
    "tasks": ["autoencode"],
    "source": {"kind": "detection", "path": "images", "annotations": "boxes.csv"},
    "input": {"shape": [100, 100, 1]},
}


def facts_of(n, **columns):
    columns = {"readable": True, "height": 100.0, "width": 200.0, "channels": 1.0, "bits": 8.0, **columns}
    for name, value in {"minimum": 0.0, "maximum": 255.0, "mean": 100.0, "std": 20.0}.items():
        columns.setdefault(name, value)
    columns.setdefault("spacing_0", np.nan)
    return Facts(pd.DataFrame(columns, index=range(n)), np.zeros((n, 4, 4), "uint8"))


def catalog_of(n, boxes=None, kind="images", splits=None, classes=None, **columns):
    table = pd.DataFrame({"id": [f"{k}.png" for k in range(n)], "path": "", "split": splits, **columns})
    table["class_name"] = classes if classes is not None else pd.Series([None] * n, dtype=object)
    if boxes is not None:
        table["labelled"] = table.get("labelled", True)
        boxes = pd.DataFrame(boxes, columns=["image", "class", "xmin", "ymin", "xmax", "ymax"])
        boxes["image"] = boxes["image"].map("{}.png".format)
    spec = None if boxes is None else DataSpec.from_dict(SPEC)
    return Catalog(table, boxes, (), kind, (), spec, lambda row: None)
