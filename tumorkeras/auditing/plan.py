"""A plan for training, proposed from the fingerprint of the training part, to be read and edited."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from tumorkeras import markup
from tumorkeras.anchors import DEFAULT_ANCHORS, Anchors, propose_anchors, recall
from tumorkeras.auditing.fingerprint import boxes_on_canvas, fingerprint, usable_boxes
from tumorkeras.markup import Cell, Row

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.data.catalog import Catalog

SMALLEST_OBJECT = 16  # pixels of the canvas: four cells of a map of stride 4
MULTIPLE = 32  # canvases are whole cells of a map of stride 32
LEAST_SIDE, MOST_SIDE = 256, 1024  # of the longer side of a canvas with objects
MOST_WITHOUT_OBJECTS = 512
VOLUME_MULTIPLE = 8  # three poolings by 2
MOST_VOXELS = 2**21
MEMORY = 4e9  # bytes
# In training: the default classifier takes 84 bytes a voxel, the autoencoder 200; for a detector it is an estimate.
BYTES_PER_PIXEL = {"detector": 2048, "images": 256, "volumes": 256}
LARGEST_BATCH = 32
LEAST_STEPS = 10  # an epoch
IOUS = ("iou_50", "iou_70")


@dataclass
class Plan:
    """What training could start from: every value may be changed, and ``reasons`` says where it came from.

    Parameters
    ----------
    input_size : tuple of int
        Canvas that the images are letterboxed to, (height, width); for volumes (depth, height, width).
    batch_size : int
        Samples a step.
    anchors : Anchors, optional
        Strides of the pyramid levels, sizes and ratios of their anchors; None where there are no boxes.
    tile_size : tuple of int, optional
        (height, width) of the tiles that the canvas is cut into; None where it is small enough to be read whole.
    tile_overlap : int
        Pixels that neighbouring tiles share, so that an object cut by one tile lies whole in another.
    recall : dict
        How many of the training boxes the anchors can reach: for ``proposed`` and ``default``, the share of boxes
        that some placed anchor meets at IoU 0.5 (``iou_50``), 0.7 (``iou_70``), and at 0.5 by class.
    reasons : dict
        Words for each field.

    Examples
    --------
    >>> print(Plan((256, 320), 16, reasons={"input_size": "half of the median image"}).to_yaml())
    # half of the median image
    input_size: [256, 320]
    batch_size: 16
    <BLANKLINE>
    """

    input_size: tuple[int, ...]
    batch_size: int
    anchors: Anchors | None = None
    tile_size: tuple[int, int] | None = None
    tile_overlap: int = 0
    recall: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON and YAML hold, the reasons among them."""
        return {**self._values(), "reasons": dict(self.reasons)}

    def to_yaml(self) -> str:
        """The plan as YAML, the reason of each field as a comment above it."""
        parts = []
        for name, value in self._values().items():
            words = textwrap.wrap(self.reasons.get(name, ""), 110)
            nested = yaml.safe_dump({name: value}, default_flow_style=None, sort_keys=False, width=110)
            dumped = nested if isinstance(value, dict) else f"{name}: {json.dumps(value)}\n"
            parts.append("".join(f"# {line}\n" for line in words) + dumped)
        return "".join(parts)

    def _repr_html_(self) -> str:
        rows = [
            Row([Cell(name.replace("_", " ")), Cell(json.dumps(value)), Cell(self.reasons.get(name, ""))])
            for name, value in self._values().items()
            if name != "recall"
        ]
        yaml_text = markup.details("as YAML", markup.preformatted(self.to_yaml()))
        parts = [markup.table(["", "proposed", "why"], rows, "Plan"), *self._reached(), yaml_text]
        return markup.card("A plan for training", parts)

    def _reached(self) -> list[str]:
        """What share of the training boxes the anchors meet."""
        if not self.recall:
            return []
        rows = [
            Row([Cell(f"{name} anchors"), *(Cell(markup.rounded(self.recall[name][iou]), number=True) for iou in IOUS)])
            for name in ("proposed", "default")
        ]
        columns = [f"of {self.recall['boxes']:,} training boxes", "met at IoU 0.5", "met at IoU 0.7"]
        return [markup.table(columns, rows, "Recall of the anchors")]

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {"input_size": list(self.input_size), "batch_size": self.batch_size}
        if self.anchors is not None:
            values |= {
                "tile_size": None if self.tile_size is None else list(self.tile_size),
                "tile_overlap": self.tile_overlap,
                "pyramid_strides": list(self.anchors.strides),
                "anchor_sizes": [list(sizes) for sizes in self.anchors.sizes],
                "anchor_ratios": list(self.anchors.ratios),
                "recall": self.recall,
            }
        return values


