"""Boxes of masks in COCO's run lengths, decoded by pycocotools."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from tumorkeras.data.annotations.content import count
from tumorkeras.data.annotations.names import Fault
from tumorkeras.errors import MissingExtraError

LARGEST_SIDE = 2**16
# Each run is up to 6 characters, of which the last is below "P". The decoder, written in C, reads past the end of
# text that breaks this.
COMPRESSED = re.compile(r"(?:[P-o]{0,5}[0-O])+")


def box_of_rle(mask: dict[str, Any]) -> list[float]:
    """Corners xyxy, half-open, of the pixels of a mask; all 0 for a mask without a pixel.

    Parameters
    ----------
    mask : dict
        ``size``: [height, width]; ``counts``: a list of run lengths, or COCO's compressed text of them.

    Raises
    ------
    Fault
        If the mask cannot be decoded, or its pixels do not fit into its size.
    MissingExtraError
        Without pycocotools.

    Examples
    --------
    >>> box_of_rle({"size": [3, 4], "counts": [4, 2, 1, 2, 3]})
    [1.0, 1.0, 3.0, 3.0]
    """
    library = _pycocotools()
    height, width = _size(mask.get("size"))
    counts = mask.get("counts")
    if isinstance(counts, list):
        runs = [count(run) for run in counts]
        if None in runs or sum(run or 0 for run in runs) != height * width:
            raise Fault(f"segmentation: counts are no whole numbers that sum to {height} x {width}")
        encoded = library.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    elif isinstance(counts, str) and COMPRESSED.fullmatch(counts):
        encoded = {"size": [height, width], "counts": counts}
    else:
        raise Fault("segmentation: counts are neither run lengths nor COCO's text of them")
    left, top, across, down = library.toBbox(encoded).tolist()
    if left + across > width or top + down > height:
        raise Fault(f"segmentation: its pixels do not fit into {height} x {width}")
    return [left, top, left + across, top + down]


def _size(size: Any) -> tuple[int, int]:
    sides = [count(side) for side in size] if isinstance(size, list) and len(size) == 2 else [None]
    height, width = sides[0], sides[-1]
    if not height or not width or max(height, width) > LARGEST_SIDE:
        raise Fault(f"segmentation: size is {str(size)[:60]}, expected [height, width] up to {LARGEST_SIDE}")
    return height, width


def _pycocotools() -> ModuleType:
    try:
        from pycocotools import mask
    except ImportError:
        raise MissingExtraError("pycocotools", "medical") from None
    found: ModuleType = mask
    return found
