"""The networks that a spec describes, before any training."""

from __future__ import annotations

from typing import Literal

import keras

from tumorkeras.anchors import Anchors
from tumorkeras.errors import ModelError, SpecError
from tumorkeras.models import Detector, TrainingSettings, build_autoencoder, build_classifier, build_detector, freeze
from tumorkeras.models.detector.backbone import BACKBONES
from tumorkeras.models.graphs import graph_of, output_layers
from tumorkeras.models.transfer import layers_that_agree
from tumorkeras.spec import DataSpec

ENCODER = "autoencoder"  # the backbone that is learnt, not built
OF_TRAINING = {"pretraining", "sensitivity", "frozen", "layer_decay", "unfreeze_every"}  # no arguments of the builder


def autoencoder_of(spec: DataSpec) -> keras.Model:
    """The autoencoder of a spec, with random weights.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "frames": 16}})
    >>> autoencoder_of(spec).output_shape
    (None, 16, 24, 24, 1)
    """
    settings = spec.autoencoder.model_dump(exclude={"epochs"})
    return build_autoencoder(spec.input.shape, preprocessing=_steps(spec), **settings)


def classifier_of(spec: DataSpec, num_classes: int, initial: keras.Model | None = None) -> keras.Model:
    """The classifier of a spec, with random weights or with the convolutions of ``initial``, frozen as the spec says.

    Raises
    ------
    ModelError
        If a layer would be frozen that ``initial`` has not, or in another shape.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "frames": 16}})
    >>> classifier_of(spec, 3, initial=autoencoder_of(spec)).output_shape
    (None, 3)
    """
    settings = spec.classifier.model_dump(exclude=OF_TRAINING)
    model = build_classifier(spec.input.shape, num_classes, preprocessing=_steps(spec), initial=initial, **settings)
    if initial is not None and spec.classifier.frozen:
        _freeze(model, spec.classifier.frozen, initial)
    return model


def _freeze(model: keras.Model, until: bool | str, initial: keras.Model) -> None:
    freeze(model, until)
    copied = layers_that_agree(initial, model)
    fresh = [layer.name for layer in model.layers if layer.weights and not layer.trainable and layer.name not in copied]
    if fresh:
        fault = f"{', '.join(fresh)} would be frozen with random weights: {initial.name!r} has none of that shape"
        raise ModelError("classifier.frozen", [fault])


def detector_of(
    spec: DataSpec,
    num_classes: int,
    anchors: Anchors | None = None,
    initial: keras.Model | None = None,
    proposals: Literal["rpn", "external"] = "rpn",
) -> Detector:
    """The detector of a spec, with random weights; its backbone is that of ``initial`` where the spec wants one.

    With ``proposals="external"`` it is a Fast R-CNN of the same settings.

    Raises
    ------
    SpecError
        If there is no such backbone.
    ModelError
        If ``initial`` is given and the spec's backbone is another, or the other way round.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "lesions", "source": {"kind": "phantoms"}, "input": {"shape": [64, 64, 1]}})
    >>> detector_of(spec, 2).canvas
    (64, 64)
    """
    check_backbone(spec)
    wanted = spec.detector.backbone == ENCODER
    if wanted != (initial is not None):
        found = "a model to start from" if initial is not None else "no autoencoder to start from"
        raise ModelError("detector", [f"detector.backbone: is {spec.detector.backbone}, but {found} is given"])
    settings = spec.detector.model_dump(exclude={"backbone", "anchors", "epochs"})
    training = TrainingSettings(seed=spec.training.seed)
    return build_detector(
        spec.input.shape,
        num_classes,
        backbone=initial if wanted else spec.detector.backbone,
        proposals=proposals,
        anchors=anchors,
        preprocessing=_steps(spec),
        training=training,
        **settings,
    )


def check_backbone(spec: DataSpec) -> None:
    """See that the backbone a spec names is there.

    Raises
    ------
    SpecError
        If there is no such backbone.

    Examples
    --------
    >>> lesions = {"name": "lesions", "source": {"kind": "phantoms"}, "input": {"shape": [64, 64, 1]}}
    >>> check_backbone(DataSpec.from_dict({**lesions, "detector": {"backbone": "darknet"}}))
    Traceback (most recent call last):
    tumorkeras.errors.SpecError: detector.backbone: 'darknet' is unknown; expected one of csp_darknet, ...autoencoder
    """
    name, known = spec.detector.backbone, [*BACKBONES, ENCODER]
    if name not in known:
        raise SpecError("detector.backbone", [f"{name!r} is unknown; expected one of {', '.join(known)}"])


def kind_of(model: keras.Model) -> Literal["autoencoder", "classifier", "detector"]:
    """What a model is.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> kind_of(build_classifier((8, 12, 12, 1), 2, filters=(4,)))
    'classifier'
    """
    if isinstance(model, Detector):
        return "detector"
    return "classifier" if is_classifier(model) else "autoencoder"


def classes_of(model: keras.Model) -> int | None:
    """Number of classes of a classifier or detector; None of an autoencoder."""
    if isinstance(model, Detector):
        return model.num_classes
    return model.output_shape[-1] if is_classifier(model) else None


def is_classifier(model: keras.Model) -> bool:
    """Whether a model gives probabilities.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> is_classifier(build_classifier((8, 12, 12, 1), 2, filters=(4,)))
    True
    """
    graph = graph_of(model)
    return graph is not None and [layer.name for layer in output_layers(graph)] == ["probabilities"]


def _steps(spec: DataSpec) -> list[dict[str, object]]:
    return [step.model_dump() for step in spec.preprocessing]
