"""Small pictures of samples upon their points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tumorkeras.plots.detection_images import flat_picture_of
from tumorkeras.plots.learning import point_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST = 9
APART = 1.15  # least distance of two thumbnails, in sides of one


class Thumbnail(NamedTuple):
    """A picture, the point that it lies upon, its room along x and y, and the colour of its frame."""

    picture: Floats
    middle: Floats
    room: Floats
    color: str


def choose_thumbnails(
    heading: str, points: Floats, ids: Ints, images: Sequence[ArrayLike] | NDArray, room: Floats
) -> list[Thumbnail]:
    """Nine samples at most, none upon another: first that nearest to the middle of each id, then others by chance.

    Each takes the same room along x and y (2,), in units of the points.

    Raises
    ------
    DataError
        Under `heading`, for an image of another shape; only those that are chosen are read.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]])
    >>> chosen = choose_thumbnails("plot", points, np.array([0, 0, -1]), np.zeros((3, 4, 4)), np.ones(2))
    >>> [thumbnail.middle.tolist() for thumbnail in chosen]
    [[0.0, 0.0], [9.0, 9.0]]
    """
    scaled = points / room
    chosen = _apart(scaled, _order(scaled, ids), APART)
    pictures = {row: flat_picture_of(heading, f"images: image {row}", images[row]) for row in chosen}
    return [Thumbnail(own, points[row], room, point_color(ids[row])) for row, own in pictures.items()]


def _order(points: Floats, ids: Ints) -> Ints:
    """Who gets a thumbnail first: the sample nearest to the middle of each id, then others by chance, by turns."""
    middles = []
    for number in np.unique(ids[ids >= 0]):
        rows = np.flatnonzero(ids == number)
        middles.append(rows[((points[rows] - points[rows].mean(axis=0)) ** 2).sum(axis=1).argmin()])
    others = np.random.default_rng(0).permutation(len(points))
    turns = pd.Series(others).groupby(ids[others]).cumcount()
    return np.array([*middles, *others[np.argsort(turns, kind="stable")]], np.int64)


def _apart(points: Floats, order: Ints, least: float) -> list[int]:
    """Rows in order, without those whose square would lie upon that of one before."""
    chosen: list[int] = []
    for row in order:
        if len(chosen) == MOST:
            break
        if not chosen or np.abs(points[chosen] - points[row]).max(axis=1).min() >= least:
            chosen.append(int(row))
    return chosen


def draw_thumbnail(ax: Axes, thumbnail: Thumbnail) -> None:
    """Draw a thumbnail upon its point."""
    from matplotlib.patches import Rectangle

    height, width = thumbnail.picture.shape[:2]
    width, height = thumbnail.room * [width, height] / max(width, height)
    left, bottom = thumbnail.middle - np.array([width, height]) / 2
    extent = (left, left + width, bottom, bottom + height)
    ax.imshow(thumbnail.picture, cmap="gray", vmin=0, vmax=1, extent=extent, aspect="auto", zorder=3)
    frame = Rectangle((left, bottom), width, height, fill=False, edgecolor=thumbnail.color, linewidth=1.5, zorder=4)
    ax.add_patch(frame)
