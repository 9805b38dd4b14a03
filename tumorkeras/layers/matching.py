"""Which object each anchor or region stands for in training, and which of them take part in a step."""

from __future__ import annotations

from typing import NamedTuple

import keras_cv
import tensorflow as tf

from tumorkeras.boxes import NO_CLASS

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
COLUMNS = 8  # objects are padded to a multiple of so many


class Matches(NamedTuple):
    """For each box, (batch, n): what it is, and its object, of whom a box and a class are looked up when asked for."""

    kind: tf.Tensor  # int32: POSITIVE, NEGATIVE or IGNORED
    column: tf.Tensor  # int32: the object with the largest IoU; means something where the box is positive
    object_boxes: tf.Tensor  # (batch, m, 4) float32
    object_classes: tf.Tensor  # (batch, m) int32

    @property
    def boxes(self) -> tf.Tensor:
        """Box of the object of each box, (batch, n, 4)."""
        return tf.gather(self.object_boxes, self.column, batch_dims=1)

    @property
    def classes(self) -> tf.Tensor:
        """Class of the object of each box, (batch, n)."""
        return tf.gather(self.object_classes, self.column, batch_dims=1)

    @property
    def crowd(self) -> tf.Tensor:
        """How many positives stand for the object of each box, (batch, n) float32, itself among them; else 1."""
        is_positive = tf.cast(self.kind == POSITIVE, tf.float32)
        shape = tf.shape(self.object_classes)
        places = self.column + shape[1] * tf.range(shape[0])[:, None]
        counts = tf.math.unsorted_segment_sum(is_positive, places, shape[0] * shape[1])
        return tf.where(self.kind == POSITIVE, tf.gather(counts, places), 1.0)

    def of(self, rows: tf.Tensor) -> Matches:
        """Those of some boxes (batch, k)."""
        kind, column = (tf.gather(value, rows, batch_dims=1) for value in (self.kind, self.column))
        return Matches(kind, column, self.object_boxes, self.object_classes)


