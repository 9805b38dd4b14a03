"""The order in which a training sees its samples: a function of the seed and the epoch alone."""

from __future__ import annotations

import math

import tensorflow as tf


def shuffled_batches(n: int, batch_size: int, seed: int, epoch: int) -> tf.data.Dataset:
    """Endless pairs of a step and the rows of its batch, all ``n`` rows shuffled anew each epoch.

    Started at epoch 7 it gives what one started at 0 gives after seven epochs. The last batch of an epoch may be
    smaller.

    Examples
    --------
    >>> first = iter(shuffled_batches(3, 2, seed=0, epoch=4))
    >>> [(int(step), len(rows)) for step, rows in (next(first), next(first))]
    [(8, 2), (9, 1)]
    """

    def rows_of(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.argsort(tf.random.stateless_uniform([n], seed_at(seed, number)))
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size)

    steps = math.ceil(n / batch_size)
    return tf.data.Dataset.counter(start=epoch).flat_map(rows_of).enumerate(start=epoch * steps)


def seed_at(seed: int, number: tf.Tensor) -> tf.Tensor:
    """The seed of stateless random numbers at an epoch or a step."""
    # int64: seeds go up to 2**32 - 1
    return tf.stack([tf.constant(seed, tf.int64), tf.cast(number, tf.int64)])
