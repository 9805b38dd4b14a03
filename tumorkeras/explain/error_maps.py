"""Where an autoencoder does not give back what it was given."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.explain.inputs import Maps, check_image_input, mapped, network_for, told_by
from tumorkeras.features.layer_outputs import input_of
from tumorkeras.models import Detector
from tumorkeras.models.graphs import nodes_of

CALLER = "reconstruction_error_map"


def reconstruction_error_map(model: Any, samples: Any, batch_size: int = 16) -> Maps:
    """Where a sample is unlike what an autoencoder learnt: the squared error of every pixel or voxel.

    Parameters
    ----------
    model : keras.Model, TrainedModel, str or Path
        An autoencoder of :func:`tumorkeras.build_autoencoder`, a trained one or its folder, or another Keras model
        whose output has the shape of its input.
    samples : array-like, list, Samples or tf.data.Dataset
        As the model reads them, (n, height, width, channels) or (n, depth, height, width, channels), of one size; also
        files, as :class:`tumorkeras.FeatureExtractor` reads them.
    batch_size : int, default 16
        Samples a call.

    Returns
    -------
    ndarray of float32, shape (n, height, width) or (n, depth, height, width)
        Mean over the channels of the squared difference between the reconstruction and its target: the layer
        ``"target"``, which is the preprocessed input, or the input itself where the model has no such layer. In
        squared units of the target; the mean of a map is the sample's ``reconstruction_error`` of an export.

    Raises
    ------
    ModelError
        If the model is no autoencoder.
    DataError
        For samples of another shape, or that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import build_autoencoder
    >>> model = build_autoencoder((16, 16, 1), filters=(4,), bottleneck=8)
    >>> reconstruction_error_map(model, np.zeros((2, 16, 16, 1))).max()
    np.float32(0.0)
    """
    network, spec = network_for(CALLER, model)
    with told_by(CALLER):
        given = input_of(network)
    check_image_input(CALLER, given)
    errors = _compile(network, given)
    return mapped(
        CALLER, samples, tuple(given.shape[1:]), spec, batch_size, lambda batch: errors(tf.constant(batch)).numpy()
    )


def _compile(network: keras.Model, given: keras.KerasTensor) -> Any:
    nodes = nodes_of(network)
    target = nodes["target"].output_tensors[0] if "target" in nodes else given
    shapes = [tuple(output.shape) for output in network.outputs]
    if isinstance(network, Detector) or shapes != [tuple(target.shape)]:
        found = f"gives {', '.join(map(str, shapes))}, expected one output {tuple(target.shape)}"
        raise ModelError(CALLER, [f"model: {network.name!r} is not an autoencoder: {found}"])
    graph = keras.Model(given, [network.outputs[0], target])

    def call(batch: tf.Tensor) -> tf.Tensor:
        reconstruction, wanted = (tf.cast(value, tf.float32) for value in graph(batch, training=False))
        return tf.reduce_mean(tf.square(reconstruction - wanted), -1)

    function = tf.function(call, input_signature=[tf.TensorSpec(given.shape, tf.float32)], autograph=False)
    function.get_concrete_function()
    return function
