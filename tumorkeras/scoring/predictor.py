"""The compiled function behind :func:`tumorkeras.score`, from an export or from a Keras model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tumorkeras.errors import ModelError

_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


@dataclass(frozen=True)
class Predictor:
    """A model that is ready to score.

    Attributes
    ----------
    shape : tuple
        What one sample must have, channels last; None is open.
    output : str
        ``"probabilities"`` or ``"reconstruction_error"``.
    width : int
        Number of classes; 1 for an error.
    classes : list of str or None
        Names by class id, where they are known.
    run : callable
        (batch, *shape) float32 -> (batch, width) float32.
    """

    shape: tuple[int | None, ...]
    output: str
    width: int
    classes: list[str] | None
    run: Callable[[np.ndarray], np.ndarray]


def load_predictor(model: Any) -> Predictor:
    """Make a predictor of an export, of a folder of exports (its largest version), or of a Keras model.

    Raises
    ------
    ModelError
        If there is no export, or its ``serving_default`` gives neither probabilities nor a reconstruction
        error.
    """
    if isinstance(model, str | Path):
        return _from_export(_version_folder(Path(model)))
    if not (hasattr(model, "inputs") and hasattr(model, "outputs")):
        raise ModelError(f"model: {type(model).__name__} found, expected an export's folder or a keras.Model")
    # Scoring an export starts no Keras.
    from tumorkeras.serving.signatures import endpoints, input_spec

    function = tf.function(endpoints(model)[_SIGNATURE], input_signature=[input_spec(model)])
    outputs = function.get_concrete_function().structured_outputs
    return _predictor(function, input_spec(model).shape, outputs, None, model.name)


def _from_export(folder: Path) -> Predictor:
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"{folder}: cannot be loaded: {error}") from None
    if _SIGNATURE not in loaded.signatures:
        raise ModelError(f"{folder}: has the signatures {sorted(loaded.signatures)}, expected {_SIGNATURE}")
    signature = loaded.signatures[_SIGNATURE]
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise ModelError(f"{folder}: {_SIGNATURE} reads {sorted(inputs)}, expected one array")
    (name, spec), *_ = inputs.items()

    def function(batch: tf.Tensor, owner: Any = loaded) -> dict[str, tf.Tensor]:
        # The signature alone does not keep the variables alive; what was loaded does.
        return owner.signatures[_SIGNATURE](**{name: batch})

    names = folder / "assets.extra" / "classes.json"
    classes = json.loads(names.read_text(encoding="utf-8")) if names.is_file() else None
    return _predictor(function, spec.shape, signature.structured_outputs, classes, str(folder))


def _predictor(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    shape: tf.TensorShape,
    outputs: dict[str, tf.TensorSpec],
    classes: list[str] | None,
    name: str,
) -> Predictor:
    output = next((key for key in ("probabilities", "reconstruction_error") if key in outputs), None)
    if output is None:
        raise ModelError(f"{name}: gives {sorted(outputs)}, expected probabilities or reconstruction_error")
    width = outputs[output].shape[-1] if output == "probabilities" else 1
    if classes is not None and len(classes) != width:
        raise ModelError(f"{name}: classes.json names {len(classes)} classes, the model gives {width}")

    def run(batch: np.ndarray) -> np.ndarray:
        return function(tf.constant(batch))[output].numpy().reshape(len(batch), width)

    return Predictor(tuple(shape.as_list()[1:]), output, width, classes, run)


def _version_folder(path: Path) -> Path:
    if (path / "saved_model.pb").is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"{path}: there is no such folder; expected an export, NAME/VERSION or NAME")
    versions = [folder for folder in path.iterdir() if folder.name.isascii() and folder.name.isdecimal()]
    versions = [folder for folder in versions if (folder / "saved_model.pb").is_file()]
    if not versions:
        raise ModelError(f"{path}: holds no export; `tumorkeras export MODEL --output DIR` makes one")
    return max(versions, key=lambda folder: int(folder.name))
