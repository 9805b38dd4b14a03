"""Detections: from logits and deltas to boxes in pixels of the image, by hand and against plain loops."""

from __future__ import annotations

import detector_reference as reference
import keras
import numpy as np
import pytest

from tumorkeras.errors import ModelError
from tumorkeras.layers import Detections

CANVAS = (48, 64)


def images_of(size, batch=1):
    return np.zeros((batch, *size, 1), "float32")


def random_heads(batch, count, classes, seed=0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (batch, count, 2))
    regions = np.concatenate([corner, corner + rng.uniform(4, 30, (batch, count, 2))], axis=2).astype("float32")
    regions[:, count // 2] = 0  # padding
    logits = rng.normal(0, 2, (batch * count, classes + 1)).astype("float32")
    return logits, rng.normal(0, 1, (batch * count, 4)).astype("float32"), regions


def found_by(layer, logits, deltas, regions, images):
    found = layer(*(np.asarray(each, "float32") for each in (logits, deltas, regions, images)))
    return {key: np.asarray(value) for key, value in found.items()}


def test_detections_by_hand():
    """Two classes; of the first two regions, IoU 0.8, one class keeps the better, and the other class is apart."""
    layer = Detections(CANVAS, score_threshold=0.2, nms_iou=0.5, most=4)
    regions = [[[10, 10, 20, 20], [10, 10, 20, 18], [40, 20, 60, 40], [0, 0, 0, 0]]]
    chances = np.array([[0.6, 0.3, 0.1], [0.7, 0.1, 0.2], [0.05, 0.15, 0.8], [0.9, 0.05, 0.05]])
    found = found_by(layer, np.log(chances), np.zeros((4, 4)), regions, images_of((96, 128)))
    np.testing.assert_allclose(found["boxes"], [[[20, 20, 40, 36], [20, 20, 40, 40], [0] * 4, [0] * 4]], atol=1e-4)
    np.testing.assert_allclose(found["scores"], [[0.7, 0.3, 0, 0]], rtol=1e-5)
    assert found["classes"].tolist() == [[0, 1, -1, -1]]
    assert found["num_detections"].tolist() == [2]


def test_deltas_move_the_regions_by_their_spread():
    layer = Detections(CANVAS, most=1)
    found = found_by(layer, [[5, 0]], [[1, -2, 5 * np.log(2), 0]], [[[20, 20, 30, 30]]], images_of(CANVAS))
    np.testing.assert_allclose(found["boxes"], [[[16, 18, 36, 28]]], atol=1e-4)


@pytest.mark.parametrize("size", [(48, 64), (100, 64), (31, 333), (500, 400)])
@pytest.mark.parametrize(("score_threshold", "nms_iou", "most"), [(0.05, 0.5, 100), (0.3, 0.2, 5)])
def test_detections_are_those_of_plain_loops(size, score_threshold, nms_iou, most):
    layer = Detections(CANVAS, score_threshold, nms_iou, most)
    logits, deltas, regions = random_heads(2, 12, 3, seed=most)
    found = found_by(layer, logits, deltas, regions, images_of(size, 2))
    for image in range(2):
        own = slice(12 * image, 12 * image + 12)
        expected = reference.detections(
            logits[own], deltas[own], regions[image], size, CANVAS, score_threshold, nms_iou, most
        )
        count = found["num_detections"][image]
        assert count == len(expected) > 0
        np.testing.assert_allclose(found["boxes"][image, :count], [box for box, _, _ in expected], atol=0.02)
        np.testing.assert_allclose(found["scores"][image, :count], [score for _, score, _ in expected], rtol=1e-4)
        assert found["classes"][image, :count].tolist() == [label for _, _, label in expected]
        assert not found["boxes"][image, count:].any()
        assert not found["scores"][image, count:].any()
        assert (found["classes"][image, count:] == -1).all()


def test_boxes_end_at_the_edges_of_the_image_and_those_beside_it_are_none():
    """An image twice as wide as high lies in rows 8 to 40 of the canvas: above is nothing to be found."""
    regions = [[[10, 0, 20, 7], [-5, 20, 80, 45]]]
    found = found_by(Detections(CANVAS, most=2), [[5, 0]] * 2, np.zeros((2, 4)), regions, images_of((100, 200)))
    np.testing.assert_allclose(found["boxes"], [[[0, 37.5, 200, 100], [0] * 4]], atol=1e-4)
    assert found["num_detections"].tolist() == [1]


def test_what_is_no_number_is_no_detection():
    deltas, logits = np.zeros((3, 4)), np.tile([5.0, 0.0], (3, 1))
    deltas[0, 2], logits[1, 0] = np.nan, np.nan
    regions = [[[10, 10, 20, 20], [30, 10, 40, 20], [10, 30, 20, 40]]]
    found = found_by(Detections(CANVAS, most=3), logits, deltas, regions, images_of(CANVAS))
    np.testing.assert_allclose(found["boxes"][0], [[10, 30, 20, 40], [0] * 4, [0] * 4], atol=1e-4)
    assert found["num_detections"].tolist() == [1]


def test_background_alone_gives_padding_alone():
    found = found_by(Detections(CANVAS, most=2), [[-9, 9]] * 2, np.zeros((2, 4)), np.ones((1, 2, 4)), images_of(CANVAS))
    assert found["num_detections"].tolist() == [0]
    assert found["classes"].tolist() == [[-1, -1]]
    none = found_by(Detections(CANVAS, most=2), np.zeros((0, 2)), np.zeros((0, 4)), np.zeros((3, 0, 4)),
                    images_of(CANVAS, 3))  # fmt: skip
    assert none["boxes"].shape == (3, 2, 4)
    assert none["num_detections"].tolist() == [0, 0, 0]


def test_batch_and_size_are_open_and_mixed_precision_gives_float32():
    layer = Detections(CANVAS, most=3, dtype="mixed_float16")
    inputs = [keras.Input(shape) for shape in ((3,), (4,), (None, 4), (None, None, 1))]
    model = keras.Model(inputs, layer(*inputs))
    assert {key: value.shape for key, value in model.output.items()} == {
        "boxes": (None, 3, 4), "scores": (None, 3), "classes": (None, 3), "num_detections": (None,)
    }  # fmt: skip
    for batch, size in ((1, (300, 500)), (3, (20, 30))):
        heads = random_heads(batch, 6, 2)
        found, expected = (
            model([*heads, images_of(size, batch)]),
            Detections(CANVAS, most=3)(*heads, images_of(size, batch)),
        )
        assert {key: value.dtype.name for key, value in found.items()} == {
            "boxes": "float32", "scores": "float32", "classes": "int32", "num_detections": "int32"
        }  # fmt: skip
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"most": 0}, "most: 0 is not a positive integer"),
        ({"score_threshold": 1}, "score_threshold: 1 is not from 0 to below 1"),
        ({"nms_iou": 0.0}, "nms_iou: 0.0 is not above 0 to 1"),
    ],
)
def test_bad_arguments_are_told(options, words):
    with pytest.raises(ModelError, match=words):
        Detections(CANVAS, **options)
