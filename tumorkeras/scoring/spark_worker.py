"""What a Python worker of Spark does: the scorer of one machine, over a piece of the list."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf

from tumorkeras.errors import TumorKerasError
from tumorkeras.scoring.files import FileInputs, Read, reading_of
from tumorkeras.scoring.final import write_tables
from tumorkeras.scoring.listing import Listing, Paths
from tumorkeras.scoring.local import layout_of, raise_first, score_windows, windows_of
from tumorkeras.scoring.part_tables import failed_inputs, typed
from tumorkeras.scoring.predictor import Predictor, load_predictor
from tumorkeras.scoring.table import INPUT

FAULT = "fault found by a worker: "  # before an error of ours, as JSON
MODELS = 2  # that a worker keeps, of functions that are used side by side

Done = Callable[[int], Any]


@dataclass(frozen=True)
class Work:
    """What is to be done with every piece.

    Parameters
    ----------
    model : str
        Absolute path of an export or of the folder of a trained model.
    signature, runtime : str or None
        As :func:`tumorkeras.score` has them.
    batch_size : int
        Samples per call of the model.
    raises : bool
        Whether an input that cannot be scored ends the job.
    folder : str
        Where relative paths start.
    """

    model: str
    signature: str | None
    runtime: str | None
    batch_size: int
    raises: bool = False
    folder: str = ""


class Piece(NamedTuple):
    """Consecutive inputs of a list, from number ``start`` on, with their columns that are carried along."""

    start: int
    paths: Paths
    carried: pd.DataFrame | None

    @property
    def stop(self) -> int:
        """The number after the last."""
        return self.start + len(self.paths)

    @property
    def file(self) -> str:
        """Name of the file with its rows."""
        return f"part-{self.start:09}-{self.stop:09}.parquet"


class Receipt(NamedTuple):
    """What was written of a piece: its first input, its rows, and its inputs that failed."""

    start: int
    rows: int
    failed: int


def score_pieces(work: Work, pieces: Iterator[Piece], done: Any) -> Iterator[pd.DataFrame]:
    """Score pieces of the list: tables with the number of each row's input.

    Parameters
    ----------
    work : Work
    pieces : iterator of Piece
    done : pyspark.Accumulator
        Counts the inputs that are finished.
    """
    for piece in pieces:
        yield from _tables(work, piece, done.add)


def write_pieces(
    work: Work, pieces: Iterator[Piece], done: Any, folder: str, schema: pa.Schema, attempt: int | None = None
) -> Iterator[Receipt]:
    """Score pieces of the list into a file each, of which nobody sees half; done again, a piece is the same file.

    Parameters
    ----------
    work, pieces, done
        As in :func:`score_pieces`.
    folder : str
        Where the files go.
    schema : pyarrow.Schema
        Of the tables, with the number of the input, which is left out of the files.
    attempt : int, optional
        Number of this attempt, of which there may be two at a time; by default the one that Spark gives.
    """
    if attempt is None:
        from pyspark import TaskContext

        attempt = TaskContext.get().taskAttemptId()
    for piece in pieces:
        place = Path(folder, piece.file)
        beside = place.with_name(f".{attempt}-{place.name}")
        content = _Checked(_tables(work, piece, done.add), piece.start, schema)
        write_tables(beside, content, schema.remove(schema.get_field_index(INPUT)))
        os.replace(beside, place)
        yield Receipt(piece.start, content.rows, content.failed)


def score_contents(work: Work, contents: pa.Array, answers: pa.StructType) -> pa.Array:
    """Score files as bytes: a struct each, ``status``, ``error`` and the answer."""
    with tempfile.TemporaryDirectory(prefix="tumorkeras-") as folder:
        for number, content in enumerate(contents):
            Path(folder, str(number)).write_bytes(content.as_py() or b"")
        paths = Paths(os.path.join(folder, str(number)) for number in range(len(contents)))
        tables = list(_tables(work, Piece(0, paths, None), lambda count: None))
    if not tables:
        return pa.array([], answers)
    return _structs(pd.concat(tables, ignore_index=True), len(contents), answers)


class _Checked:
    """The tables of a piece in the types of their files, seen to have every input once and in order, and counted."""

    def __init__(self, tables: Iterator[pd.DataFrame], start: int, schema: pa.Schema) -> None:
        self.rows = self.failed = 0
        self._tables, self._next, self._schema = tables, start, schema

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self._tables:
            content = typed(table, self._schema)
            stop = int(table[INPUT].iloc[-1]) + 1
            self.failed += failed_inputs(content, self._next, stop)
            self.rows += len(content)
            self._next = stop
            yield content


def _tables(work: Work, piece: Piece, done: Done) -> Iterator[pd.DataFrame]:
    """The tables of a piece, window by window."""
    with _faults_as_text():
        predictor, read, _ = _tools(work.model, work.signature, work.runtime)
        inputs = FileInputs(Listing(piece.paths, piece.carried), predictor.origin, read, work.folder)
        layout = layout_of(predictor, inputs)
        windows = windows_of(len(piece.paths), work.batch_size)
        for _, table in score_windows(predictor, layout, inputs, windows, work.batch_size, done):
            if work.raises:
                raise_first(table)
            table[INPUT] += piece.start
            yield table


@lru_cache(MODELS)
def _tools(
    model: str, signature: str | None, runtime: str | None
) -> tuple[Predictor, Read, AbstractContextManager[Read]]:
    """The model, and what reads files for it, which a worker makes once and keeps for all its tasks.

    The process that reads ends with the worker, or when the last is forgotten.
    """
    with suppress(RuntimeError):  # somebody else's function has started TensorFlow in this worker
        # Spark runs as many workers as there are cores, and one of them would take a whole GPU.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.set_visible_devices([], "GPU")
    predictor = load_predictor(model, signature, runtime)
    reading = reading_of(predictor, processes=1)
    return predictor, reading.__enter__(), reading


@contextmanager
def _faults_as_text() -> Iterator[None]:
    """Spark hands on the text of an error alone."""
    try:
        yield
    except TumorKerasError as error:
        raise RuntimeError(FAULT + json.dumps([type(error).__name__, error.heading, error.faults])) from None


def _structs(table: pd.DataFrame, count: int, answers: pa.StructType) -> pa.Array:
    """A struct an input: of detections with a list of them."""
    if answers.get_field_index("detections") < 0:
        return _struct_array(table, list(answers))
    detection = answers.field("detections").type.value_type
    found = table[table["score"].notna()]
    ends = pa.array(np.searchsorted(found[INPUT], np.arange(count + 1)), pa.int32())
    first = table.drop_duplicates(INPUT)
    failed = pa.array((first["status"] == "error").to_numpy())
    lists = pa.ListArray.from_arrays(ends, _struct_array(found, list(detection)), mask=failed)
    sides = [pa.Array.from_pandas(first[name], type=answers.field(name).type) for name in ("status", "error")]
    return pa.StructArray.from_arrays([*sides, lists], fields=list(answers))


def _struct_array(table: pd.DataFrame, fields: list[pa.Field]) -> pa.StructArray:
    columns = [pa.Array.from_pandas(table[field.name], type=field.type) for field in fields]
    return pa.StructArray.from_arrays(columns, fields=fields)
