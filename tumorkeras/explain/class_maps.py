"""Grad-CAM: which places of a feature map speak for a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf

from tumorkeras.boxes import NO_CLASS
from tumorkeras.errors import ModelError
from tumorkeras.explain.heads import check_class, head_of
from tumorkeras.explain.inputs import Maps, check_image_input, mapped, network_for, told_by
from tumorkeras.explain.placement import over_input, spread, steps_of
from tumorkeras.features.layer_outputs import input_of
from tumorkeras.models import Detector
from tumorkeras.models.graphs import nodes_of

CALLER = "grad_cam"


@dataclass(frozen=True)
class _ClassMaps:
    """A classifier's class maps, compiled.

    Attributes
    ----------
    call : callable
        Samples and a class id (that of no class: the predicted one) -> maps (batch, *cells) float32, 0 and more.
    steps : tuple or None
        Pixels of the input a cell, where they are known.
    classes : int
    """

    call: Callable[[Any, Any], tf.Tensor]
    steps: tuple[int, ...] | None
    classes: int


# By the network, so that a notebook that asks again does not compile again; weak, so that it can go.
_compiled: WeakKeyDictionary[keras.Model, dict[str | None, _ClassMaps]] = WeakKeyDictionary()


def grad_cam(
    model: Any, samples: Any, class_id: int | None = None, layer: str | None = None, batch_size: int = 16
) -> Maps:
    """Where a classifier sees what speaks for a class (Grad-CAM).

    The score of the class before the softmax is followed back to the channels of a feature map; the mean gradient of
    a channel is its weight, and what is positive in the weighted sum of the channels speaks for the class.

    Parameters
    ----------
    model : keras.Model, TrainedModel, str or Path
        A classifier of images or volumes with convolutions: of :func:`tumorkeras.build_classifier`, any other
        functional or built sequential Keras model, a trained model or its folder. It is not changed.
    samples : array-like, list, Samples or tf.data.Dataset
        As the model reads them, (n, height, width, channels) or (n, depth, height, width, channels), of one size; also
        files, as :class:`tumorkeras.FeatureExtractor` reads them.
    class_id : int, optional
        By default the class that the model predicts, for each sample.
    layer : str, optional
        Whose output is the feature map; by default what follows the last convolution in its size, so its activation.
    batch_size : int, default 16
        Samples a call.

    Returns
    -------
    ndarray of float32, shape (n, height, width) or (n, depth, height, width)
        The map at the pixels of the input, 0 to 1: of each sample the largest value is 1, or all are 0 where nothing
        speaks for the class. Between the cells of the feature map it is interpolated linearly; each is placed right to
        less than half its size. At a border that valid convolutions cut off, where no cell lies, the map is 0.

    Raises
    ------
    ModelError
        If the model is not a classifier, has no convolution, or no such layer.
    DataError
        For samples of another shape, or that are not finite, and a class that the model does not have.

    Examples
    --------
    >>> from tumorkeras import build_classifier
    >>> model = build_classifier((16, 16, 1), 3, filters=(4, 8))
    >>> maps = grad_cam(model, np.random.default_rng(0).random((2, 16, 16, 1)), class_id=1)
    >>> maps.shape, maps.dtype
    ((2, 16, 16), dtype('float32'))

    References
    ----------
    Selvaraju et al., *Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization*, ICCV 2017.
    """
    network, spec = network_for(CALLER, model)
    with told_by(CALLER):
        given = input_of(network)
    own = _compiled.setdefault(network, {})
    if layer not in own:
        own[layer] = _compile(network, given, layer)
    made = own[layer]
    check_class(CALLER, class_id, made.classes)
    wanted = tf.constant(NO_CLASS if class_id is None else int(class_id))

    def explain(batch: np.ndarray) -> Maps:
        cells = made.call(tf.constant(batch), wanted).numpy()
        sides = zip(cells.shape[1:], batch.shape[1:-1], made.steps or (None,) * (batch.ndim - 2), strict=True)
        return to_one(spread(cells, [over_input(*side) for side in sides]))

    return mapped(CALLER, samples, tuple(given.shape[1:]), spec, batch_size, explain)


def to_one(maps: Maps) -> Maps:
    """Each map (n, *spatial), of 0 and more, divided by its largest value; a map of zeros stays.

    Examples
    --------
    >>> to_one(np.array([[1.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.25, 1.0], [0.0, 0.0]]
    """
    most = maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True)
    return np.divide(maps, most, out=np.zeros_like(maps), where=most > 0)


def _compile(network: keras.Model, given: keras.KerasTensor, layer: str | None) -> _ClassMaps:
    if isinstance(network, Detector):
        raise ModelError(CALLER, [f"model: {network.name!r} is a detector; grad_cam_detection explains one detection"])
    check_image_input(CALLER, given)
    head = head_of(CALLER, network)
    chosen = _feature_map(network, given, layer)
    graph = keras.Model(given, [chosen, head.before])

    def call(batch: tf.Tensor, class_id: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(batch)  # else nothing is kept of a map that no weight lies before
            maps, before = graph(batch, training=False)
            scores = head.scores(before)
            wanted = tf.where(class_id == NO_CLASS, tf.argmax(scores, -1, tf.int32), class_id)
            score = tf.reduce_sum(tf.gather(scores, wanted, batch_dims=1))  # no sample has a part in another's
        gradients = tape.gradient(score, maps)
        if gradients is None:
            raise ModelError(CALLER, [f"layer: {layer!r} has no part in the scores of the classes"])
        maps, gradients = tf.cast(maps, tf.float32), tf.cast(gradients, tf.float32)
        weights = tf.reduce_mean(gradients, range(1, maps.shape.rank - 1), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * maps, -1))

    signature = [tf.TensorSpec((None, *given.shape[1:]), tf.float32), tf.TensorSpec((), tf.int32)]
    function = tf.function(call, input_signature=signature, autograph=False)
    function.get_concrete_function()  # traced here, one network after the other, of which TensorFlow does not warn
    return _ClassMaps(function, steps_of(chosen, given), head.classes)


def _feature_map(network: keras.Model, given: keras.KerasTensor, layer: str | None) -> keras.KerasTensor:
    """The output of a layer, or of the last one that keeps the size of the last convolution's."""
    nodes = nodes_of(network)
    maps = {name: node.output_tensors[0] for name, node in nodes.items() if _is_map(node, len(given.shape))}
    if layer is not None:
        if layer not in maps:
            found = "gives no map with spatial axes" if layer in nodes else "is no layer of the model"
            raise ModelError(CALLER, [f"layer: {layer!r} {found}; maps are given by {', '.join(maps) or 'none'}"])
        return maps[layer]
    names = list(maps)
    convolutions = [k for k, name in enumerate(names) if _convolves(network.get_layer(name), len(given.shape))]
    if not convolutions:
        fault = f"model: {network.name!r} has no convolution whose map is seen; name a layer that gives one"
        inner = [each.name for each in network.layers if isinstance(each, keras.Model)]
        if inner:
            fault += f", or build one graph: {', '.join(inner)} is a model in the model, and nothing inside it is seen"
        raise ModelError(CALLER, [fault])
    last = maps[names[convolutions[-1]]]
    return [maps[name] for name in names[convolutions[-1] :] if maps[name].shape[1:-1] == last.shape[1:-1]][-1]


def _is_map(node: Any, rank: int) -> bool:
    return len(node.output_tensors) == 1 and len(node.output_tensors[0].shape) == rank


def _convolves(layer: keras.layers.Layer, rank: int) -> bool:
    """Whether a layer, or a model as a layer, has a kernel (*spatial, channels, channels)."""
    return any(len(weight.shape) == rank for weight in layer.weights)
