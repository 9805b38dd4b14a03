"""Occlusion against a plain loop, and on a planted cause."""

from __future__ import annotations

from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_planted import grown, planted_classifier, planted_sample

from tumorkeras import explain
from tumorkeras.errors import DataError, ModelError
from tumorkeras.explain import windows
from tumorkeras.models import build_autoencoder, build_classifier


def plain(model, sample, class_id, window, stride, color):
    sides = sample.shape[:-1]
    starts = [sorted({*range(0, side - w, s), side - w}) for side, w, s in zip(sides, window, stride, strict=True)]
    whole = model(sample[None]).numpy()[0, class_id]
    total, count = np.zeros(sides), np.zeros(sides)
    for corner in product(*starts):
        place = tuple(slice(start, start + side) for start, side in zip(corner, window, strict=True))
        hidden = sample.copy()
        hidden[place] = color
        total[place] += whole - model(hidden[None]).numpy()[0, class_id]
        count[place] += 1
    return total / count


@pytest.fixture(scope="module")
def classifiers():
    keras.utils.set_random_seed(2)
    shapes = {2: (7, 9, 2), 3: (4, 6, 5, 1)}
    return {
        rank: build_classifier(shape, 3, filters=(4,), dense=(6,), activation="elu") for rank, shape in shapes.items()
    }


