"""The training stream: a function of seed and epoch, each sample once an epoch, drawn as it is needed."""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import pandas as pd
import pytest

from tumorkeras.data.pipeline import arrays_of, batches, iterate_arrays, steps_per_epoch, training_stream
from tumorkeras.data.rendering import renderer_of
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.spec import DataSpec

EVERY = ["flip", "rotate", "shift"]


@pytest.fixture(scope="module")
def tracks():
    return load_samples(
        DataSpec.from_dict(
            {
                "name": "motion",
                "source": {"kind": "simulation", "samples_per_class": 7, "frames": 6},
                "input": {"shape": [6, 10, 10, 1], "spacing": [1, 5, 5]},
            }
        )
    )


@pytest.fixture(scope="module")
def volumes():
    """21 volumes; the first voxel of each is its number."""
    spec = DataSpec.from_dict(
        {"name": "v", "source": {"kind": "npz", "path": "none.npz"}, "input": {"shape": [4, 6, 6, 1]}}
    )
    values = np.zeros((21, 4, 6, 6, 1), "uint8")
    values[:, 0, 0, 0, 0] = np.arange(21)
    labels = np.arange(21) % 3
    table = pd.DataFrame({"id": np.arange(21).astype(str), "class_name": labels.astype(str), "class_id": labels})
    return Samples(table.assign(group=None, split="train"), values, ("0", "1", "2"), spec)


def taken(stream, count):
    return [tuple(part.numpy() for part in batch) for batch in islice(stream, count)]


@pytest.mark.parametrize("kind", ["tracks", "volumes"])
@pytest.mark.parametrize("augment", [(), EVERY])
def test_a_stream_from_epoch_two_goes_on_from_the_first_two(kind, augment, request):
    samples = request.getfixturevalue(kind)
    options = {"batch_size": 8, "augment": augment, "seed": 3, "sample_weights": np.linspace(0, 1, 21)}
    steps = steps_per_epoch(samples, 8)
    assert steps == 3
    whole = taken(training_stream(samples, **options), 4 * steps)
    later = taken(training_stream(samples, **options, epoch=2), 2 * steps)
    for expected, found in zip(whole[2 * steps :], later, strict=True):
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


def numbers(batch):
    return batch[0][:, 0, 0, 0, 0].astype(int).tolist()


def test_each_epoch_shows_each_sample_once_in_an_order_of_its_own(volumes):
    stream = taken(training_stream(volumes, 8, seed=1), 6)
    epochs = [[n for batch in stream[start : start + 3] for n in numbers(batch)] for start in (0, 3)]
    assert all(sorted(order) == list(range(21)) for order in epochs)
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])
    assert [len(batch[0]) for batch in stream] == [8, 8, 5] * 2
    other = taken(training_stream(volumes, 8, seed=2), 1)
    assert numbers(other[0]) != numbers(stream[0])


def test_labels_and_weights_go_with_their_sample(volumes):
    weights = np.arange(21) * 10
    for batch in taken(training_stream(volumes, 8, sample_weights=weights), 3):
        chosen = np.array(numbers(batch))
        assert (batch[1] == chosen % 3).all()
        assert (batch[2] == chosen * 10).all()
        assert batch[0].dtype == np.float32
        assert batch[1].dtype == np.int64


def test_augmentation_is_new_in_every_epoch(tracks):
    def epoch(number):
        batch = taken(training_stream(tracks, 21, augment=["rotate"], epoch=number), 1)[0]
        return batch[0][np.lexsort((batch[0].sum(axis=(1, 2, 3, 4)), batch[1]))]

    assert (epoch(0) != epoch(1)).any(axis=(1, 2, 3, 4)).mean() > 0.9


def test_the_largest_seed_runs(tracks):
    taken(training_stream(tracks, 8, augment=EVERY, seed=2**32 - 1), 2)


def test_without_augmentation_the_stream_draws_what_the_batches_draw(tracks):
    drawn = arrays_of(tracks, batch_size=4)
    assert drawn.shape == (21, 6, 10, 10, 1)
    renderer = renderer_of(tracks.spec)
    np.testing.assert_array_equal(drawn, renderer(renderer.centered(tracks.values)).numpy())
    stream = np.concatenate([batch[0] for batch in taken(training_stream(tracks, 8), 3)])
    # The last bit of an exponential depends on its place in the batch.
    apart = np.abs(stream[:, None] - drawn).max(axis=(2, 3, 4, 5))
    assert (apart.min(axis=1) < 1e-6).all()
    assert sorted(apart.argmin(axis=1)) == list(range(21))


def test_batches_are_in_order_and_whole(volumes):
    found = [(arrays.numpy(), labels.numpy()) for arrays, labels in batches(volumes, 8)]
    assert [len(arrays) for arrays, _ in found] == [8, 8, 5]
    assert np.concatenate([arrays[:, 0, 0, 0, 0] for arrays, _ in found]).tolist() == list(range(21))
    assert np.concatenate([labels for _, labels in found]).tolist() == volumes.labels.tolist()
    assert (np.concatenate(list(iterate_arrays(volumes, 5))) == volumes.values).all()


def test_forty_thousand_tracks_are_drawn_a_batch_at_a_time():
    spec = DataSpec.from_dict(
        {
            "name": "many",
            "source": {"kind": "simulation", "samples_per_class": 13_500, "frames": 101},
            "input": {"shape": [101, 48, 48, 1], "spacing": [1, 10, 10]},
        }
    )
    count = 40_500  # 38 GB of volumes, 33 MB of tracks
    table = pd.DataFrame({"class_id": np.arange(count) % 3, "group": None})
    values = np.random.default_rng(0).normal(size=(count, 101, 2)).astype("float32").cumsum(axis=1)
    samples = Samples(table, values, ("a", "b", "c"), spec)
    began = time.monotonic()
    stream = training_stream(samples, 4, augment=["flip", "rotate"])
    arrays, labels = stream.element_spec
    assert arrays.shape.as_list() == [None, 101, 48, 48, 1]
    assert labels.shape.as_list() == [None]
    (drawn, _), *_ = taken(stream, 2)
    assert drawn.shape == (4, 101, 48, 48, 1)
    assert time.monotonic() - began < 20  # all of them take minutes
