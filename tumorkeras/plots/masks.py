"""Masks of objects, upon an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tumorkeras.errors import DataError
from tumorkeras.metrics.detection_checks import Objects, Padded
from tumorkeras.palette import color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TINT = 0.35  # how much of a mask's colour lies upon the image

Masks = NDArray[np.bool_]


def read_masks(heading: str, tables: Mapping[str, Padded], size: tuple[int, int]) -> dict[str, Masks | None]:
    """The masks (objects, height, width) of each table by its name; None where it has none.

    Raises
    ------
    DataError
        Under `heading`, for masks of another number than the boxes or another size than the image.

    Examples
    --------
    >>> read_masks("plot", {"truth": {"boxes": [[0, 0, 2, 2]], "masks": np.ones((1, 2, 3))}}, (3, 2))
    Traceback (most recent call last):
    tumorkeras.errors.DataError: plot: truth: masks have shape (1, 2, 3), expected (1, 3, 2) as boxes and image have
    """
    read = {name: np.asarray(table["masks"]) if "masks" in table else None for name, table in tables.items()}
    faults = []
    for name, masks in read.items():
        expected = (len(np.asarray(tables[name]["boxes"])), *size)
        if masks is not None and masks.shape != expected:
            faults.append(f"{name}: masks have shape {masks.shape}, expected {expected} as boxes and image have")
    if faults:
        raise DataError(heading, faults)
    return {name: None if masks is None else masks.astype(bool) for name, masks in read.items()}


def draw_masks(ax: Axes, objects: Objects, masks: Masks | None, *, dashed: bool = False) -> None:
    """Tint the masks of objects in the colours of their classes and draw their outlines; nothing without masks."""
    from matplotlib.colors import to_rgb

    if masks is None:
        return
    for label, mask in zip(objects.label.tolist(), masks[objects.place], strict=True):
        color = color_of(label)
        height, width = mask.shape
        tinted = np.zeros((height, width, 4))
        tinted[mask] = (*to_rgb(color), TINT)
        ax.imshow(tinted, extent=(0, width, height, 0), interpolation="nearest")
        # A rim of background closes the outline of what touches the edge; pixels are at the middle of their squares.
        rim = np.pad(mask.astype(float), 1)
        places = np.arange(-0.5, width + 1), np.arange(-0.5, height + 1)
        if mask.any():
            ax.contour(*places, rim, [0.5], colors=[color], linewidths=1.4, linestyles="dashed" if dashed else "solid")
