"""What is to be scored, listed before it starts."""

import os
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from made_series import write_series

from tumorkeras.errors import DataError
from tumorkeras.scoring.inputs.listing import Paths, list_files, shown

NOT_UTF8 = os.fsdecode(b"scan\xff.png")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "archive"
    for name in ("b/2.png", "b/10.PNG", "a.jpg", "b/deep/x.npz", "notes.txt", ".hidden/4.png", ".5.png", NOT_UTF8):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"?")
    return root


def names_in(folder, inputs, **options):
    return [os.path.relpath(path, folder) for path in list_files(inputs, **{"volumes": False, **options}).paths]


def test_a_folder_is_searched_to_the_bottom(folder):
    wanted = ["a.jpg", "b/10.PNG", "b/2.png", "b/deep/x.npz", NOT_UTF8]
    assert names_in(folder, folder) == wanted
    assert names_in(folder, f"{folder}/") == wanted
    listing = list_files(folder, volumes=False)
    assert len(listing) == 5
    assert listing.carried is None
    assert os.path.exists(listing.paths[4])


def test_a_relative_folder_gives_relative_paths(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert list_files(".", volumes=False).paths[:3] == ["a.jpg", "b/10.PNG", "b/2.png"]
    assert list_files("b/*.png", volumes=False).paths[:] == ["b/2.png"]
    assert list_files("**/*.npz", volumes=False).paths[:] == ["b/deep/x.npz"]


def test_links_and_pipes_are_listed_and_loops_end(folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "nothing.png").symlink_to("none.png")
    (folder / "loop.png").symlink_to("loop.png")
    for name in ("round", "again"):
        (folder / "b" / name).symlink_to("..")  # each leads to both
    wanted = ["a.jpg", "b/10.PNG", "b/2.png", "b/deep/x.npz", "loop.png", "nothing.png", "pipe.png", NOT_UTF8]
    assert names_in(folder, folder) == wanted
    assert names_in(folder, f"{folder}/**/*.png") == ["b/2.png", "loop.png", "nothing.png", "pipe.png", NOT_UTF8]


def test_a_series_is_one_volume(tmp_path):
    write_series(tmp_path / "exam" / "ct", np.zeros((3, 4, 4), "uint8"))
    assert names_in(tmp_path, tmp_path, volumes=True) == ["exam/ct"]
    assert names_in(tmp_path, tmp_path / "exam" / "ct", volumes=True) == ["exam/ct"]
    assert names_in(tmp_path, f"{tmp_path}/*/c?", volumes=True) == ["exam/ct"]
    assert len(names_in(tmp_path, tmp_path)) == 3


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.jpg", ["a.jpg"]),
        ("b/[0-9].png", ["b/2.png"]),
        ("?", ["b/10.PNG", "b/2.png", "b/deep/x.npz"]),  # the folder is searched
        ("**/*.png", ["b/2.png", NOT_UTF8]),
        ("**/.*.png", [".5.png"]),
        (".h*/*", [".hidden/4.png"]),
        ("**", ["a.jpg", "b/10.PNG", "b/2.png", "b/deep/x.npz", "notes.txt", NOT_UTF8]),
        ("b/**.png", ["b/2.png"]),
        ("*.txt", ["notes.txt"]),  # what is named so is taken
    ],
)
def test_patterns(folder, pattern, found):
    assert names_in(folder, f"{folder}/{pattern}") == found


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder):
    (folder / "a[1].png").write_bytes(b"?")
    (folder / "a1.png").write_bytes(b"?")
    assert names_in(folder, folder / "a[1].png") == ["a[1].png"]


@pytest.mark.parametrize("name", ["none/*.png", "empty", "*.tif", "**/" + "x" * 300 + "/*", "\0*.png"])
def test_a_folder_or_pattern_that_gives_nothing_is_refused(folder, name):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"(holds no sample|matches no file)$"):
        list_files(f"{folder}/{name}", volumes=False)
    assert names_in(folder, [f"{folder}/{name}"]) == [name]  # among others it is an outcome


