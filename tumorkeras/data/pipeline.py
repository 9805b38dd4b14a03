"""Samples to batches: tracks are drawn as they are needed, never all at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator

import numpy as np
import tensorflow as tf

from tumorkeras.data.augment import augment_tracks, augment_volumes, random_shift
from tumorkeras.data.rendering import renderer_of
from tumorkeras.data.samples import Samples
from tumorkeras.data.shuffle import seed_at, shuffled_batches
from tumorkeras.data.stored import StoredRows, choose


def steps_per_epoch(samples: Samples, batch_size: int) -> int:
    """Batches that show every sample once."""
    return math.ceil(len(samples) / batch_size)


def training_stream(
    samples: Samples,
    batch_size: int = 32,
    *,
    augment: Collection[str] = (),
    sample_weights: np.ndarray | None = None,
    seed: int = 0,
    epoch: int = 0,
) -> tf.data.Dataset:
    """Endless batches (arrays, labels) or (arrays, labels, weights), shuffled anew each epoch.

    The stream is a function of ``seed`` and ``epoch`` alone: started at epoch 7 it gives what a stream
    started at 0 gives after seven epochs. Arrays are float32 (batch, \\*input.shape), labels int64 (batch,).

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.spec import DataSpec
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}})
    >>> arrays, labels = next(iter(training_stream(load_samples(spec), batch_size=8)))
    >>> arrays.shape, labels.shape
    (TensorShape([8, 16, 24, 24, 1]), TensorShape([8]))
    """
    values_of, labels = _lookup(samples), tf.constant(samples.labels)
    weights = None if sample_weights is None else tf.constant(sample_weights, tf.float32)
    draw = _drawer(samples, augment)

    def batch_of(step: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = draw(values_of(rows), seed_at(seed, step))
        batch = (arrays, tf.gather(labels, rows))
        return batch if weights is None else (*batch, tf.gather(weights, rows))

    stream = shuffled_batches(len(samples), batch_size, seed, epoch)
    return stream.map(batch_of, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def batches(samples: Samples, batch_size: int = 64) -> tf.data.Dataset:
    """Each sample once, in order, as (arrays, labels); for validation and prediction."""
    draw = _drawer(samples, ())
    rows = tf.data.Dataset.range(len(samples)).batch(batch_size)
    values_of, labels = _lookup(samples), tf.constant(samples.labels)
    return rows.map(
        lambda chosen: (draw(values_of(chosen), None), tf.gather(labels, chosen)),
        num_parallel_calls=tf.data.AUTOTUNE,
    ).prefetch(2)


def arrays_of(samples: Samples, batch_size: int = 64) -> np.ndarray:
    """All samples as one float32 array (n, \\*input.shape): for small sets, pictures and tests."""
    return np.concatenate(list(iterate_arrays(samples, batch_size)))


def iterate_arrays(samples: Samples, batch_size: int = 64) -> Iterator[np.ndarray]:
    """The samples' arrays, batch by batch, in order."""
    for arrays, _ in batches(samples, batch_size):
        yield arrays.numpy()


def _lookup(samples: Samples) -> Callable[[tf.Tensor], tf.Tensor]:
    """What gives the values of some rows; those of a file on disk are read as they are needed."""
    values = samples.values
    if not isinstance(values, np.memmap | StoredRows):
        held = tf.constant(renderer_of(samples.spec).centered(values) if samples.are_tracks else values)
        return lambda rows: tf.gather(held, rows)

    def read(rows: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(lambda chosen: np.asarray(choose(values, chosen)), [rows], tf.as_dtype(values.dtype))
        return tf.ensure_shape(found, [None, *values.shape[1:]])

    return read


def _drawer(samples: Samples, augment: Collection[str]) -> Callable[[tf.Tensor, tf.Tensor | None], tf.Tensor]:
    if not samples.are_tracks:
        return lambda values, seed: augment_volumes(tf.cast(values, tf.float32), augment, seed)
    renderer = renderer_of(samples.spec)

    def draw(tracks: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        if not augment:
            return renderer(tracks)
        turned = renderer.recentered(augment_tracks(tracks, augment, seed))
        return renderer(turned, random_shift(tf.shape(tracks)[0], augment, seed))

    return draw
