"""A small grey square of any image or volume, in which copies of a picture look alike."""

from __future__ import annotations

import cv2
import numpy as np

# 48 and 64 find no more copies of real images than 32, and cost two and four times as much.
SIDE = 32
LUMA = np.array([0.299, 0.587, 0.114], "float32")  # what image programs turn RGB into grey with
LEAST_RANGE = 32  # grey levels; a darker 8-bit image would lose its detail in rounding, so it is stretched
RESIZABLE = {"uint8", "uint16", "int16", "float32", "float64"}  # what OpenCV resizes as it is


def thumbnail(array: np.ndarray) -> np.ndarray:
    """A grey image (SIDE, SIDE) uint8 of an image or volume; the aspect is not kept.

    Grey values of 8-bit images stay what they are, unless they span less than 32 levels; others are stretched
    to 0..255. Of a volume it is the mean along the depth: unlike a montage of slices it is mirrored when the volume
    is, does not change when slices are left out or turned around, and averages noise away.

    Parameters
    ----------
    array : ndarray
        (height, width), (height, width, channels) or (depth, height, width, channels) of any number type.
        Three channels are RGB; of any other number the mean is taken. Values that are not finite count as 0.

    Returns
    -------
    ndarray
        Zeros where the array is empty or constant.

    Raises
    ------
    ValueError
        If the array has fewer than 2 or more than 4 axes.

    Examples
    --------
    >>> scan = np.linspace(0, 4095, 8 * 100 * 80).reshape(8, 100, 80, 1).astype("uint16")
    >>> small = thumbnail(scan)
    >>> small.shape, small.dtype, int(small.min()), int(small.max())
    ((32, 32), dtype('uint8'), 0, 255)
    """
    array = np.asarray(array)
    if not 2 <= array.ndim <= 4:
        raise ValueError(f"found an array with {array.ndim} axes, expected an image or volume with 2 to 4")
    if array.size == 0:
        return np.zeros((SIDE, SIDE), "uint8")
    slices = array if array.ndim == 4 else array[None]
    total = np.zeros((SIDE, SIDE), "float64")
    for picture in slices:  # one at a time: a volume may fill the memory as it is
        total += _small_grey(picture)
    return _as_bytes(total / len(slices), bounded=array.dtype == np.uint8)


def _small_grey(picture: np.ndarray) -> np.ndarray:
    """An image (height, width[, channels]) at thumbnail size, float64 (SIDE, SIDE)."""
    if picture.dtype.name not in RESIZABLE:
        picture = picture.astype("float64")
    if picture.dtype.kind == "f":
        picture = np.nan_to_num(picture, posinf=0.0, neginf=0.0)
    channels = [picture] if picture.ndim == 2 else [picture[..., k] for k in range(picture.shape[-1])]
    weights = LUMA if len(channels) == 3 else np.full(len(channels), 1 / len(channels))
    return sum(weight * _resized(channel) for weight, channel in zip(weights, channels, strict=True))


def _resized(channel: np.ndarray) -> np.ndarray:
    """Each axis averaged down or interpolated up to SIDE; OpenCV's area rule is no interpolation where it enlarges."""
    height, width = channel.shape
    small = cv2.resize(
        np.ascontiguousarray(channel), (min(width, SIDE), min(height, SIDE)), interpolation=cv2.INTER_AREA
    ).astype("float64")
    return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _as_bytes(values: np.ndarray, *, bounded: bool) -> np.ndarray:
    low, span = values.min(), values.max() - values.min()
    if not span > 0 or not np.isfinite(span):
        return np.zeros((SIDE, SIDE), "uint8")
    if not bounded or span < LEAST_RANGE:
        values = (values - low) / span * 255
    return np.rint(values).astype("uint8")
