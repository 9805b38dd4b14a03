"""Detections of overlapping tiles brought together: what the seams cut is whole again, and nothing is there twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tumorkeras.boxes import Boxes, iou
from tumorkeras.data.tiles import TileGrid

# What ends so near to an inner edge of its tile counts as cut by it: detectors do not end their boxes at the pixel.
TOUCH = 2.0  # pixels
NEAR = 0.1  # share of the side of the box, where that is more
AGREE = 0.5  # IoU from above which two views of a place show the same object
OUTWARD = np.array([-TOUCH, -TOUCH, TOUCH, TOUCH], "float32")

Rows = NDArray[np.int64]


class Found(NamedTuple):
    """Detections in an image.

    Attributes
    ----------
    boxes : ndarray of float32, shape (n, 4)
        xyxy in pixels of the image.
    scores : ndarray of float32, shape (n,)
    classes : ndarray of int32, shape (n,)
    """

    boxes: Boxes
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]

    def at(self, rows: NDArray) -> Found:
        """Some of them."""
        return Found(self.boxes[rows], self.scores[rows], self.classes[rows])


def together(parts: Iterable[Found]) -> Found:
    """All detections of several parts, one after the other.

    Examples
    --------
    >>> one = Found(np.zeros((1, 4), "float32"), np.ones(1, "float32"), np.zeros(1, "int32"))
    >>> together([one, one]).boxes.shape
    (2, 4)
    """
    boxes, scores, classes = zip(*parts, strict=True)
    return Found(np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes))


def merge_tiles(found: Found, tiles: Rows, grid: TileGrid, nms_iou: float = 0.5) -> Found:
    """The detections of an image from those of its tiles.

    A detection that ends within two pixels, or a tenth of its side, of an inner edge of its tile counts as cut. It is
    dropped where another tile sees the place whole, with as much around it. What is left are parts of objects larger
    than the overlap: each is dropped where it is what its tile could see of an object that another tile found whole;
    else parts that agree where both their tiles look become one box around all of them, with the best of their scores.
    Last, of two boxes of a class the weaker is dropped where they overlap too much.

    Parameters
    ----------
    found : Found
        Of all tiles.
    tiles : ndarray of int, shape (n,)
        The tile of each detection.
    grid : TileGrid
    nms_iou : float
        IoU above which the weaker of two boxes of a class is dropped.

    Returns
    -------
    Found
        Best first; of equal scores the one of the earlier tile.

    Examples
    --------
    >>> from tumorkeras.data.tiles import tile_grid
    >>> grid = tile_grid((8, 14), tile=(8, 8), overlap=2)
    >>> halves = Found(np.array([[3, 1, 8, 5], [6, 1, 11, 5.0]]), np.array([0.5, 0.75]), np.array([1, 1]))
    >>> merged = merge_tiles(halves, np.array([0, 1]), grid)
    >>> merged.boxes.tolist(), merged.scores.tolist(), merged.classes.tolist()
    ([[3.0, 1.0, 11.0, 5.0]], [0.75], [1])
    """
    edges = grid.inner_edges(tiles)
    margin = np.maximum(TOUCH, NEAR * (found.boxes[:, 2:] - found.boxes[:, :2]))
    is_cut = _ends_at(found.boxes, edges, margin).any(axis=1)
    stays = ~is_cut | ~grid.sees_whole(found.boxes, margin)
    sides = _ends_at(found.boxes, edges, TOUCH)
    views = grid.corners[tiles].astype("float32")
    merged = []
    for label in np.unique(found.classes[stays]):
        own = stays & (found.classes == label)
        whole, parts = own & ~is_cut, np.flatnonzero(own & is_cut)
        complete = found.at(whole)
        complete = complete.at(_distinct(complete, nms_iou))
        parts = parts[~_parts_of(complete.boxes, found.boxes[parts], views[parts])]
        joined = _joined(found.at(parts), views[parts], sides[parts])
        both = together([complete, joined])
        merged.append(both.at(_distinct(both, nms_iou)))
    if not merged:
        return found.at(np.arange(0))
    answer = together(merged)
    return answer.at(np.argsort(-answer.scores, kind="stable"))


def _ends_at(boxes: Boxes, edges: Boxes, margin: float | Boxes) -> NDArray[np.bool_]:
    """Which sides (n, 4) of each box are nearer than a margin to an inner edge of its tile."""
    corners = boxes.astype("float64")
    return np.concatenate([corners[:, :2] - margin < edges[:, :2], corners[:, 2:] + margin > edges[:, 2:]], axis=1)


def _meet(first: Boxes, second: Boxes) -> Boxes:
    """What two boxes share; without area where they share nothing."""
    return np.concatenate(
        [np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])], axis=-1
    )


def _overlap(first: Boxes, second: Boxes) -> NDArray[np.float32]:
    """IoU of each box with its counterpart, (n,)."""
    return iou(first[:, None], second[:, None])[:, 0, 0]


def _distinct(found: Found, nms_iou: float) -> Rows:
    """The detections of a class that stay once the weaker ones of those that overlap are gone; best first."""
    near, alive, kept = _Near(found.boxes), np.ones(len(found.boxes), dtype=bool), []
    for row in np.argsort(-found.scores, kind="stable"):
        if alive[row]:
            kept.append(row)
            rivals = near.to(found.boxes[row])
            rivals = rivals[alive[rivals]]
            alive[rivals[iou(found.boxes[row][None], found.boxes[rivals])[0] > nms_iou]] = False
    return np.array(kept, "int64")


def _parts_of(whole: Boxes, parts: Boxes, views: Boxes) -> NDArray[np.bool_]:
    """Whether each part is what its tile could see of some whole object."""
    near, known = _Near(whole), np.zeros(len(parts), dtype=bool)
    for row, (part, view) in enumerate(zip(parts, views, strict=True)):
        seen = _meet(whole[near.to(part)], view)
        known[row] = (iou(part[None], seen) > AGREE).any()
    return known


def _joined(parts: Found, views: Boxes, sides: NDArray[np.bool_]) -> Found:
    """One box around all the parts of an object."""
    count = len(parts.boxes)
    # Beyond the edge that cuts it an object goes on: so parts meet also where their tiles only touch.
    boxes = parts.boxes + np.where(sides, OUTWARD, np.float32(0))
    near = _Near(boxes)
    first, second = [np.empty(0, "int64")], [np.empty(0, "int64")]
    for row in range(count):
        others = near.to(boxes[row])
        others = others[(others > row) & (views[others] != views[row]).any(axis=1)]
        shared = _meet(views[row], views[others]) + OUTWARD
        same = others[_overlap(_meet(boxes[row], shared), _meet(boxes[others], shared)) > AGREE]
        first.append(np.full(len(same), row))
        second.append(same)
    rows, columns = np.concatenate(first), np.concatenate(second)
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    number, label = connected_components(links, directed=False) if count else (0, rows)
    around = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf], "float32"), (number, 1))
    scores = np.zeros(number, "float32")
    np.minimum.at(around[:, :2], label, parts.boxes[:, :2])
    np.maximum.at(around[:, 2:], label, parts.boxes[:, 2:])
    np.maximum.at(scores, label, parts.scores)
    return Found(around, scores, np.full(number, parts.classes[0] if count else 0, parts.classes.dtype))


class _Near:
    """Boxes in the order of their left sides, so that those near a box are found without a table of all pairs."""

    def __init__(self, boxes: Boxes) -> None:
        self._order = np.argsort(boxes[:, 0], kind="stable")
        self._boxes = boxes[self._order]
        self._widest = float((boxes[:, 2] - boxes[:, 0]).max(initial=0))

    def to(self, box: Boxes) -> Rows:
        """The boxes that meet a box, in the order of their rows."""
        start, stop = np.searchsorted(self._boxes[:, 0], [box[0] - self._widest, box[2]], side="left")
        some = self._boxes[start:stop]
        meets = (some[:, 2] > box[0]) & (some[:, 1] < box[3]) & (some[:, 3] > box[1])
        return np.sort(self._order[start:stop][meets])
