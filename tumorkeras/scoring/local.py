"""Scoring on one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tumorkeras.errors import DataError
from tumorkeras.progress import progress_bar as bar_of
from tumorkeras.scoring.blocks import Block
from tumorkeras.scoring.inputs import read_blocks
from tumorkeras.scoring.predictor import Predictor, load_predictor
from tumorkeras.scoring.table import detections_table, predictions_table
from tumorkeras.spec import DataSpec, Part

if TYPE_CHECKING:  # scoring an export starts no Keras, files need no readers of samples
    import keras

    from tumorkeras.data.detection import DetectionSamples
    from tumorkeras.data.samples import Samples
    from tumorkeras.serving.client import ServingClient
    from tumorkeras.training import TrainedModel

SAMPLES_A_BATCH, IMAGES_A_BATCH = 64, 8


def score(
    model: str | Path | TrainedModel | keras.Model | ServingClient,
    inputs: np.ndarray | str | Path | Iterable[str | Path] | DataSpec | Samples | DetectionSamples,
    *,
    batch_size: int | None = None,
    progress_bar: bool = True,
    split: Part | None = None,
) -> pd.DataFrame:
    """Score samples with the compiled ``serving_default`` of a model: a row a sample, of a detector a row a detection.

    Bad input never ends the job: a file that is missing, broken, pickled or of the wrong shape gives one row
    that says so, and so does a sample with values that are not finite.

    Parameters
    ----------
    model : str, Path, TrainedModel, keras.Model or ServingClient
        An export, ``NAME/VERSION``, or ``NAME`` for its largest version; the folder of a trained model; a
        classifier, autoencoder or detector in memory; or the client of a server.
    inputs : ndarray, str, Path, iterable of paths, DataSpec, Samples or DetectionSamples
        Samples (n, *input_shape) of any numeric dtype, where one sample may lack its n and the only channel
        its axis; ``.npy`` and ``.npz`` files of such arrays (of an ``.npz``, every key with three axes or
        more), folders of such files, searched to the bottom; a spec, or samples that were loaded from one.
        Where the model was trained on tracks, an array (n, frames, 2) of x and y in the spec's ``input.units``
        is drawn as in training; a track that leaves the volume is held at its border. A detector takes arrays of
        images of any height and width, and also image files that :func:`tumorkeras.read` reads, alone or in folders,
        in the channels of the model; files of one size are put into one batch.
    batch_size : int, optional
        Samples per call of the model; by default 64, of a detector 8.
    progress_bar : bool, default True
        Shown on standard error, and only on a terminal or in a notebook.
    split : {"train", "val", "test"}, optional
        The part of the samples of a spec; by default all.

    Returns
    -------
    pandas.DataFrame
        ``path`` (for a key of an archive ``file.npz#key``), ``id`` (the spec's, else the row in the file),
        ``status`` ("ok" or "error") and ``error``; of a classifier ``class_id``, ``class_name`` where the
        model knows the names, and ``probability_<class>``; of an autoencoder ``reconstruction_error``.
        Columns of numbers are missing where the status is "error". Of a detector there is a row a detection, best
        first, and one for a sample without any: ``class`` (its name, or its id where the model knows no names),
        ``score``, 0 to 1, and ``xmin``, ``ymin``, ``xmax`` and ``ymax`` in pixels of the file or array, all missing
        where nothing was found. Every detection above the model's own ``score_threshold`` is there; what counts as
        found is for the threshold of the model card. Of a spec with tiles, a sample is a tile, and pixels are its own.

    Raises
    ------
    ModelError
        If the model cannot be loaded; or a spec or samples have other classes, another input or another
        rendering than the model was trained with.
    DataError
        If an argument is wrong: an array of another shape or tracks of another number of frames than the model
        reads, a batch size below 1.

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
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise DataError("score", [f"batch_size: {batch_size!r} found, expected a positive integer"])
    predictor = load_predictor(model)
    size = batch_size or (IMAGES_A_BATCH if predictor.detects else SAMPLES_A_BATCH)
    blocks, total = read_blocks(inputs, predictor.origin, split, detects=predictor.detects, batch_size=size)
    paths: list[str] = []
    ids: list[int | str | None] = []
    errors: list[str | None] = []
    values = [np.empty((0, *predictor.shape), "float32")]
    with bar_of(total, "score", "sample", shown=progress_bar) as bar:
        for block in blocks:
            results, faults = _score_block(predictor, block, size, bar.update)
            paths.extend(block.paths)
            ids.extend(block.ids)
            errors.extend(faults)
            values.append(results)
    answers, classes = np.concatenate(values), predictor.origin.classes
    if predictor.detects:
        return detections_table(paths, ids, errors, answers, classes)
    return predictions_table(paths, ids, errors, answers, predictor.output, classes)


def _score_block(
    predictor: Predictor, block: Block, batch_size: int, done: Callable[[int], Any]
) -> tuple[np.ndarray, list[str | None]]:
    """Answers (n, *shape) to the samples of a block, NaN where a fault says why."""
    results = np.full((len(block), *predictor.shape), np.nan, "float32")
    errors: list[str | None] = [None] * len(block)
    for rows, samples in block.pieces(batch_size):
        faults: Sequence[str | None]
        if isinstance(samples, str):
            faults = [samples] * len(rows)
        else:
            results[np.asarray(rows)], faults = _score_batch(predictor, samples)
            done(len(rows))
        for row, fault in zip(rows, faults, strict=True):
            errors[row] = fault
    return block.in_files(results), errors


def _score_batch(predictor: Predictor, samples: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
    """Score the rows that can be: answers (n, *shape), NaN where a fault says why."""
    with np.errstate(over="ignore"):  # Beyond float32 is not finite, and said so below.
        batch = np.ascontiguousarray(samples, dtype="float32")
    results = np.full((len(batch), *predictor.shape), np.nan, "float32")
    bad = (~np.isfinite(batch)).reshape(len(batch), -1).sum(axis=1)
    errors: list[str | None] = [f"holds {count} non-finite values" if count else None for count in bad]
    fit = np.flatnonzero(bad == 0)
    if len(fit):
        results[fit] = predictor.run(batch[fit])
    for row in fit[~np.isfinite(results[fit]).all(axis=tuple(range(1, results.ndim)))]:
        errors[row] = "the model's answer is not finite"
        results[row] = np.nan
    return results, errors
