"""What a Python worker of Spark does: the scorer of one machine, over a piece of the list."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf

from tumorkeras.errors import TumorKerasError
from tumorkeras.scoring.inputs.files import FileInputs, Read, reading_of
from tumorkeras.scoring.inputs.listing import Listing, Paths
from tumorkeras.scoring.local import layout_of, raise_first, score_windows, windows_of
from tumorkeras.scoring.output.final import write_tables
from tumorkeras.scoring.output.part_tables import failed_inputs, typed
from tumorkeras.scoring.predictor import Predictor, load_predictor
from tumorkeras.scoring.table import INPUT

MODELS = 2  # that a worker keeps, of functions that are used side by side


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


class Progress(NamedTuple):
    """What workers tell while they work: inputs that are finished, and errors that end the job.

    Of an error, for which its task is not to be tried again: its type, heading and faults.
    """

    inputs: int = 0
    errors: tuple[tuple[str, str, list[str]], ...] = ()


class ProgressParam:
    """How Spark's accumulator adds progress up.

    Examples
    --------
    >>> ProgressParam().addInPlace(Progress(2), Progress(3))
    Progress(inputs=5, errors=())
    """

    def zero(self, value: Progress) -> Progress:
        """Nothing yet."""
        return Progress()

    def addInPlace(self, one: Progress, other: Progress) -> Progress:
        """The sum."""
        return Progress(one.inputs + other.inputs, one.errors + other.errors)


class Receipt(NamedTuple):
    """What was written of a piece: its first input, its rows, and its inputs that failed."""

    start: int
    rows: int
    failed: int


def score_pieces(work: Work, pieces: Iterator[Piece], told: Any) -> Iterator[pd.DataFrame]:
    """Score pieces of the list: tables with the number of each row's input.

    Parameters
    ----------
    work : Work
    pieces : iterator of Piece
    told : pyspark.Accumulator
        Of the :class:`Progress`.
    """
    try:
        for piece in pieces:
            yield from _tables(work, piece, told)
    except TumorKerasError as error:
        _tell(told, error)


def write_pieces(work: Work, pieces: Iterator[Piece], told: Any, folder: str, schema: pa.Schema) -> Iterator[Receipt]:
    """Score pieces of the list into a file each, of which nobody sees half; done again, a piece is the same file.

    Parameters
    ----------
    work, pieces, told
        As in :func:`score_pieces`.
    folder : str
        Where the files go.
    schema : pyarrow.Schema
        Of the tables, with the number of the input, which is left out of the files.
    """
    from pyspark import TaskContext

    attempt = TaskContext.get().taskAttemptId()  # of one piece there may be two at a time
    try:
        for piece in pieces:
            beside = Path(folder, f".{attempt}-{piece.file}")
            content = _Checked(_tables(work, piece, told), piece.start, schema)
            write_tables(beside, content, schema.remove(schema.get_field_index(INPUT)))
            os.replace(beside, Path(folder, piece.file))
            yield Receipt(piece.start, content.rows, content.failed)
    except TumorKerasError as error:
        _tell(told, error)


def score_contents(work: Work, contents: pa.Array, answers: pa.StructType) -> pa.Array:
    """Score files as bytes: a struct each, ``status``, ``error`` and the answer."""
    with tempfile.TemporaryDirectory(prefix="tumorkeras-") as folder:
        for number, content in enumerate(contents):
            Path(folder, str(number)).write_bytes(content.as_py() or b"")
        paths = Paths(os.path.join(folder, str(number)) for number in range(len(contents)))
        tables = list(_tables(work, Piece(0, paths, None)))
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


def _tables(work: Work, piece: Piece, told: Any = None) -> Iterator[pd.DataFrame]:
    """The tables of a piece, window by window."""
    predictor, read, _ = _tools(work.model, work.signature, work.runtime)
    inputs = FileInputs(Listing(piece.paths, piece.carried), predictor.origin, read, work.folder)
    layout = layout_of(predictor, inputs)
    windows = windows_of(len(piece.paths), work.batch_size)
    for window, table in score_windows(predictor, layout, inputs, windows, work.batch_size):
        if work.raises:
            raise_first(table)
        table[INPUT] += piece.start
        yield table
        if told is not None:
            told.add(Progress(len(window)))


def _tell(told: Any, error: TumorKerasError) -> None:
    told.add(Progress(errors=((type(error).__name__, error.heading, error.faults),)))


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
    read = reading.__enter__()
    gc.collect()
    gc.freeze()  # else Spark, which collects after every task, would go through all of TensorFlow for half a second
    return predictor, read, reading


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
