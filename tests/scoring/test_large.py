"""Large images tile by tile: the answer is that of the whole image, seams leave no mark."""

from __future__ import annotations

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.data.tiles import tile_grid
from tumorkeras.errors import DataError, ModelError
from tumorkeras.models.detector import build_detector
from tumorkeras.scoring.large import predict_large
from tumorkeras.scoring.seams import Found, merge_tiles
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel

MOST = 40  # grey values that mark objects
TILE = (32, 40)


@keras.saving.register_keras_serializable(package="tests")
class Finder(keras.layers.Layer):
    """A detector that sees nothing but pixels: the box around all of each grey value from 1 to ``MOST``."""

    def call(self, images):
        marked = tf.equal(images, tf.range(1.0, MOST + 1))  # (batch, height, width, values)
        sides = [_extent(tf.reduce_any(marked, axis)) for axis in (1, 2)]
        (left, right), (top, bottom) = sides
        there = right > left
        values = tf.broadcast_to(tf.range(1.0, MOST + 1), tf.shape(left))
        return {
            "boxes": tf.where(there[..., None], tf.stack([left, top, right, bottom], axis=-1), 0.0),
            "scores": tf.where(there, 1 - values / 64, 0.0),
            "classes": tf.where(there, tf.cast(values % 2, tf.int32), -1),
            "num_detections": tf.reduce_sum(tf.cast(there, tf.int32), axis=-1),
        }

    def compute_output_spec(self, images):
        shape = (images.shape[0], MOST)
        boxes, scores = keras.KerasTensor((*shape, 4), "float32"), keras.KerasTensor(shape, "float32")
        classes = keras.KerasTensor(shape, "int32")
        return {"boxes": boxes, "scores": scores, "classes": classes, "num_detections": keras.KerasTensor((None,))}


def _extent(there):
    """First and one past the last place where each value is, (batch, values); 0 and 0 where it is nowhere."""
    length = tf.shape(there)[1]
    there = tf.cast(there, tf.int32)
    first, last = tf.argmax(there, axis=1), tf.argmax(tf.reverse(there, [1]), axis=1)
    some = tf.reduce_max(there, axis=1)
    first, last = tf.cast(first, tf.int32) * some, (length - tf.cast(last, tf.int32)) * some
    return tf.cast(first, tf.float32), tf.cast(last, tf.float32)


@pytest.fixture(scope="module")
def finder():
    images = keras.Input((None, None, 1), name="images")
    return keras.Model(images, Finder(name="finder")(images))


def drawn(size, boxes):
    """An image in which object k has the grey value k + 1."""
    image = np.zeros(size, "uint8")
    for value, (left, top, right, bottom) in enumerate(boxes, start=1):
        image[top:bottom, left:right] = value
    return image


def rows(found):
    """Detections in an order of their own."""
    table = np.column_stack([found["classes"], found["scores"], found["boxes"]])
    return table[np.lexsort(table.T[::-1])]


def assert_as_whole(model, image, tile=TILE, overlap=12, **options):
    """The tiled answer is that of one tile as large as the image."""
    whole = predict_large(model, image, tile=image.shape[:2], overlap=0, progress=False)
    tiled = predict_large(model, image, tile=tile, overlap=overlap, progress=False, **options)
    np.testing.assert_allclose(rows(tiled), rows(whole), atol=1e-3)
    assert (np.diff(tiled["scores"]) <= 0).all()
    return tiled


# ---------------------------------------------------------------------------------------- equal to the untiled answer


def test_objects_inside_at_seams_and_at_corners(finder):
    """Tiles of 32 x 40 that overlap by 12 begin at rows 0, 20, 28 and at columns 0, 28, 56, 60."""
    boxes = [
        (3, 3, 11, 9),  # inside one tile
        (28, 5, 40, 9),  # all of an overlap, so touching both its edges
        (30, 12, 38, 16),  # inside an overlap
        (36, 24, 44, 30),  # across the edge of one tile, whole in the next
        (52, 17, 60, 23),  # around a corner where four tiles meet
        (0, 50, 6, 60),  # in a corner of the image
        (90, 0, 100, 12),
        (20, 40, 31, 41),  # one pixel high
        (39, 45, 40, 55),  # at the edge of a tile, one pixel wide
        (62, 44, 63, 45),  # one pixel
    ]
    image = drawn((60, 100), boxes)
    found = assert_as_whole(finder, image)
    assert len(found["boxes"]) == len(boxes)
    assert {tuple(box) for box in found["boxes"].astype(int).tolist()} == set(boxes)


