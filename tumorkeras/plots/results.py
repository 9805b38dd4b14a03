"""Plots of what comes out: confusion, ROC, comparison of methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.metrics import roc_points, weighted_auc
from tumorkeras.metrics.checks import check_predictions
from tumorkeras.plots.style import COLORS, DASHES, GREY, INK, axes_for, color_of, finish, legend_beside
from tumorkeras.plots.tables import numeric_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion(matrix: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: counts, shaded by the share of the true class.

    Parameters
    ----------
    matrix : DataFrame, shape (k, k)
        Counts; rows are the true classes, columns the predicted ones, as from
        :func:`tumorkeras.metrics.confusion_matrix`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        With one image of the shares and, up to 20 classes, a text a cell. A class without samples has no
        shade.

    Raises
    ------
    DataError
        For a table that is empty, not square, negative or NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> from tumorkeras import plots
    >>> ax = plots.confusion(pd.DataFrame([[8, 2], [1, 9]], ["normal", "tumor"], ["normal", "tumor"]))
    >>> [text.get_text() for text in ax.texts]
    ['8\\n80 %', '2\\n20 %', '1\\n10 %', '9\\n90 %']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    k = len(matrix)
    if k == 0 or matrix.shape != (k, k):
        raise DataError("plots.confusion", [f"matrix: shape {matrix.shape} is not (k, k) with k > 0"])
    counts = numeric_columns("plots.confusion", matrix, list(matrix.columns)).to_numpy()
    if not (counts >= 0).all():
        raise DataError("plots.confusion", ["matrix: counts must be 0 or more; found NaN or below 0"])
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    side = min(9.0, 2.2 + 0.62 * k)
    ax = axes_for(ax, side, side)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if k <= 20:
        _write_cells(ax, counts, shares)
    _name_cells(ax, [str(name) for name in matrix.index], [str(name) for name in matrix.columns])
    return finish(ax, f"Confusion, n = {counts.sum():g}", "predicted", "actual")


def _write_cells(ax: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    with_share, size = len(counts) <= 8, 9 if len(counts) <= 8 else 7
    for (row, column), share in np.ndenumerate(shares):
        text = f"{counts[row, column]:g}"
        if with_share and np.isfinite(share):
            text += f"\n{100 * share:.0f} %"
        color = "white" if share > 0.55 else INK
        ax.text(column, row, text, ha="center", va="center", fontsize=size, color=color)


def _name_cells(ax: Axes, rows: list[str], columns: list[str]) -> None:
    ax.set_yticks(range(len(rows)), rows)
    slanted = max(map(len, columns)) > 9 or len(columns) > 12
    ax.set_xticks(range(len(columns)), columns, rotation=35 if slanted else 0, ha="right" if slanted else "center")
    if slanted:
        for label in ax.get_xticklabels():
            label.set_rotation_mode("anchor")


def roc(
    labels: ArrayLike, probabilities: ArrayLike, classes: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the ROC curve of class 1, or with more than two classes that of each against the rest.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Class ids.
    probabilities : array-like of float, shape (n, k) or (n,)
        Rows that sum to 1; or, for two classes, the probability of class 1.
    classes : sequence of str, optional
        Class names; the ids stand in for them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        A line a curve, its area in the legend, and the diagonal of chance last. A class without samples has
        an empty line; the legend says so.

    Raises
    ------
    DataError
        For what :func:`tumorkeras.metrics.classification_metrics` refuses, and where only one class occurs.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> ax = plots.roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], ["normal", "tumor"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['tumor, AUC 0.750', 'chance']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    ids, table, names = check_predictions("plots.roc", labels, probabilities, classes)
    if len(np.unique(ids)) < 2:
        raise DataError("plots.roc", [f"labels: all are {names[ids[0]]}; a curve needs at least two classes"])
    ax = axes_for(ax, 6.0, 4.0)
    for class_id in [1] if len(names) == 2 else range(len(names)):
        positive, scores = ids == class_id, table[:, class_id]
        rates = np.full((1, 2), np.nan)
        label = f"{names[class_id]}: no samples"
        if positive.any():
            rates = roc_points(positive, np.clip(scores, 0, 1)).to_numpy()[:, 1:]
            label = f"{names[class_id]}, AUC {weighted_auc(positive, scores)[0]:.3f}"
        dashes = DASHES[class_id % len(DASHES)] if len(names) > 2 else "solid"
        color = color_of(class_id if len(names) > 2 else 0)
        ax.plot(rates[:, 0], rates[:, 1], color=color, linestyle=dashes, linewidth=1.6, label=label, clip_on=False)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=":", label="chance", zorder=1)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    legend_beside(ax, "class against the rest" if len(names) > 2 else None)
    title = f"ROC, n = {len(ids)}"
    return finish(ax, title, "1 - specificity (false positive rate)", "sensitivity", grid="both")


def comparison(
    table: pd.DataFrame,
    metric: str = "accuracy",
    ax: Axes | None = None,
    baselines: Sequence[str] = ("majority", "trivial"),
) -> Axes:
    """Draw methods below each other, best first, by a metric with its interval.

    Parameters
    ----------
    table : DataFrame
        One row per method: columns `method`, `metric`, `metric` + ``_low`` and `metric` + ``_high``, and `features`
        where a method has several rows. NaN ends draw no interval; a NaN metric is written "undefined" and comes
        last. The axis names the interval by ``table.attrs["confidence"]``, or 0.95 where that is missing.
    metric : str, default "accuracy"
        Higher is better.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    baselines : sequence of str, default ("majority", "trivial")
        The methods drawn in grey, also where one of them is the best.

    Returns
    -------
    matplotlib.axes.Axes
        One errorbar per method, from the top down, with its figures at the right. The best has a diamond and bold
        text; it is coloured unless it is a baseline.

    Raises
    ------
    DataError
        For missing columns, no methods, no finite metric, or an interval upside down.

    Examples
    --------
    >>> import pandas as pd
    >>> from tumorkeras import plots
    >>> table = pd.DataFrame(
    ...     [["majority", 0.5, 0.4, 0.6], ["cnn", 0.9, 0.8, 1.0]],
    ...     columns=["method", "accuracy", "accuracy_low", "accuracy_high"],
    ... )
    >>> ax = plots.comparison(table)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['cnn', 'majority']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    rows = _checked_comparison(table, metric)
    ax = axes_for(ax, 7.2, 1.3 + 0.36 * len(rows))
    for place, (method, _, value, low, high) in enumerate(rows.itertuples(index=False)):
        best, color = place == 0, _color_of_method(place, method, baselines)
        note = "undefined"
        if np.isfinite(value):
            reach = np.maximum(np.nan_to_num([[value - low], [high - value]]), 0)  # rounding may put an end inside
            marker, size = ("D", 7) if best else ("o", 5)
            ax.errorbar([value], [place], xerr=reach, color=color, marker=marker, ms=size, capsize=3, lw=1.5)
            note = f"{value:.3f}" + (f"  [{low:.3f}, {high:.3f}]" if np.isfinite([low, high]).all() else "")
        text = ax.text(1.02, place, note, transform=ax.get_yaxis_transform(), va="center", color=color)
        text.set(fontsize=8.5, fontweight="bold" if best else "normal")
    ax.set_yticks(range(len(rows)), rows["label"].tolist())
    ax.set_ylim(len(rows) - 0.4, -0.6)
    name, confidence = metric.replace("_", " "), table.attrs.get("confidence", 0.95)
    ax = finish(ax, f"Methods by {name}", f"{name}, {100 * confidence:g} % interval", grid="x")
    for place, label in enumerate(ax.get_yticklabels()):
        label.set_color(_color_of_method(place, rows["method"].iloc[place], baselines))
        label.set_fontweight("bold" if place == 0 else "normal")
    ax.tick_params(axis="y", length=0)
    return ax


