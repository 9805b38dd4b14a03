"""Pascal VOC: files, folders, data sets with parts, the real blood cells, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tumorkeras.data.annotations import read_annotations
from tumorkeras.errors import DataError

OBJECT = """<object><name>{name}</name><difficult>1</difficult><bndbox>
<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


def xml(filename="a.png", objects=(("cyst", (1, 2, 3, 4)),), size="<size><width>8</width><height>6</height></size>"):
    listed = "".join(OBJECT.format(name=name, box=box) for name, box in objects)
    return f"<annotation><filename>{filename}</filename>{size}{listed}</annotation>"


def fault_of(path, **options):
    with pytest.raises(DataError) as caught:
        read_annotations(path, **options)
    return str(caught.value)


def test_one_file(tmp_path):
    file = tmp_path / "a.xml"
    file.write_text(xml(objects=[("cyst", (1, 2, 3, 4)), ("tumour", (0.5, 1.25, 7, 5.75))]))
    table = read_annotations(file)
    assert list(table) == [
        "image", "class", "xmin", "ymin", "xmax", "ymax", "split", "source",
        "width", "height", "difficult", "truncated",
    ]  # fmt: skip
    assert table["image"].tolist() == ["a.png", "a.png"]
    assert table["class"].tolist() == ["cyst", "tumour"]
    assert table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[1, 2, 3, 4], [0.5, 1.25, 7, 5.75]]
    assert table["xmin"].dtype == np.float32
    assert table["source"].tolist() == ["a.xml, object 1", "a.xml, object 2"]
    assert table["split"].isna().all()
    assert (table["width"].tolist(), table["height"].tolist()) == ([8, 8], [6, 6])
    assert table["difficult"].tolist() == [1, 1]
    assert table["truncated"].isna().all()


def test_pixels_counted_from_1_with_the_last_one_inside(tmp_path):
    """The whole image of 8 x 6 is 1, 1, 8, 6 there, and one pixel has equal ends."""
    (tmp_path / "a.xml").write_text(xml(objects=[("cyst", (1, 1, 8, 6)), ("dot", (3, 3, 3, 3))]))
    table = read_annotations(tmp_path, format="voc_inclusive")
    assert table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[0, 0, 8, 6], [2, 2, 3, 3]]


def test_an_image_without_objects(tmp_path):
    (tmp_path / "a.xml").write_text(xml(objects=[], size=""))
    (row,) = read_annotations(tmp_path).to_dict("records")
    assert row["image"] == "a.png"
    assert row["class"] is None
    assert np.isnan(row["xmin"])
    assert row["source"] == "a.xml"


def data_set(folder, parts):
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        (folder / "Annotations" / f"{name}.xml").write_text(xml(f"{name}.png"))
    for part, names in parts.items():
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text(names)
    return folder


def test_parts_of_a_data_set(tmp_path):
    data_set(tmp_path, {"train": "a\r\nb\r\n", "val": "c\n", "trainval": "a\nb\nc\nd\n"})
    table = read_annotations(tmp_path)
    assert dict(zip(table["image"], table["split"], strict=True)) == {
        "a.png": "train", "b.png": "train", "c.png": "val", "d.png": None,
    }  # fmt: skip
    assert read_annotations(tmp_path / "Annotations").equals(table)
    assert read_annotations(tmp_path / "Annotations" / "c.xml")["split"].tolist() == ["val"]


def test_an_image_in_two_parts_is_named(tmp_path):
    data_set(tmp_path, {"train": "a\nb\n", "val": "b\n"})
    assert "'b' is in train.txt and in val.txt" in fault_of(tmp_path)


