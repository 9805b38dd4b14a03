"""The Keras model of a detector: a functional graph that answers with boxes, and a training step over it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import keras
import tensorflow as tf

from tumorkeras.boxes import NO_CLASS
from tumorkeras.errors import ModelError
from tumorkeras.layers.box_coding import clip_boxes
from tumorkeras.layers.letterbox import letterbox_boxes
from tumorkeras.layers.matching import pad_objects
from tumorkeras.models.detector.losses import proposal_losses, region_losses, sample_regions
from tumorkeras.models.detector.settings import TrainingSettings

PROPOSAL_LOSSES = ("rpn_objectness_loss", "rpn_box_loss")
REGION_LOSSES = ("region_class_loss", "region_box_loss")
BOX_KEYS = ("boxes", "classes")


@dataclass(frozen=True)
class _Parts:
    """What a training step needs of the graph: a plain object, which Keras does not look into for weights."""

    heads: keras.Model  # images to levels, proposals, and the raw heads of the proposal network
    roi_align: keras.layers.Layer
    region_head: keras.Model
    canvas: tuple[int, int]
    anchors: Any  # (n, 4), or None where proposals come from outside


@keras.saving.register_keras_serializable(package="tumorkeras")
class Detector(keras.Model):
    """A functional model whose outputs are boxes in pixels of its input images, trained in one pass a step.

    Made by :func:`tumorkeras.build_detector`. Input: images (batch, height, width, channels) of any size; with
    proposals from outside a dict of ``images`` and ``proposals`` (batch, n, 4). Output: the dict of
    :class:`tumorkeras.layers.Detections`.

    ``fit`` and ``evaluate`` take batches of ``(images, {"boxes": ..., "classes": ...})``, or one dict with all of it
    as :func:`tumorkeras.data.detection.detection_stream` gives: boxes (batch, m, 4), xyxy in pixels of those images,
    classes (batch, m), padding being box 0 and class -1. The losses are the model's own, so ``compile`` takes only an
    optimizer. ``predict`` takes the same batches, or images alone.

    Examples
    --------
    >>> from tumorkeras import build_detector
    >>> detector = build_detector((64, 64, 1), num_classes=2)
    >>> detector.canvas, detector.num_classes, detector.loss_names[0]
    ((64, 64), 2, 'rpn_objectness_loss')
    """

    settings = TrainingSettings()

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(inputs, outputs, name=name, **kwargs)
        self._parts = _parts_of(self)
        self.trackers = {key: keras.metrics.Mean(name=key) for key in ("loss", *self.loss_names)}

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The losses that the training adds up."""
        return (() if self._parts.anchors is None else PROPOSAL_LOSSES) + REGION_LOSSES

    @property
    def num_classes(self) -> int:
        """Classes of objects."""
        return self._parts.region_head.output["logits"].shape[-1] - 1

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) that images are letterboxed to."""
        return self._parts.canvas

    @property
    def anchors(self) -> tf.Tensor | None:
        """Anchors (n, 4) on the canvas, xyxy in pixels; None where proposals come from outside."""
        return self._parts.anchors

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The running mean of each loss and of their sum."""
        return list(self.trackers.values())

    def compile(self, optimizer: Any = "adam", **kwargs: Any) -> None:
        """Configure the training; the losses are the model's own.

        Raises
        ------
        ModelError
            If a loss or metrics are given.
        """
        given = [name for name in ("loss", "metrics", "weighted_metrics", "loss_weights") if kwargs.get(name)]
        if given:
            raise ModelError(self.name, [f"{name}: the detector has losses of its own; leave it out" for name in given])
        kwargs = {"jit_compile": False, **kwargs}  # regions are sorted to their levels, however many there are on each
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.trainable_variables)  # here: made in the first step, it would be traced twice

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a model that was saved with its optimizer."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One forward pass, four losses, one step of the optimizer."""
        images, truth = split_batch(data)
        seed = tf.stack([tf.constant(self.settings.seed, tf.int64), tf.cast(self.optimizer.iterations, tf.int64)])
        with tf.GradientTape() as tape:
            losses = self.losses_of(images, truth, seed, training=True)
            total = tf.add_n([*losses.values(), *self.losses])
            # Devices that share a batch have the same losses, and the optimizer adds up their gradients.
            scaled = self.optimizer.scale_loss(total / tf.distribute.get_strategy().num_replicas_in_sync)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(
            zip(tape.gradient(scaled, [variable.value for variable in variables]), variables, strict=True)
        )
        return self._update(losses, total)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The losses without a step, on a sample that is always the same."""
        images, truth = split_batch(data)
        losses = self.losses_of(images, truth, tf.zeros(2, tf.int64), training=False)
        return self._update(losses, tf.add_n([*losses.values(), *self.losses]))

    def predict_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Detections of a batch; boxes and classes that come with the images are left aside."""
        return self(split_batch(data)[0], training=False)

    def losses_of(self, images: Any, truth: dict[str, tf.Tensor], seed: tf.Tensor, training: bool) -> dict[str, Any]:
        """The named losses of a batch in one pass through the graph."""
        parts = self._parts
        pixels = images["images"] if isinstance(images, dict) else images
        boxes, classes = self._placed(truth, tf.shape(pixels)[1:3])
        raw = parts.heads(images, training=training)
        losses = {}
        if parts.anchors is not None:
            losses = proposal_losses(
                raw["rpn_logits"], raw["rpn_deltas"], parts.anchors, boxes, classes, self.settings, seed
            )
        regions = sample_regions(raw["proposals"], boxes, classes, self.settings, seed + tf.constant([1, 0], tf.int64))
        pooled = parts.roi_align(raw["levels"], regions.boxes)
        head = parts.region_head(pooled, training=training)
        return losses | region_losses(head["logits"], head["deltas"], regions)

    def _placed(self, truth: dict[str, tf.Tensor], size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The objects on the canvas; a box that is not finite or has no area inside its image becomes padding."""
        if missing := [key for key in BOX_KEYS if key not in truth]:
            fault = f"the batch has no {' and no '.join(missing)}; the losses need images, boxes and classes"
            raise ModelError(self.name, [fault])
        classes, boxes = tf.cast(truth["classes"], tf.int32), tf.cast(truth["boxes"], tf.float32)
        message = f"{self.name}: a class is not from 0 to {self.num_classes - 1}, nor {NO_CLASS} for padding"
        is_known = (classes >= NO_CLASS) & (classes < self.num_classes)
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_known), [message])]):
            finite = tf.reduce_all(tf.math.is_finite(boxes), axis=-1, keepdims=True)
        boxes = clip_boxes(tf.where(finite, boxes, 0.0), size)
        usable = (classes >= 0) & tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
        boxes = letterbox_boxes(tf.where(usable[..., None], boxes, 0.0), size, self._parts.canvas)
        return pad_objects(boxes, tf.where(usable, classes, NO_CLASS))

    def _update(self, losses: dict[str, tf.Tensor], total: tf.Tensor) -> dict[str, tf.Tensor]:
        for key, value in {"loss": total, **losses}.items():
            self.trackers[key].update_state(value)
        return {key: tracker.result() for key, tracker in self.trackers.items()}

    def get_config(self) -> dict[str, Any]:
        """The graph and the settings."""
        return {**super().get_config(), "settings": asdict(self.settings)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        """Make an equal model."""
        config = dict(config)
        settings = TrainingSettings(**config.pop("settings"))
        model = super().from_config(config, custom_objects)
        model.settings = settings
        return model


def split_batch(data: Any) -> tuple[Any, dict[str, tf.Tensor]]:
    """What goes into the model, and the objects, of a batch in any of the forms that ``fit`` and ``predict`` take.

    Examples
    --------
    >>> split_batch({"images": 1, "boxes": 2, "classes": 3})
    (1, {'boxes': 2, 'classes': 3})
    >>> split_batch(({"images": 1, "proposals": 4}, {"boxes": 2, "classes": 3}))
    ({'images': 1, 'proposals': 4}, {'boxes': 2, 'classes': 3})
    """
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    if y is None and isinstance(x, dict):
        y = {key: x[key] for key in BOX_KEYS if key in x}
        x = {key: value for key, value in x.items() if key not in BOX_KEYS}
    if isinstance(x, dict) and set(x) == {"images"}:
        x = x["images"]
    return x, y or {}


def _parts_of(model: keras.Model) -> _Parts:
    roi_align, letterbox = model.get_layer("roi_align"), model.get_layer("letterbox")
    *levels, proposals = roi_align.input
    outputs: dict[str, Any] = {"levels": levels, "proposals": proposals}
    anchors = None
    layers = {layer.name: layer for layer in model.layers}
    if "proposals" in layers and hasattr(layers["proposals"], "anchors"):
        logits, deltas = layers["proposals"].input
        outputs |= {"rpn_logits": logits, "rpn_deltas": deltas}
        anchors = tf.constant(layers["proposals"].anchors)
    inputs = model.inputs[0] if len(model.inputs) == 1 else {each.name: each for each in model.inputs}
    heads = keras.Model(inputs, outputs, name=f"{model.name}_heads")
    return _Parts(heads, roi_align, model.get_layer("region_head"), (letterbox.height, letterbox.width), anchors)
