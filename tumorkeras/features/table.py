"""The hand-made features of samples, whatever they are, and the one feature that any method must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.data.motion import check_tracks, steps_of
from tumorkeras.features.motility import motility_features
from tumorkeras.features.regions import region_features

if TYPE_CHECKING:
    from tumorkeras.data.samples import Samples  # starts TensorFlow


def sample_features(samples: Samples) -> pd.DataFrame:
    """Hand-made features of each sample: of motion for tracks, of a region for volumes and images.

    Returns
    -------
    pandas.DataFrame
        One row per sample, in order; the columns of :func:`~tumorkeras.features.motility.motility_features` or
        :func:`~tumorkeras.features.regions.region_features`, lengths in the spec's ``input.units``.

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.spec import DataSpec
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}})
    >>> sample_features(load_samples(spec)).shape
    (60, 40)
    """
    if samples.are_tracks:
        return motility_features(samples.values)
    return region_features(samples.values, samples.spec.input.spacing)


def trivial_feature(samples: Samples) -> tuple[str, pd.DataFrame]:
    """The feature that alone often tells the classes: how fast a cell is, how big an object.

    Returns
    -------
    name : str
        ``"mean step"`` for tracks, ``"size"`` for volumes, images and marked regions.
    table : pandas.DataFrame
        One column, ``step_mean`` (in the spec's ``input.units`` a frame) or ``size`` (voxels that are not 0; for
        marked regions the area of the box in the image), one row per sample; never negative.

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.spec import DataSpec
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}})
    >>> name, table = trivial_feature(load_samples(spec))
    >>> name, table.shape
    ('mean step', (60, 1))
    """
    name = trivial_name(samples)
    if samples.are_tracks:
        _, lengths = steps_of(check_tracks(samples.values, "trivial_feature"))
        steps = lengths.mean(axis=1)
        return name, pd.DataFrame({"step_mean": _three_digits(steps)})
    if "box_area" in samples.table:
        return name, pd.DataFrame({"size": samples.table["box_area"].to_numpy("float64")})
    sizes = [float((sample != 0).any(axis=-1).sum()) for sample in samples.values]
    return name, pd.DataFrame({"size": sizes})


def _three_digits(values: np.ndarray) -> np.ndarray:
    """Values of 0 or more, rounded.

    Positions far from the origin leave float32 four digits of a step. Where every track was divided by its own mean
    step, what is left would be rounding, and it tells where in the image a cell was.
    """
    factors = 10.0 ** (2 - np.floor(np.log10(np.maximum(values, 1e-300))))
    return np.where(values > 0, np.round(values * factors) / factors, 0.0)


def trivial_name(samples: Samples) -> str:
    """The name of the trivial feature, without measuring it.

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.spec import DataSpec
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}})
    >>> trivial_name(load_samples(spec))
    'mean step'
    """
    return "mean step" if samples.are_tracks else "size"
