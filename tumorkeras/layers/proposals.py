"""From the heads of a region proposal network to the regions that are worth a second look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_cv
import numpy as np
import tensorflow as tf

from tumorkeras.anchors import Anchors
from tumorkeras.errors import ModelError
from tumorkeras.layers.box_coding import clip_boxes, decode_boxes
from tumorkeras.layers.float32 import is_count

SMALLEST_SIDE = 1.0  # pixels of the canvas


def anchor_boxes(anchors: Anchors, canvas: tuple[int, int]) -> list[np.ndarray]:
    """The anchors of each level, (cells x sizes x ratios, 4) float32, xyxy in pixels of the canvas.

    Row by row of the map, then sizes, then ratios; they are not cut at the edges.

    Examples
    --------
    >>> anchor_boxes(Anchors((8,), ((8.0,),), (1.0,)), (8, 16))[0].tolist()
    [[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0]]
    """
    found = []
    for stride, sizes in zip(anchors.strides, anchors.sizes, strict=True):
        generator = keras_cv.layers.AnchorGenerator(
            bounding_box_format="xyxy",
            sizes=[1.0],
            scales=list(sizes),
            aspect_ratios=[1 / ratio for ratio in anchors.ratios],  # there width over height
            strides=[stride],
            name=f"anchors_{stride}",
        )
        found.append(np.asarray(generator(image_shape=(*canvas, 1))[0], "float32"))
    return found


@keras.saving.register_keras_serializable(package="tumorkeras")
class RegionProposals(keras.layers.Layer):
    """The best boxes of a region proposal network, without doubles.

    Called as ``layer(logits, deltas)``: objectness (batch, anchors) and deltas (batch, anchors, 4), in the order of
    ``anchors``. Output (batch, ``most``, 4) float32, xyxy in pixels of the canvas, cut at its edges, best first; box 0
    is padding. No gradient goes through.

    Parameters
    ----------
    canvas : tuple of int
        (height, width).
    strides, sizes, ratios
        Of :class:`tumorkeras.anchors.Anchors`.
    candidates : int
        Boxes with the highest objectness that are compared with one another.
    most : int
        Boxes an image that come out.
    nms_iou : float
        IoU above which the weaker of two boxes is dropped, above 0 to 1.

    Raises
    ------
    ModelError
        If an argument is out of its range.

    Examples
    --------
    >>> layer = RegionProposals((8, 16), strides=[8], sizes=[[8.0]], ratios=[1.0], most=2)
    >>> layer(tf.constant([[-1.0, 3.0]]), tf.zeros((1, 2, 4))).numpy()[0].tolist()
    [[8.0, 0.0, 16.0, 8.0], [0.0, 0.0, 8.0, 8.0]]

    References
    ----------
    Ren et al., *Faster R-CNN*, NeurIPS 2015.
    """

    def __init__(
        self,
        canvas: Sequence[int],
        strides: Sequence[int],
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float],
        candidates: int = 1000,
        most: int = 200,
        nms_iou: float = 0.7,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        faults = [
            f"{name}: {value!r} is not a positive integer"
            for name, value in (("candidates", candidates), ("most", most))
            if not is_count(value)
        ]
        if not 0 < nms_iou <= 1:
            faults.append(f"nms_iou: {nms_iou!r} is not above 0 to 1")
        if faults:
            raise ModelError(self.name, faults)
        height, width = canvas
        self.canvas = (int(height), int(width))
        self.pyramid = Anchors(tuple(strides), tuple(tuple(own) for own in sizes), tuple(ratios))
        self.candidates, self.most, self.nms_iou = candidates, most, nms_iou
        self.levels = anchor_boxes(self.pyramid, self.canvas)
        self.anchors = np.concatenate(self.levels)
        self.supports_jit = False

    def call(self, logits: tf.Tensor, deltas: tf.Tensor) -> tf.Tensor:
        """Decode, choose and thin out."""
        logits, deltas = (tf.stop_gradient(tf.cast(value, tf.float32)) for value in (logits, deltas))
        count = min(self.candidates, len(self.anchors))
        rows = tf.math.top_k(logits, count).indices
        boxes = decode_boxes(tf.gather(deltas, rows, batch_dims=1), tf.gather(tf.constant(self.anchors), rows))
        boxes = clip_boxes(boxes, self.canvas)
        usable = tf.reduce_all(boxes[..., 2:] - boxes[..., :2] >= SMALLEST_SIDE, axis=-1)
        # Ranks, best first: of a probability near 0 or 1 float32 keeps no order.
        scores = tf.where(usable, np.linspace(1.0, 0.5, count, dtype="float32"), 0.0)
        kept = tf.image.combined_non_max_suppression(
            boxes[:, :, None],
            scores[:, :, None],
            self.most,
            self.most,
            self.nms_iou,
            score_threshold=0.0,
            clip_boxes=False,
        )
        return tf.ensure_shape(kept.nmsed_boxes, [None, self.most, 4])

    def compute_output_spec(self, logits: Any, deltas: Any) -> keras.KerasTensor:
        """``most`` boxes an image, float32."""
        return keras.KerasTensor((logits.shape[0], self.most, 4), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "canvas": list(self.canvas),
            "strides": list(self.pyramid.strides),
            "sizes": [list(own) for own in self.pyramid.sizes],
            "ratios": list(self.pyramid.ratios),
            "candidates": self.candidates,
            "most": self.most,
            "nms_iou": self.nms_iou,
        }
