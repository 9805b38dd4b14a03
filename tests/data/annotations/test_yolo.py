"""YOLO: layouts, names of classes, polygons, confidences, and lines that are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tumorkeras.data.annotations import read_annotations, read_with_faults
from tumorkeras.data.annotations.yolo import names_in
from tumorkeras.errors import DataError

BOX = ["xmin", "ymin", "xmax", "ymax"]


@pytest.fixture
def folder(tmp_path):
    """Images of 200 x 100 at the places that are asked for, and text files."""

    def fill(*images, **texts):
        for name in images:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / name), np.zeros((100, 200), "uint8"))
        for name, text in texts.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return fill


def fault_of(path, **options):
    with pytest.raises(DataError) as caught:
        read_annotations(path, **options)
    return str(caught.value)


def test_a_box_by_hand(folder):
    root = folder("images/a.png", labels__a_dot_txt="1 0.5 0.5 0.25 0.5\n", classes_dot_txt="cyst\ntumour\n")
    table = read_annotations(root)
    (row,) = table.to_dict("records")
    assert (row["image"], row["class"], row["source"]) == ("a.png", "tumour", "labels/a.txt, line 1")
    assert [row[side] for side in BOX] == [75, 25, 125, 75]
    assert (row["width"], row["height"]) == (200, 100)


def test_empty_files_and_images_without_a_file(folder):
    root = folder("images/a.png", "images/b.png", labels__a_dot_txt="\n", classes_dot_txt="cyst\n")
    table = read_annotations(root, format="yolo")
    assert table["image"].tolist() == ["a.png"]
    assert table[["class", *BOX]].isna().all(axis=None)


def test_polygons_and_confidences(folder):
    lines = "0 0.1 0.2 0.5 0.3 0.3 0.9\n\n0 0.5 0.5 0.25 0.5 0.75\n"
    table = read_annotations(folder("images/a.png", labels__a_dot_txt=lines, classes_dot_txt="cyst"))
    np.testing.assert_allclose(table[BOX], [[20, 20, 100, 90], [75, 25, 125, 75]], rtol=1e-6)
    assert table["confidence"].fillna(0).tolist() == [0, 0.75]
    assert table["source"].tolist() == ["labels/a.txt, line 1", "labels/a.txt, line 3"]


@pytest.mark.parametrize("names", ["[cyst, tumour]", "{0: cyst, 1: tumour}"])
def test_parts_as_folders_of_images_and_labels(folder, names):
    root = folder(
        "images/train/a.png",
        "images/val/b.png",
        labels__train__a_dot_txt="0 .5 .5 1 1",
        labels__val__b_dot_txt="1 .5 .5 1 1",
        data_dot_yaml=f"train: images/train\nval: images/val\nnames: {names}\n",
    )
    table = read_annotations(root)
    assert table["image"].tolist() == ["train/a.png", "val/b.png"]
    assert table["class"].tolist() == ["cyst", "tumour"]
    assert table["split"].tolist() == ["train", "val"]
    assert read_annotations(root / "data.yaml").equals(table)


def test_parts_around_images_and_labels(folder):
    """As Roboflow exports, where names may be the same in two parts."""
    root = folder(
        "train/images/a.png",
        "valid/images/a.png",
        train__labels__a_dot_txt="0 .5 .5 1 1",
        valid__labels__a_dot_txt="",
        data_dot_yaml="names: [cyst]",
    )
    table = read_annotations(root)
    assert table["image"].tolist() == ["train/images/a.png", "valid/images/a.png"]
    assert table["split"].tolist() == ["train", "val"]


def test_images_beside_labels_and_lists_of_parts(folder):
    root = folder(
        "data/a.png",
        "data/b.png",
        data__a_dot_txt="0 .5 .5 1 1",
        data__b_dot_txt="0 .5 .5 1 1",
        obj_dot_names="cyst\n",
        train_dot_txt="data/a.png\n/elsewhere/c.png\n",
        valid_dot_txt="data\\b.png\n",
    )
    table = read_annotations(root)
    assert table["image"].tolist() == ["data/a.png", "data/b.png"]
    assert table["split"].tolist() == ["train", "val"]


def test_labels_alone_with_a_folder_of_images(folder, caplog):
    root = folder("scans/a.png", boxes__a_dot_txt="2 .5 .5 1 1")
    table = read_annotations(root / "boxes", images=root / "scans")
    assert (table["image"].tolist(), table["class"].tolist()) == (["a.png"], ["2"])
    assert "the numbers are the names" in caplog.text
    table = read_annotations(root / "boxes" / "a.txt", images=root / "scans", classes=["x", "y", "z"])
    assert table["class"].tolist() == ["z"]
    table = read_annotations(root / "boxes", images=root / "scans", classes={2: "tumour"})
    assert table["class"].tolist() == ["tumour"]


def test_faults_are_named_all_at_once(folder):
    lines = [
        "0 .5 .5 1",
        "0 x .5 1 1",
        "-1 .5 .5 1 1",
        "0.5 .5 .5 1 1",
        "7 .5 .5 1 1",
        "0 .5 .5 1 1 1 1 1",
        "0 nan 0 1 1",
    ]
    root = folder(
        "images/a.png",
        "images/c.png",
        labels__a_dot_txt="\n".join(lines),
        labels__b_dot_txt="0 .5 .5 1 1",
        labels__c_dot_txt="0 .5 .5 1 1",
        classes_dot_txt="cyst",
    )
    (root / "images" / "c.png").write_bytes(b"no image")
    message = fault_of(root, format="yolo")
    for part in (
        "9 faults",
        "labels/b.txt: no image of that name in images; its size is needed",
        "c.png: its size cannot be read",
        "labels/a.txt, line 1: has 4 values",
        "labels/a.txt, line 2: value: 'x' is not a finite number",
        "labels/a.txt, line 3: class '-1' is no whole number",
        "labels/a.txt, line 4: class '0.5' is no whole number",
        "labels/a.txt, line 5: class 7 has no name; there are {0: 'cyst'}",
        "labels/a.txt, line 6: has 8 values",
        "labels/a.txt, line 7: value: 'nan' is not a finite number",
    ):
        assert part in message


@pytest.mark.parametrize(
    "text",
    [
        "names: [a",
        "names: {0: a, '0': b}",
        "names: {x: a}",
        "names: {-1: a}",
        "names: ['', b]",
        "names: [[1]]",
        "a: &a [*a",
    ],
)
def test_names_that_cannot_be_read(folder, text):
    root = folder("images/a.png", labels__a_dot_txt="0 .5 .5 1 1", data_dot_yaml=text)
    assert "data.yaml" in fault_of(root)


def test_numbers_with_gaps_are_sorted_as_numbers(folder):
    root = folder("images/a.png", labels__a_dot_txt="10 .5 .5 1 1\n2 .5 .5 1 1\n")
    (root / "data.yaml").write_text("names: {0: a, 10: k, 2: c}")
    assert list(names_in(root / "data.yaml").items()) == [(0, "a"), (2, "c"), (10, "k")]
    assert read_annotations(root)["class"].tolist() == ["k", "c"]
    (root / "labels" / "a.txt").write_text("1 .5 .5 1 1")
    assert "class 1 has no name; there are {0: 'a', 2: 'c', 10: 'k'}" in fault_of(root)


@pytest.mark.parametrize(
    ("file", "text"), [("data.yaml", "names: [WBC, RBC]"), ("classes.txt", "WBC\nRBC\n"), ("obj.names", "WBC\nRBC")]
)
def test_the_names_of_the_data_set_win_over_those_that_are_given(folder, file, text):
    """A spec lists its classes in an order of its own, which is not that of the numbers in the labels."""
    root = folder("images/a.png", labels__a_dot_txt="0 .5 .5 1 1\n1 .5 .5 .5 .5\n")
    assert read_annotations(root, classes=["RBC", "WBC"])["class"].tolist() == ["RBC", "WBC"]
    (root / file).write_text(text)
    assert read_annotations(root, classes=["RBC", "WBC"])["class"].tolist() == ["WBC", "RBC"]
    reading = read_with_faults(root, classes=["RBC", "Platelets"])
    assert reading.table["class"].tolist() == ["WBC", "RBC"]
    assert reading.faults == (
        f"{file}: its classes are not those that are given; only there are WBC; only in those that are given are "
        "Platelets: make both the same",
    )


def test_names_that_cannot_be_read_are_not_guessed(folder):
    root = folder("images/a.png", labels__a_dot_txt="0 .5 .5 1 1", data_dot_yaml="names: [a")
    reading = read_with_faults(root, classes=["RBC", "WBC"])
    assert reading.table["class"].tolist() == ["0"]
    assert "data.yaml: is no YAML" in reading.faults[0]


def test_a_file_of_names_without_any_is_passed_over(folder):
    root = folder("images/a.png", labels__a_dot_txt="0 .5 .5 1 1", data_dot_yaml="nc: 1", classes_dot_txt="\n")
    assert read_annotations(root, classes=["RBC"])["class"].tolist() == ["RBC"]


def test_texts_about_the_data_are_no_labels(folder):
    root = folder("a.png", a_dot_txt="0 .5 .5 1 1", README_dot_txt="by us", Licence_dot_txt="free")
    assert read_annotations(root)["image"].tolist() == ["a.png"]


def test_a_folder_without_labels(tmp_path):
    assert "holds no text file with labels" in fault_of(tmp_path, format="yolo")
    assert "there is no such file or folder" in fault_of(tmp_path / "nowhere", format="yolo")
