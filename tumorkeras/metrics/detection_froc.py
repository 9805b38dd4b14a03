"""FROC and what a detector does at one threshold, for many weightings of the images at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tumorkeras.metrics.detection_ap import ByClass, in_chunks, ratio
from tumorkeras.metrics.detection_checks import Flags, Floats, Ints, Scenes, count_by_image
from tumorkeras.metrics.detection_matching import match

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # false positives an image


def rows_of_class(scenes: Scenes, label: int) -> Ints:
    """Detections of a class, by falling score; of all classes together where the label is the number of classes.

    Examples
    --------
    >>> from tumorkeras.metrics.detection_checks import read_scenes
    >>> truth = {"boxes": [[[0, 0, 4, 4]]], "classes": [[0]]}
    >>> found = {"boxes": [[[0, 0, 4, 3]] * 3], "scores": [[0.2, 0.9, 0.5]], "classes": [[0, 1, 0]]}
    >>> scenes = read_scenes("scores", truth, found, ["tumor", "cyst"])
    >>> [rows_of_class(scenes, label).tolist() for label in range(3)]
    [[1, 2], [0], [0, 1, 2]]
    """
    return np.flatnonzero(scenes.found.label == label) if label < len(scenes.names) else np.arange(len(scenes.found))


def with_sum(figures: Floats) -> Floats:
    """Append the sum over the last axis: (..., k) to (..., k + 1).

    Examples
    --------
    >>> with_sum(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0, 3.0]]
    """
    return np.concatenate([figures, figures.sum(axis=-1, keepdims=True)], axis=-1)


def ends_of_ties(scores: Floats) -> Ints:
    """Places of the last of each run of equal scores: there a threshold can stand.

    Examples
    --------
    >>> ends_of_ties(np.array([0.9, 0.5, 0.5, 0.1])).tolist()
    [0, 2, 3]
    """
    return np.flatnonzero(np.diff(scores, append=-np.inf))


class _Curve(NamedTuple):
    """The detections of a class by falling score, and for each hit the number of detections up to its score."""

    image: Ints
    hits: Ints  # the images of the hits
    seen: Ints


def froc_by_class(scenes: Scenes, iou: float) -> ByClass:
    """Sensitivity at seven rates of false positives and its mean, of each class and of all pooled.

    Parameters
    ----------
    scenes : Scenes
    iou : float
        Intersection over union from which a detection is a hit.

    Returns
    -------
    callable
        Weights (r, images) to sensitivities (r, 8, k + 1): at each of `FROC_RATES`, then their mean; NaN where the
        truths of a class have no weight.

    Examples
    --------
    >>> from tumorkeras.metrics.detection_checks import read_scenes
    >>> truth = {"boxes": [[[0, 0, 4, 4]]], "classes": [[0]]}
    >>> found = {"boxes": [[[5, 5, 9, 9], [0, 0, 4, 4]]], "scores": [[0.9, 0.5]], "classes": [[0, 0]]}
    >>> figures = froc_by_class(read_scenes("scores", truth, found, ["tumor"]), 0.5)
    >>> figures(np.ones((1, 1)))[0, :, 0].round(3).tolist()
    [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.571]
    """
    hit = match(scenes, [iou])[:, 0] >= 0
    truths = scenes.truths_by_image()
    curves = [_curve(scenes, hit, label) for label in range(len(scenes.names) + 1)]

    def figures(weights: Floats) -> Floats:
        weights = np.asarray(weights, np.float64)
        found = np.stack([_found_within_rates(curve, weights) for curve in curves], axis=-1)  # (r, 7, k + 1)
        sensitivity = ratio(found, with_sum(weights @ truths)[:, None])
        return np.concatenate([sensitivity, sensitivity.mean(axis=1, keepdims=True)], axis=1)

    return in_chunks(figures, len(scenes.found))


def _curve(scenes: Scenes, hit: Flags, label: int) -> _Curve:
    rows = rows_of_class(scenes, label)
    image, hits, scores = scenes.found.image[rows], np.flatnonzero(hit[rows]), scenes.scores[rows]
    # detections of a score come and go together: each hit is paid for with all of its score
    return _Curve(image, image[hits], np.searchsorted(-scores, -scores[hits], side="right"))


def _found_within_rates(curve: _Curve, weights: Floats) -> Floats:
    """Truths found by the lowest threshold that keeps within each rate, shape (r, 7)."""
    seen = np.zeros((len(weights), len(curve.image) + 1))
    np.cumsum(weights[:, curve.image], axis=1, out=seen[:, 1:])
    hits = np.zeros((len(weights), len(curve.hits) + 1))
    np.cumsum(weights[:, curve.hits], axis=1, out=hits[:, 1:])
    tied_hits = np.searchsorted(curve.seen, curve.seen, side="right")  # hits up to the score of each
    wrong = seen[:, curve.seen] - hits[:, tied_hits]
    images = weights.sum(axis=1)
    allowed = [(wrong <= rate * images[:, None]).sum(axis=1) for rate in FROC_RATES]
    return np.take_along_axis(hits, np.stack(allowed, axis=1), axis=1)


def operating_by_class(scenes: Scenes, threshold: float, iou: float) -> ByClass:
    """Sensitivity, false positives an image and precision at a threshold, of each class and of all pooled.

    Parameters
    ----------
    scenes : Scenes
    threshold : float
        The lowest score of a detection that is reported.
    iou : float
        Intersection over union from which a detection is a hit.

    Returns
    -------
    callable
        Weights (r, images) to figures (r, 3, k + 1); a sensitivity is NaN where the truths have no weight, a
        precision where the detections have none.

    Examples
    --------
    >>> from tumorkeras.metrics.detection_checks import read_scenes
    >>> truth = {"boxes": [[[0, 0, 4, 4]]], "classes": [[0]]}
    >>> found = {"boxes": [[[5, 5, 9, 9], [0, 0, 4, 4]]], "scores": [[0.9, 0.5]], "classes": [[0, 0]]}
    >>> figures = operating_by_class(read_scenes("scores", truth, found, ["tumor"]), 0.5, 0.5)
    >>> figures(np.ones((1, 1)))[0, :, 0].tolist()
    [1.0, 1.0, 0.5]
    """
    reported = reported_by_image(scenes, threshold)
    hit = (match(scenes, [iou])[:, 0] >= 0) & (scenes.scores >= threshold)
    hits = count_by_image(scenes, scenes.found[np.flatnonzero(hit)])
    truths = scenes.truths_by_image()

    def figures(weights: Floats) -> Floats:
        found, all_found, total = (with_sum(weights @ counts) for counts in (hits, reported, truths))
        images = np.sum(weights, axis=1)[:, None]
        return np.stack([ratio(found, total), (all_found - found) / images, ratio(found, all_found)], axis=1)

    return figures


def reported_by_image(scenes: Scenes, threshold: float) -> Floats:
    """Number of detections of each image and class with a score from the threshold on, shape (images, k)."""
    return count_by_image(scenes, scenes.found[np.flatnonzero(scenes.scores >= threshold)])
