"""What differs between the kinds of models in a training: data, network, fit, and what is measured."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from tumorkeras.data.detection import DetectionSamples, load_detection
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import ModelError
from tumorkeras.metrics import (
    bootstrap,
    classification_metrics,
    detection_metrics,
    error_threshold,
    fit_temperature,
    threshold_for_sensitivity,
    tune_threshold,
)
from tumorkeras.models.transfer import copy_encoder_weights
from tumorkeras.spec import DataSpec, Training
from tumorkeras.training.detect import detect
from tumorkeras.training.fit import fit
from tumorkeras.training.fit_detector import anchors_of, fit_detector, warn_of_recall
from tumorkeras.training.layerwise import layerwise_of
from tumorkeras.training.networks import autoencoder_of, classifier_of, detector_of
from tumorkeras.training.predict import predict, reconstruction_errors, variance_errors

Card = dict[str, Any]
THRESHOLD = 0.5  # where none is tuned on a validation part

logger = logging.getLogger(__name__)


class Recipe(NamedTuple):
    """How a kind of model is trained.

    Attributes
    ----------
    load : callable
        From a spec to its samples.
    build : callable
        From spec, training samples and the model that the new one starts from (or None) to the network.
    fit : callable
        As :func:`tumorkeras.training.fit.fit`.
    settle : callable
        From the trained network, training and validation samples to entries of its card.
    measure : callable
        From network, samples and card to a table of figures with their intervals.
    starts_from_autoencoder : callable
        Whether a spec wants the autoencoder trained first.
    least_classes : int
        With fewer there is nothing to learn.
    """

    load: Callable[[DataSpec], Any]
    build: Callable[[DataSpec, Any, keras.Model | None], keras.Model]
    fit: Callable[..., pd.DataFrame]
    settle: Callable[[keras.Model, Any, Any], Card]
    measure: Callable[[keras.Model, Any, Card], pd.DataFrame]
    starts_from_autoencoder: Callable[[DataSpec], bool]
    least_classes: int = 0


# ------------------------------------------------------------------------------------------------------ autoencoder


def _autoencoder(spec: DataSpec, training: Samples, initial: keras.Model | None) -> keras.Model:
    network = autoencoder_of(spec)
    if initial is not None:
        copy_encoder_weights(initial, network)
    return network


def _settle_autoencoder(network: keras.Model, training: Samples, validation: Samples | None) -> Card:
    """The reconstruction error above which a sample is unlike the training ones, from the validation samples."""
    if validation is None:
        return {}
    found = error_threshold(reconstruction_errors(network, validation))
    return {"out_of_distribution": {**found._asdict(), "part": "val"}}


def _reconstruction_metrics(network: keras.Model, samples: Samples, card: Card) -> pd.DataFrame:
    errors = {
        "reconstruction_error": reconstruction_errors(network, samples),
        "mean_image_error": variance_errors(network, samples),
    }
    table = np.stack(list(errors.values()), axis=1).astype("float64")
    result = bootstrap(
        lambda weights: weights @ table / weights.sum(axis=1, keepdims=True),
        len(table),
        groups=samples.groups,
    )
    columns = {"value": result.value, "low": result.low, "high": result.high, "n": len(table)}
    return pd.DataFrame(columns, index=pd.Index(list(errors), name="metric"))


# ------------------------------------------------------------------------------------------------------- classifier


def _classifier(spec: DataSpec, training: Samples, initial: keras.Model | None) -> keras.Model:
    section, classes = spec.classifier, len(training.classes)
    if section.sensitivity is not None and classes != 2:
        raise ModelError("classifier.sensitivity", [f"is of the second of two classes; the data have {classes}"])
    if initial is None and section.frozen:
        mend = "set classifier.pretraining to autoencoder, or start from a trained model (initial)"
        raise ModelError("classifier.frozen", [f"{section.frozen}, but the convolutions have random weights; {mend}"])
    if initial is None and not layerwise_of(spec).is_plain:
        logger.warning("layer_decay and unfreeze_every slow down convolutions that start from random weights")
    return classifier_of(spec, len(training.classes), initial)


def _fit_classifier(
    network: keras.Model, training: Samples, validation: Samples | None, settings: Training, **options: Any
) -> pd.DataFrame:
    return fit(network, training, validation, settings, layerwise=layerwise_of(training.spec), **options)


def _settle_classifier(network: keras.Model, training: Samples, validation: Samples | None) -> Card:
    """The temperature fitted to the validation samples, and of two classes where the second is called.

    That threshold is tuned to the wanted sensitivity on the validation samples, where the spec wants one.
    """
    wanted = training.spec.classifier.sensitivity
    card: Card = {"threshold": THRESHOLD} if len(training.classes) == 2 else {}
    if validation is None or len(np.unique(validation.labels)) < 2:
        if wanted is not None:
            logger.warning(
                "classifier.sensitivity: no validation part with both classes; the threshold is %g", THRESHOLD
            )
        return card
    probabilities = predict(network, validation)
    card |= _temperature(validation, probabilities)
    return card if wanted is None else card | _threshold(validation, probabilities, wanted)


def _temperature(validation: Samples, probabilities: np.ndarray) -> Card:
    found = fit_temperature(validation.labels, probabilities)
    return {} if found.at_end else {"temperature": {**found._asdict(), "part": "val"}}


def _threshold(validation: Samples, probabilities: np.ndarray, wanted: float) -> Card:
    tuned = threshold_for_sensitivity(validation.labels, probabilities, wanted, groups=validation.groups)
    figures = {name: getattr(tuned, name)._asdict() for name in ("sensitivity", "specificity")}
    # JSON has no NaN, which is the interval of a single group.
    plain = {name: {k: None if math.isnan(v) else v for k, v in each.items()} for name, each in figures.items()}
    return {"threshold": tuned.threshold, "tuned_on_validation": plain}


def _classification_metrics(network: keras.Model, samples: Samples, card: Card) -> pd.DataFrame:
    return classification_metrics(
        samples.labels,
        predict(network, samples),
        classes=list(samples.classes),
        groups=samples.groups,
        threshold=card.get("threshold", THRESHOLD),
    )


# --------------------------------------------------------------------------------------------------------- detector


def _detector(spec: DataSpec, training: DetectionSamples, initial: keras.Model | None) -> keras.Model:
    anchors, reached = anchors_of(spec, training)
    warn_of_recall(reached)
    return detector_of(spec, len(training.classes), anchors, initial)


def _settle_detector(network: keras.Model, training: DetectionSamples, validation: DetectionSamples | None) -> Card:
    """The anchors with their recall, and the threshold with the largest F1 on the validation samples."""
    anchors, reached = anchors_of(training.spec, training)
    card: Card = {
        "anchors": {"strides": anchors.strides, "sizes": anchors.sizes, "ratios": anchors.ratios},
        "anchor_recall": reached,
        "threshold": THRESHOLD,
    }
    if validation is None or not validation.most_objects:
        return card
    tuned = tune_threshold(validation.truth(), detect(network, validation), list(validation.classes))
    return card | {"threshold": float(tuned.threshold), "tuned_on_validation": tuned._asdict()}


def _detection_metrics(network: keras.Model, samples: DetectionSamples, card: Card) -> pd.DataFrame:
    return detection_metrics(
        samples.truth(),
        detect(network, samples),
        list(samples.classes),
        groups=samples.groups,
        threshold=card.get("threshold", THRESHOLD),
    )


RECIPES = {
    "autoencoder": Recipe(
        load_samples, _autoencoder, fit, _settle_autoencoder, _reconstruction_metrics, lambda spec: False
    ),
    "classifier": Recipe(
        load_samples,
        _classifier,
        _fit_classifier,
        _settle_classifier,
        _classification_metrics,
        lambda spec: spec.classifier.pretraining == "autoencoder",
        least_classes=2,
    ),
    "detector": Recipe(
        load_detection,
        _detector,
        fit_detector,
        _settle_detector,
        _detection_metrics,
        lambda spec: spec.detector.backbone == "autoencoder",
    ),
}
