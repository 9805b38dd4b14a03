"""The compiled function behind :func:`tumorkeras.score`: batches in, one array of answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tumorkeras.data.agreement import ModelOrigin, Shape, fits
from tumorkeras.errors import ModelError
from tumorkeras.scoring.backends import DEFAULT, Answer, Backend, CallError, Tensors, backend_of

UINT8 = "serving_uint8"  # of the same images as the default signature, in whole grey levels
# What is read of each kind of answer, the fullest first.
_PARTS = {
    "uncertainty": ("probabilities", "std", "entropy", "mutual_information"),
    "probabilities": ("probabilities",),
    "out_of_distribution": ("reconstruction_error", "out_of_distribution"),
    "reconstruction_error": ("reconstruction_error",),
    "detections": ("classes", "scores", "boxes"),
    "features": ("features",),
}
_DETECTION = 6  # class id, score, and the four sides of the box
_STATUS = "status"  # of an image that the model decodes itself


@dataclass(frozen=True)
class Predictor:
    """A model that is ready to score.

    Attributes
    ----------
    origin : ModelOrigin
        What one sample must be like: its shape and, where the model knows them, its classes and spec.
    output : str
        ``"probabilities"``, ``"uncertainty"``, ``"reconstruction_error"``, ``"out_of_distribution"``,
        ``"detections"`` or ``"features"``.
    shape : tuple of int
        Of the answer to one sample: (classes,); (2 * classes + 2,) for means, standard deviations, entropy and mutual
        information; (1,) for an error, (2,) with 1 where it is too large; (most, 6) for detections, each with class id
        (-1: padding), score, xmin, ymin, xmax and ymax in pixels of the sample; (k,) for features.
    functions : dict of str to callable
        By the dtype that it reads: (batch, *sample) -> (batch, *shape) float32. "string" reads files as they are,
        and an answer that is not a number stands for one that could not be decoded.
    identity : dict
        ``model``, ``version``, ``sha256`` and ``signature`` of what answers.
    """

    origin: ModelOrigin
    output: str
    shape: tuple[int, ...]
    functions: dict[str, Callable[[Any], np.ndarray]]
    identity: dict[str, Any]

    @property
    def detects(self) -> bool:
        """Whether it is a detector."""
        return self.output == "detections"

    @property
    def reads_files(self) -> bool:
        """Whether it decodes the files itself."""
        return "string" in self.functions

    def fault_of(self, samples: np.ndarray) -> str | None:
        """What keeps a batch of samples from being read, if anything does; of files (batch,) as bytes, nothing."""
        if samples.dtype == object:
            return None
        if self.reads_files:
            return "is an array, and the signature reads encoded images"
        if not fits(samples.shape[1:], self.origin.shape):
            return f"has the shape {samples.shape[1:]}, the signature reads {self.origin.shape}"
        if fault := self.origin.depth_fault(samples.dtype.name):
            return fault
        if {samples.dtype.name, "float32"}.isdisjoint(self.functions):
            return f"holds {samples.dtype} values, and the signature reads whole grey levels (uint8)"
        return None

    def as_read(self, samples: np.ndarray) -> np.ndarray:
        """Samples in a dtype that is read: whole grey levels where both have them, else float32."""
        if samples.dtype.name in self.functions:
            return np.ascontiguousarray(samples)
        with np.errstate(over="ignore"):  # Beyond float32 is not finite, and said so where it is looked at.
            return np.ascontiguousarray(samples, dtype="float32")

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Answers (batch, *shape) float32 to a batch of :meth:`as_read`, or of files (batch,) as bytes.

        Raises
        ------
        CallError
            If the model fails on it.
        """
        try:
            return self.functions["string" if batch.dtype == object else batch.dtype.name](batch)
        except tf.errors.OpError as error:
            raise CallError(str(error.message).partition("\n")[0]) from None
        except MemoryError:
            raise CallError("there is not enough memory for it") from None


