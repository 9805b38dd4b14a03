"""Training on several devices of one machine: the same steps as on one, each with its part of every batch."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.models.replicas import mean_over_replicas
from tumorkeras.spec import ONE_MACHINE, Training

logger = logging.getLogger(__name__)


def devices_of(settings: Training) -> list[str]:
    """The devices that a training uses: with ``strategy: mirrored`` all GPUs, or all CPU devices where there is none.

    Raises
    ------
    ModelError
        If ``TF_CONFIG`` names several workers, which would each train alone.

    Examples
    --------
    >>> len(devices_of(Training()))
    1
    """
    names = [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
    if settings.strategy == "none":
        return names[:1]
    workers = _workers(os.environ.get("TF_CONFIG") or "{}")
    if workers > 1:
        fault = f"mirrored is for one machine, and TF_CONFIG names {workers} workers; {ONE_MACHINE}; unset TF_CONFIG"
        raise ModelError("training.strategy", [fault])
    if len(names) == 1:
        _tell_of_one(names[0])
    return names


def _workers(config: str) -> int:
    """How many machines would train, by the text of ``TF_CONFIG``.

    Examples
    --------
    >>> _workers("{}"), _workers('{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}}')
    (0, 3)
    """
    try:
        cluster = json.loads(config).get("cluster", {})
        return sum(len(cluster.get(role, [])) for role in ("chief", "master", "worker"))
    except (ValueError, AttributeError, TypeError) as error:
        raise ModelError("training.strategy", [f"TF_CONFIG cannot be read: {error}; unset it"]) from None


@cache  # once, not with every fold
def _tell_of_one(name: str) -> None:
    logger.info("training.strategy: mirrored, but there is one device alone (%s): it trains as with none", name)


def strategy_of(settings: Training) -> tf.distribute.Strategy:
    """How the training is distributed; TensorFlow's default strategy where there is one device.

    Examples
    --------
    >>> strategy_of(Training()).num_replicas_in_sync
    1
    """
    devices = devices_of(settings)
    return tf.distribute.get_strategy() if len(devices) == 1 else _shared_by(tuple(devices))


@cache  # TensorFlow counts the sums over devices in each strategy from the same number on: a second one confuses them
def _shared_by(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    return tf.distribute.MirroredStrategy(devices)


def mirrored(model: keras.Model, strategy: tf.distribute.Strategy) -> keras.Model:
    """A copy of a model with its weights on every device of a strategy; on one device the model itself.

    The copy is for the training alone: what is saved, measured and exported afterwards is of one device.
    """
    if strategy.num_replicas_in_sync == 1:
        return model
    kind = type(model)
    uneven: Any = type(kind.__name__, (_UnevenParts, kind), {})
    with strategy.scope():
        copy = uneven.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def share_statistics(model: keras.Model) -> None:
    """Give every device the mean of the running statistics that batch normalisation has on each.

    Keras leaves them apart, and what is read of a model, saved or measured, would be those of the first device.
    """
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return
    for variable in model.non_trainable_variables:
        if variable.dtype.startswith("float"):
            variable.assign(tf.reduce_mean(strategy.experimental_local_results(variable.value), axis=0))


class _UnevenParts:
    """For a model: the parts of a batch may be of different sizes, also those of the first."""

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras takes the mean of the first batch's parts to see what its metrics are built for; one of them will do.
        for _, _, batches in iterator:
            data_batch = tf.nest.map_structure(lambda parts: parts.values[0], next(batches))
            break
        super()._maybe_symbolic_build(data_batch=data_batch)  # type: ignore[misc]


def shared_out(stream: tf.data.Dataset, strategy: tf.distribute.Strategy, *, fill: bool) -> Any:
    """A stream, over and over, whose batches are cut into a part for each device, in order and as even as can be.

    Keras' fit would cut them itself, but into parts of one size until nothing is left: 4 samples on 3 devices into 2,
    2 and none.

    Parameters
    ----------
    stream : tf.data.Dataset
        Of whole batches.
    strategy : tf.distribute.Strategy
    fill : bool
        A batch of fewer samples than devices is filled up with its own samples: in training no device may be without,
        as batch normalisation would have nothing to take statistics of.
    """
    devices = strategy.num_replicas_in_sync
    if devices == 1:
        return stream
    # Repeated: without an end TensorFlow need not look, on every device in every step, whether there is more.
    parts = stream.flat_map(lambda *batch: _parts(batch, devices, fill)).repeat().prefetch(2 * devices)
    return strategy.distribute_datasets_from_function(lambda context: parts)


def _parts(batch: tuple[Any, ...], devices: int, fill: bool) -> tf.data.Dataset:
    """The parts of a batch (its elements as the functions of a dataset get them), one a device.

    Examples
    --------
    >>> def sizes(samples, devices, fill):
    ...     return [len(part) for part in _parts((tf.zeros([samples, 2]),), devices, fill)]
    >>> sizes(7, 3, False), sizes(4, 3, False), sizes(1, 2, False), sizes(1, 2, True)
    ([3, 2, 2], [2, 1, 1], [1, 0], [1, 1])
    """
    size = tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
    rows = tf.maximum(size, devices) if fill else size
    whole = batch if len(batch) > 1 else batch[0]

    def part(number: tf.Tensor) -> Any:
        first, end = ((rows * place + devices - 1) // devices for place in (number, number + 1))
        own = tf.range(first, end) % size
        return tf.nest.map_structure(lambda array: tf.gather(array, own), whole)

    return tf.data.Dataset.range(devices).map(part)


class WholeBatchLoss(keras.losses.Loss):
    """The weighted mean of a loss over a batch that several devices share, whatever part of it each has.

    Keras takes the mean on each device, and then the mean of these: where the parts are of different sizes, samples
    would count differently.

    Parameters
    ----------
    function : callable
        From targets and predictions to a loss a sample, such as :func:`keras.losses.mean_squared_error`.

    Examples
    --------
    >>> loss = WholeBatchLoss(keras.losses.mean_squared_error)
    >>> float(loss(tf.constant([[0.0], [0.0]]), tf.constant([[1.0], [3.0]]), tf.constant([1.0, 0.5])))
    2.75
    """

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__(name=function.__name__)
        self.function = function

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Share of this device in the mean: Keras adds the shares up."""
        each = self.function(y_true, y_pred)
        weighted = each if sample_weight is None else each * tf.cast(sample_weight, each.dtype)
        mean = mean_over_replicas(tf.reduce_sum(weighted), tf.cast(tf.size(each), each.dtype))
        return mean / tf.distribute.get_strategy().num_replicas_in_sync


def whole_loss(name: str) -> str | WholeBatchLoss:
    """Keras' loss of a name, in the scope of a strategy over the whole batch."""
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return WholeBatchLoss(getattr(keras.losses, name)) if several else name


class _WholeGradients:
    """For an optimizer: gradients are added up over the devices before they are clipped, as on one device.

    Keras clips those of each device, and adds up what is left of them.
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Update the variables by the gradients of all devices."""
        # The mean, as Keras adds these equal gradients up again; clipnorm is divided likewise.
        grads = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, list(grads))
        super().apply(grads, trainable_variables)  # type: ignore[misc]


def clipping_whole(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer with ``clipnorm`` made to clip the gradient of the whole batch, in the scope of a strategy."""
    devices = tf.distribute.get_strategy().num_replicas_in_sync
    if devices == 1:
        return optimizer
    kind = type(optimizer)
    whole: Any = type(kind.__name__, (_WholeGradients, kind), {})
    return whole.from_config({**optimizer.get_config(), "clipnorm": optimizer.clipnorm / devices})
