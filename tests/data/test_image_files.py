"""Which files of a folder are samples, and which file a name means."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from tumorkeras.data.image_files import Names, find_samples
from tumorkeras.errors import DataError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"text")


def test_files_are_found_by_their_ending_and_hidden_ones_are_not(tmp_path):
    touch(tmp_path, "b/x.png", "a.JPG", "notes.txt", "table.csv", "._a.jpg", ".git/z.png", "b/y.tiff")
    assert find_samples(tmp_path, volumes=False) == (["a.JPG", "b/x.png", "b/y.tiff"], [])


def test_a_file_without_an_ending_is_known_by_its_content(tmp_path):
    touch(tmp_path, "README")
    (tmp_path / "scan").write_bytes(cv2.imencode(".png", np.zeros((3, 3), "uint8"))[1].tobytes())
    assert find_samples(tmp_path, volumes=False)[0] == ["scan"]


def test_links_are_followed_inside_the_folder_only(tmp_path):
    data, outside = tmp_path / "data", tmp_path / "outside"
    touch(data, "real.png")
    touch(outside, "secret.png")
    (data / "inside.png").symlink_to(data / "real.png")
    (data / "out.png").symlink_to(outside / "secret.png")
    (data / "folder").symlink_to(outside)
    (data / "loop").symlink_to(data)
    found, faults = find_samples(data, volumes=False)
    assert found == ["inside.png", "real.png"]
    assert [(fault.code, fault.files) for fault in faults] == [("outside_folder", ("folder", "out.png"))]


def test_pipes_and_dangling_links_are_named_and_a_folder_called_like_an_image_is_looked_into(tmp_path):
    touch(tmp_path, "x.png/y.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "never.png")
    found, faults = find_samples(tmp_path, volumes=False)
    assert found == ["x.png/y.png"]
    assert [(fault.code, fault.files) for fault in faults] == [("not_a_file", ("gone.png", "pipe.png"))]


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="there is no such folder"):
        find_samples(tmp_path / "none", volumes=False)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("benign/a.png", ["benign/a.png"]),
        ("./benign/a", ["benign/a.png"]),
        ("data\\benign\\a.png", ["benign/a.png"]),
        ("C:\\data\\benign\\a.png", ["benign/a.png"]),
        ("a", ["benign/a.png"]),
        ("b.png", ["benign/b.png", "malignant/b.png"]),
        ("normal/a.png", []),
        ("../a.png", []),
        ("", []),
        ("c.1", ["c.1.png"]),
        ("ä ö.png", ["ä ö.png"]),
    ],
)
def test_names_find_their_samples(name, found):
    samples = ["benign/a.png", "benign/b.png", "malignant/b.png", "c.1.png", "ä ö.png"]
    assert Names(samples).find(name) == found
