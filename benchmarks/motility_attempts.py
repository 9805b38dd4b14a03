"""What was tried to lift the classifier on MuSC against myoblast: each attempt on the same two folds.

    TUMORKERAS_DATA=... python benchmarks/motility_attempts.py

Each attempt changes one thing of ``examples/musc_myoblast.yaml``: the marker's size, the augmentation, the first
weights (from simulated kinds of motion, or from cell-mimetic tracks of the training fold), or it averages three
networks. The rows are accuracy on each fold, their mean AUC, and the accuracy in training.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from tumorkeras import DataSpec, build_classifier, load_samples, mimic_motility, simulate_motility
from tumorkeras.comparison import outer_folds
from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import split_off
from tumorkeras.training import fit
from tumorkeras.training.predict import predict

EXAMPLE = Path(__file__).parents[1] / "examples" / "musc_myoblast.yaml"
FOLDS = 2
Start = Callable[[Samples, int], keras.Model]


def tracks_as(samples: Samples, tracks: list[np.ndarray]) -> Samples:
    """Samples with other tracks, a class for each array."""
    labels = np.repeat(np.arange(len(tracks)), [len(group) for group in tracks])
    classes = tuple(str(k) for k in range(len(tracks)))
    table = pd.DataFrame({"class_id": labels, "class_name": labels.astype(str), "split": "train", "group": None})
    return replace(samples, table=table, values=np.concatenate(tracks).astype("float32"), classes=classes)


def trained(samples: Samples, seed: int, initial: keras.Model | None = None, epochs: int | None = None) -> tuple:
    """A classifier of the samples, stopped on a part of them, and its last accuracy in training."""
    spec = samples.spec
    keras.utils.set_random_seed(seed)
    model = build_classifier(
        spec.input.shape, len(samples.classes), initial=initial, **spec.classifier.model_dump(exclude={"pretraining"})
    )
    rest, part = split_off(samples.labels, 0.15, seed=seed)
    settings = spec.training.model_copy(update={"seed": seed})
    history = fit(model, samples.select(rest), samples.select(part), settings, epochs=epochs)
    return model, history["accuracy"].iloc[-1]


def from_simulated(fold: Samples, seed: int) -> keras.Model:
    """A classifier of three simulated kinds of motion, 1,000 each, at the speed of the fold's cells."""
    speed = float(np.linalg.norm(np.diff(fold.values, axis=1), axis=-1).mean())
    kinds = ("random_walk", "levy_flight", "fractional_brownian")
    frames = fold.values.shape[1]
    tracks = [simulate_motility(kind, 1000, frames, mean_step=speed, seed=seed) for kind in kinds]
    return trained(tracks_as(fold, tracks), seed, epochs=5)[0]


def from_mimics(fold: Samples, seed: int) -> keras.Model:
    """A classifier of 1,500 cell-mimetic tracks of each class of the fold."""
    tracks = [mimic_motility(fold.values[fold.labels == k], 1500, seed=seed) for k in range(len(fold.classes))]
    return trained(tracks_as(fold, tracks), seed, epochs=5)[0]


def attempt(spec: DataSpec, start: Start | None = None, members: int = 1) -> str:
    """Train and test on each fold; a row of the table."""
    samples = load_samples(spec)
    accuracies, areas, fitted = [], [], []
    for number, (training, test) in enumerate(outer_folds(samples)[:FOLDS], start=1):
        fold, held_out = samples.select(training), samples.select(test)
        votes = []
        for member in range(members):
            seed = number + 100 * member
            model, accuracy = trained(fold, seed, start(fold, seed) if start else None)
            votes.append(predict(model, held_out))
            fitted.append(accuracy)
        probabilities = np.mean(votes, axis=0)
        accuracies.append((probabilities.argmax(axis=1) == held_out.labels).mean())
        areas.append(roc_auc_score(held_out.labels, probabilities[:, 1]))
    each = ", ".join(f"{value:.3f}" for value in accuracies)
    return f"{each} | {np.mean(accuracies):.3f} | {np.mean(areas):.3f} | {np.mean(fitted):.3f} |"


def main() -> None:
    """Print a Markdown table."""
    spec = DataSpec.from_yaml(EXAMPLE)
    wide = spec.model_copy(update={"rendering": spec.rendering.model_copy(update={"size": 2.0})})
    plain = spec.model_copy(update={"rendering": spec.rendering.model_copy(update={"amplitude": "constant"})})
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
    print("| attempt | accuracy by fold | mean | AUC | in training |\n| --- | --- | --- | --- | --- |")
    print(f"| as in the example | {attempt(spec)}", flush=True)
    print(f"| constant brightness | {attempt(plain)}", flush=True)
    print(f"| marker twice as wide | {attempt(wide)}", flush=True)
    print(f"| first weights from simulated motion | {attempt(spec, from_simulated)}", flush=True)
    print(f"| first weights from cell-mimetic tracks | {attempt(spec, from_mimics)}", flush=True)
    print(f"| average of three networks | {attempt(spec, members=3)}", flush=True)


if __name__ == "__main__":
    main()
