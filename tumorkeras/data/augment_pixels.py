"""Random changes of brightness and grain, of images and volumes alike, each a pure function of its seed."""

from __future__ import annotations

import math

import tensorflow as tf

LARGEST_GAIN, LARGEST_GAMMA, LARGEST_OFFSET = 1.25, 1.25, 0.1
STRONGEST_SPECKLE = 0.3
RAYLEIGH_SIGMA = math.sqrt(2 / math.pi)  # so that the mean is 1


def change_intensity(arrays: tf.Tensor, inside: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Contrast, brightness and gamma of each sample changed, within the range of its values.

    Parameters
    ----------
    arrays : tensor, shape (n, ..., channels), float32
    inside : tensor, shape (n, ..., 1), float32
        1 where values are changed, 0 where they stay: the padding around an image, the background of an object.
    seed : tensor, shape (2,), int64
    """
    count = tf.shape(arrays)[0]
    gain = log_uniform(count, seed, 1 / LARGEST_GAIN, LARGEST_GAIN)
    gamma = log_uniform(count, seed + 1, 1 / LARGEST_GAMMA, LARGEST_GAMMA)
    offset = uniform(count, seed + 2, -LARGEST_OFFSET, LARGEST_OFFSET)
    low, span = _range(arrays)
    # tf.pow takes five times as long; the logarithm of 0 is -inf, of which the exponential is 0 again.
    curved = tf.exp(_a_number(gamma, arrays) * tf.math.log((arrays - low) / span))
    unit = tf.clip_by_value(curved * _a_number(gain, arrays) + _a_number(offset, arrays), 0.0, 1.0)
    return arrays + inside * (low + span * unit - arrays)


def add_speckle(arrays: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Each sample (n, ..., channels) multiplied by Rayleigh noise of mean 1 and random strength."""
    shape = tf.shape(arrays)
    strength = _a_number(uniform(shape[0], seed, 0.0, STRONGEST_SPECKLE), arrays)
    # One grain for all channels: speckle is there before a picture is coloured.
    grains = tf.concat([shape[:-1], [1]], axis=0)
    rayleigh = RAYLEIGH_SIGMA * tf.sqrt(-2.0 * tf.math.log(tf.random.stateless_uniform(grains, seed + 1, 1e-7, 1.0)))
    low, span = _range(arrays)
    noisy = (arrays - low) * (1.0 + strength * (rayleigh - 1.0))
    return low + tf.minimum(noisy, span)


def uniform(count: tf.Tensor, seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Random numbers (count,) between ``low`` and ``high``."""
    return tf.random.stateless_uniform([count], seed, low, high)


def log_uniform(count: tf.Tensor, seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Random factors (count,) between ``low`` and ``high``, a half as likely as a double."""
    return tf.exp(uniform(count, seed, math.log(low), math.log(high)))


def _a_number(values: tf.Tensor, arrays: tf.Tensor) -> tf.Tensor:
    """One number a sample, to be multiplied with arrays."""
    return tf.reshape(values, [-1, *[1] * (arrays.shape.rank - 1)])


def _range(arrays: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Smallest value of each sample, and how far its largest lies above it."""
    axes = list(range(1, arrays.shape.rank))
    low = tf.reduce_min(arrays, axis=axes, keepdims=True)
    span = tf.reduce_max(arrays, axis=axes, keepdims=True) - low
    return low, tf.where(span > 0, span, 1.0)
