"""All features of images and volumes together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tumorkeras.errors import DataError
from tumorkeras.features.regions import region_features
from tumorkeras.features.shape import shape_features
from tumorkeras.features.texture import texture_features
from tumorkeras.features.volumes import volume_features


def samples(*shape):
    """Two samples of noise, one with background, and one of nothing."""
    values = np.random.default_rng(0).integers(1, 256, (3, *shape))
    values[1] *= values[1] > 120
    values[2] = 0
    return values.astype("uint8")


@pytest.mark.parametrize(
    ("shape", "spacing", "columns"),
    [((16, 12, 1), [1, 2], 121), ((16, 12, 3), None, 121), ((5, 9, 8, 1), [2, 1, 1], 112)],
)
def test_the_table_is_the_three_side_by_side(shape, spacing, columns):
    values = samples(*shape)
    table = region_features(values, spacing)
    parts = [volume_features(values, spacing), shape_features(values, spacing), texture_features(values)]
    pd.testing.assert_frame_equal(table, pd.concat(parts, axis=1))
    assert table.shape == (3, columns)
    assert table.columns.is_unique
    assert np.isfinite(table.to_numpy()).all()
    assert not table.iloc[2].any()


def test_the_columns_do_not_depend_on_the_data():
    assert list(region_features(np.zeros((0, 4, 5, 1)))) == list(region_features(samples(7, 8, 3)))


def test_the_error_names_the_function_that_was_called():
    with pytest.raises(DataError, match=r"(?s)region_features.*found shape \(3, 4\)"):
        region_features(np.zeros((3, 4)))
