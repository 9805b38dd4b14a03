"""Boxes: hand-worked values, the letterbox held to that of the pixels, IoU held to pycocotools."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tumorkeras import boxes
from tumorkeras.data import canvas as canvases
from tumorkeras.errors import DataError

SIZE = (480, 640)
COORDINATES = st.floats(-700, 700, width=32)
SIDES = st.integers(1, 300)


@st.composite
def many_boxes(draw):
    """Boxes xyxy (n, 4) with positive sides."""
    shape = (draw(st.integers(0, 5)), 2)
    corners = draw(arrays("float32", shape, elements=st.floats(-50, 600, width=32)))
    sides = draw(arrays("float32", shape, elements=st.floats(0.25, 300, width=32)))
    return np.concatenate([corners, corners + sides], axis=-1)


# ----------------------------------------------------------------------------------------------------------- convert


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("xyxy", [64, 120, 320, 240]),
        ("yxyx", [120, 64, 240, 320]),
        ("xywh", [64, 120, 256, 120]),
        ("center_xywh", [192, 180, 256, 120]),
        ("rel_xyxy", [0.1, 0.25, 0.5, 0.5]),
        ("rel_yxyx", [0.25, 0.1, 0.5, 0.5]),
        ("rel_xywh", [0.1, 0.25, 0.4, 0.25]),
        ("rel_center_xywh", [0.3, 0.375, 0.4, 0.25]),
    ],
)
def test_one_box_in_every_format(name, expected):
    found = boxes.convert([[64, 120, 320, 240]], "xyxy", name, SIZE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    np.testing.assert_allclose(boxes.convert(found, name, "xyxy", SIZE), [[64, 120, 320, 240]], rtol=1e-6)


@given(many_boxes(), st.sampled_from(boxes.BOX_FORMATS), st.sampled_from(boxes.BOX_FORMATS))
def test_there_and_back(values, first, second):
    given_boxes = boxes.convert(values, "xyxy", first, SIZE)
    back = boxes.convert(boxes.convert(given_boxes, first, second, SIZE), second, first, SIZE)
    scale = 1 if first.startswith("rel_") else 640
    np.testing.assert_allclose(back, given_boxes, atol=1e-6 * scale)


def test_each_box_with_the_size_of_its_own_image():
    shares = np.array([[0, 0, 0.5, 1], [0, 0, 0.5, 1]])
    found = boxes.convert(shares, "rel_xyxy", "xyxy", [(10, 20), (100, 200)])
    assert found.tolist() == [[0, 0, 10, 10], [0, 0, 100, 100]]


@pytest.mark.parametrize("shape", [(0, 4), (3, 4), (2, 3, 4), (4,), (2, 0, 4)])
def test_shapes_are_kept(shape):
    values = np.zeros(shape)
    assert boxes.convert(values, "xywh", "center_xywh").shape == shape
    assert boxes.clip(values, SIZE).shape == shape
    assert boxes.area(values).shape == shape[:-1]
    assert boxes.letterbox((4, 8), (8, 8)).apply(values).shape == shape


def test_an_empty_list_is_no_boxes():
    assert boxes.convert([], "xywh", "xyxy").shape == (0, 4)
    assert boxes.area([]).shape == (0,)
    assert boxes.iou([], [[0, 0, 1, 1]]).shape == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (([[0, 0, 1, 1]], "xyxy", "corners"), "'corners' is no format of boxes; there are xyxy, yxyx"),
        (([[0, 0, 1, 1]], "rel_xyxy", "xywh"), "needs size=(height, width)"),
        (([[0, 0, 1]], "xyxy", "xywh"), "have shape (1, 3), expected (..., 4)"),
        ((3, "xyxy", "xywh"), "have shape (), expected (..., 4)"),
    ],
)
def test_what_cannot_be_converted(arguments, fault):
    with pytest.raises(DataError) as caught:
        boxes.convert(*arguments)
    assert fault in str(caught.value)


# -------------------------------------------------------------------------------------------------- area, clip, overlap


def test_area_and_clip_of_odd_boxes():
    odd = [[5, 5, 5, 9], [9, 9, 5, 5], [-4, -4, 4, 4], [700, 10, 800, 20]]
    assert boxes.area(odd).tolist() == [0, 0, 64, 1000]
    assert boxes.clip(odd, SIZE)[2:].tolist() == [[0, 0, 4, 4], [640, 10, 640, 20]]


@given(arrays("float32", st.tuples(st.integers(0, 6), st.just(4)), elements=COORDINATES))
def test_clipping_twice_is_clipping_once(values):
    once = boxes.clip(values, SIZE)
    assert (once >= 0).all()
    assert (once <= [640, 480, 640, 480]).all()
    np.testing.assert_array_equal(boxes.clip(once, SIZE), once)


def test_overlap_by_hand():
    first = [[0, 0, 4, 4]]
    second = [[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [0, 0, 4, 2], [10, 10, 20, 20]]
    np.testing.assert_allclose(boxes.iou(first, second), [[1, 4 / 28, 0, 0.5, 0]], rtol=1e-6)


def test_boxes_without_area_overlap_with_nothing():
    assert boxes.iou([[1, 1, 1, 1], [3, 3, 2, 2]], [[0, 0, 4, 4], [1, 1, 1, 1]]).tolist() == [[0, 0], [0, 0]]


@given(many_boxes(), many_boxes())
def test_overlap_is_symmetric_and_bounded(first, second):
    found = boxes.iou(first, second)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(found, boxes.iou(second, first).T)
    np.testing.assert_allclose(np.diag(boxes.iou(first, first)), np.ones(len(first)), rtol=1e-5)


@given(many_boxes(), many_boxes())
def test_overlap_is_that_of_pycocotools(first, second):
    mask = pytest.importorskip("pycocotools.mask")
    if not len(first) or not len(second):
        return
    sides = [boxes.convert(each, "xyxy", "xywh").astype("float64") for each in (first, second)]
    np.testing.assert_allclose(boxes.iou(first, second), mask.iou(*sides, [0] * len(second)), atol=1e-4)


def test_overlap_in_a_batch():
    batch = np.array([[[0, 0, 4, 4]], [[0, 0, 2, 2]]])
    others = np.array([[[0, 0, 4, 2], [0, 0, 1, 1]], [[0, 0, 2, 2], [8, 8, 9, 9]]])
    assert boxes.iou(batch, others).tolist() == [[[0.5, 0.0625]], [[1, 0]]]


# ------------------------------------------------------------------------------------------------------------------ pad


def test_padding_is_box_0_and_class_minus_1():
    padded, ids = boxes.pad([[[1, 2, 3, 4], [5, 6, 7, 8]], [], [[9, 9, 10, 10]]], [[1, 0], [], [2]])
    assert (padded.shape, padded.dtype, ids.dtype) == ((3, 2, 4), np.float32, np.int32)
    assert ids.tolist() == [[1, 0], [-1, -1], [2, -1]]
    assert not padded[1].any()
    assert not padded[2, 1].any()
    assert padded[0, 1].tolist() == [5, 6, 7, 8]


def test_padding_of_nothing():
    padded, ids = boxes.pad([], [])
    assert (padded.shape, ids.shape) == ((0, 0, 4), (0, 0))
    assert boxes.pad([[]], [[]], most=3)[0].shape == (1, 3, 4)


def test_no_box_is_dropped_in_silence():
    with pytest.raises(DataError) as caught:
        boxes.pad([np.zeros((3, 4)), np.zeros((1, 4))], [[0, 0, 0], []], most=2)
    assert caught.value.faults == ["image 1 has 1 boxes and 0 classes", "image 0 has 3 boxes, the batch holds 2"]
    with pytest.raises(DataError, match="of 1 images, but classes of 2"):
        boxes.pad([[]], [[], []])


# ------------------------------------------------------------------------------------------------------------ letterbox


@pytest.mark.parametrize(
    ("size", "canvas", "expected"),
    [
        ((4, 8), (8, 8), (1.0, 2, 0, 4, 8)),
        ((100, 200), (64, 64), (0.32, 16, 0, 32, 64)),
        ((200, 100), (64, 64), (0.32, 0, 16, 64, 32)),
        ((3, 7), (10, 10), (10 / 7, 3, 0, 4, 10)),
        ((1, 1000), (10, 10), (0.01, 4, 0, 1, 10)),
        ((8, 5), (4, 4), (0.5, 0, 0, 4, 3)),  # 2.5 pixels: up, as 3.5 are
        ((8, 7), (4, 4), (0.5, 0, 0, 4, 4)),
        ((np.int16(30000), np.int16(20000)), (300, 300), (0.01, 0, 50, 300, 200)),
    ],
)
def test_where_an_image_lies(size, canvas, expected):
    placed = boxes.letterbox(size, canvas)
    found = (placed.scale, placed.top, placed.left, placed.height, placed.width)
    assert found == pytest.approx(expected)


@given(*[st.integers(1, 2**20)] * 2, *[st.integers(1, 4096)] * 2)
def test_sides_are_scaled_alike_and_half_a_pixel_is_rounded_up(height, width, down, across):
    placed = boxes.letterbox((height, width), (down, across))
    scale = min(Fraction(down, height), Fraction(across, width))
    assert (placed.height, placed.width) == tuple(
        max(1, floor(side * scale + Fraction(1, 2))) for side in (height, width)
    )
    assert (placed.top, placed.left) == ((down - placed.height) // 2, (across - placed.width) // 2)


@given(SIDES, SIDES, st.integers(1, 80), st.integers(1, 80))
def test_the_letterbox_is_that_of_the_pixels(height, width, down, across):
    """White pixels, on the black of the canvas, fill the box of the whole image and nothing else."""
    canvas = canvases.letterbox(np.full((height, width, 1), 255, "uint8"), down, across)
    rows, columns = np.nonzero(canvas[..., 0])
    filled = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    placed = boxes.letterbox((height, width), (down, across))
    np.testing.assert_allclose(placed.apply([0, 0, width, height]), filled, rtol=1e-6)


@given(SIDES, SIDES, SIDES, SIDES, many_boxes())
def test_apply_and_invert(height, width, down, across, values):
    placed = boxes.letterbox((height, width), (down, across))
    back = placed.invert(placed.apply(values))
    # A coordinate on the canvas has 24 bits, so that a small image on it is less finely told.
    step = 600 * max(1.0, width / placed.width, height / placed.height)
    np.testing.assert_allclose(back, values, atol=1e-5 * step)


def test_a_canvas_without_a_side_is_refused():
    with pytest.raises(DataError, match=r"canvas \(0, 8\) has a side that is not positive"):
        boxes.letterbox((4, 8), (0, 8))
