"""Regions of images, cut out at one size and labelled by what they hold: what R-CNN learns from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tumorkeras.boxes import Boxes, clip, iou
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.proposals import propose_regions
from tumorkeras.data.proposals.samples import on_canvas
from tumorkeras.progress import progress_bar

OBJECT, GROUND = 0.5, 0.3  # IoU with the truth from which a region is an object, and below which it is background
JITTERED = 8  # moved copies of each true box
JITTER = 0.15  # of its sides


def cut_out(image: NDArray, boxes: Boxes, size: int, context: float) -> NDArray:
    """Regions with what is around them, each stretched to a square.

    Parameters
    ----------
    image : ndarray, shape (height, width, channels)
    boxes : ndarray, shape (n, 4)
        xyxy, each with an area in the image.
    size : int
        Side of the square in pixels.
    context : float
        What is added on each side, as a share of the box's width or height; less at the border of the image.

    Returns
    -------
    ndarray, shape (n, size, size, channels)
        In the dtype of the image.

    Examples
    --------
    >>> image = np.arange(100, dtype="uint8").reshape(10, 10, 1)
    >>> cut_out(image, np.array([[4, 4, 6, 6]], "float32"), size=4, context=0.5)[0, 0].ravel().tolist()
    [33, 34, 35, 36]
    """
    margin = context * np.tile(boxes[:, 2:] - boxes[:, :2], 2) * [-1, -1, 1, 1]
    corners = clip(boxes + margin, image.shape[:2])
    crops = np.empty((len(boxes), size, size, image.shape[-1]), image.dtype)
    for k, (left, top, right, bottom) in enumerate(corners.tolist()):
        part = image[int(top) : max(int(top) + 1, round(bottom)), int(left) : max(int(left) + 1, round(right))]
        how = cv2.INTER_AREA if min(part.shape[:2]) > size else cv2.INTER_LINEAR
        crops[k] = cv2.resize(part, (size, size), interpolation=how).reshape(crops.shape[1:])
    return crops


def regions_of(samples: DetectionSamples, sample: int, most: int) -> Boxes:
    """Proposed regions of a sample, in pixels of the canvas; none reaches over the image into what is beside it."""
    return on_canvas(samples, sample, propose_regions(samples.image_of(sample), most))


@dataclass(frozen=True)
class LabelledCrops:
    """Crops (n, size, size, channels) and their labels (n,): a class id, or the number of classes for background."""

    crops: NDArray
    labels: NDArray[np.int64]


def labelled_crops(
    samples: DetectionSamples,
    *,
    size: int,
    context: float,
    most: int,
    per_image: int,
    seed: int,
    shown: bool = True,
) -> LabelledCrops:
    """The regions of all samples that hold an object or clearly hold none.

    A region that overlaps a true box by an IoU of 0.5 has its class; one that overlaps none by 0.3 is background, and
    what is between is left out. The true boxes and moved copies of them are added to the proposals.

    Parameters
    ----------
    samples : DetectionSamples
    size, context
        See :func:`cut_out`.
    most : int
        Proposals an image.
    per_image : int
        Objects at most, and background at most, of an image; drawn where there are more.
    seed : int
        Of the moved copies and of what is drawn.
    shown : bool
        False for no progress bar.
    """
    rng = np.random.default_rng(seed)
    crops = [np.empty((0, size, size, samples.images.shape[-1]), samples.images.dtype)]
    labels = [np.empty(0, "int64")]
    with progress_bar(len(samples), "regions", "image", shown=shown) as bar:
        for sample in range(len(samples)):
            image = samples.images[samples.rows[sample]]
            truth, classes = samples.boxes_of(sample)
            moved = jittered(truth, image.shape[:2], rng)
            boxes = np.concatenate([truth, moved, regions_of(samples, sample, most)])
            found = labels_of(boxes, truth, classes, ground=len(samples.classes))
            objects = (found >= 0) & (found < len(samples.classes))
            sides = (objects, found == len(samples.classes))
            kept = np.concatenate([_drawn(chosen, per_image, rng) for chosen in sides])
            crops.append(cut_out(image, boxes[kept], size, context))
            labels.append(found[kept])
            bar.update()
    return LabelledCrops(np.concatenate(crops), np.concatenate(labels))


def _drawn(chosen: NDArray[np.bool_], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    places = np.flatnonzero(chosen)
    return places if len(places) <= most else np.sort(rng.choice(places, most, replace=False))


def jittered(boxes: Boxes, size: tuple[int, int], rng: np.random.Generator) -> Boxes:
    """Moved and stretched copies of boxes, cut at the border of the image; those left without area are dropped."""
    copies = np.repeat(boxes, JITTERED, axis=0)
    sides = np.tile(copies[:, 2:] - copies[:, :2], 2)
    moved = clip(copies + rng.uniform(-JITTER, JITTER, copies.shape) * sides, size)
    return moved[(moved[:, 2:] > moved[:, :2]).all(axis=1)]


def labels_of(boxes: Boxes, truth: Boxes, classes: NDArray[np.int64], ground: int) -> NDArray[np.int64]:
    """Class of the true box that each box overlaps most; ``ground`` where there is none, -1 where it is unclear.

    Examples
    --------
    >>> truth = np.array([[0, 0, 10, 10]], "float32")
    >>> boxes = np.array([[0, 0, 10, 8], [0, 0, 10, 4], [0, 0, 10, 2]], "float32")
    >>> labels_of(boxes, truth, np.array([1]), ground=2).tolist()
    [1, -1, 2]
    """
    if not len(truth):
        return np.full(len(boxes), ground, "int64")
    overlap = iou(boxes, truth)
    best = overlap.max(axis=1)
    labels = np.where(best < GROUND, ground, -1)
    return np.where(best >= OBJECT, classes[overlap.argmax(axis=1)], labels).astype("int64")
