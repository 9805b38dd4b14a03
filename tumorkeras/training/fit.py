"""One training: a learning-rate schedule, early stopping on validation, best weights, and resuming."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tumorkeras.data.agreement import add_content
from tumorkeras.data.pipeline import batches, steps_per_epoch, training_stream
from tumorkeras.data.samples import Samples
from tumorkeras.errors import ModelError
from tumorkeras.models.autoencoder import target_of
from tumorkeras.progress import progress_bar as bar_of
from tumorkeras.spec import Training
from tumorkeras.training.networks import is_classifier
from tumorkeras.training.state import STATE_FOLDER, Progress, TrainingState


def fit(
    model: keras.Model,
    training: Samples,
    validation: Samples | None,
    settings: Training,
    *,
    epochs: int | None = None,
    folder: Path | None = None,
    progress_bar: bool = True,
    origin: str = "",
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
    progress_bar : bool
        Shown on standard error, and only on a terminal or in a notebook.
    origin : str
        Where the first weights come from; a state of another origin is refused.

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
    _compile(model, settings, steps * epochs)
    fingerprint = _fingerprint(model, training, validation, [settings.model_dump(mode="json"), epochs, origin])
    state = TrainingState(model, folder and folder / STATE_FOLDER, fingerprint)
    progress = state.restore()
    if progress.epoch < epochs and not progress.stopped:
        stream = _stream(model, training, settings, progress.epoch)
        held_out = None if validation is None else _with_targets(model, batches(validation, settings.batch_size))
        keeper = _Keeper(state, progress, settings.patience, epochs, progress_bar)
        model.fit(
            stream,
            steps_per_epoch=steps,
            initial_epoch=progress.epoch,
            epochs=epochs,
            validation_data=held_out,
            callbacks=[keeper],
            verbose=0,
            shuffle=False,
        )
    _check_finite(model, progress, validation is not None)
    if validation is not None:
        model.set_weights(state.best_weights)
    return pd.DataFrame(progress.history)


def _check_finite(model: keras.Model, progress: Progress, validated: bool) -> None:
    mend = "lower training.learning_rate or rescale the input (preprocessing)"
    if not math.isfinite(progress.history[-1]["loss"]):
        raise ModelError(model.name, [f"the loss of epoch {len(progress.history)} is not a finite number; {mend}"])
    if validated and not progress.best_epoch:
        raise ModelError(model.name, [f"no epoch has a finite validation loss; {mend}"])


def _compile(model: keras.Model, settings: Training, total_steps: int) -> None:
    classifier = is_classifier(model)
    warmup = max(1, total_steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, total_steps - warmup), warmup_target=settings.learning_rate, warmup_steps=warmup
    )
    model.compile(
        optimizer=keras.optimizers.Adam(rate, clipnorm=1.0),
        loss="sparse_categorical_crossentropy" if classifier else "mean_squared_error",
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


def _fingerprint(model: keras.Model, training: Samples, validation: Samples | None, settings: list[Any]) -> str:
    """What a training depends on: values and how they are drawn, layers and their options, settings."""
    digest = hashlib.sha256()
    for samples in (training, validation):
        if samples is not None:
            add_content(digest, samples)
    spec = training.spec
    drawing = [spec.input.model_dump(mode="json"), spec.rendering.model_dump(mode="json")]
    digest.update(json.dumps([settings, drawing, _layers(model)], sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _layers(model: keras.Model) -> list[Any]:
    """Kind and options of every layer; without names, as Keras counts those of unnamed layers up."""
    return [
        [type(layer).__name__, {key: value for key, value in layer.get_config().items() if key != "name"}]
        for layer in model.layers
    ]


class _Keeper(keras.callbacks.Callback):
    """After each epoch: a row of history, the best weights, the state on disk, and the decision to stop."""

    def __init__(
        self, state: TrainingState, progress: Progress, patience: int, epochs: int, progress_bar: bool
    ) -> None:
        super().__init__()
        self.state, self.progress, self.patience = state, progress, patience
        self.bar = bar_of(epochs, state.model.name, "epoch", shown=progress_bar, initial=progress.epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items()}
        progress = self.progress
        progress.epoch = epoch + 1
        progress.history.append({"epoch": epoch + 1, **row})
        value = row.get("val_loss")
        if value is not None and value < progress.best_value:  # NaN never is
            progress.best_value, progress.best_epoch = value, epoch + 1
            self.state.best_weights = self.model.get_weights()
        progress.stopped = value is not None and epoch + 1 - progress.best_epoch >= self.patience
        if not math.isfinite(row["loss"]):
            self.model.stop_training = True
            return
        self.model.stop_training = progress.stopped
        self.state.save(progress)
        self.bar.set_postfix({name: f"{value:.4f}" for name, value in row.items()})
        self.bar.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()
