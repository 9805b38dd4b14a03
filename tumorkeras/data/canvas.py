"""Images and volumes of any size on a canvas of one size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage

from tumorkeras import boxes
from tumorkeras.errors import DataError

GREY = np.array([299, 587, 114])  # thousandths of red, green and blue, as JPEG has it


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """The image or volume (..., c) with 1 channel (grey) or 3 (colour), dtype kept.

    Grey is 0.299 red + 0.587 green + 0.114 blue, of whole numbers rounded half up.

    Examples
    --------
    >>> with_channels(np.array([[[255, 0, 0]]], "uint8"), 1).tolist()
    [[[76]]]
    """
    if image.shape[-1] == channels:
        return image
    if channels == 3 and image.shape[-1] == 1:
        return np.repeat(image, 3, axis=-1)
    if channels == 1 and image.shape[-1] == 3:
        if np.issubdtype(image.dtype, np.integer):  # whole numbers, so that every decoder rounds alike
            return _grey(image)[..., None]
        return (image @ (GREY / 1000)).astype(image.dtype)[..., None]
    raise DataError("channels", [f"has {image.shape[-1]}, expected {channels}"])


def _grey(image: np.ndarray) -> np.ndarray:
    """Of whole numbers, channel by channel: a matrix product of whole numbers takes three times as long."""
    wide = np.uint32 if image.dtype in ("uint8", "uint16") else np.int64
    total = np.full(image.shape[:-1], 500, wide)
    for channel, weight in enumerate(GREY):
        total += image[..., channel] * wide(weight)
    return (total // 1000).astype(image.dtype)


def letterbox(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image scaled to fit into (height, width), its shape kept, centered on 0, or on its smallest negative value.

    Examples
    --------
    >>> letterbox(np.full((4, 8, 1), 9, "uint8"), 8, 8)[:, 0, 0].tolist()
    [0, 0, 9, 9, 9, 9, 0, 0]
    """
    placed = boxes.letterbox(image.shape[:2], (height, width))
    kind = cv2.INTER_AREA if placed.scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, (placed.width, placed.height), interpolation=kind)
    # Of Hounsfield units 0 is water: around an image with negative values lies what is darkest in it.
    canvas = np.full((height, width, image.shape[2]), min(0, image.min()), dtype=image.dtype)
    place = np.s_[placed.top : placed.top + placed.height, placed.left : placed.left + placed.width]
    canvas[place] = scaled.reshape(placed.height, placed.width, -1)
    return canvas


def fit_volume(
    volume: np.ndarray,
    shape: Sequence[int],
    spacing: Sequence[float] | None = None,
    wanted: Sequence[float] | None = None,
) -> np.ndarray:
    """The volume (depth, height, width, channels) on a canvas of ``shape``, by linear interpolation.

    Where the spacing is known and one is wanted, the volume is resampled to it, then cut or padded around its middle,
    with its smallest value: sizes stay true. Else each axis is scaled to fill the canvas.

    Parameters
    ----------
    volume : ndarray
        Any numeric dtype, which is kept.
    shape : sequence of int
        (depth, height, width, channels) of the result.
    spacing, wanted : sequence of float, optional
        Size of a step along depth, height and width: of the volume, and of the result.

    Examples
    --------
    >>> cube = np.ones((2, 4, 4, 1), "uint8")
    >>> fit_volume(cube, (4, 4, 4, 1)).shape, int(fit_volume(cube, (4, 4, 4, 1), (2, 1, 1), (1, 1, 1)).sum())
    ((4, 4, 4, 1), 64)
    """
    true = spacing is not None and wanted is not None
    if true:
        factors = [now / new for now, new in zip(spacing, wanted, strict=True)]  # type: ignore[arg-type]
    else:
        factors = [new / now for now, new in zip(volume.shape[:3], shape[:3], strict=True)]
    sizes = [max(1, round(size * factor)) for size, factor in zip(volume.shape[:3], factors, strict=True)]
    scaled = _resized(volume, sizes)
    canvas = np.full(tuple(shape), volume.min() if volume.size else 0, volume.dtype)
    from_canvas, from_scaled = zip(*map(_middle, shape[:3], sizes), strict=True)
    canvas[from_canvas] = scaled[from_scaled]
    return canvas


def _resized(volume: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    if tuple(sizes) == volume.shape[:3]:
        return volume
    factors = [new / now for new, now in zip(sizes, volume.shape, strict=False)]
    # Smoothed first where it shrinks: every voxel has its say, none is passed over.
    blur = [max(0.0, (1 / factor - 1) / 2) for factor in factors]
    smooth = ndimage.gaussian_filter(volume.astype("float32"), [*blur, 0], mode="nearest")
    values = ndimage.zoom(smooth, [*factors, 1], order=1, mode="nearest", grid_mode=True)
    return (np.rint(values) if np.issubdtype(volume.dtype, np.integer) else values).astype(volume.dtype)


def _middle(canvas: int, size: int) -> tuple[slice, slice]:
    """Where the middle of an axis goes, and what of it is taken."""
    taken = min(canvas, size)
    return slice((canvas - taken) // 2, (canvas - taken) // 2 + taken), slice(
        (size - taken) // 2, (size - taken) // 2 + taken
    )
