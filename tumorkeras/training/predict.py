"""Outputs of a model for samples, batch by batch through its compiled graph."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tumorkeras.data.pipeline import batches
from tumorkeras.data.samples import Samples
from tumorkeras.models.autoencoder import target_of


def predict(model: keras.Model, samples: Samples, batch_size: int = 64) -> np.ndarray:
    """The model's outputs for every sample, in order, as one float32 array.

    ``Model.predict`` costs many times the call itself for small batches; this is the call, compiled once.
    """
    call = compiled(model)
    return np.concatenate([call(arrays).numpy() for arrays, _ in batches(samples, batch_size)])


def reconstruction_errors(model: keras.Model, samples: Samples, batch_size: int = 64) -> np.ndarray:
    """Mean squared error of each sample's reconstruction, float32 (n,); no reconstruction is kept."""
    both = compiled(keras.Model(model.inputs, [model.output, target_of(model).output]))
    errors = []
    for arrays, _ in batches(samples, batch_size):
        reconstruction, target = both(arrays)
        difference = tf.square(reconstruction - target)
        errors.append(tf.reduce_mean(difference, axis=range(1, difference.shape.rank)).numpy())
    return np.concatenate(errors)


def variance_errors(model: keras.Model, samples: Samples, batch_size: int = 64) -> np.ndarray:
    """Mean squared difference of each preprocessed sample from the mean of all of them, (n,).

    The error of the best constant answer: what a reconstruction must beat.
    """
    target = compiled(target_of(model))
    # Summed over samples: the last batch may be smaller than the others.
    mean = sum(target(arrays).numpy().sum(axis=0) for arrays, _ in batches(samples, batch_size)) / len(samples)
    return np.concatenate(
        [
            np.square(target(arrays).numpy() - mean).reshape(len(arrays), -1).mean(axis=1)
            for arrays, _ in batches(samples, batch_size)
        ]
    )


def compiled(model: keras.Model) -> tf.types.experimental.GenericFunction:
    """The model's inference call as one graph for every batch size."""
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    graph = tf.function(lambda arrays: model(arrays, training=False), input_signature=signature)
    # Traced now: tracing while they are called, the graphs of several models look to TensorFlow like one that is traced
    # again and again, of which it warns.
    graph.get_concrete_function()
    return graph
