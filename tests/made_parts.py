"""A scoring of ten inputs by parts, for the tests of its output."""

from __future__ import annotations

import resource
from contextlib import contextmanager

import numpy as np
import pandas as pd

from tumorkeras.scoring.output.parts import Parts
from tumorkeras.scoring.output.plans import Plan

PATHS = [f"{k:02}.png" for k in range(10)]
SETTINGS = {"model": {"name": "lesions", "version": 1}, "batch_size": 8, "runtime": None}
TYPES = {"path": "str", "id": "Int64", "status": "str", "error": "str", "score": "float32", "site": "str"}
TEMPLATE = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in TYPES.items()})


def plan(paths=PATHS, width=4, carried=None, **changes):
    return Plan({**SETTINGS, **changes}, paths, width, carried)


def rows(start, stop):
    """Inputs divisible by 5 fail; of the others, odd ones have two rows, as detections do."""
    inputs = [k for k in range(start, stop) for _ in range(1 + (k % 2 and k % 5 > 0))]
    failed = np.array([k % 5 == 0 for k in inputs])
    table = pd.DataFrame({"_input": inputs, "path": [PATHS[k] for k in inputs]})
    table["id"] = pd.Series([None if k < 4 else k for k in inputs], dtype="Int64" if start else "object")
    table["status"] = np.where(failed, "error", "ok")
    table["error"] = pd.Series(np.where(failed, 'is empty; or, worse, "damaged"', None), dtype=object)
    table["score"] = np.where(failed, np.nan, np.array(inputs) / 3).astype("float32")
    table["site"] = None
    return table


def whole():
    tables = [rows(*window) for window in plan().windows()]
    columns = {name: [value for table in tables for value in table[name]] for name in TYPES}
    return pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in TYPES.items()})


def begun(output, *windows, **options):
    """Parts with some of the windows, let go."""
    with Parts.open(output, plan(**options), TEMPLATE, resume=True) as parts:
        for window in windows:
            parts.add(*window, rows(*window))
    return output.with_name(f"{output.name}.parts")


def finished(output, **options):
    with Parts.open(output, plan(**options), TEMPLATE, resume=True) as parts:
        for window in parts.missing():
            parts.add(*window, rows(*window))
        return parts.finish()


@contextmanager
def files_of_at_most(size):
    """A disk that is full once a file has so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
