"""Proposals beside the objects of samples: they go where the objects go, and are parted from them again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras import DataSpec, propose_regions
from tumorkeras.data.detection import detection_batches, detection_stream, load_detection
from tumorkeras.data.proposals.samples import on_canvas, padded, proposals_of, set_apart, with_proposals


@pytest.fixture(scope="module")
def samples():
    """Oblong images on a square canvas, some without an object."""
    source = {"kind": "phantoms", "samples": 8, "seed": 5}
    made = load_detection(DataSpec.from_dict({"name": "a", "source": source, "input": {"shape": [64, 64, 1]}}))
    return replace(made, sizes=np.tile([48, 64], (8, 1)))


@pytest.fixture(scope="module")
def proposals(samples):
    return proposals_of(samples, 12)


def test_they_are_those_of_each_image(samples, proposals):
    assert len(proposals) == len(samples)
    for sample, own in enumerate(proposals):
        np.testing.assert_array_equal(own, propose_regions(samples.image_of(sample), 12))
    assert max(map(len, proposals)) == 12


def test_a_batch_parts_into_objects_and_proposals(samples, proposals):
    both = with_proposals(samples, proposals)
    batch = set_apart(next(iter(detection_batches(both, 8))))
    alone = next(iter(detection_batches(samples, 8)))
    np.testing.assert_array_equal(batch["images"], alone["images"])
    for sample in range(8):
        found = {key: batch[key][sample].numpy() for key in ("boxes", "classes", "proposals")}
        boxes, ids = samples.boxes_of(sample)
        np.testing.assert_array_equal(found["boxes"][found["classes"] >= 0], boxes)
        np.testing.assert_array_equal(found["classes"][found["classes"] >= 0], ids)
        assert not found["boxes"][found["classes"] < 0].any()
        shown = found["proposals"][found["proposals"].any(axis=1)]
        np.testing.assert_allclose(shown, on_canvas(samples, sample, proposals[sample]))


def test_a_selection_in_another_order_keeps_each_with_its_image(samples, proposals):
    rows = np.array([6, 1, 3])
    both = with_proposals(samples.select(rows), [proposals[row] for row in rows])
    for sample, row in enumerate(rows):
        boxes, _ = both.boxes_of(sample)
        objects = len(samples.boxes_of(row)[0])
        np.testing.assert_allclose(boxes[objects:], on_canvas(samples, row, proposals[row]))


def test_they_follow_the_changes_of_the_image(samples):
    """The objects, proposed, are found where the objects are after turning, scaling and cropping."""
    own = [samples.boxes_of(sample)[0] for sample in range(len(samples))]
    shifted = [boxes - on_canvas(samples, sample, np.zeros((1, 4))) for sample, boxes in enumerate(own)]
    stream = detection_stream(with_proposals(samples, shifted), 8, augment=["flip", "rotate", "crop"])
    batch = set_apart(next(iter(stream)))
    seen = 0
    for sample in range(8):
        is_object = batch["classes"][sample] >= 0
        objects = batch["boxes"][sample][is_object].numpy()
        given = batch["proposals"][sample].numpy()
        np.testing.assert_allclose(given[given.any(axis=1)], objects, atol=1e-3)
        seen += len(objects)
    assert seen


def test_images_without_proposals_and_objects():
    assert padded([np.empty((0, 4)), np.empty((0, 4))]).shape == (2, 0, 4)
    batch = {"boxes": tf.zeros((2, 0, 4)), "classes": tf.zeros((2, 0), tf.int64)}
    assert set_apart(batch)["proposals"].shape == (2, 0, 4)
