"""The detector beside what came before it, R-CNN and Fast R-CNN, and a prior that looks at no image, on one split.

    TUMORKERAS_DATA=... python benchmarks/region_classifier.py [--spec examples/busi.yaml]
        [--methods prior rcnn rcnn_autoencoder fast_rcnn detector] [--output benchmarks/results/region_classifier]
        [--epochs N] [--limit IMAGES] [--write FILE] [--mark regions]

It is ``compare_detectors`` of a spec, as a Markdown table: each method is trained on the spec's part "train", stopped
and tuned by "val", and read once on "test". What each finds is kept in OUTPUT/NAME-OF-THE-SPEC: a run that was stopped
goes on with the methods that are missing, and the table can be made again without training. ``--limit`` takes some
training images only, a fifth of them in the place of the part that is read, to see that all runs without reading that.
``--write`` puts the table between ``<!-- MARK -->`` and ``<!-- /MARK -->`` of a file.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from pages import put_between_marks

from tumorkeras import DataSpec
from tumorkeras.comparison.detection import compare_detectors
from tumorkeras.comparison.detection_methods import DETECTION_METHODS
from tumorkeras.data.detection import DetectionSamples, load_detection
from tumorkeras.files import write_whole

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = {
    "prior": "prior: where boxes usually are",
    "rcnn": "R-CNN",
    "rcnn_autoencoder": "R-CNN that starts from the autoencoder",
    "fast_rcnn": "Fast R-CNN",
    "detector": "detector",
    "detector_autoencoder": "detector on the encoder of the autoencoder",
}
DEFAULT = [name for name in NAMES if name != "detector_autoencoder"]
METRICS = {
    "AP50": "AP50",
    "froc": "FROC mean",
    "sensitivity": "sensitivity",
    "false_positives": "false positives per image",
}
P_VALUES = {"p_value": "p, AP50 against the best", "p_value_baseline": "p, AP50 against the prior"}
COSTS = {"seconds": "seconds to train", "peak_memory_mb": "peak memory, MiB"}


def rehearsal(samples: DetectionSamples, count: int) -> DetectionSamples:
    """Some training images, a fifth of them in the place of each part that is held out."""
    training = samples.part("train")
    chosen = training.select(np.random.default_rng(0).permutation(len(training))[:count])
    parts = np.resize(["train", "train", "train", "val", "test"], len(chosen))
    return replace(chosen, table=chosen.table.assign(split=parts))


def lines_of(table: pd.DataFrame, title: str) -> list[str]:
    """The comparison as Markdown; what is undefined is a dash, and a method that failed says why."""
    heads = [title, *METRICS.values(), *P_VALUES.values(), *COSTS.values()]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for row in table.to_dict("records"):
        figures = [(row[metric], row[f"{metric}_low"], row[f"{metric}_high"]) for metric in METRICS]
        cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in figures]
        cells += [f"{row[name]:.3f}" for name in P_VALUES] + [f"{row[name]:.0f}" for name in COSTS]
        why = " ".join(row["error"].split()).replace("|", "\\|")
        name = NAMES[row["method"]] + (why and f", failed: {why}")
        lines.append(f"| {' | '.join([name, *('-' if cell.startswith('nan') else cell for cell in cells)])} |")
    return lines


def report(table: pd.DataFrame, name: str) -> str:
    """The table, how to read it, and where it was made."""
    lines = lines_of(table, f"{name}, part {table.attrs['part']}: {table['samples'].iloc[0]} images")
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    return "\n".join([*lines, "", f"{table.attrs['caveat']} {machine}."])


def spec_of(path: Path, epochs: int | None) -> DataSpec:
    """The spec, with as many epochs as are asked for."""
    values = DataSpec.from_yaml(path).to_dict()
    if epochs is not None:
        values["detector"]["epochs"] = epochs
    return DataSpec.from_dict(values, folder=path.parent)


def main() -> None:
    """Train what is missing, and print the table or write it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", type=Path, default=EXAMPLES / "busi.yaml")
    parser.add_argument("--methods", nargs="+", choices=DETECTION_METHODS, default=DEFAULT)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/region_classifier"))
    parser.add_argument("--epochs", type=int, help="of every method at most, in the place of the spec's")
    parser.add_argument("--limit", type=int, help="training images, of all parts together")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--mark", default="regions")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    spec = spec_of(options.spec, options.epochs)
    samples = load_detection(spec)
    samples = rehearsal(samples, options.limit) if options.limit else samples
    folder = options.output / (f"{spec.name}_{options.limit}" if options.limit else spec.name)
    table = compare_detectors(spec, options.methods, folder, samples=samples)
    text = report(table, spec.name)
    write_whole(folder / "table.md", text)
    if options.write is None:
        print(text)
        return
    put_between_marks(options.write, options.mark, text)


if __name__ == "__main__":
    main()
