from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tumorkeras.data.samples import load_samples
from tumorkeras.data.tracks import normalise_scale
from tumorkeras.features.motility import motility_features
from tumorkeras.features.regions import region_features
from tumorkeras.features.table import sample_features, trivial_feature
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


def test_tracks_have_features_of_motion():
    samples = load_samples(DataSpec.from_dict(VALUES))
    pd.testing.assert_frame_equal(sample_features(samples), motility_features(samples.values))


@pytest.fixture
def volumes(tmp_path):
    values = np.random.default_rng(0).integers(0, 3, (4, 6, 8, 7)).astype("uint8")
    np.savez(tmp_path / "volumes.npz", train_images=values, train_labels=[[0], [1], [0], [1]])
    source = {"kind": "npz", "path": "volumes.npz"}
    shape = {"shape": [6, 8, 7, 1], "spacing": [2, 1, 1]}
    return load_samples(DataSpec.from_dict({"name": "volumes", "source": source, "input": shape}, folder=tmp_path))


def test_volumes_have_features_of_regions_in_their_spacing(volumes):
    pd.testing.assert_frame_equal(sample_features(volumes), region_features(volumes.values, [2, 1, 1]))
