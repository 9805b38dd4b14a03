"""Inputs that an export is checked with, and what the model itself answers to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import cycle
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.serving.compare import image_of, is_detection, unmatched
from tumorkeras.serving.signatures import Endpoint

logger = logging.getLogger(__name__)

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
#: What open sizes become, axis by axis: once as networks like it, then odd, high and wide.
_OPEN_SIZES = ((64, 64, 64), (75, 53, 41), (45, 97, 33))
_SYNTHETIC, _BOXES = 3, 9  # inputs a batch, proposals an input
_NOISE = 1e-6  # relative, of the order of what float32 loses

Arrays = dict[str, np.ndarray]


class Golden(NamedTuple):
    """One batch of inputs.

    Attributes
    ----------
    inputs : ndarray or mapping of str to ndarray
        (n, ...), for every input of every signature; or by name.
    expected : dict
        Signature -> output -> array (n, ...), what the model gave; may leave out any.
    """

    inputs: np.ndarray | Mapping[str, np.ndarray]
    expected: Mapping[str, Mapping[str, np.ndarray]]


def synthetic_inputs(
    shapes: Mapping[str, tuple[int | None, ...]], dtypes: Mapping[str, str] | None = None
) -> list[Arrays]:
    """Draw seeded batches of three for inputs of the given shapes.

    Values are uniform in [0, 1) (integers: 0 and 1). Where sizes are open there is a batch of square inputs, one of
    high and one of wide ones with odd sides. An image of open height and width shows blobs in noise, 0 to 255, as in
    files: there a detector finds something. ``proposals`` are boxes in that image, two of them padding.

    Parameters
    ----------
    shapes : mapping of str to tuple
        Name -> shape of one sample; None is open.
    dtypes : mapping of str to str, optional
        Where they are not float32.

    Returns
    -------
    list of dict
        Name -> array (3, ...).

    Examples
    --------
    >>> [batch["inputs"].shape for batch in synthetic_inputs({"inputs": (None, None, 1)})]
    [(3, 64, 64, 1), (3, 75, 53, 1), (3, 45, 97, 1)]
    >>> [batch["inputs"].shape for batch in synthetic_inputs({"inputs": (8, 8, 1)})]
    [(3, 8, 8, 1)]
    """
    dtypes = dtypes or {}
    is_open = any(None in shape for shape in shapes.values())
    return [
        {name: _drawn(name, shape, sizes, dtypes.get(name, "float32")) for name, shape in shapes.items()}
        for sizes in (_OPEN_SIZES if is_open else _OPEN_SIZES[:1])
    ]


def _drawn(name: str, shape: tuple[int | None, ...], open_sizes: tuple[int, ...], dtype: str) -> np.ndarray:
    generator = np.random.default_rng(0)
    if name == "proposals" and shape == (None, 4):
        return _proposals(generator, open_sizes[0], open_sizes[1])
    endless = cycle(open_sizes)
    size = tuple(next(endless) if side is None else side for side in shape)
    if len(shape) == 3 and shape[:2] == (None, None):
        return np.stack([_image(generator, *size) for _ in range(_SYNTHETIC)]).astype(dtype)
    values = generator.random((_SYNTHETIC, *size))
    return (values if np.dtype(dtype).kind == "f" else values.round()).astype(dtype)


def _image(generator: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """Three bright or dark blobs in noise."""
    rows, columns = np.mgrid[:height, :width]
    image = generator.normal(110, 25, (height, width, channels))
    for _ in range(3):
        (down, across), (high, wide) = generator.uniform(0.2, 0.8, 2), generator.uniform(0.08, 0.25, 2)
        inside = ((rows / height - down) / high) ** 2 + ((columns / width - across) / wide) ** 2 < 1
        image[inside] += generator.choice([-80, 100])
    return image.clip(0, 255)


def _proposals(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    corner, side = generator.uniform(0, 0.6, (2, _SYNTHETIC, _BOXES, 2)) + np.array([0, 0.2])[:, None, None, None]
    boxes = np.concatenate([corner, np.minimum(corner + side, 1)], axis=-1) * [width, height, width, height]
    boxes[:, -2:] = 0
    return boxes.astype("float32")


def golden_batches(
    endpoints: Mapping[str, Endpoint], samples: np.ndarray | Mapping[str, np.ndarray] | None = None
) -> list[Golden]:
    """Inputs with the answers of the model, computed on the CPU.

    Of a detector only images whose answer is settled are taken: those to which it gives the same detections when
    every pixel is changed by a millionth. In the others a score lies at the threshold, or an overlap at its limit,
    within what float32 can tell, and two right answers may differ by a box.

    Parameters
    ----------
    endpoints : mapping of str to Endpoint
        Of :func:`tumorkeras.serving.signatures.endpoints`.
    samples : ndarray or mapping of str to ndarray, optional
        (n, *input_shape) of ``inputs``, or of every input by its name; synthetic ones by default.

    Raises
    ------
    ModelError
        If the samples do not fit the inputs.
    """
    specs = {spec.name: tuple(spec.shape)[1:] for spec in endpoints[DEFAULT].inputs}
    batches = synthetic_inputs(specs) if samples is None else [_checked(samples, specs)]
    run = {name: _compiled(endpoint) for name, endpoint in endpoints.items()}
    expected = [{name: call(batch) for name, call in run.items()} for batch in batches]
    if not is_detection(expected[0][DEFAULT]):
        return list(map(Golden, batches, expected))
    again = [run[DEFAULT](_shaken(batch)) for batch in batches]
    golden = list(map(_settled, batches, expected, again))
    _warn_if_empty(golden, samples is not None)
    return golden


def _checked(samples: np.ndarray | Mapping[str, np.ndarray], specs: Mapping[str, tuple[int | None, ...]]) -> Arrays:
    given = dict(samples) if isinstance(samples, Mapping) else {"inputs": samples}
    given = {name: np.asarray(values, dtype=np.float32) for name, values in given.items()}
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


def _compiled(endpoint: Endpoint) -> Callable[[Arrays], Arrays]:
    # Compiled, as in the check. On the CPU, as there: an accelerator's shorter floats would differ by more than a fault
    # does. The most probable class of two that are all but equal may differ too; it is checked against the
    # probabilities instead.
    def on_cpu(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.device("CPU:0"):
            return endpoint.function(*inputs)

    call = Endpoint(on_cpu, endpoint.inputs).compiled().get_concrete_function()

    def run(given: Arrays) -> Arrays:
        with tf.device("CPU:0"):
            answer = call(*(tf.constant(given[spec.name]) for spec in endpoint.inputs))
        return {name: value.numpy() for name, value in answer.items() if name != "class_id"}

    return run


def _shaken(batch: Arrays) -> Arrays:
    images = batch["inputs"]
    noise = np.random.default_rng(0).uniform(-_NOISE, _NOISE, images.shape)
    return {**batch, "inputs": (images * (1 + noise)).astype("float32")}


def _settled(batch: Arrays, expected: Mapping[str, Arrays], again: Arrays) -> Golden:
    """The inputs with an answer that does not change, and what is expected of them."""
    first = expected[DEFAULT]
    results = [unmatched(image_of(first, row), image_of(again, row)) for row in range(len(first["scores"]))]
    kept = np.array([not (result.first or result.second) for result in results])
    if not kept.any():  # run all the same, for what does not depend on it
        return Golden(batch, {name: outputs for name, outputs in expected.items() if name != DEFAULT})
    return Golden(_rows(batch, kept), {name: _rows(outputs, kept) for name, outputs in expected.items()})


def _rows(arrays: Mapping[str, np.ndarray], kept: np.ndarray) -> Arrays:
    return {name: values[kept] for name, values in arrays.items()}


def _warn_if_empty(golden: Iterable[Golden], given: bool) -> None:
    scores = [batch.expected[DEFAULT]["scores"] for batch in golden if DEFAULT in batch.expected]
    if not any(each.any() for each in scores):
        logger.warning(
            "the model finds nothing to compare its export by in the %s; give images with objects as samples",
            "samples" if given else "synthetic images",
        )
