"""The detectors of the comparison: each is trained on some samples and then finds the objects of others.

A new method is one function ``train(training, validation, progress)`` that gives what detects, and one entry in
``DETECTION_METHODS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import keras
from numpy.typing import NDArray

from tumorkeras.comparison.detection_prior import train_prior
from tumorkeras.comparison.region_training import train_crop_autoencoder, train_region_classifier
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.samples import Samples
from tumorkeras.data.stored import choose
from tumorkeras.training.detect import detect
from tumorkeras.training.fit import fit
from tumorkeras.training.fit_detector import anchors_of, fit_detector, warn_of_recall
from tumorkeras.training.networks import autoencoder_of, detector_of

Detections = dict[str, NDArray]

Finder = Callable[[DetectionSamples], Detections]
"""From samples to ``boxes`` (images, n, 4) in pixels of their files, ``scores`` and ``classes`` (images, n)."""

DetectorTrainer = Callable[[DetectionSamples, DetectionSamples | None, bool], Finder]
"""From training samples, those that stop the training (or None), and whether to show progress, to a finder.

Settings and seed are those of the spec of the training samples.
"""

CROPS_AN_IMAGE = 16  # that R-CNN learns from in an epoch, on average
CROPS_A_BATCH = 64
PRETRAINING = 1 / 5  # of R-CNN's epochs, for the autoencoder of its crops


def train_rcnn(
    training: DetectionSamples, validation: DetectionSamples | None, progress: bool, *, pretrained: bool
) -> Finder:
    """R-CNN; with ``pretrained`` its convolutions start from those of an autoencoder of its crops."""
    spec = training.spec
    epochs, seed = spec.detector.epochs or spec.training.epochs, spec.training.seed
    initial = None
    if pretrained:
        few = max(1, round(PRETRAINING * epochs))
        initial = train_crop_autoencoder(training, epochs=few, seed=seed, progress=progress)
    trained = train_region_classifier(
        training,
        validation,
        epochs=epochs,
        steps=math.ceil(len(training) * CROPS_AN_IMAGE / CROPS_A_BATCH),
        batch_size=CROPS_A_BATCH,
        initial=initial,
        seed=seed,
        progress=progress,
    )
    least, most = spec.detector.score_threshold, spec.detector.max_detections
    return partial(trained.detect, threshold=least, limit=most, original=True)


def train_detector(
    training: DetectionSamples,
    validation: DetectionSamples | None,
    progress: bool,
    *,
    proposals: Literal["rpn", "external"] = "rpn",
    backbone: str | None = None,
) -> Finder:
    """The spec's detector, with proposals of its own or from outside, and another backbone where one is named."""
    spec = training.spec if backbone is None else training.spec.changed(detector={"backbone": backbone})
    training = replace(training, spec=spec)
    keras.utils.set_random_seed(spec.training.seed)
    initial = None
    if spec.detector.backbone == "autoencoder":
        initial = _image_autoencoder(training, validation, progress)
    anchors, reached = anchors_of(spec, training)
    if proposals == "rpn":
        warn_of_recall(reached)
    model = detector_of(spec, len(training.classes), anchors, initial, proposals)
    epochs = spec.detector.epochs
    fit_detector(model, training, validation, spec.training, epochs=epochs, progress=progress)
    return partial(detect, model)


def _image_autoencoder(training: DetectionSamples, validation: DetectionSamples | None, progress: bool) -> keras.Model:
    """The spec's autoencoder, trained on the images of the training samples without their boxes."""
    spec = training.spec
    model = autoencoder_of(spec)
    held_out = None if validation is None else _images_of(validation)
    epochs = spec.autoencoder.epochs
    fit(model, _images_of(training), held_out, spec.training, epochs=epochs, progress=progress)
    return model


def _images_of(samples: DetectionSamples) -> Samples:
    """The images alone; a class that all have stands in for the labels."""
    table = samples.table.assign(class_id=0)
    return Samples(table, choose(samples.images, samples.rows), ("image",), samples.spec)


DETECTION_METHODS: dict[str, DetectorTrainer] = {
    "prior": train_prior,
    "rcnn": partial(train_rcnn, pretrained=False),
    "rcnn_autoencoder": partial(train_rcnn, pretrained=True),
    "fast_rcnn": partial(train_detector, proposals="external"),
    "detector": train_detector,
    "detector_autoencoder": partial(train_detector, backbone="autoencoder"),
}
BASELINE = "prior"
DEFAULT_DETECTORS = ("prior", "rcnn", "rcnn_autoencoder", "detector")
