"""From an image to the boxes in which an object may lie: grey values, candidates, the best of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from numbers import Integral, Real

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.boxes import Boxes, clip
from tumorkeras.data.proposals.candidates import SMALLEST, Candidates, Grey, blobs, contours, stable_regions
from tumorkeras.data.proposals.ranking import edge_steadiness, suppress
from tumorkeras.errors import DataError

METHODS: dict[str, Callable[[Grey], Candidates]] = {"blobs": blobs, "mser": stable_regions, "contours": contours}

WHOLE = 0.98  # of both sides: a box of nearly the whole image proposes nothing
AREA_POWER = 0.25  # of two outlines that are as steady, the larger is less likely to be chance


def propose_regions(
    image: ArrayLike,
    most: int = 200,
    *,
    methods: Collection[str] = ("blobs", "mser", "contours"),
    overlap: float = 0.6,
    side: int = 256,
) -> Boxes:
    """Boxes in which an object of any class may lie, dark or bright, the most likely first.

    Blobs at many scales, maximally stable regions and the parts at many thresholds are gathered, ranked by how
    steadily the image changes across their outline, and thinned so that no two say the same. Nothing is learnt, and
    nothing is random.

    Parameters
    ----------
    image : array-like, shape (height, width) or (height, width, channels)
        Of any real type and range; of several channels the direction in which they differ most is looked at.
    most : int, optional
        Boxes at most.
    methods : collection of str, optional
        Of ``"blobs"`` (differences of Gaussians, round and oblong), ``"mser"`` (maximally stable extremal regions)
        and ``"contours"`` (connected parts at many thresholds, and the disks in them where objects touch).
    overlap : float, optional
        The largest intersection over union of two boxes, above 0 and up to 1.
    side : int, optional
        The image is looked at with its longer side made this long, if it is longer, in pixels. Objects below 5
        pixels there are not found; more finds smaller ones, and takes longer.

    Returns
    -------
    ndarray, shape (k, 4), float32
        xyxy, half-open, in pixels of ``image``, inside it and each with an area; k is 0 where nothing stands out.

    Raises
    ------
    DataError
        For an image that has another number of axes, no pixels, or values that are not finite numbers, and for
        arguments out of their range.

    Examples
    --------
    >>> row, column = np.mgrid[:100, :120]
    >>> image = np.where(((row - 45) / 15) ** 2 + ((column - 70) / 20) ** 2 < 1, 40, 200)
    >>> proposed = propose_regions(image, most=10)
    >>> from tumorkeras.boxes import iou
    >>> bool(iou([[50, 30, 90, 60]], proposed).max() > 0.7)
    True
    """
    array = np.asarray(image)
    faults = _image_faults(array) + _argument_faults(most, methods, overlap, side)
    if faults:
        raise DataError("propose_regions", faults)
    height, width = array.shape[:2]
    grey = _grey(array, side)
    if grey.max() <= grey.min():
        return np.empty((0, 4), "float32")
    boxes = _usable(np.concatenate([METHODS[name](grey) for name in METHODS if name in methods]), grey.shape)
    scores = edge_steadiness(grey, boxes) * np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) ** AREA_POWER
    best = boxes[suppress(boxes, scores, overlap, most)]
    scale = np.array([width / grey.shape[1], height / grey.shape[0]] * 2)
    return clip(best * scale, (height, width))


def _image_faults(array: NDArray) -> list[str]:
    if array.ndim not in (2, 3) or 0 in array.shape:
        return [f"image: shape {array.shape}, expected (height, width) or (height, width, channels), none of them 0"]
    if array.dtype.kind not in "biuf":
        return [f"image: dtype {array.dtype}, expected numbers"]
    if not np.isfinite(array).all():
        return [f"image: {np.count_nonzero(~np.isfinite(array))} values are NaN or infinite"]
    return []


def _argument_faults(most: int, methods: Collection[str], overlap: float, side: int) -> list[str]:
    faults = [
        f"{name}: {value!r} is not a positive integer"
        for name, value in (("most", most), ("side", side))
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1
    ]
    if not isinstance(overlap, Real) or not 0 < overlap <= 1:
        faults.append(f"overlap: {overlap!r} is not above 0 and up to 1")
    unknown = [methods] if isinstance(methods, str) else [name for name in methods if name not in METHODS]
    if unknown or not methods:
        faults.append(f"methods: {methods!r}, expected a list of some of {', '.join(METHODS)}")
    return faults


def _grey(array: NDArray, side: int) -> Grey:
    """One channel from 0 to 1, shrunk; a few extreme values do not take the range from the others."""
    channels = array[..., None] if array.ndim == 2 else array
    largest = float(np.abs(channels.astype("float64")).max()) or 1.0  # divided by it, squares stay finite
    shrunk = [_shrunk((channel / largest).astype("float32"), side) for channel in np.moveaxis(channels, -1, 0)]
    values = shrunk[0] if len(shrunk) == 1 else _principal_channel(np.stack(shrunk, axis=-1))
    low, high = np.percentile(values, [0.2, 99.8])
    if high <= low:
        low, high = values.min(), values.max()
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1).astype("float32")


def _principal_channel(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """The first principal component of the channels, bright where most of them are."""
    pixels = values.reshape(-1, values.shape[-1]).astype("float64")
    pixels = pixels - pixels.mean(axis=0)
    _, directions = np.linalg.eigh(pixels.T @ pixels)
    direction = directions[:, -1] * (-1 if directions[:, -1].sum() < 0 else 1)
    return (pixels @ direction).reshape(values.shape[:2])


def _shrunk(channel: Grey, side: int) -> Grey:
    factor = side / max(channel.shape)
    if factor >= 1:
        return channel
    height, width = (max(1, round(length * factor)) for length in channel.shape)
    return cv2.resize(channel, (width, height), interpolation=cv2.INTER_AREA).astype("float32")


def _usable(boxes: Candidates, shape: tuple[int, ...]) -> Candidates:
    """The candidates cut at the border, without those that are too small or nearly the whole image."""
    size = np.array([shape[1], shape[0]])
    boxes = np.clip(boxes, 0, np.tile(size, 2))
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[(sides >= SMALLEST).all(axis=1) & (sides < WHOLE * size).any(axis=1)]
