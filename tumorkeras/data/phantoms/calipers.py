"""The marks that sonographers burn into images."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from tumorkeras.data.phantoms.lesions import Mask

ARM = 1 / 60  # of the image's shorter side


def draw_calipers(image: NDArray[np.uint8], masks: Iterable[Mask]) -> None:
    """Draw, in place, a white cross where each lesion ends to the left, right, top and bottom.

    Parameters
    ----------
    image : ndarray, shape (height, width), uint8
    masks : iterable of ndarray, shape (height, width), bool
        What is seen of each lesion.
    """
    size = 2 * max(2, round(ARM * min(image.shape))) + 1
    for mask in masks:
        for x, y in _ends(mask):
            cv2.drawMarker(image, (x, y), 255, cv2.MARKER_CROSS, size)


def _ends(mask: Mask) -> list[tuple[int, int]]:
    """The outermost points (x, y): the middle of the first and last column and row that the mask covers."""
    rows, columns = np.nonzero(mask)
    sides = [columns == columns.min(), columns == columns.max(), rows == rows.min(), rows == rows.max()]
    return [(round(float(columns[side].mean())), round(float(rows[side].mean()))) for side in sides]
