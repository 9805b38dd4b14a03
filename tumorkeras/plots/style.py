"""The look that all plots share, and the way out to a PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from tumorkeras.errors import DataError
from tumorkeras.palette import COLORS, color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "DASHES", "GREY", "INK", "MARKERS", "axes_for", "color_of", "finish", "legend_beside", "to_png"]

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # print without colour still tells classes apart
DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)))
GREY = "#8C8C8C"
INK = "#333333"


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """Give back `ax`, or the axes of a new figure of so many inches.

    Examples
    --------
    >>> ax = axes_for(None, 4.0, 3.0)
    >>> ax.figure.get_size_inches().tolist(), axes_for(ax, 1.0, 1.0) is ax
    ([4.0, 3.0], True)
    >>> image = to_png(ax)  # closes the figure
    """
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made


def finish(ax: Axes, title: str, xlabel: str = "", ylabel: str = "", *, grid: str | None = None) -> Axes:
    """Write title and labels and take away what a reader does not need.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    title, xlabel, ylabel : str
    grid : {"x", "y", "both"}, optional
        The direction of faint grid lines.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were given.

    Examples
    --------
    >>> ax = finish(axes_for(None, 4.0, 3.0), "Loss", "epoch", "loss", grid="y")
    >>> ax.get_title(loc="left"), ax.get_xlabel(), ax.spines["top"].get_visible()
    ('Loss', 'epoch', False)
    >>> image = to_png(ax)  # closes the figure
    """
    ax.set_title(title, loc="left", fontsize=11, color=INK)
    ax.set_xlabel(xlabel, fontsize=9.5, color=INK)
    ax.set_ylabel(ylabel, fontsize=9.5, color=INK)
    ax.tick_params(labelsize=8.5, colors=INK, length=3)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(GREY)
    if grid in ("x", "y", "both"):
        ax.grid(axis=grid, color="#E6E6E6", linewidth=0.7)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    return ax


def legend_beside(ax: Axes, title: str | None = None, markerscale: float = 1.0) -> None:
    """Put the legend right of the axes, where it hides no data; its markers are so many times as large as those drawn.

    Examples
    --------
    >>> ax = axes_for(None, 4.0, 3.0)
    >>> line = ax.plot([0, 1], [0, 1], label="chance")
    >>> legend_beside(ax, "curves")
    >>> ax.get_legend().get_title().get_text()
    'curves'
    >>> image = to_png(ax)  # closes the figure
    """
    legend = ax.legend(
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        fontsize=8.5,
        title=title,
        title_fontsize=8.5,
        alignment="left",
        labelcolor=INK,
        markerscale=markerscale,
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def to_png(figure: Axes | Figure, dpi: int = 144) -> bytes:
    """Encode a figure as PNG and close it.

    Parameters
    ----------
    figure : matplotlib.axes.Axes or matplotlib.figure.Figure
        A figure, or any axes on it.
    dpi : int, default 144
        Dots an inch.

    Returns
    -------
    bytes
        The file's content; the same figure gives the same bytes.

    Raises
    ------
    DataError
        For axes that are on no figure.

    Examples
    --------
    >>> import pandas as pd
    >>> from tumorkeras import plots
    >>> ax = plots.confusion(pd.DataFrame([[8, 2], [1, 9]]))
    >>> plots.to_png(ax)[1:4]
    b'PNG'
    """
    from matplotlib import pyplot as plt
    from matplotlib.axes import Axes

    whole = figure.get_figure(root=True) if isinstance(figure, Axes) else figure
    if whole is None:
        raise DataError("to_png", ["axes: on no figure; they may have been removed"])
    buffer = io.BytesIO()
    whole.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", facecolor="white", metadata={"Software": None})
    plt.close(whole)
    return buffer.getvalue()
