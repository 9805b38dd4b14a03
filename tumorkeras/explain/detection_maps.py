"""Grad-CAM for one detection: what in the levels of the pyramid speaks for its class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tumorkeras.boxes import NO_CLASS, Letterbox, letterbox
from tumorkeras.data.proposals import propose_regions
from tumorkeras.data.proposals.samples import padded
from tumorkeras.errors import DataError, ModelError
from tumorkeras.explain.class_maps import to_one
from tumorkeras.explain.heads import check_class
from tumorkeras.explain.inputs import Maps, network_for
from tumorkeras.explain.placement import between_cells, spread
from tumorkeras.layers.float32 import is_count
from tumorkeras.models import Detector

CALLER = "grad_cam_detection"


@dataclass(frozen=True)
class _RegionMaps:
    """A detector's maps of a region, compiled.

    Attributes
    ----------
    call : callable
        An image (1, height, width, channels), a box (1, 1, 4) on the canvas and a class id (that of no class: the best)
        -> the share of each cell in the score, a map (1, height, width) float32 a level.
    strides : tuple of int
        Pixels of the canvas a cell, for each level.
    """

    call: Callable[..., list[tf.Tensor]]
    strides: tuple[int, ...]


_compiled: WeakKeyDictionary[Detector, _RegionMaps] = WeakKeyDictionary()  # as of the class maps


def grad_cam_detection(
    detector: Any, image: ArrayLike, detection: int | ArrayLike = 0, class_id: int | None = None
) -> Maps:
    """Where a detector sees what speaks for the class of one detection.

    The box is read once more, by the RoIAlign and the head of the detector, and the score of the class before the
    softmax is followed back to every level of the pyramid. The share of a cell is its value times its gradient, summed
    over the channels, for the head weighs each place of a region on its own; the shares of all levels are added up
    and what is positive is kept.

    Parameters
    ----------
    detector : Detector, TrainedModel, str or Path
        Of :func:`tumorkeras.build_detector`, a trained one or its folder. It is not changed.
    image : array-like, shape (height, width, channels)
        As the detector reads it, of any size.
    detection : int or array-like of shape (4,), default 0
        Which of the detections in the image, best first; or any box, xyxy in pixels of the image, as one that was not
        found.
    class_id : int, optional
        By default the class of the detection, or the best class of the box.

    Returns
    -------
    ndarray of float32, shape (height, width)
        The map in pixels of the image, 0 to 1: its largest value is 1, or all are 0 where nothing in the box speaks for
        the class. Farther than two cells from the box it is 0, for there the head reads nothing; what lies around the
        box speaks through what the cells inside have seen of it, and is shown there.

    Raises
    ------
    ModelError
        If the model is no detector.
    DataError
        For an image of another shape, or that is not finite, no such detection, a box without area in the image, and a
        class that the detector does not have.

    Examples
    --------
    >>> from tumorkeras import build_autoencoder, build_detector
    >>> detector = build_detector((32, 32, 1), 2, backbone=build_autoencoder((32, 32, 1), filters=(2, 4, 4)))
    >>> grad_cam_detection(detector, np.ones((40, 60, 1)), [10, 10, 30, 30], class_id=1).shape
    (40, 60)

    References
    ----------
    Selvaraju et al., *Grad-CAM*, ICCV 2017. Values times gradients, place by place: Draelos & Carin, *Use HiResCAM
    instead of Grad-CAM for faithful explanations of convolutional neural networks*, arXiv 2011.08891 (2020); for
    detections Zhao & Chan, *ODAM*, ICLR 2023.
    """
    network, _ = network_for(CALLER, detector)
    if not isinstance(network, Detector):
        raise ModelError(CALLER, [f"detector: {network.name!r} is not a detector; grad_cam explains a classifier"])
    check_class(CALLER, class_id, network.num_classes)
    pixels = _checked_image(image, network)
    box, found = _box_of(network, pixels, detection)
    if network not in _compiled:
        _compiled[network] = _compile(network)
    made = _compiled[network]
    placed = letterbox(pixels.shape[:2], network.canvas)
    wanted = tf.constant(found if class_id is None else int(class_id))
    levels = made.call(tf.constant(pixels[None]), tf.constant(placed.apply(box)[None, None]), wanted)
    return to_one(np.maximum(_upon_image([level.numpy() for level in levels], made.strides, placed), 0))[0]


def _upon_image(levels: Sequence[Maps], strides: Sequence[int], placed: Letterbox) -> Maps:
    """Shares of the cells (1, height, width) of all levels, spread over pixels of the image and added up."""
    axes = ((placed.size[0], placed.height, placed.top), (placed.size[1], placed.width, placed.left))
    # Where the middles of the image's pixels lie on the canvas.
    lines = [(np.arange(side) + 0.5) * scaled / side + offset for side, scaled, offset in axes]
    total = np.zeros((1, *placed.size), "float32")
    for level, stride in zip(levels, strides, strict=True):
        places = zip(lines, level.shape[1:], strict=True)
        matrices = [between_cells(line / stride - 0.5, cells) for line, cells in places]
        total += spread(level / stride**2, matrices)  # a cell's share is that of all its pixels together
    return total


def _checked_image(image: ArrayLike, network: Detector) -> Maps:
    pixels = np.asarray(image)
    channels = network.get_layer("letterbox").input.shape[-1]
    if pixels.ndim != 3 or pixels.shape[-1] != channels or 0 in pixels.shape or pixels.dtype.kind not in "biuf":
        fault = f"image: shape {pixels.shape} of {pixels.dtype}, expected numbers (height, width, {channels})"
        raise DataError(CALLER, [fault])
    pixels = pixels.astype("float32")
    if lost := int((~np.isfinite(pixels)).sum()):
        raise DataError(CALLER, [f"image: holds {lost} values that are NaN or infinite, expected none"])
    return pixels


def _box_of(network: Detector, pixels: Maps, detection: int | ArrayLike) -> tuple[Maps, int]:
    """A box (4,) in pixels of the image, and its class, or no class where the box is given."""
    if is_count(detection, least=0):
        return _detected(network, pixels, int(detection))  # type: ignore[arg-type]
    height, width = pixels.shape[:2]
    try:
        box = np.asarray(detection, "float32")
    except (TypeError, ValueError):
        box = np.empty(0, "float32")
    if box.shape == (4,) and np.isfinite(box).all():
        box = np.clip(box, 0, [width, height, width, height])
        if (box[2:] > box[:2]).all():
            return box, NO_CLASS
    expected = f"an integer of 0 or more or a box (xmin, ymin, xmax, ymax) with area in the image of {width} x {height}"
    raise DataError(CALLER, [f"detection: {detection!r} is not {expected}"])


def _detected(network: Detector, pixels: Maps, number: int) -> tuple[Maps, int]:
    inputs: Any = pixels[None]
    if len(network.inputs) > 1:
        inputs = {"images": inputs, "proposals": padded([propose_regions(pixels)])}
    found = {name: value.numpy()[0] for name, value in network(inputs, training=False).items()}
    if number >= (count := int(found["num_detections"])):
        raise DataError(CALLER, [f"detection: {number} asked for, the detector finds {count} in the image"])
    return found["boxes"][number], int(found["classes"][number])


def _compile(network: Detector) -> _RegionMaps:
    align, head = network.get_layer("roi_align"), network.get_layer("region_head")
    *levels, _ = align.input
    images = network.get_layer("letterbox").input
    pyramid = keras.Model(images, levels)

    def call(image: tf.Tensor, box: tf.Tensor, class_id: tf.Tensor) -> list[tf.Tensor]:
        found = keras.tree.flatten(pyramid(image, training=False))  # of one level Keras gives no list
        with tf.GradientTape() as tape:
            tape.watch(found)
            scores = head(align(found, box), training=False)["logits"][0, :-1]  # the last is background
            score = tf.gather(scores, tf.where(class_id == NO_CLASS, tf.argmax(scores, -1, tf.int32), class_id))
        shares = zip(tape.gradient(score, found), found, strict=True)
        return [tf.reduce_sum(tf.cast(slope, tf.float32) * tf.cast(level, tf.float32), -1) for slope, level in shares]

    shapes = [((1, *images.shape[1:]), tf.float32), ((1, 1, 4), tf.float32), ((), tf.int32)]
    function = tf.function(call, input_signature=[tf.TensorSpec(*each) for each in shapes], autograph=False)
    function.get_concrete_function()
    return _RegionMaps(function, tuple(align.strides))
