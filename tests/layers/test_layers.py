"""Every layer of the package passes the shared check."""

from functools import partial

import keras_cv
import numpy as np
import pytest
from model_check import check_config, check_layers, check_mixed_precision, sample

from tumorkeras.layers import (
    ContrastLimitedEqualization,
    Detections,
    IntensityWindow,
    LeeFilter,
    Letterbox,
    LetterboxBoxes,
    LogCompression,
    Maxout,
    Normalize,
    PercentileWindow,
    PyramidLevels,
    RegionProposals,
    RoIAlign,
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


@pytest.mark.slow
def test_every_layer_of_boxes_runs_saves_and_loads(tmp_path):
    boxes, images = 40 * sample((None, 6, 4)), sample((None, 50, 70, 1))
    boxes[..., 2:] += boxes[..., :2] + 2
    levels = [sample((None, 16, 24, 2)), sample((None, 8, 12, 2))]
    backbone = keras_cv.models.CSPDarkNetBackbone(
        stackwise_channels=[4, 8], stackwise_depth=[1, 1], include_rescaling=False, input_shape=(None, None, 1)
    )
    grid = {"strides": [8, 16], "sizes": [[9.0], [24.0]], "ratios": [0.5, 1.0]}
    heads = [sample((None, 60)), sample((None, 60, 4))]
    cases = {
        "proposals": (partial(RegionProposals, (32, 48), **grid, most=9), heads, "float32"),
        "to_canvas": (partial(LetterboxBoxes, height=32, width=48), [boxes, images], "float32"),
        "to_image": (partial(LetterboxBoxes, height=32, width=48, inverse=True), [boxes, images], "float32"),
        "roi_align": (partial(RoIAlign, strides=[4, 8], size=3), [levels, boxes]),
        "roi_align_stacked": (partial(RoIAlign, strides=[4, 8], size=3, stacked=True), [levels, boxes]),
        "pyramid_levels": (partial(PyramidLevels, backbone), (32, 48, 1), "float32"),  # the dtype of its backbone
    }
    check_layers(cases, tmp_path)


def test_detections_agree_with_their_configuration_and_in_mixed_precision():
    # Regions of all images are one axis of their input: tests/layers/test_detections.py checks them in a model.
    make, rng = partial(Detections, (32, 48), most=5), np.random.default_rng(0)
    regions = np.tile(np.array([4, 4, 20, 30], "float32"), (2, 6, 1)) + np.arange(6, dtype="float32")[:, None]
    arguments = [rng.normal(size=(12, 3)), rng.normal(size=(12, 4)), regions, np.zeros((2, 50, 70, 1))]
    arguments = [each.astype("float32") for each in arguments]
    layer = make()
    expected = layer(*arguments)
    check_config(layer)
    check_mixed_precision(layer, make, arguments, expected, "detections", half="float32")


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
        check_mixed_precision(layer, make, [x], expected, name)
