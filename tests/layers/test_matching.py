"""Which object an anchor or region stands for, and which of them are drawn."""

from __future__ import annotations

import detector_reference as reference
import keras_cv
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.layers.matching import IGNORED, NEGATIVE, POSITIVE, ObjectMatcher, sample

CASES = [((0.3, 0.6), 1), ((0.5, 0.5), 0)]  # of anchors, and of regions
MATCHERS = {(pair, force): ObjectMatcher(*pair, match_every_object=bool(force)) for pair, force in CASES}


def random_scene(seed, batch=2, objects=3):
    """Anchors, objects beside some of them, and padding between the objects."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (20, 2))
    anchors = np.concatenate([corner, corner + rng.uniform(4, 30, (20, 2))], axis=1)
    boxes = anchors[rng.integers(0, 20, (batch, objects))] + rng.normal(0, 4, (batch, objects, 4))
    boxes[..., 2:] = np.maximum(boxes[..., 2:], boxes[..., :2] + 1)
    classes = rng.integers(-1, 3, (batch, objects)).astype("int32")
    boxes[classes == -1] = 0
    return anchors.astype("float32"), boxes.astype("float32"), classes


def assert_same_matches(found, anchors, boxes, classes, thresholds, force):
    for image, (own, labels) in enumerate(zip(boxes, classes, strict=True)):
        each = anchors if anchors.ndim == 2 else anchors[image]
        kind, column = reference.match(each, own, labels >= 0, *thresholds, force)
        assert found.kind[image].numpy().tolist() == kind.tolist()
        positive = kind == POSITIVE
        assert found.column[image].numpy()[positive].tolist() == column[positive].tolist()
        np.testing.assert_array_equal(found.boxes[image].numpy()[positive], own[column[positive]])
        np.testing.assert_array_equal(found.classes[image].numpy()[positive], labels[column[positive]])


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(CASES))
def test_matches_are_those_of_plain_loops(seed, case):
    anchors, boxes, classes = random_scene(seed)
    assert_same_matches(MATCHERS[case](anchors, boxes, classes), anchors, boxes, classes, *case)
    regions = np.stack([anchors[:9], anchors[9:18]])  # of each image its own
    assert_same_matches(MATCHERS[case](regions, boxes, classes), regions, boxes, classes, *case)


@pytest.mark.parametrize("seed", range(5))
def test_without_padding_and_far_objects_it_is_the_matcher_of_keras_cv(seed):
    anchors, boxes, classes = random_scene(seed)
    classes = np.maximum(classes, 0)
    boxes = np.where(boxes.any(axis=-1, keepdims=True), boxes, anchors[:2, None])
    matcher = keras_cv.layers.BoxMatcher([0.3, 0.6], [NEGATIVE, IGNORED, POSITIVE], force_match_for_each_col=True)
    column, kind = matcher(keras_cv.bounding_box.compute_iou(anchors, boxes, bounding_box_format="xyxy"))
    found = MATCHERS[(0.3, 0.6), 1](anchors, boxes, classes)
    # That one makes the first box positive whatever it meets: it pads the objects by one that takes any box.
    kind, column = (np.asarray(each)[:, 1:] for each in (kind, column))
    np.testing.assert_array_equal(found.kind[:, 1:], kind)
    np.testing.assert_array_equal(found.column.numpy()[:, 1:][kind == POSITIVE], column[kind == POSITIVE])


def test_matches_by_hand():
    """IoU of the boxes with the object: 1, 0.6, 0.5, 0.3, 0.29, 0."""
    boxes = np.array([[0, 0, 10, 10 * share] for share in (1, 0.6, 0.5, 0.3, 0.29)] + [[50, 50, 60, 60]], "float32")
    truth, classes = np.array([[[0, 0, 10, 10]]], "float32"), np.array([[2]])
    assert ObjectMatcher(0.3, 0.6)(boxes, truth, classes).kind.numpy().tolist() == [[1, 1, -1, -1, 0, 0]]


def test_every_object_has_its_best_box_however_small_the_overlap():
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], "float32")
    truth = np.array([[[28, 8, 60, 40], [0, 0, 10, 10], [90, 90, 99, 99], [0, 0, 0, 0]]], "float32")
    classes = np.array([[0, 1, 2, -1]])
    found = ObjectMatcher(0.3, 0.7, match_every_object=True)(boxes, truth, classes)
    assert found.kind.numpy().tolist() == [[1, 0, 1]]  # the last: 10 x 2 pixels, the second only 2 x 2
    assert found.column.numpy()[0, [0, 2]].tolist() == [1, 0]
    assert ObjectMatcher(0.3, 0.7)(boxes, truth, classes).kind.numpy().tolist() == [[1, 0, 0]]


def test_two_objects_that_want_one_box():
    """The first has it, as KerasCV's matcher does it."""
    boxes = np.array([[0, 0, 10, 10], [70, 70, 80, 80]], "float32")
    truth = np.array([[[0, 0, 10, 12], [0, 0, 10, 10]]], "float32")
    found = ObjectMatcher(0.3, 0.7, match_every_object=True)(boxes, truth, np.array([[4, 5]]))
    assert found.kind.numpy().tolist() == [[1, 0]]
    assert int(found.classes[0, 0]) == 4


