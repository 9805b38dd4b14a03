import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from model_check import check_models

from tumorkeras import boxes as numpy_boxes
from tumorkeras.data.canvas import letterbox as numpy_letterbox
from tumorkeras.errors import ModelError
from tumorkeras.layers import Letterbox, LetterboxBoxes, letterbox_boxes, restore_boxes

SIDE = st.integers(1, 3000)


def noise(shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


@pytest.mark.parametrize("canvas", [(48, 64), (64, 48), (33, 17), (1, 1), (200, 310)])
@pytest.mark.parametrize("size", [(48, 64), (96, 128), (97, 131), (50, 300), (3, 200), (1, 1), (20, 31)])
def test_images_lie_where_those_of_the_pipeline_do(size, canvas):
    image = noise((*size, 3))
    ours = np.asarray(Letterbox(*canvas)(image[None]))[0]
    np.testing.assert_allclose(ours, numpy_letterbox(image, *canvas), atol=2e-3)


@given(*[st.tuples(st.integers(1, 80), st.integers(1, 80))] * 2)
def test_images_of_every_size_lie_where_those_of_the_pipeline_do(size, canvas):
    image = noise((*size, 1))
    ours = np.asarray(Letterbox(*canvas)(image[None]))[0]
    np.testing.assert_allclose(ours, numpy_letterbox(image, *canvas), atol=2e-3)


@pytest.mark.parametrize(("height", "width"), [(2**20 - 3, 2), (3, 2**20)])
def test_long_images(height, width):
    """The mean of each stretch that becomes a pixel, of an axis that numbers of 32 bits can just tell apart."""
    axis = np.arange(max(height, width), dtype="float64")
    image = np.broadcast_to(axis[:, None] if height > width else axis, (height, width))
    found = np.asarray(Letterbox(16, 16)(image[None, ..., None] / image.max()))[0, ..., 0]
    line = found[:, 7] if height > width else found[7]
    np.testing.assert_allclose(line, (np.arange(16) + 0.5) / 16, atol=5e-6)


@pytest.mark.parametrize("canvas", [(48, 64), (70, 80)])
def test_8_bit_images_differ_by_the_rounding_alone(canvas):
    """OpenCV rounds to whole grey levels, and enlarges 8-bit images in fixed point."""
    image = noise((60, 75, 1)).astype("uint8")
    ours = np.asarray(Letterbox(*canvas)(image[None]))[0]
    assert np.abs(ours - numpy_letterbox(image, *canvas)).max() < (0.501 if canvas == (48, 64) else 1.0)


def test_ultrasound_differs_by_the_rounding_alone(data_folder):
    for path in sorted((data_folder / "busi" / "images").glob("*.jpg"))[::150]:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[..., None]
        ours = np.asarray(Letterbox(240, 320)(image[None]))[0]
        assert np.abs(ours - numpy_letterbox(image, 240, 320)).max() < 0.501


def test_a_fine_pattern_becomes_its_mean():
    checkers = np.indices((64, 64)).sum(axis=0)[None, ..., None] % 2
    np.testing.assert_allclose(Letterbox(32, 32)(checkers), np.full((1, 32, 32, 1), 0.5), atol=1e-6)


def test_one_model_takes_images_of_every_size():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, Letterbox(24, 32)(inputs))
    assert model.output_shape == (None, 24, 32, 1)
    for size in ((30, 50), (12, 9)):
        image = noise((*size, 1))
        found = np.asarray(model(np.stack([image, image])))
        np.testing.assert_allclose(found[1], numpy_letterbox(image, 24, 32), atol=2e-3)


def test_slices_of_a_volume_are_letterboxed_each():
    volume = noise((2, 3, 20, 40, 2))
    inputs = keras.Input((None, None, None, 2))
    found = keras.Model(inputs, Letterbox(16, 16)(inputs))(volume)
    assert found.shape == (2, 3, 16, 16, 2)
    for sample, depth in np.ndindex(2, 3):
        np.testing.assert_allclose(found[sample, depth], numpy_letterbox(volume[sample, depth], 16, 16), atol=2e-3)


