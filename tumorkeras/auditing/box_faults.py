"""Faults of boxes: outside their image, of no area, drawn twice, of two classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.auditing.findings import Finding, Severity, counted
from tumorkeras.boxes import CORNERS, iou

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.data.catalog import Catalog

ROUNDING = 0.5  # pixels that a box may stick out of its image: corners are rounded when they are saved
SAME = 0.9  # IoU from which on two boxes of one class are one object drawn twice
WHOLE = 0.95  # share of the image from which on a box marks no object
MOST_SHOWN = 1000  # boxes that are listed one by one in the figures


def box_findings(catalog: Catalog, facts: Facts) -> list[Finding]:
    """What is wrong with the boxes of a catalog; nothing for sources without boxes.

    Parameters
    ----------
    catalog : Catalog
        What the spec names.
    facts : Facts
        What was found in each sample; boxes of unreadable images are held against the size that their annotation
        names, where it names one.
    """
    if catalog.boxes is None or catalog.boxes.empty:
        return []
    boxes = _with_sizes(catalog, facts)
    corners = boxes[CORNERS].to_numpy("float64")
    finite = np.isfinite(corners).all(axis=1)
    flat = finite & ((corners[:, 2] <= corners[:, 0]) | (corners[:, 3] <= corners[:, 1]))
    sound = finite & ~flat
    found = [
        _finding("box_not_finite", boxes[~finite]),
        _finding("box_no_area", boxes[flat]),
        _finding("box_without_class", boxes[boxes["class"].isna()]),
        _other_size(boxes),
        *_places(boxes[sound], corners[sound]),
        *_repeated(boxes[sound].reset_index(drop=True)),
    ]
    return [finding for finding in found if finding is not None]


def _with_sizes(catalog: Catalog, facts: Facts) -> pd.DataFrame:
    """The boxes with the size of their image: as decoded, else as the annotation says."""
    assert catalog.boxes is not None
    rows = pd.Index(catalog.table["id"]).get_indexer(catalog.boxes["image"])
    boxes = catalog.boxes.copy()
    for side in ("height", "width"):
        boxes[f"true_{side}"] = facts.table[side].to_numpy("float64")[rows]
        said = pd.to_numeric(boxes[side], errors="coerce") if side in boxes else boxes[f"true_{side}"]
        boxes[f"image_{side}"] = boxes[f"true_{side}"].fillna(said)
        boxes[f"said_{side}"] = said
    return boxes


# Severity, what was found, effect and mend of each kind.
KINDS: dict[str, tuple[Severity, str, str, str]] = {
    "box_not_finite": (
        "error",
        "with a corner that is no number",
        "One such corner turns the loss of a detector into NaN.",
        "Give the box its four corners, or take it out.",
    ),
    "box_no_area": (
        "error",
        "of no area (a side of 0 pixels or less)",
        "Nothing can be found in it: dividing by its area gives NaN, and the object that was meant is background.",
        "Draw the box anew, or take it out; where corners are swapped, exchange them.",
    ),
    "box_without_class": (
        "error",
        "without a class",
        "A detector cannot be told what the object is.",
        "Name the class, or take the box out.",
    ),
    "box_outside": (
        "error",
        "wholly outside the image",
        "There is no object where the box is. Mostly it belongs to another image, or to another size of this one.",
        "See whether width and height are exchanged, or the image was resized after it was marked.",
    ),
    "box_beyond_edge": (
        "warning",
        "sticking out of the image",
        "The part outside is cut off; many such boxes mean that they were drawn on another size of the image.",
        "Cut the boxes at the edge, after a look at some of them.",
    ),
    "box_whole_image": (
        "warning",
        "over almost the whole image",
        "Such a box mostly stands for the class of the image; a detector learns to mark everything.",
        "Mark the object itself, or take the box out.",
    ),
    "box_duplicated": (
        "warning",
        f"that repeat another of the same class (IoU {SAME} or more)",
        "One object counts twice: in the loss, and as a miss in the recall, for only one detection can match it.",
        "Keep one box of each set.",
    ),
    "box_two_classes": (
        "error",
        f"of two classes on the same place (IoU {SAME} or more)",
        "One of the two classes is wrong, and the detector is punished whichever it names.",
        "Decide on one class for the object.",
    ),
}


def _finding(code: str, rows: pd.DataFrame) -> Finding | None:
    """A finding about the boxes of some rows, which the figures list with where they were read."""
    if rows.empty:
        return None
    severity, what, effect, mend = KINDS[code]
    images = _unique(rows["image"])
    classes = rows["class"].fillna("no class").value_counts()
    named = ", ".join(f"{count} {name}" for name, count in classes.items())
    title = f"{counted(len(rows), 'box', 'boxes')} {what}, in {counted(len(images), 'image')} ({named})"
    return Finding("faults", code, severity, title, images, effect, mend, {"boxes": _listed(rows)})


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _listed(rows: pd.DataFrame) -> list[dict[str, object]]:
    """The first boxes, with class, corners and place in the annotations."""
    return [
        {
            "image": row["image"],
            "class": row["class"],
            "box": [row[name] for name in CORNERS],
            "from": row.get("source"),
        }
        for row in rows.head(MOST_SHOWN).to_dict("records")
    ]


def _other_size(boxes: pd.DataFrame) -> Finding | None:
    """Images whose annotation names another size than the file has."""
    differs = pd.Series(False, index=boxes.index)
    for side in ("height", "width"):
        said, true = boxes[f"said_{side}"], boxes[f"true_{side}"]
        differs |= said.notna() & true.notna() & (said > 0) & (said != true)
    rows = boxes[differs].drop_duplicates("image")
    if rows.empty:
        return None
    sizes = {
        row["image"]: {
            "annotation": [row["said_height"], row["said_width"]],
            "file": [row["true_height"], row["true_width"]],
        }
        for row in rows.head(MOST_SHOWN).to_dict("records")
    }
    return Finding(
        "faults",
        "annotation_size_differs",
        "error",
        f"{counted(len(rows), 'image')} of another size than the annotation says",
        tuple(rows["image"]),
        "The boxes were drawn on another version of the image and lie in the wrong place.",
        "Take the version that was marked, or scale the boxes by the ratio of the sizes.",
        {"sizes_height_width": sizes},
    )


def _places(boxes: pd.DataFrame, corners: np.ndarray) -> list[Finding | None]:
    """Boxes outside, across the edge, or over the whole image; where its size is not known, nothing is said."""
    height, width = boxes["image_height"].to_numpy(), boxes["image_width"].to_numpy()
    left, top, right, bottom = corners.T
    outside = (right <= 0) | (bottom <= 0) | (left >= width) | (top >= height)
    beyond = np.max([-left, -top, right - width, bottom - height], axis=0) > ROUNDING
    shown = (np.clip(right, 0, width) - np.clip(left, 0, width)) * (
        np.clip(bottom, 0, height) - np.clip(top, 0, height)
    )
    whole = ~outside & (shown >= WHOLE * height * width)
    return [
        _finding("box_outside", boxes[outside]),
        _finding("box_beyond_edge", boxes[beyond & ~outside]),
        _finding("box_whole_image", boxes[whole]),
    ]


def _repeated(boxes: pd.DataFrame) -> list[Finding | None]:
    """Boxes that lie where an earlier one of their image lies."""
    twice, torn = [], []
    for _, rows in boxes.groupby("image", sort=False):
        if len(rows) == 1:
            continue
        same_place = np.triu(iou(rows[CORNERS].to_numpy("float32"), rows[CORNERS].to_numpy("float32")) >= SAME, 1)
        classes = rows["class"].astype(str).to_numpy()
        same_class = classes[:, None] == classes
        twice += rows.index[(same_place & same_class).any(axis=0)].tolist()
        torn += rows.index[(same_place & ~same_class).any(axis=0)].tolist()
    return [_finding("box_duplicated", boxes.loc[twice]), _finding("box_two_classes", boxes.loc[torn])]
