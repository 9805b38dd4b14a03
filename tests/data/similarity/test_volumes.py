"""Volumes that look alike from one side are looked at in three dimensions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import ndimage

from tumorkeras.data.canvas import fit_volume
from tumorkeras.data.similarity import confirmed

PAIR = pd.DataFrame({"first": [0], "second": [1]})


def blobs(seed):
    noise = np.random.default_rng(seed).normal(size=(20, 24, 24))
    return ndimage.gaussian_filter(noise, 3)[..., None].astype("float32")


def test_copies_resized_or_mirrored_are_confirmed():
    volume = blobs(0)
    for copy in (volume, volume[:, ::-1], volume[::-1, :, ::-1], fit_volume(volume, (12, 16, 16, 1)), 3 * volume + 7):
        assert len(confirmed(PAIR, [volume, copy].__getitem__)) == 1


def test_the_same_projection_is_no_copy():
    volume = blobs(1)
    shuffled = volume[np.random.default_rng(2).permutation(len(volume))]
    np.testing.assert_allclose(volume.mean(axis=0), shuffled.mean(axis=0), rtol=1e-4, atol=1e-6)
    assert confirmed(PAIR, [volume, shuffled].__getitem__).empty


def test_images_and_empty_lists_stay_as_they_are():
    assert len(confirmed(PAIR, lambda row: np.zeros((4, 4, 1)))) == 1
    assert confirmed(PAIR[:0], lambda row: np.zeros((4, 4, 4, 1))).empty


def test_empty_volumes_are_no_copies():
    assert confirmed(PAIR, lambda row: np.zeros((4, 4, 4, 1))).empty
