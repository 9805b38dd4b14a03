"""Anchors of a detector from the boxes that it will train on, and how many of those boxes any anchors can reach.

An anchor is a box of a given shape around the middle of a cell of a feature map; a map of stride ``s`` has
``ceil(height / s) x ceil(width / s)`` cells of ``s`` pixels. Sizes are square roots of areas, ratios height over width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MOST_CLUSTERED = 20_000  # boxes; more change no centre by a pixel
RESTARTS, ROUNDS = 5, 100
RATIOS = 3
MOST_SIZES = 3
ENOUGH = 0.99  # recall at which another size a level is not worth its cost
CELLS = 8  # an anchor is about so many strides wide: at half a stride beside a box its IoU is still 0.78


@dataclass(frozen=True)
class Anchors:
    """The anchors of a feature pyramid: on each level every size in every ratio.

    Parameters
    ----------
    strides : tuple of int
        Pixels of the canvas a cell, from the finest level to the coarsest.
    sizes : tuple of tuple of float
        Sizes (square roots of areas, in pixels of the canvas) of each level.
    ratios : tuple of float
        Height over width, the same on every level.

    Examples
    --------
    >>> Anchors((8,), ((32.0,),), (0.25, 1.0)).shapes()[0].tolist()
    [[64.0, 16.0], [32.0, 32.0]]
    """

    strides: tuple[int, ...]
    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...]

    def shapes(self) -> list[Floats]:
        """(width, height) of the anchors of a cell, an array (sizes x ratios, 2) a level."""
        roots = np.sqrt(np.asarray(self.ratios))
        return [
            np.concatenate([np.stack([size / roots, size * roots], axis=-1) for size in sizes]) for sizes in self.sizes
        ]


# What a Faster R-CNN with a feature pyramid starts from where nobody looked at the boxes.
DEFAULT_ANCHORS = Anchors((4, 8, 16, 32, 64), ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)), (0.5, 1.0, 2.0))


def best_iou(anchors: Anchors, boxes: ArrayLike, canvas: tuple[int, int]) -> Floats:
    """The IoU of each box with the placed anchor that fits it best.

    Exact, and without placing any: for one shape the overlap is largest in the cell whose middle is nearest to the
    middle of the box, along each axis by itself, and the IoU grows with the overlap. Anchors are not cut at the edges.

    Parameters
    ----------
    anchors : Anchors
    boxes : array-like, shape (n, 4)
        xyxy in pixels of the canvas.
    canvas : tuple of int
        (height, width).

    Returns
    -------
    ndarray, shape (n,), float64

    Examples
    --------
    >>> anchors = Anchors((8,), ((8.0,),), (1.0,))
    >>> best_iou(anchors, [[8, 8, 16, 16], [8, 8, 16, 24], [4, 8, 12, 16]], (32, 32)).round(3).tolist()
    [1.0, 0.5, 0.333]
    """
    corners = np.asarray(boxes, "float64").reshape(-1, 4)
    best = np.zeros(len(corners))
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    for stride, shapes in zip(anchors.strides, anchors.shapes(), strict=True):
        middles = _nearest_middles(corners, stride, canvas)
        for shape in shapes:
            low = np.maximum(corners[:, :2], middles - shape / 2)
            high = np.minimum(corners[:, 2:], middles + shape / 2)
            shared = np.prod(np.maximum(high - low, 0), axis=1)
            best = np.maximum(best, shared / (areas + np.prod(shape) - shared))
    return best


def _nearest_middles(corners: Floats, stride: int, canvas: tuple[int, int]) -> Floats:
    cells = np.ceil(np.array([canvas[1], canvas[0]]) / stride)
    nearest = np.floor((corners[:, :2] + corners[:, 2:]) / 2 / stride)
    return (np.clip(nearest, 0, cells - 1) + 0.5) * stride


def recall(anchors: Anchors, boxes: ArrayLike, canvas: tuple[int, int], threshold: float = 0.5) -> float:
    """Share of the boxes that some placed anchor meets with an IoU of at least ``threshold``; NaN without boxes.

    Examples
    --------
    >>> recall(Anchors((8,), ((8.0,),), (1.0,)), [[8, 8, 16, 16], [0, 0, 30, 30]], (32, 32))
    0.5
    """
    best = best_iou(anchors, boxes, canvas)
    return float((best >= threshold).mean()) if best.size else float("nan")


def cluster_shapes(shapes: ArrayLike, count: int, seed: int = 0) -> Floats:
    """Typical shapes: k-means with the distance 1 - IoU, the shapes laid over one another at their middles.

    Parameters
    ----------
    shapes : array-like, shape (n, 2)
        (width, height), positive.
    count : int
        Clusters; fewer come back where there are fewer different shapes.
    seed : int, optional
        Of the first centres.

    Returns
    -------
    ndarray, shape (count, 2), float64
        The mean shape of each cluster, smallest area first.

    Examples
    --------
    >>> cluster_shapes([[10, 10], [12, 10], [40, 80], [40, 84]], 2).tolist()
    [[11.0, 10.0], [40.0, 82.0]]
    """
    points = np.asarray(shapes, "float64").reshape(-1, 2)
    generator = np.random.default_rng(seed)
    if len(points) > MOST_CLUSTERED:
        points = generator.choice(points, MOST_CLUSTERED, replace=False)
    different = np.unique(points, axis=0)
    if len(different) <= count:
        return different[np.argsort(different.prod(axis=1), kind="stable")]
    runs = [_clusters(points, count, generator) for _ in range(RESTARTS)]
    centers = max(runs, key=lambda found: _shape_iou(points, found).max(axis=1).mean())
    return centers[np.argsort(centers.prod(axis=1), kind="stable")]


def _clusters(points: Floats, count: int, generator: np.random.Generator) -> Floats:
    centers = _first_centers(points, count, generator)
    members = np.full(len(points), -1)
    for _ in range(ROUNDS):
        nearest = _shape_iou(points, centers).argmax(axis=1)
        if (nearest == members).all():
            break
        members = nearest
        for k in np.unique(members):  # a cluster that lost its members keeps its centre
            centers[k] = points[members == k].mean(axis=0)
    return centers


def _first_centers(points: Floats, count: int, generator: np.random.Generator) -> Floats:
    """Each drawn the likelier, the farther it lies from those before (k-means++)."""
    centers = points[generator.integers(len(points), size=1)]
    while len(centers) < count:
        distance = 1 - _shape_iou(points, centers).max(axis=1)
        chosen = generator.choice(len(points), p=distance / distance.sum())
        centers = np.vstack([centers, points[chosen]])
    return centers


def _shape_iou(points: Floats, centers: Floats) -> Floats:
    shared = np.minimum(points[:, None], centers).prod(axis=-1)
    return shared / (points.prod(axis=1)[:, None] + centers.prod(axis=1) - shared)


def pyramid_strides(sizes: ArrayLike, finest: int = 4, coarsest: int = 64) -> tuple[int, ...]:
    """Strides, powers of two, such that objects of the given sizes are about eight cells wide on their level.

    Examples
    --------
    >>> pyramid_strides([40, 130])
    (4, 8, 16)
    """
    small, large = np.quantile(np.asarray(sizes, "float64"), [0.01, 0.99])
    first = int(np.clip(2.0 ** np.floor(np.log2(small / CELLS)), finest, coarsest))
    last = int(np.clip(2.0 ** np.round(np.log2(large / CELLS)), first, coarsest))
    return tuple(2**k for k in range(first.bit_length() - 1, last.bit_length()))


def propose_anchors(boxes: ArrayLike, canvas: tuple[int, int], seed: int = 0) -> Anchors:
    """Anchors for the given boxes: sizes and ratios found by :func:`cluster_shapes`, as few as reach the boxes.

    Ratios are the clusters of the boxes brought to one area; the sizes of a level are those of the boxes that are
    about eight of its cells wide. A second and third size a level are taken only while the recall at IoU 0.5 is
    below 0.99.

    Parameters
    ----------
    boxes : array-like, shape (n, 4), n > 0
        xyxy in pixels of the canvas, each with an area.
    canvas : tuple of int
        (height, width).
    seed : int, optional
        Of the clustering.

    Examples
    --------
    >>> propose_anchors([[4, 4, 36, 36], [64, 64, 128, 128], [9, 9, 25, 73]], (256, 256))
    Anchors(strides=(4, 8), sizes=((32.0,), (64.0,)), ratios=(1.0, 4.0))
    """
    corners = np.asarray(boxes, "float64").reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    sizes = np.sqrt(sides.prod(axis=1))
    centers = cluster_shapes(sides / sizes[:, None], RATIOS, seed)
    ratios = tuple(sorted({round(float(height / width), 2) for width, height in centers}))
    strides = pyramid_strides(sizes)
    for count in range(1, MOST_SIZES + 1):
        found = tuple(_sizes_of_level(sizes, stride, strides, count, seed) for stride in strides)
        anchors = Anchors(strides, found, ratios)
        if recall(anchors, corners, canvas) >= ENOUGH:
            break
    return anchors


def _sizes_of_level(sizes: Floats, stride: int, strides: tuple[int, ...], count: int, seed: int) -> tuple[float, ...]:
    """``count`` sizes for a level: every level has as many, for one head reads them all."""
    wanted = np.clip(np.exp2(np.round(np.log2(sizes / CELLS))), strides[0], strides[-1])
    own = sizes[wanted == stride]
    found = cluster_shapes(np.stack([own, own], axis=-1), count, seed)[:, 0]
    if len(found) < count:
        found = CELLS * stride * np.exp2((np.arange(count) - (count - 1) / 2) / count)
    return tuple(round(float(size), 1) for size in found)
