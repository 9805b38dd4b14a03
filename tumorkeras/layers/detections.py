"""From the heads of a detector to boxes in pixels of the image that came in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tumorkeras.boxes import NO_CLASS
from tumorkeras.errors import ModelError
from tumorkeras.layers.box_coding import clip_boxes, decode_boxes
from tumorkeras.layers.float32 import is_count
from tumorkeras.layers.letterbox import letterbox_boxes, restore_boxes

#: Typical deviations of the deltas between a proposal and its object, as in Fast R-CNN.
REGION_SPREAD = (0.1, 0.1, 0.2, 0.2)


@keras.saving.register_keras_serializable(package="tumorkeras")
class Detections(keras.layers.Layer):
    """Boxes, scores and classes of the objects in an image, doubles removed class by class.

    Called as ``layer(logits, deltas, proposals, images)``: class logits (batch * n, classes + 1), background last,
    and deltas (batch * n, 4) of the proposals (batch, n, 4), xyxy in pixels of the canvas, where box 0 is padding;
    the images (batch, height, width, channels) as they were before the letterbox, of which only the size is read.

    Output, a dict, best first: ``boxes`` (batch, ``most``, 4) float32, xyxy in pixels of those images, cut at their
    edges; ``scores`` (batch, ``most``) float32, 0 to 1; ``classes`` (batch, ``most``) int32 and ``num_detections``
    (batch,) int32. Padding is box 0, score 0 and class -1. A box with no area inside its image is no detection.

    Parameters
    ----------
    canvas : tuple of int
        (height, width) that the images are letterboxed to.
    score_threshold : float
        A detection's score is above it; 0 to below 1.
    nms_iou : float
        IoU above which the weaker of two boxes of one class is dropped, above 0 to 1.
    most : int
        Detections an image.

    Raises
    ------
    ModelError
        If an argument is out of its range.

    Examples
    --------
    >>> logits, deltas, images = tf.constant([[4.0, 0.0]]), tf.zeros((1, 4)), tf.zeros((1, 64, 64, 1))
    >>> found = Detections((32, 32), most=2)(logits, deltas, tf.constant([[[8.0, 8.0, 16.0, 24.0]]]), images)
    >>> found["boxes"].numpy()[0, 0].tolist(), found["classes"].numpy().tolist()
    ([16.0, 16.0, 32.0, 48.0], [[0, -1]])
    """

    def __init__(
        self,
        canvas: Sequence[int],
        score_threshold: float = 0.05,
        nms_iou: float = 0.5,
        most: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        faults = [] if is_count(most) else [f"most: {most!r} is not a positive integer"]
        if not 0 <= score_threshold < 1:
            faults.append(f"score_threshold: {score_threshold!r} is not from 0 to below 1")
        if not 0 < nms_iou <= 1:
            faults.append(f"nms_iou: {nms_iou!r} is not above 0 to 1")
        if faults:
            raise ModelError(self.name, faults)
        height, width = canvas
        self.canvas = (int(height), int(width))
        self.score_threshold, self.nms_iou, self.most = score_threshold, nms_iou, most
        self.supports_jit = False

    def call(self, logits: tf.Tensor, deltas: tf.Tensor, proposals: tf.Tensor, images: tf.Tensor) -> dict[str, Any]:
        """Score, decode, thin out, and go back to the images."""
        return self.find(logits, deltas, proposals, tf.shape(images)[1:3])

    def find(self, logits: tf.Tensor, deltas: tf.Tensor, proposals: tf.Tensor, size: tf.Tensor) -> dict[str, Any]:
        """The same where the images had one size (2,), height and width, or one each (batch, 2)."""
        shape = tf.shape(proposals)
        scores = tf.nn.softmax(tf.cast(logits, tf.float32))[:, :-1]
        scores = tf.reshape(scores, (shape[0], shape[1], logits.shape[-1] - 1))
        deltas = tf.reshape(tf.cast(deltas, tf.float32), (shape[0], shape[1], 4))
        boxes = _inside(decode_boxes(deltas, proposals, REGION_SPREAD), size, self.canvas)
        usable = tf.reduce_any(proposals != 0, axis=-1) & tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        scores = tf.where(usable[..., None], scores, 0.0)
        kept = tf.image.combined_non_max_suppression(
            boxes[:, :, None],
            scores,
            self.most,
            self.most,
            self.nms_iou,
            score_threshold=self.score_threshold,
            clip_boxes=False,
        )
        found = tf.range(self.most)[None] < kept.valid_detections[:, None]
        restored = clip_boxes(restore_boxes(kept.nmsed_boxes, size, self.canvas), size)
        return {
            "boxes": tf.where(found[..., None], restored, 0.0),
            "scores": kept.nmsed_scores,
            "classes": tf.where(found, tf.cast(kept.nmsed_classes, tf.int32), NO_CLASS),
            "num_detections": kept.valid_detections,
        }

    def compute_output_spec(self, logits: Any, deltas: Any, proposals: Any, images: Any) -> dict[str, Any]:
        """``most`` detections an image."""
        batch = images.shape[0]
        return {
            "boxes": keras.KerasTensor((batch, self.most, 4), dtype="float32"),
            "scores": keras.KerasTensor((batch, self.most), dtype="float32"),
            "classes": keras.KerasTensor((batch, self.most), dtype="int32"),
            "num_detections": keras.KerasTensor((batch,), dtype="int32"),
        }

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "canvas": list(self.canvas),
            "score_threshold": self.score_threshold,
            "nms_iou": self.nms_iou,
            "most": self.most,
        }


def _inside(boxes: tf.Tensor, size: tf.Tensor, canvas: tuple[int, int]) -> tf.Tensor:
    """Boxes of the canvas cut at the edges of the image that lies on it."""
    far = tf.cast(tf.reverse(size, [-1]), tf.float32)
    whole = tf.concat([tf.zeros_like(far), far], axis=-1)[..., None, :]
    placed = letterbox_boxes(whole, size, canvas)
    near, far = placed[..., :2], placed[..., 2:]
    return tf.maximum(tf.minimum(boxes, tf.concat([far, far], -1)), tf.concat([near, near], -1))
