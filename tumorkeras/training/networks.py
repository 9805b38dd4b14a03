"""The networks that a spec describes, before any training."""

from __future__ import annotations

import keras

from tumorkeras.models import build_autoencoder, build_classifier
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
    return build_classifier(spec.input.shape, num_classes, preprocessing=_steps(spec), initial=initial, **settings)


def is_classifier(model: keras.Model) -> bool:
    """Whether a model gives probabilities; the other kind, the autoencoder, gives reconstructions.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> is_classifier(build_classifier((8, 12, 12, 1), 2, filters=(4,)))
    True
    """
    return "probabilities" in model.output_names


def _steps(spec: DataSpec) -> list[dict[str, object]]:
    return [step.model_dump() for step in spec.preprocessing]
