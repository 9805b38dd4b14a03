"""Reading a spec from a file: what is no plain YAML mapping is refused."""

from __future__ import annotations

import pytest
import yaml

from tumorkeras.errors import SpecError
from tumorkeras.spec import DataSpec
from tumorkeras.spec_file import read_mapping

SIMULATION = {
    "name": "motion",
    "source": {"kind": "simulation", "frames": 8},
    "input": {"shape": [8, 16, 16, 1]},
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty, expected a mapping of fields to values such as `name: my_data`"),
        ("# a comment\n", "is empty, expected a mapping of fields to values such as `name: my_data`"),
        ("- a\n- b\n", "holds a list, expected a mapping of fields to values such as `name: my_data`"),
        ("name", "holds a str, expected a mapping of fields to values such as `name: my_data`"),
        ("name: [1, 2\n", "is not plain YAML: line 2, column 1: expected ',' or ']', but got '<stream end>'"),
        (
            "a: 1\n\tb: 2\n",
            "is not plain YAML: line 2, column 1: found character '\\t' that cannot start any token",
        ),
        ("name: a\nname: b\n", "line 2: name stands already in line 1"),
        ("a: 1\n---\nb: 2\n", "is not plain YAML: line 2, column 1: but found another document"),
        ("a: \0\n", "is not plain YAML: unacceptable character #x0000: special characters are not allowed"),
        ("a: " + "[" * 1000, "is nested too deeply for a spec"),
        ("? [a, b]\n: 1\n", "is not plain YAML: line 1, column 3: found unhashable key"),
    ],
)
def test_files_that_are_no_spec_are_refused(tmp_path, text, message):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        DataSpec.from_yaml(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_every_repeated_key_is_named(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("name: a\ntraining:\n  epochs: 1\n  seed: 2\n  epochs: 3\nname: b\n")
    with pytest.raises(SpecError) as caught:
        DataSpec.from_yaml(path)
    assert sorted(caught.value.faults) == [
        "line 5: epochs stands already in line 3",
        "line 6: name stands already in line 1",
    ]


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [made]", "!!python/name:os.system", "!own 3"])
def test_tags_that_make_objects_are_refused(tmp_path, monkeypatch, tag):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: {tag}\n")
    with pytest.raises(SpecError, match="is not plain YAML: line 1, column 7: could not determine a constructor"):
        DataSpec.from_yaml(path)
    assert not (tmp_path / "made").exists()


def test_a_missing_file_is_told_with_what_to_copy(tmp_path):
    with pytest.raises(SpecError, match=r"there is no such file; copy data_spec\.yaml, whose comments explain every"):
        DataSpec.from_yaml(tmp_path / "spec.yaml")


def test_a_folder_is_no_spec(tmp_path):
    with pytest.raises(SpecError, match="is a folder"):
        DataSpec.from_yaml(tmp_path)


def test_another_encoding_is_refused(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(SpecError, match=r"is not UTF-8 text \(byte 8\); save it as UTF-8"):
        DataSpec.from_yaml(path)


def test_faults_in_a_file_are_headed_by_its_name(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({**SIMULATION, "training": {"epochs": -3}}))
    with pytest.raises(SpecError) as caught:
        DataSpec.from_yaml(str(path))
    assert str(caught.value) == f"{path}: training.epochs: -3 is not a positive integer"


def test_what_is_no_file_is_not_read(tmp_path):
    import os

    with pytest.raises(SpecError, match="is a folder; `tumorkeras init FOLDER` writes a spec"):
        read_mapping(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SpecError, match="is no regular file"):
        read_mapping(tmp_path / "pipe.yaml")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (5 * 2**20))
    with pytest.raises(SpecError, match="has more than 4 MB"):
        read_mapping(tmp_path / "huge.yaml")
