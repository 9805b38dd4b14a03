"""Scoring with Spark: the list of files is the data, and each Python worker scores its part as one machine does."""

from __future__ import annotations

import json
import logging
import os
import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow as pa

from tumorkeras.errors import DataError, MissingExtraError, ModelError
from tumorkeras.files import write_whole
from tumorkeras.scoring.inputs import are_files
from tumorkeras.scoring.listing import Listing, list_files, shown
from tumorkeras.scoring.local import layout_of
from tumorkeras.scoring.predictor import Predictor, load_predictor
from tumorkeras.scoring.spark_session import session
from tumorkeras.scoring.spark_worker import FIRST, OPENED, Work, score_contents, score_records
from tumorkeras.scoring.table import INPUT, Layout

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

BATCH_SIZE = 32  # a worker has one thread: more gain little
PARTITIONS_A_CORE = 8  # so that a core that was given slow files is helped out
SETTINGS_FILE = "_scoring.json"  # what begins so is passed over by those who read the folder as a data set


def score_on_spark(
    model: Any,
    inputs: Any,
    *,
    signature: str | None = None,
    runtime: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    output: Path | None = None,
    raises: bool = False,
) -> pd.DataFrame | Path:
    """Score files on the workers of the active Spark session, or of one on this machine for this call.

    Parameters
    ----------
    model, inputs, signature, runtime : as :func:`tumorkeras.score` has them
        Model and files lie on storage that the workers share.
    batch_size : int or "auto", default "auto"
        32 where it is not given.
    output : Path, optional
        A folder of Parquet files, which is replaced whole.
    raises : bool, default False
        Whether an input that cannot be scored ends the job.

    Raises
    ------
    ModelError
        If the model is none that a worker can load from its path.
    DataError
        If the inputs are no files, or the output is none that Spark writes.
    MissingExtraError
        If PySpark is not installed, or there is no Java.
    """
    work = _work(model, signature, runtime, batch_size, raises=raises)
    if not are_files(inputs):
        raise DataError("score", [f"inputs: {type(inputs).__name__} found, but Spark scores files; use engine='local'"])
    _check_output(output)
    predictor = load_predictor(work.model, signature, runtime)
    reserved = [*layout_of(predictor).empty().columns, INPUT, OPENED, FIRST]
    listing = list_files(inputs, volumes=len(predictor.origin.shape) == 4, reserved=reserved)
    settings = {**predictor.identity, "batch_size": work.batch_size}
    with session() as spark:
        scored = _scored(spark, work, predictor, listing)
        if output is not None:
            return _written(scored, len(listing), output, settings)
        table = _collected(scored, len(listing))
    empty = _layout(predictor, listing).empty()
    table = table.astype(empty.dtypes.to_dict())[list(empty.columns)]
    table.attrs["scoring"] = settings
    return table


def score_udf(model: str | Path, signature: str | None = None, *, batch_size: int = BATCH_SIZE) -> Any:
    """Make a function for Spark DataFrames: a column of encoded images, binary, to a column of answers.

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
        Its struct has ``status``, ``error`` and the columns of :func:`tumorkeras.score`; of a detector ``detections``,
        an array of structs with ``class``, ``score`` and the box, which is null where the image could not be read.

    Raises
    ------
    ModelError
        If the model cannot be loaded.
    MissingExtraError
        If PySpark is not installed.

    Examples
    --------
    >>> images = spark.read.format("binaryFile").load("scans/*.png")  # doctest: +SKIP
    >>> images.select("path", score_udf("exports/lesions")("content").alias("found"))  # doctest: +SKIP
    """
    if find_spec("pyspark") is None:
        raise MissingExtraError("pyspark", "spark")
    from pyspark.sql.functions import arrow_udf
    from pyspark.sql.pandas.types import from_arrow_type

    work = _work(model, signature, None, batch_size)
    answers = answers_type(layout_of(load_predictor(work.model, signature)))

    def score_column(contents: pa.Array) -> pa.Array:
        return score_contents(work, answers, contents)

    return arrow_udf(score_column, from_arrow_type(answers))