def test_objects_larger_than_the_overlap_and_than_a_tile_are_one(finder):
    boxes = [(5, 2, 90, 10), (2, 14, 10, 58), (20, 18, 80, 50), (84, 12, 96, 59)]
    found = assert_as_whole(finder, drawn((60, 100), boxes))
    assert len(found["boxes"]) == 4


@pytest.mark.parametrize("overlap", [0, 1, 3, 6, 31])
def test_any_overlap_will_do(finder, overlap):
    boxes = [(3, 3, 30, 19), (36, 2, 60, 26), (66, 4, 75, 33), (6, 24, 14, 56), (22, 36, 58, 44), (80, 30, 96, 55)]
    assert_as_whole(finder, drawn((60, 100), boxes), overlap=overlap)


@st.composite
def scenes(draw):
    """An image, objects that do not touch each other, tiles and their overlap."""
    height, width = draw(st.integers(20, 90)), draw(st.integers(20, 110))
    taken, boxes = np.zeros((height, width), bool), []
    for _ in range(draw(st.integers(0, 14))):
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        right = min(width, left + draw(st.integers(1, 50)))
        bottom = min(height, top + draw(st.integers(1, 50)))
        if not taken[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1].any():
            taken[top:bottom, left:right] = True
            boxes.append((left, top, right, bottom))
    tile = draw(st.tuples(st.integers(24, 48), st.integers(24, 48)))
    return drawn((height, width), boxes), tile, draw(st.integers(0, 20))


@settings(max_examples=60)
@given(scenes())
def test_the_tiled_answer_is_that_of_the_whole(finder, scene):
    image, tile, overlap = scene
    assert_as_whole(finder, image, tile, overlap)


def test_the_answer_is_the_same_for_every_batch_size_and_time(finder):
    image = drawn((60, 100), [(5, 2, 90, 10), (28, 14, 40, 26), (52, 40, 60, 46)])
    first = predict_large(finder, image, tile=TILE, overlap=12)
    for batch_size in (1, 3, 100):
        again = predict_large(finder, image, tile=TILE, overlap=12, batch_size=batch_size)
        for name in first:
            np.testing.assert_array_equal(again[name], first[name])


# ------------------------------------------------------------------------------------------------- of a real detector


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(1)
    return build_detector((64, 96, 1), 3, score_threshold=0.2, max_detections=30)


@pytest.mark.parametrize("size", [(50, 70), (1, 1)])
def test_what_fits_into_a_tile_gets_the_answer_of_the_model(detector, size):
    image = np.random.default_rng(0).integers(0, 256, size).astype("uint8")
    found = predict_large(detector, image, progress=False)
    own = detector.predict(image[None, ..., None].astype("float32"), verbose=0)
    (count,) = own["num_detections"]
    assert len(found["boxes"]) == count > 0
    for name, dtype in (("boxes", "float32"), ("scores", "float32"), ("classes", "int32")):
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], own[name][0, :count])


def test_a_real_detector_on_several_tiles(detector):
    """By default tiles are the canvas and share a quarter of its shorter side; boxes stay in the image."""
    image = np.random.default_rng(0).integers(0, 256, (100, 150, 1)).astype("uint16")
    found = predict_large(detector, image)
    spelled = predict_large(detector, image, tile=(64, 96), overlap=16, nms_iou=0.5)
    assert len(found["boxes"]) > 0
    for name in found:
        np.testing.assert_array_equal(found[name], spelled[name])
    assert (found["boxes"][:, :2] >= 0).all()
    assert (found["boxes"][:, 2:] <= [150, 100]).all()
    assert (found["boxes"][:, :2] < found["boxes"][:, 2:]).all()


# ------------------------------------------------------------------------------------------------------------- seams

GRID = tile_grid((40, 72), (40, 40), 8)  # columns 0 to 40 and 32 to 72


def merged(boxes, tiles, scores=None, classes=None, **options):
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    classes = np.zeros(len(boxes)) if classes is None else classes
    found = Found(np.array(boxes, "float32"), np.array(scores, "float32"), np.array(classes, "int32"))
    return [box.tolist() for box in merge_tiles(found, np.array(tiles), GRID, **options).boxes]


