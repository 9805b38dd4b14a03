"""Hand-made features of shape: how round, full and smooth the largest piece of a region is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage import measure

from tumorkeras.features.foreground import Array, Mask, measured

HU_FLOOR = 1e-12  # Hu moments far below it are rounding, and a logarithm would make much of them
TOLERANCE = 1e-9  # voxels; a centre this far outside the hull lies on it


def shape_features(volumes: ArrayLike, spacing: Sequence[float] | None = None) -> pd.DataFrame:
    """Measure the shape of every image or volume beyond what :func:`volume_features` says of its size and axes.

    Measured is the largest piece of the foreground, which is what differs from 0; pieces touch by no face. No
    feature depends on where it lies or how large it is, but for the steps of its outline. A region that was cut
    out by its box has no mask: its foreground is about all of it, so all that its shape says is that of the box.
    A sample without foreground is all 0.

    Parameters
    ----------
    volumes : array_like of shape (n, depth, height, width, channels) or (n, height, width, channels)
        Any numbers, background 0.
    spacing : sequence of float, optional
        Distance of neighbouring voxels on each spatial axis; 1 by default.

    Returns
    -------
    pandas.DataFrame
        One row per sample, finite float64; of images and volumes:

        - ``solidity``: share of the voxels in the convex hull that belong to the piece, up to 1.
        - ``boundary_roughness``: standard deviation over mean of the distance from the centroid to the voxels of
          the rim, with holes filled; 0 for a circle, and the larger the more jagged or elongated.
        - ``euler_number``: of an image 1 - holes, of a volume 1 - tunnels + cavities.

        Of images alone:

        - ``eccentricity``: of the ellipse with the same second moments, 0 (circle) to 1 (line).
        - ``compactness``: 4 pi area / perimeter^2 inside the outline, 1 for a circle, 0.8 to 0.9 for a digital one;
          ``convexity``: perimeter of the convex hull of the outline over its own, up to 1.
        - ``height_over_width``: of the bounding box. Above 1, taller than wide, is a sign of malignancy in breast
          ultrasound.
        - ``hu_1`` to ``hu_7``: moment invariants h as sign(h) log10(1 + |h| / 1e-12); mirroring turns the sign
          of ``hu_7`` alone.

    Raises
    ------
    DataError
        If the shape is wrong, the values are no finite numbers, or the spacing does not fit.

    References
    ----------
    Hu, IRE Trans. Inf. Theory 8:179-187 (1962). Radial distances of an outline: Kilday, Palmieri & Fox, IEEE Trans.
    Med. Imaging 12:664-669 (1993).

    Examples
    --------
    >>> image = np.zeros((1, 8, 8, 1))
    >>> image[0, 1:7, 2:5] = 10
    >>> shape_features(image)[["solidity", "height_over_width", "euler_number"]].values.tolist()
    [[1.0, 2.0, 1.0]]
    """
    return measured(volumes, spacing, "shape_features", measure_shape)


def measure_shape(values: Array, mask: Mask, steps: Array) -> dict[str, float]:
    """The features of one sample, from its foreground and its spacing."""
    part = _largest_part(mask)
    filled = ndimage.binary_fill_holes(part)
    (region,) = measure.regionprops(part.astype(np.uint8), spacing=tuple(steps))
    features = {
        "solidity": _solidity(part),
        "boundary_roughness": _boundary_roughness(filled, steps),
        "euler_number": region.euler_number,
    }
    if part.ndim == 3:
        return features
    height, width = (np.array(part.shape) - 2) * steps
    return {
        **features,
        "eccentricity": region.eccentricity,
        **_outline(filled, steps),
        "height_over_width": height / width,
        **_hu_moments(part, steps),
    }


def _largest_part(mask: Mask) -> Mask:
    """In its bounding box, with a voxel of background around it; the first of equals."""
    pieces, _ = ndimage.label(mask)
    largest = np.bincount(pieces[mask]).argmax()
    box = ndimage.find_objects(pieces)[largest - 1]
    return np.pad(pieces[box] == largest, 1)


def _solidity(part: Mask) -> float:
    rank = part.ndim
    rim = np.argwhere(part & ~ndimage.binary_erosion(part))
    # The middles of a voxel's faces give even a flat or single one a hull.
    faces = np.concatenate([np.eye(rank), -np.eye(rank)]) / 2
    hull = ConvexHull((rim[:, None] + faces).reshape(-1, rank))
    return part.sum() / _voxels_within(hull.equations, part.shape)


def _voxels_within(planes: Array, shape: tuple[int, ...]) -> int:
    """How many voxels of a grid lie on the inner side of all planes: for each line of them from where to where."""
    lines = np.indices(shape[:-1]).reshape(len(shape) - 1, -1).T
    first, last = np.zeros(len(lines)), np.full(len(lines), shape[-1] - 1.0)
    for *across, along, offset in planes:
        room = TOLERANCE - offset - lines @ np.array(across)  # for along * place
        if along > 0:
            last = np.minimum(last, room / along)
        elif along < 0:
            first = np.maximum(first, room / along)
        else:
            last[room < 0] = -1.0
    return int(np.maximum(np.floor(last) - np.ceil(first) + 1, 0).sum())


def _boundary_roughness(filled: Mask, steps: Array) -> float:
    centre = np.argwhere(filled).mean(axis=0)
    rim = np.argwhere(filled & ~ndimage.binary_erosion(filled))
    radii = np.linalg.norm((rim - centre) * steps, axis=1)
    return radii.std() / radii.mean() if radii.any() else 0.0


def _outline(filled: Mask, steps: Array) -> dict[str, float]:
    (closed,) = measure.find_contours(filled.astype(np.float64), 0.5)
    points = (closed * steps)[:-1]
    following = np.roll(points, -1, axis=0)
    perimeter = np.linalg.norm(following - points, axis=1).sum()
    area = abs(points[:, 0] @ following[:, 1] - points[:, 1] @ following[:, 0]) / 2
    hull = ConvexHull(points)  # of points in the plane, its area is its perimeter
    return {"compactness": 4 * np.pi * area / perimeter**2, "convexity": hull.area / perimeter}


def _hu_moments(part: Mask, steps: Array) -> dict[str, float]:
    central = measure.moments_coords_central(np.argwhere(part) * steps, order=3) * steps.prod()
    moments = measure.moments_hu(measure.moments_normalized(central))
    scaled = np.sign(moments) * np.log10(1 + np.abs(moments) / HU_FLOOR)
    return {f"hu_{number}": moment for number, moment in enumerate(scaled, start=1)}
