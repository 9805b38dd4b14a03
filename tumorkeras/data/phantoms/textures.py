"""Smooth random fields and the thin lines that run through tissue."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

SLOPE = np.array([-0.5, 0, 0.5], "float32")
EVEN = np.ones(1, "float32")


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: tuple[float, float]) -> Image:
    """Noise of mean 0 and standard deviation about 1 that changes over ``cell`` (pixels down, pixels across)."""
    coarse = [max(4, int(np.ceil(side / step)) + 3) for side, step in zip(shape, cell, strict=True)]
    noise = rng.standard_normal(coarse, dtype="float32")
    # Shifted by a share of a cell, so that the knots do not lie on the border; 1.5 for what interpolation smooths away.
    fine = cv2.warpAffine(
        noise,
        np.array([[1 / cell[1], 0, 1 + rng.random()], [0, 1 / cell[0], 1 + rng.random()]], "float64"),
        (shape[1], shape[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return 1.5 * fine


def wavy_line(rng: np.random.Generator, width: int, cell: float, height: float) -> Image:
    """Deviation (1, width) of a border from its mean depth: standard deviation about ``height``."""
    return height * smooth_noise(rng, (1, width), (1.0, cell))


def contour_lines(noise: Image, thickness: float) -> tuple[Image, Image]:
    """Thin lines where smooth noise is 0, such as septa between lobules.

    Parameters
    ----------
    noise : ndarray, shape (height, width), float32
    thickness : float
        Standard deviation across a line, in pixels.

    Returns
    -------
    strength : ndarray, shape (height, width), float32
        1 on the line.
    levelness : ndarray, shape (height, width), float32
        1 where the line lies across the beam, and so sends its echo back; 0 where it runs along it.
    """
    down, across = (cv2.sepFilter2D(noise, -1, *kernels) for kernels in ((EVEN, SLOPE), (SLOPE, EVEN)))
    square = down * down + across * across + np.float32(1e-12)
    strength = np.exp(-noise * noise / (2 * thickness * thickness * square))
    return strength, np.asarray(down * down / square)
