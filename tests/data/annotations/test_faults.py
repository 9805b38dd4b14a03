"""Faults of single files and rows: the rest is read, and nothing that is at fault becomes something else."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from tumorkeras.data.annotations import read_annotations, read_with_faults
from tumorkeras.errors import DataError

XML = (
    "<annotation><filename>{name}</filename><object><name>cyst</name><bndbox><xmin>{xmin}</xmin><ymin>2</ymin>"
    "<xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>"
)


def pairs(table):
    return [tuple(row) for row in table[["image", "class"]].to_numpy().tolist()]


def save(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def paint(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / name), np.zeros((100, 200), "uint8"))


def both(path, **options):
    """The reading, whose faults are those that read_annotations raises, all at once."""
    reading = read_with_faults(path, **options)
    with pytest.raises(DataError) as caught:
        read_annotations(path, **options)
    assert caught.value.heading == str(path)
    assert tuple(caught.value.faults) == reading.faults
    return reading


def test_without_faults(tmp_path):
    path = save(tmp_path / "boxes.csv", "image,class\na.png,cyst\n")
    table, faults, form = read_with_faults(path)
    assert table.equals(read_annotations(path))
    assert (faults, form) == ((), "csv")


def test_one_broken_file_of_thirty(tmp_path):
    for k in range(30):
        save(tmp_path / f"{k:02}.xml", XML.format(name=f"{k:02}.png", xmin=1))
    whole = read_annotations(tmp_path)
    save(tmp_path / "07.xml", "<annotation><object>")
    (tmp_path / "08.xml").write_bytes(b"<annotation>" + bytes(17 * 2**20))
    reading = both(tmp_path)
    assert reading.format == "voc"
    assert [fault.split(":")[0] for fault in reading.faults] == ["07.xml", "08.xml"]
    left = whole[~whole["image"].isin(["07.png", "08.png"])].reset_index(drop=True)
    assert reading.table.equals(left)


def test_an_image_whose_only_object_is_at_fault_is_not_without_objects(tmp_path):
    """It would be trained on as background."""
    voc, coco, yolo, masks = (tmp_path / name for name in ("voc", "coco", "yolo", "masks"))
    for name, xmin in (("a", 1), ("b", "two")):
        save(voc / f"{name}.xml", XML.format(name=f"{name}.png", xmin=xmin))
    content = {
        "images": [{"id": k, "file_name": f"{name}.png"} for k, name in enumerate("abc")],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3]},
            {"id": 3, "image_id": 2, "category_id": 9, "bbox": [1, 2, 3, 4]},
        ],
        "categories": [{"id": 1, "name": "cyst"}],
    }
    save(coco / "boxes.json", json.dumps(content))
    paint(yolo, "images/a.png", "images/b.png")
    save(yolo / "labels" / "a.txt", "0 .5 .5 1 1")
    save(yolo / "labels" / "b.txt", "0 .5 .5 1")
    save(yolo / "classes.txt", "cyst")
    masks.mkdir()
    for name, values in (("a", (1, 2)), ("b", (3, 3))):
        cv2.imwrite(str(masks / f"{name}.png"), np.array([[0, *values]], "uint8"))
    for folder, options in (
        (voc, {}), (coco, {}), (yolo, {}), (masks, {"format": "masks", "classes": {1: "cyst", 2: "cyst"}}),
    ):  # fmt: skip
        reading = both(folder, **options)
        assert {image.removesuffix(".png") for image in reading.table["image"]} == {"a"}
        assert set(reading.table["class"]) == {"cyst"}
        assert len(reading.faults) == 1 + (folder == coco)


def test_two_files_of_one_image(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / f"{name}.xml", XML.format(name="a.png" if name == "b" else f"{name}.png", xmin=1))
    reading = both(tmp_path)
    assert reading.table["source"].tolist() == ["a.xml, object 1", "c.xml, object 1"]
    assert reading.faults == ("b.xml: names the image 'a.png', as a.xml does; each file is one image",)


def test_an_image_in_two_parts_is_in_none(tmp_path):
    paint(tmp_path, "images/a.png", "images/b.png", "images/c.png")
    for name in "abc":
        save(tmp_path / "Annotations" / f"{name}.xml", XML.format(name=f"{name}.png", xmin=1))
        save(tmp_path / "labels" / f"{name}.txt", "0 .5 .5 1 1")
    for part, names in (("train", "ab"), ("val", "bc")):
        save(tmp_path / "ImageSets" / "Main" / f"{part}.txt", "\n".join(names))
        save(tmp_path / f"{part}.txt", "\n".join(f"images/{name}.png" for name in names))
    for form in ("voc", "yolo"):
        reading = both(tmp_path, format=form)
        assert reading.table["split"].tolist() == ["train", None, "val"]
        assert reading.faults == ("'b' is in train.txt and in val.txt; keep it in one",)


def test_bad_cells_leave_out_their_rows_only(tmp_path):
    text = "image,class,x1,y1,x2,y2,age,exam\na,u,1,2,3,4,50,1\na,u,1\nb,u,1,2,3,x,old,2\nc,u,5,6,7,8,70,3\nc,,,,,,,\n"
    reading = both(save(tmp_path / "boxes.csv", text))
    assert pairs(reading.table) == [("a", "u"), ("c", "u")]
    assert reading.table[["xmin", "ymax"]].to_numpy().tolist() == [[1, 4], [5, 8]]
    assert reading.table["age"].tolist() == [50, 70]
    assert reading.table["source"].tolist() == ["boxes.csv, line 2", "boxes.csv, line 5"]
    assert reading.faults == (
        "boxes.csv, line 3 has 3 cells, the header has 8",
        "boxes.csv, line 4: y2: 'x' is not a finite number",
    )


def test_an_uneven_line_does_not_hide_what_a_file_is(tmp_path):
    save(tmp_path / "boxes" / "boxes.csv", "image,class,x1,y1,x2,y2\na.png,u,1,2,3,4\nb.png,u,1,2,3,4,5\n")
    reading = both(tmp_path / "boxes")
    assert (reading.format, pairs(reading.table)) == ("csv", [("a.png", "u")])
    assert reading.faults == ("boxes.csv, line 3 has 7 cells, the header has 6",)
    save(tmp_path / "lists" / "u.csv", "image,age\na.png,1\nb.png\n")
    reading = both(tmp_path / "lists", format="lists")
    assert pairs(reading.table) == [("a.png", "u")]
    assert len(reading.faults) == 1


def test_paths_of_another_machine_in_every_form(tmp_path):
    paint(tmp_path, "images/a.png")
    paths = ("C:\\Users\\x\\images\\a.png", "/home/x/images/a.png", "/home/x/images/gone.png")
    csv = save(tmp_path / "a.csv", "image,class\n" + "".join(f"{path},u\n" for path in paths))
    images = [{"id": k, "file_name": path} for k, path in enumerate(paths)]
    items = [{"id": k, "image_id": k, "category_id": 1, "bbox": [1, 2, 3, 4]} for k in range(3)]
    content = {"images": images, "annotations": items, "categories": [{"id": 1, "name": "u"}]}
    coco = save(tmp_path / "a.json", json.dumps(content))
    for file in (csv, coco):
        reading = both(file, images=tmp_path / "images")
        assert pairs(reading.table) == [("a.png", "u")] * 2
        assert len(reading.faults) == 1
        assert "image '/home/x/images/gone.png' leaves the data folder" in reading.faults[0]
    for path in paths[:2]:
        voc = save(tmp_path / "a.xml", XML.format(name=path, xmin=1))
        assert read_annotations(voc, images=tmp_path / "images")["image"].tolist() == ["a.png"]


def test_shares_of_images_of_unknown_size(tmp_path):
    paint(tmp_path, "a.png")
    text = "image,class,cx,cy,w,h\ngone.png,u,.5,.5,1,1\na.png,u,.5,.5,.5,1\nalso.png,,,,,\n"
    reading = both(save(tmp_path / "boxes.csv", text), format="csv_relative")
    assert pairs(reading.table) == [("a.png", "u"), ("also.png", None)]
    assert reading.table.loc[0, ["xmin", "ymin", "xmax", "ymax"]].tolist() == [50, 0, 150, 100]
    assert reading.faults[0].startswith("boxes.csv, 'gone.png': its size is not known")


def test_one_broken_file_of_a_coco_folder(tmp_path):
    image = {"id": 1, "file_name": "a.png"}
    good = {"images": [image], "annotations": [], "categories": []}
    save(tmp_path / "train" / "boxes.json", json.dumps(good))
    save(tmp_path / "valid" / "boxes.json", json.dumps(good)[:-2])
    reading = both(tmp_path, format="coco")
    assert pairs(reading.table) == [("a.png", None)]
    assert reading.faults[0].startswith("valid/boxes.json: is no JSON")


def test_ids_that_stand_for_two_things_are_not_guessed(tmp_path):
    """What is the same twice is read; of an id with two meanings nothing is."""
    images = [{"id": k, "file_name": f"{name}.png"} for k, name in ((1, "a"), (1, "a"), (2, "b"), (2, "c"), (3, "d"))]
    names = [{"id": k, "name": name} for k, name in ((1, "cyst"), (2, "x"), (2, "y"))]
    boxes = [{"id": k, "image_id": image, "category_id": name, "bbox": [1, 2, 3, 4]}
             for k, image, name in ((1, 1, 1), (1, 1, 1), (3, 2, 1), (4, 3, 2))]  # fmt: skip
    content = {"images": images, "annotations": boxes, "categories": names}
    reading = both(save(tmp_path / "boxes.json", json.dumps(content)))
    assert pairs(reading.table) == [("a.png", "cyst"), ("a.png", "cyst")]
    assert reading.table["source"].tolist() == [
        "boxes.json, annotation 1", "boxes.json, annotation 1 again, 2 of 4",
    ]  # fmt: skip
    assert reading.faults == (
        "boxes.json, image 2 of 5: id 1 stands twice",
        "boxes.json, image 4 of 5: id 2 stands twice",
        "boxes.json, category 3 of 3: id 2 stands twice",
        "boxes.json, annotation 2 of 4: id 1 stands twice",
    )


def test_labels_without_an_image_and_labels_that_are_no_text(tmp_path):
    paint(tmp_path, "images/a.png", "images/c.png")
    save(tmp_path / "labels" / "a.txt", "0 .5 .5 1 1\n0 .5 .5\n")
    save(tmp_path / "labels" / "b.txt", "0 .5 .5 1 1\n")
    (tmp_path / "labels" / "c.txt").write_bytes(b"0 .5\0")
    reading = both(tmp_path, format="yolo")
    assert pairs(reading.table) == [("a.png", "0")]
    assert [fault.split(":")[0] for fault in reading.faults] == ["labels/b.txt", "labels/a.txt, line 2", "labels/c.txt"]


def test_one_broken_mask(tmp_path):
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.eye(4, dtype="uint8"))
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    reading = both(tmp_path, format="masks")
    assert pairs(reading.table) == [("a", "object")]
    assert reading.faults[0].startswith("b.png: ")


def test_folders_and_lists(tmp_path):
    paint(tmp_path, "classes/x/1.png")
    (tmp_path / "classes" / "y").mkdir()
    reading = both(tmp_path / "classes", format="folders")
    assert pairs(reading.table) == [("x/1.png", "x")]
    save(tmp_path / "lists" / "x.txt", "1.png\n../2.png\n")
    save(tmp_path / "lists" / "y.csv", "image,xmin\n3.png,1\n")
    (tmp_path / "lists" / "z.txt").write_bytes(b"\0")
    reading = both(tmp_path / "lists", format="lists")
    assert pairs(reading.table) == [("1.png", "x")]
    assert [fault.split(":")[0] for fault in reading.faults] == ["x.txt, line 2", "y.csv", "z.txt"]


@pytest.mark.parametrize("form", ["auto", "voc", "coco", "csv", "yolo", "masks", "folders", "lists"])
def test_what_cannot_be_read_at_all(tmp_path, form):
    with pytest.raises(DataError, match="there is no such"):
        read_with_faults(tmp_path / "nowhere", format=form)
    with pytest.raises(DataError):
        read_with_faults(tmp_path, format=form)


def test_a_file_that_is_broken_as_a_whole(tmp_path):
    for name, form in (("a.xml", "voc"), ("a.json", "coco"), ("a.png", "masks"), ("a.txt", "yolo")):
        with pytest.raises(DataError):
            read_with_faults(save(tmp_path / name, "{"), format=form)
    with pytest.raises(DataError, match="'vocc' is none of auto, voc"):
        read_with_faults(tmp_path, format="vocc")


def test_a_broken_file_among_the_blood_cells(data_folder, tmp_path):
    whole = read_annotations(data_folder / "bccd")
    for folder in ("Annotations", "ImageSets"):
        shutil.copytree(data_folder / "bccd" / folder, tmp_path / folder)
    first = sorted((tmp_path / "Annotations").glob("*.xml"))[0]
    first.chmod(0o644)
    first.write_text(first.read_text()[:-20])
    reading = read_with_faults(tmp_path, format="voc")
    assert len(reading.faults) == 1
    assert reading.table.equals(whole[~whole["source"].str.startswith(first.name)].reset_index(drop=True))
