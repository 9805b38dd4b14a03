"""The one table: its columns and types, needless rows, names and numbers of files."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from tumorkeras.boxes import CORNERS
from tumorkeras.data.annotations.content import NUMBER, PLAIN_NUMBER, count, number
from tumorkeras.data.annotations.names import Fault, ImageNames, ImagesByStem, clean_text, part_in, visible_files
from tumorkeras.data.annotations.table import COLUMNS, has_box, is_empty, make_row, make_table
from tumorkeras.data.annotations.yolo import LINE
from tumorkeras.data.text import read_bytes, read_text
from tumorkeras.errors import DataError


def test_an_empty_table_has_its_columns_and_types():
    table = make_table([], [])
    assert list(table) == COLUMNS
    assert (table[CORNERS].dtypes == np.float32).all()
    assert (table[["image", "class", "split", "source"]].dtypes == "object").all()


def test_what_a_row_says():
    rows = [
        make_row("a.png", "1", class_name="x", box=(1, 2, 3, 4), width=8),
        make_row("b.png", "2", class_name="x", split="val"),
        make_row("c.png", "3"),
    ]
    table = make_table(rows, [])
    assert has_box(table).tolist() == [True, False, False]
    assert is_empty(table).tolist() == [False, False, True]
    assert table["split"].tolist() == [None, "val", None]
    assert str(table["width"].dtype) == "Int64"


def test_an_image_with_objects_is_not_without_objects():
    rows = [
        make_row("a.png", "1"),
        make_row("a.png", "2", class_name="x", box=(1, 2, 3, 4)),
        make_row("b.png", "3"),
        make_row("b.png", "4"),
        make_row("a.png", "5", class_name="x", box=(1, 2, 3, 4)),
    ]
    # Boxes that stand twice are kept: the audit names them.
    assert make_table(rows, [])["source"].tolist() == ["2", "3", "5"]


def test_an_image_is_in_one_part():
    rows = [("a.png", "train"), ("a.png", "test"), ("b.png", "test"), ("c.png", None)]
    faults: list[str] = []
    table = make_table([make_row(image, "1", class_name="x", split=part) for image, part in rows], faults)
    assert faults == ["image 'a.png' is in train and test; keep it in one part"]
    assert table["split"].tolist() == [None, None, "test", None]


# --------------------------------------------------------------------------------------------------- names and numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [("1", 1), (" -2.5 ", -2.5), ("1,5", 1.5), (".5", 0.5), ("5.", 5), ("1e3", 1000), ("+7", 7), (3, 3), (2.5, 2.5)],
)
def test_numbers(text, found):
    assert number(text, "x") == found


@pytest.mark.parametrize(
    "text",
    ["", "a", "1,5.2", "1,000,000", "nan", "inf", "1e99", "1e99999", "0x1", "1_0", "١", True, None, [1], 10**400],
)
def test_what_is_no_number(text):
    with pytest.raises(Fault, match=r"x: .* is not a finite number"):
        number(text, "x")


def test_a_long_cell_is_looked_at_once():
    """Each pattern goes over it once; going back for every digit would take minutes."""
    for pattern in (NUMBER, PLAIN_NUMBER, LINE):
        assert pattern.fullmatch("9" * 200_000 + "x") is None


@pytest.mark.parametrize(("value", "found"), [("8", 8), (8.0, 8), ("8.5", None), (-1, None), (2**40, None), ({}, None)])
def test_counts(value, found):
    assert count(value) == found


@pytest.mark.parametrize("text", ["", "  ", None, 2.5, True, "a\x00", "a\nb", "\ud800", "\uffff", 10**20])
def test_what_is_no_text(text):
    with pytest.raises(Fault, match="class"):
        clean_text(text, "class")


@pytest.mark.parametrize(
    ("name", "part"), [("instances_val2017", "val"), ("TRAIN", "train"), ("test-b", "test"), ("a", None)]
)
def test_parts_in_names(name, part):
    assert part_in(name) == part


def test_files_by_size_and_kind(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_bytes(tmp_path, 1)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(DataError, match="has 1 MB, files of this kind at most 1 MB"):
        read_text(tmp_path / "large", 1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="there is no such file"):
        read_bytes(tmp_path / "pipe", 1)


def test_links_are_followed_inside_the_folder_only(tmp_path):
    inside = tmp_path / "data"
    (inside / "deep").mkdir(parents=True)
    for name in ("out.png", "data/a.png"):
        (tmp_path / name).write_bytes(b"")
    (inside / "b.png").symlink_to(inside / "a.png")
    (inside / "c.png").symlink_to(tmp_path / "out.png")
    (inside / "deep" / "circle").symlink_to(inside)
    (inside / "d.png").symlink_to(inside / "d.png")
    faults: list[str] = []
    assert [path.name for path in visible_files(inside, [".png"], faults)] == ["a.png", "b.png"]
    assert faults == ["c.png: is a link that leaves the data folder; copy the file into it"]


def test_a_name_without_ending_that_two_images_have(tmp_path):
    for name in ("x/a.png", "y/a.png", "y/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    images = ImagesByStem(tmp_path)
    assert (images.find("a"), images.find("y/a"), images.find("z/b")) == (None, "y/a.png", "y/b.png")


def test_names_beside_the_file_and_above_the_folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    names = ImageNames(tmp_path / "images")
    for name in ("a.png", "images/a.png", "../images/a.png", str(tmp_path / "images" / "a.png")):
        assert names.of(name, tmp_path / "labels") == "a.png"
    assert names.of("b\\c.png", tmp_path / "labels") == "b/c.png"
    for name in ("..", "../b.png", "/b.png", "C:\\b.png", "c:b.png", ".", "b/..", "/", "C:", "../images"):
        with pytest.raises(Fault, match="leaves the data folder"):
            names.of(name, tmp_path / "labels")


def test_paths_of_another_machine(tmp_path):
    """The longest end that is there is taken, and nothing outside of the folder."""
    for name in ("images/a.png", "images/train/a.png", "out.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name in (
        "C:\\Users\\x\\images\\a.png",
        "/home/x/images/a.png",
        "\\\\server\\x\\a.png",
        "../../x/a.png",
        "c:a.png",
    ):
        assert ImageNames(tmp_path / "images").of(name, tmp_path) == "a.png"
    names = ImageNames(tmp_path / "images")
    for name in ("D:\\x\\train\\a.png", "/x/train/a.png", "/x/train/../a.png", "../x/../train/./a.png"):
        assert names.of(name, tmp_path) == "train/a.png"
    for name in ("/home/x/out.png", str(tmp_path / "out.png"), "../out.png", "C:\\x\\train", "/" + "a/" * 100_000):
        with pytest.raises(Fault, match="leaves the data folder"):
            names.of(name, tmp_path)


def test_two_paths_that_become_one_image_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    names = ImageNames(tmp_path)
    for name in ("a.png", "/x/train/a.png", "C:\\y\\train\\a.png"):
        assert names.of(name, tmp_path) == "a.png"
    with pytest.raises(Fault, match=r"'train/a.png' and 'val/a.png' are both 'a.png' here"):
        names.of("/x/val/a.png", tmp_path)


def test_missing_values_of_any_kind_are_one():
    rows = [make_row("a.png", "1", class_name=missing, split=missing) for missing in (None, np.nan, pd.NA)]
    table = make_table(rows, [])
    assert table[["class", "split"]].to_numpy().tolist() == [[None, None]]
