"""What samples show of themselves: counts, and pictures of the few that are read."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from read_html import card

from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.preview import SHOWN, SIDE
from tumorkeras.data.samples import Samples
from tumorkeras.spec import DataSpec

EVIL = "<b-class>"
LIMIT = 160_000  # characters of a preview


def samples_of(values, classes=("cyst", EVIL), **source):
    source = source or {"kind": "image_folder", "path": "images"}
    shape = list(values.shape[1:]) if values.ndim > 3 else [values.shape[1], 8, 8, 1]
    spec = DataSpec.from_dict({"name": "scans", "source": source, "input": {"shape": shape}})
    n = len(values)
    ids = np.arange(n) % len(classes)
    table = pd.DataFrame(
        {"id": [f"Jane_Doe_{k}.png" for k in range(n)], "class_name": [classes[k] for k in ids], "class_id": ids}
    )
    table["group"], table["split"] = np.arange(n) // 2, np.resize(["train", "train", "val"], n)
    return Samples(table, values, classes, spec, ("2 <files> were left out",))


def pictures(reader):
    """The pictures, as (height, width, 3) uint8."""
    sources = [each["src"] for tag, each in reader.attributes if tag == "img"]
    decoded = [base64.b64decode(source.partition("base64,")[2]) for source in sources]
    return [cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for each in decoded]


def captions(reader):
    return [each["alt"] for tag, each in reader.attributes if tag == "img"]


class Counting:
    """An array that remembers which rows were read, and may break at some."""

    def __init__(self, array, broken=()):
        self.array, self.broken, self.read = array, broken, []
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, rows):
        self.read += np.atleast_1d(rows).tolist()
        if set(self.read) & set(self.broken):
            self.read = []
            raise OSError("the disk is gone")
        return self.array[rows]


def test_images_with_their_counts():
    values = np.zeros((13, 20, 40, 1), "uint8")
    values[:, :10] = 200
    reader = card(samples_of(values))
    # 13 samples, the classes by turns, of three in a row the last is for validation
    assert f"train val test all cyst 5 2 0 7 {EVIL} 4 2 0 6" in reader.cells
    assert (
        "shape of one 20 x 40 x 1 values uint8, 0 to 200 in those below groups 7, each whole in one part"
        in reader.cells
    )
    assert "2 <files> were left out" in reader.text
    assert captions(reader) == ["cyst", EVIL] * 3
    for picture in pictures(reader):
        assert picture.shape == (SIDE // 2, SIDE, 3)
        assert picture[:40].min() > 190
        assert picture[-40:].max() < 10


def test_no_name_of_a_file_and_no_group_is_shown():
    assert "Jane" not in samples_of(np.zeros((4, 8, 8, 1), "uint8"))._repr_html_()


def test_colours_stay_what_they_are():
    values = np.zeros((3, 8, 8, 3), "uint8")
    values[..., 0] = 250
    red, green, blue = pictures(card(samples_of(values)))[0].reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert max(green, blue) < 10


def test_a_volume_is_shown_by_its_maximum():
    values = np.zeros((4, 5, 16, 16, 2), "float32") - 1000
    values[:, 3, :, :8] = 1000
    reader = card(samples_of(values, kind="npz", path="a.npz"))
    assert captions(reader)[0] == "maximum of the slices, cyst"
    picture = pictures(reader)[0]
    assert picture[:, :80].min() > 245
    assert picture[:, -80:].max() < 10


def test_tracks_are_drawn_as_paths():
    values = np.cumsum(np.ones((6, 9, 2), "float32"), axis=1)
    values[0, 4] = np.nan
    reader = card(samples_of(values, kind="simulation", motions=["random_walk", "levy_flight"], frames=9))
    paths = [each["points"].split() for tag, each in reader.attributes if tag == "polyline"]
    assert [len(path) for path in paths] == [8, 9, 9, 9]
    assert [paths[1][0], paths[1][-1]] == ["6.0,6.0", "90.0,90.0"]


def test_a_track_without_positions_is_named():
    values = np.cumsum(np.ones((6, 9, 2), "float32"), axis=1)
    values[0] = np.nan
    reader = card(samples_of(values, kind="simulation", motions=["random_walk", "levy_flight"], frames=9))
    assert "Sample 0 cannot be shown: cyst: holds no position that is a number" in reader.text


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -7.5])
def test_values_without_a_range_are_shown(value):
    reader = card(samples_of(np.full((3, 8, 8, 1), value, "float32")))
    assert len(pictures(reader)) == 2
    assert "cannot be shown" not in reader.text


def test_a_huge_set_is_not_read_but_for_those_shown():
    values = Counting(np.zeros((5000, 8, 8, 1), "uint8"))
    assert len(pictures(card(replace(samples_of(values.array), values=values)))) == SHOWN
    assert len(values.read) == SHOWN


def test_what_cannot_be_read_is_said_and_the_others_are_shown():
    values = Counting(np.zeros((12, 8, 8, 1), "uint8"), broken={0})
    reader = card(replace(samples_of(values.array), values=values))
    assert len(pictures(reader)) == SHOWN - 1
    assert "Sample 0 cannot be shown: the disk is gone" in reader.text


def test_the_worst_pictures_stay_below_the_limit():
    noise = np.random.default_rng(0).integers(0, 255, (12, 180, 180, 3), dtype="uint8")  # nothing compresses worse
    reader = card(samples_of(noise))
    assert 1 <= len(pictures(reader)) < SHOWN
    assert len(samples_of(noise)._repr_html_()) < LIMIT


def test_the_line_in_a_terminal():
    samples = samples_of(np.zeros((4, 8, 8, 1), "uint8"))
    assert repr(samples) == "<Samples scans: 4 arrays (8, 8, 1) in 2 classes; 3 train, 1 val, 0 test>"


# ---------------------------------------------------------------------------------------------------------- boxes


def boxed(n=8, canvas=(32, 32), size=(16, 32)):
    """Images of half the canvas' height, each but every fourth with a box around its brighter part."""
    images = np.zeros((n, *canvas, 1), "uint8")
    images[:, 12:20, 4:12] = 200
    counts = (np.arange(n) % 4 != 3).astype(int)
    spec = {
        "name": "cells",
        "source": {"kind": "detection", "path": "images", "annotations": "boxes.csv"},
        "input": {"shape": [*canvas, 1]},
    }
    table = pd.DataFrame({"id": np.arange(n).astype(str), "group": None, "split": np.resize(["train", "test"], n)})
    boxes = np.tile(np.array([[4, 12, 12, 20]], "float32"), (counts.sum(), 1))
    ids, offsets = np.arange(counts.sum()) % 2, np.concatenate([[0], np.cumsum(counts)])
    sizes = np.tile(size, (n, 1))
    return DetectionSamples(
        table, images, sizes, boxes, ids, offsets, np.arange(n), ("cyst", EVIL), DataSpec.from_dict(spec)
    )


