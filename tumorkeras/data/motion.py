"""What tracks are made of: checked positions, steps, turning angles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError


def check_tracks(tracks: ArrayLike, heading: str, *, cells: int = 0, frames: int = 2) -> np.ndarray:
    """Tracks as float64 of shape (n, frames, 2).

    Parameters
    ----------
    tracks : array_like
        Positions x and y over time.
    heading : str
        What the tracks are for; the error begins with it.
    cells, frames : int
        The fewest cells and frames that will do.

    Raises
    ------
    DataError
        If the shape is wrong, a position is not finite, or there are too few cells or frames.

    Examples
    --------
    >>> check_tracks([[[0, 0], [3, 4]]], "example").shape
    (1, 2, 2)
    """
    try:
        array = np.asarray(tracks, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(heading, [f"tracks: expected numbers of shape (n, frames, 2) ({error})"]) from None
    if array.ndim != 3 or array.shape[-1] != 2:
        raise DataError(heading, [f"tracks: found shape {array.shape}, expected (n, frames, 2)"])
    faults = []
    if len(array) < cells:
        faults.append(f"tracks: found {len(array)} cells, expected at least {cells}")
    if array.shape[1] < frames:
        faults.append(f"tracks: found {array.shape[1]} frames, expected at least {frames}")
    broken = np.flatnonzero(~np.isfinite(array).all(axis=(1, 2)))
    if broken.size:
        named = ", ".join(map(str, broken[:10])) + (", ..." if broken.size > 10 else "")
        faults.append(
            f"tracks: found positions that are not finite in {broken.size} of {len(array)} tracks "
            f"(row {named}), expected numbers; drop these tracks or fill the gaps"
        )
    if faults:
        raise DataError(heading, faults)
    return array


def steps_of(tracks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (n, frames - 1, 2) and their lengths (n, frames - 1).

    Examples
    --------
    >>> steps_of(np.array([[[0.0, 0.0], [3.0, 4.0]]]))[1].tolist()
    [[5.0]]
    """
    displacements = np.diff(tracks, axis=1)
    return displacements, np.hypot(displacements[..., 0], displacements[..., 1])


def headings_of(displacements: np.ndarray) -> np.ndarray:
    """Direction of motion in radians (n, steps); a cell at rest keeps the last one (0 before its first step).

    Examples
    --------
    >>> headings_of(np.array([[[0.0, 2.0], [0.0, 0.0]]])).round(2).tolist()
    [[1.57, 1.57]]
    """
    moving = displacements.any(axis=-1)
    last = np.maximum.accumulate(np.where(moving, np.arange(moving.shape[1]), 0), axis=1)
    headings = np.where(moving, np.arctan2(displacements[..., 1], displacements[..., 0]), 0.0)
    return np.take_along_axis(headings, last, axis=1)


def turns_of(displacements: np.ndarray) -> np.ndarray:
    """Angles from each step to the next (n, steps - 1), radians from -pi to pi, positive from x towards y.

    Examples
    --------
    >>> turns_of(np.array([[[1.0, 0.0], [0.0, 1.0]]])).round(2).tolist()
    [[1.57]]
    """
    difference = np.diff(headings_of(displacements), axis=1)
    return np.arctan2(np.sin(difference), np.cos(difference))
