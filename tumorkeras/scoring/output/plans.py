"""The plan of a scoring, written down before it starts: who goes on with it scores the same list in the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tumorkeras.changes import changed_fields
from tumorkeras.errors import DataError
from tumorkeras.files import whole_file
from tumorkeras.scoring.inputs.listing import Paths, path_of, shown

PLAN, INPUTS = "_scoring.json", "_inputs.parquet"
FORMAT = 1
PATH = "_path"
MOST_NAMED = 3
ANEW = "resume=False starts anew"


@dataclass(frozen=True, eq=False)
class Plan:
    """What is scored, and how.

    Attributes
    ----------
    settings : dict
        All that the answers depend on, as JSON can hold it: model, runtime, batch size, spec ...
    paths : sequence of str
        The inputs, numbered from 0 in this order.
    width : int
        Inputs per part.
    carried : DataFrame or None
        Columns that go with the inputs into the table, a row an input.

    Examples
    --------
    >>> list(Plan({}, ["a.png", "b.png", "c.png"], width=2).windows())
    [(0, 2), (2, 3)]
    """

    settings: dict[str, Any]
    paths: Sequence[str]
    width: int
    carried: pd.DataFrame | None = None

    def windows(self) -> Iterator[tuple[int, int]]:
        """Ranges [start, stop) of inputs that are scored together; they cover the list once."""
        total = len(self.paths)
        return ((start, min(start + self.width, total)) for start in range(0, total, self.width))


def write_plan(folder: Path, plan: Plan, columns: dict[str, str]) -> None:
    """Freeze a plan, and the types of the table's columns by name; the plan comes last, it says that the list is whole.

    Raises
    ------
    DataError
        If the list or a carried column cannot be written down.
    OSError
        If the folder cannot be written to, or the disk is full.
    """
    table = _input_table(plan)
    content = {
        "format": FORMAT,
        "inputs": len(plan.paths),
        "width": plan.width,
        "settings": plan.settings,
        "columns": columns,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    with whole_file(folder / INPUTS) as file:
        pq.write_table(table, file, compression="zstd")
    with whole_file(folder / PLAN) as file:
        file.write(text.encode("utf-8"))


def read_plan(folder: Path) -> tuple[Plan, dict[str, str]]:
    """Read what :func:`write_plan` has frozen.

    Raises
    ------
    DataError
        If the plan or the list is damaged, or of another version.
    """
    try:
        content = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise DataError(
                f"{folder}: is of another version of tumorkeras; finish it with that one, or {ANEW}",
                [f"{PLAN}: format {content['format']!r} found, expected {FORMAT}"],
            )
        settings, columns, width, total = (content[name] for name in ("settings", "columns", "width", "inputs"))
        if not (isinstance(settings, dict) and isinstance(columns, dict) and isinstance(width, int) and width > 0):
            raise TypeError("a field is of another type")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise _damaged(folder, PLAN, error) from None
    try:
        with pq.ParquetFile(folder / INPUTS) as file:
            inputs = file.read()
        if len(inputs) != total:
            raise ValueError(f"{len(inputs)} inputs found, expected {total}")
        paths, carried = Paths.from_bytes(inputs[PATH]), inputs.drop_columns(PATH).to_pandas()
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(folder, INPUTS, error) from None
    return Plan(settings, paths, width, carried if len(carried.columns) else None), columns


def check_same(folder: Path, frozen: Plan, now: Plan, columns: dict[str, str], columns_now: dict[str, str]) -> None:
    """See that a call may go on with what an earlier one has begun; inputs that are gone meanwhile do not matter.

    Raises
    ------
    DataError
        With every setting and column that differs, and with inputs that are new or carry other values.
    """
    faults = changed_fields(frozen.settings, json.loads(json.dumps(now.settings)))
    faults += changed_fields({"columns": columns}, {"columns": columns_now})
    before, after = _input_table(frozen), _input_table(now)
    if not after.equals(before):
        faults += _other_inputs(before.to_pandas(), after.to_pandas())
    if faults:
        heading = f"{folder}: holds another scoring, which has not ended; give the same to go on, or {ANEW}"
        raise DataError(heading, faults)


def _other_inputs(frozen: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """What is in the list now and was not in it."""
    new = _names(now[_beyond(now[[PATH]], frozen[[PATH]])])
    if new:
        return [f"inputs: {len(new)} are new, such as {', '.join(new[:MOST_NAMED])}"]
    if frozen.columns.tolist() != now.columns.tolist():
        names = [", ".join(map(str, frame.columns.drop(PATH))) or "nothing" for frame in (frozen, now)]
        return [f"columns carried along: it was {names[0]}, now it is {names[1]}"]
    other = _names(now[_beyond(now, frozen)])
    if other:
        return [f"columns carried along: {len(other)} inputs have other values, such as {other[0]}"]
    return []


def _names(inputs: pd.DataFrame) -> list[str]:
    return [shown(path_of(name)) for name in inputs[PATH]]


def _beyond(now: pd.DataFrame, before: pd.DataFrame) -> np.ndarray:
    """Which rows are not among those before; one that stands twice must have stood there twice."""
    here, there = _numbered(now), _numbered(before)
    return ~here.isin(there)


def _numbered(frame: pd.DataFrame) -> pd.MultiIndex:
    plain = frame.apply(lambda column: column.map(repr) if column.dtype == object else column)
    rows = pd.util.hash_pandas_object(plain, index=False)
    return pd.MultiIndex.from_arrays([rows, rows.groupby(rows).cumcount()])


def _input_table(plan: Plan) -> pa.Table:
    frame = pd.DataFrame(index=range(len(plan.paths))) if plan.carried is None else plan.carried.reset_index(drop=True)
    if len(frame) != len(plan.paths):
        raise DataError("score", [f"{len(frame)} rows of carried columns found, expected {len(plan.paths)}"])
    try:
        carried = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        raise DataError("score", [f"carried columns: cannot be written down: {error}"]) from None
    names = (plan.paths if isinstance(plan.paths, Paths) else Paths(plan.paths)).as_bytes()
    schema = pa.schema([pa.field(PATH, names.type), *carried.schema], carried.schema.metadata)
    return pa.table([names, *carried.columns], schema=schema)


def _damaged(folder: Path, name: str, error: Exception) -> DataError:
    return DataError(str(folder), [f"{name} is damaged ({error}); {ANEW}"])
