"""Hand-made features of volumes and images: size, shape, intensity and texture of what is not background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage

from tumorkeras.features.foreground import Array, Mask, measured, varies

AXES = {2: ("height", "width"), 3: ("depth", "height", "width")}
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
BINS = 32  # of the histogram whose entropy is taken


def volume_features(volumes: ArrayLike, spacing: Sequence[float] | None = None) -> pd.DataFrame:
    """Measure every volume or image; its foreground is what differs from 0.

    No feature depends on where the object lies or on how much background is around it. Intensities are means
    over the channels. A sample without foreground is all 0, and so is whatever a sample does not define: the
    skewness of equal intensities, the neighbours of a single voxel.

    Parameters
    ----------
    volumes : array_like of shape (n, depth, height, width, channels) or (n, height, width, channels)
        Any numbers, background 0.
    spacing : sequence of float, optional
        Distance of neighbouring voxels on each spatial axis; 1 by default. Lengths below are in its unit.

    Returns
    -------
    pandas.DataFrame
        One row per sample, finite float64:

        - ``size``: foreground voxels; ``extent_depth`` (volumes only), ``extent_height``, ``extent_width``:
          sides of the bounding box; ``fill``: share of the box that is foreground; ``parts``: pieces that
          touch by no face; ``largest_part``: share of the biggest.
        - ``axis_1`` (longest) to ``axis_3`` (``axis_2`` of an image): four standard deviations of the
          foreground along its principal axes, about the diameters of an ellipse; ``elongation``: 1 - second /
          first axis; ``flatness``: 1 - last / first axis.
        - ``surface``: area (length) of the faces between foreground and background; ``surface_to_volume``;
          ``sphericity``: surface of the ball (disk) of that volume over ``surface``, about 0.66 (0.79) for a
          digital ball (disk), since its faces are steps.
        - ``radius_mean``, ``radius_max``: distance from the centroid; ``radius_cv``: standard deviation over
          mean; ``thickness``: largest distance of a foreground voxel to the background.
        - ``intensity_mean``, ``intensity_std``, ``intensity_q05``, ``intensity_q25``, ``intensity_median``,
          ``intensity_q75``, ``intensity_q95``, ``intensity_skew``, ``intensity_kurtosis`` (0 for a normal
          distribution), ``intensity_entropy`` (bits, of 32 bins between least and largest).
        - ``gradient_mean``, ``gradient_std``, ``gradient_max``: steepness in the foreground, a unit of
          length, with the step to the background.
        - ``core_mean``: mean intensity where the distance to the background is above half its largest;
          ``rim_mean``: of the voxels that touch the background by a face; ``core_minus_rim``.
        - ``roughness``: mean difference, without sign, of neighbours in the foreground;
          ``neighbour_correlation``: mean product of their deviations over the variance.

    Raises
    ------
    DataError
        If the shape is wrong, the values are no finite numbers, or the spacing does not fit.

    References
    ----------
    The kinds of features: Zwanenburg et al., Radiology 295:328-338 (2020).

    Examples
    --------
    >>> image = np.zeros((1, 6, 6, 1))
    >>> image[0, 1:3, 1:5] = 10
    >>> volume_features(image)[["size", "extent_width", "surface", "fill", "intensity_mean"]].values.tolist()
    [[8.0, 4.0, 12.0, 1.0, 10.0]]
    """
    return measured(volumes, spacing, "volume_features", measure_volume)


def measure_volume(values: Array, mask: Mask, steps: Array) -> dict[str, float]:
    """The features of one sample, from its grey values, its foreground and its spacing."""
    depth = ndimage.distance_transform_edt(mask, sampling=steps)
    return {
        **_size(mask, steps),
        **_axes(mask, steps),
        **_surface(mask, steps),
        "thickness": float(depth.max()),
        **_intensity(values[mask]),
        **_gradient(values, mask, steps),
        **_core_and_rim(values, mask, depth),
        **_texture(values, mask),
    }


def _size(mask: Mask, steps: Array) -> dict[str, float]:
    sides = np.array(mask.shape) - 2
    pieces, count = ndimage.label(mask)
    extents = {f"extent_{name}": side for name, side in zip(AXES[mask.ndim], sides * steps, strict=True)}
    largest = np.bincount(pieces[mask]).max()
    size = mask.sum()
    fill = size / sides.prod()
    return {"size": size, **extents, "fill": fill, "parts": count, "largest_part": largest / size}


def _axes(mask: Mask, steps: Array) -> dict[str, float]:
    places = np.argwhere(mask) * steps
    places = places - places.mean(axis=0)
    variances = np.linalg.eigvalsh(places.T @ places / len(places))[::-1]
    lengths = 4 * np.sqrt(np.maximum(variances, 0))
    longest = lengths[0]
    radii = np.sqrt((places**2).sum(axis=1))
    return {
        **{f"axis_{number}": length for number, length in enumerate(lengths, start=1)},
        "elongation": 1 - lengths[1] / longest if longest else 0.0,
        "flatness": 1 - lengths[-1] / longest if longest else 0.0,
        "radius_mean": radii.mean(),
        "radius_max": radii.max(),
        "radius_cv": _ratio(radii.std(), radii.mean()),
    }


def _surface(mask: Mask, steps: Array) -> dict[str, float]:
    # A face across an axis has the voxel's other sides.
    faces = np.array([np.count_nonzero(np.diff(mask, axis=axis)) for axis in range(mask.ndim)])
    surface, volume = (faces * steps.prod() / steps).sum(), mask.sum() * steps.prod()
    ball = 2 * np.sqrt(np.pi * volume) if mask.ndim == 2 else np.cbrt(36 * np.pi * volume**2)
    return {"surface": surface, "surface_to_volume": surface / volume, "sphericity": ball / surface}


def _intensity(values: Array) -> dict[str, float]:
    mean, std = values.mean(), values.std()
    standard = (values - mean) / std if varies(values) else np.zeros_like(values)
    quantiles = np.quantile(values, list(QUANTILES.values()))
    return {
        "intensity_mean": mean,
        "intensity_std": std,
        **{f"intensity_{name}": value for name, value in zip(QUANTILES, quantiles, strict=True)},
        "intensity_skew": (standard**3).mean(),
        "intensity_kurtosis": (standard**4).mean() - 3 if standard.any() else 0.0,
        "intensity_entropy": _entropy(standard),
    }


def _entropy(values: Array) -> float:
    low, high = values.min(), values.max()
    if high <= low:
        return 0.0
    places = np.minimum(((values - low) * (BINS / (high - low))).astype(int), BINS - 1)
    shares = np.bincount(places, minlength=BINS) / len(values)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


def _gradient(values: Array, mask: Mask, steps: Array) -> dict[str, float]:
    slopes = np.array([*np.gradient(values, *steps)])[:, mask]
    steepness = np.sqrt((slopes**2).sum(axis=0))
    return {
        "gradient_mean": steepness.mean(),
        "gradient_std": steepness.std(),
        "gradient_max": steepness.max(),
    }


def _core_and_rim(values: Array, mask: Mask, depth: Array) -> dict[str, float]:
    rim = mask & ~ndimage.binary_erosion(mask)
    core_mean, rim_mean = values[depth > depth.max() / 2].mean(), values[rim].mean()
    return {"core_mean": core_mean, "rim_mean": rim_mean, "core_minus_rim": core_mean - rim_mean}


def _texture(values: Array, mask: Mask) -> dict[str, float]:
    inside = values[mask]
    deviations = values - inside.mean()
    size = product = pairs = 0.0
    for axis in range(mask.ndim):
        first = (slice(None),) * axis + (slice(1, None),)
        second = (slice(None),) * axis + (slice(None, -1),)
        both = mask[first] & mask[second]
        a, b = deviations[first][both], deviations[second][both]
        size, product, pairs = size + np.abs(a - b).sum(), product + a @ b, pairs + len(a)
    correlation = _ratio(_ratio(product, pairs), inside.var()) if varies(inside) else 0.0
    return {"roughness": _ratio(size, pairs), "neighbour_correlation": correlation}


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else 0.0
