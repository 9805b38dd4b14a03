"""The curves of a detector, FROC and precision against recall, and the threshold chosen on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tumorkeras.errors import DataError
from tumorkeras.metrics.detection_ap import check_iou, ratio
from tumorkeras.metrics.detection_checks import Flags, Floats, Padded, Scenes, overall_name, read_scenes
from tumorkeras.metrics.detection_froc import ends_of_ties, rows_of_class
from tumorkeras.metrics.detection_matching import match

CRITERIA = ("f1", "false_positives")


class Threshold(NamedTuple):
    """A score from which detections are reported, and what the detector does there, all classes pooled.

    Examples
    --------
    >>> Threshold(0.4, sensitivity=0.9, precision=0.6, f1=0.72, false_positives=0.5).threshold
    0.4
    """

    threshold: float
    sensitivity: float
    precision: float
    f1: float
    false_positives: float  # an image


class _Curve(NamedTuple):
    """What is found at each score, the highest first: truths, false positives; and how many truths there are."""

    threshold: Floats
    hits: Floats
    wrong: Floats
    truths: int


def froc_points(truth: Padded, detections: Padded, classes: Sequence[str], *, iou: float = 0.5) -> pd.DataFrame:
    """Corners of the FROC curve of each class and of all classes pooled.

    Parameters
    ----------
    truth, detections : mapping
        Padded arrays as in :func:`detection_metrics`.
    classes : sequence of str
        The k class names.
    iou : float, default 0.5
        Intersection over union from which a detection is a hit.

    Returns
    -------
    DataFrame
        Columns `class`, `threshold` (falling from infinity), `false_positives` (an image) and `sensitivity` (NaN for
        a class without truth), a row for each score that occurs; "all" comes last.

    Raises
    ------
    DataError
        With all faults of truth and detections.

    Examples
    --------
    >>> truth = {"boxes": [[[0, 0, 4, 4]], [[0, 0, 0, 0]]], "classes": [[0], [-1]]}
    >>> found = {"boxes": [[[0, 0, 4, 4]], [[5, 5, 9, 9]]], "scores": [[0.8], [0.9]], "classes": [[0], [0]]}
    >>> froc_points(truth, found, ["tumor"]).head(3)
       class  threshold  false_positives  sensitivity
    0  tumor        inf              0.0          0.0
    1  tumor        0.9              0.5          0.0
    2  tumor        0.8              0.5          1.0
    """
    scenes, curves = _curves("froc_points", truth, detections, classes, iou)
    frames = []
    for name, curve in curves.items():
        sensitivity = ratio(np.append(0.0, curve.hits), curve.truths)
        columns = {
            "threshold": np.append(np.inf, curve.threshold),
            "false_positives": np.append(0, curve.wrong) / scenes.images,
            "sensitivity": sensitivity,
        }
        frames.append(pd.DataFrame({"class": name, **columns}))
    return pd.concat(frames, ignore_index=True)


def precision_recall_points(
    truth: Padded, detections: Padded, classes: Sequence[str], *, iou: float = 0.5
) -> pd.DataFrame:
    """Precision and recall at each score, of each class and of all classes pooled.

    Parameters
    ----------
    truth, detections : mapping
        Padded arrays as in :func:`detection_metrics`.
    classes : sequence of str
        The k class names.
    iou : float, default 0.5
        Intersection over union from which a detection is a hit.

    Returns
    -------
    DataFrame
        Columns `class`, `threshold` (falling), `recall` (NaN for a class without truth) and `precision`, a row for
        each score that occurs; "all" comes last. A class without detections has no row.

    Raises
    ------
    DataError
        With all faults of truth and detections.

    Examples
    --------
    >>> truth = {"boxes": [[[0, 0, 4, 4]]], "classes": [[0]]}
    >>> found = {"boxes": [[[5, 5, 9, 9], [0, 0, 4, 4]]], "scores": [[0.9, 0.5]], "classes": [[0, 0]]}
    >>> precision_recall_points(truth, found, ["tumor"]).head(2)
       class  threshold  recall  precision
    0  tumor        0.9     0.0        0.0
    1  tumor        0.5     1.0        0.5
    """
    _, curves = _curves("precision_recall_points", truth, detections, classes, iou)
    frames = []
    for name, curve in curves.items():
        recall = ratio(curve.hits, curve.truths)
        columns = {"threshold": curve.threshold, "recall": recall, "precision": curve.hits / (curve.hits + curve.wrong)}
        frames.append(pd.DataFrame({"class": name, **columns}))
    return pd.concat(frames, ignore_index=True)


def tune_threshold(
    truth: Padded,
    detections: Padded,
    classes: Sequence[str],
    *,
    criterion: str = "f1",
    false_positives: float | None = None,
    iou: float = 0.5,
) -> Threshold:
    """Choose the score from which detections are reported; do it on validation data, never on test data.

    Parameters
    ----------
    truth, detections : mapping
        Padded arrays as in :func:`detection_metrics`.
    classes : sequence of str
        The k class names. One threshold is chosen for all.
    criterion : {"f1", "false_positives"}, default "f1"
        The highest F1 of all classes pooled, at the highest score that gives it; or the lowest score with at most
        `false_positives` false positives an image.
    false_positives : float, optional
        Needed by the criterion of this name, and by no other.
    iou : float, default 0.5
        Intersection over union from which a detection is a hit.

    Returns
    -------
    Threshold
        A score that occurs. It is 1 where even the highest score, below 1, has too many false positives, and 0.5
        where there are no detections.

    Raises
    ------
    DataError
        With all faults of truth, detections and settings; where detections of score 1 alone are too many false
        positives.

    Examples
    --------
    >>> truth = {"boxes": [[[0, 0, 4, 4]]], "classes": [[0]]}
    >>> found = {"boxes": [[[0, 0, 4, 4], [5, 5, 9, 9]]], "scores": [[0.7, 0.4]], "classes": [[0, 0]]}
    >>> tune_threshold(truth, found, ["tumor"])
    Threshold(threshold=0.7, sensitivity=1.0, precision=1.0, f1=1.0, false_positives=0.0)
    """
    heading = "tune_threshold"
    faults = _criterion_faults(criterion, false_positives)
    if faults:
        raise DataError(heading, faults)
    scenes, curves = _curves(heading, truth, detections, classes, iou)
    curve = list(curves.values())[-1]
    f1 = 2 * curve.hits / np.maximum(curve.hits + curve.wrong + curve.truths, 1)
    if not len(curve.threshold):
        return _threshold(0.5, 0, 0, curve.truths, scenes.images)
    if criterion == "f1":
        place = int(f1.argmax())
    else:
        place = int((curve.wrong <= float(false_positives or 0) * scenes.images).sum()) - 1
    if place >= 0:
        return _threshold(curve.threshold[place], curve.hits[place], curve.wrong[place], curve.truths, scenes.images)
    if curve.threshold[0] == 1:
        found = f"score 1 alone gives {curve.wrong[0] / scenes.images:g}"
        raise DataError(heading, [f"false_positives: at most {false_positives} an image cannot be kept; {found}"])
    return _threshold(1.0, 0, 0, curve.truths, scenes.images)


def _criterion_faults(criterion: str, false_positives: float | None) -> list[str]:
    if criterion not in CRITERIA:
        return [f"criterion: {criterion!r} is not one of {', '.join(CRITERIA)}"]
    if criterion == "f1":
        mended = "give criterion='false_positives' with it"
        return [] if false_positives is None else [f"false_positives: the criterion 'f1' has no use for it; {mended}"]
    if false_positives is None or not 0 <= false_positives < np.inf:
        return [f"false_positives: {false_positives} is not a number of false positives an image, 0 or more"]
    return []


def _threshold(score: float, hits: float, wrong: float, truths: int, images: int) -> Threshold:
    reported = hits + wrong
    shares = ratio(np.array([hits, hits, 2 * hits]), [truths, reported, reported + truths])
    sensitivity, precision, f1 = shares.tolist()
    return Threshold(float(score), sensitivity, precision, f1, float(wrong / images))


def _curves(
    heading: str, truth: Padded, detections: Padded, classes: Sequence[str], iou: float
) -> tuple[Scenes, dict[str, _Curve]]:
    """The curve of each class by its name, that of all pooled last."""
    scenes = read_scenes(heading, truth, detections, classes)
    faults = check_iou(iou)
    if faults:
        raise DataError(heading, faults)
    hit = match(scenes, [iou])[:, 0] >= 0
    truths = [*np.bincount(scenes.truth.label, minlength=len(scenes.names)).tolist(), len(scenes.truth)]
    names = [*scenes.names, overall_name(scenes.names)]
    return scenes, {name: _curve(scenes, hit, label, truths[label]) for label, name in enumerate(names)}


def _curve(scenes: Scenes, hit: Flags, label: int, truths: int) -> _Curve:
    rows = rows_of_class(scenes, label)
    ends = ends_of_ties(scenes.scores[rows])
    hits = np.cumsum(hit[rows])[ends].astype(np.float64)
    return _Curve(scenes.scores[rows][ends], hits, ends + 1 - hits, truths)
