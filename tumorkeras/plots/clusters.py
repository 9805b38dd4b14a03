"""Clusters in the plane, beside the classes that the samples are known to have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_labels, rows_of
from tumorkeras.metrics.clustering import check_clusters
from tumorkeras.plots.learning import component_labels, draw_points
from tumorkeras.plots.style import axes_for, finish, legend_beside
from tumorkeras.plots.thumbnails import choose_thumbnails, draw_thumbnail

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HEADING = "plots.clusters"
SIDE = 0.1  # of a thumbnail, in sides of a panel, which is square
METHODS = {"tsne": "t-SNE", "umap": "UMAP"}


@overload
def clusters(
    embedding: ArrayLike | pd.DataFrame,
    clusters: Any,
    labels: None = None,
    classes: Sequence[str] | None = None,
    images: Sequence[ArrayLike] | NDArray | None = None,
    ax: Axes | None = None,
) -> Axes: ...
@overload
def clusters(
    embedding: ArrayLike | pd.DataFrame,
    clusters: Any,
    labels: ArrayLike,
    classes: Sequence[str] | None = None,
    images: Sequence[ArrayLike] | NDArray | None = None,
    ax: Sequence[Axes] | None = None,
) -> tuple[Axes, Axes]: ...
def clusters(
    embedding: ArrayLike | pd.DataFrame,
    clusters: Any,
    labels: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    images: Sequence[ArrayLike] | NDArray | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Axes | tuple[Axes, Axes]:
    """Draw samples in the plane by cluster and, where classes are known, again by class, with some of their images.

    Parameters
    ----------
    embedding : DataFrame or array-like of float, shape (n, 2)
        Of :func:`tumorkeras.features.embed_features`, or any points x, y.
    clusters : Clusters or array-like of int, shape (n,)
        Of :func:`tumorkeras.features.cluster_features`, or numbers from 0; -1 is noise.
    labels : array-like of int, shape (n,), optional
        Class ids.
    classes : sequence of str, optional
        Class names; the ids stand in for them.
    images : sequence of n arrays, optional
        Each (height, width), (height, width, channels) or a volume (depth, height, width, channels), of which the
        maximum along the depth is drawn. Nine in a panel at most, each upon its sample and framed in its colour:
        first that nearest to the middle of each cluster (class), then others by chance, none upon another.
    ax : matplotlib.axes.Axes, or two of them with `labels`, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes or tuple of two
        By cluster; with `labels` also by class. One scatter a cluster (class). Both show the same places; colours of
        clusters and of classes have nothing to do with each other.

    Raises
    ------
    DataError
        With all faults: points, numbers, labels, images or axes that do not fit.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> by_cluster, by_class = plots.clusters([[0, 0], [0, 1], [5, 5]], [0, 0, 1], labels=[0, 1, 1], classes=["a", "b"])
    >>> [text.get_text() for text in by_cluster.get_legend().get_texts()]
    ['0 (2)', '1 (1)']
    >>> image = plots.to_png(by_class)  # closes the figure
    """
    points, faults = _read_points(embedding)
    numbers, number_faults = check_clusters(getattr(clusters, "labels", clusters))
    ids, label_faults = (None, []) if labels is None else check_labels(labels, len(classes) if classes else None)
    faults += number_faults + label_faults
    lengths = {"clusters": numbers, "labels": ids, "images": images}
    faults += [
        f"{name}: {len(given)} for {len(points)} points; give one per point"
        for name, given in lengths.items()
        if given is not None and len(given) != len(points)
    ]
    faults += _axes_faults(ax, ids is not None)
    if faults:
        raise DataError(HEADING, faults)
    drawn: list[tuple[str, Ints, Sequence[str] | None]] = [("cluster", numbers, None)]
    if ids is not None:
        drawn.append(("class", ids, classes))
    # Chosen and read before there is a figure that an unreadable image would leave behind.
    limits = _limits(points)
    side = SIDE * np.ptp(limits, axis=1)
    chosen = [[] if images is None else choose_thumbnails(HEADING, points, each, images, side) for _, each, _ in drawn]
    panels = _panels(ax, len(drawn))
    for panel, (title, each, names), thumbnails in zip(panels, drawn, chosen, strict=True):
        draw_points(panel, points, each, names)
        for thumbnail in thumbnails:
            draw_thumbnail(panel, thumbnail)
        legend_beside(panel, title)
        panel.set(box_aspect=1, xlim=limits[0], ylim=limits[1])
        finish(panel, f"By {title}", *_axis_labels(embedding))
    return panels[0] if ids is None else (panels[0], panels[1])


def _read_points(embedding: ArrayLike | pd.DataFrame) -> tuple[Floats, list[str]]:
    points = np.asarray(embedding, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        return np.zeros((len(np.atleast_1d(points)), 2)), [
            f"embedding: shape {points.shape} is not (n, 2) with n above 0"
        ]
    broken: NDArray[np.bool_] = ~np.isfinite(points).min(axis=1)
    return points, [f"embedding: NaN or infinite in {rows_of(broken)}"] if broken.any() else []


def _limits(points: Floats) -> Floats:
    """Ends of x and of y (2, 2), with room for the half of a thumbnail around the outermost points."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.where(high > low, (high - low) * SIDE / (1 - SIDE) / 2, 1.0)
    return np.stack([low - 1.1 * room, high + 1.1 * room], axis=1)


def _axis_labels(embedding: ArrayLike | pd.DataFrame) -> list[str]:
    facts = embedding.attrs if isinstance(embedding, pd.DataFrame) else {}
    if "explained_variance" in facts:
        return component_labels(facts["explained_variance"])
    method = METHODS.get(facts.get("method", ""))
    return [f"{method} 1", f"{method} 2"] if method else ["x", "y"]


def _axes_faults(ax: Axes | Sequence[Axes] | None, are_two: bool) -> list[str]:
    given = len(np.atleast_1d(np.array(ax, dtype=object)))
    if ax is None or given == 1 + are_two:
        return []
    return [f"ax: {given} given; {'two are needed, by cluster and by class' if are_two else 'one is needed'}"]


def _panels(ax: Axes | Sequence[Axes] | None, count: int) -> list[Axes]:
    if ax is not None:
        return list(np.atleast_1d(np.array(ax, dtype=object)))
    if count == 1:
        return [axes_for(None, 5.4, 4.0)]
    from matplotlib import pyplot as plt

    _, made = plt.subplots(1, count, figsize=(5.4 * count, 4.0), layout="constrained")
    return list(made)
