"""The picture of the preprocessing steps in docs/data.md: two ultrasound images before and after each.

    TUMORKERAS_DATA=... python benchmarks/preprocessing.py [--output docs/images/preprocessing.png]

The steps are those of a spec, one at a time, as layers of a model. They see the whole image; a part around the lesion
is shown, with the values of the whole image below. Letterboxed, the whole image is shown with its box.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib

matplotlib.use("Agg")

import cv2
import keras
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from tumorkeras import plots
from tumorkeras.files import write_whole
from tumorkeras.layers import Letterbox, letterbox_boxes
from tumorkeras.models.blocks import preprocess
from tumorkeras.plots.style import COLORS, GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "preprocessing.png"
SIZE, DPI = (10.2, 4.0), 157  # inches: about 1600 pixels across
IMAGES = {"benign_113": "benign", "malignant_049": "malignant"}  # of the validation part, without calipers
SHOWN = (224, 224)  # height and width in pixels of the part around the lesion
CANVAS = (224, 224)
LINES = ("solid", (0, (3, 1.5)))
BOX = COLORS[4]  # orange stands out on grey
Step = dict[str, Any]

# Each with how its values are brought to the 0 to 1 that is drawn.
STEPS: list[tuple[str, Step]] = [
    ("8 bit", {"step": "rescale"}),
    ("size: 7", {"step": "lee_filter", "size": 7}),
    (
        "dynamic_range: null\ngain: 10, peak: 255",
        {"step": "log_compression", "dynamic_range": None, "gain": 10.0, "peak": 255.0},
    ),
    ("tiles: 8, clip_limit: 3\nlow: 0, high: 255", {"step": "equalize", "clip_limit": 3.0, "low": 0.0, "high": 255.0}),
    ("low: 10, high: 170", {"step": "window", "low": 10.0, "high": 170.0}),
    ("low: 1, high: 99", {"step": "percentile_window"}),
]


def after(step: Step, image: np.ndarray) -> np.ndarray:
    """An 8-bit image (height, width) through one step, on a scale from 0 to 1."""
    inputs = keras.Input((*image.shape, 1))
    changed = np.asarray(keras.Model(inputs, preprocess(inputs, [step]))(image[None, ..., None]))[0, ..., 0]
    return changed / 255 if step["step"] == "lee_filter" else changed  # the one step that keeps the range


def part_around(box: np.ndarray, image: np.ndarray) -> tuple[slice, slice]:
    """The part of the image that has the middle of the box in its middle, as far as the border allows."""
    middle = (box[[1, 0]] + box[[3, 2]]) / 2
    starts = [
        int(np.clip(centre - shown / 2, 0, size - shown))
        for centre, shown, size in zip(middle, SHOWN, image.shape, strict=True)
    ]
    return slice(starts[0], starts[0] + SHOWN[0]), slice(starts[1], starts[1] + SHOWN[1])


def draw_image(ax: Axes, image: np.ndarray) -> None:
    """Grey from 0 to 1, without a frame."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def draw_values(ax: Axes, images: list[np.ndarray]) -> None:
    """How often each value occurs, a line an image."""
    for image, style in zip(images, LINES, strict=True):
        counts, edges = np.histogram(image, bins=32, range=(0, 1))
        ax.plot((edges[:-1] + edges[1:]) / 2, counts / counts.max(), color=INK, linewidth=1, linestyle=style)
    ax.set(xlim=(0, 1), ylim=(0, 1.08), yticks=[])
    ax.set_xticks([0, 1], ["0", "1"])
    ax.tick_params(labelsize=8, colors=INK, length=2)
    for side in ("top", "left", "right"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(GREY)


def draw_key(ax: Axes) -> None:
    """Which line is which image."""
    ax.set_axis_off()
    for style, name in zip(LINES, IMAGES.values(), strict=True):
        ax.plot([], [], color=INK, linewidth=1, linestyle=style, label=name)
    ax.legend(loc="center left", frameon=False, fontsize=8, labelcolor=INK, borderaxespad=0, handlelength=2.4)


def draw_letterboxed(ax: Axes, image: np.ndarray, box: np.ndarray) -> None:
    """The whole image on the canvas, and its box moved along."""
    canvas = np.asarray(Letterbox(*CANVAS)(image[None, ..., None]))[0, ..., 0]
    draw_image(ax, canvas / 255)
    left, top, right, bottom = np.asarray(letterbox_boxes(box[None], image.shape, CANVAS))[0]
    ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=BOX, linewidth=1.4))


def heading(ax: Axes, name: str, fields: str) -> None:
    """The step's name above its fields, which have room for two lines."""
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "color": INK}
    ax.annotate(name, (0, 1), (0, 29), va="bottom", fontsize=8.5, fontweight="bold", **above)
    ax.annotate(fields, (0, 1), (0, 25), va="top", fontsize=7.8, **above)


def picture(folder: Path) -> bytes:
    """The whole picture as PNG."""
    table = pd.read_csv(folder / "boxes.csv").set_index("image")
    images = [cv2.imread(str(folder / "images" / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE) for name in IMAGES]
    boxes = [table.loc[name, ["xmin", "ymin", "xmax", "ymax"]].to_numpy("float32") for name in IMAGES]
    figure, panels = plt.subplots(3, len(STEPS) + 1, figsize=SIZE, height_ratios=[1, 1, 0.3], layout="constrained")
    for column, (fields, step) in enumerate(STEPS):
        changed = [after(step, image) for image in images]
        for ax, image, box in zip(panels[:2, column], changed, boxes, strict=True):
            draw_image(ax, image[part_around(box, image)])
        draw_values(panels[2, column], changed)
        heading(panels[0, column], step["step"] if column else "before", fields)
    for ax, image, box in zip(panels[:2, -1], images, boxes, strict=True):
        draw_letterboxed(ax, image, box)
    heading(panels[0, -1], "Letterbox", "{} x {}; its box\nmoves along".format(*CANVAS))
    draw_key(panels[2, -1])
    for ax, name in zip(panels[:2, 0], IMAGES.values(), strict=True):
        ax.set_ylabel(name, fontsize=9, color=INK)
    panels[2, 0].set_ylabel("values", fontsize=9, color=INK)
    return plots.to_png(figure, dpi=DPI)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    if "TUMORKERAS_DATA" not in os.environ:
        parser.error("TUMORKERAS_DATA: not set; it names the folder that holds busi/")
    made = picture(Path(os.environ["TUMORKERAS_DATA"]) / "busi")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(options.output, made)
    print(f"{options.output}: {len(made):,} bytes")


if __name__ == "__main__":
    main()
