"""The four losses of a Faster R-CNN: is there an object, where, of which class, and where exactly."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import tensorflow as tf

from tumorkeras.layers.box_coding import encode_boxes
from tumorkeras.layers.detections import REGION_SPREAD
from tumorkeras.layers.matching import POSITIVE, Matches, ObjectMatcher, sample
from tumorkeras.models.detector.settings import TrainingSettings
from tumorkeras.models.replicas import mean_over_replicas


class Regions(NamedTuple):
    """The regions of a step, (batch, n, ...): where they are, what they stand for, and which count."""

    boxes: tf.Tensor
    matches: Matches
    chosen: tf.Tensor


def smooth_l1(difference: tf.Tensor, beta: float) -> tf.Tensor:
    """Squared below ``beta``, absolute above, with one slope where they meet.

    Examples
    --------
    >>> smooth_l1(tf.constant([0.5, -2.0]), beta=1.0).numpy().tolist()
    [0.125, 1.5]
    """
    size = tf.abs(difference)
    return tf.where(size < beta, 0.5 * tf.square(size) / beta, size - 0.5 * beta)


@cache  # one of a kind, for each is compiled anew: in eager mode that would be in every step
def _matcher(negative_iou: float, positive_iou: float, match_every_object: bool) -> ObjectMatcher:
    return ObjectMatcher(negative_iou, positive_iou, match_every_object)


def proposal_losses(
    logits: tf.Tensor,
    deltas: tf.Tensor,
    anchors: tf.Tensor,
    boxes: tf.Tensor,
    classes: tf.Tensor,
    settings: TrainingSettings,
    seed: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Losses of the region proposal network on a sample of its anchors.

    Parameters
    ----------
    logits, deltas : tensor, shape (batch, n) and (batch, n, 4)
        Of the network.
    anchors : tensor, shape (n, 4)
        xyxy in pixels of the canvas, as all boxes here.
    boxes, classes : tensor, shape (batch, m, 4) and (batch, m)
        The objects; class -1 is padding.
    settings : TrainingSettings
    seed : tensor, shape (2,)

    Returns
    -------
    dict of str to scalar tensor
        ``rpn_objectness_loss`` and ``rpn_box_loss``, each over the number of anchors in the sample.
    """
    matches = _matcher(settings.rpn_negative_iou, settings.rpn_positive_iou, True)(anchors, boxes, classes)
    rows, chosen = sample(matches.kind, settings.rpn_samples, settings.rpn_positive_share, seed, matches.crowd)
    taken = matches.of(rows)
    logits, deltas = (tf.gather(tf.cast(value, tf.float32), rows, batch_dims=1) for value in (logits, deltas))
    weight = tf.cast(chosen, tf.float32)
    is_object = tf.cast(taken.kind == POSITIVE, tf.float32)
    wanted = encode_boxes(taken.boxes, tf.gather(anchors, rows))
    objectness = tf.nn.sigmoid_cross_entropy_with_logits(is_object, logits)
    shift = tf.reduce_sum(smooth_l1(deltas - wanted, 1 / 9), axis=-1)
    count = tf.reduce_sum(weight)
    return {
        "rpn_objectness_loss": mean_over_replicas(tf.reduce_sum(objectness * weight), count),
        "rpn_box_loss": mean_over_replicas(tf.reduce_sum(shift * weight * is_object), count),
    }


def sample_regions(
    proposals: tf.Tensor,
    boxes: tf.Tensor,
    classes: tf.Tensor,
    settings: TrainingSettings,
    seed: tf.Tensor,
) -> Regions:
    """Draw the regions that the head learns from: proposals, and the objects themselves.

    The objects are among them, so that the head sees some from the first step on. Box 0 is padding.
    """
    pool = tf.stop_gradient(tf.concat([boxes, proposals], axis=1))
    matches = _matcher(settings.region_positive_iou, settings.region_positive_iou, False)(pool, boxes, classes)
    is_region = tf.reduce_any(pool != 0, axis=-1)
    kind = tf.where(is_region, matches.kind, -1)
    rows, chosen = sample(kind, settings.region_samples, settings.region_positive_share, seed, matches.crowd)
    rows = repeat_chosen(rows, chosen)
    return Regions(tf.gather(pool, rows, batch_dims=1), matches.of(rows), chosen)


def repeat_chosen(rows: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Rows (batch, n) with the chosen ones, which come first, over again in the place of the others.

    Every region of a step enters the head's normalisation, whether it counts or not: padding must not.

    Examples
    --------
    >>> repeat_chosen(tf.constant([[7, 3, 0, 1, 2]]), tf.constant([[True, True, False, False, False]])).numpy().tolist()
    [[7, 3, 7, 3, 7]]
    """
    count = tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1, keepdims=True)
    places = tf.math.floormod(tf.range(tf.shape(rows)[1]), tf.maximum(count, 1))
    return tf.gather(rows, places, batch_dims=1)


def region_losses(logits: tf.Tensor, deltas: tf.Tensor, regions: Regions) -> dict[str, tf.Tensor]:
    """Losses of the region head on the sampled regions.

    Parameters
    ----------
    logits, deltas : tensor, shape (batch * n, classes + 1) and (batch * n, 4)
        Of the head; background is the last class.
    regions : Regions

    Returns
    -------
    dict of str to scalar tensor
        ``region_class_loss`` and ``region_box_loss``, each over the number of regions in the sample.
    """
    background = logits.shape[-1] - 1
    is_object = tf.reshape(regions.matches.kind == POSITIVE, (-1,))
    labels = tf.where(is_object, tf.reshape(regions.matches.classes, (-1,)), background)
    wanted = tf.reshape(encode_boxes(regions.matches.boxes, regions.boxes, REGION_SPREAD), (-1, 4))
    weight = tf.cast(tf.reshape(regions.chosen, (-1,)), tf.float32)
    classification = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32))
    shift = tf.reduce_sum(smooth_l1(tf.cast(deltas, tf.float32) - wanted, 1.0), axis=-1)
    count = tf.reduce_sum(weight)
    return {
        "region_class_loss": mean_over_replicas(tf.reduce_sum(classification * weight), count),
        "region_box_loss": mean_over_replicas(tf.reduce_sum(shift * weight * tf.cast(is_object, tf.float32)), count),
    }
