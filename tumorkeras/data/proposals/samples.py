"""Proposals beside the objects of samples, for a detector that takes them from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from tumorkeras.boxes import Boxes, pad
from tumorkeras.data.detection import Batch, DetectionSamples
from tumorkeras.data.proposals.proposing import propose_regions
from tumorkeras.progress import progress_bar

PROPOSAL = 2**20  # the class id of a proposal while it travels among the objects


def proposals_of(samples: DetectionSamples, most: int = 200, *, progress: bool = False) -> list[Boxes]:
    """The proposals of each sample, xyxy in pixels of ``samples.image_of(sample)``; see :func:`propose_regions`."""
    with progress_bar(len(samples), "proposing", "image", shown=progress) as bar:
        found = []
        for sample in range(len(samples)):
            found.append(propose_regions(samples.image_of(sample), most))
            bar.update(1)
    return found


def on_canvas(samples: DetectionSamples, sample: int, proposals: Boxes) -> Boxes:
    """Boxes in pixels of a sample's image in pixels of its canvas."""
    placed = samples.placement(sample)
    return proposals + np.array([placed.left, placed.top] * 2, "float32")


def with_proposals(samples: DetectionSamples, proposals: Sequence[Boxes]) -> DetectionSamples:
    """Samples whose proposals, as :func:`proposals_of` gives them, are objects of the class ``PROPOSAL``.

    So they take part in the random changes of the images as the boxes of objects do, and are found but once.
    :func:`set_apart` parts them from the objects again.

    Returns
    -------
    DetectionSamples
        With the same images; not to be measured or selected from, but streamed.
    """
    counts = np.zeros(len(samples.offsets) - 1, "int64")
    boxes, classes = [np.empty((0, 4), "float32")], [np.empty(0, "int64")]
    sample_of_image = {int(row): sample for sample, row in enumerate(samples.rows)}
    for row, sample in sorted(sample_of_image.items()):  # the boxes of all images lie in the order of the images
        objects, ids = samples.boxes_of(sample)
        own = on_canvas(samples, sample, proposals[sample])
        boxes += [objects, own]
        classes += [ids, np.full(len(own), PROPOSAL)]
        counts[row] = len(objects) + len(own)
    return replace(
        samples,
        boxes=np.concatenate(boxes).astype("float32"),
        class_ids=np.concatenate(classes),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
    )


def set_apart(batch: Batch) -> Batch:
    """A batch of such samples with ``proposals`` (batch, n, 4) of their own, padded with 0 as the objects then are.

    Examples
    --------
    >>> batch = {"boxes": tf.constant([[[0, 0, 8, 8.0], [1, 1, 9, 9.0]]]), "classes": tf.constant([[2, PROPOSAL]])}
    >>> parted = set_apart(batch)
    >>> parted["classes"].numpy().tolist(), parted["proposals"][0, 1].numpy().tolist()
    ([[2, -1]], [1.0, 1.0, 9.0, 9.0])
    """
    is_proposal = batch["classes"] == PROPOSAL
    return {
        **batch,
        "boxes": tf.where(is_proposal[..., None], 0.0, batch["boxes"]),
        "classes": tf.where(is_proposal, tf.constant(-1, batch["classes"].dtype), batch["classes"]),
        "proposals": tf.where(is_proposal[..., None], batch["boxes"], 0.0),
    }


def padded(proposals: Sequence[Boxes]) -> Boxes:
    """The proposals of several images as one array (images, most, 4), padded with 0.

    Examples
    --------
    >>> padded([np.ones((1, 4)), np.ones((3, 4))]).shape
    (2, 3, 4)
    """
    return pad(proposals, [np.zeros(len(own), "int64") for own in proposals])[0]
