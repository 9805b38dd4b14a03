"""What a model answers when it is served: one function a signature, all of them over one set of variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.models.graphs import graph_of, output_layers
from tumorkeras.serving.image_bytes import decode_batch
from tumorkeras.serving.served import (
    Choices,
    Outputs,
    Served,
    Step,
    detector,
    emptied,
    never_empty,
    operating,
    pyramid_means,
    single_output,
)
from tumorkeras.serving.uncertainty import uncertainty_faults

Kind = Literal["classifier", "autoencoder", "detector"]

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
UINT8, BYTES, FEATURES = "serving_uint8", "serving_bytes", "features"
IMAGE_BYTES = "image_bytes"

_KINDS: dict[str, Kind] = {
    "probabilities": "classifier",
    "reconstruction": "autoencoder",
    "detections": "detector",
}


class Endpoint(NamedTuple):
    """One signature.

    Attributes
    ----------
    function : callable
        From one tensor an input, by position, to the named outputs.
    inputs : list of tf.TensorSpec
        Name, shape and dtype of each input; dimension 0 is open.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]

    def compiled(self) -> Any:
        """The function as one graph for every size of its inputs."""
        return tf.function(self.function, input_signature=self.inputs, autograph=False)


def model_kind(model: keras.Model) -> Kind:
    """Tell classifiers, autoencoders and detectors apart by the name of the layer that gives the output.

    Raises
    ------
    ModelError
        If the model has no graph, its output is made by none of the layers ``"probabilities"``, ``"reconstruction"``
        and ``"detections"``, or it reads several inputs and is no detector. The layer of a classifier may lie in a
        model in the model.
    """
    graph = graph_of(model)
    if graph is None or not graph.outputs:
        raise ModelError(
            f"{model.name}: has no graph yet; give a functional model, as the builders make it, or a Sequential that "
            "has been built"
        )
    makers = list({id(layer): layer for layer in output_layers(graph)}.values())  # a detector's outputs have one
    kind = _KINDS.get(makers[0].name) if len(makers) == 1 else None
    faults = []
    if len(graph.inputs) != 1 and kind != "detector":
        faults.append(f"inputs: {len(graph.inputs)} found, expected one array")
    if kind is None:
        faults.append(
            f"outputs: made by {', '.join(layer.name for layer in makers)}; expected one layer, named 'probabilities' "
            "(classifier), 'reconstruction' (autoencoder) or 'detections' (detector)"
        )
    elif kind != "classifier" and makers[0] not in graph.layers:
        faults.append(f"outputs: the {kind} is a model in the model; give that one")
    if kind is None or faults:
        raise ModelError(f"{model.name}: cannot be served", faults)
    return kind


def endpoints(model: keras.Model, choices: Choices | None = None) -> dict[str, Endpoint]:
    """Make the functions behind the signatures of a classifier, an autoencoder or a detector.

    Parameters
    ----------
    model : keras.Model
        Functional or a Sequential, with its output from a layer named ``"probabilities"``, ``"reconstruction"`` or
        ``"detections"``.
        A layer named ``"features"`` adds the embedding, one named ``"target"`` is what a reconstruction is measured
        against (without it, the input). The embedding of a detector is what its layer ``"roi_align"`` reads.
    choices : Choices, optional
        What goes into the graph beside the model.

    Returns
    -------
    dict of str to Endpoint
        ``serving_default`` reads ``inputs`` float32: volumes (batch, depth, height, width, channels) of the model's
        size, or images (batch, height, width, channels) of any size, which are letterboxed to the model's canvas.
        ``serving_uint8`` reads images of uint8, and ``serving_bytes`` reads ``image_bytes`` (batch,), PNG or JPEG of
        mixed sizes; both letterbox to whole grey levels, as images of a folder are read to learn from.

        A classifier gives ``probabilities`` (batch, classes) float32, ``class_id`` (batch,) int64, -1 where they are no
        numbers, and where names are wanted ``class_name`` (batch,); an autoencoder ``reconstruction``,
        ``reconstruction_error`` (batch,), the mean squared error, and ``features``; a detector ``boxes`` (batch, n, 4)
        float32, xyxy in pixels of the images, ``scores`` (batch, n) float32, ``classes`` (batch, n) int32 and
        ``num_detections`` (batch,) int32, best first, padded with box 0, score 0 and class -1, and where they are
        wanted ``class_name`` (batch, n). One with proposals from outside has ``serving_default`` and ``features``
        alone, and reads ``proposals`` (batch, m, 4) float32, too.

        ``serving_bytes`` adds ``status`` (batch,) int32: 1 where an image could not be decoded, whose outputs are
        zeros, class -1 and an empty name, else 0.

        ``features`` gives ``features`` (batch, k) float32; of a detector the means of every channel of every level of
        its pyramid, finest level first.

        ``uncertainty_dropout`` and ``uncertainty_augmentation``, of classifiers and where they are asked for, read what
        ``serving_default`` reads, and give its outputs of the mean of several passes, and
        :func:`tumorkeras.serving.uncertainty.spread` of them: ``std`` (batch, classes), ``entropy`` (batch,) and
        ``mutual_information`` (batch,). An autoencoder whose largest error is known gives ``out_of_distribution``
        (batch,) bool as well.

    Raises
    ------
    ModelError
        If the model is none of these, or cannot tell the uncertainty that is asked for.

    Examples
    --------
    >>> inputs = keras.Input((8, 8, 1))
    >>> features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
    >>> outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    >>> sorted(endpoints(keras.Model(inputs, outputs)))
    ['features', 'serving_bytes', 'serving_default', 'serving_uint8']
    """
    kind, choices = model_kind(model), choices or Choices()
    model = graph_of(model)
    if faults := uncertainty_faults(model, kind, choices.uncertainty):
        raise ModelError(model.name, faults)
    if kind == "detector" and len(model.inputs) > 1:
        return _with_proposals(model, choices)
    served = detector(model, choices) if kind == "detector" else single_output(model, kind, choices)
    return _of_volumes(served) if served.place is None else _of_images(served, choices.max_pixels)


