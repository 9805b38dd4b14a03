"""Which boxes the anchors of a detector meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.anchors import Anchors, best_iou
from tumorkeras.errors import DataError
from tumorkeras.plots.style import GREY, MARKERS, axes_for, color_of, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MET = 0.5  # IoU from which on an anchor learns a box


def anchors(
    boxes: ArrayLike, proposed: Anchors, canvas: tuple[int, int], iou: float = MET, ax: Axes | None = None
) -> Axes:
    """Draw the width and height of boxes, those that no anchor meets apart, and the shapes of the anchors.

    Parameters
    ----------
    boxes : array-like, shape (n, 4), n > 0
        xyxy in pixels of the canvas, each with an area.
    proposed : Anchors
        As in ``audit(spec).plan.anchors``, or :class:`tumorkeras.anchors.Anchors` of your own.
    canvas : tuple of int
        (height, width).
    iou : float, default 0.5
        From which on a placed anchor meets a box, above 0 and at most 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        With logarithmic axes.

    Raises
    ------
    DataError
        If the boxes are not (n, 4), there is none, one has no area, or ``iou`` is none.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> from tumorkeras.anchors import propose_anchors
    >>> boxes = [[4, 4, 36, 36], [64, 64, 128, 128], [9, 9, 25, 73], [0, 100, 250, 104]]
    >>> ax = plots.anchors(boxes, propose_anchors(boxes[:3], (256, 256)), (256, 256))
    >>> ax.get_title(loc="left")
    'Anchors meet 3 of 4 boxes (IoU 0.5)'
    >>> image = plots.to_png(ax)  # closes the figure
    """
    corners = _checked(boxes, iou)
    sides = corners[:, 2:] - corners[:, :2]
    met = best_iou(proposed, corners, canvas) >= iou
    ax = axes_for(ax, 6.4, 3.8)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    for name, chosen, color in (("box, met", met, GREY), ("box, not met", ~met, color_of(1))):
        if chosen.any():
            ax.scatter(
                sides[chosen, 0],
                sides[chosen, 1],
                s=12,
                alpha=0.6,
                color=color,
                marker=MARKERS[0],
                label=name,
                linewidths=0,
            )
    for level, (stride, shapes) in enumerate(zip(proposed.strides, proposed.shapes(), strict=True)):
        marker = MARKERS[1 + level % (len(MARKERS) - 1)]
        points = ax.scatter(shapes[:, 0], shapes[:, 1], s=42, marker=marker, label=f"anchor, stride {stride}")
        points.set(facecolor="none", edgecolor=color_of(0), linewidth=1.4)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
    legend_beside(ax)
    title = f"Anchors meet {met.sum():,} of {len(met):,} boxes (IoU {iou:g})"
    return finish(ax, title, "width [pixels of the canvas]", "height [pixels of the canvas]", grid="both")


def _checked(boxes: ArrayLike, iou: float) -> np.ndarray:
    corners = np.asarray(boxes, "float64")
    faults = []
    if corners.ndim != 2 or corners.shape[-1] != 4 or not len(corners):
        faults.append(f"boxes: have the shape {corners.shape}, expected (n, 4), n > 0")
    elif not (corners[:, 2:] > corners[:, :2]).all():  # nor are NaN
        row = int(np.flatnonzero(~(corners[:, 2:] > corners[:, :2]).all(axis=1))[0])
        faults.append(f"boxes: row {row} has no area: {corners[row].tolist()}")
    if not 0 < iou <= 1:
        faults.append(f"iou: {iou!r} found, expected more than 0 and at most 1")
    if faults:
        raise DataError("plots.anchors", faults)
    return corners
