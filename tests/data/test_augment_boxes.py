"""Augmentation of images with boxes: painted rectangles stay where their boxes say, whatever was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.data.augment_boxes import EVERY, LEAST_LEFT, augment_boxes

CANVAS = (48, 64)
GEOMETRY = [("flip",), ("rotate",), ("crop",), ("flip", "rotate"), ("flip", "rotate", "crop"), EVERY]


def seed(number):
    return tf.constant([3, number], tf.int64)


def planted(count, canvas=CANVAS, generator=None):
    """Images with one bright rectangle each, on a canvas that the image fills."""
    generator = generator or np.random.default_rng(0)
    height, width = canvas
    left, top = generator.integers(0, width - 20, count), generator.integers(0, height - 20, count)
    right, bottom = left + generator.integers(6, 20, count), top + generator.integers(6, 20, count)
    boxes = np.stack([left, top, right, bottom], axis=-1).astype("float32")
    images = np.zeros((count, height, width, 1), "float32")
    for image, (x0, y0, x1, y1) in zip(images, boxes.astype(int), strict=True):
        image[y0:y1, x0:x1] = 200
    return images, boxes


def changed(images, boxes, kinds, number=0, classes=None, areas=None):
    count, height, width, _ = images.shape
    boxes = boxes if boxes.ndim == 3 else boxes[:, None]
    classes = np.zeros(boxes.shape[:2], "int64") if classes is None else classes
    areas = np.tile(np.float32([0, 0, width, height]), (count, 1)) if areas is None else areas
    found = augment_boxes(*map(tf.constant, (images, boxes, classes, areas)), kinds, seed(number))
    return tuple(part.numpy() for part in found)


def painted(image, threshold):
    """Bounding box of what is bright; None where nothing is."""
    down, across = np.nonzero(image[..., 0] > threshold)
    return (across.min(), down.min(), across.max() + 1, down.max() + 1) if down.size else None


@pytest.mark.parametrize("canvas", [(48, 64), (64, 48), (56, 56)])
@pytest.mark.parametrize("kinds", [*[(kind,) for kind in EVERY], *GEOMETRY[3:]])
def test_the_painted_rectangle_lies_in_its_box(canvas, kinds):
    images, boxes = planted(96, canvas)
    moved, found, classes = changed(images, boxes, kinds)
    assert moved.shape == images.shape
    kept = 0
    for image, box, label in zip(moved, found[:, 0], classes[:, 0], strict=True):
        if label < 0:
            assert (box == 0).all()
            continue
        kept += 1
        np.testing.assert_allclose(painted(image, 80), box, atol=1)
    assert kept > 60


@pytest.mark.parametrize("kinds", [("flip",), ("rotate",), ("flip", "rotate")])
def test_mirrors_and_turns_of_a_square_move_whole_pixels(kinds):
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (64, 9, 9, 3)).astype("float32")
    boxes = np.tile(np.float32([1, 2, 4, 8]), (64, 1))
    images[:, 2:8, 1:4] += 1000
    moved, found, _ = changed(images, boxes, kinds)
    ways = [np.rot90(flipped, k) for k in range(4) for flipped in (images[0], images[0][:, ::-1])]
    expected = {"flip": [ways[0], ways[1]], "rotate": ways[::2], "flip,rotate": ways}[",".join(kinds)]
    assert sum(np.allclose(moved[0], way, atol=0.01) for way in expected) == 1
    for image, box in zip(moved, found[:, 0], strict=True):
        assert painted(image, 900) == pytest.approx(tuple(box), abs=1e-4)


def test_quarter_turns_scale_an_oblong_canvas_to_fit():
    """64 x 48 turned is 48 x 64, and fits at 48 / 64: nothing leaves, and a box of 8 x 16 becomes 12 x 6."""
    images, _ = planted(100)
    corners = np.tile(np.float32([[0, 0, 8, 16], [56, 32, 64, 48]]), (100, 1, 1))
    _, found, classes = changed(images, corners, ("rotate",))
    assert (classes == 0).all()
    sides = {tuple(side) for side in (found[..., 2:] - found[..., :2]).round(3).reshape(-1, 2).tolist()}
    assert sides == {(8, 16), (12, 6)}


def test_every_way_is_drawn_about_as_often():
    images = np.tile(np.arange(4, dtype="float32").reshape(1, 2, 2, 1), (800, 1, 1, 1))
    moved, _, _ = changed(images, np.zeros((800, 4), "float32"), ("flip", "rotate"))
    _, counts = np.unique(moved.round().reshape(800, 4), axis=0, return_counts=True)
    assert len(counts) == 8
    assert counts.min() > 60


def test_hand_worked_flip():
    image = np.zeros((1, 4, 6, 1), "float32")
    image[0, 1, 0] = 7
    draws = [changed(image, np.float32([[0, 1, 2, 3]]), ("flip",), number) for number in range(12)]
    moved, found, classes = next(draw for draw in draws if draw[0][0, 1, 5, 0])
    assert found.tolist() == [[[4, 1, 6, 3]]]
    assert classes.tolist() == [[0]]
    assert moved.sum() == 7


def test_objects_that_leave_are_dropped_and_padding_comes_last():
    images = np.zeros((200, *CANVAS, 1), "float32")
    corner, middle = [0, 0, 6, 6], [26, 18, 38, 30]
    boxes = np.tile(np.float32([corner, middle, [0, 0, 0, 0]]), (200, 1, 1))
    classes = np.tile(np.int64([1, 2, -1]), (200, 1))
    _, found, labels = changed(images, boxes, ("crop",), classes=classes)
    assert {tuple(row) for row in labels.tolist()} == {(1, 2, -1), (2, -1, -1)}
    assert (found[labels < 0] == 0).all()
    areas = (found[..., 2:] - found[..., :2]).prod(axis=-1)
    assert (areas[labels >= 0] > 0).all()
    assert (found >= 0).all()
    assert (found <= [64, 48, 64, 48]).all()


def test_a_kept_object_has_its_share_left():
    images, boxes = planted(300)
    boxes[:, :2], boxes[:, 2:] = 0, 10
    images[:] = 0
    images[:, :10, :10] = 200
    moved, _, labels = changed(images, boxes, ("crop",))
    # The scale is told by an object in the middle, which no crop loses.
    middle = np.tile(np.float32([28, 20, 36, 28]), (300, 1))
    _, seen, _ = changed(images, middle, ("crop",))
    scale = (seen[:, 0, 2] - seen[:, 0, 0]) / 8
    share = (moved > 100).sum(axis=(1, 2, 3)) / (100 * scale**2)
    kept = labels[:, 0] >= 0
    assert kept.any()
    assert not kept.all()
    assert share[kept].min() > LEAST_LEFT - 0.1
    assert share[~kept].max() < LEAST_LEFT + 0.1


def test_crops_stay_within_the_stated_scales():
    images, boxes = planted(300)
    boxes[:] = [28, 20, 36, 28]
    _, found, _ = changed(images, boxes, ("crop",))
    width, height = (found[:, 0, 2:] - found[:, 0, :2]).T / 8
    np.testing.assert_allclose(width, height, rtol=1e-4)
    assert 0.75 - 1e-4 <= width.min() < 0.8
    assert 1.4 < width.max() <= 1.5 + 1e-4


@pytest.mark.parametrize("low", [0.0, -1000.0])
@pytest.mark.parametrize("kind", ["intensity", "speckle"])
def test_grey_levels_change_within_the_range_and_boxes_do_not(kind, low):
    generator = np.random.default_rng(0)
    images = generator.uniform(low, 255, (50, 8, 8, 3)).astype("float32")
    boxes = np.tile(np.float32([1, 2, 4, 8]), (50, 1))
    moved, found, _ = changed(images, boxes, (kind,))
    assert (found[:, 0] == boxes).all()
    span = images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3))
    assert (moved.min(axis=(1, 2, 3)) >= images.min(axis=(1, 2, 3)) - 1e-3 * span).all()
    assert (moved.max(axis=(1, 2, 3)) <= images.max(axis=(1, 2, 3)) + 1e-3 * span).all()
    difference = np.abs(moved - images).mean(axis=(1, 2, 3)) / span
    assert 0.01 < np.median(difference) < 0.2


@pytest.mark.parametrize("kind", ["intensity", "speckle"])
def test_the_padding_of_the_letterbox_stays_black(kind):
    images = np.zeros((40, 8, 8, 1), "float32")
    images[:, 2:6] = np.random.default_rng(0).uniform(50, 200, (40, 4, 8, 1))
    areas = np.tile(np.float32([0, 2, 8, 6]), (40, 1))
    moved, _, _ = changed(images, np.zeros((40, 4), "float32"), (kind,), areas=areas)
    assert (moved[:, :2] == 0).all()
    assert (moved[:, 6:] == 0).all()
    assert (moved[:, 2:6] > 0).mean() > 0.9


def test_speckle_has_the_spread_of_rayleigh_noise():
    """Rayleigh noise of mean 1 has a standard deviation of sqrt(4 / pi - 1); the strength goes up to 0.3."""
    images = np.full((200, 40, 40, 2), 100, "float32")
    images[:, 0, 0], images[:, 0, 1] = 0, 1000  # room above and below
    moved, _, _ = changed(images, np.zeros((200, 4), "float32"), ("speckle",))
    noise = moved[:, 1:] / 100
    np.testing.assert_allclose(noise.mean(axis=(1, 2, 3)), 1, atol=0.02)
    assert noise.std(axis=(1, 2, 3)).max() == pytest.approx(0.3 * np.sqrt(4 / np.pi - 1), rel=0.05)
    assert (moved[..., 0] == moved[..., 1]).all()


def test_constant_images_and_images_without_objects_are_legal():
    images = np.full((3, 8, 8, 1), 5, "float32")
    moved, boxes, classes = changed(images, np.zeros((3, 0, 4), "float32"), EVERY)
    assert np.isfinite(moved).all()
    assert boxes.shape == (3, 0, 4)
    assert classes.shape == (3, 0)


@pytest.mark.parametrize("kinds", [(), *GEOMETRY])
def test_a_seed_gives_one_result(kinds):
    images, boxes = planted(8)
    for one, other in zip(changed(images, boxes, kinds, 5), changed(images, boxes, kinds, 5), strict=True):
        np.testing.assert_array_equal(one, other)
    same = np.array_equal(changed(images, boxes, kinds, 5)[0], changed(images, boxes, kinds, 6)[0])
    assert same == (not kinds)


def test_each_image_is_changed_in_its_own_way():
    images, boxes = planted(1)
    moved, found, _ = changed(np.repeat(images, 8, axis=0), np.repeat(boxes, 8, axis=0), EVERY)
    assert len({image.tobytes() for image in moved}) == 8
    assert len({box.tobytes() for box in found}) > 4
