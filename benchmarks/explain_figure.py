"""The picture of docs/explain.md: what a network looks at, on simulated data of which the reason is known.

    python benchmarks/explain_figure.py [--output docs/images/explain.png]

Four small networks are trained for it, in about a minute on 2 cores. The samples are the first of a test part that no
network has seen (of the moving cells those that are called right), whatever is found in them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib

matplotlib.use("Agg")

import keras
import numpy as np
import tensorflow as tf
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from scipy.ndimage import distance_transform_edt

from tumorkeras import (
    DataSpec,
    build_autoencoder,
    build_classifier,
    build_detector,
    explain,
    load_samples,
    plots,
    simulate_ultrasound,
)
from tumorkeras.anchors import Anchors
from tumorkeras.data.pipeline import arrays_of
from tumorkeras.files import write_whole
from tumorkeras.models import target_of
from tumorkeras.plots.style import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "explain.png"
SIZE, DPI = (12.4, 5.8), 130  # inches
SIDE = 64  # pixels of the images
IMAGES = 240  # of each training
RESCALE = {"step": "rescale"}
MOTION = {
    "name": "motion",
    "input": {"shape": [32, 24, 24, 1], "spacing": [1, 8, 8]},
    "source": {
        "kind": "simulation",
        "motions": ["random_walk", "levy_flight"],
        "samples_per_class": 200,
        "frames": 32,
    },
    "rendering": {"amplitude": "speed", "reference_speed": 5.0, "center": "extent"},
}


def ultrasound(seed: int, n: int = IMAGES, **options: Any) -> Any:
    """Images with one lesion each, where nothing else is asked for."""
    return simulate_ultrasound(n, (SIDE, SIDE), **{"without": 0, "most": 1, "seed": seed, **options})


def pixels(scans: Any) -> np.ndarray:
    return scans.images[..., None].astype("float32")


def reader_of_marks() -> keras.Model:
    """Tells images of lesions with calipers from others without: nothing but the marks is different."""
    scans = [ultrasound(0), ultrasound(1, calipers=True)]
    model = build_classifier((SIDE, SIDE, 1), 2, filters=(8, 16, 16), dense=(16,), preprocessing=[RESCALE])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", jit_compile=False)
    labels = np.repeat([0, 1], IMAGES)
    model.fit(np.concatenate([pixels(each) for each in scans]), labels, batch_size=16, epochs=6, verbose=0)
    return model


def knower_of_tissue() -> keras.Model:
    """An autoencoder of images without lesions and without marks."""
    healthy = pixels(ultrasound(3, without=1))
    steps = [RESCALE, {"step": "standardize"}]
    model = build_autoencoder((SIDE, SIDE, 1), filters=(8, 16), bottleneck=32, preprocessing=steps)
    model.compile(keras.optimizers.Adam(3e-3), "mse", jit_compile=False)
    model.fit(healthy, target_of(model)(healthy), batch_size=16, epochs=12, verbose=0)
    return model


def finder_of_lesions() -> keras.Model:
    """A detector of lesions, of images without marks."""
    scans = ultrasound(0, most=2)
    backbone = build_autoencoder((SIDE, SIDE, 1), filters=(8, 16, 16, 16), bottleneck=None)
    anchors = Anchors((4, 8), ((8.0, 14.0), (20.0, 32.0)), (0.7, 1.3))
    small = {"fusion_width": 32, "dense": (64, 64), "rpn_candidates": 200, "rpn_proposals": 40, "dropout": 0.1}
    model = build_detector((SIDE, SIDE, 1), 1, backbone=backbone, anchors=anchors, **small)
    truth = {"boxes": scans.boxes, "classes": np.where(scans.classes >= 0, 0, -1)}
    batches = tf.data.Dataset.from_tensor_slices((pixels(scans), truth)).shuffle(IMAGES, seed=0).batch(8)
    model.compile(keras.optimizers.Adam(2e-3))
    model.fit(batches, epochs=16, verbose=0, shuffle=False)
    return model


def watcher_of_cells() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Tells Levy flights from random walks; and the volumes and tracks of the other flights that it is sure of."""
    samples = load_samples(DataSpec.from_dict(MOTION))
    volumes, training = arrays_of(samples), samples.table["split"].to_numpy() == "train"
    model = build_classifier(volumes.shape[1:], 2, filters=(8, 16), pool=(1, 2, 2), dense=(16,))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(volumes[training], samples.labels[training], batch_size=16, epochs=6, verbose=0)
    flights = np.flatnonzero(~training & (samples.labels == 1))
    flights = flights[model.predict(volumes[flights], verbose=0)[:, 1] > 0.9]
    return model, volumes[flights], samples.values[flights]


