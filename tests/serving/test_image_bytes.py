"""Batches of encoded images: each for itself."""

import numpy as np
import pytest
import tensorflow as tf
from made_encoded import encoded, exif, jpeg_with, picture

from tumorkeras.layers import Letterbox
from tumorkeras.serving.image_bytes import decode_batch

CANVAS = (12, 16, 3)
PLACE = Letterbox(12, 16)


@pytest.fixture(scope="module")
def decode():
    contents = tf.TensorSpec((None,), tf.string)
    return tf.function(
        lambda contents: tuple(decode_batch(contents, PLACE, CANVAS, 5_000)),
        input_signature=[contents],
        autograph=False,
    )


def test_images_of_mixed_sizes_keep_their_rows(decode):
    images = [picture(height, width, seed=height) for height, width in ((20, 31), (12, 16), (1, 1), (50, 9))]
    endings = (".png", ".png", ".png", ".jpg")
    contents = [encoded(image, ending) for image, ending in zip(images, endings, strict=True)]
    canvases, sizes, status = decode(tf.constant(contents))
    assert sizes.numpy().tolist() == [[20, 31], [12, 16], [1, 1], [50, 9]]
    assert status.numpy().tolist() == [0, 0, 0, 0]
    for row in range(3):
        np.testing.assert_allclose(canvases[row], PLACE(images[row][None])[0], atol=1e-4)
    assert canvases.shape == (4, *CANVAS)


def test_together_as_alone(decode):
    contents = [encoded(picture(40, 31, seed=seed), ending) for ending in (".jpg", ".png") for seed in range(3)]
    contents += [jpeg_with(contents[0], exif(6)), contents[0][:-2], encoded(picture(40, 31, dtype="uint16"))]
    mixed, sizes, status = decode(tf.constant(contents))
    for row, content in enumerate(contents):
        canvas, size, state = decode(tf.constant([content]))
        np.testing.assert_array_equal(mixed[row], canvas[0])
        assert (sizes[row].numpy().tolist(), status[row]) == (size[0].numpy().tolist(), state[0])
    assert sizes.numpy().tolist() == [[40, 31]] * 6 + [[31, 40], [1, 1], [40, 31]]
    # One size, one format: nothing is left to be placed alone.
    alike, _, status = decode(tf.constant(contents[:3]))
    np.testing.assert_array_equal(alike, mixed[:3])
    assert not np.any(status)


def test_a_bad_one_fails_alone_wherever_it_stands(decode):
    good = encoded(picture(20, 31))
    (alone, *_) = decode(tf.constant([good]))
    for place in range(4):
        contents = [good] * 4
        contents[place] = good[:60]
        canvases, sizes, status = decode(tf.constant(contents))
        assert status.numpy().tolist() == [int(row == place) for row in range(4)]
        assert sizes.numpy()[place].tolist() == [1, 1]
        for row in range(4):
            np.testing.assert_array_equal(canvases[row], np.zeros(CANVAS) if row == place else alone[0])


@pytest.mark.parametrize("count", [0, 1, 9])
def test_nothing_but_bad_ones_and_none_at_all(decode, count):
    canvases, _, status = decode(tf.constant([b"junk"] * count, tf.string))
    assert status.numpy().tolist() == [1] * count
    assert canvases.shape == (count, *CANVAS)
    assert not np.any(canvases)


def test_too_many_pixels(decode):
    *_, status = decode(
        tf.constant([encoded(np.zeros((50, 100, 1), "uint8")), encoded(np.zeros((51, 100, 1), "uint8"))])
    )
    assert status.numpy().tolist() == [0, 1]
