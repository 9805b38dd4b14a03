"""Annotation files with bytes changed, cut and doubled: a table or a DataError, and nothing else."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.data.annotations import FORMATS, read_annotations, read_with_faults
from tumorkeras.data.annotations.names import Fault, ImageNames, clean_text, is_plain_name
from tumorkeras.errors import DataError

MUTATIONS = 60
VOC = (
    "<?xml version='1.0' encoding='utf-8'?><annotation><filename>a.png</filename><size><width>8</width></size><object>"
    "<name>cyst</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3.5</xmax><ymax>4</ymax></bndbox></object></annotation>"
)
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}, {"id": 2, "file_name": "b.png"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 3.5, 2], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 5, "segmentation": [[1, 1, 5, 1.5, 3, 4]]},
        {"id": 3, "image_id": 2, "category_id": 5, "segmentation": {"size": [6, 8], "counts": [8, 2, 4, 2, 32]}},
        {"id": 4, "image_id": 2, "category_id": 5, "segmentation": {"size": [6, 8], "counts": "8242P1"}},
    ],
    "categories": [{"id": 5, "name": "cyst"}],
}
FILES = {
    "voc": ("a.xml", VOC.encode()),
    "coco": ("a.json", json.dumps(COCO).encode()),
    "csv": (
        "a.csv",
        "image;class;xmin;ymin;xmax;ymax;exam\nä.png;cyst;1,5;2;3;4;007\nb.png;;;;;;\n".encode("utf-8-sig"),
    ),
    "csv_relative": ("a.csv", b"image,class,cx,cy,w,h\na.png,cyst,0.5,0.5,1,1\n"),
    "yolo": ("a.txt", b"0 0.5 0.5 0.25 0.5\n0 0.1 0.2 0.5 0.3 0.3 0.9\n"),
    "lists": ("cyst.txt", b"a.png\nscans\\b.png\n"),
    "masks": ("a.png", cv2.imencode(".png", np.eye(9, dtype="uint8"))[1].tobytes()),
}
PIECES = [
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"<", b"&x;", b"<!DOCTYPE a [<!ENTITY x 'y'>]>", b"{", b"[", b"]" * 50, b'"',
    b",", b";", b"\t", b"\n", b"-1", b"1e999", b"nan", b"null", b"true", b"../", b"C:\\", b"/", b"9" * 5000,
    b"A" * 200_000,
]  # fmt: skip


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """The content with one to three changes."""
    for _ in range(random.integers(1, 4)):
        at, to = sorted(random.integers(0, len(content) + 1, 2))
        piece = PIECES[random.integers(len(PIECES))]
        content = [
            content[:at],
            content[:at] + content[to:],
            content[:at] + piece + content[at:],
            content[:at] + piece + content[min(at + len(piece), to) :],
            content[:to] + content[at:],
            content[:at] + bytes([random.integers(256)]) + content[at + 1 :],
        ][random.integers(6)]
    return content


def is_table_or_fault(path, **options):
    """What can be read is a good table, and it is the whole only where nothing is at fault."""
    try:
        table, faults, form = read_with_faults(path, **options)
    except DataError:
        with pytest.raises(DataError):
            read_annotations(path, **options)
        return
    assert form in FORMATS
    assert all(fault.isprintable() for fault in faults)
    assert list(table.columns[:3]) == ["image", "class", "xmin"]
    assert table["image"].map(is_plain_name).all()
    if faults:
        with pytest.raises(DataError):
            read_annotations(path, **options)


@pytest.mark.parametrize("form", FILES)
def test_mutated_files(tmp_path, form):
    name, content = FILES[form]
    random = np.random.default_rng(0)
    for image in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / image), np.zeros((6, 8), "uint8"))
    (tmp_path / name).write_bytes(content)
    assert len(read_annotations(tmp_path if form == "lists" else tmp_path / name, format=form, images=tmp_path)) > 0
    for _ in range(MUTATIONS):
        (tmp_path / name).write_bytes(mutated(content, random))
        for chosen in (form, "auto"):
            is_table_or_fault(tmp_path if form == "lists" else tmp_path / name, format=chosen, images=tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.txt", b"cyst\ntumour\n"),
        ("data.yaml", b"names: {0: cyst, 1: tumour}\n"),
        ("train.txt", b"a.png\nimages\\b.png\n"),
        ("ImageSets/Main/train.txt", b"a\nb\n"),
    ],
)
def test_mutated_files_beside(tmp_path, name, content):
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 1 1")
    (tmp_path / "a.xml").write_text(VOC)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 8), "uint8"))
    random = np.random.default_rng(1)
    (tmp_path / name).write_bytes(content)
    for form in ("yolo", "voc"):
        assert len(read_annotations(tmp_path, format=form)) == 1
    for _ in range(20):
        (tmp_path / name).write_bytes(mutated(content, random))
        for form in ("yolo", "voc", "auto"):
            is_table_or_fault(tmp_path, format=form)


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_given_every_other(tmp_path, form):
    for name, content in FILES.values():
        (tmp_path / name).write_bytes(content)
        is_table_or_fault(tmp_path / name, format=form)
    is_table_or_fault(tmp_path, format=form)


@settings(max_examples=200)
@given(
    st.one_of(st.text(), st.integers(), st.none(), st.from_regex(r"(?:[.]{1,2}|[a-c]|C:)(?:[/\\](?:[.]{1,2}|[a-c]|))*"))
)
def test_any_name_stays_in_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / "study" / "images"
    try:
        found = ImageNames(folder).of(name, folder.parent / "labels")
    except Fault:
        return
    assert is_plain_name(found)


@given(st.text())
def test_clean_text_is_clean(text):
    try:
        found = clean_text(text, "class")
    except Fault:
        return
    assert clean_text(found, "class") == found
    found.encode("utf-8")
