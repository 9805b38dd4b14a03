"""The tree of a feature selection as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tumorkeras.errors import DataError
from tumorkeras.plots.style import COLORS, GREY, INK, axes_for, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMES = 40
# In points, of a figure of its own: the larger side of the tree, a letter, a line; where a name goes, the best first.
HEIGHT, LETTER, LINE = 330.0, 4.8, 11.0
HEIGHTS = (13.0, -13.0, 24.0, -24.0)


def feature_tree(selector: Any, ax: Axes | None = None) -> Axes:
    """Draw the tree of relevant features: what hangs together, where it was cut, what is kept.

    Parameters
    ----------
    selector : tumorkeras.features.RelevanceTreeSelector
        Fitted.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        A dot a relevant feature, the larger the more relevant; kept ones are filled, and named if they are 40 at most.
        Lines join the features of a group, dotted ones were cut.

    Raises
    ------
    DataError
        If the selector is not fitted, or found no relevant feature.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> from tumorkeras.features import RelevanceTreeSelector
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 100)
    >>> speed = y + rng.normal(0, 0.5, 200)
    >>> table = pd.DataFrame({"speed": speed, "distance": 20 * speed, "turns": y + rng.normal(0, 0.5, 200)})
    >>> ax = plots.feature_tree(RelevanceTreeSelector().fit(table, y))
    >>> [text.get_text() for text in ax.texts]
    ['speed', 'turns']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    if not hasattr(selector, "tree_"):
        raise DataError("plots.feature_tree", ["selector: not fitted; call its fit first"])
    relevant = np.flatnonzero(selector.group_ >= 0)
    if not len(relevant):
        raise DataError("plots.feature_tree", ["selector: no feature is relevant, so there is no tree"])
    places = _places(selector.tree_, relevant)
    ax = axes_for(ax, 7.0, 5.6)
    for is_cut, style in ((True, {"color": GREY, "ls": ":", "lw": 0.9}), (False, {"color": INK, "ls": "-", "lw": 1.6})):
        edges = selector.tree_[selector.tree_["is_cut"] == is_cut]
        ends = np.array([[places[a], places[b]] for a, b in zip(edges["feature"], edges["other"], strict=True)])
        label = "cut" if is_cut else "alike: one group"
        if len(ends):
            lines = np.concatenate([ends, np.full((len(ends), 1, 2), np.nan)], axis=1).reshape(-1, 2)
            ax.plot(*lines.T, label=label, zorder=1, **style)  # type: ignore[arg-type]
    _draw_features(ax, selector, relevant, places)
    legend_beside(ax, markerscale=0.6)
    ax.set_aspect("equal")
    ax.margins(0.12)
    kept = int(selector.support_.sum())
    verb = "is" if kept == 1 else "are"
    finish(ax, f"{len(relevant)} of {len(selector.group_)} features are relevant, {kept} {verb} kept")
    ax.set(xticks=[], yticks=[])
    ax.set_axis_off()
    return ax


def _draw_features(ax: Axes, selector: Any, relevant: NDArray[np.intp], places: dict[int, NDArray]) -> None:
    sizes = 20 + 180 * selector.relevance_[relevant] / selector.relevance_[relevant].max()
    spots = np.stack([places[int(feature)] for feature in relevant])
    kept = selector.support_[relevant]
    for chosen, color, label in ((~kept, "white", "like a kept one"), (kept, COLORS[0], "kept")):
        if chosen.any():
            area = sizes[chosen]
            x, y = spots[chosen].T
            ax.scatter(x, y, area, c=color, edgecolors=COLORS[0], linewidths=1, label=label, zorder=2)
    if kept.sum() > MOST_NAMES:
        return
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    names = getattr(selector, "feature_names_in_", [f"x{k}" for k in range(len(selector.group_))])
    shown = [str(names[feature]) for feature in relevant[kept]]
    points = spots[kept] * HEIGHT / (np.ptp(spots, axis=0).max() or 1.0)
    for name, spot, up in zip(shown, spots[kept], _heights(points, shown), strict=True):
        text = ax.annotate(name, spot, (0, up), textcoords="offset points", fontsize=8, ha="center", va="center")
        text.set(color=INK, path_effects=halo)


def _heights(points: NDArray, names: list[str]) -> list[float]:
    """How far above its spot (n, 2) each name is written, in points, so that no two of them touch where that can be.

    Examples
    --------
    >>> _heights(np.array([[0.0, 0.0], [9.0, 1.0], [0.0, 90.0]]), ["speed", "turns", "path"])
    [-13.0, 13.0, 13.0]
    """
    heights = [HEIGHTS[0]] * len(names)
    taken: list[tuple[float, float, float]] = []  # middle and half of the width
    for row in np.argsort(-points[:, 1], kind="stable"):
        x, y = points[row]
        half = len(names[row]) * LETTER / 2
        for up in HEIGHTS:
            if all(abs(x - left) > half + other or abs(y + up - level) > LINE for left, level, other in taken):
                heights[row] = up
                break
        taken.append((x, y + heights[row], half))
    return heights


def _places(tree: pd.DataFrame, relevant: NDArray[np.intp]) -> dict[int, NDArray]:
    """Where each feature lies: as far from the middle as it has edges to it, each branch in a slice by its leaves."""
    order, parents = _from_the_middle(tree, relevant)
    leaves = np.zeros(len(relevant))
    for node in reversed(order):
        leaves[node] = max(leaves[node], 1)
        if parents[node] >= 0:
            leaves[parents[node]] += leaves[node]
    slices = np.zeros((len(relevant), 3))  # start and width as angles, and the distance
    slices[order[0]] = 0, 2 * np.pi, 0
    taken = np.zeros(len(relevant))
    for node in order[1:]:
        start, width, depth = slices[parents[node]]
        share = width * leaves[node] / leaves[parents[node]]
        slices[node] = start + taken[parents[node]], share, depth + 1
        taken[parents[node]] += share
    angles = slices[:, 0] + slices[:, 1] / 2
    spots = slices[:, [2]] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return dict(zip(relevant.tolist(), spots, strict=True))


def _from_the_middle(tree: pd.DataFrame, relevant: NDArray[np.intp]) -> tuple[NDArray, NDArray]:
    """The features, as places in ``relevant``, from the middle of the longest path outwards, and what each hangs on."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    ends = np.searchsorted(relevant, tree[["feature", "other"]].to_numpy())
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(relevant),) * 2).tocsr()

    def walk(start: int) -> tuple[NDArray, NDArray]:
        return breadth_first_order(graph, start, directed=False)

    one_end = walk(0)[0][-1]  # in a tree what lies farthest from anywhere is an end of a longest path
    order, parents = walk(one_end)
    path = [order[-1]]
    while path[-1] != one_end:
        path.append(parents[path[-1]])
    return walk(path[len(path) // 2])
