"""Hand-made features of texture: which grey values lie beside which, and the patterns around each pixel."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr
from skimage.feature import graycomatrix, local_binary_pattern

from tumorkeras.features.foreground import Array, Mask, measured, varies

LEVELS = 32  # grey levels of the co-occurrence
FINER = 8  # the local patterns keep so many times as many: they only ask which of two is brighter
PERCENTILES = (0.01, 0.99)
DISTANCES = (1, 2, 4)  # pixels
ANGLES = np.arange(4) * np.pi / 4
CIRCLES = ((1, 8), (3, 24))  # radius in pixels and points of the local patterns
ROUNDING = 1e-9  # levels: a grey value this little below the edge of a level belongs above it

FIRST, SECOND = np.indices((LEVELS, LEVELS)).reshape(2, -1)
# The mean of each of these over all pairs is one product of matrices.
OF_PAIRS = {
    "contrast": (FIRST - SECOND) ** 2,
    "dissimilarity": np.abs(FIRST - SECOND),
    "homogeneity": 1 / (1 + (FIRST - SECOND) ** 2),
    "mean": FIRST,
    "square": FIRST**2,
    "product": FIRST * SECOND,
}


def texture_features(volumes: ArrayLike) -> pd.DataFrame:
    """Measure the texture of every image, or of the slices of every volume; the foreground is what differs from 0.

    The mean of the channels is cut into 256 grey levels between the 1st and the 99th percentile of the sample's
    foreground; what is beyond takes the last level. So no feature depends on brightness or contrast. A volume is
    measured slice by slice along its first axis, and each slice counts by its foreground voxels. What a direction
    or a slice does not define, such as the correlation of equal values, is left out of the mean, and is 0 where
    nothing defines it. A sample without foreground is all 0.

    Parameters
    ----------
    volumes : array_like of shape (n, depth, height, width, channels) or (n, height, width, channels)
        Any numbers, background 0.

    Returns
    -------
    pandas.DataFrame
        One row per sample, 72 columns of finite float64:

        - of the co-occurrence of 32 grey levels (each of 8 of the 256) in pairs of foreground pixels that are D
          (1, 2, 4) pixels apart: ``glcm_contrast_D``, mean square difference in levels; ``glcm_dissimilarity_D``,
          mean difference without sign; ``glcm_homogeneity_D``, mean of 1 / (1 + square difference);
          ``glcm_energy_D``, root of the sum of squared shares; ``glcm_correlation_D``; ``glcm_entropy_D``, bits.
          Each is the mean over four directions (0, 45, 90, 135 degrees; the diagonal step is rounded to pixels, so
          that of 1 and of 2 are the same), and with ``_range`` behind it the largest less the least of them.
        - ``lbp_R_K``: share of the foreground pixels with K points on the circle of radius R around them that are
          as bright as they or brighter, all side by side, and ``lbp_R_other``: with such points in several arcs.
          8 points for radius 1, 24 for radius 3; what lies outside the foreground is darker than anything in it.

    Raises
    ------
    DataError
        If the shape is wrong or the values are no finite numbers.

    References
    ----------
    Haralick, Shanmugam & Dinstein, IEEE Trans. Syst. Man Cybern. 3:610-621 (1973); Ojala, Pietikainen & Maenpaa,
    IEEE Trans. Pattern Anal. Mach. Intell. 24:971-987 (2002).

    Examples
    --------
    >>> board = np.indices((6, 6)).sum(axis=0) % 2 + 1
    >>> table = texture_features(board[None, ..., None])
    >>> table[["glcm_contrast_1", "glcm_contrast_1_range", "glcm_dissimilarity_1"]].values.tolist()
    [[480.5, 961.0, 15.5]]
    """
    return measured(volumes, None, "texture_features", measure_texture)


def measure_texture(values: Array, mask: Mask, steps: Array) -> dict[str, float]:
    """The features of one sample, from its grey values and its foreground; lengths are in pixels."""
    levels = _levels(values, mask)
    slices = levels if levels.ndim == 3 else levels[None]
    slices = slices[slices.any(axis=(1, 2))]
    return {**_co_occurrence(slices), **_local_patterns(slices)}


def _levels(values: Array, mask: Mask) -> NDArray[np.uint16]:
    """Grey levels from 1; 0 in the background."""
    inside, count = values[mask], LEVELS * FINER
    low, high = np.quantile(inside, PERCENTILES)
    levels = np.zeros(mask.shape, np.uint16)
    levels[mask] = 1
    if high > low and varies(inside):
        shares = (inside - low) / (high - low)
        levels[mask] += np.clip(np.floor(shares * count + ROUNDING), 0, count - 1).astype(np.uint16)
    return levels


def _co_occurrence(slices: NDArray[np.uint16]) -> dict[str, float]:
    coarse = ((slices + FINER - 1) // FINER).astype(np.uint8)
    counts = np.stack([graycomatrix(image, DISTANCES, ANGLES, LEVELS + 1, symmetric=True) for image in coarse])
    # Without the pairs that touch the background, which is level 0: (slices, distances, angles, pairs of levels).
    counts = np.moveaxis(counts[:, 1:, 1:], (1, 2), (-2, -1)).reshape(len(slices), len(DISTANCES), len(ANGLES), -1)
    pixels = np.count_nonzero(slices, axis=(1, 2))
    features: dict[str, float] = {}
    for name, table in _of_pairs(counts).items():
        for kind, over_angles in {"": table.mean(axis=-1), "_range": np.ma.ptp(table, axis=-1)}.items():
            means = np.ma.filled(np.ma.average(over_angles, axis=0, weights=pixels), 0)
            features |= {f"glcm_{name}_{distance}{kind}": mean for distance, mean in zip(DISTANCES, means, strict=True)}
    return features


def _of_pairs(counts: np.ndarray) -> dict[str, np.ma.MaskedArray]:
    """From counts (..., pairs of levels) to each feature (...), masked where it is not defined."""
    pairs = counts.sum(axis=-1)
    shares = counts / np.maximum(pairs, 1)[..., None]
    means = dict(zip(OF_PAIRS, np.moveaxis(shares @ np.stack([*OF_PAIRS.values()], axis=-1), -1, 0), strict=True))
    mean, square, product = (means.pop(name) for name in ("mean", "square", "product"))
    variance, covariance = square - mean**2, product - mean**2
    equal = variance < ROUNDING  # so small by rounding alone
    features = {
        **means,
        "energy": np.sqrt((shares**2).sum(axis=-1)),
        "entropy": entr(shares).sum(axis=-1) / np.log(2),
    }
    masked = {name: np.ma.masked_array(table, pairs == 0) for name, table in features.items()}
    return masked | {"correlation": np.ma.masked_array(covariance / np.where(equal, 1, variance), equal)}


def _local_patterns(slices: NDArray[np.uint16]) -> dict[str, float]:
    inside = slices > 0
    features: dict[str, float] = {}
    for radius, points in CIRCLES:
        codes = np.stack([local_binary_pattern(image, points, radius, "uniform") for image in slices])
        shares = np.bincount(codes[inside].astype(int), minlength=points + 2) / inside.sum()
        names = [*range(points + 1), "other"]
        features |= {f"lbp_{radius}_{name}": share for name, share in zip(names, shares, strict=True)}
    return features