def propose_plan(catalog: Catalog, facts: Facts) -> Plan | None:
    """A plan from the samples and boxes of the training part alone; None for tracks and where nothing is readable.

    Parameters
    ----------
    catalog : Catalog
        What the spec names, its parts assigned; where no sample has a part, all count as training.
    facts : Facts
        What was found in each sample.
    """
    found = fingerprint(catalog, facts, part="train")
    if catalog.kind == "tracks" or not found["readable"]:
        return None
    if catalog.kind == "volumes":
        return _plan_of_volumes(found)
    boxes = usable_boxes(catalog, facts, part="train")
    return _plan_of_objects(found, boxes) if len(boxes) else _plan_of_images(found)


# --------------------------------------------------------------------------------------------- without boxes


def _plan_of_volumes(found: dict[str, Any]) -> Plan:
    median = [found["sizes"][axis]["median"] for axis in ("depth", "height", "width")]
    scale = min(1.0, (MOST_VOXELS / math.prod(median)) ** (1 / 3))
    size = _rounded([side * scale for side in median], VOLUME_MULTIPLE)
    reason = f"The median volume is {_by(median)}{_scaled(scale)}; sides are multiples of {VOLUME_MULTIPLE}."
    return _with_batch(Plan(size, 1, reasons={"input_size": reason}), "volumes", found["readable"])


def _plan_of_images(found: dict[str, Any]) -> Plan:
    median = _median_size(found)
    scale = min(1.0, MOST_WITHOUT_OBJECTS / max(median))
    size = _rounded([side * scale for side in median], MULTIPLE)
    reason = f"The median image is {_by(median)}{_scaled(scale)}; sides are multiples of {MULTIPLE}."
    return _with_batch(Plan(size, 1, reasons={"input_size": reason}), "images", found["readable"])


