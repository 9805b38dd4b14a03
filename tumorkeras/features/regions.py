"""All hand-made features of images and volumes in one table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.features.foreground import Array, Mask, measured
from tumorkeras.features.shape import measure_shape
from tumorkeras.features.texture import measure_texture
from tumorkeras.features.volumes import measure_volume


def region_features(volumes: ArrayLike, spacing: Sequence[float] | None = None) -> pd.DataFrame:
    """Measure size, shape, intensity and texture of every image or volume; its foreground is what differs from 0.

    This is what a careful person would try before a network, and what a network must beat. A region that was cut
    out of its image by a box has no mask: all of it that is not exactly 0 is foreground, its size and shape are
    those of the box, and intensity and texture count what lies around the object too.

    Parameters
    ----------
    volumes : array_like of shape (n, depth, height, width, channels) or (n, height, width, channels)
        Any numbers, background 0.
    spacing : sequence of float, optional
        Distance of neighbouring voxels on each spatial axis; 1 by default. Lengths are in its unit, but for the
        texture, which counts pixels.

    Returns
    -------
    pandas.DataFrame
        One row per sample, finite float64, 112 columns of a volume and 121 of an image:

        - size, axes, surface, intensity, gradient, core and rim, neighbours: 37 (35), see
          :func:`~tumorkeras.features.volumes.volume_features`;
        - shape of the largest piece: 3 (14), see :func:`~tumorkeras.features.shape.shape_features`;
        - texture, ``glcm_`` of the co-occurrence of grey levels and ``lbp_`` of local binary patterns: 72, see
          :func:`~tumorkeras.features.texture.texture_features`.

        A sample without foreground is all 0, and so is what a sample does not define.

    Raises
    ------
    DataError
        If the shape is wrong, the values are no finite numbers, or the spacing does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((1, 8, 8, 1))
    >>> image[0, 1:7, 2:5] = 10
    >>> table = region_features(image)
    >>> table.shape
    (1, 121)
    >>> table[["size", "solidity", "glcm_energy_1"]].values.tolist()
    [[18.0, 1.0, 1.0]]
    """
    return measured(volumes, spacing, "region_features", measure_region)


def measure_region(values: Array, mask: Mask, steps: Array) -> dict[str, float]:
    """The features of one sample, from its grey values, its foreground and its spacing."""
    return {
        **measure_volume(values, mask, steps),
        **measure_shape(values, mask, steps),
        **measure_texture(values, mask, steps),
    }
