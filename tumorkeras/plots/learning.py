"""Plots of how a model learned and what it learned: learning curves, embedding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.curves import falls
from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_labels, rows_of
from tumorkeras.plots.style import COLORS, DASHES, GREY, INK, MARKERS, axes_for, color_of, finish, legend_beside
from tumorkeras.plots.tables import numeric_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning_curves(history: pd.DataFrame, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """Draw a metric over the epochs, for training and validation, and mark the best epoch.

    Parameters
    ----------
    history : DataFrame
        A row an epoch: columns `epoch`, `metric` and, where there was a validation part, ``val_`` + `metric`.
        NaN is a gap.
    metric : str, default "loss"
        Lower is better where its name holds "loss", "error", "mae" or "mse", else higher is.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        A line for training, one for validation, and a ring at the best validation epoch.

    Raises
    ------
    DataError
        For missing columns, no epochs, or no finite value.

    Examples
    --------
    >>> import pandas as pd
    >>> from tumorkeras import plots
    >>> history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [0.9, 0.5, 0.3], "val_loss": [0.9, 0.6, 0.7]})
    >>> ax = plots.learning_curves(history)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['training', 'validation', 'best: 0.6 at epoch 2']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    parts = {"training": metric, "validation": f"val_{metric}"}
    parts = {name: column for name, column in parts.items() if column in history or name == "training"}
    values = numeric_columns("plots.learning_curves", history, ["epoch", *parts.values()])
    if not np.isfinite(values[list(parts.values())].to_numpy()).any():
        raise DataError("plots.learning_curves", [f"history: no finite {metric} in any epoch"])
    from matplotlib.ticker import MaxNLocator

    ax = axes_for(ax, 5.6, 3.4)
    marker = "." if len(values) <= 30 else ""
    for index, (name, column) in enumerate(parts.items()):
        finite = values[column].where(np.isfinite(values[column]))
        ax.plot(values["epoch"], finite, color=COLORS[index], linestyle=DASHES[index], marker=marker, label=name)
    if "validation" in parts:
        _mark_best(ax, values["epoch"], values[parts["validation"]], metric)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    legend_beside(ax)
    return finish(ax, f"{metric.replace('_', ' ').capitalize()} by epoch", "epoch", metric.replace("_", " "), grid="y")


def _mark_best(ax: Axes, epochs: pd.Series, values: pd.Series, metric: str) -> None:
    finite = values[np.isfinite(values)]
    if finite.empty:
        return
    row = finite.idxmin() if falls(metric) else finite.idxmax()
    label = f"best: {finite[row]:.3g} at epoch {epochs[row]:g}"
    ax.scatter(
        [epochs[row]],
        [finite[row]],
        s=70,
        facecolors="none",
        edgecolors=INK,
        linewidths=1.3,
        zorder=4,
        label=label,
    )


def embedding(
    features: ArrayLike, labels: ArrayLike, classes: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw features on their first two principal components, in a colour and a marker a class.

    Parameters
    ----------
    features : array-like of float, shape (n, k)
        At least three samples of at least two features.
    labels : array-like of int, shape (n,)
        Class ids.
    classes : sequence of str, optional
        Class names; the ids stand in for them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        One scatter per class; the axes say what share of the variance they show.

    Raises
    ------
    DataError
        For too few samples or features, NaN or infinite ones, features that do not vary, labels that do
        not fit.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> ax = plots.embedding([[0, 0, 1], [4, 0, 1], [0, 3, 1], [4, 3, 1]], [0, 1, 0, 1])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('PC 1 (64 % of variance)', 'PC 2 (36 % of variance)')
    >>> image = plots.to_png(ax)  # closes the figure
    """
    from sklearn.decomposition import PCA

    array = np.asarray(features, dtype=np.float64)
    ids, faults = check_labels(labels, len(classes) if classes else None)
    faults = _feature_faults(array) + faults
    if array.ndim == 2 and len(ids) != len(array):
        faults.append(f"labels: {len(ids)} for {len(array)} rows of features; give one per row")
    if faults:
        raise DataError("plots.embedding", faults)
    pca = PCA(n_components=2, random_state=0)
    points = pca.fit_transform(array)
    ax = axes_for(ax, 6.0, 4.2)
    draw_points(ax, points, ids, classes)
    legend_beside(ax)
    shares = component_labels(pca.explained_variance_ratio_)
    return finish(ax, f"Embedding, {array.shape[1]} features on two components", *shares)


def draw_points(ax: Axes, points: np.ndarray, ids: np.ndarray, names: Sequence[str] | None) -> None:
    """Scatter points (n, 2) in a colour and a marker an id, with their number in the legend; -1, noise, is grey.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_points(ax, np.eye(2), np.array([-1, 0]), ["a"])
    >>> ax.get_legend_handles_labels()[1]
    ['a (1)', 'noise (1)']
    """
    size = float(np.clip(6000 / len(points), 8, 36))
    found = np.unique(ids)
    for number in [*found[found >= 0], *found[found < 0]]:
        x, y = points[ids == number].T
        name = "noise" if number < 0 else str(names[number] if names else number)
        ax.scatter(
            x,
            y,
            s=size,
            color=point_color(number),
            marker=MARKERS[number % len(MARKERS)] if number >= 0 else ".",
            alpha=0.7,
            linewidths=0,
            label=f"{name} ({len(x)})",
        )


def point_color(number: int) -> str:
    """Colour of a class or cluster; of -1, noise, grey.

    Examples
    --------
    >>> point_color(0) == color_of(0), point_color(-1) == GREY
    (True, True)
    """
    return color_of(number) if number >= 0 else GREY


def component_labels(shares: Iterable[float]) -> list[str]:
    """What the axes of principal components say, by their shares of the variance.

    Examples
    --------
    >>> component_labels([0.64])
    ['PC 1 (64 % of variance)']
    """
    return [f"PC {number} ({100 * share:.0f} % of variance)" for number, share in enumerate(shares, 1)]


def _feature_faults(array: np.ndarray) -> list[str]:
    if array.ndim != 2 or len(array) < 3 or array.shape[1] < 2:
        return [f"features: shape {array.shape} is not (n, k) with n >= 3 and k >= 2"]
    broken = ~np.isfinite(array).all(axis=1)
    if broken.any():
        return [f"features: NaN or infinite in {rows_of(broken)}"]
    if (np.ptp(array, axis=0) == 0).all():
        return ["features: all rows are equal; there is nothing to spread out"]
    return []
