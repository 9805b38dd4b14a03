"""Curves of a detector: precision against recall, and sensitivity against false positives an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.errors import DataError
from tumorkeras.metrics import froc_points, precision_recall_points
from tumorkeras.metrics.detection_ap import check_iou, precision_by_class, with_mean
from tumorkeras.metrics.detection_checks import Padded, Scenes, overall_name, read_scenes
from tumorkeras.metrics.detection_froc import FROC_RATES, froc_by_class
from tumorkeras.plots.style import DASHES, INK, axes_for, color_of, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RATE_NAMES = ("1/8", "1/4", "1/2", "1", "2", "4", "8")


def precision_recall(
    truth: Padded, detections: Padded, classes: Sequence[str], ax: Axes | None = None, iou: float = 0.5
) -> Axes:
    """Draw precision against recall of each class, and of all classes pooled where there are several.

    Parameters
    ----------
    truth, detections : mapping
        Padded arrays as in :func:`tumorkeras.metrics.detection_metrics`.
    classes : sequence of str
        The k class names.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    iou : float, default 0.5
        Intersection over union from which a detection is a hit.

    Returns
    -------
    matplotlib.axes.Axes
        A line a class, its average precision in the legend, and one of all with the mean over classes. A class
        without truth has an empty line; the legend says so.

    Raises
    ------
    DataError
        For what :func:`tumorkeras.metrics.detection_metrics` refuses, and where there is no truth at all.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> truth = {"boxes": [[[0, 0, 9, 9]]], "classes": [[0]]}
    >>> found = {"boxes": [[[0, 0, 9, 9], [5, 5, 9, 9]]], "scores": [[0.9, 0.5]], "classes": [[0, 0]]}
    >>> ax = plots.precision_recall(truth, found, ["tumor"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['tumor, AP 1.000']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    scenes = _checked("plots.precision_recall", truth, detections, classes, iou)
    areas = with_mean(precision_by_class(scenes, [iou])(np.ones((1, scenes.images))))[0, 0]
    points = precision_recall_points(truth, detections, classes, iou=iou)
    ax = axes_for(ax, 6.0, 4.0)
    notes = [*(f"AP {area:.3f}" for area in areas[:-1]), f"mean AP {areas[-1]:.3f}"]
    _draw(ax, scenes, points, ("recall", "precision"), notes)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    legend_beside(ax)
    return finish(ax, f"Precision and recall{_basis(scenes, iou)}", "recall (sensitivity)", "precision", grid="both")


def froc(truth: Padded, detections: Padded, classes: Sequence[str], ax: Axes | None = None, iou: float = 0.5) -> Axes:
    """Draw the FROC curve of each class, and of all classes pooled where there are several.

    Parameters
    ----------
    truth, detections : mapping
        Padded arrays as in :func:`tumorkeras.metrics.detection_metrics`.
    classes : sequence of str
        The k class names.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    iou : float, default 0.5
        Intersection over union from which a detection is a hit.

    Returns
    -------
    matplotlib.axes.Axes
        A line a class, the mean of its sensitivities at 1/8, 1/4, ... 8 false positives an image in the legend, and
        one of all. A line goes on level where the detector has no more false positives. A class without truth has
        an empty line; the legend says so.

    Raises
    ------
    DataError
        For what :func:`tumorkeras.metrics.detection_metrics` refuses, and where there is no truth at all.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> truth = {"boxes": [[[0, 0, 9, 9]]], "classes": [[0]]}
    >>> found = {"boxes": [[[5, 5, 9, 9], [0, 0, 9, 9]]], "scores": [[0.9, 0.5]], "classes": [[0, 0]]}
    >>> ax = plots.froc(truth, found, ["tumor"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['tumor, mean 0.571']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    scenes = _checked("plots.froc", truth, detections, classes, iou)
    means = froc_by_class(scenes, iou)(np.ones((1, scenes.images)))[0, -1]
    points = _drawn_on(froc_points(truth, detections, classes, iou=iou))
    ax = axes_for(ax, 6.4, 4.0)
    notes = [f"mean {mean:.3f}" for mean in means]
    _draw(ax, scenes, points, ("false_positives", "sensitivity"), notes, drawstyle="steps-post")
    ax.set_xscale("log", base=2)
    ax.set_xlim(FROC_RATES[0], FROC_RATES[-1])
    ax.set_xticks(FROC_RATES, RATE_NAMES)
    ax.minorticks_off()
    ax.set_ylim(0, 1)
    legend_beside(ax)
    return finish(ax, f"FROC{_basis(scenes, iou)}", "false positives an image", "sensitivity", grid="both")


def _checked(heading: str, truth: Padded, detections: Padded, classes: Sequence[str], iou: float) -> Scenes:
    scenes = read_scenes(heading, truth, detections, classes)
    faults = check_iou(iou)
    if not len(scenes.truth):
        faults.append("truth: no box in any image; a curve needs at least one")
    if faults:
        raise DataError(heading, faults)
    return scenes


def _basis(scenes: Scenes, iou: float) -> str:
    return f", {len(scenes.truth)} boxes in {scenes.images} images, IoU {iou:g}"


def _drawn_on(points: pd.DataFrame) -> pd.DataFrame:
    """The points, and for each class one more at the right end of the axis, where its sensitivity stays."""
    ends = points.groupby("class", sort=False).tail(1)
    ends = ends.assign(false_positives=np.maximum(ends["false_positives"], FROC_RATES[-1]))
    return pd.concat([points, ends], ignore_index=True)


def _draw(
    ax: Axes,
    scenes: Scenes,
    points: pd.DataFrame,
    columns: tuple[str, str],
    notes: Sequence[str],
    drawstyle: str = "default",
) -> None:
    """A line a class in its colour, and one of all in ink where there are several."""
    overall = overall_name(scenes.names)
    truths = scenes.truths_by_image().sum(axis=0)
    for label, name in enumerate([*scenes.names, overall] if len(scenes.names) > 1 else scenes.names):
        pooled = name == overall
        own = points.loc[points["class"] == name, list(columns)].dropna().to_numpy()
        note = f"{name}, {notes[label]}" if pooled or truths[label] else f"{name}: no truth"
        color, dashes = (INK, ":") if pooled else (color_of(label), DASHES[label % len(DASHES)])
        ax.plot(own[:, 0], own[:, 1], color=color, linestyle=dashes, linewidth=1.6, label=note, drawstyle=drawstyle)
