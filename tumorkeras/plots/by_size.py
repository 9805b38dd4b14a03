"""How a figure grows with the number of training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.errors import DataError
from tumorkeras.plots.style import DASHES, MARKERS, axes_for, color_of, finish, legend_beside
from tumorkeras.plots.tables import numeric_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADING = "plots.learning_by_size"
APART = 1.025  # factor between the sizes of neighbouring methods, so that their intervals stand side by side


def learning_by_size(table: pd.DataFrame, metric: str = "accuracy", ax: Axes | None = None) -> Axes:
    """Draw a metric over the number of training samples, a line with intervals for each method.

    Parameters
    ----------
    table : DataFrame
        A row a method and size: columns `method`, `size` (above 0), `metric`, `metric` + ``_low`` and `metric` +
        ``_high``. NaN ends draw no interval, a NaN metric is a gap. Methods are drawn in the order in which they come.
    metric : str, default "accuracy"
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        With a logarithmic axis of sizes, on which methods stand a little beside each other.

    Raises
    ------
    DataError
        For missing columns, no rows, a size that is not above 0, or two rows of a method and size.

    Examples
    --------
    >>> import pandas as pd
    >>> from tumorkeras import plots
    >>> columns = ["method", "size", "accuracy", "accuracy_low", "accuracy_high"]
    >>> table = pd.DataFrame([["random", 10, 0.6, 0.5, 0.7], ["random", 100, 0.9, 0.85, 0.95]], columns=columns)
    >>> ax = plots.learning_by_size(table)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['random']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    values = _checked(table, metric)
    sizes = np.unique(values["size"])
    methods = list(dict.fromkeys(values["method"]))
    ax = axes_for(ax, 6.4, 3.8)
    for index, name in enumerate(methods):
        own = values[values["method"] == name].sort_values("size")
        reach = np.abs(own[["low", "high"]].to_numpy() - own[["value"]].to_numpy()).T
        ax.errorbar(
            own["size"] * APART ** (index - (len(methods) - 1) / 2),
            own["value"],
            yerr=np.nan_to_num(reach),
            color=color_of(index),
            linestyle=DASHES[index % len(DASHES)],
            marker=MARKERS[index % len(MARKERS)],
            ms=4.5,
            lw=1.4,
            elinewidth=0.9,
            capsize=2,
            label=name,
        )
    ax.set_xscale("log")
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    legend_beside(ax)
    words = metric.replace("_", " ")
    words = words[:1].upper() + words[1:]
    return finish(ax, f"{words} by training samples", "training samples", metric.replace("_", " "), grid="y")


def _checked(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    names = {"size": "size", metric: "value", f"{metric}_low": "low", f"{metric}_high": "high"}
    values = numeric_columns(HEADING, table, list(names)).rename(columns=names)
    faults = [] if "method" in table else [f"no column 'method'; found {', '.join(map(str, table.columns))}"]
    if not (values["size"] > 0).all():
        faults.append("column 'size': holds values that are not above 0, which a logarithmic axis cannot show")
    if not faults:
        values["method"] = table["method"].astype(str).to_numpy()
        twice = values[values.duplicated(["method", "size"])]
        faults += [f"two rows of {row.method!r} and size {row.size:g}" for row in twice.itertuples(index=False)]
    if faults:
        raise DataError(HEADING, faults)
    return values