@pytest.mark.parametrize("objects", [0, 1, 8, 9])
def test_images_without_objects_have_background_alone(objects):
    anchors = random_scene(0)[0]
    anchors[0] = 0  # padding among the regions
    found = MATCHERS[(0.3, 0.6), 1](anchors, np.zeros((2, objects, 4), "float32"), np.full((2, objects), -1))
    assert not found.kind.numpy().any()


def test_one_image_without_objects_beside_one_with():
    anchors, boxes, classes = random_scene(3)
    boxes[0], classes[0] = 0, -1
    found = MATCHERS[(0.3, 0.6), 1](anchors, boxes, classes)
    assert not found.kind[0].numpy().any()
    assert (found.kind[1].numpy() == POSITIVE).any()


def chosen_of(kind, count, share, seed=(0, 1)):
    rows, chosen = (np.asarray(each) for each in sample(tf.constant(kind, tf.int32), count, share, seed))
    assert all(len(set(own)) == len(own) for own in rows.tolist())
    return [own[taken].tolist() for own, taken in zip(rows, chosen, strict=True)]


@given(st.lists(st.sampled_from([POSITIVE, NEGATIVE, IGNORED]), max_size=30), st.integers(1, 40), st.floats(0.05, 1))
def test_as_many_positives_as_their_share_allows_then_negatives(kind, count, share):
    kind = np.array(kind, "int32")
    positives, negatives = (kind == POSITIVE).sum(), (kind == NEGATIVE).sum()
    (rows,) = chosen_of(kind[None], count, share)
    drawn = kind[rows]
    most = max(1, int(min(count, len(kind)) * share + 1e-3))
    assert (drawn != IGNORED).all()
    assert (drawn == POSITIVE).sum() == min(positives, most)
    assert (drawn == NEGATIVE).sum() == min(negatives, min(count, len(kind)) - min(positives, most))
    assert drawn.tolist() == sorted(drawn, reverse=True)


def test_draws_follow_the_seed_and_differ_between_images():
    kind = np.zeros((2, 200), "int32")
    kind[:, :50] = POSITIVE
    first, other = chosen_of(kind, 40, 0.5)
    assert first != other
    assert chosen_of(kind, 40, 0.5) == [first, other]
    assert chosen_of(kind, 40, 0.5, seed=(0, 2)) != [first, other]


def test_every_box_is_drawn_as_often():
    kind = np.zeros((400, 20), "int32")
    kind[:, :8] = POSITIVE
    counts = np.bincount(np.concatenate(chosen_of(kind, 8, 0.5)), minlength=20) / 400
    np.testing.assert_allclose(counts, [4 / 8] * 8 + [4 / 12] * 12, atol=0.12)


@pytest.mark.parametrize("seed", range(3))
def test_the_crowd_of_a_box_is_how_many_stand_for_its_object(seed):
    found = MATCHERS[(0.3, 0.6), 1](*random_scene(seed))
    kind, column = found.kind.numpy(), found.column.numpy()
    for image, row in np.ndindex(*kind.shape):
        same = ((kind[image] == POSITIVE) & (column[image] == column[image, row])).sum()
        assert found.crowd[image, row] == (same if kind[image, row] == POSITIVE else 1)


def test_an_object_of_few_boxes_is_drawn_as_often_as_one_of_many():
    kind = np.ones((500, 40), "int32")
    crowd = np.where(np.arange(40) < 2, 2.0, 38.0) * np.ones((500, 1))
    rows, _ = sample(tf.constant(kind), 1, 1.0, (0, 1), tf.constant(crowd, tf.float32))
    assert abs((rows.numpy() < 2).mean() - 0.5) < 0.08  # four deviations of a fair coin are 0.09
