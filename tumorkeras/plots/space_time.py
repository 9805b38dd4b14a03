"""Paths of cells in space and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.plots.images import checked_tracks, evenly
from tumorkeras.plots.style import GREY, INK, color_of, finish, legend_beside

if TYPE_CHECKING:
    from mpl_toolkits.mplot3d import Axes3D

HEADING = "plots.tracks_in_time"


def tracks_in_time(
    tracks: ArrayLike,
    labels: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    ax: Axes3D | None = None,
    per_class: int = 4,
) -> Axes3D:
    """Draw paths of cells in three dimensions, x and y on the floor and the frames upward.

    A cell that rests is a column, one that moves straight on a slope; below, on the floor, lies the path itself.

    Parameters
    ----------
    tracks, labels, classes
        As in :func:`tumorkeras.plots.tracks`.
    ax : mpl_toolkits.mplot3d.Axes3D, optional
        Where to draw: axes with ``projection="3d"``; a new figure without it.
    per_class : int, default 4
        Paths drawn of each class, evenly spread over its samples.

    Returns
    -------
    mpl_toolkits.mplot3d.Axes3D
        Two lines per path, in the order of the classes: the path, and its shadow on the floor.

    Raises
    ------
    DataError
        As :func:`tumorkeras.plots.tracks` does, and for axes of two dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> paths = np.random.default_rng(0).normal(size=(30, 50, 2)).cumsum(axis=1)
    >>> ax = plots.tracks_in_time(paths, np.arange(30) % 2, ["myoblast", "MuSC"], per_class=3)
    >>> len(ax.lines), ax.get_zlabel()
    (12, 'frame')
    >>> image = plots.to_png(ax)  # closes the figure
    """
    paths, ids, names = checked_tracks(HEADING, tracks, labels, classes, per_class)
    ax = _axes_for(ax)
    drawable = np.isfinite(paths[..., 0] + paths[..., 1]).any(axis=1)
    frames = np.arange(paths.shape[1])
    for kind in np.unique(ids):
        rows = np.flatnonzero((ids == kind) & drawable)
        shown = rows[evenly(len(rows), per_class)]
        of_all = f"({len(shown)} of {int((ids == kind).sum())})"
        label = f"{names[kind]} {of_all}" if names else f"paths {of_all}"
        for x, y in paths[shown].transpose(0, 2, 1):
            ax.plot(x, y, frames, color=color_of(kind), linewidth=1.1, alpha=0.85, label=label)
            ax.plot(x, y, np.zeros(len(frames)), color=color_of(kind), linewidth=0.6, alpha=0.25, label="_")
            label = "_"
    return _finished(ax, len(frames))


def _axes_for(ax: Axes3D | None) -> Axes3D:
    if ax is None:
        from matplotlib import pyplot as plt

        # Not constrained: that does not know how far the labels of three axes reach.
        return plt.figure(figsize=(6.4, 4.8)).add_subplot(projection="3d")
    if ax.name != "3d":
        raise DataError(HEADING, ['ax: is of two dimensions; make it with add_subplot(projection="3d")'])
    return ax


def _finished(ax: Axes3D, frames: int) -> Axes3D:
    ax.set_zlim(0, max(1, frames - 1))
    ax.set_zlabel("frame", fontsize=9.5, color=INK)
    ax.view_init(elev=18, azim=-60)
    ax.set_box_aspect((1, 1, 1.15), zoom=1.05)
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color(GREY)
        axis._axinfo["grid"].update(color="#E6E6E6", linewidth=0.7)
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    legend_beside(ax)
    return finish(ax, "Tracks in space and time", "x", "y")
