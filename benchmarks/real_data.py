"""The comparison on simulated and real data: every method of a task on the same folds.

    TUMORKERAS_DATA=... python benchmarks/real_data.py [TASK ...] [--output benchmarks/results] [--runs 3]
        [--write docs/comparison.md] [--pictures docs/images]

The settings are those of ``examples/TASK.yaml``; stopping and tuning happen inside the training folds. A run that was
stopped goes on with the folds that are missing. Each task's table goes to standard output and to OUTPUT/TASK/table.md,
all figures to OUTPUT/TASK/comparison.csv; with --write also between the marks of the task in a page, and with
--pictures the methods in the order of the task's figure are drawn.

"Samples per second" is the rate of scoring in batches of 64 on the machine that prints the table, from tracks or
volumes in memory to probabilities: features and prediction, or drawing and the network, after a first run that is not
counted. The networks are untrained there; their rate does not depend on their weights.
"""

from __future__ import annotations

import argparse
import itertools
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
from pages import put_between_marks

from tumorkeras import DataSpec, compare, load_samples, plots
from tumorkeras.comparison import METHODS, Fold, Problem, outer_folds
from tumorkeras.data.pipeline import batches
from tumorkeras.data.samples import Samples
from tumorkeras.features.table import sample_features, trivial_feature
from tumorkeras.files import write_whole
from tumorkeras.training.networks import classifier_of
from tumorkeras.training.predict import compiled

EXAMPLES = Path(__file__).parents[1] / "examples"
SCORED = 512  # at least, in a run that is timed: fewer would time the start of a batch
NAMES = {
    "majority": "most frequent class",
    "trivial": "logistic regression",
    "svm_linear": "SVM, linear",
    "svm_poly": "SVM, polynomial",
    "svm_rbf": "SVM, radial",
    "ann": "ANN, two hidden layers",
    "random_forest": "random forest",
    "cnn": "CNN",
    "autoencoder_cnn": "CNN that starts from the autoencoder",
    "cnn_ensemble": "CNNs, each stopped by another inner fold",
}
FIGURES = ("sensitivity", "specificity", "accuracy", "auc")
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


PAIRS_CAUTION = "pairs share experiments: the interval is too narrow"
# The second attempt on the fibroblasts: tracks in units of their own mean step, at which their turns are seen.
SHAPE_OF_MOTION = {
    "rendering": {"normalise_scale": True},
    "input": {"spacing": [1, 1.5, 1.5], "units": "mean steps of the cell"},
    "training": {"patience": 40},
    "comparison": {"methods": ["svm_rbf", "cnn"], "features": ["hand-made"]},
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
    "lidc_nodules": Task("LIDC nodules, folds of whole exams of the training part", "lidc_nodules", "auc"),
    "lidc_nodules_validation": Task("LIDC nodules, given validation part", "lidc_nodules", "auc", given_split),
    "busi_crops": Task("BUSI lesions, benign vs malignant, folds of the training part", "busi_crops", "auc"),
}


def changed(spec: DataSpec, changes: dict[str, dict[str, Any]]) -> DataSpec:
    """The spec with other values in some fields of some sections."""
    values = spec.to_dict()
    for section, fields in changes.items():
        values[section] |= fields
    return DataSpec.from_dict(values, folder=spec.folder)


def run_task(name: str, output: Path, runs: int) -> tuple[str, pd.DataFrame]:
    """Compare the methods of the task's example; the table as Markdown, and as it is."""
    task = TASKS[name]
    spec = changed(DataSpec.from_yaml(EXAMPLES / f"{task.example}.yaml"), task.changes)
    samples = load_samples(spec)
    folds = task.folds(samples)
    if task.folds is held_out_pairs:
        # The experiments make the folds; inside a training fold one experiment of a class may be all there is.
        samples = replace(samples, table=samples.table.assign(group=None))
    table = compare(spec, output=output / name, samples=samples, folds=folds, progress=False)
    rates = scoring_rates(table, samples, *folds[0], runs)
    return markdown(task, table, rates), table


