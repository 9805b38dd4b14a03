"""Tables as spreadsheets save them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.data.tables import read_table
from tumorkeras.errors import DataError


def table_of(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_told_apart(tmp_path, separator):
    table = table_of(tmp_path, f"image{separator}size\na{separator}1.5\nb{separator}-2e3\n")
    assert table.to_dict("list") == {"image": ["a", "b"], "size": [1.5, -2000.0]}


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_name(tmp_path):
    assert list(table_of(tmp_path, b"\xef\xbb\xbfimage,class\r\na,benign\r\n\r\n").columns) == ["image", "class"]


def test_decimal_commas_beside_semicolons(tmp_path):
    table = table_of(tmp_path, "d;n;words\n3,5;1;a,b\n4;2;c\n")
    assert table["d"].tolist() == [3.5, 4.0]
    assert table["n"].tolist() == [1, 2]
    assert table["words"].tolist() == ["a,b", "c"]


def test_names_that_look_like_numbers_stay_names(tmp_path):
    assert table_of(tmp_path, "image\n007\n012\n")["image"].tolist() == ["007", "012"]
    assert table_of(tmp_path, "image\n7\n12\n")["image"].tolist() == [7, 12]
    assert table_of(tmp_path, "flag\nnan\ninf\n")["flag"].tolist() == ["nan", "inf"]


def test_empty_cells_are_missing(tmp_path):
    table = table_of(tmp_path, "image,class,size\na,,\nb,benign,2\n")
    assert table["class"].isna().tolist() == [True, False]
    assert math.isnan(table["size"][0])


def test_only_line_ends_end_a_line(tmp_path):
    assert table_of(tmp_path, "image,words\na.png,one\u2028two\n")["words"].tolist() == ["one\u2028two"]


def test_text_of_old_windows_is_read(tmp_path):
    assert table_of(tmp_path, "klasse\ngutartig\nbösartig\n".encode("cp1252"))["klasse"][1] == "bösartig"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (b"\x00\x01", "holds zero bytes"),
        ("a,a\n1,2\n", "column 'a' stands twice"),
        ("a,b\n1,2,3\n1\n", "2 faults"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, fault):
    with pytest.raises(DataError, match=fault):
        table_of(tmp_path, content)
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "none.csv")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_read_as_written(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("numbers") / "table.csv"
    path.write_text("n,x\n" + "".join(f"{number!r},x\n" for number in numbers))
    assert read_table(path)["n"].astype(float).tolist() == numbers
