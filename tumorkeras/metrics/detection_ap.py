"""Average precision and average recall of detections, for many weightings of the images at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.metrics.detection_checks import Flags, Floats, Ints, Padded, Scenes, count_by_image, read_scenes
from tumorkeras.metrics.detection_matching import match

COCO_IOU = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)  # where precision is read off
MOST_DETECTIONS = 100  # of an image and class that count, as in COCO
EVERY_AREA = (0.0, np.inf)
CHUNK = 400_000  # weights of detections held at once: what fits a processor's cache is fast

# Weights of images (r, images) to figures (r, ..., k), one a class; NaN where a class has no truth.
ByClass = Callable[[Floats], Floats]


class AveragePrecision(NamedTuple):
    """Mean AP over the classes that have truth, and the AP50 of each class (NaN where it has none).

    Examples
    --------
    >>> AveragePrecision(0.5, 0.8, {"tumor": 0.8}).ap50
    0.8
    """

    ap: float
    ap50: float
    ap50_by_class: dict[str, float]


def average_precision(
    truth: Padded, detections: Padded, classes: Sequence[str], *, iou: Sequence[float] = tuple(COCO_IOU)
) -> AveragePrecision:
    """Mean average precision as COCO defines it: fast, without intervals, for the end of an epoch.

    Parameters
    ----------
    truth : mapping
        ``boxes`` (images, m, 4), xyxy in pixels, and ``classes`` (images, m); padding has class -1.
    detections : mapping
        ``boxes`` (images, n, 4), ``scores`` (images, n) from 0 to 1 and ``classes`` (images, n); padding has class -1.
        Of each image and class the 100 with the highest scores count.
    classes : sequence of str
        The k class names.
    iou : sequence of float, default 0.50, 0.55, ... 0.95
        Thresholds that `ap` is the mean over, above 0, up to 1.

    Returns
    -------
    AveragePrecision
        `ap` and `ap50`, from 0 to 1, NaN where there is no truth at all, and `ap50_by_class`.

    Raises
    ------
    DataError
        With all faults of truth, detections and thresholds.

    References
    ----------
    Lin et al., *Microsoft COCO: Common Objects in Context*, ECCV 2014; https://cocodataset.org/#detection-eval

    Examples
    --------
    >>> truth = {"boxes": [[[0, 0, 10, 10]], [[0, 0, 0, 0]]], "classes": [[0], [-1]]}
    >>> found = {"boxes": [[[0, 0, 10, 8]], [[2, 2, 5, 5]]], "scores": [[0.8], [0.9]], "classes": [[0], [0]]}
    >>> result = average_precision(truth, found, ["tumor", "cyst"])
    >>> result.ap50, result.ap50_by_class
    (0.5, {'tumor': 0.5, 'cyst': nan})
    """
    scenes = read_scenes("average_precision", truth, detections, classes)
    faults = check_iou(iou)
    if faults:
        raise DataError("average_precision", faults)
    figures = precision_by_class(scenes, [0.5, *iou])(np.ones((1, scenes.images)))[0]  # (1 + thresholds, k)
    means = with_mean(figures)[:, -1]
    by_class = dict(zip(scenes.names, figures[0].tolist(), strict=True))
    return AveragePrecision(float(means[1:].mean()), float(means[0]), by_class)


def check_iou(iou: ArrayLike) -> list[str]:
    """Name the thresholds of intersection over union that are out of range.

    Examples
    --------
    >>> check_iou([0.5, 50])
    ['iou: 50 is not above 0 and up to 1']
    """
    values = np.atleast_1d(np.asarray(iou, np.float64))
    faults = [f"iou: {value:g} is not above 0 and up to 1" for value in values if not 0 < value <= 1]
    return faults if len(values) else ["iou: no thresholds; at least one is needed"]


def with_mean(figures: Floats) -> Floats:
    """Append the mean over the last axis, NaN left out: (..., k) to (..., k + 1).

    Examples
    --------
    >>> with_mean(np.array([[0.2, np.nan, 0.4]])).round(3).tolist()
    [[0.2, nan, 0.4, 0.3]]
    """
    defined = ~np.isnan(figures)
    mean = ratio(np.where(defined, figures, 0).sum(axis=-1), defined.sum(axis=-1))
    return np.concatenate([figures, mean[..., None]], axis=-1)


def ratio(part: Floats, whole: ArrayLike) -> Floats:
    """Divide, NaN where the whole is 0.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    counts = np.asarray(whole, np.float64)
    shape = np.broadcast_shapes(np.shape(part), counts.shape)
    return np.divide(part, counts, out=np.full(shape, np.nan), where=counts > 0)


def within(areas: Floats, limits: tuple[float, float]) -> Flags:
    """Which areas are within the limits, the limits themselves included.

    Examples
    --------
    >>> within(np.array([10.0, 20.0, 30.0]), (10, 20)).tolist()
    [True, True, False]
    """
    return (areas >= limits[0]) & (areas <= limits[1])


