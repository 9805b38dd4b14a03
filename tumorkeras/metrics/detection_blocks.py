"""The rows of the table of detection metrics, in blocks of what is computed together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tumorkeras.metrics.detection_ap import (
    COCO_IOU,
    EVERY_AREA,
    ByClass,
    precision_by_class,
    recall_by_class,
    with_mean,
    within,
)
from tumorkeras.metrics.detection_checks import Floats, Scenes
from tumorkeras.metrics.detection_froc import froc_by_class, operating_by_class, reported_by_image, with_sum

COCO_AREAS = (32.0**2, 96.0**2)  # square pixels
SIZES = ("small", "medium", "large")
MOST = (1, 10, 100)
AP_NAMES = ["AP50", "AP50:95", "AP75"]
SIZE_NAMES = [f"AP {size}" for size in SIZES]
AR_NAMES = [f"AR{most}" for most in MOST]
OPERATING_NAMES = ["sensitivity", "false positives per image", "precision"]
FROC_NAMES = [*(f"FROC {rate}" for rate in ("1/8", "1/4", "1/2", "1", "2", "4", "8")), "FROC mean"]
COMPARED = [*AP_NAMES, *SIZE_NAMES, *AR_NAMES, *FROC_NAMES]


class Block(NamedTuple):
    """Metrics that are computed together.

    `figures` takes weights (r, images) and gives (r, metrics, k + 1): of each class, then of all. `n`, of shape
    (metrics, k + 1), is what each is counted on.
    """

    names: list[str]
    figures: ByClass
    n: Floats


def check_area_limits(limits: tuple[float, float]) -> list[str]:
    """Name limits of areas that are not two rising numbers.

    Examples
    --------
    >>> check_area_limits((96, 32))
    ['area_limits: (96, 32) are not two rising numbers of square pixels']
    """
    rising = len(limits) == 2 and 0 < limits[0] < limits[1]
    return [] if rising else [f"area_limits: {limits} are not two rising numbers of square pixels"]


def precision_block(scenes: Scenes) -> Block:
    """AP50, AP50:95 and AP75."""
    of_thresholds = precision_by_class(scenes, COCO_IOU)

    def figures(weights: Floats) -> Floats:
        each = of_thresholds(weights)  # (r, thresholds, k)
        return with_mean(np.stack([each[:, 0], each.mean(axis=1), each[:, 5]], axis=1))

    return Block(AP_NAMES, figures, _truths(scenes, len(AP_NAMES)))


def size_blocks(scenes: Scenes, limits: tuple[float, float]) -> list[Block]:
    """AP of small, medium and large boxes; as in COCO, a box of exactly a limit belongs to both sides."""
    ends = (0.0, *limits, np.inf)
    return [_size_block(scenes, name, (ends[i], ends[i + 1])) for i, name in enumerate(SIZE_NAMES)]


def _size_block(scenes: Scenes, name: str, area: tuple[float, float]) -> Block:
    of_thresholds = precision_by_class(scenes, COCO_IOU, area)
    return Block(
        [name],
        lambda weights: with_mean(of_thresholds(weights).mean(axis=1, keepdims=True)),
        _truths(scenes, 1, area),
    )


def recall_block(scenes: Scenes) -> Block:
    """AR1, AR10 and AR100."""
    of_numbers = recall_by_class(scenes, COCO_IOU, MOST)
    return Block(AR_NAMES, lambda weights: with_mean(of_numbers(weights)), _truths(scenes, len(AR_NAMES)))


def operating_block(scenes: Scenes, threshold: float, iou: float) -> Block:
    """Sensitivity, false positives an image and precision at a threshold."""
    truths = _truths(scenes, 1)
    images = np.full(truths.shape, scenes.images)
    reported = with_sum(reported_by_image(scenes, threshold).sum(axis=0))[None]
    n = np.concatenate([truths, images, reported])
    return Block(OPERATING_NAMES, operating_by_class(scenes, threshold, iou), n)


def froc_block(scenes: Scenes, iou: float) -> Block:
    """Sensitivities of the FROC curve and their mean."""
    return Block(FROC_NAMES, froc_by_class(scenes, iou), _truths(scenes, len(FROC_NAMES)))


def block_of(scenes: Scenes, metric: str, iou: float, area_limits: tuple[float, float]) -> Block:
    """The block that holds one of the metrics that need no threshold."""
    if metric in AP_NAMES:
        return precision_block(scenes)
    if metric in AR_NAMES:
        return recall_block(scenes)
    if metric in FROC_NAMES:
        return froc_block(scenes, iou)
    return size_blocks(scenes, area_limits)[SIZE_NAMES.index(metric)]


def _truths(scenes: Scenes, rows: int, area: tuple[float, float] = EVERY_AREA) -> Floats:
    """Number of truths of each class and of all, the same for each of some metrics."""
    counts = scenes.truths_by_image(within(scenes.truth.area, area)).sum(axis=0)
    return np.tile(with_sum(counts), (rows, 1))
