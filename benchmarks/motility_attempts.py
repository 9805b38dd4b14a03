"""What was tried to lift the classifier on MuSC against myoblast, read on cells that no published figure is of.

    TUMORKERAS_DATA=... python benchmarks/motility_attempts.py [--seeds 3] [--epochs 40]

Each attempt changes one thing of ``examples/musc_myoblast.yaml``: how the cell is drawn, or the first weights (from
simulated kinds of motion, or from cell-mimetic tracks of the training cells); the last one averages the networks of
the first. All train on the 450 cells of the example, of which 15 % stop the training, and are tested on cells that
the example leaves out, as many of each class. So what is picked here is picked by cells that are in no fold of the
example's comparison. The table gives the accuracy (mean and range over the seeds), the mean AUC, and the mean
accuracy in training.
"""

from __future__ import annotations

import argparse
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

from tumorkeras import DataSpec, load_samples, mimic_motility, simulate_motility
from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import split_off
from tumorkeras.training import fit
from tumorkeras.training.networks import classifier_of
from tumorkeras.training.predict import predict

EXAMPLE = Path(__file__).parents[1] / "examples" / "musc_myoblast.yaml"
STOPPING = 0.15  # of the training cells
FIRST_EPOCHS = 5  # at most, of the training that gives first weights
Start = Callable[[Samples, int], keras.Model]


def published_and_others(spec: DataSpec) -> tuple[Samples, Samples]:
    """The cells of the example; and of those it leaves out as many of each class as the scarcer class has."""
    published = load_samples(spec)
    source = spec.source.model_copy(update={"samples_per_class": None})
    everything = load_samples(spec.model_copy(update={"source": source}))
    left_out = everything.select(~everything.table["id"].isin(published.table["id"]).to_numpy())
    count = np.bincount(left_out.labels).min()
    generator = np.random.default_rng(0)
    drawn = [generator.permutation(np.flatnonzero(left_out.labels == k))[:count] for k in range(len(left_out.classes))]
    return published, left_out.select(np.sort(np.concatenate(drawn)))


def tracks_as(samples: Samples, tracks: list[np.ndarray]) -> Samples:
    """Samples with other tracks, a class for each array."""
    labels = np.repeat(np.arange(len(tracks)), [len(group) for group in tracks])
    classes = tuple(str(k) for k in range(len(tracks)))
    table = pd.DataFrame({"class_id": labels, "class_name": labels.astype(str), "split": "train", "group": None})
    return replace(samples, table=table, values=np.concatenate(tracks).astype("float32"), classes=classes)


def trained(samples: Samples, seed: int, initial: keras.Model | None = None, most_epochs: int | None = None) -> tuple:
    """A classifier of the samples, stopped on a part of them, and its last accuracy in training."""
    spec = samples.spec
    keras.utils.set_random_seed(seed)
    model = classifier_of(spec, len(samples.classes), initial)
    rest, part = split_off(samples.labels, STOPPING, seed=seed)
    settings = spec.training.model_copy(update={"seed": seed})
    epochs = min(settings.epochs, most_epochs or settings.epochs)
    history = fit(model, samples.select(rest), samples.select(part), settings, epochs=epochs)
    return model, history["accuracy"].iloc[-1]


def from_simulated(cells: Samples, seed: int) -> keras.Model:
    """A classifier of three simulated kinds of motion, 1,000 each, at the speed of the cells."""
    speed = float(np.linalg.norm(np.diff(cells.values, axis=1), axis=-1).mean())
    kinds = ("random_walk", "levy_flight", "fractional_brownian")
    frames = cells.values.shape[1]
    tracks = [simulate_motility(kind, 1000, frames, mean_step=speed, seed=seed) for kind in kinds]
    return trained(tracks_as(cells, tracks), seed, most_epochs=FIRST_EPOCHS)[0]


def from_mimics(cells: Samples, seed: int) -> keras.Model:
    """A classifier of 1,500 cell-mimetic tracks of each class of the cells."""
    tracks = [mimic_motility(cells.values[cells.labels == k], 1500, seed=seed) for k in range(len(cells.classes))]
    return trained(tracks_as(cells, tracks), seed, most_epochs=FIRST_EPOCHS)[0]


def attempt(spec: DataSpec, seeds: int, start: Start | None = None) -> tuple[np.ndarray, list[float]]:
    """Train once per seed: the probabilities of the other cells (seeds, n, classes), and accuracies in training."""
    published, others = published_and_others(spec)
    found, fitted = [], []
    for seed in range(1, seeds + 1):
        model, accuracy = trained(published, seed, start(published, seed) if start else None)
        found.append(predict(model, others))
        fitted.append(accuracy)
    return np.stack(found), fitted


def line_of(name: str, labels: np.ndarray, probabilities: np.ndarray, fitted: list[float]) -> str:
    """One attempt as a line of the Markdown table."""
    accuracies = (probabilities.argmax(axis=-1) == labels).mean(axis=1)
    areas = [roc_auc_score(labels, each[:, 1]) for each in probabilities]
    spread = f"{accuracies.min():.3f} to {accuracies.max():.3f}" if len(accuracies) > 1 else ""
    return f"| {name} | {accuracies.mean():.3f} | {spread} | {np.mean(areas):.3f} | {np.mean(fitted):.3f} |"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each attempt")
    parser.add_argument("--epochs", type=int, help="most epochs, instead of the example's")
    options = parser.parse_args()
    spec = DataSpec.from_yaml(EXAMPLE)
    if options.epochs is not None:
        spec = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": options.epochs})})
    wide = spec.model_copy(update={"rendering": spec.rendering.model_copy(update={"size": 2.0})})
    plain = spec.model_copy(update={"rendering": spec.rendering.model_copy(update={"amplitude": "constant"})})
    attempts: dict[str, tuple[DataSpec, Start | None]] = {
        "as in the example, without an autoencoder": (spec, None),
        "constant brightness": (plain, None),
        "marker twice as wide": (wide, None),
        "first weights from simulated motion": (spec, from_simulated),
        "first weights from cell-mimetic tracks": (spec, from_mimics),
    }
    labels = published_and_others(spec)[1].labels
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()};")
    print(f"seeds 1 to {options.seeds}, tested on {len(labels)} cells that the example leaves out\n")
    print("| attempt | accuracy | range over seeds | AUC | accuracy in training |\n| --- | --- | --- | --- | --- |")
    results = {}
    for name, (changed, start) in attempts.items():
        results[name] = attempt(changed, options.seeds, start)
        print(line_of(name, labels, *results[name]), flush=True)
    probabilities, fitted = next(iter(results.values()))
    average = probabilities.mean(axis=0, keepdims=True)
    print(line_of(f"average of the first attempt's {options.seeds} networks", labels, average, fitted))


if __name__ == "__main__":
    main()
