"""Volumes a second in training: forward, backward and update of the builders' defaults.

    python benchmarks/training_speed.py [--runs 7]

A run is 10 steps of 32 volumes that are in memory already; the table gives the median and the range over the runs,
which take turns so that a drift of the machine reaches every model alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tumorkeras import build_autoencoder, build_classifier

BATCH, STEPS = 32, 10
MODELS = {
    "classifier (32, 48, 48, 1)": lambda: build_classifier((32, 48, 48, 1), 2),
    "classifier (32, 48, 48, 1), stride 2": lambda: build_classifier((32, 48, 48, 1), 2, stride=2),
    "classifier (60, 16, 16, 1)": lambda: build_classifier((60, 16, 16, 1), 2),
    "autoencoder (32, 48, 48, 1), bottleneck 64": lambda: build_autoencoder((32, 48, 48, 1), bottleneck=64),
    "the same, untied": lambda: build_autoencoder((32, 48, 48, 1), bottleneck=64, tied=False),
}


def train_step(model: keras.Model):
    """One compiled training step, without arguments."""
    classifier = "probabilities" in model.output_names
    model.compile("adam", "sparse_categorical_crossentropy" if classifier else "mse")
    arrays = tf.random.stateless_normal((BATCH, *model.input_shape[1:]), seed=(0, 0))
    targets = tf.zeros((BATCH,), tf.int32) if classifier else arrays
    model.optimizer.build(model.trainable_variables)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(arrays, targets, model(arrays, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)

    return step


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    models = {name: build() for name, build in MODELS.items()}
    steps = {name: train_step(model) for name, model in models.items()}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for run in range(runs + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(STEPS):
                step()
            if run:  # the first run compiles
                rates[name].append(BATCH * STEPS / (time.perf_counter() - began))
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, TensorFlow {tf.__version__}, {runs} runs\n")
    print("| model | parameters | volumes a second, median [range] |\n| --- | --- | --- |")
    for name, values in rates.items():
        spread = f"{np.median(values):.0f} [{min(values):.0f}, {max(values):.0f}]"
        print(f"| {name} | {models[name].count_params():,} | {spread} |")


if __name__ == "__main__":
    main()
