"""The picture of the detector's page: simulated lesions, found and missed, and how many for how many false alarms.

    python benchmarks/detector_figure.py RUN_FOLDER [--output docs/images/detector.png]

RUN_FOLDER is what ``tumorkeras run`` made of ``examples/phantoms.yaml``: its detector is read and run on the test part.
The images are the first with lesions, whatever was found in them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from tumorkeras import load, plots
from tumorkeras.data.detection import load_detection
from tumorkeras.files import write_whole
from tumorkeras.plots.style import INK
from tumorkeras.training import TrainedModel
from tumorkeras.training.detect import detect

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "detector.png"
SIZE, DPI = (9.4, 4.4), 170  # inches
IMAGES = 6


def picture(trained: TrainedModel) -> bytes:
    """The whole picture as PNG."""
    samples = load_detection(trained.spec).part("test")
    truth, found = samples.truth(), detect(trained.model, samples)
    chosen = np.flatnonzero((truth["classes"] >= 0).any(axis=1))[:IMAGES]
    figure, panels = plt.subplot_mosaic(
        [["0", "1", "2", "froc"], ["3", "4", "5", "froc"]],
        figsize=SIZE,
        layout="constrained",
        width_ratios=[2, 2, 2, 3],
    )
    for name, k in zip("012345", chosen, strict=True):
        own, answer = ({key: value[k] for key, value in each.items()} for each in (truth, found))
        image = samples.images[samples.rows[k]][..., 0]
        ax = plots.detections(image, own, answer, samples.classes, panels[name], trained.card["threshold"])
        ax.set_title("", loc="left")
        if ax.get_legend():
            ax.get_legend().remove()
    plots.froc(truth, found, list(samples.classes), panels["froc"])
    panels["froc"].legend(loc="lower right", fontsize=8, frameon=False)
    panels["froc"].tick_params(labelsize=8)
    panels["froc"].set_title("Test part", loc="left", fontsize=10.5, color=INK, fontweight="bold")
    return plots.to_png(figure, dpi=DPI)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    (found,) = (options.folder / "models").glob("*_detector")
    made = picture(load(found))
    write_whole(options.output, made)
    print(f"{options.output}: {len(made):,} bytes")


if __name__ == "__main__":
    main()
