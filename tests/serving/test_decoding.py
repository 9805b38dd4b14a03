"""The decoder in the graph, held to the reader of files."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from made_encoded import (
    animated_gif,
    by_pillow,
    encoded,
    exif,
    flat_png,
    jpeg_with,
    picture,
    png_with,
)

from tumorkeras import read
from tumorkeras.data.canvas import with_channels
from tumorkeras.serving.decoding import decode_image

LIMIT = 10_000
CONTENT = [tf.TensorSpec((), tf.string)]
DECODERS = {
    channels: tf.function(
        lambda content, channels=channels: decode_image(content, channels, LIMIT),
        input_signature=CONTENT,
        autograph=False,
    )
    for channels in (1, 3)
}
COLOUR, GREY = picture(40, 61), picture(33, 20, 1)
DEEP = picture(21, 34, 1, "uint16")
JPEG, PNG = encoded(COLOUR, ".jpg"), encoded(COLOUR)


def in_file(content, folder, name, channels):
    (folder / name).write_bytes(content)
    return with_channels(read(folder / name).array, channels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("colour.png", PNG),
        ("colour.jpg", JPEG),
        ("grey.png", encoded(GREY)),
        ("grey.jpg", encoded(GREY, ".jpg")),
        ("deep.png", encoded(DEEP)),
        ("one.png", encoded(picture(1, 1))),
        ("palette.png", by_pillow(COLOUR, "P", "PNG")),
        ("bits.png", by_pillow(GREY[..., 0], "1", "PNG")),
        ("transparent.png", by_pillow(COLOUR, "RGBA", "PNG")),
        ("transparent_grey.png", by_pillow(GREY[..., 0], "LA", "PNG")),
        ("progressive.jpg", bytes(cv2.imencode(".jpg", COLOUR, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_same_pixels_as_from_a_file(name, content, channels, tmp_path):
    np.testing.assert_array_equal(DECODERS[channels](content), in_file(content, tmp_path, name, channels))


def test_colours_of_sixteen_bits(tmp_path):
    image = picture(13, 9, 3, "uint16")
    np.testing.assert_array_equal(DECODERS[3](encoded(image)), image)
    np.testing.assert_allclose(DECODERS[1](encoded(image)), with_channels(image, 1), atol=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_cmyk_differs_by_a_grey_level_at_most(channels, tmp_path):
    content = by_pillow(COLOUR, "CMYK", "JPEG")
    found = DECODERS[channels](content).numpy()
    np.testing.assert_allclose(found, in_file(content, tmp_path, "cmyk.jpg", channels), atol=1)
    np.testing.assert_allclose(found, with_channels(COLOUR, channels), atol=16)  # JPEG loses some


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("big_endian", [False, True])
def test_images_are_turned_as_exif_says(orientation, big_endian, tmp_path):
    block = exif(orientation, big_endian)
    for name, content in (("turned.jpg", jpeg_with(JPEG, block)), ("turned.png", png_with(PNG, block))):
        found = DECODERS[3](content).numpy()
        np.testing.assert_array_equal(found, in_file(content, tmp_path, name, 3))
        assert found.shape[:2] == ((40, 61) if orientation < 5 else (61, 40))


@pytest.mark.parametrize(
    "block", [b"", b"II*\0", exif(9), exif(0), b"XX" + exif(6)[2:], exif(6)[:20], b"MM\0*\0\0\xff\xff", exif(6)[:9]]
)
def test_exif_that_says_nothing_turns_nothing(block):
    np.testing.assert_array_equal(DECODERS[3](jpeg_with(JPEG, block)), DECODERS[3](JPEG))


BAD = {
    "empty": b"",
    "text": b"a letter, not an image",
    "start alone": b"\x89PNG\r\n\x1a\n",
    "start of a JPEG alone": b"\xff\xd8\xff",
    "truncated JPEG": JPEG[: len(JPEG) // 2],
    "JPEG without its end": JPEG[:-2],
    "truncated PNG": PNG[: len(PNG) // 2],
    "GIF": animated_gif([COLOUR, COLOUR[::-1]]),
    "bitmap": encoded(COLOUR, ".bmp"),
    "above the limit": encoded(np.zeros((101, 100, 1), "uint8")),
    "bomb": flat_png(30_000, 30_000),
    "no pixels": PNG[:16] + bytes(8) + PNG[24:],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_image_fails(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        DECODERS[1](BAD[name])


def test_the_limit_is_reached_but_not_passed():
    assert DECODERS[1](encoded(np.zeros((100, 100, 1), "uint8"))).shape == (100, 100, 1)
