"""The reliability diagram: probabilities against frequencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.metrics import calibration_error, reliability_table
from tumorkeras.plots.style import COLORS, GREY, MARKERS, axes_for, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST = 160  # area in points of the marker with the most samples
SMALLEST = 12


def reliability(
    labels: ArrayLike,
    probabilities: ArrayLike,
    scaled: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    bins: int = 10,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often what a model calls likely is so.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Class ids.
    probabilities : array-like of float, shape (n, k) or (n,)
        Rows that sum to 1; or, for two classes, the probability of class 1. Of more classes the most probable one is
        drawn.
    scaled : array-like of float, optional
        The same after temperature scaling, drawn beside.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample, for the interval of the calibration error.
    bins : int, default 10
        Of one width.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        A marker a bin that has a sample, its area by their number, with the Wilson interval of the frequency; the
        expected calibration error with its interval is in the legend; the diagonal, where both are the same.

    Raises
    ------
    DataError
        For what :func:`tumorkeras.metrics.calibration_error` refuses.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> ax = plots.reliability([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> ax.get_xlabel(), ax.get_title(loc="left")
    ('probability of class 1', 'Reliability, n = 4')
    >>> image = plots.to_png(ax)  # closes the figure

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017.
    """
    drawn = {"as they are": probabilities} if scaled is None else {"as they are": probabilities, "scaled": scaled}
    tables = {name: reliability_table(labels, values, bins=bins) for name, values in drawn.items()}
    errors = {name: calibration_error(labels, values, groups=groups, bins=bins) for name, values in drawn.items()}
    ax = axes_for(ax, 6.4, 4.0)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=":", label="as often as said", zorder=1)
    for place, (name, table) in enumerate(tables.items()):
        _draw(ax, table, f"{name}\n{_in_words(errors[name])}", place)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_aspect("equal")
    legend_beside(ax, "probabilities", markerscale=0.7)
    of_two = np.ndim(probabilities) == 1 or np.shape(probabilities)[1] == 2
    said = f"probability of {'class 1' if of_two else 'the class that is called'}"
    so = f"share {'of class 1' if of_two else 'that is called right'}"
    return finish(ax, f"Reliability, n = {np.size(labels)}", said, so, grid="both")


def _draw(ax: Axes, table: pd.DataFrame, label: str, place: int) -> None:
    color = COLORS[place]
    reach = [table["frequency"] - table["frequency_low"], table["frequency_high"] - table["frequency"]]
    across, up = table["probability"], table["frequency"]
    ax.errorbar(across, up, yerr=reach, fmt="none", ecolor=color, elinewidth=1.0, capsize=2, alpha=0.7)
    ax.plot(across, up, color=color, linewidth=1.0, alpha=0.6)
    sizes = SMALLEST + (LARGEST - SMALLEST) * table["count"] / table["count"].max()
    ax.scatter(across, up, s=sizes, color=color, marker=MARKERS[place], label=label, zorder=3, clip_on=False)


def _in_words(errors: pd.DataFrame) -> str:
    value, low, high = errors.to_numpy("float64")[0, :3]  # the first row is ECE
    interval = "" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]"  # of a single group there is none
    return f"ECE {value:.3f}{interval}"
