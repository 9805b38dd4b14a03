"""Scoring from one function: a few arrays in a notebook, or an archive overnight."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, overload

import numpy as np
import pandas as pd

from tumorkeras.errors import DataError, ModelError
from tumorkeras.layers.float32 import is_count
from tumorkeras.machine import processors
from tumorkeras.progress import progress_bar
from tumorkeras.scoring.batch_size import choose_batch_size
from tumorkeras.scoring.inputs import Inputs, are_files, find_inputs
from tumorkeras.scoring.inputs.arrays import as_array
from tumorkeras.scoring.inputs.files import FileInputs, reading_of
from tumorkeras.scoring.local import (
    BATCHES_A_WINDOW,
    layout_of,
    raise_first,
    score_windows,
    settings_of,
    tell,
    whole_table,
    windows_of,
)
from tumorkeras.scoring.output.final import check_place
from tumorkeras.scoring.output.parts import Parts, parts_folder
from tumorkeras.scoring.output.plans import PLAN, Plan
from tumorkeras.scoring.predictor import Predictor, load_predictor
from tumorkeras.scoring.remote import brought_here
from tumorkeras.scoring.table import INPUT
from tumorkeras.serving.client import ServingClient
from tumorkeras.spec import DataSpec, Part

if TYPE_CHECKING:  # scoring an export starts no Keras, files need no readers of samples
    import keras
    import tensorflow as tf

    from tumorkeras.data.detection import DetectionSamples
    from tumorkeras.data.samples import Samples
    from tumorkeras.training import TrainedModel

    Model: TypeAlias = str | Path | TrainedModel | keras.Model | ServingClient
    Paths: TypeAlias = str | Path | Iterable[str | Path] | pd.DataFrame
    Scored: TypeAlias = np.ndarray | Paths | tf.data.Dataset | DataSpec | Samples | DetectionSamples

Engine = Literal["local", "spark"]
OnError = Literal["row", "raise"]
Runtime = Literal["onnx", "openvino", "litert"]

logger = logging.getLogger(__name__)


@overload
def score(
    model: Model,
    inputs: Scored,
    *,
    signature: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    output: None = None,
    engine: Engine = "local",
    on_error: OnError = "row",
    resume: bool = True,
    progress: bool = True,
    split: Part | None = None,
    runtime: Runtime | None = None,
) -> pd.DataFrame: ...


@overload
def score(
    model: Model,
    inputs: Scored,
    *,
    signature: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    output: str | Path,
    engine: Engine = "local",
    on_error: OnError = "row",
    resume: bool = True,
    progress: bool = True,
    split: Part | None = None,
    runtime: Runtime | None = None,
) -> Path: ...


def score(
    model: Model,
    inputs: Scored,
    *,
    signature: str | None = None,
    batch_size: int | Literal["auto"] = "auto",
    output: str | Path | None = None,
    engine: Engine = "local",
    on_error: OnError = "row",
    resume: bool = True,
    progress: bool = True,
    split: Part | None = None,
    runtime: Runtime | None = None,
) -> pd.DataFrame | Path:
    """Score samples with the compiled signature of a model: a row a sample, of a detector a row a detection.

    Bad input never ends the job: every input gives its outcome, and one that is missing, broken, pickled or of the
    wrong shape gives one row that says so, as does a sample with values that are not finite.

    Parameters
    ----------
    model : str, Path, TrainedModel, keras.Model or ServingClient
        An export, ``NAME/VERSION``, or ``NAME`` for its largest version, also as a URL that fsspec opens (extra
        ``remote``); the folder of a trained model; a classifier, autoencoder or detector in memory; or the client of a
        server.
    inputs : ndarray, str, Path, iterable of paths, DataFrame, tf.data.Dataset, DataSpec, Samples or DetectionSamples
        Files that :func:`tumorkeras.read` reads: images of any size, or volumes, DICOM series and NIfTI among them,
        for a model that reads volumes, which are brought to its shape and the spacing of its spec. They are given one
        by one, as folders, which are searched to the bottom, as a pattern such as ``"scans/**/*.png"``, or as a table
        with a column ``path``, whose other columns are carried along. ``.npy`` and ``.npz`` files hold samples
        ``(n, *input_shape)`` of any numeric dtype, or one, and the only channel may lack its axis; of an ``.npz``,
        every key with three axes or more is read. Or such an array, tensor or list; a ``tf.data`` set; a spec, or
        samples loaded from one. Where the model was trained on tracks, an array (n, frames, 2) of x and y in
        the spec's ``input.units`` is drawn as in training; a track that leaves the volume is held at its border.
    signature : str, optional
        What is called; by default ``serving_default``, and ``serving_uint8`` for images in whole grey levels.
        ``"features"`` gives the embedding. With ``"serving_bytes"`` the model decodes PNG and JPEG files itself.
        ``"uncertainty_dropout"`` and ``"uncertainty_augmentation"`` tell how sure a classifier is; of an export, where
        it was made with them.
    batch_size : int or "auto", default "auto"
        Samples per call of the model. By default what goes through it fastest, as a few calls before the start tell; of
        a client, its own.
    output : path, optional
        A table to write, ``.parquet``, ``.csv`` or, of detections, ``.json`` in COCO's format of results. The rows lie
        in ``OUTPUT.parts/`` while it grows, which pandas reads as a Parquet data set. Memory does not grow with the
        number of inputs.
    engine : {"local", "spark"}, default "local"
        Spark (extra ``spark``) scores files from storage that its workers share, with a model that lies there, too. An
        ``output`` is a folder of Parquet files then, which replaces one that is there when it is whole; ``resume`` says
        nothing. The active session is used, else one on this machine for this call.
    on_error : {"row", "raise"}, default "row"
        Whether an input that cannot be scored gives a row that says why, or ends the job.
    resume : bool, default True
        Whether a job with the same ``output`` that was interrupted goes on with what is missing; it is refused where
        the model, an option or the inputs have changed meanwhile. With False it starts anew.
    progress : bool, default True
        A bar on standard error, only on a terminal or in a notebook.
    split : {"train", "val", "test"}, optional
        The part of the samples of a spec; by default all.
    runtime : {"onnx", "openvino", "litert"}, optional
        Of an export that was written in this format as well; by default TensorFlow.

    Returns
    -------
    pandas.DataFrame or Path
        The path of ``output`` where it is given. Else the table: ``path`` (for a key of an archive ``file.npz#key``),
        ``id`` (the spec's, else the row in the file), ``status`` ("ok" or "error") and ``error``; of a classifier
        ``class_id``, ``class_name`` where the model knows the names, and ``probability_<class>``, with an uncertainty
        ``std_<class>``, ``entropy`` and ``mutual_information`` as well; of an autoencoder ``reconstruction_error``, and
        ``out_of_distribution``, whether that is above the threshold of its card, where it has one; of the signature
        ``features``, ``feature_0`` and so on; then the columns that were carried along. Columns of numbers are missing
        where the status is "error". Of a detector there is a row a detection, best first, and one for a sample without
        any: ``class`` (its name, or its id where the model knows no names), ``score``, 0 to 1, and ``xmin``, ``ymin``,
        ``xmax`` and ``ymax`` in pixels of the file or array, all missing where nothing was found. Every detection above
        the model's own ``score_threshold`` is there; what counts as found is for the threshold of the model card. Of a
        spec with tiles, a sample is a tile, and pixels are its own. ``table.attrs["scoring"]`` has the name, version
        and SHA-256 of the model, the signature and the batch size; of a Parquet file its metadata have them.

    Raises
    ------
    ModelError
        If the model cannot be loaded; or a spec or samples have other classes, another input or another
        rendering than the model was trained with; or a server says no.
    DataError
        If an argument is wrong: an array of another shape or tracks of another number of frames than the model
        reads, a batch size below 1, a folder without samples; if ``output`` cannot be written, or what lies there is of
        another job; with ``on_error="raise"``, if an input cannot be scored.
    MissingExtraError
        If the packages of a runtime or of Spark are not installed.

    Examples
    --------
    >>> import keras
    >>> inputs = keras.Input((8, 8, 1))
    >>> features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
    >>> outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    >>> samples = np.zeros((3, 8, 8, 1), "uint8")
    >>> score(keras.Model(inputs, outputs), samples)[["path", "id", "status", "probability_0"]]
        path  id status  probability_0
    0  array   0     ok            0.5
    1  array   1     ok            0.5
    2  array   2     ok            0.5
    """
    _check_arguments(batch_size, engine, on_error)
    batch_size = batch_size if batch_size == "auto" else int(batch_size)  # NumPy's integers are no JSON
    inputs = as_array(inputs)
    output = None if output is None else Path(output)
    if engine == "spark":
        if split is not None:
            raise DataError("score", ["split: Spark scores files, which have no parts; leave split out"])
        from tumorkeras.scoring.spark.engine import score_on_spark

        choices: dict[str, Any] = {"signature": signature, "runtime": runtime, "batch_size": batch_size}
        return score_on_spark(model, inputs, output=output, raises=on_error == "raise", progress=progress, **choices)
    if batch_size == "auto" and isinstance(model, ServingClient):
        batch_size = model.batch_size
    if output is not None:  # said before a model is loaded, which may take its time
        check_place(output, detects=output.suffix.lower() == ".json")
    with ExitStack() as stack:
        predictor = load_predictor(stack.enter_context(brought_here(model)), signature, runtime)
        if output is not None:
            check_place(output, detects=predictor.detects)
        if predictor.reads_files and not are_files(inputs):
            fault = f"reads encoded images, and {type(inputs).__name__} was given; give files, or another signature"
            raise ModelError(predictor.origin.name, [fault])
        # What reads files starts beside the loading of the model.
        read = stack.enter_context(reading_of(predictor, processors())) if are_files(inputs) else None
        reserved = [*layout_of(predictor).empty().columns, INPUT]
        found = find_inputs(inputs, predictor.origin, split, detects=predictor.detects, reserved=reserved, read=read)
        job = Job(predictor, found, batch_size, raises=on_error == "raise", progress=progress)
        return job.table() if output is None else job.written(output, resume=resume)


def _check_arguments(batch_size: Any, engine: str, on_error: str) -> None:
    faults = []
    if batch_size != "auto" and not is_count(batch_size):
        faults.append(f"batch_size: {batch_size!r} found, expected a positive integer or 'auto'")
    for name, found, choice in (("engine", engine, Engine), ("on_error", on_error, OnError)):
        if found not in get_args(choice):
            faults.append(f"{name}: {found!r} found, expected {' or '.join(map(repr, get_args(choice)))}")
    if faults:
        raise DataError("score", faults)


class Job:
    """Inputs and what scores them.

    Parameters
    ----------
    predictor : Predictor
    inputs : Inputs
    batch_size : int or "auto"
    raises : bool
        Whether an input that cannot be scored ends the job.
    progress : bool
        Whether a bar is shown.
    """

    def __init__(
        self, predictor: Predictor, inputs: Inputs, batch_size: int | Literal["auto"], *, raises: bool, progress: bool
    ) -> None:
        self._predictor, self._inputs, self._batch_size = predictor, inputs, batch_size
        self._raises, self._progress = raises, progress

    def table(self) -> pd.DataFrame:
        """All outcomes, in memory."""
        size = self._size()
        total = len(self._inputs.paths)
        tables = [table for _, table in self._windows(self._inputs, windows_of(total, size), size)]
        layout = layout_of(self._predictor, self._inputs)
        return whole_table(tables, layout, total, settings_of(self._predictor, size))

    def written(self, output: Path, *, resume: bool) -> Path:
        """All outcomes, in a file, which is made of parts that outlive a kill."""
        size = self._size(_begun_with(output) if resume else {})
        settings = {**settings_of(self._predictor, size), **self._inputs.fingerprint()}
        plan = Plan(settings, self._inputs.paths, size * BATCHES_A_WINDOW, self._inputs.carried)
        with Parts.open(output, plan, layout_of(self._predictor, self._inputs).empty(), resume=resume) as parts:
            inputs = self._inputs
            if isinstance(inputs, FileInputs):  # of a job that goes on the list with which it began
                inputs = inputs.listed(parts.plan.paths, parts.plan.carried)
            try:
                for window, table in self._windows(inputs, list(starmap(range, parts.missing())), size):
                    parts.add(window.start, window.stop, table)
            except KeyboardInterrupt:
                kept, total = parts.counts.ok + parts.counts.error, parts.counts.inputs
                logger.info("%s keeps %s of %s inputs", parts_folder(output).name, f"{kept:,}", f"{total:,}")
                raise
            tell(parts.counts.inputs, parts.counts.error)
            return parts.finish(self._predictor.origin.classes)

    def _size(self, stored: dict[str, Any] | None = None) -> int:
        """The batch size that was asked for, else that with which the job began, else what suits the model."""
        if self._batch_size != "auto":
            return self._batch_size
        began = (stored or {}).get("batch_size")
        return began if isinstance(began, int) else choose_batch_size(self._predictor, self._inputs.example())

    def _windows(self, inputs: Inputs, windows: list[range], size: int) -> Iterator[tuple[range, pd.DataFrame]]:
        total, left = len(inputs.paths), sum(map(len, windows))
        layout = layout_of(self._predictor, inputs)
        with progress_bar(total, "score", "input", shown=self._progress, initial=total - left) as bar:
            for window, table in score_windows(self._predictor, layout, inputs, windows, size, bar.update):
                if self._raises:
                    raise_first(table)
                yield window, table


def _begun_with(output: Path) -> dict[str, Any]:
    """The settings of a job that was interrupted; of a plan that cannot be read it is said where the job goes on."""
    try:
        return json.loads((parts_folder(output) / PLAN).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