def test_what_is_given_keeps_its_order_and_its_doubles(folder):
    given = [folder / "none.png", folder / "b", str(folder / "a.jpg"), folder / "a.jpg", str(folder / "*.jpg")]
    found = ["none.png", "b/10.PNG", "b/2.png", "b/deep/x.npz", "a.jpg", "a.jpg", "a.jpg"]
    assert names_in(folder, given) == found
    assert names_in(folder, iter(given)) == found
    assert names_in(folder, pd.Series(given)) == found
    assert list_files("none.png", volumes=False).paths[:] == ["none.png"]
    assert len(list_files([], volumes=False)) == 0


def test_all_that_is_no_path_is_named():
    with pytest.raises(DataError, match=r"2 faults\n.*an empty path found, expected a path.*\n.*inputs: int found"):
        list_files([3, "a.png", "", 4], volumes=False)
    for one in ("", 7, np.array([1.0]), [None]):
        with pytest.raises(DataError, match="found, expected a path, a pattern"):
            list_files(one, volumes=False)


def test_columns_of_a_table_are_carried_along(folder):
    table = pd.DataFrame({"age": [3, 1, 2], "path": ["c.png", folder / "b", "c.png"], "site": ["x", None, "z"]})
    table.index = [7, 8, 7]
    listing = list_files(table, volumes=False)
    assert listing.paths[:] == ["c.png", str(folder / "b"), "c.png"]  # one outcome a row
    pd.testing.assert_frame_equal(listing.carried, pd.DataFrame({"age": [3, 1, 2], "site": ["x", None, "z"]}))
    assert list_files(table[["path"]], volumes=False).carried is None
    renamed = table.rename(columns={"path": "file"})
    assert list_files(renamed, volumes=False, path_column="file").paths[0] == "c.png"
    nothing = list_files(table.iloc[:0], volumes=False)
    assert len(nothing) == 0
    assert nothing.carried.columns.tolist() == ["age", "site"]


def test_all_faults_of_a_table_are_named():
    table = pd.DataFrame([["a.png", 1, 2, 3, 4], [None, 1, 2, 3, 4], ["", 1, 2, 3, 4], [5.0, 1, 2, 3, 4]])
    table.columns = ["path", "status", "age", "age", 0]
    with pytest.raises(DataError) as caught:
        list_files(table, volumes=False, reserved={"status", "error"})
    assert caught.value.faults == [
        "inputs.status: is the name of a column of the result; give it another",
        "inputs.age: 2 columns of that name; give each one of its own",
        "inputs.0: the name of the column is a int, expected text",
        "inputs.path: None in row 1",
        "inputs.path: '' in row 2",
        "inputs.path: 5.0 in row 3",
    ]
    with pytest.raises(DataError, match=r"no columns 'path' found, expected one.*\['age'\]"):
        list_files(pd.DataFrame({"age": [1]}), volumes=False)
    many = pd.DataFrame({"path": [None] * 1000})
    with pytest.raises(DataError, match="and 990 more"):
        list_files(many, volumes=False)


NAMES = ["a.png", "ü/ß 漢字😀.png", NOT_UTF8, "\ud800.png", "\n\t\0", "x" * 5000, ""]


def test_every_name_comes_back_and_can_be_shown():
    paths = Paths(NAMES)
    assert [paths[row] for row in range(-len(NAMES), len(NAMES))] == NAMES * 2
    assert paths[::-2] == NAMES[::-2]
    assert paths[3:100] == NAMES[3:]
    assert list(paths) == NAMES
    with pytest.raises(IndexError):
        paths[len(NAMES)]
    assert shown(NOT_UTF8) == "scan\\udcff.png"
    assert shown("ü漢") == "ü漢"
    assert "".join(map(shown, NAMES)).encode("utf-8")


def test_many_paths_take_little_memory():
    tracemalloc.start()
    try:
        paths = Paths(f"/archive/patient-{row:07d}/study/series/image-{row % 97:04d}.dcm" for row in range(50_000))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(paths[49_999]) == 52
    assert held < 50_000 * (52 + 8) * 1.15
    assert peak < 50_000 * (52 + 8) * 2.5
