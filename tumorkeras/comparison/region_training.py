"""Training of the baseline of the detector: labelled crops in balanced batches, a classifier and an autoencoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from tumorkeras.comparison.region_classifier import RegionClassifier
from tumorkeras.comparison.region_crops import LabelledCrops, labelled_crops
from tumorkeras.data.augment import augment_volumes
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.shuffle import seed_at
from tumorkeras.errors import ModelError
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.models.autoencoder import target_of
from tumorkeras.progress import progress_bar

PRETRAINED_ON = 8192  # crops at most that the autoencoder sees in an epoch


def train_region_classifier(
    samples: DetectionSamples,
    validation: DetectionSamples | None = None,
    *,
    size: int = 48,
    context: float = 0.25,
    most: int = 200,
    per_image: int = 48,
    filters: Sequence[int] = (16, 32, 64),
    epochs: int = 30,
    steps: int = 100,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    patience: int = 5,
    initial: keras.Model | None = None,
    seed: int = 0,
    progress: bool = True,
) -> RegionClassifier:
    """Train R-CNN without its box regression: propose regions, cut them out, classify.

    Half of every batch is background; the classes share the other half evenly. Crops are mirrored at random.

    Parameters
    ----------
    samples : DetectionSamples
        What the weights are fitted to; images without objects give background.
    validation : DetectionSamples, optional
        What stops the training, and chooses the weights: the smallest loss on its regions, balanced as the batches
        are. Without it the last weights stay.
    size : int, optional
        Side of the crops in pixels.
    context : float, optional
        What a crop shows around its region, as a share of the region's sides.
    most : int, optional
        Proposals an image.
    per_image : int, optional
        Regions with objects at most, and without at most, that an image gives to the training.
    filters : sequence of int, optional
        See :func:`tumorkeras.build_classifier`.
    epochs, steps, batch_size : int, optional
        Epochs at most, batches an epoch, crops a batch.
    learning_rate : float, optional
    patience : int, optional
        Epochs without a better validation loss after which training stops.
    initial : keras.Model, optional
        An autoencoder of crops whose convolutions are copied where name and shape agree.
    seed : int, optional
        Of the weights, the order and what is drawn.
    progress : bool, optional
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    RegionClassifier

    Raises
    ------
    ModelError
        If no region holds an object or none is background, or nothing of ``initial`` fits.

    References
    ----------
    Girshick et al., Rich feature hierarchies for accurate object detection and semantic segmentation, CVPR (2014).

    Examples
    --------
    >>> from tumorkeras import DataSpec, load_detection
    >>> samples = load_detection(DataSpec.from_dict({"name": "lesions", "input": {"shape": [48, 48, 1]},
    ...     "source": {"kind": "phantoms", "samples": 4}}))
    >>> tiny = {"size": 8, "filters": (2,), "most": 9, "per_image": 4, "epochs": 1, "steps": 1, "batch_size": 4}
    >>> trained = train_region_classifier(samples, **tiny, progress=False)
    >>> trained.model.output_shape, sorted(trained.history)
    ((None, 3), ['accuracy', 'epoch', 'loss'])
    """
    keras.utils.set_random_seed(seed)
    crops_of = partial(
        labelled_crops,
        size=size,
        context=context,
        most=most,
        per_image=per_image,
        seed=seed,
        shown=progress,
    )
    crops = crops_of(samples)
    held_out = None if validation is None else crops_of(validation)
    classes = len(samples.classes)
    model = build_classifier(
        (size, size, samples.images.shape[-1]),
        classes + 1,
        filters=filters,
        preprocessing=_steps(samples),
        initial=initial,
        name="region_classifier",
    )
    model.compile(
        keras.optimizers.Adam(learning_rate, clipnorm=1.0),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    stream = balanced_batches(crops, classes, batch_size, seed)
    history = _fit(model, stream, steps, held_out, epochs, patience, progress)
    return RegionClassifier(model, samples.classes, most, context, history)


def _steps(samples: DetectionSamples) -> list[dict[str, Any]]:
    """The preprocessing of the spec; where it has none, integers are brought to the range from 0 to 1."""
    steps = [step.model_dump() for step in samples.spec.preprocessing]
    kind = samples.images.dtype
    if steps or kind.kind != "u":
        return steps
    return [{"step": "rescale", "scale": 1 / np.iinfo(kind).max}]


def balanced_batches(crops: LabelledCrops, classes: int, batch_size: int, seed: int) -> tf.data.Dataset:
    """Endless batches, half of them background and the classes that there are evenly in the other half.

    Parameters
    ----------
    crops : LabelledCrops
    classes : int
        The number of classes, which is the label of the background.
    batch_size, seed : int

    Returns
    -------
    tf.data.Dataset
        Of crops float32 (batch, size, size, channels), mirrored at random, and labels int64 (batch,).

    Raises
    ------
    ModelError
        If no crop holds an object or none is background.
    """
    counts = np.bincount(crops.labels, minlength=classes + 1)
    if not counts[:-1].any() or not counts[-1]:
        what = f"{counts[:-1].sum()} regions hold an object and {counts[-1]} are background"
        raise ModelError("region classifier", [f"{what}; training needs both"])
    order = np.argsort(crops.labels, kind="stable")
    starts = np.cumsum(counts) - counts
    present = np.flatnonzero(counts[:-1])

    def drawn(step: int) -> tuple[NDArray, NDArray]:
        rng = np.random.default_rng([seed, int(step)])
        objects = rng.choice(present, batch_size // 2)
        labels = np.concatenate([objects, np.full(batch_size - len(objects), classes)])
        chosen = order[starts[labels] + rng.integers(counts[labels])]
        return crops.crops[chosen], labels

    def batch_of(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        arrays, labels = tf.numpy_function(drawn, [step], [tf.as_dtype(crops.crops.dtype), tf.int64], stateful=False)
        arrays = tf.ensure_shape(tf.cast(arrays, tf.float32), [batch_size, *crops.crops.shape[1:]])
        return augment_volumes(arrays, ["flip"], seed_at(seed, step)), tf.ensure_shape(labels, [batch_size])

    return tf.data.Dataset.counter().map(batch_of, num_parallel_calls=2, deterministic=True).prefetch(2)


def balancing_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Weights, 1 on average, with which labels count as the batches of the training have them.

    Examples
    --------
    >>> balancing_weights(np.array([0, 2, 2, 2]), classes=2)
    array([2.       , 0.6666667, 0.6666667, 0.6666667], dtype=float32)
    """
    counts = np.bincount(labels, minlength=classes + 1)
    present = max(1, int(np.count_nonzero(counts[:-1])))
    share = np.append(np.full(classes, 0.5 / present), 0.5)
    weights = (share / np.maximum(counts, 1))[labels]
    return (weights / weights.mean()).astype("float32")


