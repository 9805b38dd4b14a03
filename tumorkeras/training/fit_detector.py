"""The training of a detector: anchors that reach the boxes, a moving average of the weights, AP on validation."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tumorkeras.anchors import Anchors, propose_anchors, recall
from tumorkeras.data.detection import DetectionSamples, detection_stream
from tumorkeras.data.proposals.samples import proposals_of, set_apart, with_proposals
from tumorkeras.errors import DataError
from tumorkeras.models.detector import Detector
from tumorkeras.spec import DataSpec, Training
from tumorkeras.training.detect import compiled_detector, detect, precision_logs, takes_proposals
from tumorkeras.training.devices import clipping_whole, mirrored, strategy_of
from tumorkeras.training.fit import fingerprint_of
from tumorkeras.training.loop import run_epochs, warmed_up_cosine
from tumorkeras.training.state import STATE_FOLDER, TrainingState

logger = logging.getLogger(__name__)

ENOUGH_RECALL = 0.9
AVERAGED_EPOCHS = 2  # that the moving average of the weights looks back


def fit_detector(
    model: Detector,
    training: DetectionSamples,
    validation: DetectionSamples | None,
    settings: Training,
    *,
    epochs: int | None = None,
    folder: Path | None = None,
    progress: bool = True,
    origin: str = "",
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> pd.DataFrame:
    """Train a detector; the model is left with its best weights.

    A moving average of the weights is what is measured and kept. Best means the largest AP50 on the validation
    samples; without any, or where none has an object, the last weights stay. With ``folder`` the same call goes on
    after a stop, as :func:`tumorkeras.training.fit.fit` does.

    Parameters
    ----------
    model : Detector
        From :func:`tumorkeras.build_detector`, on the canvas of the samples. One whose proposals come from outside
        learns from those of :func:`tumorkeras.propose_regions`.
    training, validation : DetectionSamples
        What the weights are fitted to, and what stops the fitting.
    settings, epochs, folder, progress, origin, callbacks
        As in :func:`tumorkeras.training.fit.fit`.

    Returns
    -------
    pandas.DataFrame
        One row per epoch: ``epoch``, ``loss``, the four losses, ``val_AP50``, ``val_AP``.

    Raises
    ------
    ModelError
        As :func:`tumorkeras.training.fit.fit`.
    """
    epochs = epochs or settings.epochs
    steps = math.ceil(len(training) / settings.batch_size)
    strategy = strategy_of(settings)
    learner = mirrored(model, strategy)
    with strategy.scope():
        learner.compile(clipping_whole(optimizer_for(settings, steps, epochs)))
    of_model = [asdict(model.settings), training.spec.detector.model_dump(mode="json")]
    settled = [settings.model_dump(mode="json"), epochs, origin, of_model]
    state = TrainingState(learner, folder and folder / STATE_FOLDER, fingerprint_of(training, validation, settled))
    augment = [name for name in settings.augment if name != "shift"]
    external = takes_proposals(model)
    streamed = with_proposals(training, proposals_of(training, progress=progress)) if external else training

    def stream_of(epoch: int) -> tf.data.Dataset:
        stream = detection_stream(streamed, settings.batch_size, augment=augment, seed=settings.seed, epoch=epoch)
        return stream.map(set_apart) if external else stream

    run = run_epochs(
        learner,
        stream_of,
        steps,
        epochs,
        state=state,
        patience=settings.patience,
        measure=_Measure(learner, validation, settings.batch_size),
        value_of=_loss_of_precision,
        progress=progress,
        callbacks=callbacks,
    )
    model.set_weights(state.best_weights)
    return pd.DataFrame(run.history)


def optimizer_for(settings: Training, steps: int, epochs: int) -> keras.optimizers.Optimizer:
    """AdamW with a warmed-up cosine, keeping a moving average of the weights of about two epochs."""
    momentum = 1 - 1 / (AVERAGED_EPOCHS * steps + 1)
    rate = warmed_up_cosine(settings.learning_rate, steps * epochs)
    return keras.optimizers.AdamW(
        rate, weight_decay=settings.weight_decay, clipnorm=5.0, use_ema=True, ema_momentum=momentum
    )


class _Measure:
    """AP on the validation samples; nothing where there is no object to find."""

    def __init__(self, model: Detector, validation: DetectionSamples | None, batch_size: int) -> None:
        self.model, self.batch_size = model, batch_size
        self.samples = validation if validation is not None and validation.most_objects else None
        self.call = compiled_detector(model)
        self.proposals = proposals_of(self.samples) if self.samples is not None and takes_proposals(model) else None

    def __call__(self) -> dict[str, float]:
        if self.samples is None:
            return {}
        found = detect(self.model, self.samples, self.batch_size, call=self.call, proposals=self.proposals)
        return precision_logs(self.samples.truth(), found, self.samples.classes)


def _loss_of_precision(row: Mapping[str, float]) -> float | None:
    return -row["val_AP50"] if "val_AP50" in row else None


def anchors_of(spec: DataSpec, training: DetectionSamples) -> tuple[Anchors, float]:
    """The anchors of a spec, proposed from the boxes of the training samples where it names none, and their recall.

    The recall is the share of the training boxes that some anchor meets at IoU 0.5.

    Raises
    ------
    DataError
        If there is no box.
    """
    boxes = np.concatenate([training.boxes_of(k)[0] for k in range(len(training))])
    if not len(boxes):
        raise DataError("training part", ["no image has an object; a detector learns from boxes"])
    canvas = (training.images.shape[1], training.images.shape[2])
    given = spec.detector.anchors
    if given is None:
        anchors = propose_anchors(boxes, canvas, spec.training.seed)
    else:
        anchors = Anchors(tuple(given.strides), tuple(map(tuple, given.sizes)), tuple(given.ratios))
    return anchors, round(recall(anchors, boxes, canvas), 4)


def warn_of_recall(reached: float) -> None:
    """Say before a training that anchors reach less than 0.9 of the boxes: the others are hardly ever found."""
    if reached < ENOUGH_RECALL:
        logger.warning(
            "the anchors meet %.3f of the training boxes at IoU 0.5; give others (detector.anchors: null proposes "
            "some from the boxes) or a larger input.shape",
            reached,
        )
