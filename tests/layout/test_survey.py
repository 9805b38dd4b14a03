"""What lies in a folder, by one walk."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_folders import picture

from tumorkeras.layout import survey as module
from tumorkeras.layout.survey import File, Survey, common_folder, survey_of


def formats(folder):
    return {file.path: file.format for file in survey_of(folder).files}


def test_files_are_told_by_content_then_by_ending(tmp_path):
    png = picture(tmp_path / "a.png").read_bytes()
    (tmp_path / "really.jpg").write_bytes(png)
    (tmp_path / "no_ending").write_bytes(png)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    for name in ("t.csv", "t.TSV", "b.json", "b.xml", "b.yaml", "b.txt", "b.pdf", "b.xyz"):
        (tmp_path / name).write_text("1")
    assert formats(tmp_path) == {
        "a.png": "png",
        "really.jpg": "png",
        "no_ending": "png",
        "broken.png": "png",
        "t.csv": "table",
        "t.TSV": "table",
        "b.json": "json",
        "b.xml": "xml",
        "b.yaml": "yaml",
        "b.txt": "text",
        "b.pdf": "other",
        "b.xyz": "other",
    }


def test_hidden_files_and_litter_are_passed_over(tmp_path):
    for name in (".a.png", ".git/b.png", "__MACOSX/c.png", "Thumbs.db", "DICOMDIR", "d/.e.png", "d/f.png"):
        picture(tmp_path / "x.png").parent.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((tmp_path / "x.png").read_bytes())
    assert list(formats(tmp_path)) == ["d/f.png", "x.png"]


def test_links_count_inside_the_folder_only(tmp_path):
    picture(tmp_path / "data" / "a.png")
    picture(tmp_path / "outside" / "b.png")
    (tmp_path / "data" / "inside.png").symlink_to(tmp_path / "data" / "a.png")
    (tmp_path / "data" / "leads_out.png").symlink_to(tmp_path / "outside" / "b.png")
    (tmp_path / "data" / "to_nothing.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    os.mkfifo(tmp_path / "data" / "pipe.png")
    assert list(formats(tmp_path / "data")) == ["a.png", "inside.png"]


def test_few_files_of_a_kind_are_opened(tmp_path, monkeypatch):
    for k in range(30):
        picture(tmp_path / "a" / f"{k}.png", size=(4, 4))
        picture(tmp_path / "b" / f"{k}.png", size=(4, 4))
    opened = []
    monkeypatch.setattr(module, "format_of", lambda path: opened.append(path) or "png")
    assert set(formats(tmp_path).values()) == {"png"}
    assert len(opened) == 2 * module.SNIFFED_A_KIND


def test_more_files_than_the_limit_are_said(tmp_path, monkeypatch):
    for k in range(9):
        (tmp_path / f"{k}.txt").write_text("1")
    monkeypatch.setattr(module, "MOST_FILES", 4)
    found = survey_of(tmp_path)
    assert len(found.files) == 4
    assert not found.complete


def test_folders_and_what_is_below_one(tmp_path):
    for name in ("b/deep/1.txt", "a/2.txt", "3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    found = survey_of(tmp_path)
    assert found.folders == ["a", "b"]
    assert found.below("b").files == (File("deep/1.txt", "text", 1),)
    assert found.below("b").root == tmp_path.resolve() / "b"
    assert found.summary() == "3 .txt"


def test_a_folder_that_may_not_be_entered_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b.txt").write_text("1")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(module.os, "scandir", refuse)
    assert list(formats(tmp_path)) == ["b.txt"]


def test_names_that_are_no_text(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    with open(path, "wb") as file:
        file.write(picture(tmp_path / "a.png").read_bytes())
    assert len(survey_of(tmp_path).files) == 2


@pytest.mark.parametrize(
    ("paths", "folder"),
    [(["a/1", "a/2"], "a"), (["a/b/1", "a/c/2"], "a"), (["ab/1", "ac/1"], ""), (["1", "a/2"], ""), ([], "")],
)
def test_the_folder_that_files_share(paths, folder):
    assert common_folder(File(path, "png", 1) for path in paths) == folder


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=5))
def test_the_shared_folder_holds_every_file(steps):
    files = [File("/".join(path), "png", 1) for path in steps]
    folder = common_folder(files)
    assert all(not folder or file.path.startswith(f"{folder}/") for file in files)


def test_endings_are_counted():
    files = [File(name, "other", 1) for name in ("a.NII.GZ", "b.tar.gz", "b.gz", ".hidden", "c")]
    assert Survey(None, tuple(files)).summary() == "2 .gz, 2 without ending, 1 .nii.gz"


def test_a_survey_of_nothing_says_nothing(tmp_path):
    assert survey_of(tmp_path) == Survey(tmp_path.resolve(), (), True)
    assert survey_of(tmp_path).summary() == ""
