"""R-CNN on drawn disks: dark ones are of one class, bright ones of the other."""

from __future__ import annotations

import cv2
import keras
import numpy as np
import pandas as pd
import pytest

from tumorkeras.boxes import iou, pad
from tumorkeras.comparison import RegionClassifier, train_region_classifier
from tumorkeras.comparison.region_crops import labelled_crops
from tumorkeras.comparison.region_training import train_crop_autoencoder
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.errors import DataError, ModelError
from tumorkeras.metrics import average_precision
from tumorkeras.spec import DataSpec

CANVAS = (64, 96)
CLASSES = ("dark", "bright")
SMALL = {"size": 16, "most": 40, "per_image": 16, "filters": (8, 16), "batch_size": 32, "progress": False}
TINY = SMALL | {"size": 8, "most": 20, "filters": (4,)}


def drawn(k, seed=0):
    """An image with k % 3 disks in halves of their own, their boxes and classes."""
    rng = np.random.default_rng([seed, k])
    image = np.full(CANVAS, 120.0)
    # Streaks are proposed, too, and are no objects.
    cv2.line(image, (int(rng.integers(96)), 0), (int(rng.integers(96)), 63), float(rng.choice([60, 180])), 3)
    boxes, classes = [], []
    for place in range(k % 3):
        radius, kind = int(rng.integers(8, 14)), int(rng.integers(2))
        x, y = int(48 * place + rng.integers(16, 32)), int(rng.integers(18, 46))
        cv2.circle(image, (x, y), radius, (30.0, 210.0)[kind], -1)
        boxes.append([x - radius, y - radius, x + radius + 1, y + radius + 1])
        classes.append(kind)
    image = cv2.GaussianBlur(image, (0, 0), 1.0) + rng.normal(0, 6, CANVAS)
    return np.clip(image, 0, 255).round().astype("uint8"), np.reshape(boxes, (-1, 4)).astype("float32"), classes


