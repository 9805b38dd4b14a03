"""The compiled function behind :func:`tumorkeras.score`, from an export, a Keras model or a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tumorkeras.data.agreement import ModelOrigin
from tumorkeras.errors import ModelError, SpecError
from tumorkeras.serving.client import ServingClient
from tumorkeras.serving.publishing import is_version
from tumorkeras.spec import DataSpec

_MODEL_FILE = "model.keras"  # only the folder of a trained model has it
# What is read of each kind of answer.
_PARTS = {
    "probabilities": ("probabilities",),
    "reconstruction_error": ("reconstruction_error",),
    "detections": ("classes", "scores", "boxes"),
}
_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY

Shapes = Mapping[str, tuple[int | None, ...]]  # of the outputs, by name


@dataclass(frozen=True)
class Predictor:
    """A model that is ready to score.

    Attributes
    ----------
    origin : ModelOrigin
        What one sample must be like: its shape and, where the model knows them, its classes and spec.
    output : str
        ``"probabilities"``, ``"reconstruction_error"`` or ``"detections"``.
    shape : tuple of int
        Of the answer to one sample: (classes,); (1,) for an error; (most, 6) for detections, each with class id
        (-1: padding), score, xmin, ymin, xmax and ymax in pixels of the sample.
    run : callable
        (batch, *sample) float32 -> (batch, *shape) float32.
    """

    origin: ModelOrigin
    output: str
    shape: tuple[int, ...]
    run: Callable[[np.ndarray], np.ndarray]

    @property
    def detects(self) -> bool:
        """Whether it is a detector."""
        return self.output == "detections"


def load_predictor(model: Any) -> Predictor:
    """Make a predictor of an export, a folder of exports (its largest version), a model or the client of a server.

    Raises
    ------
    ModelError
        If there is no export or trained model, or its ``serving_default`` reads more than one array, or gives neither
        probabilities nor a reconstruction error nor detections; or the server of a client says so, or cannot be asked.
    """
    if isinstance(model, ServingClient):
        return _from_server(model)
    if isinstance(model, str | Path) and not (Path(model) / _MODEL_FILE).is_file():
        return _from_export(_version_folder(Path(model)))
    # Scoring an export starts no Keras.
    from tumorkeras.serving.signatures import endpoints
    from tumorkeras.training.folder import TrainedModel, load, origin_of

    if isinstance(model, str | Path):
        model = load(model)
    network = model.model if isinstance(model, TrainedModel) else model
    if not (hasattr(network, "inputs") and hasattr(network, "outputs")):
        found = type(model).__name__
        raise ModelError(
            f"model: {found} found, expected the folder of an export or of a trained model, a TrainedModel, a "
            "keras.Model or a ServingClient"
        )
    endpoint = endpoints(network)[_SIGNATURE]
    _check_inputs(network.name, [spec.name for spec in endpoint.inputs])
    function = endpoint.compiled()
    outputs = function.get_concrete_function().structured_outputs
    return _predictor(lambda batch: function(tf.constant(batch)), _shapes(outputs), origin_of(model))


def _from_export(folder: Path) -> Predictor:
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"{folder}: cannot be loaded: {error}") from None
    if _SIGNATURE not in loaded.signatures:
        raise ModelError(f"{folder}: has the signatures {sorted(loaded.signatures)}, expected {_SIGNATURE}")
    signature = loaded.signatures[_SIGNATURE]
    inputs = signature.structured_input_signature[1]
    _check_inputs(str(folder), list(inputs))
    (name, spec), *_ = inputs.items()

    def function(batch: np.ndarray, owner: Any = loaded) -> dict[str, tf.Tensor]:
        # The signature alone does not keep the variables alive; what was loaded does.
        return owner.signatures[_SIGNATURE](**{name: tf.constant(batch)})

    shapes = _shapes(signature.structured_outputs)
    return _predictor(function, shapes, _origin(folder, tuple(spec.shape.as_list()[1:]), _classes_in(shapes)))


def _from_server(client: ServingClient) -> Predictor:
    """Of the signature that the client calls."""
    signature, name = client.tensors(), str(client.address)
    _check_inputs(name, list(signature.inputs), client.signature)
    ((key, tensor),) = signature.inputs.items()
    if tensor.dtype != "float32" or not tensor.shape or len(tensor.shape) < 2:
        raise ModelError(name, [f"{client.signature} reads {tensor}, expected float32 samples, as {_SIGNATURE} has"])
    shapes = {output: info.shape or () for output, info in signature.outputs.items()}
    origin = ModelOrigin(name, tensor.shape[1:], _classes_in(shapes), client.classes)
    return _predictor(lambda batch: client.predict({key: batch}), shapes, origin)


def _check_inputs(name: str, inputs: list[str], signature: str = _SIGNATURE) -> None:
    if len(inputs) != 1:
        raise ModelError(f"{name}: {signature} reads {', '.join(sorted(inputs))}; only what reads one array is scored")


def _shapes(outputs: Mapping[str, tf.TensorSpec]) -> Shapes:
    return {name: tuple(spec.shape.as_list()) for name, spec in outputs.items()}


def _classes_in(shapes: Shapes) -> int | None:
    return shapes["probabilities"][-1] if "probabilities" in shapes else None


def _origin(folder: Path, shape: tuple[int | None, ...], outputs: int | None) -> ModelOrigin:
    """What :func:`tumorkeras.export` laid beside the graph."""
    extra = folder / "assets.extra"
    names, card, spec = (extra / name for name in ("classes.json", "model_card.json", "data_spec.yaml"))
    try:
        return ModelOrigin(
            str(folder),
            shape,
            outputs,
            tuple(json.loads(names.read_text(encoding="utf-8"))) if names.is_file() else None,
            DataSpec.from_yaml(spec) if spec.is_file() else None,
            json.loads(card.read_text(encoding="utf-8")).get("data_sha256") if card.is_file() else None,
        )
    except SpecError as error:  # before ValueError, of which it is one
        raise ModelError(error.heading, error.faults) from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(str(extra), [f"cannot be read: {error}; export the model anew"]) from None


def _predictor(function: Callable[[np.ndarray], Mapping[str, Any]], shapes: Shapes, origin: ModelOrigin) -> Predictor:
    output = next((key for key, parts in _PARTS.items() if set(parts) <= set(shapes)), None)
    if output is None:
        expected = "probabilities, reconstruction_error or boxes, scores and classes"
        raise ModelError(f"{origin.name}: gives {sorted(shapes)}, expected {expected}")
    shape = _answer_shape(output, shapes, origin.name)
    if output == "probabilities" and origin.classes is not None and len(origin.classes) != shape[0]:
        raise ModelError(f"{origin.name}: there are {len(origin.classes)} names of classes, the model gives {shape[0]}")

    def run(batch: np.ndarray) -> np.ndarray:
        answer = function(batch)
        parts = [np.asarray(answer[name]).reshape(len(batch), *shape[:-1], -1) for name in _PARTS[output]]
        return np.concatenate(parts, axis=-1, dtype="float32")

    return Predictor(origin, output, shape, run)


def _answer_shape(output: str, shapes: Shapes, name: str) -> tuple[int, ...]:
    """Shape of the answer to one sample."""
    if output == "reconstruction_error":
        return (1,)
    key, axis, rest = ("boxes", 1, (6,)) if output == "detections" else ("probabilities", -1, ())
    found = shapes[key]
    size = found[axis] if len(found) > 1 else None
    if size is None:
        raise ModelError(f"{name}: gives {key} of the shape {found}, expected a fixed size of axis {axis}")
    return (size, *rest)


def _version_folder(path: Path) -> Path:
    if (path / "saved_model.pb").is_file():
        return path
    if not path.is_dir():
        raise ModelError(
            f"{path}: there is no such folder; expected an export (NAME/VERSION or NAME) or a trained model"
        )
    versions = [folder for folder in path.iterdir() if is_version(folder.name)]
    versions = [folder for folder in versions if (folder / "saved_model.pb").is_file()]
    if not versions:
        raise ModelError(f"{path}: holds no export; `tumorkeras export MODEL --output DIR` makes one")
    return max(versions, key=lambda folder: int(folder.name))