class ObjectMatcher:
    """Matches boxes to the objects of their image by IoU, with KerasCV's ``BoxMatcher``.

    A box is positive from ``positive_iou`` on, negative below ``negative_iou``, ignored between. With
    ``match_every_object`` the box with the largest IoU of each object is positive, however small the IoU, if it is
    above 0. Padding among the objects (class -1) matches nothing; an image without objects has negative boxes only.

    Parameters
    ----------
    negative_iou, positive_iou : float
        0 to 1, the first not above the second.
    match_every_object : bool

    Examples
    --------
    >>> match = ObjectMatcher(0.3, 0.7)
    >>> boxes = tf.constant([[[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 16.0], [20.0, 20.0, 24.0, 24.0]]])
    >>> found = match(boxes, tf.constant([[[0.0, 0.0, 8.0, 8.0]]]), tf.constant([[2]]))
    >>> found.kind.numpy().tolist(), int(found.classes[0, 0])
    ([[1, -1, 0]], 2)
    """

    def __init__(self, negative_iou: float, positive_iou: float, match_every_object: bool = False) -> None:
        self.matcher = keras_cv.layers.BoxMatcher(
            thresholds=[negative_iou, positive_iou],
            match_values=[NEGATIVE, IGNORED, POSITIVE],
            force_match_for_each_col=match_every_object,
        )

    def __call__(self, boxes: tf.Tensor, truth_boxes: tf.Tensor, truth_classes: tf.Tensor) -> Matches:
        """Match boxes (n, 4) or (batch, n, 4) to objects (batch, m, 4) of the classes (batch, m)."""
        truth_boxes, truth_classes = pad_objects(truth_boxes, truth_classes)
        boxes = boxes[None] if len(boxes.shape) == 2 else boxes  # of one rank: what is compiled cannot take two
        column, kind = self._assign(boxes, truth_boxes, truth_classes != NO_CLASS)
        return Matches(kind, column, truth_boxes, truth_classes)

    # Compiled: of tens of thousands of anchors and tens of objects, op by op is four times as slow.
    @tf.function(jit_compile=True, reduce_retracing=True)
    def _assign(self, boxes: tf.Tensor, truth: tf.Tensor, is_object: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        overlap = keras_cv.bounding_box.compute_iou(boxes, truth, bounding_box_format="xyxy")
        overlap = tf.where(is_object[:, None], overlap, 0.0)
        # Each column takes its best row: the row put first is what padding takes, and an object that meets no box.
        first = tf.where(is_object, 0.0, 1.0)[:, None]
        column, kind = self.matcher(tf.concat([first, overlap], axis=1))
        return column[:, 1:], kind[:, 1:]


def pad_objects(boxes: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Objects (batch, m, ...) padded to a multiple of eight, at least eight.

    An image without any column would have nothing to match, and every number of columns is compiled by itself.

    Examples
    --------
    >>> boxes, classes = pad_objects(tf.zeros((2, 3, 4)), tf.zeros((2, 3), tf.int32))
    >>> boxes.shape, classes[0].numpy().tolist()
    (TensorShape([2, 8, 4]), [0, 0, 0, -1, -1, -1, -1, -1])
    """
    count = tf.shape(classes)[1]
    more = tf.maximum(-(-count // COLUMNS), 1) * COLUMNS - count
    boxes = tf.pad(boxes, [[0, 0], [0, more], [0, 0]])
    return boxes, tf.pad(tf.cast(classes, tf.int32), [[0, 0], [0, more]], constant_values=NO_CLASS)


def sample(
    kind: tf.Tensor, count: int, positive_share: float, seed: tf.Tensor, crowd: tf.Tensor | float = 1.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Choose boxes at random: positives up to their share, the rest negatives.

    Parameters
    ----------
    kind : tensor, shape (batch, n), int32
        Of :class:`Matches`.
    count : int
        Boxes an image that are wanted.
    positive_share : float
        Largest share of positives among them, above 0 to 1; at least one is taken where there is one.
    seed : tensor, shape (2,), integer
    crowd : tensor, shape (batch, n), optional
        Of :class:`Matches`: a positive is drawn with a chance that is the smaller, the more there are of its object.
        So a small object, which few anchors meet, is seen as often as a large one, which hundreds do.

    Returns
    -------
    rows : tensor, shape (batch, min(count, n)), int32
        Positives first.
    chosen : tensor, same shape, bool
        False where an image has fewer boxes of either kind than are wanted.

    Examples
    --------
    >>> rows, chosen = sample(tf.constant([[0, 1, -1, 0, 0]]), 4, 0.5, (0, 1))
    >>> int(rows[0, 0]), sorted(rows[0, 1:].numpy().tolist()), chosen.numpy().tolist()
    (1, [0, 3, 4], [[True, True, True, True]])
    """
    count = tf.minimum(count, tf.shape(kind)[1])
    crowd = tf.pad(tf.broadcast_to(crowd, tf.shape(kind)), [[0, 0], [0, 1]], constant_values=1.0)
    kind = tf.pad(kind, [[0, 0], [0, 1]], constant_values=IGNORED)  # there may be no box at all
    # The order of exponential waiting times is a draw without replacement by weights, here 1 / crowd.
    waiting = -tf.math.log(tf.random.stateless_uniform(tf.shape(kind), seed, minval=1e-7))
    chance = 1 / (1 + waiting * crowd)
    most = tf.maximum(1, tf.cast(tf.cast(count, tf.float32) * positive_share + 1e-3, tf.int32))
    drawn = tf.where(kind == POSITIVE, 1 + chance, 0.0)
    last = tf.math.top_k(drawn, most).values[:, -1:]
    # Positives by chance, then negatives by chance, then what must not be chosen.
    priority = tf.where((drawn > 0) & (drawn >= last), 2 + drawn, tf.where(kind == NEGATIVE, 1 + chance, 0.0))
    best, rows = tf.math.top_k(priority, count)
    return rows, best > 0