def at_marks(classifier: keras.Model) -> np.ndarray:
    """Whether the map of each of 100 other images has its peak within a cell, 4 pixels, of a mark."""
    marked, plain = pixels(ultrasound(2, 100, calipers=True)), pixels(ultrasound(2, 100))
    away = [distance_transform_edt(same) for same in (marked == plain)[..., 0]]
    maps = explain.grad_cam(classifier, marked, class_id=1)
    return np.array([own.flat[found.argmax()] <= 4 for own, found in zip(away, maps, strict=True)])


def at_jumps(maps: np.ndarray, tracks: np.ndarray) -> np.ndarray:
    """Whether the map of each flight has its peak in the two frames of its longest step, or the one before or after."""
    steps = np.linalg.norm(np.diff(tracks, axis=1), axis=2)
    return np.abs(maps.max(axis=(2, 3)).argmax(axis=1) - (steps.argmax(axis=1) + 0.5)) <= 1.5


def draw_found(detector: keras.Model, images: np.ndarray, ax: Axes) -> None:
    """The best detection of each image, with its map."""
    maps = np.stack([explain.grad_cam_detection(detector, image) for image in images])
    plots.heatmaps(images, maps, [""] * len(images), ax)
    boxes = detector(images)["boxes"].numpy()[:, 0]
    for box, x, row in ((box, x, y) for box, x in zip(boxes, ax.get_xticks(), strict=True) for y in ax.get_yticks()):
        corner = box[:2] + np.array([x, row]) - SIDE / 2
        ax.add_patch(Rectangle(corner, *(box[2:] - box[:2]), fill=False, edgecolor="#56B4E9", linewidth=1.4))


def heading(ax: Axes, text: str) -> None:
    """A title in the place of the plot's own."""
    ax.set_title(text, loc="left", fontsize=10.5, color=INK, fontweight="bold")


def picture() -> tuple[bytes, str]:
    """The whole picture as PNG, and how often the reason is found."""
    keras.utils.set_random_seed(0)
    marked, plain = pixels(ultrasound(2, 3, calipers=True)), pixels(ultrasound(2, 3))
    figure = plt.figure(figsize=SIZE, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[5, 6])
    marks, windows, tissue = upper.subplots(1, 3)
    boxes, cells = lower.subplots(1, 2, width_ratios=[3, 4])
    nameless = [""] * 3
    classifier = reader_of_marks()
    plots.heatmaps(marked, explain.grad_cam(classifier, marked, class_id=1), nameless, marks)
    heading(marks, "Grad-CAM: it reads the marks")
    covered = explain.occlusion(classifier, marked, class_id=1, window=20, stride=4, progress=False)
    plots.heatmaps(marked, covered, nameless, windows)
    heading(windows, "Occlusion: the same network")
    plots.heatmaps(marked, explain.reconstruction_error_map(knower_of_tissue(), marked), nameless, tissue)
    heading(tissue, "Error of an autoencoder")
    draw_found(finder_of_lesions(), plain, boxes)
    heading(boxes, "Grad-CAM of the best detection")
    watcher, flights, tracks = watcher_of_cells()
    maps = explain.grad_cam(watcher, flights, class_id=1)
    plots.heatmaps(flights[:4], maps[:4], [""] * 4, cells, volumes="maximum")
    heading(cells, "Grad-CAM in 3D: the jumps of Lévy flights")
    marks_found, jumps_found = at_marks(classifier), at_jumps(maps, tracks)
    found = f"peaks at a mark: {marks_found.sum()} of {len(marks_found)}; at the longest step: "
    return plots.to_png(figure, dpi=DPI), f"{found}{jumps_found.sum()} of {len(jumps_found)}"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    made, found = picture()
    write_whole(options.output, made)
    print(f"{options.output}: {len(made):,} bytes; {found}")


if __name__ == "__main__":
    main()
