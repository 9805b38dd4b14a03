"""Samples with boxes: decoded onto one canvas, in batches that are a function of seed and epoch."""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tumorkeras.boxes import letterbox
from tumorkeras.data import cache
from tumorkeras.data.augment_boxes import EVERY
from tumorkeras.data.detection import DetectionSamples, detection_batches, detection_stream, load_detection
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

CANVAS = (24, 32)


def spec_of(train=0.8, **source):
    source = {"kind": "detection", "path": "images", "annotations": "boxes.csv", **source}
    splits = {"fractions": {"train": train, "val": 1 - train, "test": 0}}
    return {"name": "cells", "source": source, "input": {"shape": [*CANVAS, 1]}, "splits": splits}


@pytest.fixture
def samples():
    """21 images; the first pixel of each is its number, and image k has k % 4 objects of class k % 3."""
    n = 21
    images = np.zeros((n, *CANVAS, 1), "uint8")
    images[:, 0, 0, 0] = np.arange(n)
    counts = np.arange(n) % 4
    image = np.repeat(np.arange(n), counts)
    left = (image + np.arange(len(image))) % 12
    boxes = np.stack([left, left, left + 8, left + 10], axis=-1).astype("float32")
    return DetectionSamples(
        pd.DataFrame({"id": np.arange(n).astype(str), "group": None, "split": ["train"] * 14 + ["val"] * 7}),
        images,
        np.tile([48, 64], (n, 1)),
        boxes,
        (image % 3).astype("int64"),
        np.concatenate([[0], np.cumsum(counts)]),
        np.arange(n),
        ("a", "b", "c"),
        DataSpec.from_dict(spec_of()),
    )


def taken(stream, count):
    return [{name: part.numpy() for name, part in batch.items()} for batch in islice(stream, count)]


def numbers(batch):
    return batch["images"][:, 0, 0, 0].astype(int).tolist()


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys() == {"images", "boxes", "classes"}
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


# --------------------------------------------------------------------------------------------------------- batches


@pytest.mark.parametrize("augment", [(), EVERY])
def test_a_stream_from_epoch_two_goes_on_from_the_first_two(samples, augment):
    whole = taken(detection_stream(samples, 8, augment=augment, seed=3), 12)
    later = taken(detection_stream(samples, 8, augment=augment, seed=3, epoch=2), 6)
    assert_same(whole[6:], later)


def test_each_epoch_shows_each_sample_once_in_an_order_of_its_own(samples):
    stream = taken(detection_stream(samples, 8, seed=1), 6)
    epochs = [[n for batch in stream[start : start + 3] for n in numbers(batch)] for start in (0, 3)]
    assert all(sorted(order) == list(range(21)) for order in epochs)
    assert epochs[0] != epochs[1]
    assert epochs[0] != sorted(epochs[0])
    assert [len(batch["images"]) for batch in stream] == [8, 8, 5] * 2
    assert numbers(taken(detection_stream(samples, 8, seed=2), 1)[0]) != numbers(stream[0])


@pytest.mark.parametrize("most", [None, 7])
def test_boxes_and_classes_go_with_their_image_and_are_padded(samples, most):
    for batch in taken(detection_stream(samples, 8, most=most), 3):
        chosen = numbers(batch)
        width = max(n % 4 for n in chosen) if most is None else most
        assert batch["boxes"].shape == (len(chosen), width, 4)
        assert {name: part.dtype for name, part in batch.items()} == {
            "images": np.float32,
            "boxes": np.float32,
            "classes": np.int64,
        }
        for n, boxes, classes in zip(chosen, batch["boxes"], batch["classes"], strict=True):
            own, ids = samples.boxes_of(n)
            np.testing.assert_array_equal(boxes[: n % 4], own)
            assert classes.tolist() == [*ids, *[-1] * (width - n % 4)]
            assert (boxes[n % 4 :] == 0).all()


def test_shapes_are_known_to_a_model(samples):
    batch = detection_stream(samples, 8, augment=EVERY, most=5).element_spec
    assert batch["images"].shape.as_list() == [None, *CANVAS, 1]
    assert batch["boxes"].shape.as_list() == [None, 5, 4]
    assert batch["classes"].shape.as_list() == [None, 5]


def test_batches_show_each_sample_once_in_order(samples):
    found = taken(detection_batches(samples.part("val"), 4), 3)
    assert [n for batch in found for n in numbers(batch)] == list(range(14, 21))


def test_more_objects_than_the_batch_holds_are_said_at_once(samples):
    with pytest.raises(DataError, match="most: is 2, but an image has 3 boxes"):
        detection_stream(samples, most=2)


def test_images_without_objects_make_a_batch(samples):
    (batch,) = taken(detection_batches(samples.select(np.array([0, 4])), 2), 1)
    assert batch["boxes"].shape == (2, 0, 4)
    (changed,) = taken(detection_stream(samples.select(np.array([0, 4])), 2, augment=EVERY), 1)
    assert changed["classes"].shape == (2, 0)


# --------------------------------------------------------------------------------------------------------- samples


def test_a_selection_shares_the_images(samples):
    chosen = samples.part("val").select(np.array([True, False, True, False, False, False, False]))
    assert chosen.images is samples.images
    assert chosen.table["id"].tolist() == ["14", "16"]
    assert (len(chosen), chosen.most_objects) == (2, 2)
    np.testing.assert_array_equal(chosen.boxes_of(0)[0], samples.boxes_of(14)[0])
    assert samples.counts().tolist() == [14, 7, 0]
    with pytest.raises(DataError, match="no sample is in the part 'test'"):
        samples.part("test")