def load_predictor(model: Any, signature: str | None = None, runtime: str | None = None) -> Predictor:
    """Make a predictor of an export, a folder of exports (its largest version), a model or the client of a server.

    Parameters
    ----------
    model : str, Path, TrainedModel, keras.Model or ServingClient
    signature : str, optional
        By default ``serving_default`` and, for images in whole grey levels, ``serving_uint8``; of a client its own.
    runtime : {"onnx", "litert", "openvino"}, optional
        Of an export that has this format; by default TensorFlow.

    Raises
    ------
    ModelError
        If there is no export or trained model; it has no such signature; the signature reads more than one array, or
        gives neither probabilities nor a reconstruction error nor detections nor features; or the server of a client
        says so, or cannot be asked.
    """
    backend = backend_of(model, runtime, signature)
    names = _chosen(backend, signature)
    outputs = {name: info.shape or () for name, info in backend.outputs(names[0]).items()}
    output = next((key for key, parts in _PARTS.items() if set(parts) <= set(outputs)), None)
    if output is None:
        expected = "probabilities, reconstruction_error, boxes with scores and classes, or features"
        raise ModelError(f"{backend.origin.name}: gives {sorted(outputs)}, expected {expected}")
    origin = _fitted(backend.origin, backend.inputs(names[0]), outputs)
    shape = _answer_shape(output, outputs, origin.name)
    if origin.classes is not None and origin.outputs not in (None, len(origin.classes)):
        found = f"there are {len(origin.classes)} names of classes, the model gives {origin.outputs}"
        raise ModelError(f"{origin.name}: {found}")
    functions = {}
    for name in names:
        (tensor,) = backend.inputs(name).values()
        functions[tensor.dtype] = _answering(backend.function(name), output, shape)
    return Predictor(origin, output, shape, functions, {**backend.identity, "signature": signature or DEFAULT})


def _chosen(backend: Backend, signature: str | None) -> list[str]:
    """Names of the signatures that are called, the first of which tells what a sample is."""
    origin = backend.origin.name
    if signature is None:
        signature = next(iter(backend.names)) if len(backend.names) == 1 else DEFAULT
        names = [signature] + [UINT8] * (signature == DEFAULT and UINT8 in backend.names)
    else:
        names = [signature]
    if signature not in backend.names:
        raise ModelError(f"{origin}: has the signatures {sorted(backend.names)}, expected {signature}")
    for name in names:
        _check_inputs(origin, name, backend.inputs(name))
    return names


def _check_inputs(origin: str, name: str, inputs: Tensors) -> None:
    if len(inputs) != 1:
        raise ModelError(f"{origin}: {name} reads {', '.join(sorted(inputs))}; only what reads one array is scored")
    (tensor,) = inputs.values()
    least = 1 if tensor.dtype == "string" else 2
    if tensor.dtype not in ("float32", "uint8", "string") or not tensor.shape or len(tensor.shape) < least:
        raise ModelError(origin, [f"{name} reads {tensor}, expected float32 or uint8 samples, or files"])


def _fitted(origin: ModelOrigin, inputs: Tensors, outputs: Mapping[str, Shape]) -> ModelOrigin:
    """The origin, with the shape that a signature reads and the number of classes that it gives."""
    (tensor,) = inputs.values()
    probabilities = outputs.get("probabilities")
    shape = tuple((tensor.shape or ())[1:]) or (None, None, None)  # of files: images of any size
    return replace(origin, shape=shape, outputs=probabilities[-1] if probabilities else None)


def _answering(function: Callable[[Any], Answer], output: str, shape: tuple[int, ...]) -> Callable[[Any], np.ndarray]:
    """The parts of an answer as one array; not numbers where the answer says that there was nothing to read."""

    def run(batch: Any) -> np.ndarray:
        answer = function(batch)
        parts = [np.asarray(answer[name]).reshape(len(batch), *shape[:-1], -1) for name in _PARTS[output]]
        found = np.concatenate(parts, axis=-1, dtype="float32")
        if _STATUS in answer:
            found[np.asarray(answer[_STATUS]) != 0] = np.nan
        return found

    return run


def _answer_shape(output: str, shapes: Mapping[str, tuple[int | None, ...]], name: str) -> tuple[int, ...]:
    """Shape of the answer to one sample."""
    if output in ("reconstruction_error", "out_of_distribution"):
        return (len(_PARTS[output]),)
    if output == "uncertainty":
        (classes,) = _answer_shape("probabilities", shapes, name)
        return (2 * classes + 2,)
    key, axis, rest = ("boxes", 1, (_DETECTION,)) if output == "detections" else (output, -1, ())
    found = shapes[key]
    size = found[axis] if len(found) > 1 else None
    if size is None:
        raise ModelError(f"{name}: gives {key} of the shape {found}, expected a fixed size of axis {axis}")
    return (size, *rest)
