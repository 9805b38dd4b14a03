"""Which detection finds which truth: greedy, by falling score, as the COCO evaluation does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.metrics.detection_checks import Flags, Floats, Ints, Scenes, area_of, rank_within

NO_MATCH = -1
NEARLY_ONE = 1 - 1e-10  # a box that is the truth but for rounding meets a threshold of 1
CHUNK = 1_000_000  # pairs of boxes compared at once


class Pairs(NamedTuple):
    """Pairs of a detection and a truth, each by its row, and their intersection over union."""

    found: Ints
    truth: Ints
    iou: Floats


def overlapping_pairs(scenes: Scenes, least: float) -> Pairs:
    """Pairs of one image and one class whose intersection over union is at least ``least``.

    Examples
    --------
    >>> from tumorkeras.metrics.detection_checks import read_scenes
    >>> truth = {"boxes": [[[0, 0, 4, 4], [0, 0, 4, 2]]], "classes": [[0, 0]]}
    >>> found = {"boxes": [[[0, 0, 4, 3]]], "scores": [[0.5]], "classes": [[0]]}
    >>> overlapping_pairs(read_scenes("scores", truth, found, ["tumor"]), least=0.7).iou.tolist()
    [0.75]
    """
    chunks = []
    for found, truth in _same_image_and_class(scenes):
        iou = _iou(scenes.found.boxes[found], scenes.truth.boxes[truth])
        near = np.flatnonzero(iou >= least)
        chunks.append(Pairs(found[near], truth[near], iou[near]))
    return Pairs(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))


def _same_image_and_class(scenes: Scenes) -> Iterator[tuple[Ints, Ints]]:
    k = len(scenes.names)
    order = np.argsort(scenes.truth.image * k + scenes.truth.label, kind="stable")
    keys = (scenes.truth.image * k + scenes.truth.label)[order]
    wanted = scenes.found.image * k + scenes.found.label
    first = np.searchsorted(keys, wanted)
    counts = np.searchsorted(keys, wanted, side="right") - first
    step = max(1, CHUNK // max(1, int(counts.max(initial=0))))
    for start in range(0, max(1, len(wanted)), step):
        rows = slice(start, start + step)
        found = np.repeat(np.arange(len(wanted))[rows], counts[rows])
        yield found, order[first[found] + rank_within(found)]


def _iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union row by row, in float64: an overlap of exactly 0.6 must meet a threshold of 0.6."""
    corners = [np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])]
    shared = area_of(np.concatenate(corners, axis=1))
    union = area_of(first) + area_of(second) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def match(scenes: Scenes, thresholds: ArrayLike, ignored: Flags | None = None) -> Ints:
    """Match detections to truths, for several thresholds of intersection over union at once.

    In each image and class, detections choose by falling score. Each takes the free truth that it overlaps most,
    if by the threshold or more; of equal ones the last. A truth that is ignored is taken only where no other is left.

    Parameters
    ----------
    scenes : Scenes
    thresholds : array-like of float, shape (t,)
        Above 0, up to 1.
    ignored : ndarray of bool, shape (truths,), optional
        Truths that do not count, such as those outside a range of areas.

    Returns
    -------
    ndarray of int64, shape (detections, t)
        The row of the truth; -1 where a detection finds none.

    Notes
    -----
    Only pairs that overlap enough are looked at. The n-th such detections of all images and classes, which cannot
    compete with each other, choose together.

    Examples
    --------
    >>> from tumorkeras.metrics.detection_checks import read_scenes
    >>> truth = {"boxes": [[[0, 0, 4, 4]]], "classes": [[0]]}
    >>> found = {"boxes": [[[0, 0, 4, 3], [0, 0, 4, 4]]], "scores": [[0.9, 0.8]], "classes": [[0, 0]]}
    >>> match(read_scenes("scores", truth, found, ["tumor"]), [0.5, 0.9]).tolist()
    [[0, -1], [-1, 0]]
    """
    limits = np.minimum(np.asarray(thresholds, np.float64), NEARLY_ONE)
    matched = np.full((len(scenes.found), len(limits)), NO_MATCH)
    pairs = overlapping_pairs(scenes, float(limits.min()))
    if not len(pairs.found):
        return matched
    rows, truth, iou = _choices(pairs, np.zeros(len(scenes.truth), bool) if ignored is None else ignored)
    free = np.ones((len(scenes.truth) + 1, len(limits)), bool)
    free[NO_MATCH] = False  # what is chosen where there is no choice
    columns = np.arange(len(limits))
    for turn in _turns(scenes, rows):
        open_ = free[truth[turn]] & (iou[turn][:, :, None] >= limits)  # (detections, choices, thresholds)
        best = open_.argmax(axis=1)
        chosen = np.where(open_.any(axis=1), truth[turn[:, None], best], NO_MATCH)
        free[chosen, columns] = False
        matched[rows[turn]] = chosen
    return matched


def _choices(pairs: Pairs, ignored: Flags) -> tuple[Ints, Ints, Floats]:
    """Detections with a choice, their truths from best to worst, and how they overlap; each (detections, choices)."""
    order = np.lexsort([-pairs.truth, -pairs.iou, ignored[pairs.truth], pairs.found])
    rows, line = np.unique(pairs.found[order], return_inverse=True)
    column = rank_within(line)
    truth = np.full((len(rows), column.max() + 1), NO_MATCH)
    iou = np.zeros(truth.shape)
    truth[line, column], iou[line, column] = pairs.truth[order], pairs.iou[order]
    return rows, truth, iou


def _turns(scenes: Scenes, rows: Ints) -> list[Ints]:
    """Lines of the table of choices, by the turn in which their detections choose."""
    turn = rank_within(scenes.found.image[rows] * len(scenes.names) + scenes.found.label[rows])
    order = np.argsort(turn, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(turn[order])) + 1)