def _with_batch(plan: Plan, what: str, samples: int) -> Plan:
    """The plan with the largest power of two that is thought to fit into memory."""
    pixels = math.prod(plan.tile_size or plan.input_size)
    fitting = MEMORY / (pixels * BYTES_PER_PIXEL[what])
    largest = max(1, min(int(fitting), LARGEST_BATCH, samples // LEAST_STEPS))
    plan.batch_size = 2 ** (largest.bit_length() - 1)
    plan.reasons["batch_size"] = (
        f"About {MEMORY / 1e9:g} GB at {BYTES_PER_PIXEL[what]} bytes a pixel of the input in training, "
        f"a power of two, at most {LARGEST_BATCH}, and at least {LEAST_STEPS} steps an epoch of {samples} samples."
    )
    return plan


# ------------------------------------------------------------------------------------------------ with boxes


def _plan_of_objects(found: dict[str, Any], boxes: pd.DataFrame) -> Plan:
    median = _median_size(found)
    # On the median image: what is small in a large image is smaller still once that is letterboxed.
    corners = boxes_on_canvas(boxes, (round(median[0]), round(median[1])))
    sizes = np.sqrt((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
    small, large = np.quantile(sizes, [0.01, 0.99])
    least = min(1.0, LEAST_SIDE / max(median))
    scale = float(np.clip(SMALLEST_OBJECT / small, least, 1.0))
    canvas = _rounded([side * scale for side in median], MULTIPLE)
    plan = Plan(canvas, 1)
    plan.reasons["input_size"] = (
        f"The median image is {_by(median)}{_scaled(scale)}: so the smallest objects (1st percentile {small:.0f} "
        f"pixels) are {small * scale:.0f} pixels wide, where {SMALLEST_OBJECT} are wanted; sides are multiples of "
        f"{MULTIPLE}."
    )
    _set_tiles(plan, large * scale)
    _set_anchors(plan, boxes)
    return _with_batch(plan, "detector", found["readable"])


def _set_tiles(plan: Plan, large: float) -> None:
    if max(plan.input_size) <= MOST_SIDE:
        plan.reasons["tile_size"] = f"Not needed: no side of the canvas is longer than {MOST_SIDE} pixels."
        return
    side = int(np.clip(_rounded([3 * large], MULTIPLE)[0], MOST_SIDE // 2, MOST_SIDE))
    height, width = (min(side, length) for length in plan.input_size)
    plan.tile_size = (height, width)
    plan.tile_overlap = min(_rounded([large], MULTIPLE)[0], min(height, width) // 2)
    plan.reasons["tile_size"] = (
        f"The canvas is larger than {MOST_SIDE} pixels, and a smaller one would lose the small objects. A tile holds "
        f"the largest objects (99th percentile {large:.0f} pixels) three times, within {MOST_SIDE // 2} to {MOST_SIDE}."
    )
    plan.reasons["tile_overlap"] = "One of the largest objects, so that each lies whole in some tile."


def _set_anchors(plan: Plan, boxes: pd.DataFrame) -> None:
    canvas = (plan.input_size[0], plan.input_size[1])
    placed = boxes_on_canvas(boxes, canvas)
    plan.anchors = propose_anchors(placed, canvas)
    classes = boxes["class"].to_numpy()
    plan.recall = {
        "boxes": len(boxes),
        "proposed": _recalls(plan.anchors, placed, classes, canvas),
        "default": _recalls(DEFAULT_ANCHORS, placed, classes, canvas),
    }
    plan.reasons |= {
        "pyramid_strides": "Objects are about eight cells wide on their level.",
        "anchor_sizes": "Square roots of areas in pixels of the canvas, a list a level: k-means of the training boxes "
        "with the distance 1 - IoU; as many a level as bring the recall to 0.99, at most 3.",
        "anchor_ratios": "Height over width: k-means of the training boxes brought to one area.",
        "recall": f"Share of the {len(boxes)} training boxes that some placed anchor meets, at IoU 0.5 and 0.7, and at "
        "0.5 by class; default: sizes 32 to 512 in ratios 0.5, 1, 2 on strides 4 to 64.",
    }


def _recalls(anchors: Anchors, boxes: np.ndarray, classes: np.ndarray, canvas: tuple[int, int]) -> dict[str, Any]:
    names = sorted({str(name) for name in classes if not pd.isna(name)})
    return {
        "iou_50": round(recall(anchors, boxes, canvas, 0.5), 4),
        "iou_70": round(recall(anchors, boxes, canvas, 0.7), 4),
        "classes": {name: round(recall(anchors, boxes[classes == name], canvas), 4) for name in names},
    }


# --------------------------------------------------------------------------------------------------- numbers


def _median_size(found: dict[str, Any]) -> list[float]:
    return [found["sizes"]["height"]["median"], found["sizes"]["width"]["median"]]


def _rounded(sides: Sequence[float], multiple: int) -> tuple[int, ...]:
    """Up to the next multiple; what a fraction of a pixel would add is left out."""
    return tuple(max(multiple, math.ceil(round(side, 1) / multiple) * multiple) for side in sides)


def _by(sides: Sequence[float]) -> str:
    return " x ".join(f"{side:g}" for side in sides)


def _scaled(scale: float) -> str:
    return "" if scale == 1 else f", scaled by {scale:.2f}"
