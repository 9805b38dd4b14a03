"""Every layer of the package passes the shared check."""

from functools import partial

import numpy as np
import pytest
from model_check import check_config, check_layers, check_mixed_precision, sample

from tumorkeras.layers import (
    ContrastLimitedEqualization,
    IntensityWindow,
    LeeFilter,
    Letterbox,
    LogCompression,
    Maxout,
    Normalize,
    PercentileWindow,
    Standardize,
    TiedConv,
    TiedDense,
)


@pytest.mark.slow
def test_every_layer_runs_trains_saves_and_loads(tmp_path):
    cases = {
        "maxout": (partial(Maxout, pieces=3), (5, 6)),
        "standardize_2d": (Standardize, (8, 9, 2)),
        "standardize_3d": (Standardize, (4, 5, 6, 1)),
        "lee_2d": (partial(LeeFilter, size=3), (8, 9, 2)),
        "lee_3d": (partial(LeeFilter, size=5), (6, 7, 8, 1)),
        "lee_looks_2d": (partial(LeeFilter, size=3, looks=3.66), (8, 9, 2)),
        "lee_looks_3d": (partial(LeeFilter, size=3, looks=1), (6, 7, 8, 1)),
        "normalize_2d": (partial(Normalize, mean=[0.4, 0.5], std=(0.2, 0.3)), (8, 9, 2)),
        "normalize_3d": (partial(Normalize, mean=0.5, std=0.25), (4, 5, 6, 1)),
        "window_2d": (partial(IntensityWindow, low=0.1, high=0.8), (8, 9, 2)),
        "window_3d": (partial(IntensityWindow, low=0.1, high=0.8), (4, 5, 6, 1)),
        "percentiles_2d": (PercentileWindow, (8, 9, 2)),
        "percentiles_3d": (partial(PercentileWindow, low=5, high=80), (4, 5, 6, 1)),
        "log_2d": (partial(LogCompression, dynamic_range=40.0), (8, 9, 2)),
        "log_3d": (partial(LogCompression, dynamic_range=None, gain=20.0, peak=2.0), (4, 5, 6, 1)),
        "equalize_2d": (partial(ContrastLimitedEqualization, tiles=3, bins=32), (17, 19, 2)),
        "equalize_3d": (partial(ContrastLimitedEqualization, tiles=2, low=0.0, high=1.0), (3, 8, 9, 1)),
        "letterbox_2d": (partial(Letterbox, height=8, width=6), (10, 13, 2)),
        "letterbox_3d": (partial(Letterbox, height=12, width=16), (3, 8, 9, 1)),
    }
    check_layers(cases, tmp_path)


def test_tied_layers_agree_with_their_configuration_and_in_mixed_precision():
    # Their decoder bias takes part in decoding only: test_tied.py checks the two directions together.
    cases = {
        "conv_2d": (partial(TiedConv, filters=4, padding="valid", kernel_regularizer="l2"), (8, 9, 2)),
        "conv_3d": (partial(TiedConv, filters=4, kernel_size=(1, 3, 2)), (4, 8, 9, 1)),
        "dense": (partial(TiedDense, units=4, kernel_initializer="he_normal"), (12,)),
    }
    for name, (make, shape) in cases.items():
        layer, x = make(), sample((None, *shape))
        expected = np.asarray(layer(x))
        check_config(layer)
        check_mixed_precision(layer, make, x, expected, name)
