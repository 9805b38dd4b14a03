"""Images that are decoded together, held to the decoder of one."""

from io import BytesIO

import numpy as np
import pytest
import tensorflow as tf
from made_encoded import animated_gif, by_pillow, encoded, exif, jpeg_with, picture, png_with
from PIL import Image

from tumorkeras.serving.alike import decode_alike
from tumorkeras.serving.decoding import decode_image

HEIGHT, WIDTH = 20, 31
LIMIT = 10 * HEIGHT * WIDTH
CONTENTS = [tf.TensorSpec((None,), tf.string)]
ALIKE, ONE = {}, {}
for channels in (1, 3):
    ALIKE[channels] = tf.function(
        lambda contents, channels=channels: decode_alike(contents, channels, LIMIT),
        input_signature=CONTENTS,
        autograph=False,
    )
    ONE[channels] = tf.function(
        lambda contents, channels=channels: decode_image(contents[0], channels, LIMIT),
        input_signature=CONTENTS,
        autograph=False,
    )
COLOUR, OTHER = picture(HEIGHT, WIDTH), picture(HEIGHT, WIDTH, seed=1)
GREY = picture(HEIGHT, WIDTH, 1)


def clear_palette(image):
    """A palette of which one colour is transparent: its head is that of any palette."""
    target = BytesIO()
    Image.fromarray(image).convert("P").save(target, "PNG", transparency=0)
    return target.getvalue()


JPEG, PNG = encoded(COLOUR, ".jpg"), encoded(COLOUR)
KINDS = {
    "png": (PNG, encoded(OTHER)),
    "jpeg": (JPEG, encoded(OTHER, ".jpg")),
    "grey png": (encoded(GREY), encoded(GREY[::-1])),
    "grey jpeg": (encoded(GREY, ".jpg"), encoded(GREY[::-1], ".jpg")),
    "palette": (by_pillow(COLOUR, "P", "PNG"), by_pillow(OTHER, "P", "PNG")),
    "transparent": (by_pillow(COLOUR, "RGBA", "PNG"), by_pillow(OTHER, "RGBA", "PNG")),
    "transparent grey": (by_pillow(GREY[..., 0], "LA", "PNG"), by_pillow(GREY[::-1, :, 0], "LA", "PNG")),
    "cmyk": (by_pillow(COLOUR, "CMYK", "JPEG"), by_pillow(OTHER, "CMYK", "JPEG")),
    "bits": (by_pillow(GREY[..., 0], "1", "PNG"), by_pillow(GREY[::-1, :, 0], "1", "PNG")),
    "upright": (jpeg_with(JPEG, exif(1)), jpeg_with(JPEG, b"")),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_pixels_as_alone(kind, channels):
    contents = [KINDS[kind][row % 2] for row in range(3)]
    rows, images = ALIKE[channels](tf.constant(contents))
    assert rows.numpy().tolist() == [0, 1, 2]
    np.testing.assert_array_equal(images, [ONE[channels](tf.constant([content])) for content in contents])


@pytest.mark.parametrize("first", [PNG, JPEG, by_pillow(COLOUR, "P", "PNG")], ids=["png", "jpeg", "palette"])
@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"a letter",
        PNG[:60],
        JPEG[:-2],
        encoded(COLOUR[:-1]),
        encoded(COLOUR[:-1], ".jpg"),
        encoded(GREY),
        encoded(GREY, ".jpg"),
        encoded(picture(HEIGHT, WIDTH, dtype="uint16")),
        animated_gif([COLOUR]),
        clear_palette(COLOUR),
        jpeg_with(JPEG, exif(6)),
        png_with(PNG, exif(3)),
    ],
    ids=lambda content: str(len(content)),
)
def test_what_is_unlike_the_first_is_left_out(first, other):
    rows, images = ALIKE[3](tf.constant([first, other, first]))
    assert rows.numpy().tolist() == [0, 2]
    np.testing.assert_array_equal(images, [ONE[3](tf.constant([first]))] * 2)


@pytest.mark.parametrize(
    "first",
    [b"", b"a letter", PNG[:20], animated_gif([COLOUR]), encoded(picture(HEIGHT, WIDTH, dtype="uint16"))],
    ids=lambda content: str(len(content)),
)
def test_where_the_first_is_none_or_deep_nothing_is_like_it(first):
    rows, images = ALIKE[1](tf.constant([first, PNG, JPEG, first]))
    assert (rows.shape, images.shape) == ((0,), (0, 1, 1, 1))


@pytest.mark.parametrize(("first", "whole"), [(PNG[:60], PNG), (JPEG[:-2], JPEG)], ids=["png", "jpeg"])
def test_the_first_may_be_cut_off(first, whole):
    assert ALIKE[1](tf.constant([first, whole, first, whole]))[0].numpy().tolist() == [1, 3]


@pytest.mark.parametrize("content", [PNG, JPEG, encoded(GREY, ".jpg")])
def test_all_together_hold_no_more_than_the_limit(content):
    assert ALIKE[1](tf.constant([content] * 10))[0].shape == (10,)
    assert ALIKE[1](tf.constant([content] * 11))[0].shape == (0,)


def test_of_an_empty_batch_there_is_none():
    assert ALIKE[1](tf.constant([], tf.string))[0].shape == (0,)


@pytest.mark.parametrize(
    "contents", [[b"Dear colleague,"], [JPEG, b"Dear colleague,", PNG], [b"Dear colleague,", JPEG]]
)
def test_what_is_no_jpeg_is_left_out_without_a_word(contents, capfd):
    """The library of JPEG writes to standard error by itself."""
    rows, _ = ALIKE[1](tf.constant(contents))
    assert rows.numpy().tolist() == ([0] if contents[0] == JPEG else [])
    assert "JPEG" not in capfd.readouterr().err
