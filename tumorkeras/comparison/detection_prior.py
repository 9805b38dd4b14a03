"""The trivial baseline of detection: where objects usually are, whatever the image shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from tumorkeras.boxes import Boxes, clip, convert, iou
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.proposals import suppress

Detections = dict[str, NDArray]

CENTRES = 24  # boxes a class, at most
HIT = 0.5  # IoU from which a box would have found an object


def train_prior(training: DetectionSamples, validation: DetectionSamples | None = None, progress: bool = True) -> Prior:
    """Centres of the training boxes, with the share of the training images in which each would have been right.

    The boxes, as shares of the sides of their image, are grouped by k-means, each class by itself. A centre scores the
    share of all images that have an object of its class which it meets at IoU 0.5; of two that overlap more than the
    spec's ``detector.nms_iou`` the better one stays, as among the detections of the detector.

    Parameters
    ----------
    training : DetectionSamples
    validation, progress
        Not used: nothing is tuned, and it takes no time.

    Returns
    -------
    Prior

    Examples
    --------
    >>> from tumorkeras.data.detection import load_detection
    >>> from tumorkeras.spec import DataSpec
    >>> samples = load_detection(DataSpec.from_dict({"name": "lesions", "input": {"shape": [64, 64, 1]},
    ...     "source": {"kind": "phantoms", "samples": 8, "without": 0}}))
    >>> found = train_prior(samples)(samples)
    >>> bool((found["boxes"] == found["boxes"][0]).all()), found["scores"].shape == found["classes"].shape
    (True, True)
    """
    boxes, classes, images = _relative(training)
    settings, found = training.spec, []
    for kind in range(len(training.classes)):
        own = classes == kind
        centres = _centres(boxes[own], settings.training.seed)
        scores = _scores(centres, boxes[own], images[own], len(training))
        kept = suppress(centres, scores, settings.detector.nms_iou, CENTRES)
        found.append((centres[kept], scores[kept], np.full(len(kept), kind)))
    places, chances, kinds = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(-chances, kind="stable")
    return Prior(places[order], chances[order].astype("float32"), kinds[order].astype("int32"))


@dataclass(frozen=True)
class Prior:
    """The same boxes in every image, as shares of its sides.

    Parameters
    ----------
    boxes : ndarray, shape (n, 4)
        xyxy, from 0 to 1; the best first.
    scores, classes : ndarray, shape (n,)
    """

    boxes: Boxes
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]

    def __call__(self, samples: DetectionSamples) -> Detections:
        """``boxes`` (images, n, 4) in pixels of the files, ``scores`` and ``classes`` (images, n)."""
        sizes = samples.sizes[samples.rows].tolist()
        boxes = [clip(convert(self.boxes, "rel_xyxy", "xyxy", size), tuple(size)) for size in sizes]
        scores, classes = (np.tile(own, (len(samples), 1)) for own in (self.scores, self.classes))
        return {"boxes": np.stack(boxes), "scores": scores, "classes": classes}


def _relative(samples: DetectionSamples) -> tuple[Boxes, NDArray[np.int64], NDArray[np.int64]]:
    """The boxes of all images as shares of the sides of their image, their classes, and the image of each."""
    boxes, classes, images = [np.empty((0, 4), "float32")], [np.empty(0, "int64")], [np.empty(0, "int64")]
    for sample in range(len(samples)):
        placed = samples.placement(sample)
        own, kinds = samples.boxes_of(sample)
        boxes.append(convert(placed.invert(own), "xyxy", "rel_xyxy", placed.size))
        classes.append(kinds)
        images.append(np.full(len(own), sample))
    return np.concatenate(boxes), np.concatenate(classes), np.concatenate(images)


def _centres(boxes: Boxes, seed: int) -> Boxes:
    """At most ``CENTRES`` typical boxes; fewer of fewer different ones."""
    different = np.unique(boxes, axis=0)
    if len(different) <= CENTRES:
        return different
    return KMeans(CENTRES, n_init=4, random_state=seed).fit(boxes).cluster_centers_.astype("float32")


def _scores(centres: Boxes, boxes: Boxes, images: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Share of ``count`` images that have a box which a centre meets; IoU is the same in shares as in pixels."""
    met = iou(centres, boxes) >= HIT
    return np.array([len(np.unique(images[own])) / count for own in met], "float64")