def test_a_cut_object_goes_where_a_neighbour_sees_the_place_whole():
    assert merged([(36, 5, 40, 15), (36, 5, 50, 15)], [0, 1]) == [[36, 5, 50, 15]]
    assert merged([(36, 5, 40, 15)], [0]) == []  # the neighbour saw that there is nothing
    assert merged([(38, 5, 38.5, 15)], [0]) == []
    assert merged([(35, 5, 37.5, 15)], [0]) == [[35, 5, 37.5, 15]]  # does not touch
    assert merged([(10, 5, 38, 25)], [0]) == [[10, 5, 38, 25]]  # seen whole by no other
    assert merged([(34, 5, 37.75, 25), (36, 5, 60, 25)], [0, 1]) == [[34, 5, 37.75, 25], [36, 5, 60, 25]]


def test_detectors_that_end_a_box_a_little_before_the_edge_make_no_doubles():
    """The first box ends 2.5 pixels before the edge that cuts the object, a twelfth of its side."""
    assert merged([(7, 5, 37.5, 15), (33, 5, 60, 15)], [0, 1]) == [[7, 5, 60, 15]]
    assert merged([(7, 5, 36.5, 15), (36, 5, 60, 15)], [0, 1]) == [[7, 5, 36.5, 15], [36, 5, 60, 15]]


def test_halves_become_one_with_the_best_score():
    assert merged([(10, 5, 40, 15), (32, 5.5, 66, 15)], [0, 1], scores=[0.5, 0.75]) == [[10, 5, 66, 15]]
    # Of another class, or beside each other, they are two.
    assert len(merged([(10, 5, 40, 15), (32, 5, 66, 15)], [0, 1], classes=[0, 1])) == 2
    assert len(merged([(10, 5, 40, 15), (32, 16, 66, 26)], [0, 1])) == 2


def test_half_an_object_goes_where_a_neighbour_found_all_of_it():
    """Though its box reaches farther than the neighbour sees, what is left of the seam is the same object."""
    assert merged([(33, 5, 40, 15), (35.5, 5, 60, 15)], [0, 1]) == [[35.5, 5, 60, 15]]


def test_the_better_of_two_views_stays():
    inside = [(34.5, 5, 37.5, 15), (34.5, 5, 37, 15)]
    assert merged(inside, [0, 1], scores=[0.5, 0.75]) == [list(inside[1])]
    assert merged(inside, [0, 1], nms_iou=0.9) == [list(inside[0]), list(inside[1])]


def test_nothing_found_is_an_answer(finder):
    found = predict_large(finder, np.zeros((60, 100)), tile=TILE)
    assert {name: values.shape for name, values in found.items()} == {"boxes": (0, 4), "scores": (0,), "classes": (0,)}


# ----------------------------------------------------------------------------------------------------- what is given


def test_files_are_read_in_the_channels_of_the_model(finder, tmp_path):
    image = drawn((60, 100), [(3, 3, 11, 9), (30, 12, 38, 16)])
    expected = predict_large(finder, image, tile=TILE)
    for name, pixels in (("grey.png", image), ("colour.png", np.repeat(image[..., None], 3, axis=-1))):
        assert cv2.imwrite(str(tmp_path / name), pixels)
        found = predict_large(finder, tmp_path / name, tile=TILE)
        np.testing.assert_array_equal(found["boxes"], expected["boxes"])


