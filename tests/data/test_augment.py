"""Augmentation moves what is there and changes nothing else, as a function of its seed."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.data.augment import augment_tracks, augment_volumes, random_shift

SEEDS = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**40))
KINDS = st.sets(st.sampled_from(["flip", "rotate"]), min_size=1)


def seed_of(*numbers):
    return tf.constant(numbers, tf.int64)


def walks(n=40, frames=9):
    return np.random.default_rng(1).normal(size=(n, frames, 2)).cumsum(axis=1).astype("float32")


def distances(tracks):
    """All distances within each track: equal under turns and mirrors only."""
    return np.linalg.norm(tracks[:, :, None] - tracks[:, None], axis=-1)


@given(KINDS, SEEDS)
def test_tracks_are_mirrored_and_turned_about_the_origin(kinds, seed):
    tracks = walks()
    turned = augment_tracks(tf.constant(tracks), kinds, seed_of(*seed)).numpy()
    np.testing.assert_allclose(distances(turned), distances(tracks), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(tracks, axis=-1), rtol=1e-3, atol=1e-5)


def handedness(tracks):
    steps = np.diff(tracks, axis=1)
    return np.sign(steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0])


def test_a_turn_does_not_mirror_and_a_flip_mirrors_half():
    tracks = walks(400)
    turned = augment_tracks(tf.constant(tracks), ["rotate"], seed_of(1, 2)).numpy()
    assert (handedness(turned) == handedness(tracks)).all()
    flipped = augment_tracks(tf.constant(tracks), ["flip"], seed_of(1, 2)).numpy()
    assert 0.4 < (handedness(flipped) != handedness(tracks)).mean() < 0.6
    assert (flipped[..., 1] == tracks[..., 1]).all()


def test_turns_go_all_the_way_round():
    right = np.tile(np.float32([[[0, 0], [1, 0]]]), (2000, 1, 1))
    end = augment_tracks(tf.constant(right), ["rotate"], seed_of(3, 4)).numpy()[:, 1]
    counts, _ = np.histogram(np.arctan2(end[:, 1], end[:, 0]), bins=8, range=(-np.pi, np.pi))
    assert counts.min() > 180  # 250 expected, standard deviation 15


def test_random_numbers_follow_the_seed_alone():
    tracks, volumes = tf.constant(walks()), tf.random.stateless_uniform([6, 4, 4, 1], (1, 1))
    every = ["flip", "rotate", "shift"]
    for change in (augment_tracks, augment_volumes):
        values = tracks if change is augment_tracks else volumes
        first = change(values, every, seed_of(1, 5)).numpy()
        assert (change(values, every, seed_of(1, 5)).numpy() == first).all()
        assert (change(values, every, seed_of(1, 6)).numpy() != first).any()
        assert (change(values, every, seed_of(2, 5)).numpy() != first).any()


def test_nothing_asked_for_changes_nothing():
    tracks, volumes = tf.constant(walks()), tf.random.stateless_uniform([6, 4, 4, 1], (1, 1))
    assert (augment_tracks(tracks, [], seed_of(1, 2)).numpy() == tracks.numpy()).all()
    assert augment_volumes(volumes, [], seed_of(1, 2)) is volumes
    assert random_shift(3, ["flip"], seed_of(1, 2)) is None


def test_shift_is_of_each_track_within_its_limit():
    shift = random_shift(500, ["shift"], seed_of(1, 2), most=1.5).numpy()
    assert shift.shape == (500, 1, 2)
    assert -1.5 <= shift.min() < -1.4
    assert 1.4 < shift.max() <= 1.5
    assert len(np.unique(shift)) > 900


# ------------------------------------------------------------------------------------------------------- volumes


def arrangements(shape, kinds, draws=40, copies=20):
    """Every distinct outcome for one array with all its voxels different."""
    volume = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    batch = tf.constant(np.repeat(volume[None], copies, axis=0))
    found = [augment_volumes(batch, kinds, seed_of(7, k)).numpy() for k in range(draws)]
    return volume, {volume.tobytes() for volume in np.concatenate(found)}


def group_of(volume, turns, axes):
    """All products of quarter turns in plane and mirrors of the given axes."""
    plane = (volume.ndim - 3, volume.ndim - 2)
    found = set()
    for k in range(4 if turns else 1):
        for chosen in range(2 ** len(axes)):
            flips = [axis for bit, axis in enumerate(axes) if chosen >> bit & 1]
            found.add(np.flip(np.rot90(volume, k, plane), flips).tobytes())
    return found


@pytest.mark.parametrize(
    ("shape", "kinds", "turns", "axes", "count"),
    [
        ((3, 3, 1), ["rotate"], True, [], 4),
        ((3, 3, 1), ["flip"], False, [0, 1], 4),
        ((3, 3, 2), ["flip", "rotate"], True, [0, 1], 8),
        ((2, 3, 3, 1), ["rotate"], True, [], 4),
        ((2, 3, 3, 1), ["flip"], False, [0, 1, 2], 8),
        ((2, 3, 3, 2), ["flip", "rotate"], True, [0, 1, 2], 16),
        ((2, 3, 4, 1), ["rotate"], False, [], 1),
    ],
)
def test_volumes_are_mirrored_and_turned_by_quarters(shape, kinds, turns, axes, count):
    volume, found = arrangements(shape, kinds)
    assert found == group_of(volume, turns, axes)
    assert len(found) == count


@given(SEEDS)
def test_flips_and_turns_permute_voxels(seed):
    batch = np.random.default_rng(0).random((5, 3, 4, 4, 2), dtype="float32")
    changed = augment_volumes(tf.constant(batch), ["flip", "rotate"], seed_of(*seed)).numpy()
    assert (np.sort(changed, axis=None) == np.sort(batch, axis=None)).all()
    for one, other in zip(changed, batch, strict=True):
        assert (np.sort(one.reshape(-1, 2), axis=0) == np.sort(other.reshape(-1, 2), axis=0)).all()


def test_shift_moves_and_fills_with_zeros():
    batch = np.zeros((2, 9, 9, 1), "float32")
    batch[:, 4, 4] = 1
    places = set()
    for k in range(200):
        moved = augment_volumes(tf.constant(batch), ["shift"], seed_of(1, k)).numpy()
        assert moved.sum() == 2
        places.add(tuple(np.argwhere(moved)[0][1:3] - 4))
    assert places == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}
    full = augment_volumes(tf.ones([1, 9, 9, 1]), ["shift"], seed_of(1, 1)).numpy()
    assert set(np.unique(full)) <= {0, 1}


@pytest.mark.parametrize("shape", [(5, 12, 12, 1), (4, 6, 8, 8, 1)])
@pytest.mark.parametrize("kind", ["intensity", "speckle"])
def test_brightness_and_grain_change_within_the_range_and_leave_the_background(shape, kind):
    arrays = np.random.default_rng(0).uniform(10, 200, shape).astype("float32")
    arrays[:, :3] = 0
    changed = augment_volumes(tf.constant(arrays), [kind], seed_of(1, 2)).numpy()
    assert (changed[:, :3] == 0).all()
    assert (changed >= 0).all()
    assert (changed.max(axis=tuple(range(1, len(shape)))) <= arrays.max(axis=tuple(range(1, len(shape)))) + 1e-3).all()
    assert all((now != then).any() for now, then in zip(changed, arrays, strict=True))
    assert (augment_volumes(tf.constant(arrays), [kind], seed_of(1, 2)).numpy() == changed).all()


def test_images_are_scaled_about_a_random_place():
    images = np.zeros((40, 32, 32, 1), "float32")
    images[:, 12:20, 12:20] = 1
    areas = augment_volumes(tf.constant(images), ["crop"], seed_of(3, 4)).numpy().sum(axis=(1, 2, 3))
    assert areas.min() < 45  # 64 x 0.75 x 0.75 = 36
    assert areas.max() > 110  # 64 x 1.5 x 1.5 = 144, where it is not cut
    assert ((areas > 30) & (areas < 150)).all()
