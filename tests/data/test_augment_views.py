"""Views are what the random changes of training can give, no more and no less."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.data.augment import augment_tracks, augment_volumes
from tumorkeras.data.augment_views import View, views, views_of
from tumorkeras.data.rendering import TrackRenderer
from tumorkeras.spec import DataSpec

KINDS = [("flip",), ("rotate",), ("flip", "rotate"), ("shift", "intensity")]


def forms(arrays):
    return {np.asarray(array).round(4).tobytes() for array in arrays}


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("shape", [(5, 5, 1), (4, 6, 2)])
def test_the_views_of_an_image_are_those_that_training_draws(kinds, shape):
    image = np.random.default_rng(0).random((1, *shape)).astype("float32")
    only = [kind for kind in kinds if kind in ("flip", "rotate")]
    drawn = augment_volumes(tf.constant(np.repeat(image, 300, 0)), only, tf.constant([1, 2], tf.int64))
    found = [view(tf.constant(image))[0] for view in views(kinds, square=shape[0] == shape[1])]
    assert forms(found) == forms(drawn)
    assert len(forms(found)) == len(found)
    np.testing.assert_array_equal(found[0], image[0])


def drawn(tracks):
    return TrackRenderer(height=9, width=9, spacing=(1.0, 1.0))(tracks)


@pytest.mark.parametrize("kinds", KINDS[:3])
def test_the_views_of_a_track_are_tracks_that_training_turns_it_into(kinds):
    track = np.random.default_rng(1).uniform(-3, 3, (1, 4, 2)).astype("float32")
    track -= (track.min(1, keepdims=True) + track.max(1, keepdims=True)) / 2
    mirrored = np.concatenate([track, track * np.float32([-1, 1])]) if "flip" in kinds else track
    quarter = np.float32([[0, 1], [-1, 0]])
    turns = [np.linalg.matrix_power(quarter, k) for k in range(4 if "rotate" in kinds else 1)]
    wanted = np.concatenate([drawn(each[None] @ turn) for each in mirrored for turn in turns])
    found = [view(drawn(track))[0] for view in views(kinds, square=True, tracks=True)]
    assert len(found) == len(wanted)
    distances = np.abs(np.stack(found)[:, None] - wanted[None]).max(axis=(2, 3, 4, 5))
    assert (distances.min(axis=1) < 1e-5).all()
    assert (distances.min(axis=0) < 1e-5).all()
    # And the training does draw mirror images, where it says so, and only then.
    steps = np.diff(augment_tracks(tf.constant(np.repeat(track, 200, 0)), kinds, tf.constant([3, 4], tf.int64)), axis=1)
    hands = np.sign(steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0])
    assert (len(np.unique(hands)) == 2) == any(view.mirrors for view in views(kinds, square=True, tracks=True))


def test_depth_and_time_stay_as_they_are():
    volume = tf.reshape(tf.range(3.0), (1, 3, 1, 1, 1)) * tf.ones((1, 3, 4, 4, 1))
    for view in views(["flip", "rotate"], square=True):
        np.testing.assert_array_equal(view(volume), volume)


def test_the_spec_says_what_is_harmless():
    images = {"kind": "image_folder", "path": "scans"}
    tracks = {"kind": "simulation", "frames": 4}

    def count(source, **sections):
        return len(views_of(DataSpec.from_dict({"name": "cells", "source": source, **sections})))

    assert count(images, input={"shape": [8, 8, 1]}) == 8
    assert count(images, input={"shape": [8, 6, 1]}) == 4  # a plane that is not square is not turned in training
    assert count(images, input={"shape": [8, 8, 1]}, training={"augment": ["shift"]}) == 1
    assert count(tracks, input={"shape": [4, 8, 8, 1]}) == 8
    assert count(tracks, input={"shape": [4, 8, 8, 1], "spacing": [1, 2, 3]}) == 4  # a half turn and mirrors
    assert count(tracks, input={"shape": [4, 8, 8, 1]}, training={"augment": ["flip"]}) == 2


def test_half_turns_undo_themselves():
    image = tf.constant(np.random.default_rng(2).random((2, 3, 5, 1)))
    turn = View(transposed=False, down=True, across=True)
    np.testing.assert_array_equal(turn(turn(image)), image)
    assert not turn.mirrors
