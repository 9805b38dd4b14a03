"""Grad-CAM of a detection: the planted place in the box, in pixels of the image, and the score shared out."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from made_planted import planted_detector, planted_sample

from tumorkeras import explain
from tumorkeras.boxes import letterbox
from tumorkeras.errors import DataError, ModelError
from tumorkeras.explain import detection_maps
from tumorkeras.models import build_classifier

BOX = [16, 20, 76, 60]  # xyxy in an image of 80 x 96


@pytest.fixture(scope="module", params=["level", "volume"])
def detector(request):
    return planted_detector(request.param)


@pytest.fixture(scope="module")
def image():
    """Two blocks in the box, larger than a cell of any level, and one outside it that the head does not read."""
    sample, (bright, dark) = planted_sample(2, (24, 20), (50, 64), sides=(80, 96))
    pixels = np.kron(sample[0, ::2, ::2, 0], np.ones((2, 2)))[..., None]
    pixels[72:80, 24:40] = 1.0
    return pixels, bright, dark


def near(mask, by):
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    grown = np.zeros_like(mask)
    grown[max(0, rows[0] - by) : rows[-1] + by + 1, max(0, columns[0] - by) : columns[-1] + by + 1] = True
    return grown


def test_the_planted_place_in_the_box_speaks_for_its_class(detector, image):
    pixels, *masks = image
    for class_id, mask in enumerate(masks):
        found = explain.grad_cam_detection(detector, pixels, BOX, class_id)
        assert (found.shape, found.dtype) == ((80, 96), np.float32)
        assert (found.min(), found.max()) == (0, 1)
        assert near(mask, 6)[np.unravel_index(found.argmax(), found.shape)]  # half a cell of 8 pixels of the canvas
        assert found[near(mask, 12)].sum() > 0.95 * found.sum()
        assert not found[70:].any()  # the block that is not in the box


def test_a_detection_is_its_box_and_class(detector, image):
    pixels, _, _ = image
    found = {name: value.numpy()[0] for name, value in detector(pixels[None].astype("float32")).items()}
    assert found["num_detections"] > 2
    for number in range(3):
        own = explain.grad_cam_detection(detector, pixels, number)
        assert own.any()
        expected = explain.grad_cam_detection(detector, pixels, found["boxes"][number], int(found["classes"][number]))
        np.testing.assert_array_equal(own, expected)


def test_a_box_has_the_class_that_is_read_in_it(detector, image):
    pixels, _, dark = image
    rows, columns = (np.flatnonzero(dark.any(axis=axis)) for axis in (1, 0))
    box = [columns[0] - 8, rows[0] - 8, columns[-1] + 9, rows[-1] + 9]
    found = explain.grad_cam_detection(detector, pixels, box)
    assert found.any()
    np.testing.assert_array_equal(found, explain.grad_cam_detection(detector, pixels, box, class_id=1))


def test_the_shares_of_all_cells_are_the_score(detector, image):
    """Without biases the network behind the pyramid is linear where it is: values times slopes add up to the score."""
    pixels, _, _ = image
    canvas = detector.get_layer("letterbox")(pixels[None].astype("float32"))
    box = np.array([[[10.0, 14.0, 50.0, 40.0]]], "float32")
    *levels, _ = detector.get_layer("roi_align").input
    values = keras.Model(detector.inputs[0], levels)(canvas)
    scores = detector.get_layer("region_head")(detector.get_layer("roi_align")(values, box))["logits"].numpy()[0]
    made = detection_maps._compile(detector)
    for class_id in (0, 1):
        shares = made.call(canvas, box, class_id)
        assert [share.shape for share in shares] == [value.shape[:-1] for value in values]
        np.testing.assert_allclose(sum(share.numpy().sum() for share in shares), scores[class_id], rtol=1e-4)
        assert scores[class_id] > 0.1


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (40, 80)])
def test_a_share_is_as_much_whatever_the_size_of_its_cell(size):
    levels = [np.zeros((1, side, side), "float32") for side in (16, 8)]
    fine, coarse = levels
    placed = letterbox(size, (64, 64))
    for level, stride in zip(levels, (4, 8), strict=True):
        level[0, 32 // stride, 32 // stride] = 1.0
    maps = [detection_maps._upon_image([level], [stride], placed)[0] for level, stride in ((fine, 4), (coarse, 8))]
    for found, stride in zip(maps, (4, 8), strict=True):
        np.testing.assert_allclose(found.sum() * placed.scale**2, 1, rtol=0.05)
        gravity = np.array([(places * found).sum() / found.sum() for places in np.indices(size)])
        middle = (32 + stride / 2 - np.array([placed.top, placed.left])) / placed.scale - 0.5
        np.testing.assert_allclose(gravity, middle, atol=0.2)
    np.testing.assert_allclose(detection_maps._upon_image(levels, [4, 8], placed)[0], sum(maps), atol=1e-6)


def test_the_map_of_an_image_of_the_canvas_is_in_its_pixels(detector):
    """A cell's share reaches as far as the middles of its neighbours, and no pixel is moved."""
    pixels = np.zeros((64, 64, 1))
    pixels[24:40, 32:48] = 1.0
    found = explain.grad_cam_detection(detector, pixels, [8, 8, 56, 56], 0)
    gravity = [(places * found).sum() / found.sum() for places in np.indices(found.shape)]
    np.testing.assert_allclose(gravity, [31.5, 39.5], atol=4)
    assert found[16:48, 24:56].sum() > 0.95 * found.sum()


def test_proposals_from_outside(image):
    detector = planted_detector(proposals="external")
    pixels = np.round((image[0] + 1) * 100)
    found = explain.grad_cam_detection(detector, pixels, 0)
    assert found.shape == (80, 96)
    assert found.any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"detection": 1000}, "detection: 1000 asked for, the detector finds [0-9]+ in the image"),
        ({"detection": -1}, "detection: -1 is not an integer of 0 or more or a box"),
        ({"detection": [30, 30, 30, 50]}, "with area in the image of 96 x 80"),
        ({"detection": [200, 30, 300, 50]}, "with area in the image of 96 x 80"),
        ({"detection": [0, 0, np.nan, 50]}, "detection: "),
        ({"detection": "first"}, "detection: 'first'"),
        ({"class_id": 2}, "class_id: 2 is neither None nor an integer from 0 to 1"),
        ({"image": np.zeros((80, 96))}, r"image: shape \(80, 96\) of float64, expected numbers \(height, width, 1\)"),
        ({"image": np.zeros((80, 96, 3))}, r"image: shape \(80, 96, 3\)"),
        ({"image": np.zeros((0, 96, 1))}, r"image: shape \(0, 96, 1\)"),
        ({"image": np.full((2, 3, 1), np.nan)}, "image: holds 6 values that are NaN"),
    ],
)
def test_what_does_not_fit_is_refused(detector, image, arguments, words):
    with pytest.raises(DataError, match=f"grad_cam_detection: {words}|{words}"):
        explain.grad_cam_detection(**{"detector": detector, "image": image[0], **arguments})


def test_a_classifier_is_no_detector():
    model = build_classifier((8, 8, 1), 2, filters=(2,), dense=(2,))
    with pytest.raises(ModelError, match="is not a detector; grad_cam explains a classifier"):
        explain.grad_cam_detection(model, np.zeros((8, 8, 1)))
