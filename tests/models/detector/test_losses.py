"""The four losses against plain NumPy, and what they do not look at."""

from __future__ import annotations

import detector_reference as reference
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.errors import ModelError
from tumorkeras.models.detector import TrainingSettings
from tumorkeras.models.detector.losses import proposal_losses, region_losses, sample_regions, smooth_l1

EVERYTHING = TrainingSettings(
    rpn_samples=10_000, rpn_positive_share=1.0, region_samples=10_000, region_positive_share=1.0
)  # no draw: every anchor and region that stands for something
SEED = tf.constant([0, 1], tf.int64)
BOXES = np.array([[[4, 4, 20, 16], [30, 10, 50, 40], [0, 0, 0, 0]], [[0] * 4] * 3], "float32")
CLASSES = np.array([[1, 0, -1], [-1, -1, -1]], "int32")
SPREAD = (0.1, 0.1, 0.2, 0.2)


def anchors_and_heads():
    shapes = [np.array([[12.0, 12.0], [24.0, 24.0]])]
    anchors = reference.placed_anchors([8], shapes, (48, 64)).astype("float32")
    rng = np.random.default_rng(0)
    logits, deltas = rng.normal(0, 3, (2, len(anchors))), rng.normal(0, 0.3, (2, len(anchors), 4))
    return anchors, logits.astype("float32"), deltas.astype("float32")


def plain_smooth_l1(difference, beta):
    size = np.abs(difference)
    return np.where(size < beta, size**2 / (2 * beta), size - beta / 2)


@given(st.floats(-5, 5), st.sampled_from([1.0, 1 / 9]))
def test_smooth_l1(value, beta):
    found = float(smooth_l1(tf.constant(value, tf.float32), beta))
    assert found == pytest.approx(float(plain_smooth_l1(value, beta)), abs=1e-5)


def test_losses_of_proposals_are_those_of_plain_loops():
    anchors, logits, deltas = anchors_and_heads()
    found = proposal_losses(logits, deltas, anchors, BOXES, CLASSES, EVERYTHING, SEED)
    objectness, shifts, count = 0.0, 0.0, 0
    for image in range(2):
        kind, column = reference.match(anchors, BOXES[image], CLASSES[image] >= 0, 0.3, 0.6, True)
        assert (kind == 1).any() == (image == 0)
        for row in np.nonzero(kind >= 0)[0]:
            chance = 1 / (1 + np.exp(-float(logits[image, row])))
            objectness -= np.log(chance if kind[row] else 1 - chance)
            count += 1
            if kind[row]:
                wanted = reference.encode(BOXES[image, column[row]], anchors[row])
                shifts += plain_smooth_l1(deltas[image, row] - wanted, 1 / 9).sum()
    assert list(found) == ["rpn_objectness_loss", "rpn_box_loss"]
    np.testing.assert_allclose(list(found.values()), [objectness / count, shifts / count], rtol=1e-4)


def test_losses_of_regions_are_those_of_plain_loops():
    rng = np.random.default_rng(1)
    proposals = np.concatenate([BOXES[:, :2] + rng.normal(0, 2, (2, 2, 4)), np.zeros((2, 1, 4))], axis=1)
    proposals[1, 0] = [3, 3, 9, 9]
    proposals = proposals.astype("float32")
    regions = sample_regions(proposals, BOXES, CLASSES, EVERYTHING, SEED)
    rows = regions.boxes.shape[0] * regions.boxes.shape[1]
    logits, deltas = rng.normal(size=(rows, 3)).astype("float32"), rng.normal(size=(rows, 4)).astype("float32")
    found = region_losses(logits, deltas, regions)
    classification, shifts, count = 0.0, 0.0, 0
    for row, (box, chosen) in enumerate(zip(regions.boxes.numpy().reshape(-1, 4), regions.chosen.numpy().ravel(),
                                            strict=True)):  # fmt: skip
        image = row // regions.boxes.shape[1]
        if not chosen:
            continue
        assert box.any()
        kind, column = reference.match(box[None], BOXES[image], CLASSES[image] >= 0, 0.5, 0.5, False)
        label = CLASSES[image, column[0]] if kind[0] else 2
        classification -= np.log(np.exp(logits[row, label]) / np.exp(logits[row]).sum())
        count += 1
        if kind[0]:
            wanted = reference.encode(BOXES[image, column[0]], box, SPREAD)
            shifts += plain_smooth_l1(deltas[row] - wanted, 1.0).sum()
    assert count == 2 + 2 + 2  # two objects, two proposals beside them, two proposals without an object
    assert list(found) == ["region_class_loss", "region_box_loss"]
    np.testing.assert_allclose(list(found.values()), [classification / count, shifts / count], rtol=1e-4)


