"""The builder of the detector: backbone, pyramid, proposals, region head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import keras

from tumorkeras.anchors import DEFAULT_ANCHORS, Anchors
from tumorkeras.errors import ModelError
from tumorkeras.layers import Detections, Letterbox, LetterboxBoxes, RoIAlign
from tumorkeras.layers.float32 import is_number
from tumorkeras.models.blocks import is_positive, preprocess
from tumorkeras.models.detector.backbone import FINEST, backbone_levels
from tumorkeras.models.detector.heads import propose, region_head
from tumorkeras.models.detector.model import Detector
from tumorkeras.models.detector.pyramid import deepest_level, top_down_pyramid
from tumorkeras.models.detector.settings import TrainingSettings

FUSIONS = {"top_down": top_down_pyramid, "deepest": deepest_level}
PIXELS_TO_ONE: tuple[Mapping[str, Any], ...] = ({"step": "rescale"},)


def build_detector(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    backbone: keras.Model | str | None = None,
    frozen: bool | str = False,
    fusion: Literal["top_down", "deepest"] = "top_down",
    fusion_width: int = 64,
    proposals: Literal["rpn", "external"] = "rpn",
    anchors: Anchors | None = None,
    rpn_candidates: int = 1000,
    rpn_proposals: int = 200,
    rpn_nms_iou: float = 0.7,
    head: Literal["level", "volume"] = "level",
    region_size: int = 7,
    filters: Sequence[int] = (16, 32),
    dense: Sequence[int] = (256, 128),
    dropout: float = 0.3,
    score_threshold: float = 0.05,
    nms_iou: float = 0.5,
    max_detections: int = 100,
    preprocessing: Iterable[Mapping[str, Any] | Any] = PIXELS_TO_ONE,
    training: TrainingSettings | None = None,
    name: str = "detector",
) -> Detector:
    """A Faster R-CNN style detector for images, whose outputs are boxes in pixels of the images that come in.

    Four parts in a row: a backbone, a pyramid that joins its shallow and deep maps, region proposals, and a head that
    reads every region. Images of any size are letterboxed to the canvas inside, and boxes come back in their pixels.
    Compile it with an optimizer and ``fit`` it; see :class:`tumorkeras.models.detector.Detector` for the batches.

    Parameters
    ----------
    input_shape : sequence of int
        (height, width, channels) of the canvas; height and width are even, and 32 or more.
    num_classes : int
        Classes of objects, at least 1. Background is the detector's own affair.
    backbone : keras.Model or str, optional
        An autoencoder of :func:`tumorkeras.build_autoencoder`, of whose encoder a copy is made; any KerasCV backbone
        with ``pyramid_level_inputs``, which is used itself; ``"csp_darknet"``, a small CSPDarkNet with random weights;
        or the name of a KerasCV preset, fetched from the network. By default a CSPDarkNet of a million weights, random.
    frozen : bool or str
        What of the backbone is not trained: nothing, everything (True), or all up to the end of a level ("P3").
    fusion : {"top_down", "deepest"}
        Join the maps from stride 4 up, or use the deepest one alone, which then bears the anchors of all levels.
    fusion_width : int
        Channels of every level, and of the proposal network.
    proposals : {"rpn", "external"}
        "rpn" proposes regions itself (Faster R-CNN). With "external" boxes are a second input (Fast R-CNN):
        ``{"images": ..., "proposals": (batch, n, 4)}``, xyxy in pixels of the images, padded with 0.
    anchors : Anchors, optional
        Of the proposal network, as a plan gives them; the defaults are for objects of 32 to 512 pixels. Their strides
        are 4 or more.
    rpn_candidates, rpn_proposals, rpn_nms_iou
        Boxes that are compared, boxes that are kept, and the IoU from which on the weaker of two is dropped.
    head : {"level", "volume"}
        "level" reads each region from the level that fits its size; "volume" from every level, stacked as depth,
        through Conv3D and MaxPool3D blocks.
    region_size : int
        Bins of a region along each axis.
    filters : sequence of int
        Of the blocks of the head "volume".
    dense : sequence of int
        Units of the dense layers of the head, each with ReLU and dropout.
    dropout : float
        Share of units that is dropped in training.
    score_threshold, nms_iou, max_detections
        Smallest score of a detection, IoU from which on the weaker of two of a class is dropped, detections an image.
    preprocessing : iterable of mapping
        Steps as in :func:`tumorkeras.models.blocks.preprocess`, after the letterbox; by default 0 to 255 becomes 0
        to 1.
    training : TrainingSettings, optional
        How anchors and regions become examples.
    name : str
        Name of the model.

    Returns
    -------
    Detector
        In: images (batch, height, width, channels), any height and width. Out: a dict of ``boxes``
        (batch, max_detections, 4) float32, xyxy in pixels of those images, ``scores`` (batch, max_detections) float32,
        ``classes`` (batch, max_detections) int32, padded with -1, and ``num_detections`` (batch,) int32.

    Raises
    ------
    ModelError
        Naming every argument that does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> detector = build_detector((64, 96, 1), num_classes=2)
    >>> found = detector(np.zeros((1, 200, 300, 1)))
    >>> {key: tuple(value.shape) for key, value in found.items()}
    {'boxes': (1, 100, 4), 'scores': (1, 100), 'classes': (1, 100), 'num_detections': (1,)}

    References
    ----------
    Figure 1 of doi 10.18280/ts.360510; Ren et al., *Faster R-CNN*, NeurIPS 2015.
    """
    anchors = DEFAULT_ANCHORS if anchors is None else anchors
    _check(locals())
    height, width, channels = input_shape
    canvas = (height, width)

    images = keras.Input((None, None, channels), name="images")
    x = preprocess(Letterbox(height, width, name="letterbox")(images), preprocessing)
    levels = backbone_levels(x, backbone, frozen)
    anchors = _on_one_level(anchors, max(levels)) if fusion == "deepest" else anchors
    levels = FUSIONS[fusion](levels, anchors.strides, fusion_width)
    if proposals == "rpn":
        read = _levels_of(anchors, levels)
        options = {"candidates": rpn_candidates, "most": rpn_proposals, "nms_iou": rpn_nms_iou}
        inputs, regions = images, propose(read, anchors, canvas, fusion_width, **options)
    else:
        given = keras.Input((None, 4), name="proposals")
        inputs = {"images": images, "proposals": given}
        # One box of padding, for the region head cannot read none at all.
        padded = keras.layers.ZeroPadding1D((0, 1), dtype="float32", name="padded_proposals")(given)
        regions = LetterboxBoxes(height, width, name="placed_proposals")(padded, images)
    align = RoIAlign(list(levels), region_size, stacked=head == "volume", name="roi_align")
    pooled = align(list(levels.values()), regions)
    answer = region_head(pooled.shape[1:], num_classes, filters=filters, dense=dense, dropout=dropout)(pooled)
    found = Detections(canvas, score_threshold, nms_iou, max_detections, name="detections")(
        answer["logits"], answer["deltas"], regions, images
    )
    detector = Detector(inputs, found, name=name)
    detector.settings = training or TrainingSettings()
    return detector


def _on_one_level(anchors: Anchors, stride: int) -> Anchors:
    return Anchors((stride,), (tuple(size for sizes in anchors.sizes for size in sizes),), anchors.ratios)


def _levels_of(anchors: Anchors, levels: dict[int, keras.KerasTensor]) -> list[keras.KerasTensor]:
    """The maps that the anchors lie on."""
    missing = [stride for stride in anchors.strides if stride not in levels]
    if missing:
        fault = f"anchors: have strides {anchors.strides}, but the maps have {tuple(levels)}"
        raise ModelError("build_detector", [fault])
    return [levels[stride] for stride in anchors.strides]


def _check(given: Mapping[str, Any]) -> None:
    """Name every argument that is out of its range."""
    shape, faults = tuple(given["input_shape"]), []
    if len(shape) != 3 or not all(map(is_positive, shape)):
        faults.append(f"input_shape: {shape} is not (height, width, channels), three positive integers")
    elif min(shape[:2]) < 32:
        faults.append(f"input_shape: {shape} has a side below 32 pixels")
    elif any(side % 2 for side in shape[:2]):
        faults.append(f"input_shape: {shape} has an odd side, and the backbone halves it")
    for name in ("num_classes", "fusion_width", "region_size", "rpn_candidates", "rpn_proposals", "max_detections"):
        if not is_positive(given[name]):
            faults.append(f"{name}: {given[name]!r} is not a positive integer")
    for name, choices in (("fusion", FUSIONS), ("proposals", ("rpn", "external")), ("head", ("level", "volume"))):
        if given[name] not in choices:
            faults.append(f"{name}: {given[name]!r} is not one of {', '.join(choices)}")
    for name in ("filters", "dense"):
        if not isinstance(given[name], Sequence) or not given[name] or not all(map(is_positive, given[name])):
            faults.append(f"{name}: {given[name]} is not a list of positive integers")
    for name in ("dropout", "score_threshold"):
        if not (is_number(given[name]) and 0 <= given[name] < 1):
            faults.append(f"{name}: {given[name]!r} is not from 0 to below 1")
    for name in ("nms_iou", "rpn_nms_iou"):
        if not (is_number(given[name], above=0) and given[name] <= 1):
            faults.append(f"{name}: {given[name]!r} is not above 0 to 1")
    faults += _anchor_faults(given["anchors"])
    if faults:
        raise ModelError("build_detector", faults)


def _anchor_faults(anchors: Any) -> list[str]:
    if not isinstance(anchors, Anchors):
        return [f"anchors: {anchors!r} is no tumorkeras.anchors.Anchors"]
    faults = []
    if min(anchors.strides, default=0) < FINEST:
        faults.append(f"anchors: strides {anchors.strides} begin below {FINEST}")
    if len(anchors.sizes) != len(anchors.strides) or len({len(own) for own in anchors.sizes}) != 1:
        faults.append(f"anchors: sizes {anchors.sizes} are not equally many for each of the strides {anchors.strides}")
    numbers = [*anchors.ratios, *(size for own in anchors.sizes for size in own)]
    if not anchors.ratios or not all(is_number(number, above=0) for number in numbers):
        faults.append("anchors: sizes and ratios are positive numbers, of each one or more")
    return faults
