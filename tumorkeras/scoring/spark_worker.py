"""What a Python worker of Spark does: the scorer of one machine, over the part of the list that it is given."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from tumorkeras.scoring.listing import Listing, shown
from tumorkeras.scoring.table import INPUT

if TYPE_CHECKING:  # a worker sets TensorFlow up before it imports it
    from tumorkeras.scoring.files import Read
    from tumorkeras.scoring.predictor import Predictor

OPENED = "_opened"  # where a worker finds the file, as the bytes of its name
FIRST = "_first"  # whether a row is the first of its input, so that inputs can be counted
_OPEN = ExitStack()  # what a worker keeps


@dataclass(frozen=True)
class Work:
    """What a worker is to do; all that goes to it beside the list.

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
    """

    model: str
    signature: str | None
    runtime: str | None
    batch_size: int
    raises: bool = False

    def tools(self) -> tuple[Predictor, Read]:
        """The model and what reads files for it, which a worker makes once and keeps for all its tasks."""
        return _tools(self.model, self.signature, self.runtime)


@lru_cache(maxsize=1)
def _tools(model: str, signature: str | None, runtime: str | None) -> tuple[Predictor, Read]:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    with suppress(RuntimeError):  # somebody else's function has started it in this worker
        # Spark runs as many workers as there are cores.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    from tumorkeras.scoring.files import reading_of
    from tumorkeras.scoring.predictor import load_predictor

    predictor = load_predictor(model, signature, runtime)
    # Its process ends with this one.
    return predictor, _OPEN.enter_context(reading_of(predictor, processes=1))


def score_records(work: Work, schema: pa.Schema, records: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Score rows of the list: ``_input``, ``path``, ``_opened`` and what is carried along."""
    for batch in records:
        listed = batch.to_pandas()
        opened = [os.fsdecode(name) for name in listed[OPENED]]
        table = _scored(work, opened, listed.drop(columns=[INPUT, "path", OPENED]))
        rows = table[INPUT].to_numpy()
        # Files are called as the user does, also where a worker finds them by another path.
        table["path"] = [
            listed["path"].iat[row] + found.removeprefix(shown(opened[row]))
            for row, found in zip(rows, table["path"], strict=True)
        ]
        table[FIRST] = ~table[INPUT].duplicated()
        table[INPUT] = listed[INPUT].to_numpy()[rows]
        yield pa.RecordBatch.from_pandas(table, schema=schema, preserve_index=False)


def score_contents(work: Work, answers: pa.StructType, contents: pa.Array) -> pa.Array:
    """Score files as bytes: a struct each, ``status``, ``error`` and the answer."""
    with tempfile.TemporaryDirectory(prefix="tumorkeras-") as folder:
        paths = []
        for number, content in enumerate(contents):
            paths.append(os.path.join(folder, str(number)))
            Path(paths[-1]).write_bytes(content.as_py() or b"")
        table = _scored(work, paths, None)
    return answers_of(table, len(paths), answers)


def answers_of(table: pd.DataFrame, count: int, answers: pa.StructType) -> pa.Array:
    """A struct an input of a table: of detections with a list of them."""
    columns = [field.name for field in answers]
    if "detections" not in columns:
        return pa.StructArray.from_arrays(
            [pa.Array.from_pandas(table[name], type=answers.field(name).type) for name in columns], fields=list(answers)
        )
    one = answers.field("detections").type.value_type
    rows = table.loc[table["score"].notna(), [INPUT, *(field.name for field in one)]]
    found = pa.StructArray.from_arrays(
        [pa.Array.from_pandas(rows[field.name], type=field.type) for field in one], fields=list(one)
    )
    ends = np.searchsorted(rows[INPUT], np.arange(count + 1)).astype("int32")
    first = table.drop_duplicates(INPUT)
    failed = (first["status"] == "error").to_numpy()
    lists = pa.ListArray.from_arrays(pa.array(ends), found, mask=pa.array(failed))
    sides = [pa.Array.from_pandas(first[name], type=pa.string()) for name in ("status", "error")]
    return pa.StructArray.from_arrays([*sides, lists], fields=list(answers))


def _scored(work: Work, paths: list[str], carried: pd.DataFrame | None) -> pd.DataFrame:
    """The table of some files, which are numbered from 0."""
    predictor, read = work.tools()
    from tumorkeras.scoring.files import FileInputs
    from tumorkeras.scoring.local import layout_of, raise_first, score_windows, windows_of

    inputs = FileInputs(Listing(paths, carried), predictor.origin, read)
    layout = layout_of(predictor, inputs)
    windows = windows_of(len(paths), work.batch_size)
    tables = [table for _, table in score_windows(predictor, layout, inputs, windows, work.batch_size)]
    if work.raises:
        for table in tables:
            raise_first(table)
    return pd.concat(tables, ignore_index=True) if tables else layout.empty().assign(**{INPUT: np.zeros(0, "int64")})
