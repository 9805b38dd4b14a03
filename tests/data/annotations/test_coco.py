"""COCO: boxes, masks held to pycocotools, parts, and ids that dangle."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tumorkeras.data.annotations import read_annotations, read_with_faults
from tumorkeras.data.annotations.names import Fault
from tumorkeras.data.annotations.rle import box_of_rle
from tumorkeras.data.catalog import catalog_of
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

BOX = ["xmin", "ymin", "xmax", "ymax"]
IMAGE = {"id": 1, "file_name": "a.png", "width": 8, "height": 6}
CYST = {"id": 5, "name": "cyst"}


def content(*annotations, images=(IMAGE,), categories=(CYST,)):
    listed = [{"id": k, "image_id": 1, "category_id": 5} | item for k, item in enumerate(annotations, start=1)]
    return {"images": list(images), "annotations": listed, "categories": list(categories)}


def save(path, *annotations, **lists):
    path.write_text(json.dumps(content(*annotations, **lists)), encoding="utf-8")
    return path


def fault_of(path, **options):
    with pytest.raises(DataError) as caught:
        read_annotations(path, **options)
    return str(caught.value)


def test_boxes_and_images_without_any(tmp_path):
    images = [IMAGE, {"id": "x", "file_name": "b.png"}]
    file = save(tmp_path / "boxes.json", {"bbox": [1, 2, 3.5, 2], "iscrowd": 1}, images=images)
    table = read_annotations(file)
    assert list(table.columns[8:]) == ["width", "height", "iscrowd"]
    assert table["image"].tolist() == ["a.png", "b.png"]
    assert table["class"].tolist() == ["cyst", None]
    assert table.loc[0, BOX].tolist() == [1, 2, 4.5, 4]
    assert table.loc[1, BOX].isna().all()
    assert table["source"].tolist() == ["boxes.json, annotation 1", "boxes.json, image x"]
    assert table["iscrowd"].fillna(-1).tolist() == [1, -1]
    assert table["width"].fillna(-1).tolist() == [8, -1]


def test_boxes_of_masks(tmp_path):
    file = save(
        tmp_path / "boxes.json",
        {"segmentation": [[1, 1, 5, 1.5, 3, 4], [6, 2, 7, 2, 7, 3]]},
        {"segmentation": {"size": [6, 8], "counts": [8, 2, 4, 2, 32]}},
        {"segmentation": [[1, 1, 5, 1.5, 3, 4]], "bbox": [0, 0, 1, 1]},
        {"segmentation": [], "bbox": []},
    )
    table = read_annotations(file)
    assert table[BOX].to_numpy()[:3].tolist() == [[1, 1, 7, 4], [1, 2, 3, 4], [0, 0, 1, 1]]
    assert table.loc[3, BOX].isna().all()
    assert table["class"].tolist() == ["cyst"] * 4


def test_an_annotation_without_box_and_mask_is_not_an_image_without_objects(tmp_path):
    """The catalog names its image, and does not take it for background."""
    images = [{"id": k, "file_name": f"{k}.png"} for k in range(4)]
    nothing = {"bbox": None, "segmentation": None}
    file = save(
        tmp_path / "boxes.json",
        {"image_id": 0, "bbox": [1, 2, 3, 4]}, {"image_id": 1}, {"image_id": 2} | nothing, images=images,
    )  # fmt: skip
    table = read_annotations(file)
    assert table["class"].tolist() == ["cyst", "cyst", "cyst", None]
    assert table["xmin"].notna().tolist() == [True, False, False, False]
    for k in range(4):
        (tmp_path / "images").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "images" / f"{k}.png"), np.zeros((6, 8), "uint8"))
    source = {"kind": "detection", "path": "images", "annotations": "boxes.json"}
    values = {"name": "scans", "source": source, "input": {"shape": [8, 8, 1]}}
    catalog = catalog_of(DataSpec.from_dict(values, folder=tmp_path))
    assert [(fault.code, fault.files) for fault in catalog.faults] == [("class_without_box", ("1.png", "2.png"))]
    assert catalog.table["labelled"].tolist() == [True, False, False, True]


def test_masks_of_another_size_than_their_image(tmp_path):
    turned = {"size": [8, 6], "counts": [8, 2, 4, 2, 32]}
    right = {"size": [6, 8], "counts": [8, 2, 4, 2, 32]}
    unknown = {"id": 2, "file_name": "b.png", "width": 0, "height": 0}
    file = save(
        tmp_path / "boxes.json",
        {"segmentation": turned},
        {"segmentation": turned, "bbox": [1, 2, 3, 4]},
        {"segmentation": right},
        {"segmentation": turned, "image_id": 2},
        images=[IMAGE, unknown],
    )
    reading = read_with_faults(file)
    words = "segmentation: size is [8, 6], height and width of the image are [6, 8]; make both the same"
    assert reading.faults == tuple(f"boxes.json, annotation {k}: {words}" for k in (1, 2))
    assert reading.table["image"].tolist() == ["a.png", "b.png"]


@given(arrays("bool", st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_boxes_of_run_lengths(mask):
    """Both writings of run lengths give the extent of the pixels."""
    library = pytest.importorskip("pycocotools.mask")
    encoded = library.encode(np.asfortranarray(mask.astype("uint8")))
    rows, columns = np.nonzero(mask)
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if mask.any() else [0] * 4
    text = {"size": list(mask.shape), "counts": encoded["counts"].decode()}
    assert box_of_rle(text) == expected
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(np.diff(flat.astype(int), append=2))
    runs = np.diff(np.concatenate([[0], changes])).tolist()
    assert box_of_rle({"size": list(mask.shape), "counts": runs}) == expected


@pytest.mark.parametrize(
    "mask",
    [
        {},
        {"size": [6, 8]},
        {"size": [6, 8], "counts": None},
        {"size": [6, 8], "counts": ""},
        {"size": [6, 8], "counts": "oooooooooooooo"},
        {"size": [6, 8], "counts": "o"},
        {"size": [6, 8], "counts": "ÿ"},
        {"size": [6, 8], "counts": "0" * 3 + "_" * 5 + "O"},
        {"size": [6, 8], "counts": [1, 2]},
        {"size": [6, 8], "counts": [-1, 49]},
        {"size": [6, 8], "counts": ["a"]},
        {"size": [6, 8], "counts": [[48]]},
        {"size": [0, 8], "counts": [0]},
        {"size": [2**40, 8], "counts": [0]},
        {"size": 6, "counts": [0]},
        {"size": [6, 8, 1], "counts": [48]},
    ],
)
def test_run_lengths_that_are_none(mask):
    with pytest.raises(Fault, match="segmentation"):
        box_of_rle(mask)


@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=30))
def test_any_text_as_run_lengths(text):
    """The decoder is never given what it would read past the end of."""
    try:
        left, top, right, bottom = box_of_rle({"size": [6, 8], "counts": text})
    except Fault:
        return
    assert 0 <= left <= right <= 8
    assert 0 <= top <= bottom <= 6


def test_parts_by_the_names_of_files(tmp_path):
    (tmp_path / "annotations").mkdir()
    for name in ("instances_train2017", "instances_val2017", "instances_trainval2017", "captions_val2017"):
        image = IMAGE | {"file_name": f"{name[10:13]}.png"}
        save(tmp_path / "annotations" / f"{name}.json", {"bbox": [1, 2, 3, 4]}, images=[image])
    table = read_annotations(tmp_path)
    assert dict(zip(table["image"], table["split"], strict=True)) == {"tra.png": "train", "val.png": "val"}
    alone = read_annotations(tmp_path / "annotations" / "instances_train2017.json")
    assert alone["split"].isna().all()


def test_parts_by_folders(tmp_path):
    for part in ("train", "valid"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.png").write_bytes(b"")
        save(tmp_path / part / "_annotations.coco.json", {"bbox": [1, 2, 3, 4]})
    table = read_annotations(tmp_path)
    assert table["image"].tolist() == ["train/a.png", "valid/a.png"]
    assert table["split"].tolist() == ["train", "val"]


def test_an_image_in_two_parts_is_named(tmp_path):
    for part in ("train", "val"):
        save(tmp_path / f"{part}.json", {"bbox": [1, 2, 3, 4]})
    assert "image 'a.png' is in train and val; keep it in one part" in fault_of(tmp_path)


def test_ids_that_dangle_or_stand_twice_are_named_all_at_once(tmp_path):
    file = save(
        tmp_path / "boxes.json",
        {"image_id": 99, "bbox": [1, 2, 3, 4]},
        {"category_id": 98, "bbox": [1, 2, 3, 4]},
        {"id": 2, "bbox": [1, 2, 3, 4]},
        {"image_id": None, "category_id": [5]},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, "x", 3]},
        {"segmentation": [[1, 2, 3]]},
        images=[IMAGE, IMAGE, {"id": None, "file_name": "c.png"}, {"id": 4}, "e.png"],
        categories=[CYST, CYST, {"id": 6, "name": ""}],
    )
    with pytest.raises(DataError) as caught:
        read_annotations(file)
    message = str(caught.value)
    for part in (
        "image 2 of 5: id 1 stands twice",
        "image 3 of 5: id is None, expected a number or text",
        "image 5 of 5: is 'e.png', expected an object with fields",
        "category 2 of 3: id 5 stands twice",
        "annotation 3 of 7: id 2 stands twice",
        "image 4: image is missing",
        "category 6: name is empty",
        "annotation 1: image_id 99 is not in the file",
        "annotation 2: category_id 98 is not in the file",
        "annotation 4: image_id None is not in the file",
        "annotation 4: category_id [5] is not in the file",
        "annotation 5: bbox is [1, 2, 3], expected [x, y, width, height]",
        "annotation 6: bbox: 'x' is not a finite number",
        "annotation 7: segmentation has a polygon that is no list of x, y, x, y, ...",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is no JSON"),
        ("[]", "is no COCO file"),
        ('{"images": [], "annotations": {}}', "has no list annotations and no list categories"),
        ('{"images": [' + "[" * 100_000, "is no JSON"),
        ('{"images": [1' + "0" * 5000 + "]}", "JSON"),
        ('\ufeff{"images": [], "annotations": [], "categories": []', "is no JSON"),
    ],
)
def test_files_that_are_no_coco(tmp_path, text, fault):
    file = tmp_path / "boxes.json"
    file.write_text(text, encoding="utf-8")
    assert fault in fault_of(file, format="coco")


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/passwd", "C:\\scans\\a.png", "\\\\server\\a.png", "", "\ud800", 3.5]
)
def test_names_that_no_image_may_have(tmp_path, name):
    file = save(tmp_path / "boxes.json", images=[IMAGE | {"file_name": name}])
    assert "boxes.json, image 1: image" in fault_of(file)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("tumorkeras.data.annotations.coco.MOST_MEGABYTES", 0)
    assert "at most 0 MB" in fault_of(save(tmp_path / "boxes.json"))


def test_an_empty_data_set(tmp_path):
    table = read_annotations(save(tmp_path / "boxes.json", images=[]))
    assert (len(table), list(table.columns)) == (0, ["image", "class", *BOX, "split", "source"])
    assert table["xmin"].dtype == np.float32