def samples_of(n, seed=0):
    """Images of half the canvas' size in their file, so that boxes there are half as large."""
    images, boxes, classes = zip(*(drawn(k, seed) for k in range(n)), strict=True)
    spec = {
        "name": "disks",
        "source": {"kind": "detection", "path": "images", "annotations": "boxes.csv"},
        "input": {"shape": [*CANVAS, 1]},
    }
    return DetectionSamples(
        pd.DataFrame({"id": np.arange(n).astype(str), "group": None, "split": "train"}),
        np.stack(images)[..., None],
        np.tile([CANVAS[0] // 2, CANVAS[1] // 2], (n, 1)),
        np.concatenate(boxes),
        np.concatenate(classes).astype("int64"),
        np.concatenate([[0], np.cumsum([len(own) for own in boxes])]),
        np.arange(n),
        CLASSES,
        DataSpec.from_dict(spec),
    )


def truth_of(samples):
    boxes, classes = pad(*zip(*map(samples.boxes_of, range(len(samples))), strict=True))
    return {"boxes": boxes, "classes": classes}


@pytest.fixture(scope="module")
def trained():
    return train_region_classifier(
        samples_of(36), samples_of(12, seed=1), epochs=12, steps=25, learning_rate=3e-3, **SMALL
    )


def test_it_learns_to_find_the_disks(trained):
    unseen = samples_of(24, seed=2)
    found = trained.detect(unseen)
    assert set(found) == {"boxes", "scores", "classes"}
    by_class = average_precision(truth_of(unseen), found, CLASSES).ap50_by_class
    assert min(by_class.values()) > 0.8, by_class
    # Images 0, 3, 6 ... hold a streak at most.
    assert (found["scores"][::3].max(axis=1, initial=0) < 0.9).mean() > 0.8


def test_the_history_has_a_row_an_epoch(trained):
    assert list(trained.history) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert trained.history["epoch"].tolist() == list(range(1, len(trained.history) + 1))
    assert trained.history["loss"].iloc[-1] < trained.history["loss"].iloc[0]


def test_the_format_is_that_of_padded_detections(trained):
    found = trained.detect(samples_of(6, seed=3), threshold=0.3, overlap=0.4)
    boxes, scores, classes = found["boxes"], found["scores"], found["classes"]
    assert boxes.dtype == scores.dtype == np.float32
    assert boxes.shape == (*scores.shape, 4) == (*classes.shape, 4)
    padding = classes == -1
    assert padding.any()
    assert not boxes[padding].any()
    assert not scores[padding].any()
    assert (scores[~padding] >= 0.3).all()
    for own, chances, ids in zip(boxes, scores, classes, strict=True):
        assert (np.diff(chances) <= 0).all()
        for kind in (0, 1):
            same = own[ids == kind]
            assert iou(same, same)[np.triu_indices(len(same), 1)].max(initial=0) <= 0.401


def test_boxes_of_the_file_are_half_as_large_here(trained):
    samples = samples_of(5, seed=3)
    canvas, file = trained.detect(samples), trained.detect(samples, original=True)
    np.testing.assert_allclose(file["boxes"], canvas["boxes"] / 2, atol=1e-5)
    np.testing.assert_array_equal(file["scores"], canvas["scores"])


def test_arrays_are_read_as_the_samples_are(trained):
    samples = samples_of(5, seed=3)
    for arrays in (samples.images, list(samples.images)):
        found, expected = trained.detect(arrays), trained.detect(samples)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    assert trained.detect([])["boxes"].shape == (0, 0, 4)


def test_images_of_any_size_and_without_proposals(trained):
    flat = [np.full((40, 50, 1), 7, "uint8"), np.full((1, 1, 1), 3, "uint8")]
    found = trained.detect(flat)
    assert {name: part.shape for name, part in found.items()} == {
        "boxes": (2, 0, 4),
        "scores": (2, 0),
        "classes": (2, 0),
    }
    found = trained.detect([*flat, drawn(2, seed=5)[0][..., None]])
    assert (found["classes"] >= 0).sum(axis=1).tolist()[:2] == [0, 0]
    assert (found["classes"][2] >= 0).any()


def test_at_most_so_many_detections(trained):
    samples = samples_of(6, seed=3)
    every, few = trained.detect(samples, threshold=0.0), trained.detect(samples, threshold=0.0, limit=3)
    assert few["scores"].shape == (6, 3)
    np.testing.assert_array_equal(few["boxes"], every["boxes"][:, :3])


def test_other_channels_are_refused(trained):
    with pytest.raises(DataError, match=r"image 1: shape \(8, 8, 3\), expected \(height, width, 1\)"):
        trained.detect([np.zeros((8, 8, 1)), np.zeros((8, 8, 3))])


def test_a_seed_gives_the_same_weights():
    samples = samples_of(9)
    runs = [train_region_classifier(samples, epochs=2, steps=3, seed=seed, **TINY) for seed in (4, 4, 5)]
    weights = [np.concatenate([each.ravel() for each in run.model.get_weights()]) for run in runs]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    pd.testing.assert_frame_equal(runs[0].history, runs[1].history)


def test_the_best_weights_stay():
    """With a learning rate that destroys what was learnt, the weights of the best epoch are what is left."""
    validation = samples_of(9, seed=1)
    wild = train_region_classifier(samples_of(9), validation, epochs=6, steps=4, learning_rate=0.3, patience=2, **TINY)
    best = int(wild.history["val_loss"].argmin())
    assert len(wild.history) <= best + 3
    short = train_region_classifier(samples_of(9), epochs=best + 1, steps=4, learning_rate=0.3, **TINY)
    for one, other in zip(wild.model.get_weights()[:-2], short.model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_starts_from_the_convolutions_of_the_autoencoder_of_its_crops():
    samples = samples_of(6)
    autoencoder = train_crop_autoencoder(samples, epochs=12, learning_rate=5e-3, **SMALL)
    kept = {key: SMALL[key] for key in ("size", "most", "per_image")}
    crops = labelled_crops(samples, context=0.25, seed=0, shown=False, **kept).crops / np.float32(255)
    error = np.square(autoencoder(crops * 255) - crops).mean()
    assert error < 0.5 * crops.var(axis=0).mean()  # of the mean crop, for every crop
    started = train_region_classifier(samples, epochs=1, steps=1, learning_rate=1e-9, initial=autoencoder, **SMALL)
    for name in ("conv_1", "conv_2"):
        kernels = [np.asarray(model.get_layer(name).kernel) for model in (autoencoder, started.model)]
        np.testing.assert_allclose(*kernels, atol=1e-6)


def test_an_autoencoder_needs_regions():
    with pytest.raises(ModelError, match="no region was found"):
        train_crop_autoencoder(samples_of(6).select(np.array([], "int64")), **TINY)


def test_training_needs_objects_and_background():
    empty = samples_of(9).select(np.array([0, 3, 6]))
    with pytest.raises(ModelError, match=r"0 regions hold an object and \d+ are background; training needs both"):
        train_region_classifier(empty, **TINY)


def test_a_part_without_objects_still_stops_a_training():
    empty = samples_of(9).select(np.array([0, 3, 6]))
    done = train_region_classifier(samples_of(6), empty, epochs=2, steps=2, **TINY)
    assert isinstance(done, RegionClassifier)
    assert np.isfinite(done.history["val_loss"]).all()
    assert isinstance(done.model, keras.Model)
