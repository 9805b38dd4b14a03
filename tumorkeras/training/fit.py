"""One training: a learning-rate schedule, early stopping on validation, best weights, and resuming."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tumorkeras.data.agreement import add_content
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.pipeline import batches, steps_per_epoch, training_stream
from tumorkeras.data.samples import Samples
from tumorkeras.models.autoencoder import target_of
from tumorkeras.spec import Training
from tumorkeras.training.devices import clipping_whole, mirrored, strategy_of, whole_loss
from tumorkeras.training.layerwise import EVENLY, Layerwise, adam
from tumorkeras.training.loop import run_epochs, warmed_up_cosine
from tumorkeras.training.networks import is_classifier
from tumorkeras.training.state import STATE_FOLDER, TrainingState

S = TypeVar("S", Samples, DetectionSamples)


def fit(
    model: keras.Model,
    training: Samples,
    validation: Samples | None,
    settings: Training,
    *,
    epochs: int | None = None,
    folder: Path | None = None,
    progress: bool = True,
    origin: str = "",
    layerwise: Layerwise = EVENLY,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> pd.DataFrame:
    """Train a classifier or an autoencoder; the model is left with its best weights.

    Best means the smallest validation loss; without ``validation`` there is no early stopping and the last
    weights stay. With ``folder`` the state after each epoch lies in ``folder/.training``, and the same call
    goes on from there: the data stream and the random state are those of an uninterrupted training.

    Parameters
    ----------
    model : keras.Model
        From :func:`tumorkeras.build_classifier` or :func:`tumorkeras.build_autoencoder`.
    training, validation : Samples
        What the weights are fitted to, and what stops the fitting.
    settings : Training
        The spec's section.
    epochs : int, optional
        Instead of ``settings.epochs``.
    folder : path, optional
        Where the state is kept.
    progress : bool
        Live curves in a notebook (:class:`tumorkeras.training.LiveCurves`), a bar on a terminal, elsewhere a logged
        line an epoch; False for none of them.
    origin : str
        Where the first weights come from; a state of another origin is refused.
    layerwise : Layerwise
        Smaller learning rates of earlier layers, and layers that begin to learn later; by default all learn alike.
    callbacks : sequence of keras.callbacks.Callback
        Keras' own, such as TensorBoard, told of every epoch after its figures are measured.

    Returns
    -------
    pandas.DataFrame
        One row per epoch: ``epoch``, ``loss``, ``val_loss``, and for classifiers ``accuracy``, ``val_accuracy``.

    Raises
    ------
    ModelError
        If ``folder`` holds the state of another training, or the loss is no longer a number.

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.models import build_autoencoder
    >>> from tumorkeras.spec import DataSpec
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [8, 8, 8, 1], "spacing": [1, 9, 9]},
    ...     "source": {"kind": "simulation", "samples_per_class": 8, "frames": 8}})
    >>> samples = load_samples(spec)
    >>> model = build_autoencoder(spec.input.shape, filters=(4,))
    >>> history = fit(model, samples.part("train"), samples.part("val"), spec.training, epochs=2)
    >>> list(history)
    ['epoch', 'loss', 'val_loss']
    """
    epochs = epochs or settings.epochs
    steps = steps_per_epoch(training, settings.batch_size)
    strategy = strategy_of(settings)
    learner = mirrored(model, strategy)
    with strategy.scope():
        _compile(learner, settings, layerwise, steps, epochs)
    settled = [settings.model_dump(mode="json"), epochs, origin, _layers(model), asdict(layerwise)]
    fingerprint = fingerprint_of(training, validation, settled)
    state = TrainingState(learner, folder and folder / STATE_FOLDER, fingerprint)
    reached = run_epochs(
        learner,
        lambda epoch: _stream(model, training, settings, epoch),
        steps,
        epochs,
        state=state,
        patience=settings.patience,
        held_out=None if validation is None else _with_targets(model, batches(validation, settings.batch_size)),
        progress=progress,
        callbacks=callbacks,
    )
    model.set_weights(state.best_weights)
    return pd.DataFrame(reached.history)


def _compile(model: keras.Model, settings: Training, layerwise: Layerwise, steps: int, epochs: int) -> None:
    classifier = is_classifier(model)
    rate = warmed_up_cosine(settings.learning_rate, steps * epochs)
    model.compile(
        optimizer=clipping_whole(adam(model, rate, layerwise, steps, epochs)),
        loss=whole_loss("sparse_categorical_crossentropy" if classifier else "mean_squared_error"),
        # Not weighted, so that accuracy and val_accuracy mean the same.
        metrics=["accuracy"] if classifier else None,
    )


def _stream(model: keras.Model, training: Samples, settings: Training, epoch: int) -> tf.data.Dataset:
    classifier = is_classifier(model)
    weights = _balancing_weights(training.labels) if classifier and settings.class_weights else None
    stream = training_stream(
        training,
        settings.batch_size,
        augment=settings.augment,
        sample_weights=weights,
        seed=settings.seed,
        epoch=epoch,
    )
    return _with_targets(model, stream)


def _balancing_weights(labels: np.ndarray) -> np.ndarray:
    """Weights that give every class the same sum, 1 on average."""
    counts = np.bincount(labels)
    return (len(labels) / (np.count_nonzero(counts) * counts[labels])).astype("float32")


def _with_targets(model: keras.Model, stream: tf.data.Dataset) -> tf.data.Dataset:
    """The stream as it is for a classifier; (arrays, preprocessed arrays) for an autoencoder."""
    if is_classifier(model):
        return stream
    target = target_of(model)
    return stream.map(lambda arrays, labels: (arrays, target(arrays)))


def fingerprint_of(training: S, validation: S | None, settings: list[Any]) -> str:
    """What a training depends on: the samples and how they are drawn, and what else is named."""
    digest = hashlib.sha256()
    for samples in (training, validation):
        if samples is not None:
            add_content(digest, samples)
    spec = training.spec
    drawing = [spec.input.model_dump(mode="json"), spec.rendering.model_dump(mode="json")]
    digest.update(json.dumps([settings, drawing], sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _layers(model: keras.Model) -> list[Any]:
    """Kind and options of every layer; without names, as Keras counts those of unnamed layers up."""
    return [
        [type(layer).__name__, {key: value for key, value in layer.get_config().items() if key != "name"}]
        for layer in model.layers
    ]
