"""Writers: what is written is read again, digit for digit, and what a form cannot hold is said."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.data.annotations import read_annotations, write_annotations
from tumorkeras.data.annotations.names import is_plain_name, without_ending
from tumorkeras.errors import DataError

BOX = ["xmin", "ymin", "xmax", "ymax"]
BASE = ["image", "class", *BOX, "split"]
LABELS = (
    st.text(st.characters(blacklist_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=8).map(str.strip).filter(bool)
)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda steps: "/".join(steps) + ".png").filter(is_plain_name)
# As annotations have them: whole, or with a few digits after the point.
SIDES = st.one_of(
    st.integers(-20, 5000), st.integers(-2000, 500000).map(lambda n: n / 100), st.floats(0.5, 4096, width=32)
)


@st.composite
def tables(draw, labels_of_images=True, parts=True, by_image=True):
    """Annotations with boxes, images without objects and, where asked for, classes of whole images."""
    rows = []
    for name in draw(st.lists(NAMES, max_size=4, unique_by=lambda name: without_ending(name).casefold())):
        split = draw(st.sampled_from(["train", "val", "test", None])) if parts else None
        kinds = draw(st.lists(st.sampled_from(["box", "label"] if labels_of_images else ["box"]), max_size=3))
        for kind in kinds or ["none"]:
            label = draw(LABELS.filter(lambda text: text.lower() != "nan")) if kind != "none" else None
            box = [draw(SIDES) for _ in BOX] if kind == "box" else [np.nan] * 4
            rows.append([name, label, *box, split])
    return pd.DataFrame(rows, columns=BASE).astype(dict.fromkeys(BOX, "float32"))


def again(table, place, **options):
    """The table after it was written and read, by image, and the notes of the writer."""
    with tempfile.TemporaryDirectory() as folder:
        notes = write_annotations(table, Path(folder, place), **options)
        form = {"format": options["format"]} if "format" in options else {}
        return read_annotations(Path(folder, place), **form), notes


def sorted_by_image(table):
    found = table[BASE].sort_values("image", kind="stable").reset_index(drop=True)
    return found.astype(object).where(found.notna(), None)


def assert_same(found, table):
    pd.testing.assert_frame_equal(sorted_by_image(found), sorted_by_image(table))


@settings(max_examples=25)
@given(tables())
def test_csv_there_and_back(table):
    found, notes = again(table, "boxes.csv")
    assert notes == []
    assert_same(found, table)


@settings(max_examples=25)
@given(tables())
def test_coco_there_and_back(table):
    if table.empty:
        return
    found, notes = again(table, "coco", format="coco")
    assert notes == []
    assert_same(found, table)


@settings(max_examples=25)
@given(tables(labels_of_images=False), st.sampled_from(["voc", "voc_inclusive"]))
def test_voc_there_and_back(table, form):
    if table.empty:
        return
    found, notes = again(table, "data", format=form)
    assert [note for note in notes if "rounding" not in note] == []
    if not notes:
        assert_same(found, table)
    assert notes == [] or form == "voc_inclusive"


def test_the_ultrasound_boxes_there_and_back(data_folder):
    """Every digit of the file is there again, in all three forms."""
    table = read_annotations(data_folder / "busi" / "boxes.csv")
    for place, form in (("a.csv", "csv"), ("a", "coco"), ("b", "voc")):
        found, notes = again(table, place, format=form)
        assert notes == ([] if form == "csv" else [f"{form} holds no column lesion"])
        assert_same(found, table)
    with tempfile.TemporaryDirectory() as folder:
        write_annotations(table, Path(folder, "a.csv"))
        written = Path(folder, "a.csv").read_text().splitlines()
    assert written[1] == "benign_001,benign,262.38,122.05,308.84,145.73,train,1"


def test_the_blood_cells_there_and_back(data_folder):
    table = read_annotations(data_folder / "bccd")
    found, notes = again(table, "data", format="voc")
    assert notes == []
    pd.testing.assert_frame_equal(found, table)
    found, notes = again(table, "boxes.csv")
    pd.testing.assert_frame_equal(found.drop(columns="source"), table.drop(columns="source"))
    found, notes = again(table, "coco", format="coco")
    assert notes == ["coco holds no column difficult, truncated"]
    assert_same(found, table)


def test_digits_of_voc_are_those_that_were_read(tmp_path):
    text = "<annotation><filename>a.png</filename><object><name>x</name><bndbox>{}</bndbox></object></annotation>"
    sides = {"xmin": "262.38", "ymin": "1", "xmax": "308.845", "ymax": "0.1"}
    (tmp_path / "a.xml").write_text(text.format("".join(f"<{k}>{v}</{k}>" for k, v in sides.items())))
    write_annotations(read_annotations(tmp_path / "a.xml"), tmp_path / "b.xml")
    assert dict(re.findall(r"<([xy]m\w+)>(.*?)</", (tmp_path / "b.xml").read_text())) == sides


BOXES = pd.DataFrame(
    [["a.png", "x", 1, 2, 3, 4, "train"], ["b.png", "y", *[np.nan] * 4, "val"], ["c.png", None, *[np.nan] * 4, None]],
    columns=BASE,
)


def test_what_a_coco_file_holds(tmp_path):
    notes = write_annotations(BOXES.assign(width=8, height=6, age=61), tmp_path / "boxes.json")
    assert notes == ["coco holds no column age", "one COCO file holds no parts; give a folder for a file a part"]
    content = json.loads((tmp_path / "boxes.json").read_text())
    assert content["images"][0] == {"id": 1, "file_name": "a.png", "width": 8, "height": 6}
    assert content["annotations"] == [
        {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 2, 2], "area": 4},
        {"id": 2, "image_id": 2, "category_id": 2, "iscrowd": 0},
    ]
    assert content["categories"] == [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]


def test_a_coco_file_is_one_for_pycocotools(tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    write_annotations(BOXES, tmp_path / "boxes.json")
    read = coco.COCO(str(tmp_path / "boxes.json"))
    assert read.loadAnns(read.getAnnIds(imgIds=[1]))[0]["bbox"] == [1, 2, 2, 2]
    capsys.readouterr()


def test_a_coco_file_a_part(tmp_path):
    write_annotations(BOXES, tmp_path / "coco", format="coco")
    names = ["instances.json", "instances_train.json", "instances_val.json"]
    assert sorted(file.name for file in (tmp_path / "coco").iterdir()) == names
    assert_same(read_annotations(tmp_path / "coco"), BOXES)


def test_what_voc_cannot_hold(tmp_path):
    notes = write_annotations(BOXES.assign(iscrowd=1), tmp_path, format="voc")
    assert notes == ["voc holds no column iscrowd", "Pascal VOC holds no class of a whole image: 1 rows are left out"]
    assert_same(read_annotations(tmp_path), BOXES.drop(index=1).reset_index(drop=True))
    assert not (tmp_path / "Annotations" / "b.xml").exists()
    with pytest.raises(DataError, match="holds one image, the table has 2; give a folder"):
        write_annotations(BOXES, tmp_path / "a.xml")
    assert write_annotations(BOXES[:1], tmp_path / "a.xml") == ["one Pascal VOC file holds no part; give a folder"]


@pytest.mark.parametrize(("place", "rows"), [("voc", BOXES[1:2]), ("a.xml", BOXES[1:2]), ("voc", BOXES[:0])])
def test_a_table_of_which_voc_holds_nothing(tmp_path, place, rows):
    with pytest.raises(DataError, match="Pascal VOC holds boxes and images without objects, the table has neither"):
        write_annotations(rows, tmp_path / place, format="voc")
    assert list(tmp_path.iterdir()) == []


def test_sides_that_rounding_changes_are_counted(tmp_path):
    tiny = BOXES[:1].assign(xmin=1e-9)
    assert write_annotations(tiny, tmp_path / "a", format="voc") == []
    assert write_annotations(tiny, tmp_path / "b", format="voc_inclusive") == [
        "1 sides of boxes are changed by rounding"
    ]
    tiny = BOXES[:1].assign(xmin=1e17, xmax=1e-10)
    assert write_annotations(tiny, tmp_path / "coco", format="coco") == [
        "instances_train.json: 1 boxes are changed by rounding"
    ]


def test_images_that_would_share_a_file_are_named(tmp_path):
    twice = BOXES.assign(image=["a.png", "b.png", "a.jpg"])
    with pytest.raises(DataError, match=r"the images 'a\.png' and 'a\.jpg' would share the file a\.xml"):
        write_annotations(twice, tmp_path, format="voc")


@pytest.mark.parametrize(("form", "other"), [("voc", "Annotations/z.xml"), ("coco", "instances_test.json")])
def test_other_annotations_are_not_mixed_in(tmp_path, form, other):
    (tmp_path / other).parent.mkdir(exist_ok=True)
    (tmp_path / other).write_text("")
    with pytest.raises(DataError, match=f"holds other annotations, such as {Path(other).name}; give an empty folder"):
        write_annotations(BOXES, tmp_path, format=form)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"image": "../a.png"}, "image '../a.png' is no path below the folder of the images"),
        ({"image": "a\\b.png"}, "is no path below"),
        ({"image": "C:/a.png"}, "is no path below"),
        ({"image": "a//b.png"}, "is no path below"),
        ({"image": None}, "is no path below"),
        ({"class": " x"}, "class ' x' is no plain text"),
        ({"class": "x\n"}, "class 'x\\n' is no plain text"),
        ({"xmin": np.nan}, "the box lacks xmin; give all four or none"),
        ({"xmin": np.inf}, "the box is not finite or beyond any image"),
        ({"xmin": 1e300}, "the box is not finite or beyond any image"),
        ({"xmin": "left"}, "holds a value of the wrong kind"),
        ({"class": None}, "has a box and no class"),
        ({"split": "third"}, "split 'third' is none of train, val, test"),
        ({"width": "wide"}, "holds a value of the wrong kind"),
    ],
)
def test_tables_that_are_no_annotations(tmp_path, change, fault):
    with pytest.raises(DataError) as caught:
        write_annotations(BOXES[:1].assign(**change), tmp_path / "a.csv")
    assert fault in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_columns_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="has no column 'xmax'"):
        write_annotations(BOXES.drop(columns="xmax"), tmp_path / "a.csv")
    assert write_annotations(BOXES.drop(columns="split"), tmp_path / "a.csv") == []
    with pytest.raises(DataError, match=r"is no \.csv, \.json or \.xml; say format="):
        write_annotations(BOXES, tmp_path / "a.txt")


def test_a_class_called_nan_is_lost_in_a_csv(tmp_path):
    notes = write_annotations(BOXES[1:2].assign(**{"class": "NaN"}), tmp_path / "a.csv")
    assert notes == ["CSV holds no class of the name nan: 1 rows lose theirs"]
