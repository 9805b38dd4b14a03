"""What first weights are worth, by the number of labelled cells: MuSC against myoblast.

    TUMORKERAS_DATA=... python benchmarks/transfer.py [--plan] [--output benchmarks/results/transfer] [--seeds 5]
        [--sizes 10 25 50 100 225] [--starts random ...] [--modes free ...] [--steps 200] [--threads 1]
        [--write docs/transfer.md] [--picture docs/images/transfer.png]

Every network is that of ``examples/musc_myoblast.yaml`` and is tested on the same 100 cells of each class, which no
training, and no stopping of one, ever sees. For each seed cells are drawn anew from the others, the smaller sizes being
part of the larger ones; 15 % of them, and at least 4, choose the epoch whose weights are kept.

starts  random; autoencoder (of the drawn cells); autoencoder_all (of all cells but the tested ones, without labels,
        trained once); simulated (a classifier of three simulated kinds of motion, trained once); mimetic (a classifier
        of tracks that mimic the drawn training cells, class by class)
modes   frozen (the convolutions), partly (all but the last convolution), free, gradual (layer-wise decay of 0.5, and
        a convolution more begins to learn after each sixth of the epochs); of random weights free alone

A training has about ``--steps`` steps of 16 cells, whatever the size: few cells are repeated within an epoch, until it
shows at least 96 (each time turned, mirrored and shifted anew), and epochs are as many as give those steps, at most 40.
It runs to its end. "Steps to the plateau" are those to the end of the first epoch whose validation loss is within 0.02
of the smallest one. By default all modes are tried at 25 and 100 cells a class, elsewhere frozen and free.

Every training writes a file in OUTPUT, so that what was stopped goes on; ``--plan`` says what is left to do.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from pages import put_between_marks

from tumorkeras import DataSpec, load_samples, mimic_motility, plots, simulate_motility, train
from tumorkeras.data.pipeline import steps_per_epoch
from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import split_off
from tumorkeras.files import write_whole
from tumorkeras.metrics import mean_interval

EXAMPLE = Path(__file__).parents[1] / "examples" / "musc_myoblast.yaml"
TESTED = 100  # cells of each class that are tested on
STOPPING, FEWEST = 0.15, 4  # of the drawn cells choose the epoch
SHOWN, MOST_EPOCHS = 96, 40  # cells an epoch at least, epochs at most
SIZES = (10, 25, 50, 100, 225)
WIDE = (25, 100)  # sizes at which all modes are tried
STARTS = ("random", "autoencoder", "autoencoder_all", "simulated", "mimetic")
KINDS = ("random_walk", "levy_flight", "fractional_brownian")
MIMICS, SIMULATED = 300, 1000  # tracks of a class
ONCE = ("autoencoder_all", "simulated")  # first weights that are the same for all sizes and seeds
# Steps of the trainings that give first weights, for each step of a training that begins from them.
FIRST_STEPS = {"autoencoder": 0.6, "mimetic": 1.0, "autoencoder_all": 2.5, "simulated": 4.0}
MODES: dict[str, dict[str, Any]] = {
    "frozen": {"frozen": True},
    "partly": {"frozen": "conv_2"},
    "free": {},
    "gradual": {"layer_decay": 0.5, "unfreeze_every": 6},  # a share of the epochs, here
}
TOLERANCE = 0.02
# Measured on one core of an x86_64: seconds a step, and seconds of a training beside its steps.
STEP = {"frozen": 0.017, "partly": 0.025, "free": 0.036, "gradual": 0.036, "autoencoder": 0.068}
BESIDE = 3.0


class Trial(NamedTuple):
    """A training: from which weights, what of them learns, cells of each class, and the seed of all that is drawn."""

    start: str
    mode: str
    size: int
    seed: int

    @property
    def file(self) -> str:
        """Where its result lies."""
        return f"{self.start}-{self.mode}-{self.size}-{self.seed}.json"


def grid(
    starts: Iterable[str], modes: Iterable[str] | None, sizes: Iterable[int], seeds: int
) -> Iterator[tuple[tuple[int, int, str], list[Trial]]]:
    """Trials that share their first weights, by seed, size and start."""
    for seed in range(1, seeds + 1):
        for size in sizes:
            tried = modes or (tuple(MODES) if size in WIDE else ("frozen", "free"))
            for start in starts:
                own = ("free",) if start == "random" else tried
                yield (seed, size, start), [Trial(start, mode, size, seed) for mode in own]


# ----------------------------------------------------------------------------------------------------------- cells


def divided(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are tested on, as many of each class, and all others; the same in every run."""
    generator = np.random.default_rng(0)
    drawn = [generator.permutation(np.flatnonzero(labels == k))[:TESTED] for k in np.unique(labels)]
    test = np.sort(np.concatenate(drawn))
    return test, np.setdiff1d(np.arange(len(labels)), test)


