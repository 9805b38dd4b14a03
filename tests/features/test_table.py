from __future__ import annotations

from dataclasses import replace

import numpy as np

from tumorkeras.data.samples import load_samples
from tumorkeras.data.tracks import normalise_scale
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
    np.testing.assert_allclose(table["step_mean"], steps, rtol=5e-3)


def test_the_mean_step_of_normalised_tracks_tells_nothing():
    samples = load_samples(DataSpec.from_dict(VALUES))
    # Cells lie anywhere in a wide image, where float32 keeps four digits of a step.
    places = np.random.default_rng(0).uniform(0, 2000, (len(samples), 1, 2))
    moved = normalise_scale((samples.values + places).astype("float32"))
    _, table = trivial_feature(replace(samples, values=moved))
    assert table["step_mean"].unique().tolist() == [1.0]


def test_a_cell_that_rests_has_a_mean_step_of_zero():
    samples = load_samples(DataSpec.from_dict(VALUES))
    _, table = trivial_feature(replace(samples, values=np.zeros_like(samples.values)))
    assert (table["step_mean"] == 0).all()
