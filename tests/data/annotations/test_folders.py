"""A folder a class, and a list of images a class."""

from __future__ import annotations

import pytest

from tumorkeras.data.annotations import read_annotations
from tumorkeras.errors import DataError


def touch(folder, *names, text=""):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def fault_of(path, **options):
    with pytest.raises(DataError) as caught:
        read_annotations(path, **options)
    return str(caught.value)


def rows_of(table):
    return [tuple(row) for row in table[["image", "class", "split"]].to_numpy().tolist()]


def test_a_folder_a_class(tmp_path):
    touch(tmp_path, "benign/1.png", "benign/more/2.JPG", "malignant/1.nii.gz", "loose.png", "benign/.hidden.png")
    table = read_annotations(tmp_path)
    assert rows_of(table) == [
        ("benign/1.png", "benign", None),
        ("benign/more/2.JPG", "benign", None),
        ("malignant/1.nii.gz", "malignant", None),
    ]
    assert table[["xmin", "ymin", "xmax", "ymax"]].isna().all(axis=None)


@pytest.mark.parametrize("place", ["{part}/{name}", "{name}/{part}"])
def test_parts_around_or_inside_classes(tmp_path, place):
    paths = {(part, name): place.format(part=part, name=name) for part in ("train", "test") for name in ("x", "y")}
    touch(tmp_path, *(f"{path}/1.png" for path in paths.values()))
    found = {(split, name) for _, name, split in rows_of(read_annotations(tmp_path, format="folders"))}
    assert found == set(paths)


def test_folders_without_images_are_named(tmp_path):
    touch(tmp_path, "train/benign/1.png", "train/malignant/notes.txt", "train/normal/.hidden.png")
    message = fault_of(tmp_path, format="folders")
    assert "folder 'train/malignant' has no image" in message
    assert "folder 'train/normal' has no image" in message
    assert "has no folder a class with images" in fault_of(touch(tmp_path / "b", "1.png"), format="folders")


def test_a_list_a_class(tmp_path):
    touch(tmp_path, "benign.txt", text="1.png\r\n\nscans\\2.png\r\n")
    touch(tmp_path, "malignant_train.txt", text="3.png\n")
    touch(tmp_path, "val/malignant.csv", text="4.png,2021\n")
    touch(tmp_path, "README.txt", text="about 1.png\n")
    table = read_annotations(tmp_path)
    assert rows_of(table) == [
        ("1.png", "benign", None),
        ("scans/2.png", "benign", None),
        ("3.png", "malignant", "train"),
        ("4.png", "malignant", "val"),
    ]
    assert table["source"].tolist() == [
        "benign.txt, line 1", "benign.txt, line 3", "malignant_train.txt, line 1", "val/malignant.csv, line 1",
    ]  # fmt: skip


def test_lists_with_the_flags_of_pascal_voc(tmp_path):
    touch(tmp_path, "cyst_val.txt", text="2008_01 -1\n2008_02  1\n2008_03 0\n")
    assert rows_of(read_annotations(tmp_path, format="lists")) == [("2008_02", "cyst", "val")]


def test_lists_with_boxes(tmp_path):
    touch(tmp_path, "cyst.csv", text="file,x1,y1,x2,y2\na.png,1,2,3,4\nb.png,,,,\n")
    table = read_annotations(tmp_path, format="lists")
    assert table["class"].tolist() == ["cyst", "cyst"]
    assert table.loc[0, ["xmin", "ymin", "xmax", "ymax"]].tolist() == [1, 2, 3, 4]


def test_lines_that_name_no_image(tmp_path):
    touch(tmp_path, "cyst.txt", text="a.png\n../b.png\n/etc/passwd\n\x01\n")
    message = fault_of(tmp_path, format="lists")
    assert "3 faults" in message
    assert "cyst.txt, line 2: image '../b.png' leaves the data folder" in message
    assert "has no list of images a class" in fault_of(touch(tmp_path / "empty", "1.png"), format="lists")