@pytest.mark.parametrize(
    ("rank", "window", "stride", "fill"),
    [(2, 3, 2, "mean"), (2, (4, 2), (1, 2), -0.5), (3, (2, 3, 5), 2, 0.25), (3, None, None, "mean")],
)
def test_against_a_plain_loop(classifiers, rank, window, stride, fill):
    model = classifiers[rank]
    samples = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    sides = samples.shape[1:-1]
    sizes = [-(-side // 4) for side in sides] if window is None else np.broadcast_to(window, rank)
    strides = [max(1, side // 2) for side in sizes] if stride is None else np.broadcast_to(stride, rank)
    found = explain.occlusion(model, samples, 1, window, stride, fill, batch_size=5, progress=False)
    for sample, own in zip(samples, found, strict=True):
        color = sample.mean(axis=tuple(range(rank))) if fill == "mean" else fill
        np.testing.assert_allclose(own, plain(model, sample, 1, sizes, strides, color), atol=1e-6)
    assert found.dtype == np.float32
    assert np.abs(found).max() > 1e-3


@pytest.mark.parametrize(("rank", "corners"), [(2, ((4, 2), (14, 12))), (3, ((2, 4, 2), (4, 14, 12)))])
def test_the_planted_place_speaks_for_its_class_and_the_other_against_it(rank, corners):
    model = planted_classifier(rank)
    sample, (bright, dark) = planted_sample(rank, *corners)
    (found,) = explain.occlusion(model, sample, window=4, stride=2, fill=0.0)  # the class predicted is the bright one
    assert bright[np.unravel_index(found.argmax(), found.shape)]
    assert dark[np.unravel_index(found.argmin(), found.shape)]
    for mask, part in ((bright, np.maximum(found, 0)), (dark, np.maximum(-found, 0))):
        assert part[grown(mask, 3)].sum() > 0.99 * part.sum()  # a window reaches over the block by 3 pixels
        assert part[mask].mean() > 2 * part[~grown(mask, 1)].max()
    np.testing.assert_allclose(explain.occlusion(model, sample, 1, 4, 2, 0.0)[0], -found, atol=1e-6)


def test_covering_the_whole_is_one_window():
    model = planted_classifier(2)
    sample, _ = planted_sample(2, (3, 2), (14, 12))
    whole, nothing = model(sample).numpy()[0, 0], model(np.zeros_like(sample)).numpy()[0, 0]
    np.testing.assert_allclose(
        explain.occlusion(model, sample, window=(24, 20), stride=1, fill=0), np.full((1, 24, 20), whole - nothing)
    )
    assert explain.occlusion(model, sample[:0]).shape == (0, 24, 20)


def test_networks_without_convolutions_and_without_softmax():
    inputs = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(inputs)
    scores = keras.layers.Dense(2, name="scores")
    with_softmax, without = keras.Model(inputs, keras.layers.Softmax()(scores(flat))), keras.Model(inputs, scores(flat))
    sample = np.random.default_rng(0).normal(size=(1, 4, 4, 1))
    found = explain.occlusion(with_softmax, sample, 0, window=1, fill=0.0)
    np.testing.assert_allclose(found[0], plain(with_softmax, sample[0], 0, (1, 1), (1, 1), 0.0), atol=1e-6)
    np.testing.assert_array_equal(explain.occlusion(without, sample, 0, window=1, fill=0.0), found)
    one = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(flat))
    for_one, for_zero = (explain.occlusion(one, sample, class_id, 1, fill=0.0) for class_id in (1, 0))
    np.testing.assert_allclose(for_one, -for_zero, atol=1e-6)
    np.testing.assert_allclose(for_one[0], plain(one, sample[0], 0, (1, 1), (1, 1), 0.0), atol=1e-6)


def test_the_bar_counts_windows_of_arrays_and_data_sets(classifiers, monkeypatch):
    class Bar:
        def __init__(self, total, description, unit, *, shown):
            self.total, self.done, self.shown = total, 0, shown
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, count):
            self.done += count

    bars = []
    monkeypatch.setattr(windows, "progress_bar", Bar)
    samples = np.zeros((3, 7, 9, 2))
    samples[:, 2, 3] = np.arange(3)[:, None]
    found = explain.occlusion(classifiers[2], samples, window=3, stride=2)
    dataset = tf.data.Dataset.from_tensors(samples)  # all in one batch
    np.testing.assert_array_equal(explain.occlusion(classifiers[2], dataset, None, 3, 2, progress=False), found)
    assert [(bar.total, bar.done, bar.shown) for bar in bars] == [(36, 36, True), (None, 36, False)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": 0}, r"window: \(0, 0\) is not 2 integers from 1 to the sides of the sample, \(7, 9\)"),
        ({"window": 8}, r"window: \(8, 8\) is not"),
        ({"window": (2, 2, 2)}, r"window: \(2, 2, 2\) is not 2 integers"),
        ({"window": 2, "stride": 3}, r"stride: \(3, 3\) is not 2 integers from 1 to the sides of the window, \(2, 2\)"),
        ({"window": 2.5}, r"window: \(2.5, 2.5\)"),
        ({"fill": "median"}, "fill: 'median' is neither"),
        ({"fill": np.nan}, "fill: nan"),
        ({"class_id": 3}, "class_id: 3"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"samples": np.zeros((1, 7, 8, 2))}, r"samples: has the shape \(1, 7, 8, 2\)"),
        ({"samples": np.full((1, 7, 9, 2), np.inf)}, "row 0: holds 126 values"),
    ],
)
def test_what_does_not_fit_is_refused(classifiers, options, words):
    with pytest.raises(DataError, match=f"(?s)occlusion: .*{words}"):
        explain.occlusion(classifiers[2], **{"samples": np.zeros((1, 7, 9, 2)), **options})


def test_models_that_are_no_classifiers():
    with pytest.raises(ModelError, match="occlusion: model: 'autoencoder' is not a classifier"):
        explain.occlusion(build_autoencoder((8, 8, 1), filters=(2,)), np.zeros((1, 8, 8, 1)))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_classifier_behind_a_layer_of_ones_own_is_read_at_its_probabilities(activation):
    inputs = keras.Input((4, 4, 1))
    units = 2 if activation == "softmax" else 1
    scores = keras.layers.Dense(units, activation=activation)(keras.layers.Flatten()(inputs))
    inner = keras.Model(inputs, scores)
    outer = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Rescaling(0.5), inner])
    sample = np.random.default_rng(0).normal(size=(1, 4, 4, 1))
    found = explain.occlusion(outer, sample, 1, window=2, stride=1, fill=0.0)
    np.testing.assert_allclose(found, explain.occlusion(inner, sample / 2, 1, window=2, stride=1, fill=0.0), atol=1e-6)
