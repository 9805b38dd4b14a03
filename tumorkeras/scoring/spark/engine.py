"""Scoring with Spark: the list of files is the data, and each Python worker scores its pieces as one machine does."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import pandas as pd

from tumorkeras import errors
from tumorkeras.errors import DataError, ModelError
from tumorkeras.progress import progress_bar
from tumorkeras.scoring.inputs import are_files
from tumorkeras.scoring.inputs.listing import Listing, Paths, list_files
from tumorkeras.scoring.local import layout_of, settings_of, tell, whole_table
from tumorkeras.scoring.output.final import with_attributes
from tumorkeras.scoring.output.part_tables import schema_of
from tumorkeras.scoring.predictor import load_predictor
from tumorkeras.scoring.spark.output import check_folder, check_rows, new_data_set
from tumorkeras.scoring.spark.session import session
from tumorkeras.scoring.spark.worker import Piece, Progress, ProgressParam, Work
from tumorkeras.scoring.table import INPUT, Layout

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

BATCH_SIZE = 32  # a worker has one thread: it gains little from more
PIECES_A_CORE = 8  # so that a core that was given slow files is helped out
LOOK = 1.0  # seconds between two looks at how far the workers are
MOST = 2**16  # inputs of a piece: what is lost with a worker


def score_on_spark(
    model: Any,
    inputs: Any,
    *,
    signature: str | None = None,
    runtime: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    output: Path | None = None,
    raises: bool = False,
    progress: bool = True,
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
    progress : bool, default True
        Whether a bar is shown.

    Raises
    ------
    ModelError
        If the model is none that a worker can load from its path.
    DataError
        If the inputs are no files, the output is none that Spark writes, or, with ``raises``, an input cannot be
        scored.
    MissingExtraError
        If PySpark is not installed, or there is no Java.
    """
    work = work_of(model, signature, runtime, batch_size, raises=raises)
    if not are_files(inputs):
        raise DataError("score", [f"inputs: {type(inputs).__name__} found, but Spark scores files; use engine='local'"])
    if output is not None:
        check_folder(output)
    predictor = load_predictor(work.model, signature, runtime)
    layout = layout_of(predictor)
    reserved = [*layout.empty().columns, INPUT]
    listing = list_files(inputs, volumes=len(predictor.origin.shape) == 4, reserved=reserved)
    layout = replace(layout, carried=listing.carried)
    settings = settings_of(predictor, work.batch_size)
    with session() as spark:
        job = _Job(spark.sparkContext, work, listing, progress)
        return job.table(layout, settings) if output is None else job.written(output, layout, settings)


def work_of(
    model: Any,
    signature: str | None,
    runtime: str | None,
    batch_size: int | Literal["auto"],
    *,
    raises: bool = False,
) -> Work:
    """What workers are told.

    Raises
    ------
    ModelError
        If the model is none that a worker can load from its path.
    """
    if not isinstance(model, str | Path):
        fault = f"model: {type(model).__name__} found, but workers load an export or a trained model from its folder"
        raise ModelError("score", [fault])
    size = BATCH_SIZE if batch_size == "auto" else batch_size
    return Work(os.path.abspath(model), signature, runtime, size, raises, os.getcwd())


def sent(task: str, work: Work, *arguments: Any) -> Callable[[Any], Any]:
    """A function of :mod:`tumorkeras.scoring.spark.worker`, its work given, to be sent to workers.

    It is sent itself, not by its name, so that it comes before the import of the package, and TensorFlow is told
    before its own import to be quiet.
    """
    settings = asdict(work)

    def run(data: Any) -> Any:
        import os

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from tumorkeras.scoring.spark import worker

        return getattr(worker, task)(worker.Work(**settings), data, *arguments)

    return run


class _Job:
    """A list in pieces, and the workers that score them."""

    def __init__(self, context: SparkContext, work: Work, listing: Listing, progress: bool) -> None:
        self._context, self._work, self._progress = context, work, progress
        self._total = len(listing)
        width = _width(self._total, context.defaultParallelism, work.batch_size)
        starts = range(0, max(1, self._total), width)  # nothing is a piece, too
        self._pieces = [_piece(listing, start, start + width) for start in starts]

    def table(self, layout: Layout, settings: dict[str, Any]) -> pd.DataFrame:
        """All outcomes, in memory."""
        return whole_table(self._run("score_pieces"), layout, self._total, settings)

    def written(self, output: Path, layout: Layout, settings: dict[str, Any]) -> Path:
        """All outcomes, as a folder of files, which lies beside until it is whole."""
        schema = with_attributes(schema_of(layout.empty()), {"scoring": settings})
        with new_data_set(output, settings) as folder:
            receipts = self._run("write_pieces", str(folder), schema)
            rows = {piece.file: receipt.rows for piece, receipt in zip(self._pieces, receipts, strict=True)}
            check_rows(folder, rows)
        tell(self._total, sum(receipt.failed for receipt in receipts))
        return output

    def _run(self, task: str, *arguments: Any) -> list[Any]:
        pieces: RDD[Piece] = self._context.parallelize(self._pieces, len(self._pieces))
        found: list[Any] = []
        with _watched(self._context, self._total, shown=self._progress) as told:
            found += pieces.mapPartitions(sent(task, self._work, told, *arguments)).collect()
        return found


def _width(total: int, cores: int, batch_size: int) -> int:
    """Inputs of a piece: whole batches, where there are enough for all cores.

    Examples
    --------
    >>> _width(40, cores=2, batch_size=32), _width(1000, cores=2, batch_size=32), _width(10**7, cores=2, batch_size=32)
    (3, 64, 65536)
    """
    width = max(1, math.ceil(total / (PIECES_A_CORE * cores)))
    if width <= batch_size:
        return width
    return min(math.ceil(width / batch_size), max(1, MOST // batch_size)) * batch_size


def _piece(listing: Listing, start: int, stop: int) -> Piece:
    carried = None if listing.carried is None else listing.carried.iloc[start:stop].reset_index(drop=True)
    return Piece(start, Paths(listing.paths[start:stop]), carried)


@contextmanager
def _watched(context: SparkContext, total: int, *, shown: bool) -> Iterator[Any]:
    """Give what workers tell; show how far they are, and end their job where one of them has told of an error.

    Raises
    ------
    TumorKerasError
        That of a worker.
    """
    told: Any = context.accumulator(Progress(), ProgressParam())
    ended, tag = threading.Event(), f"tumorkeras-{uuid4()}"

    def look() -> None:
        while not ended.wait(LOOK):
            bar.update(told.value.inputs - bar.n)
            if told.value.errors:
                context.cancelJobsWithTag(tag)

    with progress_bar(total, "score", "input", shown=shown) as bar:
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        context.addJobTag(tag)
        try:
            yield told
        except Exception:
            if not told.value.errors:  # else it was cancelled
                raise
        finally:
            context.removeJobTag(tag)
            ended.set()
            looking.join()
            bar.update(told.value.inputs - bar.n)
    for kind, heading, faults in told.value.errors:
        raise getattr(errors, kind)(heading, faults)
