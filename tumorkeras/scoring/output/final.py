"""The file of predictions: Parquet, CSV or COCO results, written from one table or from many, one at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tumorkeras.errors import DataError
from tumorkeras.files import whole_file
from tumorkeras.scoring.output.coco import CocoIds, write_results

ROWS = 65536  # of a row group at least: small ones make a file slow to read


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
        if path.suffix.lower() == ".csv":
            with whole_file(path) as file:
                file.write(table.to_csv(index=False).encode("utf-8"))
        else:
            content = pa.Table.from_pandas(table, preserve_index=False)
            write_tables(path, [content], with_attributes(content.schema, table.attrs))
    except OSError as error:
        raise DataError(str(path), [f"cannot be written: {error.strerror}"]) from None
    return path


def check_place(path: str | Path, *, detects: bool = False) -> Path:
    """See, before any work, that a table could be written to ``path``; nothing is written.

    Parameters
    ----------
    path : str or Path
        Where it is to be.
    detects : bool, default False
        Whether it will be a table of detections, which may also be COCO results, ``.json``.

    Raises
    ------
    DataError
        If the ending is neither ``.parquet`` nor ``.csv``, or the folder is missing or cannot be written to.

    Examples
    --------
    >>> check_place("found.parquet").name
    'found.parquet'
    >>> check_place("found.xlsx")
    Traceback (most recent call last):
    tumorkeras.errors.DataError: found.xlsx: ends in '.xlsx', expected .parquet or .csv
    """
    path = Path(path)
    faults = []
    if path.suffix.lower() not in (".parquet", ".csv", *[".json"] * detects):
        expected = ".parquet, .csv or .json" if detects else ".parquet or .csv"
        faults.append(f"ends in {path.suffix!r}, expected {expected}")
    if not path.parent.is_dir():
        faults.append(f"cannot be written: there is no folder {path.parent}; make it first")
    elif path.is_dir() or not os.access(path.parent, os.W_OK):
        faults.append("cannot be written: it is a folder, or its folder is read-only")
    if faults:
        raise DataError(str(path), faults)
    return path


def with_attributes(schema: pa.Schema, attributes: dict) -> pa.Schema:
    """A schema whose Parquet file gives ``attrs`` to pandas, and the settings of a scoring to whoever reads its key."""
    if not attributes:
        return schema
    texts = {"PANDAS_ATTRS": json.dumps(attributes)}  # The key that pandas reads.
    if "scoring" in attributes:
        texts["tumorkeras"] = json.dumps(attributes["scoring"])
    return schema.with_metadata({**(schema.metadata or {}), **texts})


def write_tables(
    path: Path, tables: Iterable[pa.Table], schema: pa.Schema, classes: Sequence[str] | None = None
) -> None:
    """Write tables one after another as one file, of which nobody sees half.

    Parameters
    ----------
    path : Path
        Its ending says how: ``.parquet``, ``.csv``, or ``.json`` for COCO results.
    tables : iterable of pyarrow.Table
        One at a time is held (Parquet: some, up to ``ROWS`` rows). A column ``_input`` is left out.
    schema : pyarrow.Schema
        Of the file.
    classes : sequence of str, optional
        Names of the model's classes, for the ids of COCO results.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    if path.suffix.lower() == ".json":
        write_results(path, (table.to_pandas() for table in tables), CocoIds.of_classes(classes))
        return
    plain = (table.select(schema.names).replace_schema_metadata(schema.metadata) for table in tables)
    with whole_file(path) as file:
        if path.suffix.lower() == ".csv":
            _write_csv(file, plain, schema)
        else:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for table in _merged(plain):
                    writer.write_table(table)


def _write_csv(file: BinaryIO, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    file.write(schema.empty_table().to_pandas().to_csv(index=False).encode("utf-8"))
    for table in tables:
        file.write(table.to_pandas().to_csv(index=False, header=False).encode("utf-8"))


def _merged(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables that are not tiny."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= ROWS:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)
