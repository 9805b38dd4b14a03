"""Which column of a CSV means what, by the names that tools give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# The first of each that a header has is taken. Compared without case, spaces and signs: "Image Path" is "imagepath".
IMAGE = (
    "image",
    "filename",
    "file",
    "path",
    "imagepath",
    "imagename",
    "imagefile",
    "imagefilename",
    "filepath",
    "imageid",
    "imageindex",
    "img",
    "imgpath",
    "imgname",
    "imgid",
    "fname",
)
CLASS = (
    "class",
    "label",
    "category",
    "classname",
    "labelname",
    "categoryname",
    "classlabel",
    "findinglabel",
    "name",
    "classid",
    "labelid",
    "categoryid",
)
SPLIT = ("split", "subset", "partition", "set")
WIDTH, HEIGHT = ("width", "imagewidth", "imgwidth", "imgw"), ("height", "imageheight", "imgheight", "imgh")
# All four of a line, and how boxes.convert calls it. "bbox" or "box" before a name does not matter.
BOXES = (
    ("xyxy", ("xmin", "ymin", "xmax", "ymax")),
    ("xyxy", ("x0", "y0", "x1", "y1")),
    ("xyxy", ("x1", "y1", "x2", "y2")),
    ("xyxy", ("left", "top", "right", "bottom")),
    ("xyxy", ("xtl", "ytl", "xbr", "ybr")),
    ("xyxy", ("minx", "miny", "maxx", "maxy")),
    ("xyxy", ("startx", "starty", "endx", "endy")),
    ("xywh", ("x", "y", "w", "h")),
    ("xywh", ("x", "y", "width", "height")),
    ("xywh", ("left", "top", "width", "height")),
    ("xywh", ("xmin", "ymin", "w", "h")),
    ("xywh", ("xmin", "ymin", "width", "height")),
    ("xywh", ("x1", "y1", "w", "h")),
    ("xywh", ("x1", "y1", "width", "height")),
    ("center_xywh", ("cx", "cy", "w", "h")),
    ("center_xywh", ("xcenter", "ycenter", "w", "h")),
    ("center_xywh", ("xcenter", "ycenter", "width", "height")),
    ("center_xywh", ("centerx", "centery", "width", "height")),
)
# Columns that can only be part of a box: where one stands without the others, something is missing.
ONLY_OF_BOXES = {name for _, names in BOXES for name in names} - {"x", "y", "w", "h", "left", "top", "width", "height"}
FIELDS = ("image", "class", "split", "xmin", "ymin", "xmax", "ymax", "x", "y", "w", "h", "cx", "cy", "width", "height")


class Layout(NamedTuple):
    """What the columns of a CSV mean, by their places in the header; None or nothing where there is no such column."""

    image: int | None
    class_name: int | None
    split: int | None
    box: tuple[int, ...]
    box_format: str
    width: int | None
    height: int | None

    @property
    def used(self) -> set[int]:
        """Places that became columns of the table."""
        single = (self.image, self.class_name, self.split, self.width, self.height)
        return {place for place in (*single, *self.box) if place is not None}


def find_layout(header: Sequence[str], named: Mapping[str, str] | None = None) -> tuple[Layout, list[str]]:
    """The meaning of the columns, and what is wrong with the names that were given.

    Parameters
    ----------
    header : sequence of str
    named : mapping of str to str, optional
        For the fields ``image``, ``class``, ``split``, ``xmin``, ``ymin``, ``xmax``, ``ymax`` (or ``x``, ``y``, ``w``,
        ``h``; or ``cx``, ``cy``, ``w``, ``h``), ``width``, ``height`` the column that holds them. Others are guessed.

    Examples
    --------
    >>> layout, faults = find_layout(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
    >>> layout.box, layout.box_format, layout.width
    ((4, 5, 6, 7), 'xyxy', 1)
    >>> find_layout(["file", "label", "x", "y", "width", "height"])[0].box_format
    'xywh'
    """
    named = dict(named or {})
    faults = [f"columns: {field!r} is none of {', '.join(FIELDS)}" for field in named if field not in FIELDS]
    faults += [
        f"columns: there is no column {column!r} for {field}; the header is {list(header)}"
        for field, column in named.items()
        if field in FIELDS and column not in header
    ]
    given = {field: header.index(column) for field, column in named.items() if column in header}
    places = {
        key: k for k, name in reversed(list(enumerate(header))) if k not in given.values() and (key := _key(name))
    }
    box, box_format = _find_box({**places, **given})
    free = {key: place for key, place in places.items() if place not in box}
    single = {
        field: given.get(field, next((free[name] for name in names if name in free), None))
        for field, names in (("image", IMAGE), ("class", CLASS), ("split", SPLIT), ("width", WIDTH), ("height", HEIGHT))
    }
    if not box:
        alone = [name for name in header if _box_key(name) in ONLY_OF_BOXES]
        alone += [field for field in named if field in ONLY_OF_BOXES]
        faults += [f"has {' and '.join(dict.fromkeys(alone))}, but not all four columns of a box"] if alone else []
    layout = Layout(
        single["image"], single["class"], single["split"], box, box_format, single["width"], single["height"]
    )
    return layout, faults


def _find_box(places: Mapping[str, int]) -> tuple[tuple[int, ...], str]:
    for box_format, names in BOXES:
        found = [places.get(name, places.get(f"bbox{name}", places.get(f"box{name}"))) for name in names]
        complete = tuple(place for place in found if place is not None)
        if len(complete) == 4:
            return complete, box_format
    return (), "xyxy"


def _box_key(name: str) -> str:
    return re.sub("^b?box", "", _key(name))


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()
