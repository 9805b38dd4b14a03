"""Which candidates look most like an object with an outline, and which say the same as a better one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

POINTS = 24  # around an outline
INSIDE, OUTSIDE = 0.8, 1.2  # where the image is read on both sides of the outline, as shares of its radius
LEAST_SPREAD = 0.1  # of the values, which go from 0 to 1; without it faint steps in flat parts come first


def edge_steadiness(grey: NDArray[np.float32], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """How steadily the image changes across the ellipse that touches each box from within.

    The step from inside to outside is read around the ellipse, in an image smoothed in proportion to it: its mean
    over its spread is large where the whole outline is an edge of one direction, dark to bright or bright to dark.
    Points outside the image are left out, and count against the box.

    Parameters
    ----------
    grey : ndarray, shape (height, width), float32
        Values from 0 to 1.
    boxes : ndarray, shape (n, 4)
        xyxy, each with an area.

    Returns
    -------
    ndarray, shape (n,), float64
        0 and more.

    Examples
    --------
    >>> image = np.zeros((40, 60), "float32")
    >>> image[10:30, 20:40] = 1
    >>> on, beside = edge_steadiness(image, np.array([[20.0, 10, 40, 30], [27, 10, 47, 30]]))
    >>> bool(on > 2 * beside)
    True
    """
    centres, radii = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    octave = np.clip(np.round(np.log2(np.maximum(0.2 * np.sqrt(radii.prod(axis=1)), 1))), 0, 5)
    steadiness = np.zeros(len(boxes))
    for level in np.unique(octave):
        smooth = cv2.GaussianBlur(grey, (0, 0), 0.7 * 2**level).astype("float32")
        own = octave == level
        steadiness[own] = _steadiness(smooth, centres[own, :, None], radii[own, :, None])
    return steadiness


def _steadiness(smooth: NDArray[np.float32], centres: NDArray, radii: NDArray) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)])

    # The centre of the first pixel is at 0.5 in a box and at 0 in OpenCV.
    inner, outer = (centres + share * radii * circle - 0.5 for share in (INSIDE, OUTSIDE))
    steps = (_values_at(smooth, outer) - _values_at(smooth, inner)).astype("float64")
    last = np.array(smooth.shape[::-1])[:, None] - 1
    seen = ((outer >= 0) & (outer <= last)).all(axis=1)
    count = np.maximum(seen.sum(axis=1), 1)
    mean = (steps * seen).sum(axis=1) / count
    spread = np.sqrt((np.square(steps - mean[:, None]) * seen).sum(axis=1) / count)
    return np.abs(mean) / (spread + LEAST_SPREAD) * np.sqrt(count / POINTS)


def _values_at(image: NDArray[np.float32], points: NDArray) -> NDArray[np.float32]:
    """Values of an image between its pixels at points (n, 2, k), x before y."""
    across, down = points.astype("float32").transpose(1, 0, 2)
    # OpenCV's remap takes at most 32767 rows.
    pieces = range(0, len(across), 1 << 14)
    read = [
        cv2.remap(
            image, across[k : k + (1 << 14)], down[k : k + (1 << 14)], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )
        for k in pieces
    ]
    return np.concatenate(read)


def suppress(boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float, most: int) -> NDArray[np.intp]:
    """The best boxes of which no two overlap much: greedy non-maximum suppression.

    Parameters
    ----------
    boxes : ndarray, shape (n, 4)
        xyxy.
    scores : ndarray, shape (n,)
        The larger, the better; of equal ones the first stays.
    overlap : float
        A box whose intersection over union with a better one is above it is left out.
    most : int
        Boxes that stay.

    Returns
    -------
    ndarray, shape (at most ``most``,), int
        Places of the boxes that stay, the best first.

    Examples
    --------
    >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    >>> suppress(boxes, np.array([0.5, 0.9, 0.1]), overlap=0.6, most=10).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes[order].astype("float64").T
    areas = (right - left) * (bottom - top)
    alive = np.ones(len(order), bool)
    kept: list[int] = []
    for k in range(len(order)):
        if len(kept) == most:
            break
        if alive[k]:
            kept.append(k)
            across = np.minimum(right[k], right) - np.maximum(left[k], left)
            down = np.minimum(bottom[k], bottom) - np.maximum(top[k], top)
            shared = np.maximum(across, 0) * np.maximum(down, 0)
            alive &= shared <= overlap * (areas[k] + areas - shared)
    return order[np.array(kept, "int64")]