def in_chunks(figures: ByClass, width: int) -> ByClass:
    """Call `figures` with few rows of weights at a time, where a row is laid out over `width` detections."""
    step = max(1, CHUNK // max(1, width))
    return lambda weights: np.concatenate(
        [figures(weights[start : start + step]) for start in range(0, len(weights), step)]
    )


# ------------------------------------------------------------------------------------------- average precision


class _Curve(NamedTuple):
    """The detections of a class and threshold that match, in the order of their scores.

    `before` is how many detections within the range of areas come up to each, itself included; `extra` is what the
    match changes in the count of those that are not ignored: one out of the range counts if it finds a truth within
    it (1), one within the range does not if it finds a truth out of it (-1).
    """

    image: Ints
    real: Flags
    before: Ints
    extra: Floats


def precision_by_class(scenes: Scenes, thresholds: ArrayLike, area: tuple[float, float] = EVERY_AREA) -> ByClass:
    """Average precision of each threshold and class, as a function of the weights of the images.

    Precision can only rise where a truth is found, so that the curve is needed at matches only. How many detections
    came before one is a cumulative sum that all thresholds share.

    Parameters
    ----------
    scenes : Scenes
    thresholds : array-like of float, shape (t,)
        Of intersection over union.
    area : tuple of float
        Lowest and highest area of a box in square pixels. Truths out of it do not count, nor do detections that match
        one, nor those that match none and are out of it themselves.

    Returns
    -------
    callable
        Weights (r, images) to AP (r, t, k), from 0 to 1; NaN where the truths of a class have no weight.

    Examples
    --------
    >>> from tumorkeras.metrics.detection_checks import read_scenes
    >>> truth = {"boxes": [[[0, 0, 4, 4]]] * 2, "classes": [[0], [0]]}
    >>> found = {"boxes": [[[0, 0, 4, 3]], [[8, 8, 9, 9]]], "scores": [[0.8], [0.9]], "classes": [[0], [0]]}
    >>> figures = precision_by_class(read_scenes("scores", truth, found, ["tumor"]), [0.5])
    >>> figures(np.array([[1, 0], [0, 1], [0, 0]])).ravel().tolist()
    [1.0, 0.0, nan]
    """
    counted, fitting = (within(objects.area, area) for objects in (scenes.truth, scenes.found))
    matched = match(scenes, thresholds, ~counted)
    totals = scenes.truths_by_image(counted)
    parts = []
    for label in range(len(scenes.names)):
        rows = np.flatnonzero((scenes.found.label == label) & (scenes.rank < MOST_DETECTIONS))
        image, inside = scenes.found.image[rows], fitting[rows]
        parts.append((image[inside], [_curve(image, inside, column, counted) for column in matched[rows].T]))

    def figures(weights: Floats) -> Floats:
        weights = np.asarray(weights, np.float64)
        truths = weights @ totals
        by_class = [_area_under(*part, weights, truths[:, label]) for label, part in enumerate(parts)]
        return np.stack(by_class, axis=-1)

    return in_chunks(figures, max(len(image) for image, _ in parts))


def _curve(image: Ints, inside: Flags, matched: Ints, counted: Flags) -> _Curve:
    before: Ints = np.cumsum(inside)
    places: Ints = np.flatnonzero(matched >= 0)
    real = counted[matched[places]]
    felt = real | inside[places]  # a match out of the range on both sides leaves no trace
    places, real = places[felt], real[felt]
    return _Curve(image[places], real, before[places], real.astype(np.float64) - inside[places])


def _area_under(image: Ints, curves: list[_Curve], weights: Floats, truths: Floats) -> Floats:
    """AP (r, t) of one class: the mean of the best precision at or beyond each of the 101 recalls."""
    inside = np.zeros((len(weights), len(image) + 1))
    np.cumsum(weights[:, image], axis=1, out=inside[:, 1:])
    areas = np.empty((len(weights), len(curves)))
    for column, curve in enumerate(curves):
        each = weights[:, curve.image]
        hits = np.cumsum(each * curve.real, axis=1)
        seen = inside[:, curve.before] + np.cumsum(each * curve.extra, axis=1)
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.where(truths > 0, truths, 1)[:, None]
        reached = np.searchsorted(RECALLS, recall, side="right")
        areas[:, column] = (best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS)
    areas[truths <= 0] = np.nan
    return areas


# ---------------------------------------------------------------------------------------------- average recall


def recall_by_class(scenes: Scenes, thresholds: ArrayLike, most: Sequence[int]) -> ByClass:
    """Recall of the best detections of each image and class, averaged over thresholds.

    Parameters
    ----------
    scenes : Scenes
    thresholds : array-like of float, shape (t,)
        Of intersection over union.
    most : sequence of int
        Numbers of detections of an image and class, such as 1, 10 and 100.

    Returns
    -------
    callable
        Weights (r, images) to recall (r, len(most), k), from 0 to 1; NaN where the truths of a class have no weight.

    Examples
    --------
    >>> from tumorkeras.metrics.detection_checks import read_scenes
    >>> truth = {"boxes": [[[0, 0, 4, 4], [9, 9, 12, 12]]], "classes": [[0, 0]]}
    >>> found = {"boxes": truth["boxes"], "scores": [[0.8, 0.9]], "classes": [[0, 0]]}
    >>> figures = recall_by_class(read_scenes("scores", truth, found, ["tumor"]), [0.5], [1, 10])
    >>> figures(np.ones((1, 1))).ravel().tolist()
    [0.5, 1.0]
    """
    hits = match(scenes, thresholds) >= 0
    totals = scenes.truths_by_image()
    counts = [_mean_hits(scenes, hits & (scenes.rank < limit)[:, None]) for limit in most]

    def figures(weights: Floats) -> Floats:
        truths = weights @ totals
        return np.stack([ratio(weights @ count, truths) for count in counts], axis=1)

    return figures


def _mean_hits(scenes: Scenes, hits: Flags) -> Floats:
    """Truths found in each image and class (images, k), averaged over thresholds."""
    counts = [count_by_image(scenes, scenes.found[np.flatnonzero(column)]) for column in hits.T]
    return np.mean(counts, axis=0)