def test_boxes_are_counted_and_drawn_where_the_objects_are():
    reader = card(boxed())
    # Images 0, 2, 4, 6 train and have the boxes 0, 2, 3, 5; 1 and 5 of the test have 1 and 4; 3 and 7 have none.
    assert "images 4 0 4 8 images without an object 0 0 2 2" in reader.cells
    assert f"boxes: cyst 2 0 1 3 boxes: {EVIL} 2 0 1 3" in reader.cells
    assert captions(reader) == [f"image with 1 {name}" for name in ("cyst", "cyst", EVIL, EVIL)]
    picture = pictures(reader)[0]
    # The canvas' bars are cut off: the image of 16 x 32 fills the picture, 180/32 pixels to one of its own.
    assert picture.shape == (90, 180, 3)
    scale = 180 / 32
    inside = picture[round(6 * scale) : round(10 * scale), round(6 * scale) : round(10 * scale)]
    assert abs(inside.astype(int) - 200).max() < 25
    left = picture[round(8 * scale), round(4 * scale) - 1 : round(4 * scale) + 2].astype(int)
    assert (left[:, 2] - left[:, 0] > 60).any()  # blue, on a grey image


def test_a_part_of_the_samples_counts_its_own_boxes():
    part = boxed().part("test")
    assert (
        f"images 0 0 4 4 images without an object 0 0 2 2 boxes: cyst 0 0 1 1 boxes: {EVIL} 0 0 1 1" in card(part).cells
    )
    assert len(pictures(card(part))) == 2


def test_images_without_any_box_are_shown_as_they_are():
    reader = card(boxed().select(np.array([3, 7])))
    assert captions(reader) == ["image with no object"] * 2
    assert repr(boxed()).endswith("objects of 2 classes; 4 train, 0 val, 4 test>")