def test_parts_by_folder(tmp_path):
    """As Roboflow exports: the images lie beside the files."""
    for part in ("train", "valid"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.xml").write_text(xml(f"{part}.png"))
        (tmp_path / part / f"{part}.png").write_bytes(b"")
    table = read_annotations(tmp_path)
    assert table["image"].tolist() == ["train/train.png", "valid/valid.png"]
    assert table["split"].tolist() == ["train", "val"]


def test_faults_are_named_all_at_once(tmp_path):
    (tmp_path / "a.xml").write_text(
        xml(objects=[("", (1, 2, 3, 4)), ("cyst", (1, "two", 3, 4)), ("cyst", (1, 2, 3, 4))])
    )
    (tmp_path / "b.xml").write_text(
        "<annotation><filename>b.png</filename><object><name>x</name></object></annotation>"
    )
    (tmp_path / "c.xml").write_text("<annotation><object>")
    (tmp_path / "d.xml").write_text("<html/>")
    (tmp_path / "e.xml").write_text(xml("a.png"))
    (tmp_path / "f.xml").write_text(xml("../../f.png"))
    message = fault_of(tmp_path)
    for part in (
        "7 faults",
        "a.xml, object 1: name is empty",
        "a.xml, object 2: ymin: 'two' is not a finite number",
        "b.xml, object 1: has no <bndbox>",
        "c.xml: is no XML",
        "d.xml: is no Pascal VOC annotation: the outermost element is <html>",
        "e.xml: names the image 'a.png', as a.xml does",
        "f.xml: image '../../f.png' leaves the data folder",
    ):
        assert part in message


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "", "1_0", "0x10", "٣", "1,2,3"])
def test_numbers_that_are_none(tmp_path, number):
    (tmp_path / "a.xml").write_text(xml(objects=[("cyst", (1, 2, number, 4))]), encoding="utf-8")
    assert "xmax" in fault_of(tmp_path, format="voc")


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY x "boom">]>',
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;&b;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_never_expanded(tmp_path, head):
    (tmp_path / "a.xml").write_text(head + xml("&x;.png"))
    message = fault_of(tmp_path)
    assert "entities, which are never expanded" in message
    assert "root:" not in message


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    file = tmp_path / "a.xml"
    with file.open("wb") as sparse:
        sparse.write(b"<annotation>")
        sparse.truncate(17 * 2**20)
    assert "a.xml: has 17 MB, files of this kind at most 16 MB" in fault_of(tmp_path)


def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path):
    inside = tmp_path / "data"
    inside.mkdir()
    (tmp_path / "secret.xml").write_text(xml())
    (inside / "a.xml").symlink_to(tmp_path / "secret.xml")
    assert "a.xml: is a link that leaves the data folder" in fault_of(inside, format="voc")
    (inside / "b.xml").write_text(xml("b.png"))
    (inside / "a.xml").unlink()
    (inside / "c.xml").symlink_to(inside / "b.xml")
    assert "c.xml: names the image 'b.png', as b.xml does" in fault_of(inside)


def test_names_of_windows_and_of_the_world(tmp_path):
    (tmp_path / "a.xml").write_text(xml("scans\\Größe 测试.png"), encoding="utf-8")
    assert read_annotations(tmp_path)["image"].tolist() == ["scans/Größe 测试.png"]


def test_the_blood_cells(data_folder):
    """Counts of the data set's own description, two boxes without area included."""
    table = read_annotations(data_folder / "bccd")
    assert table.groupby("split")["image"].nunique().to_dict() == {"train": 205, "val": 87}
    assert table["class"].value_counts().to_dict() == {"RBC": 3350, "WBC": 301, "Platelets": 292}
    flat = table[(table["xmax"] <= table["xmin"]) | (table["ymax"] <= table["ymin"])]
    assert flat[["image", "class"]].to_numpy().tolist() == [
        ["BloodImage_00338.jpg", "RBC"],
        ["BloodImage_00343.jpg", "RBC"],
    ]
    assert (table[["width", "height"]] == [640, 480]).all(axis=None)
    assert table.iloc[0][["xmin", "ymin", "xmax", "ymax"]].tolist() == [260, 177, 491, 376]


def test_why_the_blood_cells_are_read_as_edges(data_folder):
    """No side is 0 and 493 are 1, where 2 comes 20 times: 0 was raised to 1, as LabelImg does."""
    table = read_annotations(data_folder / "bccd")
    starts = table[["xmin", "ymin"]].to_numpy()
    assert [int((starts == value).sum()) for value in (0, 1, 2)] == [0, 493, 20]
    assert (table["xmax"].max(), table["ymax"].max()) == (640, 480)
