"""Requests that an export is checked with, and what the model itself answers to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

import cv2
import numpy as np
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.serving.compare import image_of, is_detection, unmatched
from tumorkeras.serving.signatures import DEFAULT, IMAGE_BYTES, Endpoint
from tumorkeras.serving.synthetic import synthetic_inputs
from tumorkeras.serving.warm_up import Request

logger = logging.getLogger(__name__)

_NOISE = 1e-6  # relative, of the order of what float32 loses

Arrays = dict[str, np.ndarray]


def golden_requests(
    endpoints: Mapping[str, Endpoint], samples: np.ndarray | Mapping[str, np.ndarray] | None = None
) -> list[Request]:
    """Requests of every signature with the answers of the model, computed on the CPU.

    Of a detector only images whose answer is settled are taken: those to which it gives the same detections when
    every pixel is changed by a millionth. In the others a score lies at the threshold, or an overlap at its limit,
    within what float32 can tell, and two right answers may differ by a box.

    Parameters
    ----------
    endpoints : mapping of str to Endpoint
        Of :func:`tumorkeras.serving.signatures.endpoints`.
    samples : ndarray or mapping of str to ndarray, optional
        (n, *input_shape) of ``inputs``, or of every input by its name; synthetic ones by default. Signatures that read
        whole grey levels are given them rounded, from 0 to 255.

    Raises
    ------
    ModelError
        If the samples do not fit the inputs.
    """
    specs = {spec.name: tuple(spec.shape)[1:] for spec in endpoints[DEFAULT].inputs}
    batches = synthetic_inputs(specs) if samples is None else [_checked(samples, specs)]
    run = {name: _compiled(endpoint) for name, endpoint in endpoints.items()}
    settled = [rows for batch in batches if (rows := _settled(batch, run[DEFAULT]))]
    requests = [
        Request(name, given, run[name](given) if settled else None)
        for name, endpoint in endpoints.items()
        for given in _given(endpoint, settled or batches)
    ]
    _warn_if_empty(requests, samples is not None)
    return requests


def warm_up_requests(requests: Iterable[Request], largest: int) -> list[Request]:
    """A request of one row, and one of the largest batch, for each signature: of the rows that it has already.

    Examples
    --------
    >>> rows = Request("features", {"inputs": np.zeros((3, 8))}, None)
    >>> [len(request.inputs["inputs"]) for request in warm_up_requests([rows], largest=8)]
    [1, 8]
    """
    first = {request.signature: request for request in reversed(list(requests))}
    return [
        Request(name, {key: _resized(values, count) for key, values in first[name].inputs.items()}, None)
        for name in sorted(first)
        for count in sorted({1, largest})
    ]


def _resized(values: np.ndarray, count: int) -> np.ndarray:
    return values[np.arange(count) % len(values)]


def _checked(samples: np.ndarray | Mapping[str, np.ndarray], specs: Mapping[str, tuple[int | None, ...]]) -> Arrays:
    given = dict(samples) if isinstance(samples, Mapping) else {"inputs": samples}
    try:
        given = {name: np.asarray(values, dtype=np.float32) for name, values in given.items()}
    except (TypeError, ValueError):
        found = ", ".join(type(values).__name__ for values in given.values())
        fault = f"samples: {found} found, expected numbers of one shape, or an array for each of {', '.join(specs)}"
        raise ModelError("export", [fault]) from None
    faults = [f"samples: {name!r} is missing" for name in specs if name not in given]
    faults += [f"samples: {name!r} is no input; there are {', '.join(specs)}" for name in given if name not in specs]
    for name, values in given.items():
        shape = specs.get(name, values.shape[1:])
        fits = values.ndim == len(shape) + 1 and len(values) > 0
        if not fits or not tf.TensorShape(shape).is_compatible_with(values.shape[1:]):
            faults.append(f"samples: shape {values.shape} found, expected {('n', *shape)}, n > 0")
    if len({len(values) for values in given.values() if values.ndim}) > 1:
        faults.append("samples: not as many of every input")
    if faults:
        raise ModelError("export", faults)
    return given


def _given(endpoint: Endpoint, batches: Iterable[Arrays]) -> Iterator[Arrays]:
    """The batches as a signature reads them: floats, whole grey levels, or encoded, where all sizes go together."""
    dtypes = {spec.name: np.dtype(spec.dtype.as_numpy_dtype) for spec in endpoint.inputs}
    if IMAGE_BYTES in dtypes:
        images = [image for batch in batches for image in _levels(batch["inputs"])]
        yield {IMAGE_BYTES: np.array([_encoded(image) for image in images], dtype=object)}
        return
    for batch in batches:
        yield {
            name: _levels(batch[name]) if dtype == np.uint8 else batch[name].astype(dtype)
            for name, dtype in dtypes.items()
        }


def _levels(images: np.ndarray) -> np.ndarray:
    return np.rint(images).clip(0, 255).astype("uint8")


def _encoded(image: np.ndarray) -> bytes:
    """A PNG of (height, width, 1 or 3) uint8."""
    return bytes(cv2.imencode(".png", image[..., ::-1])[1])


def _compiled(endpoint: Endpoint) -> Callable[[Arrays], Arrays]:
    # Compiled, as in the check. On the CPU, as there: an accelerator's shorter floats would differ by more than a fault
    # does.
    def on_cpu(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.device("CPU:0"):
            return endpoint.function(*inputs)

    call = Endpoint(on_cpu, endpoint.inputs).compiled().get_concrete_function()

    def run(given: Arrays) -> Arrays:
        with tf.device("CPU:0"):
            answer = call(*(tf.constant(given[spec.name], spec.dtype) for spec in endpoint.inputs))
        return {name: value.numpy() for name, value in answer.items()}

    return run


def _settled(batch: Arrays, find: Callable[[Arrays], Arrays]) -> Arrays | None:
    """The inputs to which the answer does not hang on their last digits, or on those of their whole grey levels."""
    first = find(batch)
    if not is_detection(first):
        return batch
    kept = _same(first, find(_shaken(batch)))
    levels = {**batch, "inputs": _levels(batch["inputs"]).astype("float32")}
    if not np.array_equal(levels["inputs"], batch["inputs"]):
        kept &= _same(find(levels), find(_shaken(levels)))
    return {name: values[kept] for name, values in batch.items()} if kept.any() else None


def _same(first: Arrays, second: Arrays) -> np.ndarray:
    results = [unmatched(image_of(first, row), image_of(second, row)) for row in range(len(first["scores"]))]
    return np.array([not (result.first or result.second) for result in results])


def _shaken(batch: Arrays) -> Arrays:
    images = batch["inputs"]
    noise = np.random.default_rng(0).uniform(-_NOISE, _NOISE, images.shape)
    return {**batch, "inputs": (images * (1 + noise)).astype("float32")}


def _warn_if_empty(requests: Iterable[Request], given: bool) -> None:
    """Say so where a detector finds nothing in any image."""
    answers = [request.outputs or {} for request in requests if request.signature == DEFAULT]
    if (is_detection(answers[0]) and not any(answer["scores"].any() for answer in answers)) or not answers[0]:
        logger.warning(
            "the model finds nothing to compare its export by in the %s; give images with objects as samples",
            "samples" if given else "synthetic images",
        )
