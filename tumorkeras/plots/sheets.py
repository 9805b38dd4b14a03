"""Many small pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_labels
from tumorkeras.palette import color_of
from tumorkeras.plots.detection_images import bare, flat_picture_of, show
from tumorkeras.plots.images import evenly
from tumorkeras.plots.style import axes_for, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADING = "plots.contact_sheet"
GAP = 0.12  # between pictures, each in a square of side 1
STEP = 1 + GAP
INCHES = 0.95  # a picture

Floats = NDArray[np.float64]


def contact_sheet(
    images: Sequence[ArrayLike] | NDArray,
    labels: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    ax: Axes | None = None,
    count: int = 24,
    columns: int = 8,
) -> Axes:
    """Draw a few of many images side by side, each in a frame of its class's colour.

    Parameters
    ----------
    images : sequence of array-like, n > 0
        Each (height, width), (height, width, 1) or (height, width, 3), of any size, uint8 or float; a volume (depth,
        height, width, channels) is drawn by its maximum along the depth, the mean of other channels than 1 or 3. Only
        those that are drawn are read.
    labels : array-like of int, shape (n,), optional
        Class ids.
    classes : sequence of str, optional
        Class names; the ids stand in for them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    count : int, default 24
        Images drawn, evenly spread over all, or over those of each class.
    columns : int, default 8
        Images a row.

    Returns
    -------
    matplotlib.axes.Axes
        An image a picture, in the order of the classes.

    Raises
    ------
    DataError
        For no images, one of another shape, labels that do not fit, or a count that is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> cells = np.random.default_rng(0).random((40, 16, 16, 1))
    >>> ax = plots.contact_sheet(cells, np.arange(40) % 2, ["myoblast", "MuSC"], count=6)
    >>> len(ax.images), [text.get_text() for text in ax.get_legend().get_texts()]
    (6, ['myoblast (3 of 20)', 'MuSC (3 of 20)'])
    >>> image = plots.to_png(ax)  # closes the figure
    """
    ids, names = _checked(images, labels, classes, count, columns)
    rows = _chosen(ids, count)
    across, down = min(columns, len(rows)), -(-len(rows) // columns)
    ax = axes_for(ax, max(3.0, across * INCHES + (1.6 if names else 0)), down * INCHES + 0.5)
    framed: set[int] = set()
    for place, row in enumerate(rows.tolist()):
        kind = int(ids[row])
        picture = flat_picture_of(HEADING, f"image {row}", images[row])
        box = _draw(ax, picture, place % across * STEP, place // across * STEP)
        if names:
            of_all = f"({(ids[rows] == kind).sum()} of {(ids == kind).sum()})"
            _frame(ax, box, kind, "_" if kind in framed else f"{names[kind]} {of_all}")
            framed.add(kind)
    ax.set(xlim=(-GAP, across * STEP), ylim=(down * STEP, -GAP), aspect="equal")
    if names:
        legend_beside(ax)
    return bare(finish(ax, f"Contact sheet: {len(rows)} of {len(ids)}"))


def _checked(
    images: Sequence[ArrayLike] | NDArray,
    labels: ArrayLike | None,
    classes: Sequence[str] | None,
    count: int,
    columns: int,
) -> tuple[NDArray[np.int64], list[str]]:
    """The class of each image, and their names; no name where no class is given."""
    wrong = {"count": count, "columns": columns}
    faults = [f"{name}: {value} is not a positive integer" for name, value in wrong.items() if value < 1]
    faults += ["images: none; give at least one"] if not len(images) else []
    ids = np.zeros(len(images), np.int64)
    if labels is not None:
        ids, label_faults = check_labels(labels, len(classes) if classes else None)
        faults += label_faults
        if len(ids) != len(images):
            faults.append(f"labels: {len(ids)} for {len(images)} images; give one per image")
    if faults:
        raise DataError(HEADING, faults)
    if labels is None:
        return ids, []
    return ids, [str(name) for name in classes or range(int(ids.max()) + 1)]


def _chosen(ids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Rows evenly spread over each class, as many of one as of another, in the order of the classes."""
    kinds = np.unique(ids)
    shares = [count // len(kinds) + (place < count % len(kinds)) for place in range(len(kinds))]
    own = [np.flatnonzero(ids == kind) for kind in kinds]
    return np.concatenate([rows[evenly(len(rows), share)] for rows, share in zip(own, shares, strict=True) if share])


def _draw(ax: Axes, picture: Floats, left: float, top: float) -> tuple[float, float, float, float]:
    """Draw a picture in the middle of a square of side 1, and give back its (left, top, width, height)."""
    height, width = (side / max(picture.shape[:2]) for side in picture.shape[:2])
    left, top = left + (1 - width) / 2, top + (1 - height) / 2
    show(ax, picture, (left, left + width, top + height, top))
    return left, top, width, height


def _frame(ax: Axes, box: tuple[float, float, float, float], kind: int, label: str) -> None:
    from matplotlib.patches import Rectangle

    left, top, width, height = box
    color = color_of(kind)
    ax.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=color, linewidth=2, label=label))
