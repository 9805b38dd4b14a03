"""The autoencoder on three simulated kinds of motion: its code under a random forest, and its error beside PCA.

    python benchmarks/autoencoder.py [--samples 3000] [--folds 5] [--methods tied untied pca] [--table] [--write PAGE]

The settings are those of ``examples/simulated_autoencoder.yaml``. In each fold the autoencoder sees the training part
without its classes, a part of which stops it; a random forest then learns the classes from its code. PCA has as many
components as the code has numbers and is fitted to the same preprocessed volumes; the mean image is that of the
training part. All are read on the test fold. A run that was stopped goes on with the folds that are missing.

``--write`` puts the table between ``<!-- autoencoder-SAMPLES -->`` and ``<!-- /autoencoder-SAMPLES -->`` of a page.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from pages import put_between_marks
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier

from tumorkeras import DataSpec, encoder_of, load_samples
from tumorkeras.comparison import Fold, Problem, outer_folds
from tumorkeras.data.pipeline import batches
from tumorkeras.data.samples import Samples
from tumorkeras.files import write_whole
from tumorkeras.metrics import corrected_resampled_t, mean_interval
from tumorkeras.models.autoencoder import target_of
from tumorkeras.training.networks import autoencoder_of
from tumorkeras.training.predict import compiled, predict, reconstruction_errors

EXAMPLE = Path(__file__).parents[1] / "examples" / "simulated_autoencoder.yaml"
NAMES = {"tied": "autoencoder, tied kernels", "untied": "autoencoder, untied kernels", "pca": "PCA"}
TREES = 300


@dataclass(frozen=True)
class Result:
    """One method on one fold."""

    accuracy: float
    error: float
    mean_image_error: float
    parameters: int
    seconds: float


def targets_of(samples: Samples) -> np.ndarray:
    """The volumes as the autoencoder reconstructs them, a row a sample, float32."""
    call = compiled(target_of(autoencoder_of(samples.spec)))
    rows = [call(arrays).numpy().reshape(len(arrays), -1) for arrays, _ in batches(samples)]
    return np.concatenate(rows)


def forest_accuracy(training: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray, seed: int) -> float:
    """Of a random forest on a code."""
    forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=os.cpu_count())
    return float(forest.fit(training, labels).score(test, truth))


def with_autoencoder(samples: Samples, training: np.ndarray, test: np.ndarray, seed: int, *, tied: bool) -> Result:
    """The spec's autoencoder, trained on the training fold."""
    section = samples.spec.autoencoder.model_copy(update={"tied": tied})
    samples = replace(samples, spec=samples.spec.model_copy(update={"autoencoder": section}))
    began = time.monotonic()
    model = Fold(Problem(samples), training, seed).autoencoder()
    seconds = time.monotonic() - began
    codes = predict(encoder_of(model), samples)
    error = float(reconstruction_errors(model, samples.select(test)).mean())
    accuracy = forest_accuracy(codes[training], samples.labels[training], codes[test], samples.labels[test], seed)
    return Result(accuracy, error, mean_image_error(samples, training, test), model.count_params(), seconds)


def with_pca(samples: Samples, training: np.ndarray, test: np.ndarray, seed: int) -> Result:
    """As many components as the autoencoder's code has numbers."""
    volumes, held_out = targets_of(samples.select(training)), targets_of(samples.select(test))
    began = time.monotonic()
    components = min(samples.spec.autoencoder.bottleneck, len(volumes))
    pca = PCA(components, svd_solver="randomized", random_state=seed).fit(volumes)
    seconds = time.monotonic() - began
    codes, codes_of_test = pca.transform(volumes), pca.transform(held_out)
    error = float(np.mean((pca.inverse_transform(codes_of_test) - held_out) ** 2))
    accuracy = forest_accuracy(codes, samples.labels[training], codes_of_test, samples.labels[test], seed)
    mean_error = float(np.mean((held_out - pca.mean_) ** 2))
    return Result(accuracy, error, mean_error, pca.components_.size + pca.mean_.size, seconds)