def _fit(
    model: keras.Model,
    stream: tf.data.Dataset,
    steps: int,
    held_out: LabelledCrops | None,
    epochs: int,
    patience: int,
    shown: bool,
) -> pd.DataFrame:
    """Train, and leave the model with its best weights; a row an epoch."""
    classes = model.output_shape[-1] - 1
    validation = held_out and tf.data.Dataset.from_tensor_slices(
        (held_out.crops, held_out.labels, balancing_weights(held_out.labels, classes))
    ).batch(256).map(lambda arrays, labels, weights: (tf.cast(arrays, tf.float32), labels, weights))
    with progress_bar(epochs, model.name, "epoch", shown=shown) as bar:
        callbacks = [_told(bar)]
        if validation is not None:
            callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True))
        done = model.fit(
            stream,
            steps_per_epoch=steps,
            epochs=epochs,
            validation_data=validation,
            callbacks=callbacks,
            verbose=0,
            shuffle=False,
        )
    return pd.DataFrame({"epoch": np.array(done.epoch) + 1, **done.history})


def _told(bar: Any) -> keras.callbacks.Callback:
    """What moves a progress bar on by an epoch."""
    return keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: bar.update())


# ------------------------------------------------------------------------------------------------------ autoencoder


def train_crop_autoencoder(
    samples: DetectionSamples,
    *,
    size: int = 48,
    context: float = 0.25,
    most: int = 200,
    per_image: int = 48,
    filters: Sequence[int] = (16, 32, 64),
    epochs: int = 6,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
) -> keras.Model:
    """Train an autoencoder on the crops that :func:`train_region_classifier` learns from, whatever is in them.

    Parameters
    ----------
    samples, size, context, most, per_image, filters, batch_size, learning_rate, seed, progress
        As in :func:`train_region_classifier`; with the same ones the crops are the same and all convolutions fit.
    epochs : int, optional
        Each of all crops, or of 8,192 where there are more.

    Returns
    -------
    keras.Model
        What ``initial`` of :func:`train_region_classifier` takes.

    Raises
    ------
    ModelError
        If there is no region.
    """
    keras.utils.set_random_seed(seed)
    crops = labelled_crops(
        samples, size=size, context=context, most=most, per_image=per_image, seed=seed, shown=progress
    ).crops
    if not len(crops):
        raise ModelError("autoencoder of regions", ["no region was found to learn from"])
    model = build_autoencoder(crops.shape[1:], filters=filters, preprocessing=_steps(samples))
    model.compile(keras.optimizers.Adam(learning_rate, clipnorm=1.0), "mse")
    target = target_of(model)

    def with_target(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        arrays = tf.cast(batch, tf.float32)
        return arrays, target(arrays)

    stream = tf.data.Dataset.from_tensor_slices(crops).shuffle(len(crops), seed).repeat().batch(batch_size)
    steps = math.ceil(min(len(crops), PRETRAINED_ON) / batch_size)
    with progress_bar(epochs, model.name, "epoch", shown=progress) as bar:
        options = {"steps_per_epoch": steps, "epochs": epochs, "callbacks": [_told(bar)], "verbose": 0}
        model.fit(stream.map(with_target), shuffle=False, **options)
    return model
