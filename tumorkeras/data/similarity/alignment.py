"""Two thumbnails laid over each other: which window of the one the other shows, and how alike they are there.

A crop moves and stretches what it leaves, along each axis on its own, so a window has four numbers: for rows and
then for columns, by how much its side differs from the whole (-0.1: it is 10 % shorter) and how far its centre is
from the middle, in pixels of the thumbnail.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # (pairs, side, side)

STEPS = 4
LARGEST_STEP = np.array([0.08, 0.06, 0.08, 0.06], "float32")  # of the side; a longer one has left the linear range
LARGEST = np.array([0.15, 0.08, 0.15, 0.08], "float32")  # of the side; more is another picture, not a crop by 5 %


def align(moving: Images, fixed: Images) -> np.ndarray:
    """The window of each moving image that looks most like the fixed one, by Gauss-Newton steps.

    Grey values may differ by a factor and an offset.

    Parameters
    ----------
    moving, fixed : ndarray, shape (pairs, side, side), float32
        Smooth images: detail finer than the movement would lead the steps astray.

    Returns
    -------
    ndarray, shape (pairs, 4), float32
        Zeros, the whole image, where no window is better.

    Examples
    --------
    >>> row, column = np.mgrid[:32, :32]
    >>> def blob(r, c): return np.exp(-((row - r) ** 2 + (column - c) ** 2) / 60).astype("float32")
    >>> align(blob(15, 14)[None], blob(16, 14)[None])[0, 1].round().item()
    -1.0
    """
    side = moving.shape[-1]
    unit = np.array([1, side, 1, side], "float32")
    windows = np.zeros((len(moving), 4), "float32")
    view, inside = moving, np.ones_like(moving)
    for _ in range(STEPS):
        step = np.clip(_step(view, fixed, inside), -LARGEST_STEP * unit, LARGEST_STEP * unit)
        windows = np.clip(windows + step, -LARGEST * unit, LARGEST * unit)
        view, inside = look_through(moving, windows)
    better = correlation(view, fixed, inside) > correlation(moving, fixed)
    return np.where(better[:, None], windows, 0)


def _step(view: Images, fixed: Images, inside: Images) -> np.ndarray:
    """Change of the windows (pairs, 4) that makes the view fit best, to first order."""
    pairs, side, _ = view.shape
    offset = np.arange(side, dtype="float32") - (side - 1) / 2
    down, across = np.gradient(view, axis=(1, 2))
    parts = [down * offset[:, None], down, across * offset, across, view, np.ones_like(view)]
    design = np.stack(parts, axis=1).reshape(pairs, 6, side * side)
    weighted = design * inside.reshape(pairs, 1, -1)
    normal = (weighted @ design.transpose(0, 2, 1)).astype("float64")
    # A picture without detail along an axis says nothing of that axis: the ridge keeps its step at 0.
    normal += np.eye(6) * (1e-4 * normal + 1e-6)
    target = (weighted @ fixed.reshape(pairs, -1, 1)).astype("float64")
    solution = np.linalg.solve(normal, target)[..., 0]
    gain = np.maximum(np.abs(solution[:, 4:5]), 0.2) * np.where(solution[:, 4:5] < 0, -1, 1)
    return (solution[:, :4] / gain).astype("float32")


def look_through(images: Images, windows: np.ndarray) -> tuple[Images, Images]:
    """What each image shows through its window, at full size, and where the window lies inside it (1, else 0).

    Examples
    --------
    >>> image = np.arange(9, dtype="float32").reshape(1, 3, 3)
    >>> view, inside = look_through(image, np.array([[0, 1, 0, 0]]))
    >>> view[0, 0].tolist(), inside[0, :, 0].tolist()
    ([3.0, 4.0, 5.0], [1.0, 1.0, 0.0])
    """
    rows, rows_inside = _interpolation(images.shape[-1], windows[:, 0], windows[:, 1])
    columns, columns_inside = _interpolation(images.shape[-1], windows[:, 2], windows[:, 3])
    inside = rows_inside[:, :, None] & columns_inside[:, None, :]
    return rows @ images @ columns.transpose(0, 2, 1), inside.astype("float32")


def _interpolation(side: int, longer: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear interpolation along one axis as matrices (pairs, side, side), and which places are inside."""
    middle = (side - 1) / 2
    offset = np.arange(side, dtype="float32") - middle
    places = middle + offset * (1 + longer[:, None]) + shift[:, None]
    inside = (places > -0.5) & (places < side - 0.5)
    distance = np.abs(np.clip(places, 0, side - 1)[:, :, None] - np.arange(side))
    return np.maximum(0, 1 - distance).astype("float32"), inside


def correlation(first: Images, second: Images, weights: Images | None = None) -> np.ndarray:
    """Pearson's correlation of the pixels of each pair, (pairs,); 0 where an image is flat.

    Examples
    --------
    >>> image = np.eye(4, dtype="float32")[None]
    >>> correlation(image, 2 * image + 1).round(3).tolist(), correlation(image, 0 * image).tolist()
    ([1.0], [0.0])
    """
    if weights is None:
        weights = np.ones_like(first)
    share = weights / np.maximum(weights.sum((1, 2), keepdims=True), 1)
    first = first - (share * first).sum((1, 2), keepdims=True)
    second = second - (share * second).sum((1, 2), keepdims=True)
    spread = np.sqrt((share * first**2).sum((1, 2)) * (share * second**2).sum((1, 2)))
    return (share * first * second).sum((1, 2)) / np.where(spread > 0, spread, np.inf)