def labels_of(table: pd.DataFrame) -> list[str]:
    """Names of the rows of a comparison: the method, and what it reads where it has several rows.

    Examples
    --------
    >>> labels_of(pd.DataFrame({"method": ["ann", "ann", "cnn"], "features": ["a", "b", "volumes"]}))
    ['ann (a)', 'ann (b)', 'cnn']
    """
    several = table["method"].duplicated(keep=False)
    names = table["method"].astype(str)
    return names.where(~several, names + " (" + table.get("features", names).astype(str) + ")").tolist()


def _color_of_method(place: int, method: str, baselines: Sequence[str]) -> str:
    # A baseline keeps its grey when it wins: that nothing beats it is what the reader must see.
    return GREY if method in baselines else COLORS[0] if place == 0 else INK


def _checked_comparison(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Columns method, label, value, low, high; the best first, undefined ones last."""
    heading, columns = "plots.comparison", [metric, f"{metric}_low", f"{metric}_high"]
    if "method" not in table:
        raise DataError(heading, [f"table: no column 'method'; found {', '.join(map(str, table.columns))}"])
    rows = numeric_columns(heading, table, columns).set_axis(["value", "low", "high"], axis=1)
    rows.insert(0, "method", table["method"].to_numpy())
    rows.insert(1, "label", labels_of(table))
    if not np.isfinite(rows["value"]).any():
        raise DataError(heading, [f"table: no finite {metric} in any row"])
    upside_down = (rows["low"] > rows["value"] + 1e-9) | (rows["high"] < rows["value"] - 1e-9)
    if upside_down.any():
        names = ", ".join(rows.loc[upside_down, "label"])
        raise DataError(heading, [f"table: {metric} outside its own interval for {names}"])
    return rows.sort_values("value", ascending=False, kind="stable")
