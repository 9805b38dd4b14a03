"""What plots read from tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tumorkeras.errors import DataError


def numeric_columns(heading: str, table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Take columns of a table as float64, with rows numbered anew.

    Raises
    ------
    DataError
        Under `heading`, for a table without rows and for each column that is missing or holds no numbers.

    Examples
    --------
    >>> numeric_columns("plot", pd.DataFrame({"loss": [1, 2], "epoch": ["a", "b"]}), ["epoch", "time"])
    Traceback (most recent call last):
    tumorkeras.errors.DataError: plot: 2 faults
      - no column 'time'; found loss, epoch
      - column 'epoch': holds other than numbers
    """
    if table.empty:
        raise DataError(heading, ["the table has no rows"])
    found = ", ".join(map(str, table.columns))
    faults = [f"no column {column!r}; found {found}" for column in columns if column not in table]
    faults += [
        f"column {column!r}: holds other than numbers"
        for column in columns
        if column in table and not pd.api.types.is_numeric_dtype(table[column])
    ]
    if faults:
        raise DataError(heading, faults)
    return table[columns].astype(np.float64).reset_index(drop=True)
