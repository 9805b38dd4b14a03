"""The README's table on simulated and real data: every method of a task on the same folds.

    TUMORKERAS_DATA=... python benchmarks/real_data.py [TASK ...] [--output benchmarks/results] [--runs 3]

The settings are those of ``examples/TASK.yaml``; stopping and tuning happen inside the training folds. A run that was
stopped goes on with the folds that are missing. Each task's table goes to standard output and to OUTPUT/TASK/table.md,
all figures to OUTPUT/TASK/comparison.csv.

"Samples per second" is the rate of scoring in batches of 64 on the machine that prints the table, from tracks or
volumes in memory to probabilities: features and prediction, or drawing and the network, after a first run that is not
counted. The networks are untrained there; their rate does not depend on their weights.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from tumorkeras import DataSpec, compare, load_samples
from tumorkeras.comparison import METHODS, Problem, outer_folds
from tumorkeras.data.pipeline import batches
from tumorkeras.data.samples import Samples
from tumorkeras.features.table import sample_features, trivial_feature
from tumorkeras.files import write_whole
from tumorkeras.metrics.intervals import bootstrap
from tumorkeras.metrics.ranking import weighted_auc
from tumorkeras.training.networks import classifier_of
from tumorkeras.training.predict import compiled

EXAMPLES = Path(__file__).parents[1] / "examples"
SCORED = 512  # at least, in a run that is timed: fewer would time the start of a batch
NAMES = {
    "majority": "most frequent class",
    "svm_linear": "SVM, linear",
    "svm_poly": "SVM, polynomial",
    "svm_rbf": "SVM, radial",
    "ann": "ANN, two hidden layers",
    "cnn": "3D CNN",
    "autoencoder_cnn": "3D CNN that starts from the autoencoder",
}
Folds = list[tuple[np.ndarray, np.ndarray]]


def first_fold(samples: Samples) -> Folds:
    """One of the spec's folds: a fifth of the samples held out, for variants that are not worth five trainings."""
    return outer_folds(samples)[:1]


def held_out_pairs(samples: Samples) -> Folds:
    """One experiment of each class held out, the others to train on: every pair of experiments once."""
    experiments = [samples.table.loc[samples.labels == k, "group"].unique() for k in range(len(samples.classes))]
    folds = []
    for pair in itertools.product(*experiments):
        test = samples.table["group"].isin(pair).to_numpy()
        folds.append((np.flatnonzero(~test), np.flatnonzero(test)))
    return folds


def given_split(samples: Samples) -> Folds:
    """One fold: the data's own boundary."""
    test = (samples.table["split"] == "test").to_numpy()
    return [(np.flatnonzero(~test), np.flatnonzero(test))]


@dataclass(frozen=True)
class Task:
    """Rows of the table: the example they read and what is changed in it, the folds, and the figure that is read."""

    title: str
    example: str
    metric: str
    folds: Callable[[Samples], Folds] = outer_folds
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    caution: str = ""
    pair: tuple[str, str] | None = None  # two methods of which the AUC's difference is printed; of one fold


PAIRS_CAUTION = "pairs share experiments: the interval is too narrow"
# The second attempt on the fibroblasts: tracks in units of their own mean step, at which their turns are seen.
SHAPE_OF_MOTION = {
    "rendering": {"normalise_scale": True},
    "input": {"spacing": [1, 1.5, 1.5], "units": "mean steps of the cell"},
    "training": {"patience": 40},
    "comparison": {"methods": ["majority", "svm_rbf", "cnn"]},
}
TASKS = {
    "simulated_3000": Task("3 simulated kinds, 3,000 each", "simulated_3000", "accuracy"),
    "simulated_3000_hurst_06": Task(
        "3 simulated kinds, Hurst 0.6", "simulated_3000", "accuracy", first_fold, {"source": {"hurst": 0.6}}
    ),
    "simulated_3000_hurst_09": Task(
        "3 simulated kinds, Hurst 0.9", "simulated_3000", "accuracy", first_fold, {"source": {"hurst": 0.9}}
    ),
    "musc_myoblast": Task("MuSC vs myoblast, 225 each, raw scale", "musc_myoblast", "accuracy"),
    "musc_myoblast_normalised": Task("the same, scale-normalised", "musc_myoblast_normalised", "accuracy"),
    "wt_myc_mef": Task("wild type vs MycRas MEF, 250 each, random folds", "wt_myc_mef", "accuracy"),
    "wt_myc_mef_experiments": Task(
        "wild type vs MycRas MEF, held-out pairs of experiments",
        "wt_myc_mef_experiments",
        "auc",
        held_out_pairs,
        caution=PAIRS_CAUTION,
    ),
    "wt_myc_mef_normalised": Task(
        "wild type vs MycRas MEF, random folds, scale-normalised",
        "wt_myc_mef",
        "accuracy",
        changes=SHAPE_OF_MOTION,
    ),
    "wt_myc_mef_experiments_normalised": Task(
        "wild type vs MycRas MEF, held-out pairs, scale-normalised",
        "wt_myc_mef_experiments",
        "auc",
        held_out_pairs,
        SHAPE_OF_MOTION,
        PAIRS_CAUTION,
    ),
    "lidc_nodules_validation": Task(
        "LIDC nodules, given validation part", "lidc_nodules", "auc", given_split, pair=("cnn", "trivial")
    ),
}


def changed(spec: DataSpec, changes: dict[str, dict[str, Any]]) -> DataSpec:
    """The spec with other values in some fields of some sections."""
    values = spec.to_dict()
    for section, fields in changes.items():
        values[section] |= fields
    return DataSpec.from_dict(values, folder=spec.folder)


