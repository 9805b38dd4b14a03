"""What init refuses, and the file that it writes."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from made_folders import (
    class_folders,
    coco,
    comments,
    made,
    matrix,
    off_blocks,
    picture,
    refused,
    table,
    voc,
)

from tumorkeras.data.catalog import catalog_of
from tumorkeras.errors import DataError
from tumorkeras.layout import init
from tumorkeras.layout.writing import spec_text
from tumorkeras.spec import DataSpec

# --------------------------------------------------------------------------------------------------- nothing to spec


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no file; a spec needs images" in refused(tmp_path / "empty")


def test_a_file_instead_of_a_folder(tmp_path):
    picture(tmp_path / "a.png")
    assert "is a file; give the folder" in refused(tmp_path / "a.png")
    assert "there is no such folder" in refused(tmp_path / "nothing")


def test_a_folder_with_one_image(tmp_path):
    picture(tmp_path / "one" / "a.png")
    assert "holds 1 image; at least 8" in refused(tmp_path / "one")


def test_a_folder_of_other_files(tmp_path):
    (tmp_path / "papers").mkdir()
    for k in range(5):
        (tmp_path / "papers" / f"{k}.pdf").write_bytes(b"%PDF-1.4")
    words = refused(tmp_path / "papers")
    assert "holds 5 .pdf (such as 0.pdf, 1.pdf, 2.pdf and 2 more)" in words
    assert "a CSV with a row an image" in words


def test_a_table_of_features(tmp_path):
    columns = "class,batch,cell_id," + ",".join(f"f{k}" for k in range(6))
    rows = [("ab"[k % 2], f"day {k % 5}", k, *(k * j for j in range(6))) for k in range(20)]
    table(tmp_path / "features" / "t.csv", columns, rows)
    words = refused(tmp_path / "features")
    assert "a table of 6 features (t.csv, 20 rows, a sample each)" in words
    assert "t.csv --label class --group batch" in words


def test_several_data_sets(tmp_path):
    root = tmp_path / "all"
    class_folders(root / "one", ["train/a", "train/b", "val/a", "val/b"])
    for k in range(8):
        picture(root / "two" / f"{k}.png")
        voc(root / "two" / f"{k}.xml", f"{k}.png")
    words = refused(root)
    assert "holds several data sets" in words
    assert "one: a folder a part, in it a folder a class" in words
    assert "two: images with a box around every object (Pascal VOC)" in words


def test_one_data_set_in_a_folder_of_its_own(tmp_path):
    root = tmp_path / "download"
    for k in range(8):
        picture(root / "cells" / "img" / f"{k}.png")
    table(
        root / "cells" / "boxes.csv", "image,class,xmin,ymin,xmax,ymax", [(f"{k}", "a", 1, 2, 9, 12) for k in range(8)]
    )
    (root / "code").mkdir()
    (root / "code" / "train.py").write_text("pass")
    spec, _ = made(root)
    assert (spec.source.annotations, spec.source.path) == ("download/cells/boxes.csv", "download/cells/img")


# ------------------------------------------------------------------------------------------------- the written file


def test_a_file_that_is_there_is_kept(tmp_path):
    class_folders(tmp_path / "scans", ["a", "b"])
    output = tmp_path / "spec.yaml"
    output.write_text("mine")
    with pytest.raises(DataError, match="is there already and is kept"):
        init(tmp_path / "scans", output)
    assert output.read_text() == "mine"
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        init(tmp_path / "scans", tmp_path)


@pytest.mark.parametrize("place", ["scans/spec.yaml", "specs/deep/spec.yaml", "linked/spec.yaml"])
def test_paths_stay_right_wherever_the_spec_is_written(tmp_path, place):
    class_folders(tmp_path / "scans", ["a", "b"])
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "far" / "away")
    spec = init(tmp_path / "scans", tmp_path / place)
    assert not os.path.isabs(spec.source.path)
    assert os.path.samefile(spec.resolve(spec.source.path), tmp_path / "scans")


def test_the_default_output_is_in_the_current_folder(tmp_path, monkeypatch):
    class_folders(tmp_path / "scans", ["a", "b"])
    monkeypatch.chdir(tmp_path)
    spec = init("scans")
    assert spec == DataSpec.from_yaml(tmp_path / "data_spec.yaml")
    assert (spec.name, spec.source.path) == ("scans", "scans")


@pytest.mark.parametrize(("name", "called"), [("Brust (2020)", "Brust_2020"), ("_x", "x"), ("ü", "data"), ("~a", "a")])
def test_the_name_of_the_spec(tmp_path, name, called):
    spec = init(class_folders(tmp_path / name, ["a", "b"]), tmp_path / "spec.yaml")
    assert spec.name == called
    assert os.path.samefile(spec.resolve(spec.source.path), tmp_path / name)


def test_names_that_a_spec_cannot_hold_are_refused(tmp_path):
    assert "has a $ in its name" in refused(class_folders(tmp_path / "scans", ["$HOME/a", "$HOME/b"]))


def test_a_name_with_a_variable_in_the_path_to_the_data_is_refused(tmp_path):
    assert "has a $ in its name" in refused(class_folders(tmp_path / "a$b", ["a", "b"]))


def test_names_of_files_cannot_end_a_comment(tmp_path):
    root = class_folders(tmp_path / "scans", ["a\nname: evil", "b"])
    spec, text = made(root)
    assert spec.name == "scans"
    assert spec.classes == ["a\nname: evil", "b"]
    assert "a?name: evil" in comments(text)


def test_nothing_is_written_into_the_folder(tmp_path):
    root = class_folders(tmp_path / "scans", ["a", "b"])
    before = sorted(root.rglob("*"))
    made(root)
    assert sorted(root.rglob("*")) == before


def test_another_layout_that_comes_close_is_mentioned(tmp_path):
    root = tmp_path / "cells"
    for k in range(8):
        picture(root / f"{k}.png")
        voc(root / f"{k}.xml", f"{k}.png")
    coco(root / "boxes.json", [f"{k}.png" for k in range(8)])
    spec, text = made(root)
    assert spec.source.format == "coco"
    assert "It might also be: images with a box around every object (Pascal VOC)" in comments(text)


def test_blocks_that_are_off_load_when_switched_on(tmp_path):
    root = tmp_path / "cells"
    for name in ("a", "b", "c"):
        matrix(root / f"{name}_x.csv", 6, 9)
        matrix(root / f"{name}_y.csv", 6, 9)
    table(root / "groups.csv", "file,row,experiment", [(n, k, f"{n}{k // 2}") for n in "ab" for k in range(6)])
    spec, text = made(root)
    assert spec.source.groups is None
    assert "not of c" in comments(text)
    (block,) = off_blocks(text)
    other = DataSpec.from_dict({**yaml.safe_load(text), **block}, folder=tmp_path)
    assert (other.classes, list(other.source.pairs)) == (["a", "b"], ["a", "b"])
    assert catalog_of(other).table["group"].nunique() == 6


TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), st.lists(TEXT, max_size=3))
def test_what_is_written_is_what_is_read(values, words):
    text = spec_text(values, {key: words for key in values}, words, [("off", {"a": [1, {"b": "c"}]})])
    assert yaml.safe_load(text) == values


def mixture(root):
    """A folder with a file of every kind."""
    for k in range(8):
        picture(root / f"{k}.png", size=(8, 8))
    table(root / "t.csv", "image,,class,", [(f"{k}.png", "", "ab"[k % 2], "") for k in range(8)])
    table(root / "b.csv", "image,class,xmin,ymin,xmax,ymax", [(f"{k}.png", "a", 1.5, 1, 4, 5) for k in range(8)])
    matrix(root / "a_x.csv", 3, 4)
    matrix(root / "a_y.csv", 3, 4)
    coco(root / "c.json", ["1.png"])
    np.savez(root / "v.npz", train_images=np.zeros((4, 8, 8, 8), "uint8"), train_labels=np.array([0, 1, 1, 0]))
    return root


def test_a_folder_with_a_file_of_every_kind(tmp_path):
    spec, text = made(mixture(tmp_path / "cells"))
    assert (spec.source.kind, spec.source.annotations, spec.source.format) == ("detection", "cells/c.json", "coco")
    assert "It might also be: images with a box around every object (b.csv)" in comments(text)


@given(st.data())
@settings(max_examples=15)
def test_broken_files_give_a_spec_or_a_data_error(tmp_path_factory, data):
    root = mixture(tmp_path_factory.mktemp("broken") / "cells")
    for path in data.draw(st.lists(st.sampled_from(sorted(root.iterdir())), min_size=1, max_size=6)):
        content = path.read_bytes()
        start = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:start] + data.draw(st.binary(max_size=4)) + content[start + 4 :])
        if data.draw(st.booleans()):
            path.write_bytes(content[:start])
    output = root.parent / "spec.yaml"
    with contextlib.suppress(DataError):
        assert init(root, output) == DataSpec.from_yaml(output)
