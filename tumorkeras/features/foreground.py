"""The foreground of volumes and images, and the table of what is measured on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from tumorkeras.errors import DataError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Measure = Callable[[Array, Mask, Array], dict[str, float]]
"""From the grey values and the foreground of a sample, padded by a voxel of background, and its spacing."""

NEGLIGIBLE = 1e-12  # a variance below this share of the mean square is rounding, not variation


def measured(volumes: ArrayLike, spacing: Sequence[float] | None, where: str, measure: Measure) -> pd.DataFrame:
    """One row per sample: what ``measure`` gives for its foreground, 0 where there is none.

    Parameters
    ----------
    volumes : array_like of shape (n, depth, height, width, channels) or (n, height, width, channels)
        Any numbers, background 0.
    spacing : sequence of float, optional
        Distance of neighbouring voxels on each spatial axis; 1 by default.
    where : str
        Heading of an error: the function that was called.
    measure : callable
        Gives the same names for every foreground, that of a single voxel among them.

    Returns
    -------
    pandas.DataFrame
        float64.

    Raises
    ------
    DataError
        If the shape is wrong, the values are no finite numbers, or the spacing does not fit.

    Examples
    --------
    >>> images = np.zeros((2, 4, 4, 1))
    >>> images[1, 0, :2] = 5
    >>> measured(images, None, "brightest", lambda values, mask, steps: {"most": values.max()})["most"].tolist()
    [0.0, 5.0]
    """
    array, steps = _checked(volumes, spacing, where)
    single = np.ones((1,) * (len(steps) + 1))
    names = list(measure(*_cropped(single, single[..., 0] > 0), np.ones(len(steps))))
    rows = []
    for sample in array:
        foreground = (sample != 0).any(axis=-1)
        rows.append(measure(*_cropped(sample, foreground), steps) if foreground.any() else dict.fromkeys(names, 0.0))
    return pd.DataFrame(rows, columns=names, dtype=np.float64)


def varies(values: Array) -> bool:
    """Whether values differ by more than rounding.

    Examples
    --------
    >>> varies(np.array([0.1 + 0.2, 0.3])), varies(np.array([0.3, 0.4]))
    (False, True)
    """
    return bool(values.var() > NEGLIGIBLE * (values**2).mean())


def _checked(volumes: ArrayLike, spacing: Sequence[float] | None, where: str) -> tuple[np.ndarray, Array]:
    array = np.asarray(volumes)
    if array.ndim not in (4, 5) or 0 in array.shape[1:]:
        shapes = "(n, depth, height, width, channels) or (n, height, width, channels)"
        raise DataError(where, [f"volumes: found shape {array.shape}, expected {shapes}"])
    if array.dtype.kind not in "buif":
        raise DataError(where, [f"volumes: found dtype {array.dtype}, expected numbers"])
    rank = array.ndim - 2
    steps = np.ones(rank) if spacing is None else np.asarray(spacing, np.float64)
    faults = []
    if steps.shape != (rank,) or not (np.isfinite(steps) & (steps > 0)).all():
        faults.append(f"spacing: found {spacing}, expected {rank} positive numbers, one a spatial axis")
    broken = np.flatnonzero([not np.isfinite(sample).all() for sample in array])
    if broken.size:
        named = ", ".join(map(str, broken[:10])) + (", ..." if broken.size > 10 else "")
        faults.append(f"volumes: NaN or infinite in {broken.size} of {len(array)} samples (row {named})")
    if faults:
        raise DataError(where, faults)
    return array, steps


def _cropped(sample: np.ndarray, foreground: Mask) -> tuple[Array, Mask]:
    """Grey values and foreground in its bounding box, with a voxel of background around it.

    So every face and every distance to the background is inside.
    """
    (box,) = ndimage.find_objects(foreground.astype(np.uint8))
    values = sample[box].astype(np.float64).mean(axis=-1)
    return np.pad(values, 1), np.pad(foreground[box], 1)