def drawn_rows(labels: np.ndarray, rest: np.ndarray, size: int, seed: int) -> np.ndarray:
    """``size`` rows of each class; those of a smaller size are among those of a larger one."""
    generator = np.random.default_rng(seed)
    classes = [generator.permutation(rest[labels[rest] == k]) for k in np.unique(labels)]
    return np.sort(np.concatenate([own[:size] for own in classes]))


def parts_of(labels: np.ndarray, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train and rows that choose the epoch."""
    rest, part = split_off(labels[rows], max(STOPPING, FEWEST / len(rows)), seed=seed)
    return rows[rest], rows[part]


def in_parts(samples: Samples, **parts: np.ndarray) -> Samples:
    """Samples with rows for each part; those that train are repeated until an epoch shows enough."""
    train_rows = parts["train"]
    parts["train"] = np.tile(train_rows, math.ceil(SHOWN / len(train_rows)))
    chosen = samples.select(np.concatenate(list(parts.values())))
    split = np.repeat(list(parts), [len(rows) for rows in parts.values()])
    return replace(chosen, table=chosen.table.assign(split=split))


def of_tracks(like: Samples, tracks: list[np.ndarray], classes: Iterable[str]) -> Samples:
    """Tracks of each class as samples, of which 15 % choose the epoch."""
    names = np.repeat(list(classes), [len(own) for own in tracks])
    labels = np.repeat(np.arange(len(tracks)), [len(own) for own in tracks])
    table = pd.DataFrame({"id": np.arange(len(labels)), "class_name": names, "class_id": labels, "group": None})
    samples = replace(like, table=table, values=np.concatenate(tracks).astype("float32"), classes=tuple(classes))
    rest, part = split_off(labels, STOPPING)
    return in_parts(samples, train=rest, val=part)


# ------------------------------------------------------------------------------------------------------- trainings


def spec_of(spec: DataSpec, samples: Samples, steps: float, seed: int, mode: str = "free") -> DataSpec:
    """The example with the epochs that give so many steps, without early stopping, and with the fields of a mode."""
    each = steps_per_epoch(samples.part("train"), spec.training.batch_size)
    epochs = min(MOST_EPOCHS, max(1, round(steps / each)))
    fields = {"pretraining": "none", **MODES[mode]}
    if "unfreeze_every" in fields:
        fields["unfreeze_every"] = max(1, epochs // fields["unfreeze_every"])
    values = spec.to_dict()
    values["training"] |= {"epochs": epochs, "patience": epochs, "seed": seed}
    values["autoencoder"]["epochs"] = epochs
    values["classifier"] |= fields
    return DataSpec.from_dict(values, folder=spec.folder)


class Bench:
    """The cells, and the trainings on them."""

    def __init__(self, output: Path, steps: int) -> None:
        self.output, self.steps = output, steps
        example = DataSpec.from_yaml(EXAMPLE)
        source = example.source.model_copy(update={"samples_per_class": None})
        self.spec = example.model_copy(update={"source": source})
        self.cells = load_samples(self.spec)
        self.test, self.rest = divided(self.cells.labels)

    def first_weights(self, start: str, size: int, seed: int) -> keras.Model | None:
        """The model that trainings begin from; one that is the same for all is kept in the output folder."""
        if start == "random":
            return None
        seed = 0 if start in ONCE else seed
        samples = self.first_samples(start, size, seed)
        spec = spec_of(self.spec, samples, FIRST_STEPS[start] * self.steps, seed)
        kind = "autoencoder" if start.startswith("autoencoder") else "classifier"
        folder = self.output / "starts" / start if start in ONCE else None
        return train(spec, kind, folder, samples=samples, progress=False).model

    def first_samples(self, start: str, size: int, seed: int) -> Samples:
        """What first weights are trained on; of the labelled cells those that are drawn, and no more."""
        cells, labels = self.cells, self.cells.labels
        if start == "simulated":
            speed = float(np.linalg.norm(np.diff(cells.values[self.rest], axis=1), axis=-1).mean())
            draw = partial(simulate_motility, n=SIMULATED, frames=cells.values.shape[1], mean_step=speed, seed=seed)
            return of_tracks(cells, [draw(motion) for motion in KINDS], KINDS)
        chosen = self.rest if start in ONCE else drawn_rows(labels, self.rest, size, seed)
        rows, part = parts_of(labels, chosen, seed)
        if start == "mimetic":
            tracks = [cells.values[rows[labels[rows] == k]] for k in np.unique(labels)]
            return of_tracks(cells, [mimic_motility(own, MIMICS, seed=seed) for own in tracks], cells.classes)
        return in_parts(cells, train=rows, val=part)

    def result(self, trial: Trial, start: keras.Model | None) -> dict[str, Any]:
        """Train once: the figures on the tested cells, and how fast the validation loss fell."""
        began = time.monotonic()
        labels = self.cells.labels
        rows, part = parts_of(labels, drawn_rows(labels, self.rest, trial.size, trial.seed), trial.seed)
        samples = in_parts(self.cells, train=rows, val=part, test=self.test)
        spec = spec_of(self.spec, samples, self.steps, trial.seed, trial.mode)
        trained = train(spec, samples=samples, initial=start, progress=False)
        values = trained.card["metrics"]["values"]
        each = steps_per_epoch(samples.part("train"), spec.training.batch_size)
        losses = trained.history["val_loss"].to_numpy()
        return {
            **trial._asdict(),
            "asked": self.steps,
            **{name: values[name]["value"] for name in ("accuracy", "AUC")},
            "steps": each * steps_to_plateau(losses),
            "all_steps": each * len(losses),
            "val_loss": losses.round(4).tolist(),
            "seconds": round(time.monotonic() - began, 1),
        }

    def run(self, trials: list[Trial]) -> None:
        """The trials that have no file yet; they share their first weights."""
        missing = [trial for trial in trials if not (self.output / trial.file).is_file()]
        if not missing:
            return
        self.output.mkdir(parents=True, exist_ok=True)
        keras.backend.clear_session()
        start = self.first_weights(missing[0].start, missing[0].size, missing[0].seed)
        for trial in missing:
            found = self.result(trial, start)
            write_whole(self.output / trial.file, json.dumps(found))
            print(f"{trial.file}: accuracy {found['accuracy']:.3f}, {found['seconds']} s", flush=True)


def steps_to_plateau(losses: np.ndarray) -> int:
    """Epochs until a loss is first within the tolerance of the smallest one."""
    return int(np.argmax(losses <= np.nanmin(losses) + TOLERANCE)) + 1


# --------------------------------------------------------------------------------------------------------- results


def read(trials: Iterable[Trial], output: Path, steps: int) -> pd.DataFrame:
    """A row a training that has its file."""
    paths = [output / trial.file for trial in trials]
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
    if any(row["asked"] != steps for row in rows):
        raise SystemExit(f"{output} holds trainings of other --steps; give those, or another --output")
    return pd.DataFrame(rows)


def less_random(table: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Differences of a figure to that of random weights with the same cells and seed."""
    random = table[table["start"] == "random"].set_index(["size", "seed"])[figure]
    others = table[table["start"] != "random"]
    reference = random.reindex(pd.MultiIndex.from_frame(others[["size", "seed"]])).to_numpy()
    return others.assign(**{figure: others[figure] - reference}).dropna(subset=[figure])


def summary(table: pd.DataFrame, figure: str, ends: tuple[float, float] = (-math.inf, math.inf)) -> pd.DataFrame:
    """Mean and 95 % t interval over the seeds, a row for each start, mode and size, in the order of the lists above.

    A t interval knows nothing of the ends of a scale, so it is cut there.
    """
    rows = []
    for start in STARTS:
        for mode in MODES:
            own = table[(table["start"] == start) & (table["mode"] == mode)]
            for size, group in own.groupby("size"):
                mean, low, high, seeds = mean_interval(group[figure])
                low, high = np.clip([low, high], *ends)
                found = {figure: mean, f"{figure}_low": low, f"{figure}_high": high}
                rows.append({"start": start, "mode": mode, "size": size, **found, "seeds": seeds})
    return pd.DataFrame(rows)


def markdown(title: str, found: pd.DataFrame, figure: str, form: str) -> str:
    """A Markdown table: a row a start and mode, a column a size."""
    sizes = sorted(found["size"].unique())
    lines = [f"| {title} | {' | '.join(map(str, sizes))} |", f"| --- |{' ---: |' * len(sizes)}"]
    for (start, mode), own in groupby(found.to_dict("records"), key=lambda row: (row["start"], row["mode"])):
        cells = {row["size"]: cell_of(row, figure, form) for row in own}
        name = start.replace("_", ", ") + ("" if start == "random" else f": {mode}")
        lines.append(f"| {name} | {' | '.join(cells.get(size, '') for size in sizes)} |")
    return "\n".join(lines)


def cell_of(row: dict[str, Any], figure: str, form: str) -> str:
    """A mean with its interval, where there are seeds enough for one."""
    mean, low, high = (format(row[f"{figure}{end}"], form) for end in ("", "_low", "_high"))
    return f"{mean} [{low}, {high}]" if row["seeds"] > 1 else mean


def tables(results: pd.DataFrame, machine: str) -> str:
    """All tables, and what they were made of."""
    found = [
        markdown("accuracy, by cells of each class", summary(results, "accuracy", (0, 1)), "accuracy", ".3f"),
        markdown("AUC", summary(results, "AUC", (0, 1)), "AUC", ".3f"),
        markdown("steps to the plateau", summary(results, "steps", (0, math.inf)), "steps", ".0f"),
    ]
    for figure in ("accuracy", "AUC"):
        gains = less_random(results, figure)
        if len(gains):
            title = f"{figure} less that of random weights"
            found.insert(-1, markdown(title, summary(gains, figure), figure, "+.3f"))
    seeds, least, most = results["seed"].nunique(), results["all_steps"].min(), results["all_steps"].max()
    note = (
        f"Mean and 95 % t interval over {seeds} seeds, each with cells drawn anew. The {2 * TESTED} tested cells are "
        f"the same throughout: what others would change is in no interval. {least} to {most} steps a training; "
        f"{machine}."
    )
    return "\n\n".join([*found, note])


def picture(results: pd.DataFrame) -> bytes:
    """Accuracy by size, for convolutions that are frozen and that are free."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.8), sharey=True, layout="constrained")
    found = summary(results, "accuracy", (0, 1))
    for ax, mode in zip(axes, ("frozen", "free"), strict=True):
        own = found[(found["mode"] == mode) | (found["start"] == "random")]
        plots.learning_by_size(own.assign(method=own["start"].str.replace("_", ", ")), ax=ax)
        ax.set_title(f"Convolutions {mode}" if mode == "frozen" else "All layers free", loc="left", fontsize=11)
        ax.set_xlabel("labelled cells of each class")
    axes[0].get_legend().remove()
    axes[1].set_ylabel("")
    return plots.to_png(figure)


def minutes_left(groups: Iterable[tuple[Any, list[Trial]]], output: Path, steps: int) -> tuple[int, float]:
    """Trainings that have no file yet, with those of their first weights, and about how long they take."""
    trainings, seconds, once = 0, 0.0, set()
    for (_, _, start), trials in groups:
        missing = [trial for trial in trials if not (output / trial.file).is_file()]
        trainings += len(missing)
        seconds += sum(BESIDE + steps * STEP[trial.mode] for trial in missing)
        if not missing or start in once or start == "random":
            continue
        if start in ONCE:
            once.add(start)
        trainings += 1
        kind = "autoencoder" if start.startswith("autoencoder") else "free"
        seconds += BESIDE + FIRST_STEPS[start] * steps * STEP[kind]
    return trainings, seconds / 60


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/transfer"))
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each start, mode and size")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="cells of each class")
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=STARTS)
    parser.add_argument("--modes", nargs="+", choices=MODES, help="at every size; by default as said above")
    parser.add_argument("--steps", type=int, default=200, help="of a training, about")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plan", action="store_true", help="say what is left to do, and do nothing")
    parser.add_argument("--write", type=Path, help="a page with marks, between which the tables go")
    parser.add_argument("--picture", type=Path, help="a PNG of the accuracy by size")
    return parser.parse_args()


def main() -> None:
    """Run what is left of the grid, and show the tables."""
    options = parsed()
    groups = list(grid(options.starts, options.modes, options.sizes, options.seeds))
    count, minutes = minutes_left(groups, options.output, options.steps)
    print(f"{count} trainings to do, about {minutes:.0f} minutes on one core", flush=True)
    if options.plan:
        return
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    every = [trial for _, trials in groups for trial in trials]
    read(every, options.output, options.steps)  # refuses those of other steps before anything is trained
    bench = Bench(options.output, options.steps)
    for _, trials in groups:
        bench.run(trials)
    results = read(every, options.output, options.steps)
    text = tables(results, f"{platform.machine()}, {options.threads} thread, Python {platform.python_version()}")
    print(f"\n{text}")
    if options.write is not None:
        put_between_marks(options.write, "transfer", text)
    if options.picture is not None:
        options.picture.write_bytes(picture(results))


if __name__ == "__main__":
    main()
