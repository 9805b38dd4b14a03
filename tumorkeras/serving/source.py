"""What is exported: a model, with what is known of it and what goes into its graph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import keras

from tumorkeras.data.augment_views import views_of
from tumorkeras.errors import ModelError
from tumorkeras.layers.float32 import is_number
from tumorkeras.metrics import apply_temperature
from tumorkeras.serving.decoding import MOST_PIXELS
from tumorkeras.serving.served import Choices
from tumorkeras.serving.signatures import Kind, model_kind
from tumorkeras.serving.uncertainty import Uncertainty, uncertainty_faults
from tumorkeras.spec import DataSpec
from tumorkeras.training import load
from tumorkeras.training.networks import classes_of

Threshold = float | Literal["tuned"] | None

UNKNOWN = (
    "exported from a Keras model, not from the folder of a trained one: "
    "what it was trained with, if it was trained at all, is not known"
)


@dataclass(frozen=True)
class Source:
    """The model with what is known about it."""

    model: keras.Model
    kind: Kind
    name: str
    spec: DataSpec | None = None
    card: dict[str, Any] | None = None
    classes: list[str] | None = None
    choices: Choices = field(default_factory=Choices)


def source_of(model: Any) -> Source:
    """A Keras model, a trained model or its folder.

    Raises
    ------
    ModelError
        If it is none of these, or its card and its model do not belong together.
    """
    if isinstance(model, keras.Model):
        return Source(model, model_kind(model), model.name)
    if isinstance(model, str | Path):
        model = load(model)
    if not all(hasattr(model, part) for part in ("model", "spec", "card", "folder")):
        found = type(model).__name__
        raise ModelError("export", [f"model: {found} found, expected a keras.Model, a trained model or its folder"])
    kind = model_kind(model.model)
    name = f"{model.spec.name}-{kind}" if model.folder is None else Path(model.folder).name
    classes = None if kind == "autoencoder" else model.card.get("classes")
    _check_classes(name, classes, model.model)
    return Source(model.model, kind, name, model.spec, model.card, classes)


def _check_classes(name: str, classes: list[str] | None, model: keras.Model) -> None:
    if classes is not None and len(classes) != classes_of(model):
        raise ModelError(
            f"{name}: {len(classes)} class names for {classes_of(model)} outputs; the model folder's card and model "
            "do not belong together"
        )


def with_choices(
    source: Source,
    *,
    calibrated: bool = False,
    threshold: Threshold = None,
    class_names: bool = False,
    max_pixels: int = MOST_PIXELS,
    uncertainty: Uncertainty | None = None,
) -> Source:
    """The source with what its graph is to have beside the model; its card says so.

    An uncertainty without views takes them from the spec.

    Raises
    ------
    ModelError
        If the model or its card does not bear a choice; all that do not fit are named.
    """
    faults = []
    card = source.card or {}
    if calibrated and "temperature" not in card:
        known = "it has no card" if source.card is None else "its card has none"
        mend = "train a classifier with a validation part of both classes that tells one"
        faults.append(f"calibrated: needs a temperature, and {known}; {mend}")
    faults += _threshold_faults(source, threshold)
    if class_names and source.classes is None:
        faults.append("class_names: none are known; export the folder of a trained classifier or detector")
    if not isinstance(max_pixels, int) or isinstance(max_pixels, bool) or max_pixels < 1:
        faults.append(f"max_pixels: {max_pixels!r} found, expected a positive integer")
    asked = uncertainty or Uncertainty()
    if source.spec is not None and not asked.views:
        asked = replace(asked, views=views_of(source.spec))
    faults += uncertainty_faults(source.model, source.kind, asked)
    if faults:
        raise ModelError(source.name, faults)
    if calibrated:
        source, card = _calibrated(source, card)
    operating = card["threshold"] if threshold == "tuned" else threshold
    temperature = card["temperature"]["value"] if calibrated else 1.0
    names = source.classes if class_names else None
    error = card.get("out_of_distribution", {}).get("threshold")
    return replace(source, choices=Choices(temperature, operating, names, max_pixels, asked, error))


def _threshold_faults(source: Source, threshold: Any) -> list[str]:
    if threshold is None:
        return []
    if source.kind == "autoencoder":
        return ["threshold: an autoencoder has none"]
    if source.kind == "classifier" and classes_of(source.model) != 2:
        return [f"threshold: only of two classes, and the model has {classes_of(source.model)}"]
    if threshold == "tuned":
        there = "threshold" in (source.card or {})
        return [] if there else ["threshold: none was tuned; export the folder of a trained model, or give a number"]
    if not (is_number(threshold) and 0 <= threshold <= 1):
        return [f"threshold: {threshold!r} found, expected 'tuned' or a number from 0 to 1"]
    return []


def _calibrated(source: Source, card: dict[str, Any]) -> tuple[Source, dict[str, Any]]:
    """With a card that says that the export has its temperature, and where the threshold then lies."""
    card = {**card, "calibrated": True}
    if "threshold" in card:
        card["threshold"] = float(apply_temperature([card["threshold"]], card["temperature"]["value"])[0])
    return replace(source, card=card), card
