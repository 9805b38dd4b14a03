"""The figures of a detector: boxes upon images, curves, and contact sheets of its worst errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorkeras import plots
from tumorkeras.data.cache import rows_of
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.plots.images import evenly
from tumorkeras.plots.style import color_of
from tumorkeras.report.content import Content
from tumorkeras.report.detections import detections_of
from tumorkeras.report.pictures import MOST_CLASSES, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tumorkeras.boxes import Letterbox
    from tumorkeras.metrics.detection_checks import Padded

EXAMPLES, FOUND = 6, 9  # images in a figure
COLUMNS = 3
WIDTH = 9.6  # inches of a figure
MOST_LABELS = 8  # boxes of an image with words at each: more hide the image
NO_BOXES: dict[str, Any] = {"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "classes": np.zeros(0)}


@dataclass(frozen=True)
class Scene:
    """Images with what is there and what was found, in pixels of the files.

    Parameters
    ----------
    samples : DetectionSamples
    truth, found : mapping
        Padded arrays of the same images.
    threshold : float
        The score from which detections count.
    """

    samples: DetectionSamples
    truth: Padded
    found: Padded
    threshold: float

    @cached_property
    def on_canvas(self) -> tuple[Padded, Padded]:
        """Truth and detections in pixels of the canvas, as the images are held."""
        return self.samples.on_canvas(self.truth), self.samples.on_canvas(self.found)


def scene_of(content: Content) -> Scene:
    """The part that was read, without images that could not be read, beside its predictions."""
    failed = set(content.predictions.loc[content.predictions["status"] != "ok", "id"])
    samples = content.read.select(~content.read.table["id"].isin(failed).to_numpy()) if failed else content.read
    found = detections_of(content.predictions, samples.table["id"].tolist(), samples.classes)
    return Scene(samples, samples.truth(), found, content.main.card["threshold"])


def examples(training: DetectionSamples) -> Picture:
    """Images with the boxes of their objects."""
    chosen = _chosen(training, EXAMPLES)
    truths = [dict(zip(("boxes", "classes"), training.boxes_of(k), strict=True)) for k in chosen]
    figure = _grid(training, chosen, truths, [NO_BOXES] * len(chosen), 0.5)
    names = ", ".join(training.classes)
    return Picture(figure, f"{len(chosen)} images of the training part with boxes of {names}.", "", photo=True)


def found(scene: Scene, part: str, count: int = FOUND) -> Picture:
    """Images with truth and detections."""
    chosen = _chosen(scene.samples, count)
    truth, detections = (
        [{name: np.asarray(rows)[k] for name, rows in each.items()} for k in chosen] for each in scene.on_canvas
    )
    figure = _grid(scene.samples, chosen, truth, detections, scene.threshold)
    return Picture(
        figure,
        f"{len(chosen)} images of the {part} part with the boxes that are there and those that the detector found.",
        f"Truth solid, detections from a score of {scene.threshold:.3g} on dashed. The images lie evenly in the "
        f"{part} part; they were not picked by how well the detector does.",
        photo=True,
    )


def _chosen(samples: DetectionSamples, count: int) -> np.ndarray:
    """Evenly from the images with objects, and one without where there is any."""
    bare = np.array([not len(samples.boxes_of(k)[0]) for k in range(len(samples))])
    held, empty = np.flatnonzero(~bare), np.flatnonzero(bare)
    chosen = held[evenly(len(held), count - (1 if len(empty) else 0))] if len(held) else held
    return np.concatenate([chosen, empty[: max(1, count - len(held)) if len(empty) else 0]])[:count]


def _grid(
    samples: DetectionSamples, chosen: np.ndarray, truths: list[Any], found: list[Any], threshold: float
) -> bytes:
    """A panel an image, without the bars of the letterbox."""
    from matplotlib import pyplot as plt

    columns = min(COLUMNS, len(chosen))
    lines = -(-len(chosen) // columns)
    placements = [samples.placement(int(k)) for k in chosen]
    side, shape = WIDTH / COLUMNS, max(placed.height / placed.width for placed in placements)
    figure, panels = plt.subplots(
        lines, columns, squeeze=False, figsize=(side * columns, side * shape * lines), layout="constrained"
    )
    crowded = False
    for ax, k, truth, detections in zip(panels.flat, chosen, truths, found, strict=False):
        image = rows_of(samples.images, samples.rows[[k]])[0]
        plots.detections(image, truth, detections, samples.classes, ax=ax, threshold=threshold)
        crowded |= len(ax.texts) > MOST_LABELS
        _tidy(ax, samples.placement(int(k)))
    for ax in panels.flat[len(chosen) :]:
        ax.remove()
    if crowded:
        _add_legend(figure, samples.classes)
    return plots.to_png(figure)


def _tidy(ax: Axes, placed: Letterbox) -> None:
    """Cut the bars of the letterbox away, and the words where they are too many."""
    ax.set_title("", loc="left")
    ax.set_xlim(placed.left, placed.left + placed.width)
    ax.set_ylim(placed.top + placed.height, placed.top)
    if len(ax.texts) > MOST_LABELS:
        for text in list(ax.texts):
            text.remove()


def _add_legend(figure: Figure, classes: Sequence[str]) -> None:
    """The colours of the classes, where no words stand at the boxes."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=color_of(k), label=name) for k, name in enumerate(classes[:MOST_CLASSES])]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, fontsize=8.5)


def precision_recall(scene: Scene) -> Picture:
    """Precision against recall of each class."""
    return _curve(plots.precision_recall(scene.truth, scene.found, scene.samples.classes), "Precision and recall")


def froc(scene: Scene) -> Picture:
    """Sensitivity against false positives an image of each class."""
    return _curve(plots.froc(scene.truth, scene.found, scene.samples.classes), "FROC")


def _curve(ax: Axes, name: str) -> Picture:
    legend = ax.get_legend()
    assert legend is not None
    lines = "; ".join(text.get_text() for text in legend.get_texts())
    return Picture(plots.to_png(ax), f"{name} curves: {lines}.", "")


def worst(scene: Scene, kind: str) -> Picture:
    """Crops of the worst misses or false alarms."""
    images = _Images(scene.samples)
    truth, found = scene.on_canvas
    ax = plots.worst_detections(images, truth, found, scene.samples.classes, kind, threshold=scene.threshold)  # type: ignore[arg-type]
    ax.set_title(ax.get_title(loc="left").partition(", score")[0], loc="left")
    count, words = len(ax.texts), kind.replace("_", " ")
    return Picture(
        plots.to_png(ax), f"Crops of the {count} worst {words}, each with its score or best overlap.", "", True
    )


class _Images:
    """The images of samples, each read where it is asked for."""

    def __init__(self, samples: DetectionSamples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, k: int) -> np.ndarray:
        return rows_of(self.samples.images, self.samples.rows[[k]])[0]
