"""Means over a batch that several devices share."""

from __future__ import annotations

import tensorflow as tf


def mean_over_replicas(total: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """``total / count``, each summed over the devices that share the batch; 0 where there is nothing to count.

    So the mean is that of the whole batch, whatever part of it each device has. On one device it is the plain ratio.

    Parameters
    ----------
    total, count : scalar tensor, float32
        Of this device's part of the batch.

    Returns
    -------
    scalar tensor
        The same on every device. A gradient of it, divided by the number of devices and summed over them, is that of
        the whole batch.

    Examples
    --------
    >>> float(mean_over_replicas(tf.constant(6.0), tf.constant(4.0)))
    1.5
    """
    replicas = tf.distribute.get_replica_context()
    if replicas is not None and replicas.num_replicas_in_sync > 1:
        total, count = replicas.all_reduce(tf.distribute.ReduceOp.SUM, [total, count])
    return total / tf.maximum(count, 1.0)
