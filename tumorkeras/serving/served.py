"""A model as its signatures use it: where images go on its canvas, and what it answers to canvases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from tumorkeras.boxes import NO_CLASS
from tumorkeras.layers import Letterbox
from tumorkeras.metrics.calibration import SMALLEST
from tumorkeras.models.graphs import nodes_of
from tumorkeras.serving.decoding import MOST_PIXELS
from tumorkeras.serving.uncertainty import Passes, Uncertainty, passes_of, spread

Outputs = dict[str, tf.Tensor]
Step = Callable[..., Any]


@dataclass(frozen=True)
class Choices:
    """What an export puts into the graph beside the model.

    Attributes
    ----------
    temperature : float
        Of the probabilities of a classifier; 1 leaves them as they are.
    threshold : float, optional
        Probability from which on class 1 of two is called, or smallest score of a detection.
    class_names : sequence of str, optional
        Adds the names of the classes to the answer.
    max_pixels : int
        Largest encoded image that is decoded.
    uncertainty : Uncertainty
        What a classifier tells of it.
    largest_error : float, optional
        Reconstruction error above which a sample is unlike those that an autoencoder was trained with.
    """

    temperature: float = 1.0
    threshold: float | None = None
    class_names: Sequence[str] | None = None
    max_pixels: int = MOST_PIXELS
    uncertainty: Uncertainty = field(default_factory=Uncertainty)
    largest_error: float | None = None


@dataclass(frozen=True)
class Served:
    """A model that reads one array.

    Attributes
    ----------
    shape : tuple
        Of one sample of the model: of its canvas, or of its volume.
    answer : callable
        Samples (batch, *shape) and the sizes (batch, 2) or (2,) of the images before -> outputs by name.
    embed : callable or None
        Samples -> (batch, k) float32.
    place : callable or None
        Images (batch, height, width, channels) of any size -> on the canvas; None where sizes are fixed.
    whole : bool
        Whether the model learnt from canvases in whole grey levels, as images of a folder are read.
    uncertain : mapping of str to callable
        Name of a signature -> samples -> outputs by name.
    """

    shape: tuple[int | None, ...]
    answer: Step
    embed: Step | None
    place: Step | None
    whole: bool
    uncertain: Mapping[str, Step] = field(default_factory=dict)

    def place_levels(self, images: tf.Tensor) -> tf.Tensor:
        """Images in whole grey levels on the canvas, as the model learnt from them."""
        assert self.place is not None
        placed = self.place(images)
        return tf.round(placed) if self.whole else placed


def single_output(model: keras.Model, kind: str, choices: Choices) -> Served:
    """A classifier or an autoencoder."""
    nodes = nodes_of(model)
    heads = {"probabilities" if kind == "classifier" else "reconstruction": model.outputs[0]}
    heads |= {name: nodes[name].output_tensors[0] for name in ("features", "target") if name in nodes}
    graph = keras.Model(model.inputs[0], heads)

    def run(samples: tf.Tensor) -> Outputs:
        # Models of mixed precision answer in float32 as well.
        return {name: tf.cast(value, tf.float32) for name, value in graph(samples, training=False).items()}

    def classify(samples: tf.Tensor, sizes: tf.Tensor) -> Outputs:
        return _classified({"probabilities": _at(choices.temperature, run(samples)["probabilities"])}, choices)

    def reconstruct(samples: tf.Tensor, sizes: tf.Tensor) -> Outputs:
        answer = run(samples)
        difference = answer["reconstruction"] - answer.pop("target", samples)
        error = tf.reduce_mean(tf.square(difference), list(range(1, difference.shape.rank)))
        unlike = {} if choices.largest_error is None else {"out_of_distribution": error > choices.largest_error}
        return {**answer, "reconstruction_error": error, **unlike}

    shape = tuple(model.inputs[0].shape[1:])
    return Served(
        shape,
        classify if kind == "classifier" else reconstruct,
        (lambda samples: run(samples)["features"]) if "features" in heads else None,
        Letterbox(shape[0], shape[1], dtype="float32") if len(shape) == 3 and None not in shape else None,
        whole=True,
        uncertain={name: _doubting(each, choices) for name, each in passes_of(model, choices.uncertainty).items()},
    )


def _doubting(passes: Passes, choices: Choices) -> Step:
    """What the answers of several passes say together; each is at the temperature, as the one answer is."""
    return lambda samples: _classified(spread(_at(choices.temperature, passes(samples))), choices)


def _classified(outputs: Outputs, choices: Choices) -> Outputs:
    """Outputs with the class that their probabilities call."""
    class_id = _called(outputs["probabilities"], choices.threshold)
    return {**outputs, "class_id": class_id, **_named(class_id, choices.class_names)}


def _at(temperature: float, probabilities: tf.Tensor) -> tf.Tensor:
    """Probabilities at a temperature, as :func:`tumorkeras.metrics.apply_temperature` has them."""
    if temperature == 1:
        return probabilities
    return tf.nn.softmax(tf.math.log(tf.maximum(probabilities, SMALLEST)) / temperature)


def _called(probabilities: tf.Tensor, threshold: float | None) -> tf.Tensor:
    """The class of each row; none where its probabilities are no numbers."""
    most = tf.argmax(probabilities, -1, tf.int64)
    called = most if threshold is None else tf.cast(probabilities[:, 1] >= threshold, tf.int64)
    return tf.where(tf.reduce_all(tf.math.is_finite(probabilities), -1), called, NO_CLASS)


def _named(classes: tf.Tensor, names: Sequence[str] | None) -> Outputs:
    """The names of classes, empty where there is none."""
    if names is None:
        return {}
    return {"class_name": tf.gather(tf.constant([*names, ""]), tf.math.floormod(classes, len(names) + 1))}


def detector(model: keras.Model, choices: Choices) -> Served:
    """A detector that proposes its regions itself."""
    layer, letterbox = model.get_layer("detections"), model.get_layer("letterbox")
    *heads, images = layer.input
    graph = keras.Model(images, heads)

    def find(canvases: tf.Tensor, sizes: tf.Tensor) -> Outputs:
        return operating(layer.find(*graph(canvases, training=False), sizes), choices)

    canvas = (letterbox.height, letterbox.width, images.shape[-1])
    return Served(canvas, never_empty(find), pyramid_means(model), letterbox, whole=False)


def never_empty(step: Step) -> Step:
    """The same step, given a row of zeros in place of an empty batch, whose answer is left out.

    TensorFlow's oneDNN convolutions give a wrong shape for no rows, which fails in the layers after them.

    Examples
    --------
    >>> never_empty(lambda rows: rows[:1] + 1)(tf.zeros((0, 2))).shape
    TensorShape([0, 2])
    """

    def run(*batches: tf.Tensor) -> Any:
        rows = tf.shape(batches[0])[0]
        found = step(*map(_with_a_row, batches))
        return tf.nest.map_structure(lambda value: value[:rows], found)

    return run


def _with_a_row(batch: tf.Tensor) -> tf.Tensor:
    missing = tf.cast(tf.shape(batch)[0] == 0, tf.int32)
    padded = tf.pad(batch, [[0, missing], *[[0, 0]] * (batch.shape.rank - 1)])
    padded.set_shape([None, *batch.shape[1:]])  # which nobody can tell from an amount that is computed
    return padded


def operating(found: Outputs, choices: Choices) -> Outputs:
    """Detections from the chosen threshold on, with the names of their classes where they are wanted."""
    found = dict(found)
    if choices.threshold is not None:
        kept = found["scores"] >= choices.threshold
        found = emptied({**found, "num_detections": tf.reduce_sum(tf.cast(kept, tf.int32), -1)}, kept)
    return {**found, **_named(found["classes"], choices.class_names)}


def pyramid_means(model: keras.Model) -> Step:
    """Images of a detector -> the mean of every channel of every level, finest level first."""
    *levels, _ = model.get_layer("roi_align").input
    pyramid = keras.Model(model.get_layer("letterbox").input, levels)

    def embed(images: tf.Tensor) -> tf.Tensor:
        found = keras.tree.flatten(pyramid(images, training=False))  # of one level Keras gives no list
        return tf.concat([tf.reduce_mean(tf.cast(level, tf.float32), (1, 2)) for level in found], axis=-1)

    return never_empty(embed)


def emptied(outputs: Outputs, kept: tf.Tensor) -> Outputs:
    """Outputs with zeros, no class and no name where ``kept`` (batch,) or (batch, n) is false.

    Outputs with fewer axes than ``kept`` stay as they are.

    Examples
    --------
    >>> emptied({"scores": tf.constant([[0.9, 0.2]]), "classes": tf.constant([[1, 0]])}, tf.constant([[True, False]]))
    {'scores': <tf.Tensor: shape=(1, 2), dtype=float32, numpy=array([[0.9, 0. ]], dtype=float32)>,
     'classes': <tf.Tensor: shape=(1, 2), dtype=int32, numpy=array([[ 1, -1]], dtype=int32)>}
    """
    filled = {}
    for name, value in outputs.items():
        more = value.shape.rank - kept.shape.rank
        no_class = name in ("class_id", "classes")
        nothing = tf.constant(NO_CLASS, value.dtype) if no_class else tf.zeros((), value.dtype)  # "", False, 0
        mask = tf.reshape(kept, tf.concat([tf.shape(kept), [1] * more], 0)) if more >= 0 else True
        filled[name] = tf.where(mask, value, nothing)
    return filled
