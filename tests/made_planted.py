"""Networks with weights set by hand, so that one place decides, and samples with that place."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter

from tumorkeras.anchors import Anchors
from tumorkeras.models import build_autoencoder, build_classifier, build_detector

SIDES = {2: (24, 20), 3: (8, 24, 20)}


def planted_classifier(rank, padding="same", **options):
    """Class 0 where something is brighter than 0, class 1 where something is darker."""
    model = build_classifier(
        (*SIDES[rank], 1), 2, filters=(2, 2), pool=(1, 2, 2)[3 - rank :], padding=padding, dense=(2,), **options
    )
    set_kernel(model.get_layer("conv_1"), [[1.0, -1.0]])
    set_kernel(model.get_layer("conv_2"), np.eye(2))
    model.get_layer("dense_1").set_weights([np.tile(np.eye(2), (2, 1)), np.zeros(2)])  # mean and maximum of each
    model.get_layer("probabilities").set_weights([4 * np.eye(2), np.zeros(2)])
    return model


def set_kernel(layer, channels):
    """A kernel of zeros, but for its middle; no bias."""
    kernel = np.zeros(layer.get_weights()[0].shape)
    middle = tuple(side // 2 for side in kernel.shape[:-2])
    kernel[middle][: np.shape(channels)[0], : np.shape(channels)[1]] = channels
    layer.set_weights([kernel, *(np.zeros_like(weight) for weight in layer.get_weights()[1:])])


def planted_sample(rank, bright, dark, sides=None):
    """Zeros with a bright and a dark block of 4 pixels along each axis, at given corners; their masks."""
    sample = np.zeros((1, *(sides or SIDES[rank]), 1), "float32")
    masks = []
    for corner, value in ((bright, 1.0), (dark, -0.8)):
        place = (0, *[slice(start, start + 4) for start in corner])
        sample[place] = value
        masks.append(np.zeros(sample.shape[1:-1], bool))
        masks[-1][place[1:]] = True
    return sample, masks


def planted_detector(head="level", proposals="rpn"):
    """Reads -1 to 1; class 0 by what is brighter than 0 in a box, class 1 by what is darker."""
    encoder = build_autoencoder((64, 64, 1), filters=(2, 2, 2, 2), bottleneck=None, tied=False)
    set_kernel(encoder.get_layer("conv_1"), [[1.0, -1.0]])
    for number in (2, 3, 4):
        set_kernel(encoder.get_layer(f"conv_{number}"), np.eye(2))
    anchors = Anchors((4, 8), ((16.0,), (28.0,)), (1.0,))
    options = {"fusion_width": 2, "dense": (2,), "filters": (2,), "preprocessing": (), "region_size": 6}
    detector = build_detector(
        (64, 64, 1), 2, backbone=encoder, anchors=anchors, head=head, proposals=proposals, **options
    )
    for stride in (4, 8):
        for part in ("lateral", "smoothed"):
            set_kernel(detector.get_layer(f"{part}_{stride}"), np.eye(2))
    regions = detector.get_layer("region_head")
    if head == "volume":
        set_kernel(regions.get_layer("conv_1"), np.eye(2))
    dense = regions.get_layer("dense_1")
    dense.set_weights([np.tile(np.eye(2), (len(dense.get_weights()[0]) // 2, 1)), np.zeros(2)])
    regions.get_layer("logits").set_weights([np.eye(2, 3), np.zeros(3)])
    regions.get_layer("deltas").set_weights([np.zeros((2, 4)), np.zeros(4)])
    return detector


def grown(mask, by):
    """A mask with what lies so many pixels from it along each axis."""
    return maximum_filter(mask, 2 * by + 1)