def test_a_mapped_image_is_read_without_filling_the_memory(finder, tmp_path, monkeypatch):
    """200 MB of pixels go through some tiles at a time; what was written to a private copy stays."""
    path = tmp_path / "slide.raw"
    slide = np.memmap(path, "uint8", "w+", shape=(10_000, 20_000))
    slide[50:90, 900:960] = 1
    slide.flush()
    used = []

    def watched(batch, answer=finder.predict_on_batch):
        used.append(resident())
        marked = batch.any()
        return {
            name: values if marked else values[:0]
            for name, values in answer(batch if marked else batch[:, :8, :8]).items()
        }

    monkeypatch.setattr(finder, "predict_on_batch", watched)
    found = predict_large(finder, slide, tile=(1_000, 1_000), overlap=100, batch_size=2)
    assert found["boxes"].tolist() == [[900, 50, 960, 90]]
    assert len(used) > 100
    assert max(used[20:]) - used[19] < 60e6
    private = np.memmap(path, "uint8", "c", shape=(10_000, 20_000))[:100, :100]
    private[10:20, 10:30] = 2
    predict_large(finder, private, tile=(64, 64))
    assert (private[10:20, 10:30] == 2).all()


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (np.zeros((9, 9, 3)), {}, r"image: its channels are 3 \(colour\), the model reads 1 \(grey\)"),
        (np.zeros(9), {}, r"image: has the shape \(9,\), expected \(height, width, channels\)"),
        (np.zeros((0, 9)), {}, r"image: has the shape \(0, 9\)"),
        (np.full((9, 9), "a"), {}, "image: has the dtype <U1, expected numbers"),
        ([[1, 2]], {}, "image: list found, expected an array or a path"),
        (np.full((9, 9), np.nan), {}, "image: holds 81 values that are not finite in rows 0 to 9 and columns 0 to 9"),
        (np.full((9, 9), 1e300), {}, "image: holds 81 values that are not finite"),
        ("no/such/slide.png", {}, "no/such/slide.png: there is no such file"),
        (np.zeros((9, 9)), {"overlap": -1}, "overlap: -1 is not an integer of 0 or more"),
        (np.zeros((9, 9)), {"overlap": 32}, "overlap: 32 is not below the shorter side of a tile, 32"),
        (np.zeros((9, 9)), {"tile": (32, 0), "overlap": 1}, r"tile: \(32, 0\) is not \(height, width\)"),
        (np.zeros((9, 9)), {"tile": 32}, r"tile: 32 is not \(height, width\)"),
        (np.zeros((9, 9)), {"batch_size": 0}, "batch_size: 0 is not a positive integer"),
        (np.zeros((9, 9)), {"nms_iou": 1.5}, "nms_iou: 1.5 is not above 0 to 1"),
    ],
)
def test_wrong_input_is_named(finder, image, options, words):
    with pytest.raises(DataError, match=words):
        predict_large(finder, image, **{"tile": TILE, **options})


def test_a_grey_image_for_a_model_of_colours_is_named():
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, Finder()(images[..., :1]))
    with pytest.raises(DataError, match=r"its channels are 1 \(grey\), the model reads 3 \(colour\)"):
        predict_large(model, np.zeros((9, 9)))
    assert len(predict_large(model, np.zeros((40, 50, 3)))["boxes"]) == 0  # tiles as large as the input of the model
    with pytest.raises(DataError, match=r"tile: is \(9, 9\) in this image, the model reads \(32, 32\) alone"):
        predict_large(model, np.zeros((9, 9, 3)))


def test_models_that_are_no_detectors_are_named(finder):
    images, boxes = keras.Input((None, None, 1), name="images"), keras.Input((None, 4), name="proposals")
    with pytest.raises(ModelError, match="no/such/model: there is no such folder"):
        predict_large("no/such/model", np.zeros((9, 9)))
    with pytest.raises(ModelError, match="model: dict found, expected a detector"):
        predict_large({}, np.zeros((9, 9)))
    with pytest.raises(ModelError, match="model: does not answer with boxes, scores, classes"):
        predict_large(keras.Model(images, images), np.zeros((9, 9)))
    with pytest.raises(ModelError, match="model: reads images, proposals, expected images alone"):
        predict_large(keras.Model({"images": images, "proposals": boxes}, [images, boxes]), np.zeros((9, 9)))
    with pytest.raises(ModelError, match=r"tile: the model reads images of any size; say \(height, width\)"):
        predict_large(finder, np.zeros((9, 9)))


def test_a_detector_reads_the_tiles_that_it_was_trained_on(monkeypatch):
    """Tiles of 128 pixels on a canvas of 64: at the canvas's size, things would be twice as large as in training."""
    source = {"kind": "detection", "path": "x", "annotations": "y", "tiles": {"size": [128, 128], "overlap": 48}}
    spec = DataSpec.from_dict({"name": "cells", "source": source, "input": {"shape": [64, 64, 1]}})
    trained = TrainedModel(build_detector((64, 64, 1), 1), spec, {"kind": "detector"}, pd.DataFrame())
    asked = []

    def grid(size, tile, overlap):
        asked.append((list(tile), overlap))
        return tile_grid(size, tile, overlap)

    monkeypatch.setattr("tumorkeras.scoring.large.tile_grid", grid)
    image = np.zeros((150, 200), "uint8")
    predict_large(trained, image)
    predict_large(trained, image, overlap=10)
    predict_large(trained, image, tile=(64, 64))
    predict_large(trained, image, tile=(32, 32))  # where that overlap does not fit
    predict_large(trained.model, image)
    assert asked == [([128, 128], 48), ([128, 128], 10), ([64, 64], 48), ([32, 32], 8), ([64, 64], 16)]
