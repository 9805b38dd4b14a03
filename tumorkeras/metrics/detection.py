"""The table of a detector's metrics with their intervals, and the comparison of two detectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_groups, check_settings
from tumorkeras.metrics.detection_ap import check_iou
from tumorkeras.metrics.detection_blocks import (
    COCO_AREAS,
    COMPARED,
    block_of,
    check_area_limits,
    froc_block,
    operating_block,
    precision_block,
    recall_block,
    size_blocks,
)
from tumorkeras.metrics.detection_checks import Padded, Scenes, overall_name, read_scenes
from tumorkeras.metrics.intervals import PairedTest, Statistic, bootstrap
from tumorkeras.metrics.paired import paired_bootstrap


def detection_metrics(
    truth: Padded,
    detections: Padded,
    classes: Sequence[str],
    *,
    groups: ArrayLike | None = None,
    threshold: float | None = None,
    iou: float = 0.5,
    area_limits: tuple[float, float] = COCO_AREAS,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of detection metrics with bootstrap percentile intervals.

    Parameters
    ----------
    truth : mapping
        ``boxes`` (images, m, 4), xyxy in pixels, and ``classes`` (images, m); padding has class -1. An image without
        truth is legal.
    detections : mapping
        ``boxes`` (images, n, 4), ``scores`` (images, n) from 0 to 1 and ``classes`` (images, n); padding has class -1.
        Other keys, such as ``num_detections``, are ignored.
    classes : sequence of str
        The k class names.
    groups : array-like, shape (images,), optional
        The patient, exam or other unit of each image. Whole groups are resampled where it is given, else images.
    threshold : float, optional
        The lowest score of a detection that is reported, from 0 to 1; tune it on validation data with
        :func:`tune_threshold`. Without it the three metrics that need it are left out.
    iou : float, default 0.5
        Intersection over union from which a detection is a hit, for FROC and at the threshold. AP and AR have
        their own.
    area_limits : tuple of float, default (32**2, 96**2)
        Square pixels where small ends and where large begins.
    confidence : float, default 0.95
        Coverage of the intervals.
    resamples : int, default 1000
        Bootstrap resamples.
    seed : int, default 0

    Returns
    -------
    DataFrame
        One row per (`metric`, `class`), the index; columns `value`, `low`, `high` and `n`, the number of truths, of
        images for ``false positives per image``, of detections reported for ``precision``. NaN where a class has
        nothing to compute a metric from.

        - ``AP50``, ``AP50:95``, ``AP75``, ``AP small``, ``AP medium``, ``AP large``: average precision as COCO
          defines it, precision read off at 101 recalls, of at most 100 detections an image and class.
        - ``AR1``, ``AR10``, ``AR100``: recall of so many detections an image and class, the mean over the thresholds
          0.50, 0.55, ... 0.95.
        - ``sensitivity``, ``false positives per image``, ``precision`` at the threshold.
        - ``FROC 1/8``, ... ``FROC 8``: sensitivity of the lowest threshold with at most so many false positives an
          image, over all images; ``FROC mean``, the mean of the seven. A rate that the detector never comes to has
          the sensitivity of all its detections. Only thresholds that exist are used: nothing is interpolated. Each
          truth is found once; a second detection of it is a false positive, where LUNA16 leaves it out.

        The class "all" is the mean over classes with truth for AP and AR, and all classes pooled for the others;
        where a class has that name it is "all classes" (``attrs["overall"]``).

        ``attrs["undefined_resamples"]`` counts, by (metric, class), the resamples without a figure, such as those
        that drew no truth of the class; they are left out of the interval. ``attrs["units"]`` is the number of
        groups (or images) resampled, beside ``confidence``, ``resamples``, ``seed``, ``threshold`` and ``iou``.

    Raises
    ------
    DataError
        With all faults: missing or misshapen arrays, no images, another number of images, boxes or scores that are
        not finite or out of range, unknown classes, missing groups, settings out of range.

    References
    ----------
    Lin et al., *Microsoft COCO: Common Objects in Context*, ECCV 2014; https://cocodataset.org/#detection-eval

    Setio et al., *Validation, comparison, and combination of algorithms for automatic detection of pulmonary nodules
    in computed tomography images: the LUNA16 challenge*, Medical Image Analysis 42:1-13, 2017.

    Examples
    --------
    >>> truth = {"boxes": [[[0, 0, 10, 10]], [[0, 0, 0, 0]]], "classes": [[0], [-1]]}
    >>> found = {"boxes": [[[0, 0, 10, 8]], [[2, 2, 5, 5]]], "scores": [[0.8], [0.6]], "classes": [[0], [0]]}
    >>> table = detection_metrics(truth, found, ["tumor"], threshold=0.5)
    >>> table.xs("all", level="class").loc[["AP50", "AP50:95", "precision", "FROC mean"], ["value", "n"]]
               value  n
    metric
    AP50         1.0  1
    AP50:95      0.7  1
    precision    0.5  2
    FROC mean    1.0  1
    """
    heading = "detection_metrics"
    scenes = read_scenes(heading, truth, detections, classes)
    codes, faults = check_groups(groups, scenes.images)
    faults += check_settings(confidence=confidence, resamples=resamples, threshold=threshold or 0.0)
    faults += check_iou(iou) + check_area_limits(area_limits)
    if faults:
        raise DataError(heading, faults)
    blocks = [precision_block(scenes), *size_blocks(scenes, area_limits), recall_block(scenes)]
    if threshold is not None:
        blocks.append(operating_block(scenes, threshold, iou))
    blocks.append(froc_block(scenes, iou))
    result = bootstrap(
        lambda weights: np.concatenate([block.figures(weights) for block in blocks], axis=1).reshape(len(weights), -1),
        scenes.images,
        groups=codes,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    overall = overall_name(scenes.names)
    names = [name for block in blocks for name in block.names]
    index = pd.MultiIndex.from_product([names, [*scenes.names, overall]], names=["metric", "class"])
    n = np.concatenate([block.n for block in blocks]).ravel().astype(np.int64)
    frame = pd.DataFrame({"value": result.value, "low": result.low, "high": result.high, "n": n}, index=index)
    frame.attrs = {
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
        "threshold": threshold,
        "iou": iou,
        "overall": overall,
        "resampled_by": "image" if groups is None else "group",
        "units": result.units,
        "undefined_resamples": {row: int(count) for row, count in zip(index, result.undefined, strict=True) if count},
    }
    return frame


def compare_detections(
    truth: Padded,
    first: Padded,
    second: Padded,
    classes: Sequence[str],
    *,
    groups: ArrayLike | None = None,
    metric: str = "AP50",
    iou: float = 0.5,
    area_limits: tuple[float, float] = COCO_AREAS,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedTest:
    """Compare two detectors on the same images by a paired bootstrap: both see the same resamples.

    Parameters
    ----------
    truth, first, second : mapping
        Padded arrays as in :func:`detection_metrics`: the truth, and what each detector found.
    classes : sequence of str
        The k class names.
    groups : array-like, shape (images,), optional
        The patient, exam or other unit of each image; whole groups are resampled where it is given.
    metric : str, default "AP50"
        A metric of :func:`detection_metrics` that needs no threshold, over all classes.
    iou, area_limits, confidence, seed
        As in :func:`detection_metrics`.
    resamples : int, default 2000

    Returns
    -------
    PairedTest
        `difference` is that of the first less the second; see :func:`paired_bootstrap` for `statistic` and
        `p_value`. `n` is the number of groups (or images).

    Raises
    ------
    DataError
        With all faults of what :func:`detection_metrics` refuses, and for a metric that is not known.

    Examples
    --------
    >>> import numpy as np
    >>> truth = {"boxes": np.tile([0.0, 0.0, 10.0, 10.0], (20, 1, 1)), "classes": np.zeros((20, 1))}
    >>> good = truth | {"scores": np.ones((20, 1))}
    >>> bad = good | {"boxes": truth["boxes"] + np.where(np.arange(20) < 10, 0, 50)[:, None, None]}
    >>> test = compare_detections(truth, good, bad, ["tumor"])
    >>> f"{test.difference:.2f}, p = {test.p_value:.3f}, n = {test.n}"
    '0.50, p = 0.001, n = 20'
    """
    heading = "compare_detections"
    both = _read_both(heading, truth, first, second, classes)
    codes, faults = check_groups(groups, both[0].images)
    faults += (
        check_settings(confidence=confidence, resamples=resamples) + check_iou(iou) + check_area_limits(area_limits)
    )
    if metric not in COMPARED:
        faults.append(f"metric: {metric!r} is not one of {', '.join(COMPARED)}")
    if faults:
        raise DataError(heading, faults)
    ours, theirs = (_overall(scenes, metric, iou, area_limits) for scenes in both)
    return paired_bootstrap(
        lambda weights: ours(weights) - theirs(weights),
        both[0].images,
        groups=codes,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def _read_both(
    heading: str, truth: Padded, first: Padded, second: Padded, classes: Sequence[str]
) -> tuple[Scenes, Scenes]:
    read, faults = [], []
    for which, detections in (("first", first), ("second", second)):
        try:
            read.append(read_scenes(heading, truth, detections, classes))
        except DataError as error:
            faults += [fault.replace("detections", which) for fault in error.faults]
    if faults:
        raise DataError(heading, list(dict.fromkeys(faults)))  # those of the truth come with both
    return read[0], read[1]


def _overall(scenes: Scenes, metric: str, iou: float, area_limits: tuple[float, float]) -> Statistic:
    """One metric over all classes, as a function of the weights."""
    block = block_of(scenes, metric, iou, area_limits)
    place = block.names.index(metric)
    return lambda weights: block.figures(weights)[:, place, -1]
