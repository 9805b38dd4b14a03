"""PNG and JPEG to pixels within a graph, as :func:`tumorkeras.read` has them: depth, colour and orientation too."""

from __future__ import annotations

import tensorflow as tf

PNG_START, JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_HEAD = 29  # bytes up to the colour type and what follows it
EXIF_ROOM = 2**16  # most that a segment of a JPEG can hold
EXIF_IN_PNG, EXIF_IN_JPEG = b"eXIf", b"Exif\0\0"
LITTLE_ENDIAN, BIG_ENDIAN = b"II*\0", b"MM\0*"
ORIENTATION = 0x0112
#: The one that OpenCV uses; TensorFlow's own default is another, a few grey levels off.
JPEG_TRANSFORM = "INTEGER_ACCURATE"
#: Largest image that is decoded by default, in pixels: about 5800 x 5800.
MOST_PIXELS = 2**25


def decode_image(content: tf.Tensor, channels: int, max_pixels: int = MOST_PIXELS) -> tf.Tensor:
    """One encoded image as pixels; what cannot be decoded, or is too large, fails before memory is taken for it.

    Bits below 8 are spread over 0 to 255, 16 are kept, a palette is applied, transparency dropped, CMYK becomes RGB,
    and the image is turned as its EXIF says.

    Parameters
    ----------
    content : tf.Tensor
        Scalar string, a PNG or a JPEG.
    channels : {1, 3}
        Grey or red, green, blue.
    max_pixels : int
        Height times width that is decoded at most.

    Returns
    -------
    tf.Tensor
        (height, width, channels) float32, 0 to 255, of 16 bits 0 to 65535.

    Raises
    ------
    tf.errors.InvalidArgumentError
        When it runs on anything else.

    Examples
    --------
    >>> encoded = tf.io.encode_png(tf.constant([[[255, 0, 0], [0, 0, 255]]], tf.uint8))
    >>> decode_image(encoded, 1).numpy()[..., 0].tolist()
    [[76.0, 29.0]]
    """
    is_png = tf.equal(tf.strings.substr(content, 0, len(PNG_START)), PNG_START)
    is_jpeg = tf.equal(tf.strings.substr(content, 0, len(JPEG_START)), JPEG_START)
    with tf.control_dependencies([tf.debugging.Assert(is_png | is_jpeg, ["is neither PNG nor JPEG"])]):
        content = tf.identity(content)
    pixels = tf.cond(is_png, lambda: _png(content, max_pixels), lambda: _jpeg(content, max_pixels))
    orientation = tf.cond(
        is_png, lambda: orientation_of(content, EXIF_IN_PNG), lambda: orientation_of(content, EXIF_IN_JPEG)
    )
    return tf.ensure_shape(_turned(with_channels(pixels, channels), orientation), (None, None, channels))


def _png(content: tf.Tensor, max_pixels: int) -> tf.Tensor:
    head = first_bytes(content, PNG_HEAD)
    width, height, depth = big_endian(head, 16, 4), big_endian(head, 20, 4), head[24]
    content = _if_small_enough(content, height, width, max_pixels)
    return tf.cond(
        depth == 16,
        lambda: tf.cast(tf.io.decode_png(content, dtype=tf.uint16), tf.float32),
        lambda: tf.cast(tf.io.decode_png(content), tf.float32),
    )


def _jpeg(content: tf.Tensor, max_pixels: int) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(content))
    content = _if_small_enough(content, height, width, max_pixels)
    return tf.cast(tf.io.decode_jpeg(content, dct_method=JPEG_TRANSFORM), tf.float32)


def _if_small_enough(content: tf.Tensor, height: tf.Tensor, width: tf.Tensor, max_pixels: int) -> tf.Tensor:
    height, width = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    fits = (height > 0) & (width > 0) & (height * width <= max_pixels)
    with tf.control_dependencies([tf.debugging.Assert(fits, ["has no pixels, or more than", max_pixels])]):
        return tf.identity(content)


def with_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """Grey or colour of an image of 1 to 4 channels, transparency being the last of 2 or 4."""
    colours = tf.shape(pixels)[-1]
    is_grey = colours < 3
    pixels = tf.cond(colours % 2 == 0, lambda: pixels[..., : colours - 1], lambda: pixels)
    if channels == 3:
        return tf.cond(is_grey, lambda: tf.repeat(pixels, 3, -1), lambda: pixels)
    return tf.cond(is_grey, lambda: pixels, lambda: _grey(pixels))


def _grey(pixels: tf.Tensor) -> tf.Tensor:
    # Whole numbers, as in the reader of files, so the same to the last level; of 16 bits within one level, as float32
    # does not hold their sums.
    parts = tf.linalg.matmul(pixels, [[[299.0], [587.0], [114.0]]])
    return tf.floor((parts + 500) / 1000)


def first_bytes(content: tf.Tensor, count: int) -> tf.Tensor:
    """The first bytes (count,) as int32; zeros where there are fewer."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, count), tf.uint8), tf.int32)
    return tf.pad(head, [[0, count - tf.shape(head)[0]]])


def big_endian(values: tf.Tensor, start: int, count: int) -> tf.Tensor:
    """An unsigned number, int64, whose most significant byte stands first."""
    total = tf.zeros((), tf.int64)
    for place in range(start, start + count):
        total = total * 256 + tf.cast(values[place], tf.int64)
    return total


# ---------------------------------------------------------------------------------------------------- orientation


def orientation_of(content: tf.Tensor, mark: bytes) -> tf.Tensor:
    """How EXIF says that the image is to be turned, 1 to 8; 1 where it says nothing."""
    pieces = tf.strings.split(content[None], mark, maxsplit=1).values
    upright = tf.constant(1)
    return tf.cond(tf.size(pieces) > 1, lambda: _orientation_in(pieces[1]), lambda: upright)


def _orientation_in(exif: tf.Tensor) -> tf.Tensor:
    """The orientation in a block of EXIF, which is laid out as a TIFF: entries of twelve bytes, a tag and a value."""
    start = tf.strings.substr(exif, 0, 4)
    is_little = tf.equal(start, LITTLE_ENDIAN)
    known = is_little | tf.equal(start, BIG_ENDIAN)
    values = tf.cast(tf.io.decode_raw(tf.strings.substr(exif, 0, EXIF_ROOM), tf.uint8), tf.int32)
    values = tf.concat([values, tf.zeros(14, tf.int32)], 0)  # so that reading beyond the end gives nothing
    last = tf.size(values) - 2

    def number(places: tf.Tensor) -> tf.Tensor:
        """Numbers of two bytes."""
        places = tf.clip_by_value(places, 0, last)
        first, second = tf.gather(values, places), tf.gather(values, places + 1)
        return tf.where(is_little, second * 256 + first, first * 256 + second)

    # Of an offset of four bytes the lower two are enough for the room there is.
    table = number(tf.where(is_little, 4, 6))
    entries = table + 2 + 12 * tf.range(tf.where(known, number(table), 0))
    found = tf.boolean_mask(entries, number(entries) == ORIENTATION)
    value = tf.reduce_max(tf.concat([number(found[:1] + 8), [1]], 0))
    return tf.where(known & (value <= 8), value, 1)


def _turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The image upright: transposed from 5 on, then mirrored across and up and down."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    across = tf.reduce_any(orientation == [2, 3, 6, 7])
    down = tf.reduce_any(orientation == [3, 4, 7, 8])
    image = tf.cond(across, lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(down, lambda: tf.reverse(image, [0]), lambda: image)
