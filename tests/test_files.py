"""A file is written whole or not at all."""

from __future__ import annotations

import os

import pytest

from tumorkeras.files import write_whole


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\r\nSão Paulo\n", "a,b\r\nSão Paulo\n".encode()),
        (b"\x89PNG\r\n\x00", b"\x89PNG\r\n\x00"),
        ("", b""),
    ],
)
def test_the_bytes_are_those_given(tmp_path, content, expected):
    path = tmp_path / "file"
    write_whole(path, content)
    assert path.read_bytes() == expected
    assert os.listdir(tmp_path) == ["file"]


def test_an_old_file_is_replaced_and_a_text_is_a_path_too(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("a long old content")
    write_whole(str(path), "new")
    assert path.read_text() == "new"


def test_a_kill_before_the_renaming_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    path.write_text("old")

    def killed(source, target):
        assert os.path.basename(source) == ".file.json.new"
        assert os.path.dirname(source) == str(tmp_path)  # a renaming is one step within a file system only
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old"


def test_a_fault_of_the_disk_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    path.write_text("old")

    def full(source, target):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.json"]


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "file", "x")
