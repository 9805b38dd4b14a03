"""The README's table on simulated and real data: every method of a task on the same folds.

    TUMORKERAS_DATA=... python benchmarks/real_data.py [TASK ...] [--output benchmarks/results]

The settings are those of ``examples/TASK.yaml``; stopping and tuning happen inside the training folds. A run that was
stopped goes on with the folds that are missing. Tables go to OUTPUT/TASK/comparison.csv, and as Markdown to standard
output.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from tumorkeras import DataSpec, compare, load_samples
from tumorkeras.comparison import outer_folds
from tumorkeras.data.samples import Samples

EXAMPLES = Path(__file__).parents[1] / "examples"
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
    hurst: float | None = None


TASKS = {
    "simulated_3000": Task("3 simulated kinds, 3,000 each", "simulated_3000", "accuracy"),
    "simulated_3000_hurst_06": Task(
        "3 simulated kinds, Hurst 0.6, one fold", "simulated_3000", "accuracy", first_fold, hurst=0.6
    ),
    "simulated_3000_hurst_09": Task(
        "3 simulated kinds, Hurst 0.9, one fold", "simulated_3000", "accuracy", first_fold, hurst=0.9
    ),
    "musc_myoblast": Task("MuSC vs myoblast, 225 each, raw scale", "musc_myoblast", "accuracy"),
    "musc_myoblast_normalised": Task("the same, scale-normalised", "musc_myoblast_normalised", "accuracy"),
    "wt_myc_mef": Task("wild type vs MycRas MEF, 250 each, random folds", "wt_myc_mef", "accuracy"),
    "wt_myc_mef_experiments": Task(
        "wild type vs MycRas MEF, 8 pairs of experiments", "wt_myc_mef_experiments", "auc", held_out_pairs
    ),
    "lidc_nodules_validation": Task("LIDC nodules, given validation part", "lidc_nodules", "auc", given_split),
}


def run_task(name: str, output: Path) -> pd.DataFrame:
    """Compare the methods of the task's example; the table has a row a method."""
    task = TASKS[name]
    spec = DataSpec.from_yaml(EXAMPLES / f"{task.example}.yaml")
    if task.hurst is not None:
        spec = spec.model_copy(update={"source": spec.source.model_copy(update={"hurst": task.hurst})})
    samples = load_samples(spec)
    folds = task.folds(samples)
    if task.folds is held_out_pairs:
        # The experiments make the folds; inside a training fold one experiment of a class may be all there is.
        samples = replace(samples, table=samples.table.assign(group=None))
    return compare(spec, output=output / name, samples=samples, folds=folds)


def markdown(name: str, table: pd.DataFrame) -> str:
    """The rows of one task as a Markdown table, the best figure in bold."""
    metric = TASKS[name].metric
    lines = [f"| {TASKS[name].title} | {metric} [95 %] | s to train a fold |", "| --- | --- | --- |"]
    for _, row in table.sort_values(metric, ascending=False).iterrows():
        figure = f"{row[metric]:.3f} [{row[f'{metric}_low']:.3f}, {row[f'{metric}_high']:.3f}]"
        lines.append(f"| {row['method']} ({row['features']}) | {figure} | {row['seconds']:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the tasks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; by default all")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.tasks if name not in TASKS]
    if unknown:
        parser.error(f"no task {', '.join(unknown)}; there are {', '.join(TASKS)}")
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
    for name in arguments.tasks or TASKS:
        print(markdown(name, run_task(name, arguments.output)), flush=True)
        print()


if __name__ == "__main__":
    main()