def test_gradients_of_a_shrunk_image_are_equal_shares():
    x = tf.constant(noise((1, 40, 60, 1)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(Letterbox(20, 20)(x))
    gradient = np.asarray(tape.gradient(total, x))
    np.testing.assert_allclose(gradient, np.full(x.shape, 13 * 20 / (40 * 60)), rtol=1e-4)


def boxes_of(size, count=6, seed=0):
    corners = np.random.default_rng(seed).uniform(0, 1, (count, 2, 2))
    low, high = corners.min(axis=1), corners.max(axis=1)
    return (np.concatenate([low, high], axis=1) * np.array([size[1], size[0]] * 2)).astype("float32")


@given(st.tuples(SIDE, SIDE), st.tuples(SIDE, SIDE))
def test_boxes_follow_the_geometry_of_the_package(size, canvas):
    boxes, place = boxes_of(size), numpy_boxes.letterbox(size, canvas)
    moved = letterbox_boxes(boxes, size, canvas)
    np.testing.assert_allclose(moved, place.apply(boxes), rtol=1e-5, atol=1e-3)
    # float32 tells places on the canvas apart to 1e-7 of it, which an enlarging inverse makes larger.
    atol = 1e-6 * max(*size, max(canvas) / place.scale) + 1e-3
    np.testing.assert_allclose(restore_boxes(moved, size, canvas), boxes, atol=atol)
    np.testing.assert_allclose(restore_boxes(moved, size, canvas), place.invert(moved), atol=atol)


LONG = st.integers(1, 2**20)
CANVAS = st.tuples(st.integers(1, 4096), st.integers(1, 4096))


@st.composite
def sizes_about_halves(draw, canvas):
    """Half a pixel is left over where the width is scaled, or nearly."""
    factor = 2 * draw(st.integers(1, 100))
    width = factor * draw(st.integers(0, canvas[1])) + factor // 2 + draw(st.integers(-1, 1))
    return canvas[0] * factor, max(1, width)


@given(st.data(), CANVAS)
def test_the_geometry_is_that_of_the_package_for_every_size(data, canvas):
    """The box of the whole image ends on whole pixels of the canvas."""
    sizes = data.draw(st.lists(st.tuples(LONG, LONG) | sizes_about_halves(canvas), min_size=1, max_size=8))
    whole = np.array([[[0, 0, width, height]] for height, width in sizes])
    found = np.asarray(letterbox_boxes(whole, np.array(sizes), canvas))[:, 0]
    expected = [numpy_boxes.letterbox(size, canvas) for size in sizes]
    expected = [(one.left, one.top, one.left + one.width, one.top + one.height) for one in expected]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_each_image_of_a_batch_has_its_own_size():
    sizes = [(100, 200), (300, 120), (64, 64)]
    boxes = np.stack([boxes_of(size, seed=k) for k, size in enumerate(sizes)])
    moved = letterbox_boxes(boxes, np.array(sizes), (64, 96))
    for found, own, size in zip(moved, boxes, sizes, strict=True):
        np.testing.assert_allclose(found, numpy_boxes.letterbox(size, (64, 96)).apply(own), atol=1e-3)
    np.testing.assert_allclose(restore_boxes(moved, np.array(sizes), (64, 96)), boxes, atol=1e-3)


def test_padding_stays_padding():
    boxes = np.array([[[10, 20, 30, 40], [0, 0, 0, 0]]], "float32")
    moved = np.asarray(letterbox_boxes(boxes, (100, 200), (64, 64)))
    assert moved[0, 0].all()
    assert not moved[0, 1].any()
    assert not np.asarray(restore_boxes(moved, (100, 200), (64, 64)))[0, 1].any()


def test_boxes_stay_on_their_object():
    """A bright rectangle and its box, through both layers of one model of open size, in mixed precision."""
    image = np.zeros((1, 90, 200, 1), "float32")
    image[0, 30:60, 80:140] = 1.0
    images, boxes = keras.Input((None, None, 1)), keras.Input((None, 4))
    moved = LetterboxBoxes(64, 64, dtype="mixed_float16")(boxes, images)
    back = LetterboxBoxes(64, 64, inverse=True, dtype="mixed_float16")(moved, images)
    model = keras.Model([images, boxes], [Letterbox(64, 64)(images), moved, back])
    given = np.array([[[80, 30, 140, 60]]], "float32")
    canvas, found, restored = model([image, given])
    assert (found.dtype, found.shape) == ("float32", (1, 1, 4))
    rows, columns = np.nonzero(np.asarray(canvas)[0, ..., 0] > 0.5)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found[0, 0], seen, atol=0.6)
    np.testing.assert_allclose(restored, given, atol=1e-4)


def boxes_of_a_network(inverse):
    images = keras.Input((12, 20, 1))
    boxes = keras.layers.Dense(8, bias_initializer="ones")(keras.layers.Flatten()(images))
    boxes = keras.layers.Reshape((2, 4))(boxes)
    return keras.Model(images, LetterboxBoxes(32, 32, inverse=inverse)(boxes, images))


@pytest.mark.slow
def test_models_with_boxes_train_save_and_load(tmp_path):
    check_models({"there": lambda: boxes_of_a_network(False), "back": lambda: boxes_of_a_network(True)}, tmp_path)


def test_letterbox_in_a_stream_of_images_of_their_own_sizes():
    sizes = [(30, 50), (20, 10)]
    stream = tf.data.Dataset.from_generator(
        lambda: ((noise((*size, 1)), boxes_of(size)) for size in sizes),
        output_signature=(tf.TensorSpec((None, None, 1)), tf.TensorSpec((None, 4))),
    )
    layer = Letterbox(16, 16)
    stream = stream.map(lambda x, b: (layer(x[None])[0], letterbox_boxes(b, tf.shape(x)[:2], (16, 16))))
    for (image, boxes), size in zip(stream, sizes, strict=True):
        assert image.shape == (16, 16, 1)
        np.testing.assert_allclose(boxes, numpy_boxes.letterbox(size, (16, 16)).apply(boxes_of(size)), atol=1e-3)


def test_bad_arguments_are_refused():
    for layer in (Letterbox, LetterboxBoxes):
        with pytest.raises(ModelError) as error:
            layer(0, 2.5)
        assert len(error.value.faults) == 2
    with pytest.raises(ModelError, match="expected 4 or 5 axes"):
        Letterbox(4, 4)(np.zeros((5, 5, 1), "float32"))


def test_around_negative_values_lies_the_smallest():
    images = np.stack([np.full((2, 4, 1), -7.0), np.full((2, 4, 1), 5.0)])
    canvas = np.asarray(Letterbox(4, 4)(images))
    assert (canvas[0] == -7).all()
    assert (canvas[1, 0] == 0).all()
    assert (canvas[1, 1:3] == 5).all()
