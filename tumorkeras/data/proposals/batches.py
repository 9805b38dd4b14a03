"""Proposals for batches of images, for a detector that takes them from outside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tumorkeras.boxes import Boxes, pad
from tumorkeras.data.proposals.proposing import propose_regions

Propose = Callable[[NDArray], Boxes]


def proposals_of(images: NDArray, propose: Propose = propose_regions) -> Boxes:
    """The proposals of each image of a batch.

    Parameters
    ----------
    images : array, shape (batch, height, width, channels)
    propose : callable, optional
        From an image to boxes (n, 4), xyxy in its pixels.

    Returns
    -------
    ndarray, shape (batch, most, 4), float32
        Padded with 0.

    Examples
    --------
    >>> images = np.zeros((2, 32, 32, 1))
    >>> images[1, 8:20, 10:24] = 1
    >>> proposals_of(images)[0].any(), proposals_of(images)[1].any()
    (np.False_, np.True_)
    """
    found = [propose(image) for image in images]
    return pad(found, [np.zeros(len(boxes), "int64") for boxes in found])[0]


def with_proposals(stream: tf.data.Dataset, propose: Propose = propose_regions) -> tf.data.Dataset:
    """Batches of images and boxes, as :func:`tumorkeras.data.detection.detection_stream` gives them, with proposals.

    Each image is proposed for as it is in the batch, after its random changes.

    Parameters
    ----------
    stream : tf.data.Dataset
        Of dicts with ``images``.
    propose : callable, optional
        As in :func:`proposals_of`.

    Returns
    -------
    tf.data.Dataset
        Of the same dicts with ``proposals`` (batch, most, 4) float32, padded with 0.
    """

    def proposed(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        # Drawn from the pixels alone, and by OpenCV, which no graph holds.
        found = tf.numpy_function(lambda images: proposals_of(images, propose), [batch["images"]], tf.float32)
        return {**batch, "proposals": tf.ensure_shape(found, [None, None, 4])}

    return stream.map(proposed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)
