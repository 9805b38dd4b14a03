"""Trains on one device and on two in one process, and writes down what came out; run by test_devices.py.

Two CPU devices stand for two GPUs. They have to be there before TensorFlow starts: hence a process of its own.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from made_detectors import CANVAS, SMALL, blocks

from tumorkeras.anchors import Anchors
from tumorkeras.data.samples import load_samples
from tumorkeras.models import TrainingSettings, build_autoencoder, build_classifier, build_detector
from tumorkeras.models.replicas import mean_over_replicas
from tumorkeras.spec import DataSpec, Training
from tumorkeras.training.devices import (
    clipping_whole,
    devices_of,
    mirrored,
    share_statistics,
    shared_out,
    strategy_of,
)
from tumorkeras.training.fit import fit
from tumorkeras.training.state import TrainingState

STRATEGIES = ("none", "mirrored")
SHAPE = (6, 8, 8, 1)
PREPROCESSING = [{"step": "rescale", "scale": 20.0}]  # so that gradients are clipped
ANCHORS = Anchors((4,), ((12.0, 24.0),), (0.75, 1.5))
REGIONS = 13  # 12 proposals and an object


def spec_of(strategy: str) -> DataSpec:
    """Of 23 samples in batches of 8, the last of 7, and of 5 that stop the training: two devices get uneven parts."""
    values = {
        "name": "motion",
        "source": {"kind": "simulation", "samples_per_class": 11, "frames": 6},
        "input": {"shape": list(SHAPE), "spacing": [1, 6, 6]},
        "training": {"epochs": 2, "batch_size": 8, "learning_rate": 0.05, "augment": [], "strategy": strategy},
    }
    return DataSpec.from_dict(values)


def made_by(model: keras.Model, history: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "history": history,
        "weights": [float(value) for weight in model.get_weights() for value in np.ravel(weight)],
        "variable": type(model.weights[0].value).__name__,
    }


def classifier_of(strategy: str) -> dict[str, Any]:
    spec = spec_of(strategy)
    samples = load_samples(spec)
    keras.utils.set_random_seed(1)
    model = build_classifier(SHAPE, 3, filters=(4,), dense=(8,), dropout=0.0, preprocessing=PREPROCESSING)
    history = fit(model, samples.part("train"), samples.part("val"), spec.training)
    return made_by(model, history.to_dict("list"))


def autoencoder_of(strategy: str, folder: Path) -> dict[str, Any]:
    """On several devices stopped after the first epoch, and started again with other weights."""
    training = load_samples(spec_of(strategy)).part("train")

    def fitted(seed: int) -> dict[str, Any]:
        keras.utils.set_random_seed(seed)
        model = build_autoencoder(SHAPE, filters=(4,), weight_decay=1e-3, preprocessing=PREPROCESSING)
        history = fit(model, training, None, spec_of(strategy).training, folder=folder)
        return made_by(model, history.to_dict("list"))

    if strategy == "none":
        return fitted(1)
    save = TrainingState.save

    def save_and_stop(state: TrainingState, progress: Any) -> None:
        save(state, progress)
        raise KeyboardInterrupt

    TrainingState.save = save_and_stop  # type: ignore[method-assign]
    try:
        fitted(1)
    except KeyboardInterrupt:
        TrainingState.save = save  # type: ignore[method-assign]
    return fitted(2)


def detector_of(strategy: str) -> dict[str, Any]:
    """The same images on each device, of which every anchor and region counts: their statistics are those of all."""
    images, objects = blocks(2)
    batch = tf.nest.map_structure(lambda array: np.concatenate([array, array]), {"images": images, **objects})
    shares = {"rpn_positive_share": 1.0, "region_positive_share": 1.0}
    every = TrainingSettings(rpn_samples=10_000, region_samples=REGIONS, **shares)
    small = {**SMALL, "anchors": ANCHORS, "fusion": "deepest", "rpn_proposals": REGIONS - 1, "rpn_nms_iou": 1.0}
    keras.utils.set_random_seed(1)
    backbone = build_autoencoder((*CANVAS, 1), filters=(4, 4), pool=4, bottleneck=None)
    detector = build_detector((*CANVAS, 1), 1, backbone=backbone, dropout=0.0, training=every, **small)
    shared = strategy_of(Training(strategy=strategy))
    model = mirrored(detector, shared)
    with shared.scope():
        model.compile(clipping_whole(keras.optimizers.AdamW(0.01, clipnorm=0.1, use_ema=True, ema_momentum=0.5)))
    stream = shared_out(tf.data.Dataset.from_tensors(batch).repeat(), shared, fill=True)
    history = model.fit(stream, steps_per_epoch=1, epochs=2, verbose=0, shuffle=False)
    return made_by(model, history.history)


def means() -> list[float]:
    """Of 1 in 1 and 2 in 3, on each device."""
    shared = strategy_of(Training(strategy="mirrored"))

    def on_each() -> tf.Tensor:
        number = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
        return mean_over_replicas(number + 1, 2 * number + 1)

    found = tf.function(lambda: shared.run(on_each))()
    return [float(value) for value in shared.experimental_local_results(found)]


def statistics() -> list[float]:
    """Of batch normalisation on each device, where one found 0 and the other 1."""
    shared = strategy_of(Training(strategy="mirrored"))
    with shared.scope():
        layer = keras.layers.BatchNormalization()
        model = keras.Sequential([keras.Input((1,)), layer])

    def on_each() -> None:
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        layer.moving_mean.assign(tf.fill([1], tf.cast(number, tf.float32)))

    shared.run(on_each)
    share_statistics(model)
    return [float(value[0]) for value in shared.experimental_local_results(layer.moving_mean.value)]


if __name__ == "__main__":
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    gc.disable()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # it costs more than it brings here
    folder = Path(sys.argv[1])
    made = {
        "devices": {strategy: len(devices_of(Training(strategy=strategy))) for strategy in STRATEGIES},
        "means": means(),
        "statistics": statistics(),
        "classifier": {strategy: classifier_of(strategy) for strategy in STRATEGIES},
        "autoencoder": {strategy: autoencoder_of(strategy, folder / strategy) for strategy in STRATEGIES},
        "detector": {strategy: detector_of(strategy) for strategy in STRATEGIES},
    }
    (folder / "made.json").write_text(json.dumps(made))