def _inputs(shape: tuple[int | None, ...], dtype: tf.DType = tf.float32, name: str = "inputs") -> tf.TensorSpec:
    return tf.TensorSpec((None, *shape), dtype, name=name)


def _of_volumes(served: Served) -> dict[str, Endpoint]:
    """Of samples whose size is that of the model."""
    read = [_inputs(served.shape)]
    return {
        DEFAULT: Endpoint(lambda inputs: served.answer(inputs, tf.shape(inputs)[1:3]), read),
        **_further(served, lambda inputs: inputs, read),
    }


def _further(served: Served, place: Callable[..., Any], read: list[tf.TensorSpec]) -> dict[str, Endpoint]:
    """The embedding and the uncertainties, where the model has them."""

    def placed(run: Step) -> Endpoint:
        return Endpoint(lambda inputs: run(place(inputs)), read)

    found = {name: placed(run) for name, run in served.uncertain.items()}
    embed = served.embed
    if embed is not None:
        found[FEATURES] = placed(lambda samples: {"features": embed(samples)})
    return found


def _of_images(served: Served, max_pixels: int) -> dict[str, Endpoint]:
    """Of images of any size."""
    place, canvas = served.place, cast("tuple[int, int, int]", served.shape)
    assert place is not None
    *_, channels = canvas
    read = [_inputs((None, None, channels))]
    # One function in the library of the graph, which all signatures call.
    answer = tf.function(served.answer, autograph=False, reduce_retracing=True)

    def of_array(inputs: tf.Tensor) -> Outputs:
        return answer(place(inputs), _sizes(inputs))

    def of_levels(inputs: tf.Tensor) -> Outputs:
        return answer(served.place_levels(tf.cast(inputs, tf.float32)), _sizes(inputs))

    def of_bytes(image_bytes: tf.Tensor) -> Outputs:
        images = decode_batch(image_bytes, served.place_levels, canvas, max_pixels)
        found = emptied(answer(images.canvases, images.sizes), images.status == 0)
        return {**found, "status": images.status}

    signatures = {
        DEFAULT: Endpoint(of_array, read),
        UINT8: Endpoint(of_levels, [_inputs((None, None, channels), tf.uint8)]),
        **_further(served, place, read),
    }
    if channels in (1, 3):
        signatures[BYTES] = Endpoint(of_bytes, [_inputs((), tf.string, IMAGE_BYTES)])
    return signatures


def _sizes(images: tf.Tensor) -> tf.Tensor:
    """Height and width of every image of a batch (batch, 2)."""
    shape = tf.shape(images)
    return tf.tile(shape[None, 1:3], [shape[0], 1])


def _with_proposals(model: keras.Model, choices: Choices) -> dict[str, Endpoint]:
    """Of a detector whose regions come in beside the images."""
    names = [each.name for each in model.inputs]
    # The images are what every model reads; a signature calls them `inputs`.
    read = [
        _inputs(tuple(each.shape[1:]), name="inputs" if name == "images" else name)
        for name, each in zip(names, model.inputs, strict=True)
    ]
    images = read[names.index("images")]
    embed = pyramid_means(model)

    def find(*given: tf.Tensor) -> Outputs:
        return operating(model(dict(zip(names, given, strict=True)), training=False), choices)

    return {
        DEFAULT: Endpoint(never_empty(find), read),
        FEATURES: Endpoint(lambda inputs: {"features": embed(inputs)}, [images]),
    }
