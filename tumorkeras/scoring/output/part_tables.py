"""What every part of an output has in common: its columns and their types, and a row or more for each of its inputs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tumorkeras.errors import DataError
from tumorkeras.files import whole_file
from tumorkeras.scoring.views import INPUT


def schema_of(template: pd.DataFrame) -> pa.Schema:
    """The types of a table, after the column ``_input``.

    Fixed before the first row is known, so that a column is of one type in all parts, also where all of it is missing.
    """
    columns = template.iloc[:0].reset_index(drop=True)
    columns.insert(0, INPUT, np.zeros(0, "int64"))
    schema = pa.Schema.from_pandas(columns, preserve_index=False)
    fields = []
    for field in schema:
        if pa.types.is_null(field.type):  # Objects are text: without rows nothing says so.
            field = field.with_type(pa.large_string())
        # Else pandas would read whole numbers with a missing one among them as fractions.
        dtype = columns[field.name].dtype
        fields.append(field.with_nullable(not (isinstance(dtype, np.dtype) and dtype.kind in "biu")))
    return _as_parquet_has(pa.schema(fields, schema.metadata))


def _as_parquet_has(schema: pa.Schema) -> pa.Schema:
    """The types that a file gives back: of categories and of seconds they are others than went in."""
    buffer = io.BytesIO()
    pq.write_table(schema.empty_table(), buffer)
    buffer.seek(0)
    return pq.read_schema(buffer)


def typed(table: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """The rows of a table in the types of a schema; numbers become text where text is expected.

    Raises
    ------
    DataError
        With every column that is missing, not of the schema, or does not fit it.
    """
    faults = [f"column {name} is missing" for name in schema.names if name not in table.columns]
    faults += [f"column {name} is not in the template" for name in table.columns if name not in schema.names]
    columns = {}
    for field in schema if not faults else []:
        column = table[field.name]
        is_text = pa.types.is_large_string(field.type) or pa.types.is_string(field.type)
        if is_text and not pd.api.types.is_string_dtype(column):
            column = column.astype(object).map(str, na_action="ignore")
        try:
            columns[field.name] = pa.Array.from_pandas(column, type=field.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            faults.append(f"column {field.name} does not fit {field.type}: {error}")
        else:
            if columns[field.name].null_count and not field.nullable:
                faults.append(f"column {field.name} has missing values, which {field.type} cannot hold")
    if faults:
        raise DataError("table of predictions", faults)
    return pa.table(columns, schema=schema)


def failed_inputs(table: pa.Table, start: int, stop: int) -> int:
    """How many inputs of the range [start, stop) failed, in any of their rows.

    Raises
    ------
    ValueError
        If one of them has no row, or rows in two places, or a row is of another.
    """
    numbers = table[INPUT].to_numpy()
    if not np.array_equal(numbers[np.diff(numbers, prepend=start - 1) != 0], np.arange(start, stop)):
        raise ValueError(f"{INPUT}: its rows are not those of the inputs {start} to {stop - 1}, each once and in order")
    bad = np.asarray(table["status"].to_pylist(), dtype=object) == "error"
    return len(np.unique(numbers[bad]))


def write_part(path: Path, table: pa.Table) -> None:
    """Write a part whole; once this returns it outlives a loss of power."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    with whole_file(path) as file:
        file.write(buffer.getbuffer())


def read_part(path: Path, schema: pa.Schema, start: int, stop: int) -> tuple[pa.Table, int]:
    """The rows of a part, and how many of its inputs failed.

    Raises
    ------
    OSError, ValueError
        If it is damaged, or another part.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read()
    if not table.schema.equals(schema):
        raise ValueError("has other columns than the scoring")
    return table.replace_schema_metadata(schema.metadata), failed_inputs(table, start, stop)
