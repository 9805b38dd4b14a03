"""The images of a batch that are like its first one, as one array: they can be letterboxed in one go."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tumorkeras.serving.decoding import (
    EXIF_IN_JPEG,
    EXIF_IN_PNG,
    JPEG_START,
    JPEG_TRANSFORM,
    PNG_HEAD,
    PNG_START,
    big_endian,
    first_bytes,
    orientation_of,
    with_channels,
)

#: Channels that a PNG has by its colour type; a palette becomes red, green, blue.
_PNG_CHANNELS = [1, 0, 3, 3, 2, 0, 4]
_SIZE_TO_COLOUR_TYPE = (16, 10)  # bytes in the head of a PNG: where, and how many

Step = Callable[[tf.Tensor], tf.Tensor]


def decode_alike(contents: tf.Tensor, channels: int, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode what has the format, size and channels of the first image, by the headers alone.

    Left out are images that are not like it, that cannot be decoded, that are to be turned, PNG of 16 bits or with
    transparency beside their channels, and everything where all together would be too large. What is given is what
    :func:`tumorkeras.serving.decoding.decode_image` gives.

    Parameters
    ----------
    contents : tf.Tensor
        (batch,) string.
    channels : {1, 3}
        Grey or red, green, blue.
    max_pixels : int
        Of all these images together, so that they take no more memory than one large one.

    Returns
    -------
    rows : tf.Tensor
        (n,) int32, of the batch, rising.
    images : tf.Tensor
        (n, height, width, channels) float32.

    Examples
    --------
    >>> small, large = (tf.io.encode_png(tf.fill((side, side, 1), tf.constant(9, tf.uint8))) for side in (2, 3))
    >>> rows, images = decode_alike(tf.stack([small, large, small, b"no image"]), 1, max_pixels=100)
    >>> rows.numpy().tolist(), images.shape.as_list()
    ([0, 2], [2, 2, 2, 1])
    """
    first = _first_of(contents)
    most = max_pixels // tf.maximum(tf.size(contents, tf.int64), 1)

    def jpegs() -> tuple[tf.Tensor, tf.Tensor]:
        # Of anything else libjpeg would complain on standard error, which is the log of a server.
        own = tf.where(tf.equal(tf.strings.substr(contents, 0, len(JPEG_START)), JPEG_START), contents, "")
        return _batch(_upright(own, EXIF_IN_JPEG), _like_jpeg(_first_of(own), most))

    rows, pixels = tf.cond(
        tf.equal(tf.strings.substr(first, 0, len(PNG_START)), PNG_START),
        lambda: _batch(_upright(contents, EXIF_IN_PNG), _like_png(first, most)),
        jpegs,
    )
    images = with_channels(tf.cast(pixels, tf.float32), channels)
    return rows, tf.ensure_shape(images, (None, None, None, channels))


def _first_of(contents: tf.Tensor) -> tf.Tensor:
    """The first of some strings; empty where there is none."""
    return tf.strings.reduce_join(contents[:1])


def _batch(contents: tf.Tensor, decode: Step) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows and pixels of what can be decoded; an operation that fails can be passed over in a data set only."""
    count = tf.size(contents, tf.int64)
    images = tf.data.Dataset.from_tensor_slices((tf.range(tf.size(contents)), contents))
    nothing = tf.data.Dataset.from_tensors((tf.zeros([0], tf.int32), tf.zeros([0, 1, 1, 1], tf.uint8)))

    def taken(threads: int | None) -> tuple[tf.Tensor, tf.Tensor]:
        # The graph of the map is set up anew in every call: the fewer operations, the better.
        batches = images.map(lambda row, content: (row, decode(content)), threads).ignore_errors().batch(count + 1)
        return batches.concatenate(nothing).take(1).get_single_element()

    # For one image the way to another thread and back costs more than it gains.
    return tf.cond(count > 1, lambda: taken(tf.data.AUTOTUNE), lambda: taken(None))


def _upright(contents: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Images, empty where they are to be turned."""

    def emptied() -> tf.Tensor:
        orientations = tf.map_fn(lambda content: orientation_of(content, mark), contents, fn_output_signature=tf.int32)
        return tf.where(tf.equal(orientations, 1), contents, "")

    # Most images have no EXIF: then nothing comes apart, and this is all that is asked of them.
    most_pieces = tf.raw_ops.StringSplitV2(input=contents, sep=mark, maxsplit=1).shape[1]
    return tf.cond(most_pieces > 1, emptied, lambda: contents)


def _like_jpeg(first: tf.Tensor, most: tf.Tensor) -> Step:
    def decode(content: tf.Tensor) -> tf.Tensor:
        shape, wanted = (tf.io.extract_jpeg_shape(each, tf.int64) for each in (content, first))
        alike = tf.reduce_all(shape == wanted) & (tf.reduce_prod(shape[:2]) <= most)
        return tf.io.decode_jpeg(tf.where(alike, content, ""), dct_method=JPEG_TRANSFORM)  # the empty one fails

    return decode


def _like_png(first: tf.Tensor, most: tf.Tensor) -> Step:
    head = first_bytes(first, PNG_HEAD)
    width, height, depth = big_endian(head, 16, 4), big_endian(head, 20, 4), head[24]
    channels = tf.gather(tf.constant(_PNG_CHANNELS, tf.int64), tf.clip_by_value(head[25], 0, len(_PNG_CHANNELS) - 1))
    fits = (height * width <= most) & (depth <= 8)
    kind = tf.strings.substr(first, *_SIZE_TO_COLOUR_TYPE)

    def decode(content: tf.Tensor) -> tf.Tensor:
        alike = fits & tf.equal(tf.strings.substr(content, *_SIZE_TO_COLOUR_TYPE), kind)
        pixels = tf.io.decode_png(tf.where(alike, content, ""))  # the empty one fails
        # So does one with a channel more, for a transparency that its head says nothing of.
        return tf.reshape(pixels, tf.stack([height, width, channels]))

    return decode
