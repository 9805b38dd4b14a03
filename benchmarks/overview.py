"""The README's picture, a line for images and one for motion: what is given, what a model makes of it, how good it is.

    python benchmarks/overview.py RUN_FOLDER [--output docs/images/overview.png]

RUN_FOLDER is what ``tumorkeras run`` made of ``data_spec.yaml``. The detector that it exported answers the test images,
which nothing has learnt from; its autoencoder and comparison.csv are read. Nothing is trained.
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
import tensorflow as tf
from matplotlib import pyplot as plt

from tumorkeras import load, load_detection, load_samples, plots
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.samples import Samples
from tumorkeras.files import write_whole
from tumorkeras.models import target_of
from tumorkeras.plots.style import INK, color_of
from tumorkeras.training import TrainedModel
from tumorkeras.training.predict import predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "overview.png"
SIZE, DPI = (9.4, 5.4), 170  # inches: about 1600 x 920 pixels, in which the plots' text is large
LINES = [2.4, 3.0]  # of the height
IMAGES = 2
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


def served(export: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """What the SavedModel answers, called as TF Serving calls it."""
    answer = tf.saved_model.load(str(export)).signatures["serving_default"](inputs=tf.constant(images, tf.float32))
    return {name: value.numpy() for name, value in answer.items()}


def draw_images(
    samples: DetectionSamples,
    truth: dict[str, np.ndarray],
    found: dict[str, np.ndarray],
    threshold: float,
    panels: dict[str, Axes],
) -> None:
    """The first images with lesions, whatever was found in them: as they are described, and as they are answered."""
    nothing = {"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "classes": np.zeros(0, int)}
    chosen = np.flatnonzero((truth["classes"] >= 0).any(axis=1))[:IMAGES]
    for place, k in enumerate(chosen):
        own, answer = ({key: each[key][k] for key in nothing if key in each} for each in (truth, found))
        image = samples.images[samples.rows[k]][..., 0]
        given, answered = panels[f"given {place}"], panels[f"answered {place}"]
        plots.detections(image, own, nothing, samples.classes, given)
        plots.detections(image, None, answer, samples.classes, answered, threshold)
        for ax in (given, answered):
            ax.set_title("", loc="left")
            ax.set_anchor("N")
            if ax.get_legend():
                ax.get_legend().remove()
    heading(panels["given 0"], "Images with boxes")
    heading(panels["answered 0"], "Boxes that the export serves")


def draw_found(truth: dict[str, np.ndarray], found: dict[str, np.ndarray], samples: DetectionSamples, ax: Axes) -> None:
    """How many lesions are found for how many false alarms."""
    plots.froc(truth, found, list(samples.classes), ax)
    ax.legend(loc="lower right", fontsize=7, frameon=False)
    ax.tick_params(labelsize=8)
    heading(ax, "Lesions found, test part")


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
    heading(ax, "Tracks of cells")


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


def line_of_images(detector: TrainedModel, export: Path, figure: Figure, line: SubplotSpec) -> None:
    """Images, what the export answers, and how many lesions that finds."""
    samples = load_detection(detector.spec).part("test")
    truth, found = samples.truth(), served(export, samples.images[samples.rows])
    names = [f"{what} {k}" for what in ("given", "answered") for k in range(IMAGES)]
    grid = line.subgridspec(1, len(names) + 1, width_ratios=[1] * len(names) + [1.25])
    panels = {name: figure.add_subplot(grid[k]) for k, name in enumerate(names)}
    draw_images(samples, truth, found, detector.card["threshold"], panels)
    draw_found(truth, found, samples, figure.add_subplot(grid[-1]))


def line_of_motion(autoencoder: TrainedModel, table: pd.DataFrame, figure: Figure, line: SubplotSpec) -> None:
    """Tracks, a volume and its reconstruction, and the methods compared."""
    samples = load_samples(autoencoder.spec)
    unseen = samples.part("test")
    shown = unseen.select(typical(unseen, len(samples.classes) - 1, 1))
    given, returned = predict(target_of(autoencoder.model), shown)[0], predict(autoencoder.model, shown)[0]
    grid = line.subgridspec(2, 3, width_ratios=[2.5, 3.9, 2.3])
    draw_tracks(samples, figure.add_subplot(grid[:, 0]))
    limits = (float(given.min()), float(given.max()))
    draw_volume(given, "A track drawn as a volume", figure.add_subplot(grid[0, 1]), limits)
    draw_volume(returned, "What the autoencoder gives back", figure.add_subplot(grid[1, 1]), limits)
    draw_comparison(table, figure.add_subplot(grid[:, 2]))


def overview(folder: Path) -> bytes:
    """The whole picture as PNG."""
    (autoencoder,) = (folder / "models").glob("*_autoencoder")
    (detector,) = (folder / "phantoms" / "models").glob("*_detector")
    (export,) = (folder / "phantoms" / "exports").glob("*_detector/1")
    figure = plt.figure(figsize=SIZE, layout="constrained")
    images, motion = figure.add_gridspec(2, 1, height_ratios=LINES)
    line_of_images(load(detector), export, figure, images)
    line_of_motion(load(autoencoder), pd.read_csv(folder / "comparison.csv"), figure, motion)
    return plots.to_png(figure, dpi=DPI)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="RUN_FOLDER")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    picture = overview(options.folder)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(options.output, picture)
    print(f"{options.output}: {len(picture):,} bytes")


if __name__ == "__main__":
    main()
