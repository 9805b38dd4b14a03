"""Proposals that go with batches of images."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras import propose_regions
from tumorkeras.data.proposals import proposals_of, with_proposals
from tumorkeras.errors import DataError


def images_with_blocks(counts):
    images = np.full((len(counts), 64, 64, 1), 200, "float32")
    for image, count in zip(images, counts, strict=True):
        for k in range(count):
            image[6 + 20 * k : 20 + 20 * k, 10 + 15 * k : 26 + 15 * k] = 40
    return images


def test_each_image_has_its_own_and_the_rest_is_padding():
    images = images_with_blocks([1, 3, 0])
    found = proposals_of(images)
    assert found.dtype == np.float32
    for image, boxes in zip(images, found, strict=True):
        own = propose_regions(image)
        np.testing.assert_array_equal(boxes[: len(own)], own)
        assert not boxes[len(own) :].any()
    assert not found[2].any()


def test_without_an_image_there_is_nothing():
    assert proposals_of(np.zeros((0, 8, 8, 1))).shape == (0, 0, 4)


def test_a_stream_keeps_its_batches_and_gains_what_they_show():
    images = images_with_blocks([1, 2, 0, 3])
    stream = tf.data.Dataset.from_tensor_slices({"images": images, "number": np.arange(4)}).batch(3)
    batches = list(with_proposals(stream).as_numpy_iterator())
    assert [batch["number"].tolist() for batch in batches] == [[0, 1, 2], [3]]
    for batch in batches:
        np.testing.assert_array_equal(batch["proposals"], proposals_of(batch["images"]))
    assert with_proposals(stream).element_spec["proposals"].shape.as_list() == [None, None, 4]


def test_another_way_to_propose():
    whole = lambda image: np.array([[0, 0, *image.shape[1::-1]]], "float32")  # noqa: E731
    assert proposals_of(np.zeros((2, 6, 8, 1)), whole).tolist() == [[[0, 0, 8, 6]]] * 2


def test_an_image_that_cannot_be_read_is_told():
    with pytest.raises(DataError, match="NaN or infinite"):
        proposals_of(np.full((1, 8, 8, 1), np.nan))