def test_perfect_heads_have_no_loss():
    anchors, logits, deltas = anchors_and_heads()
    for image in range(2):
        kind, column = reference.match(anchors, BOXES[image], CLASSES[image] >= 0, 0.3, 0.6, True)
        logits[image] = np.where(kind == 1, 50, np.where(kind == 0, -50, 0))
        for row in np.nonzero(kind == 1)[0]:
            deltas[image, row] = reference.encode(BOXES[image, column[row]], anchors[row])
    found = proposal_losses(logits, deltas, anchors, BOXES, CLASSES, EVERYTHING, SEED)
    np.testing.assert_allclose(list(found.values()), [0, 0], atol=1e-5)


def test_objects_are_among_the_regions():
    regions = sample_regions(np.zeros((2, 4, 4), "float32"), BOXES, CLASSES, EVERYTHING, SEED)
    chosen = [own[taken] for own, taken in zip(regions.boxes.numpy(), regions.chosen.numpy(), strict=True)]
    assert sorted(chosen[0].tolist()) == BOXES[0, :2].tolist()
    assert len(chosen[1]) == 0


def test_padding_does_not_reach_the_heads_normalisation():
    """Each place that no region is chosen for shows a chosen one again, among the objects first."""
    regions = sample_regions(np.zeros((2, 6, 4), "float32"), BOXES, CLASSES, EVERYTHING, SEED)
    assert not regions.chosen.numpy()[0, 2:].any()
    assert np.unique(regions.boxes.numpy()[0], axis=0).tolist() == sorted(BOXES[0, :2].tolist())
    assert (regions.matches.kind.numpy()[0] == 1).all()


def test_without_a_region_there_is_no_loss():
    regions = sample_regions(np.zeros((2, 0, 4), "float32"), np.zeros((2, 0, 4), "float32"),
                             np.zeros((2, 0), "int32"), TrainingSettings(), SEED)  # fmt: skip
    found = region_losses(tf.zeros((0, 3)), tf.zeros((0, 4)), regions)
    assert [float(value) for value in found.values()] == [0.0, 0.0]


def test_no_gradient_reaches_the_boxes():
    proposals = tf.constant(BOXES[:, :2] + 1.0)
    with tf.GradientTape() as tape:
        tape.watch(proposals)
        regions = sample_regions(proposals, BOXES, CLASSES, EVERYTHING, SEED)
        rows = regions.boxes.shape[0] * regions.boxes.shape[1]
        losses = region_losses(tf.zeros((rows, 3)), tf.zeros((rows, 4)), regions)
        total = tf.add_n(list(losses.values()))
    assert tape.gradient(total, proposals) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rpn_samples": 0}, "rpn_samples: 0 is not a positive integer"),
        ({"region_samples": 1.5}, "region_samples: 1.5"),
        ({"rpn_positive_share": 0}, "rpn_positive_share: 0 is not above 0 to 1"),
        ({"region_positive_iou": 1.2}, "region_positive_iou: 1.2"),
        ({"rpn_negative_iou": 0.7}, "rpn_negative_iou: 0.7 is above rpn_positive_iou, 0.6"),
    ],
)
def test_bad_settings_are_told(values, words):
    with pytest.raises(ModelError, match=words):
        TrainingSettings(**values)
