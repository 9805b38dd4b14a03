"""The README's picture: simulated tracks, one of them as a volume, its reconstruction, and the methods compared.

    python benchmarks/overview.py RUN_FOLDER [--output docs/images/overview.png]

RUN_FOLDER is what ``tumorkeras run`` made of ``data_spec.yaml``: its autoencoder and comparison.csv are read.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from tumorkeras import load, load_samples, plots
from tumorkeras.data.samples import Samples
from tumorkeras.files import write_whole
from tumorkeras.models import target_of
from tumorkeras.plots.style import INK, color_of
from tumorkeras.training import TrainedModel
from tumorkeras.training.predict import predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "overview.png"
SIZE, DPI = (9.4, 3.0), 170  # inches: about 1600 x 500 pixels, in which the plots' text is large
EACH = 3  # tracks of a kind
SLICES = 4
KINDS = {"random_walk": "random walk", "levy_flight": "Lévy flight", "fractional_brownian": "fractional Brownian"}
METHODS = {
    "majority": "most frequent class",
    "trivial": "mean step alone",
    "svm_linear": "SVM, linear",
    "svm_poly": "SVM, polynomial",
    "svm_rbf": "SVM, radial",
    "ann": "ANN",
    "cnn": "3D CNN",
    "autoencoder_cnn": "autoencoder, 3D CNN",
}


def typical(samples: Samples, class_id: int, count: int) -> np.ndarray:
    """Rows of a class whose tracks are of middling extent: a large one would make dots of the others."""
    rows = np.flatnonzero(samples.labels == class_id)
    extents = np.ptp(samples.values[rows], axis=1).max(axis=1)
    middle = len(rows) // 2 - count // 2
    return rows[np.argsort(extents)[middle : middle + count]]


def draw_tracks(samples: Samples, ax: Axes) -> None:
    """A line of tracks for each kind, all on one scale."""
    chosen = np.concatenate([typical(samples, k, EACH) for k in range(len(samples.classes))])
    paths, labels = samples.values[chosen], samples.labels[chosen]
    paths = paths - (paths.max(axis=1, keepdims=True) + paths.min(axis=1, keepdims=True)) / 2
    wide, high = np.ptp(paths, axis=1).max(axis=0) * (1.1, 1.4)  # the lines have room for their names
    places = np.stack([np.arange(len(paths)) % EACH * wide, -labels * high], axis=1)
    plots.tracks(paths + places[:, None], labels, list(samples.classes), ax=ax)
    ax.get_legend().remove()
    ax.set_aspect("equal", adjustable="box", anchor="NW")
    ax.set(xlim=(-0.5 * wide, (EACH - 0.5) * wide), ylim=(-(len(samples.classes) - 0.6) * high, 0.62 * high))
    for class_id, name in enumerate(samples.classes):
        name = KINDS.get(name, name)
        ax.text(-0.5 * wide, (0.4 - class_id) * high, name, color=color_of(class_id), fontsize=9, va="bottom")
    ax.set_axis_off()
    heading(ax, "Tracks")


def draw_volume(volume: np.ndarray, title: str, ax: Axes, limits: tuple[float, float]) -> None:
    """Slices of a track's volume, on the grey scale that it shares with others."""
    plots.volume_montage(volume, ax=ax, slices=SLICES)
    ax.images[0].set_clim(*limits)
    ax.set_xticks(ax.get_xticks(), [f"frame {label.get_text()}" for label in ax.get_xticklabels()])
    ax.set_xlabel("")
    ax.set_anchor("N")
    heading(ax, title)


def draw_comparison(table: pd.DataFrame, ax: Axes) -> None:
    """The methods by accuracy, with the figures but without the intervals' ends."""
    plots.comparison(table, ax=ax)
    ax.set_yticks(ax.get_yticks(), [METHODS.get(label.get_text(), label.get_text()) for label in ax.get_yticklabels()])
    for text in ax.texts:
        text.set_text(text.get_text().split()[0])
    heading(ax, "Methods on the same folds")


def heading(ax: Axes, text: str) -> None:
    """A title in the place of the plot's own."""
    ax.set_title(text, loc="left", fontsize=10.5, color=INK, fontweight="bold")


def overview(autoencoder: TrainedModel, table: pd.DataFrame) -> bytes:
    """The whole picture as PNG."""
    samples = load_samples(autoencoder.spec)
    unseen = samples.part("test")
    shown = unseen.select(typical(unseen, len(samples.classes) - 1, 1))
    given, returned = predict(target_of(autoencoder.model), shown)[0], predict(autoencoder.model, shown)[0]
    figure = plt.figure(figsize=SIZE, layout="constrained")
    panels = figure.subplot_mosaic(
        [["tracks", "volume", "methods"], ["tracks", "returned", "methods"]], width_ratios=[2.5, 3.9, 2.3]
    )
    draw_tracks(samples, panels["tracks"])
    limits = (float(given.min()), float(given.max()))
    draw_volume(given, "A track drawn as a volume", panels["volume"], limits)
    draw_volume(returned, "What the autoencoder gives back", panels["returned"], limits)
    draw_comparison(table, panels["methods"])
    return plots.to_png(figure, dpi=DPI)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    (found,) = (options.folder / "models").glob("*_autoencoder")
    picture = overview(load(found), pd.read_csv(options.folder / "comparison.csv"))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(options.output, picture)
    print(f"{options.output}: {len(picture):,} bytes")


if __name__ == "__main__":
    main()
