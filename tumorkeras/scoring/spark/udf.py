"""The function that scores a column of a user's own Spark DataFrame."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from tumorkeras.errors import MissingExtraError
from tumorkeras.scoring.local import layout_of
from tumorkeras.scoring.output.part_tables import schema_of
from tumorkeras.scoring.predictor import load_predictor
from tumorkeras.scoring.spark.engine import BATCH_SIZE, sent, work_of
from tumorkeras.scoring.table import INPUT, Layout

SIDES = ("status", "error")


def score_udf(model: str | Path, signature: str | None = None, *, batch_size: int = BATCH_SIZE) -> Any:
    """Make a function for Spark DataFrames: a column of image or volume files, as bytes, to a column of answers.

    Parameters
    ----------
    model : str or Path
        An export or the folder of a trained model, on storage that the workers share.
    signature : str, optional
        As :func:`tumorkeras.score` has it.
    batch_size : int, default 32
        Samples per call of the model.

    Returns
    -------
    pyspark user-defined function
        Of a binary column with files of any format that :func:`tumorkeras.read` tells by its content. It gives structs:
        ``status``, ``error`` and what :func:`tumorkeras.score` gives a sample, such as ``class_id``; of a detector
        ``detections``, an array of structs ``class``, ``score``, ``xmin``, ``ymin``, ``xmax`` and ``ymax``, best first.
        What is missing in a table is null, and so are the detections of a file that cannot be read.

    Raises
    ------
    ModelError
        If the model cannot be loaded.
    MissingExtraError
        If PySpark is not installed.

    Examples
    --------
    With a session ``spark``::

        images = spark.read.format("binaryFile").load("scans/*.png")
        found = images.select("path", tumorkeras.score_udf("exports/lesions")("content").alias("found"))
        found.where("found.status = 'ok'").select("path", "found.class_name").show()
    """
    if find_spec("pyspark") is None:
        raise MissingExtraError("pyspark", "spark")
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.pandas.types import from_arrow_type

    work = work_of(model, signature, None, batch_size)
    answers = answers_of(layout_of(load_predictor(work.model, signature)))
    score_contents = sent("score_contents", work, answers)

    def score_column(contents: pa.Array) -> pa.Array:  # the types tell Spark what function it is
        return score_contents(contents)

    return arrow_udf(score_column, from_arrow_type(answers))


def answers_of(layout: Layout) -> pa.StructType:
    """The struct of the answer to one file."""
    fields = [pa.field(each.name, _plain(each.type)) for each in schema_of(layout.empty())]
    sides = [each for each in fields if each.name in SIDES]
    answers = [each for each in fields if each.name not in (INPUT, "path", "id", *SIDES)]
    if layout.output == "detections":
        answers = [pa.field("detections", pa.list_(pa.struct(answers)))]
    return pa.struct([*sides, *answers])


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_large_string(kind) else kind
