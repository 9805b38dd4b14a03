"""Which form a path is in, and what is said where that is not sure."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from tumorkeras.data.annotations import FORMATS, read_annotations
from tumorkeras.data.annotations.detect import detect
from tumorkeras.errors import DataError

COCO = json.dumps({"images": [], "annotations": [], "categories": []})
BOXES = "image,class,xmin,ymin,xmax,ymax\na.png,cyst,1,2,3,4\n"
CONTENT = {
    "a.xml": ("voc", '<?xml version="1.0"?><annotation/>'),
    "a.json": ("coco", COCO),
    "a.csv": ("csv", BOXES),
    "a.tsv": ("csv", BOXES.replace(",", "\t")),
    "a.dat": ("csv", BOXES.replace(",", ";")),
    "a.txt": ("yolo", "0 0.5 0.5 1 1\n3 0.5 0.5 1e-3 1\n"),
    "data.yaml": ("yolo", "names: [cyst]"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_files(tmp_path, name):
    form, text = CONTENT[name]
    (tmp_path / name).write_text(text)
    assert detect(tmp_path / name) == (form, tmp_path / name)


@pytest.mark.parametrize("name", ["a.xml", "a.json", "data.yaml", "a.txt"])
def test_folders_of_files(tmp_path, name):
    form, text = CONTENT[name]
    (tmp_path / name).write_text(text)
    assert detect(tmp_path) == (form, tmp_path)


def test_content_goes_before_the_ending(tmp_path):
    (tmp_path / "boxes.txt").write_text(COCO)
    assert detect(tmp_path / "boxes.txt")[0] == "coco"
    (tmp_path / "boxes.json").write_text("\ufeff  <annotation/>")
    assert detect(tmp_path / "boxes.json")[0] == "voc"


def test_the_one_table_of_boxes_in_a_folder(tmp_path):
    (tmp_path / "boxes.csv").write_text(BOXES)
    (tmp_path / "patients.csv").write_text("patient,age\n1,61\n")
    (tmp_path / "images.csv").write_text("image,class\na.png,cyst\n")
    assert detect(tmp_path) == ("csv", tmp_path / "boxes.csv")
    (tmp_path / "boxes.csv").unlink()
    assert detect(tmp_path) == ("csv", tmp_path / "images.csv")


def test_several_forms_are_named(tmp_path):
    (tmp_path / "boxes.csv").write_text(BOXES)
    (tmp_path / "coco.json").write_text(COCO)
    with pytest.raises(
        DataError, match=r"may be several forms: coco \(\.\), csv \(boxes\.csv\); name the file"
    ) as caught:
        read_annotations(tmp_path)
    assert all(name in str(caught.value) for name in FORMATS)


def test_the_ultrasound_folder_is_not_guessed(data_folder):
    with pytest.raises(DataError, match=r"csv \(boxes\.csv\), masks \(masks\)"):
        read_annotations(data_folder / "busi")


def test_a_folder_of_masks_in_a_folder(tmp_path):
    for name in ("masks/a.png", "scans/a.png"):
        (tmp_path / name).parent.mkdir()
        cv2.imwrite(str(tmp_path / name), np.eye(4, dtype="uint8"))
    assert detect(tmp_path) == ("masks", tmp_path / "masks")


def test_photographs_in_a_folder_called_so_are_no_masks(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("labels/x/1.png", "labels/y/2.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 255, (20, 20), dtype="uint8"))
    assert detect(tmp_path / "labels") == ("folders", tmp_path / "labels")


@pytest.mark.parametrize("text", ["", "hello\n", "{}", '{"shapes": []}', "\x00\x01"])
def test_what_is_no_annotation(tmp_path, text):
    for name in ("a.txt", "a.json", "a"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match="holds annotations of no form that is known; say which with format=: voc,"):
            read_annotations(tmp_path / name)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_annotations(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no form that is known"):
        read_annotations(tmp_path)
    with pytest.raises(DataError, match="'xml' is none of auto, voc"):
        read_annotations(tmp_path, format="xml")