# --------------------------------------------------------------------------------------------------------- loading


@pytest.fixture
def folder(tmp_path):
    """Four labelled images of two sizes, one without objects, and one that nothing lists."""
    (tmp_path / "images").mkdir()
    for number, size in enumerate([(48, 64), (48, 64), (40, 40), (48, 64), (48, 64)]):
        image = np.full(size, 20, "uint8")
        image[10:20, 16:36] = 200
        assert cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
    box = "16,10,36,20"
    lines = [f"0.png,cell,{box},train", "0.png,dot,0,0,8,8,train", f"1.png,cell,{box},train", f"2.png,dot,{box},val"]
    lines += ["1.png,dot,60,40,90,90,train", "1.png,dot,70,50,90,90,train", "3.png,,,,,,train"]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,class,xmin,ymin,xmax,ymax,split", *lines]))
    return tmp_path


def loaded(folder, **source):
    return load_detection(DataSpec.from_dict(spec_of(**source), folder))


def test_images_lie_on_the_canvas_with_their_boxes(folder):
    samples = loaded(folder)
    assert samples.table["id"].tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert samples.table["split"].tolist() == ["train", "train", "val", "train"]
    assert "path" not in samples.table
    assert (samples.images.shape, samples.images.dtype) == ((4, *CANVAS, 1), "uint8")
    assert samples.classes == ("cell", "dot")
    boxes, ids = samples.boxes_of(0)
    assert (boxes.tolist(), ids.tolist()) == ([[8, 5, 18, 10], [0, 0, 4, 4]], [0, 1])
    assert (samples.images[0, 5:10, 8:18] == 200).all()
    assert len(samples.boxes_of(3)[0]) == 0
    square, _ = samples.boxes_of(2)
    np.testing.assert_allclose(square, letterbox((40, 40), CANVAS).apply([[16, 10, 36, 20]]))
    np.testing.assert_allclose(samples.placement(2).invert(square), [[16, 10, 36, 20]], atol=1e-5)


def test_what_was_found_in_the_files_is_laid_upon_the_canvas(folder):
    samples = loaded(folder).select([2, 0])
    boxes = np.array([[[16, 10, 36, 20], [0, 0, 0, 0]], [[16, 10, 36, 20], [0, 0, 8, 8]]], "float32")
    found = {"boxes": boxes, "scores": np.array([[0.9, 0], [0.8, 0.7]]), "classes": np.array([[1, -1], [0, 1]])}
    placed = samples.on_canvas(found)
    # Onto 24 x 32 the square image of 40 x 40 comes by 0.6, four pixels from the left; the others by a half.
    expected = [[[13.6, 6, 25.6, 12], [0, 0, 0, 0]], [[8, 5, 18, 10], [0, 0, 4, 4]]]
    np.testing.assert_allclose(placed["boxes"], expected, atol=1e-5)
    assert placed["scores"] is found["scores"]


def test_boxes_are_cut_at_the_edges_and_those_outside_are_left_out(folder):
    samples = loaded(folder)
    assert samples.boxes_of(1)[0].tolist() == [[8, 5, 18, 10], [30, 20, 32, 24]]
    assert any("1 of 6 boxes have no area inside their image" in note for note in samples.notes)
    assert any("1 of 5 images are not labelled" in note for note in samples.notes)


def test_images_that_nothing_lists_may_be_without_objects(folder):
    lines = (folder / "boxes.csv").read_text()
    (folder / "boxes.csv").write_text(lines.replace(",train", ",").replace(",val", ","))
    samples = loaded(folder, train=1, unlisted="no_objects")
    assert samples.table["id"].tolist() == [f"{k}.png" for k in range(5)]
    assert len(samples.boxes_of(4)[0]) == 0


def test_large_sets_lie_on_disk_and_give_the_same_batches(folder, monkeypatch):
    expected = taken(detection_batches(loaded(folder), 3), 2)
    monkeypatch.setattr(cache, "IN_MEMORY", 0)
    samples = loaded(folder)
    assert isinstance(samples.images, np.memmap)
    assert_same(taken(detection_batches(samples, 3), 2), expected)
    assert isinstance(samples.part("train").images, np.memmap)


def test_broken_images_are_all_named(folder):
    for name in ("0.png", "2.png"):
        (folder / "images" / name).write_bytes(b"\x89PNG\r\n\x1a\nno image")
    with pytest.raises(DataError) as caught:
        loaded(folder)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["0.png", "2.png"]


def test_a_source_without_boxes_is_refused():
    spec = DataSpec.from_dict({"name": "m", "source": {"kind": "simulation"}, "input": {"shape": [101, 8, 8, 1]}})
    with pytest.raises(DataError, match=r"source.kind: simulation has no boxes; expected detection, regions or ph"):
        load_detection(spec)


def test_blood_cells_as_they_are(data_folder):
    """The first images of the real set: what is in a box is a cell, so darker than what is around it."""
    source = {"kind": "detection", "path": "$TUMORKERAS_DATA/bccd/JPEGImages"}
    source["annotations"] = "$TUMORKERAS_DATA/bccd"
    spec = DataSpec.from_dict({**spec_of(), "source": source, "input": {"shape": [60, 80, 3]}})
    samples = load_detection(spec)
    assert samples.counts().tolist()[:2] == [205, 87]
    assert samples.classes == ("Platelets", "RBC", "WBC")
    batch = next(iter(detection_stream(samples.part("train"), 8, augment=EVERY)))
    assert batch["images"].shape == (8, 60, 80, 3)
    assert tf.reduce_all(batch["boxes"] <= tf.constant([80.0, 60, 80, 60])).numpy()