def answers_type(layout: Layout) -> pa.StructType:
    """The struct of the answer to one image."""
    fields = {field.name: field for field in _schema_of(layout.empty())}
    sides = [fields["status"], fields["error"]]
    answers = [field for name, field in fields.items() if name not in ("path", "id", "status", "error")]
    if layout.output == "detections":
        answers = [pa.field("detections", pa.list_(pa.struct(answers)))]
    return pa.struct([*sides, *answers])


def _work(
    model: Any,
    signature: str | None,
    runtime: str | None,
    batch_size: int | Literal["auto"],
    *,
    raises: bool = False,
) -> Work:
    if not isinstance(model, str | Path):
        fault = f"model: {type(model).__name__} found, but workers load an export or a trained model from its folder"
        raise ModelError("score", [fault])
    size = BATCH_SIZE if batch_size == "auto" else batch_size
    return Work(str(Path(model).absolute()), signature, runtime, size, raises)


def _check_output(output: Path | None) -> None:
    if output is None:
        return
    if output.suffix.lower() != ".parquet":
        raise DataError(str(output), [f"ends in {output.suffix!r}, but Spark writes .parquet: a folder of files"])
    if output.exists() and not (output / SETTINGS_FILE).is_file():
        raise DataError(str(output), ["is there, and no data set of an earlier scoring; move it, or give another"])


def _layout(predictor: Predictor, listing: Listing) -> Layout:
    return Layout(predictor.output, predictor.shape, predictor.origin.classes, carried=listing.carried)


def _scored(spark: SparkSession, work: Work, predictor: Predictor, listing: Listing) -> DataFrame:
    """The rows of all files, with the number of their input and whether they are its first."""
    from pyspark.sql.pandas.types import from_arrow_schema

    empty = _layout(predictor, listing).empty()
    schema = _schema_of(empty.assign(**{INPUT: pd.Series(dtype="int64"), FIRST: pd.Series(dtype=bool)}))
    listed = spark.createDataFrame(_list_of(listing))
    cores = spark.sparkContext.defaultParallelism
    parts = listed.repartitionByRange(max(1, min(len(listing), PARTITIONS_A_CORE * cores)), INPUT)
    return parts.mapInArrow(partial(score_records, work, schema), from_arrow_schema(schema))


def _list_of(listing: Listing) -> pa.Table:
    """A row an input: how it is called, and how a worker on shared storage finds it."""
    paths = list(listing.paths)
    columns = {
        INPUT: pa.array(range(len(paths)), pa.int64()),
        "path": pa.array([shown(path) for path in paths], pa.string()),
        OPENED: pa.array([os.fsencode(os.path.abspath(path)) for path in paths], pa.binary()),
    }
    if listing.carried is not None:
        carried = pa.Table.from_pandas(listing.carried, schema=_schema_of(listing.carried), preserve_index=False)
        columns |= dict(zip(carried.column_names, carried.columns, strict=True))
    return pa.table(columns)


def _schema_of(table: pd.DataFrame) -> pa.Schema:
    """The types of a table, as Spark has them."""
    return pa.schema(
        [pa.field(each.name, _plain(each.type)) for each in pa.Schema.from_pandas(table, preserve_index=False)]
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return pa.string()
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else kind


def _collected(scored: DataFrame, total: int) -> pd.DataFrame:
    table = scored.toArrow().to_pandas().sort_values(INPUT, kind="stable", ignore_index=True)
    _check(int(table[FIRST].sum()), total)
    return table


def _written(scored: DataFrame, total: int, output: Path, settings: dict[str, Any]) -> Path:
    """Write beside and rename; what a run before left there goes when this one is whole."""
    from pyspark.sql import Observation
    from pyspark.sql.functions import col, count_if

    beside = output.with_name(f".{output.name}.new")
    counts = Observation()
    counted = scored.observe(counts, count_if(col(FIRST)).alias("inputs")).drop(INPUT, FIRST)
    counted.write.mode("overwrite").option("compression", "zstd").parquet(str(beside.absolute()))
    _check(counts.get["inputs"], total)
    write_whole(beside / SETTINGS_FILE, json.dumps(settings))
    if output.exists():
        shutil.rmtree(output)
    beside.rename(output)
    return output


def _check(found: int, total: int) -> None:
    if found != total:
        raise DataError("score", [f"{found} of {total} inputs have an outcome; this is a fault of the package"])