def scoring_rates(
    table: pd.DataFrame, samples: Samples, training: np.ndarray, test: np.ndarray, runs: int
) -> dict[int, float]:
    """Samples per second of rows that read hand-made features or pixels, by median times on the fold's test rows."""
    rows = np.resize(test, max(len(test), SCORED))  # once more from the start where they are few
    held_out, problem = samples.select(rows), Problem(samples)
    hand_made = problem.in_words("hand-made")
    measuring = {
        hand_made: median_seconds(partial(sample_features, held_out), runs),
        problem.in_words("trivial"): median_seconds(partial(trivial_feature, held_out), runs),
    }
    rates = {}
    for place, row in table[table["error"] == ""].iterrows():
        method = METHODS[row["method"]]
        if method.reads == "pixels":
            spent = median_seconds(network_work(held_out), runs) * (3 if row["method"] == "cnn_ensemble" else 1)
        elif row["features"] in measuring:  # the problem keeps what it has measured: here the prediction alone is timed
            predictor = method.train(Fold(problem, training, 1))
            spent = median_seconds(partial(predictor, rows), runs) + measuring[row["features"]]
        else:
            continue
        rates[place] = len(rows) / spent
    return rates


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


def markdown(task: Task, table: pd.DataFrame, rates: dict[int, float]) -> str:
    """The rows of one task as a Markdown table, the best first and in bold."""
    samples, folds = table[["samples", "folds"]].iloc[0]
    caption = f"{task.title}: {samples:,} samples, {folds} {'fold' if folds == 1 else 'folds'}"
    caption += f" ({task.caution})" if task.caution else ""
    names = ["AUC" if name == "auc" else name for name in FIGURES]
    heads = ["method", "reads", *names, "p, best", f"p, {table.attrs['trivial']}", "s a fold", "MB", "samples per s"]
    lines = [f"| {' | '.join(heads)} |", "| --- | --- |" + " ---: |" * (len(heads) - 2)]
    ordered = table.sort_values(task.metric, ascending=False, kind="stable")
    lines += [line_of(row, rates.get(row.name), best=row.name == table.attrs["best"]) for _, row in ordered.iterrows()]
    return "\n".join([f"{caption}.", "", *lines, "", table.attrs["caveat"]])


def line_of(row: pd.Series, rate: float | None, *, best: bool) -> str:
    """One line of the table."""
    name = f"**{NAMES[row['method']]}**" if best else NAMES[row["method"]]
    if row["error"]:
        reason = row["error"].splitlines()[0].replace("|", "/")
        return f"| {name} | {row['features']} | failed: {reason} |" + " |" * 8
    figures = [f"{row[metric]:.3f} [{row[f'{metric}_low']:.3f}, {row[f'{metric}_high']:.3f}]" for metric in FIGURES]
    tests = [p_value(row[column]) for column in ("p_value", "p_value_trivial")]
    costs = [f"{row['seconds']:.1f}" if row["seconds"] >= 0.1 else "< 0.1", f"{row['peak_memory_mb']:.0f}"]
    speed = "" if rate is None else f"{float(format(rate, '.2g')):,.0f}"
    return f"| {' | '.join([name, row['features'], *figures, *tests, *costs, speed])} |"


def p_value(value: float) -> str:
    """In three digits; nothing for a row that is not tested against itself."""
    return "" if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def draw(name: str, table: pd.DataFrame, folder: Path) -> None:
    """The task's methods by its figure, best first."""
    ax = plots.comparison(table, TASKS[name].metric)
    ax.set_title(TASKS[name].title, loc="left")
    (folder / f"comparison_{name}.png").write_bytes(plots.to_png(ax, dpi=110))


def main() -> None:
    """Run the tasks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; by default all")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--runs", type=int, default=3, help="timed runs of the scoring, at least 3")
    parser.add_argument("--write", type=Path, help="page with marks <!-- TASK --> and <!-- /TASK -->")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each task")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.tasks if name not in TASKS]
    if unknown:
        parser.error(f"no task {', '.join(unknown)}; there are {', '.join(TASKS)}")
    if arguments.runs < 3:
        parser.error("--runs: give at least 3")
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}\n")
    for name in arguments.tasks or TASKS:
        text, table = run_task(name, arguments.output, arguments.runs)
        write_whole(arguments.output / name / "table.md", f"{text}\n\n{machine}\n")
        print(f"{text}\n", flush=True)
        if arguments.write:
            put_between_marks(arguments.write, name, text)
        if arguments.pictures:
            draw(name, table, arguments.pictures)


if __name__ == "__main__":
    main()
