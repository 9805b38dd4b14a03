"""Files of predictions, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd


class Outcomes(NamedTuple):
    """Rows of a file of predictions, and those that say why there is no answer."""

    rows: int
    errors: int


def read_predictions(path: str | Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A table that :func:`tumorkeras.score` wrote as ``.parquet``, a file or a folder, or as ``.csv``.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp(), "found.csv")
    >>> _ = path.write_text("path,status,class\\nNA,ok,None\\n")
    >>> read_predictions(path)["class"].tolist()
    ['None']
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        # A class may be called "None", and a file "NA".
        types = {"path": "str", "class": "str", "class_name": "str"}
        return pd.read_csv(path, usecols=columns, dtype=types, keep_default_na=False, na_values=[""])
    return pd.read_parquet(path, columns=columns)


def count_outcomes(path: str | Path) -> Outcomes:
    """How many rows there are; of COCO results, in which failures have none, failures are those of the file beside.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp(), "found.csv")
    >>> pd.DataFrame({"path": ["a.png", "b.png"], "status": ["ok", "error"]}).to_csv(path, index=False)
    >>> count_outcomes(path)
    Outcomes(rows=2, errors=1)
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        beside = path.with_suffix(".errors.csv")
        errors = len(pd.read_csv(beside)) if beside.is_file() else 0
        return Outcomes(len(json.loads(path.read_text(encoding="utf-8"))), errors)
    status = read_predictions(path, ["status"])["status"]
    return Outcomes(len(status), int((status == "error").sum()))
