"""Tiles of a large image: where they lie, which objects each shows, and which places some tile sees whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.boxes import Boxes, clip
from tumorkeras.errors import DataError

Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class TileGrid:
    """The tiles of one image, row by row; all of one size, none sticks out of the image.

    Made by :func:`tile_grid`. Tiles have numbers from 0: all of the first row, then those of the next.

    Parameters
    ----------
    size : tuple of int
        (height, width) of the image in pixels.
    tile : tuple of int
        (height, width) of every tile.
    tops, lefts : ndarray of int64
        First row of pixels of each row of tiles, and first column of each column; they grow.
    """

    size: tuple[int, int]
    tile: tuple[int, int]
    tops: Whole
    lefts: Whole

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    @property
    def corners(self) -> Whole:
        """The tiles as boxes (tiles, 4), xyxy in pixels of the image, int64."""
        top, left = (axis.ravel() for axis in np.meshgrid(self.tops, self.lefts, indexing="ij"))
        return np.stack([left, top, left + self.tile[1], top + self.tile[0]], axis=-1)

    def inner_edges(self, tiles: ArrayLike) -> Boxes:
        """The edges of some tiles as (n, 4), xyxy, float32; infinite where the edge is that of the image.

        Examples
        --------
        >>> tile_grid((8, 14), tile=(8, 8), overlap=2).inner_edges([0, 1]).tolist()
        [[-inf, -inf, 8.0, inf], [6.0, -inf, inf, inf]]
        """
        edges = self.corners[np.asarray(tiles, "int64")].astype("float32")
        height, width = self.size
        outer = edges == np.array([0, 0, width, height], "float32")
        return np.where(outer, np.array([-np.inf, -np.inf, np.inf, np.inf], "float32"), edges)

    def sees_whole(self, boxes: ArrayLike, margin: ArrayLike = 0.0) -> Flags:
        """Whether some tile holds each box with a margin to those of its edges that are not the image's.

        Parameters
        ----------
        boxes : array-like, shape (n, 4)
            xyxy in pixels of the image, inside it.
        margin : array-like, shape () or (n, 2)
            Pixels, to the left and right and above and below.

        Returns
        -------
        ndarray of bool, shape (n,)

        Examples
        --------
        >>> tile_grid((8, 14), tile=(8, 8), overlap=2).sees_whole([[0, 0, 8, 8], [5, 0, 9, 8]]).tolist()
        [True, False]
        """
        corners = np.asarray(boxes, "float64").reshape(-1, 4)
        around = np.asarray(margin, "float64")
        low, high = corners[:, :2] - around, corners[:, 2:] + around
        held = [
            _tiles_around(low[:, axis], high[:, axis], starts, length)
            for axis, starts, length in ((0, self.lefts, self.tile[1]), (1, self.tops, self.tile[0]))
        ]
        return held[0] & held[1]

    def cut(self, boxes: ArrayLike, visible: float = 0.5) -> tuple[Whole, Whole, Boxes]:
        """The objects of each tile, cut at its edges.

        An object belongs to every tile that shows at least the share ``visible`` of its area in the image. One that
        no tile shows so much of belongs to the tile that shows most (or to several that show the same): none is lost
        but those that have no area inside the image. What a tile shows of other objects has no box there.

        Parameters
        ----------
        boxes : array-like, shape (n, 4)
            xyxy in pixels of the image.
        visible : float
            Above 0, to 1.

        Returns
        -------
        tiles : ndarray of int64, shape (m,)
            The tile of each object that is shown, in order.
        objects : ndarray of int64, shape (m,)
            Its number among ``boxes``.
        cut : ndarray of float32, shape (m, 4)
            xyxy in pixels of the tile.

        Examples
        --------
        >>> grid = tile_grid((8, 14), tile=(8, 8), overlap=2)
        >>> tiles, objects, cut = grid.cut([[1, 2, 4, 5], [5, 0, 9, 4]])
        >>> tiles.tolist(), objects.tolist(), cut.tolist()
        ([0, 0, 1], [0, 1, 1], [[1.0, 2.0, 4.0, 5.0], [5.0, 0.0, 8.0, 4.0], [0.0, 0.0, 3.0, 4.0]])
        """
        inside = clip(np.asarray(boxes, "float64").reshape(-1, 4), self.size)
        across = _shares(inside[:, 0], inside[:, 2], self.lefts, self.tile[1])
        down = _shares(inside[:, 1], inside[:, 3], self.tops, self.tile[0])
        most = across.max(axis=0) * down.max(axis=0)
        enough = np.where(most > 0, np.minimum(most, visible), np.inf)
        found = []
        for row, share in enumerate(down):  # a row of tiles at a time: slides have many tiles and many objects
            columns, objects = np.nonzero(share * across >= enough)
            found.append((row * len(self.lefts) + columns, objects))
        tiles, objects = (np.concatenate(parts) for parts in zip(*found, strict=True))
        top, left = np.divmod(tiles, len(self.lefts))
        corner = np.stack([self.lefts[left], self.tops[top]], axis=-1)
        return tiles, objects, clip(inside[objects] - np.tile(corner, 2), self.tile)


def tile_grid(size: Sequence[int], tile: Sequence[int], overlap: int) -> TileGrid:
    """Cut an image into overlapping tiles that cover all of it.

    Neighbours share ``overlap`` pixels; the last of a row or column is moved inward, and shares more. So every box
    whose sides are at most ``overlap`` lies whole in some tile. Along an axis on which the image is no longer than a
    tile there is one tile, as long as the image.

    Parameters
    ----------
    size : sequence of int
        (height, width) of the image in pixels.
    tile : sequence of int
        (height, width) of a tile.
    overlap : int
        Pixels, from 0 to below the shorter side of a tile.

    Returns
    -------
    TileGrid

    Raises
    ------
    DataError
        Naming every argument that is out of its range.

    Examples
    --------
    >>> tile_grid((8, 20), tile=(8, 8), overlap=2).corners.tolist()
    [[0, 0, 8, 8], [6, 0, 14, 8], [12, 0, 20, 8]]
    >>> tile_grid((5, 9), tile=(8, 8), overlap=2).corners.tolist()
    [[0, 0, 8, 5], [1, 0, 9, 5]]
    """
    check_tiles(size, tile, overlap)
    height, width = map(index, size)
    down, across = min(height, index(tile[0])), min(width, index(tile[1]))
    tops, lefts = _starts(height, index(tile[0]), overlap), _starts(width, index(tile[1]), overlap)
    return TileGrid((height, width), (down, across), tops, lefts)


def check_tiles(size: Any, tile: Any, overlap: Any) -> None:
    """Name every argument of :func:`tile_grid` that is out of its range.

    Raises
    ------
    DataError

    Examples
    --------
    >>> check_tiles((8, 20), (8, 8), 8)
    Traceback (most recent call last):
    tumorkeras.errors.DataError: tiles: overlap: 8 is not below the shorter side of a tile, 8
    """
    faults = [
        f"{name}: {sides!r} is not (height, width), two positive integers"
        for name, sides in (("size", size), ("tile", tile))
        if not _are_sides(sides)
    ]
    if not _is_whole(overlap) or overlap < 0:
        faults.append(f"overlap: {overlap!r} is not an integer of 0 or more")
    elif not faults and overlap >= min(tile):
        faults.append(f"overlap: {overlap} is not below the shorter side of a tile, {min(tile)}")
    if faults:
        raise DataError("tiles", faults)


def _are_sides(sides: Any) -> bool:
    return isinstance(sides, Sequence | np.ndarray) and len(sides) == 2 and all(_is_whole(s) and s > 0 for s in sides)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _starts(length: int, tile: int, overlap: int) -> Whole:
    count = max(0, -(-(length - tile) // (tile - overlap)))
    return np.minimum(np.arange(count + 1) * (tile - overlap), max(0, length - tile))


def _tiles_around(low: NDArray[np.float64], high: NDArray[np.float64], starts: Whole, length: int) -> Flags:
    """Whether a tile of an axis holds each stretch; the first reaches back, and the last forward, without end."""
    ends = (starts + length).astype("float64")
    ends[-1] = np.inf
    first_that_ends_after = np.searchsorted(ends, high)
    last_that_starts_before = np.maximum(np.searchsorted(starts, low, side="right") - 1, 0)
    return first_that_ends_after <= last_that_starts_before


def _shares(low: Boxes, high: Boxes, starts: Whole, length: int) -> NDArray[np.float64]:
    """Share of each stretch in each tile of an axis, (tiles, n); 0 of a stretch without length."""
    ends = np.minimum(high, starts[:, None] + length, dtype="float64")
    shown = np.maximum(ends - np.maximum(low, starts[:, None], dtype="float64"), 0)
    whole = (high - low).astype("float64")
    return np.divide(shown, whole, out=np.zeros_like(shown), where=whole > 0)
