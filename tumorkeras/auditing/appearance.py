"""What the edge of a picture shows: borders, corners, burned-in text, logos and calipers, as a few numbers."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from tumorkeras.errors import DataError

CELLS = 8  # the picture is cut into 8 x 8 cells; those of its edge are measured one by one
SLICES = 16  # of a volume that are averaged
MARK = 5  # width in pixels that a mark stays below: strokes of text, crosses of calipers
BRIGHT = 0.35  # how far a mark stands out of its surroundings, as a share of the picture's range
WINDOW = (64, 128)  # height and width of the windows in which the same pattern is looked for
SMOOTH = 1.5  # standard deviation in pixels of the smooth part that is taken off a window: strokes are thin
STEEPEST = 20.0  # of 255: what stands out more counts no more, so that one bright edge hides no pattern


def appearance(array: np.ndarray) -> dict[str, float]:
    """Measure the edge of a picture and the thin marks in it.

    Intensities are shares of the picture's own range, from 0 (its least value) to 1 (its largest), so that 8 and
    16 bits and floating point compare. Volumes are measured on the mean of at most 16 of their slices, in which
    what is burned in stays and anatomy fades.

    Parameters
    ----------
    array : ndarray
        (height, width, channels) or (depth, height, width, channels), numbers or truth values.

    Returns
    -------
    dict of str to float
        - ``strip_mean``, ``strip_std``: the outer eighth of the picture on each side;
        - ``corner_mean_K``, ``corner_std_K``, ``corner_max_K``: the four corners, an eighth of the height and a
          quarter of the width: top left, top right, bottom left, bottom right;
        - ``edges_K``: mean difference of neighbouring pixels, across and down, in each of the 28 cells along the edge
          (the picture is cut into 8 x 8), clockwise from the top left; logos and text have many;
        - ``bright_marks``, ``dark_marks``: share of the picture in thin structures that stand out of their
          surroundings: calipers and text, on dark or on light;
        - ``strip_marks``: the same, both together, in the outer strip alone;
        - ``colour``: mean difference of the strongest and the weakest channel, 0 for grey pictures.

        All are 0 for a picture of one value; values that are not finite count as the least one.

    Raises
    ------
    DataError
        If the array has another shape, is empty, or holds no numbers.

    Examples
    --------
    >>> picture = np.zeros((64, 64, 1), np.uint8)
    >>> picture[2:6, 50:60] = 200
    >>> found = appearance(picture)
    >>> found["corner_max_1"], found["corner_max_0"], round(found["strip_mean"], 4)
    (1.0, 0.0, 0.0223)
    """
    plane, colour = _plane(array)
    bright, dark = (_marks(plane, kind) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    mean, std = _mean_and_std(_strip(plane))
    return {
        "strip_mean": mean,
        "strip_std": std,
        **_corners(plane),
        **_edges(plane),
        "bright_marks": _share(bright),
        "dark_marks": _share(dark),
        "strip_marks": _share(_strip(cv2.bitwise_or(bright, dark))),
        "colour": colour,
    }


def edge_pattern(array: np.ndarray) -> NDArray[np.float32]:
    """The fine structure of eight windows along the edge, in which a logo or a text lies on the same pixels each time.

    Parameters
    ----------
    array : ndarray
        As for :func:`appearance`.

    Returns
    -------
    ndarray of float32, shape (16384,)
        The windows in the corners and in the middles of the sides, each 64 x 128 pixels (a quarter of the height and
        half of the width of smaller pictures), less its smooth part, halved to 32 x 64.

    Examples
    --------
    >>> edge_pattern(np.zeros((512, 400, 1), np.uint8)).shape
    (16384,)
    """
    plane, _ = _plane(array)
    height, width = (max(1, min(w, side // n)) for w, side, n in zip(WINDOW, plane.shape, (4, 2), strict=True))
    down, right = plane.shape[0] - height, plane.shape[1] - width
    corners = [(y, x) for y in (0, down // 2, down) for x in (0, right // 2, right)]
    del corners[4]  # the middle of the picture
    return np.concatenate([_fine_structure(plane[y : y + height, x : x + width]) for y, x in corners])


def _fine_structure(window: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = window.astype(np.float32)
    fine = np.clip(values - cv2.GaussianBlur(values, (0, 0), SMOOTH), -STEEPEST, STEEPEST)
    halved = cv2.resize(fine, (WINDOW[1] // 2, WINDOW[0] // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(halved, np.float32).ravel()


def _plane(array: np.ndarray) -> tuple[NDArray[np.uint8], float]:
    """The picture (height, width) stretched to 0 to 255, and how coloured it is (0 to 1)."""
    array = np.asarray(array)
    if array.ndim not in (3, 4) or array.size == 0 or array.dtype.kind not in "buif":
        expected = "(height, width, channels) or (depth, height, width, channels) of numbers"
        raise DataError("appearance", [f"array: found shape {array.shape} of {array.dtype}, expected {expected}"])
    if array.ndim == 4:
        slices = np.unique(np.linspace(0, len(array) - 1, SLICES).round().astype(int))
        with np.errstate(invalid="ignore"):  # infinities of both signs
            array = array[slices].mean(axis=0, dtype=np.float64)
    channels = [_finite(array[..., k]) for k in range(array.shape[-1])]
    grey = reduce(np.add, channels) / np.float32(len(channels))
    low, high, *_ = cv2.minMaxLoc(grey)
    scale = 1 / (high - low) if high > low else 0.0
    plane = cv2.convertScaleAbs(grey, alpha=255 * scale, beta=-low * 255 * scale)
    return np.asarray(plane, np.uint8), _colour(channels)


def _colour(channels: list[NDArray[np.float32]]) -> float:
    highest, lowest = reduce(np.maximum, channels), reduce(np.minimum, channels)
    span = float(highest.max()) - float(lowest.min())
    return float((highest - lowest).mean()) / span if span > 0 else 0.0


def _finite(channel: np.ndarray) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(channel, np.float32)
    if channel.dtype.kind != "f" or np.isfinite(values).all():
        return values
    finite = np.isfinite(values)
    return np.where(finite, values, values[finite].min() if finite.any() else np.float32(0))


def _strip(plane: np.ndarray) -> np.ndarray:
    """The pixels of the outer eighth on each side, at least one pixel wide, in a row."""
    height, width = (max(1, round(side / CELLS)) for side in plane.shape)
    inside = slice(height, -height)
    parts = plane[:height], plane[-height:], plane[inside, :width], plane[inside, -width:]
    return np.concatenate([part.ravel() for part in parts])


def _mean_and_std(pixels: np.ndarray) -> tuple[float, float]:
    mean, std = cv2.meanStdDev(pixels)
    return float(mean.item() / 255), float(std.item() / 255)


def _share(mask: np.ndarray) -> float:
    return cv2.countNonZero(mask) / mask.size


def _marks(plane: NDArray[np.uint8], kind: int) -> NDArray[np.uint8]:
    """What is thinner than a stroke and stands out; not 0 where it does."""
    thin = cv2.morphologyEx(plane, kind, np.ones((MARK, MARK), np.uint8))
    return np.asarray(cv2.threshold(thin, BRIGHT * 255, 255, cv2.THRESH_BINARY)[1], np.uint8)


def _corners(plane: NDArray[np.uint8]) -> dict[str, float]:
    height, width = (max(1, round(side / share)) for side, share in zip(plane.shape, (CELLS, CELLS / 2), strict=True))
    top, bottom, left, right = slice(None, height), slice(-height, None), slice(None, width), slice(-width, None)
    found = {}
    for number, place in enumerate([(top, left), (top, right), (bottom, left), (bottom, right)]):
        patch = plane[place]
        found[f"corner_mean_{number}"], found[f"corner_std_{number}"] = _mean_and_std(patch)
        found[f"corner_max_{number}"] = float(patch.max() / 255)
    return found


def _edges(plane: NDArray[np.uint8]) -> dict[str, float]:
    steps = np.zeros(plane.shape, np.uint16)
    steps[:, 1:] += _difference(plane[:, 1:], plane[:, :-1])
    steps[1:] += _difference(plane[1:], plane[:-1])
    # area interpolation: each cell is the mean of its pixels, also where 8 does not divide the side
    cells = cv2.resize(steps.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA) / (2 * 255)
    ring = np.concatenate([cells[0], cells[1:, -1], cells[-1, -2::-1], cells[-2:0:-1, 0]])
    return {f"edges_{number}": float(value) for number, value in enumerate(ring)}


def _difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.maximum(first, second) - np.minimum(first, second)
