"""The networks that a spec describes, before any training."""

from __future__ import annotations

import keras

from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.models.transfer import copy_encoder_weights
from tumorkeras.spec import DataSpec


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
    """The classifier of a spec, with random weights or with the convolutions of ``initial``.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "frames": 16}})
    >>> classifier_of(spec, 3, initial=autoencoder_of(spec)).output_shape
    (None, 3)
    """
    settings = spec.classifier.model_dump(exclude={"pretraining"})
    network = build_classifier(spec.input.shape, num_classes, preprocessing=_steps(spec), **settings)
    if initial is not None:
        copy_encoder_weights(initial, network)
    return network


def _steps(spec: DataSpec) -> list[dict[str, object]]:
    return [step.model_dump() for step in spec.preprocessing]