def run_task(name: str, output: Path, runs: int) -> str:
    """Compare the methods of the task's example; the table as Markdown."""
    task = TASKS[name]
    spec = changed(DataSpec.from_yaml(EXAMPLES / f"{task.example}.yaml"), task.changes)
    samples = load_samples(spec)
    folds = task.folds(samples)
    if task.folds is held_out_pairs:
        # The experiments make the folds; inside a training fold one experiment of a class may be all there is.
        samples = replace(samples, table=samples.table.assign(group=None))
    table = compare(spec, output=output / name, samples=samples, folds=folds)
    rates = scoring_rates(table["method"][table["error"] == ""].tolist(), samples, *folds[0], runs)
    text = markdown(task, table, rates)
    if task.pair is not None and not set(task.pair) & set(table["method"][table["error"] != ""]):
        text += f"\n\n{difference_of(task.pair, output / name, samples)}"
    return text


def scoring_rates(
    methods: list[str], samples: Samples, training: np.ndarray, test: np.ndarray, runs: int
) -> dict[str, float]:
    """Samples per second of each method that reads them, by median times on the fold's test rows."""
    rows = np.resize(test, max(len(test), SCORED))  # once more from the start where they are few
    held_out, problem = samples.select(rows), Problem(samples)
    measure = {"hand-made": sample_features, "trivial": trivial_feature}
    measuring = {name: median_seconds(partial(work, held_out), runs) for name, work in measure.items()}
    predicting = {}
    for method in methods:
        features = METHODS[method].features
        if features == "pixels":
            work = network_work(held_out)
        elif features in measure:  # the problem keeps what it has measured: here the prediction alone is timed
            work = partial(METHODS[method].train(problem, training, 1), rows)
        else:
            continue
        predicting[method] = median_seconds(work, runs) + measuring.get(features, 0.0)
    return {method: len(rows) / spent for method, spent in predicting.items()}


def network_work(held_out: Samples) -> Callable[[], None]:
    """Draw the samples and pass them through an untrained classifier, compiled once."""
    call = compiled(classifier_of(held_out.spec, len(held_out.classes)))
    stream = batches(held_out)

    def work() -> None:
        for arrays, _ in stream:
            call(arrays)

    return work


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Median wall-clock seconds of a run, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def difference_of(pair: tuple[str, str], folder: Path, samples: Samples) -> str:
    """The difference of two methods' AUC on the one fold, with its bootstrap interval, as a sentence.

    Both methods are read on the same resample of whole groups (exams), so that what they share cancels out.
    """
    paths = [folder / "comparison_folds" / f"{method}-1.json" for method in pair]
    first, second = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    positive = np.array(first["labels"]) == 1
    scores = [np.array(found["probabilities"])[:, 1] for found in (first, second)]
    groups = None if samples.groups is None else samples.groups[first["rows"]]

    def difference(weights: np.ndarray) -> np.ndarray:
        return weighted_auc(positive, scores[0], weights) - weighted_auc(positive, scores[1], weights)

    found = bootstrap(difference, len(positive), groups=groups, resamples=10_000)
    value, low, high = (float(ends[0]) for ends in (found.value, found.low, found.high))
    units = f"{found.units} {'samples' if groups is None else 'groups'}"
    names = f"{NAMES[pair[0]]} minus {NAMES.get(pair[1], 'trivial feature')}"
    return f"AUC of {names}: {value:+.3f} [{low:+.3f}, {high:+.3f}], paired bootstrap of {units}."


def markdown(task: Task, table: pd.DataFrame, rates: dict[str, float]) -> str:
    """The rows of one task as a Markdown table, the best first and in bold."""
    samples, folds = table[["samples", "folds"]].iloc[0]
    caption = f"{task.title}: {samples:,} samples, {folds} {'fold' if folds == 1 else 'folds'}"
    caption += f" ({task.caution})" if task.caution else ""
    figure = "AUC" if task.metric == "auc" else task.metric
    lines = [f"| {caption} | {figure} [95 %] | s to train a fold | samples per s |", "| --- | ---: | ---: | ---: |"]
    for place, (_, row) in enumerate(table.sort_values(task.metric, ascending=False, kind="stable").iterrows()):
        lines.append(line_of(row, task.metric, rates.get(row["method"]), best=place == 0))
    return "\n".join(lines)


def line_of(row: pd.Series, metric: str, rate: float | None, *, best: bool) -> str:
    """One method's line of the table."""
    method, features = row["method"], row["features"]
    name = f"{features} alone" if method == "trivial" else NAMES[method]
    if METHODS[method].features == "hand-made":
        name += f" ({features})"
    if row["error"]:
        return f"| {name} | failed: {row['error']} | | |"
    figure = f"{row[metric]:.3f} [{row[f'{metric}_low']:.3f}, {row[f'{metric}_high']:.3f}]"
    figure = f"**{figure}**" if best else figure
    spent = f"{row['seconds']:.1f}" if row["seconds"] >= 0.1 else "< 0.1"
    speed = "" if rate is None else f"{float(format(rate, '.2g')):,.0f}"
    return f"| {name} | {figure} | {spent} | {speed} |"


def main() -> None:
    """Run the tasks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; by default all")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--runs", type=int, default=3, help="timed runs of the scoring, at least 3")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.tasks if name not in TASKS]
    if unknown:
        parser.error(f"no task {', '.join(unknown)}; there are {', '.join(TASKS)}")
    if arguments.runs < 3:
        parser.error("--runs: give at least 3")
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}\n")
    for name in arguments.tasks or TASKS:
        text = run_task(name, arguments.output, arguments.runs)
        write_whole(arguments.output / name / "table.md", f"{text}\n\n{machine}\n")
        print(f"{text}\n", flush=True)


if __name__ == "__main__":
    main()
