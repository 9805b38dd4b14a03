from __future__ import annotations

import numpy as np

from tumorkeras.data.samples import load_samples
from tumorkeras.features.table import trivial_feature
from tumorkeras.spec import DataSpec

VALUES = {
    "name": "motion",
    "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16},
    "input": {"shape": [16, 24, 24, 1]},
}


def test_the_mean_step_is_that_of_each_track():
    samples = load_samples(DataSpec.from_dict(VALUES))
    _, table = trivial_feature(samples)
    steps = np.linalg.norm(np.diff(samples.values, axis=1), axis=-1).mean(axis=1)
    np.testing.assert_allclose(table["step_mean"], steps, atol=1e-5 * steps.max())


def test_the_mean_step_of_normalised_tracks_tells_nothing():
    samples = load_samples(DataSpec.from_dict(VALUES | {"rendering": {"normalise_scale": True}}))
    _, table = trivial_feature(samples)
    assert table["step_mean"].nunique() == 1