def mean_image_error(samples: Samples, training: np.ndarray, test: np.ndarray) -> float:
    """Mean squared error of the training part's mean volume, batch by batch."""
    call = compiled(target_of(autoencoder_of(samples.spec)))
    mean = sum(call(arrays).numpy().sum(axis=0) for arrays, _ in batches(samples.select(training))) / len(training)
    errors = [
        np.square(call(arrays).numpy() - mean).mean() * len(arrays) for arrays, _ in batches(samples.select(test))
    ]
    return float(sum(errors) / len(test))


def result_of(method: str, samples: Samples, folds: list, number: int, folder: Path) -> Result:
    """A method on a fold, from its file where there is one."""
    path = folder / f"{method}-{number}.json"
    if path.is_file():
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    training, test = folds[number - 1]
    if method == "pca":
        result = with_pca(samples, training, test, number)
    else:
        result = with_autoencoder(samples, training, test, number, tied=method == "tied")
    write_whole(path, json.dumps(asdict(result)))
    print(f"{method}, fold {number}: {result}", flush=True)
    return result


def check_settings(folder: Path, spec: DataSpec) -> None:
    """See that what lies in the folder was made with this spec, which is then written there."""
    path, text = folder / "spec.json", spec.to_json()
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{folder} holds results of other settings; remove it, or give another --output")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)


def markdown(results: dict[str, pd.DataFrame], share: float, total: int, code: int) -> str:
    """A line a method, and the paired tests of the errors beneath."""
    heads = ["method", "accuracy of a random forest on its code", "mean squared error", "of the mean image's error"]
    lines = [f"| {' | '.join([*heads, 'parameters', 's a fold', 'folds'])} |", "| --- |" + " ---: |" * 6]
    for method, table in results.items():
        left = mean_interval(table["error"] / table["mean_image_error"])
        cells = [
            NAMES[method],
            written(mean_interval(table["accuracy"]), 3),
            written(mean_interval(table["error"]), 5),
            f"{100 * left.value:.1f} %",
            f"{table['parameters'].iloc[0]:,}",
            f"{table['seconds'].mean():.0f}",
            str(len(table)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    text = [f"{total:,} samples in {round(1 / share)} folds, a code of {code} numbers.", "", *lines, ""]
    for other in [name for name in results if name != "tied" and "tied" in results]:
        same = results["tied"].index.intersection(results[other].index)
        errors = [results[name].loc[same, "error"].to_numpy() for name in ("tied", other)]
        test = corrected_resampled_t(*errors, test_fraction=share)
        interval = "" if len(same) < 2 else f" [{test.low:+.5f}, {test.high:+.5f}], p = {test.p_value:.2g}"
        said = f"Error of tied kernels less that of {NAMES[other]}: {test.difference:+.5f}{interval}"
        text.append(f"{said}; folds: {len(same)}.\n")
    return "\n".join(text)


def written(found: tuple, digits: int) -> str:
    """A figure with its interval, where more than one fold gives one."""
    value, low, high, _ = found
    text = f"{value:.{digits}f}"
    return text if np.isnan(low) else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3000, help="of each kind")
    parser.add_argument("--folds", type=int, help="how many of the spec's folds are read; by default all")
    parser.add_argument("--epochs", type=int, help="of the autoencoder, instead of those of the example")
    parser.add_argument("--methods", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--table", action="store_true", help="only of the folds that are there; nothing is trained")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    values = DataSpec.from_yaml(EXAMPLE).to_dict()
    values["source"]["samples_per_class"] = options.samples
    values["autoencoder"]["epochs"] = options.epochs or values["autoencoder"]["epochs"]
    samples = load_samples(DataSpec.from_dict(values))
    folds = outer_folds(samples)
    folder = options.output / f"autoencoder_{options.samples}"
    check_settings(folder, samples.spec)
    results = {}
    for method in options.methods:
        there = [number for number in range(1, len(folds) + 1) if (folder / f"{method}-{number}.json").is_file()]
        read = there if options.table else range(1, (options.folds or len(folds)) + 1)
        found = {number: asdict(result_of(method, samples, folds, number, folder)) for number in read}
        results[method] = pd.DataFrame.from_dict(found, orient="index")
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs"
    text = markdown(results, 1 / len(folds), len(samples), samples.spec.autoencoder.bottleneck)
    print(f"{text}\n\n{machine}")
    if options.write:
        put_between_marks(options.write, f"autoencoder-{options.samples}", text)


if __name__ == "__main__":
    main()
