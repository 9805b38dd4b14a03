"""Folds kept as a file: the same file in, the same folds out."""

from __future__ import annotations

import numpy as np
import pytest

from tumorkeras.comparison import outer_folds
from tumorkeras.data.folds import kept_folds
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

IDS = np.array(["a", "b", "c", "d"])


def halves():
    first, second = np.array([0, 1]), np.array([2, 3])
    return [(second, first), (first, second)]


def never():
    raise AssertionError("the folds were made anew")


def test_the_file_gives_the_folds_back_whatever_the_order(tmp_path):
    path = tmp_path / "deep" / "folds.csv"
    kept_folds(path, IDS, None, halves)
    again = kept_folds(path, IDS[[3, 0, 2, 1]], None, never)
    assert [sorted(IDS[[3, 0, 2, 1]][test]) for _, test in again] == [["a", "b"], ["c", "d"]]
    assert all(sorted([*training, *test]) == [0, 1, 2, 3] for training, test in again)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("id,part\na,1\n", "has no column 'fold'"),
        ("id,fold\na,1\nb,2\nc,1\n", "'d' has no fold"),
        ("id,fold\na,1\nb,2\nc,1\nd,2\ne,1\n", "'e' is no sample outside the part 'test'"),
        ("id,fold\na,1\na,2\nb,2\nc,1\nd,2\n", "'a' stands more than once"),
        ("id,fold\na,one\nb,2\nc,1\nd,2\n", "line 2: fold 'one' is not a whole number"),
        ("id,fold\na,1\nb,1\nc,1\nd,1\n", "holds one fold only"),
    ],
)
def test_files_of_other_samples_are_refused(tmp_path, text, fault):
    path = tmp_path / "folds.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=fault):
        kept_folds(path, IDS, None, never)


def test_a_divided_group_is_refused(tmp_path):
    path = tmp_path / "folds.csv"
    kept_folds(path, IDS, None, halves)
    with pytest.raises(DataError, match="divides 1 groups"):
        kept_folds(path, IDS, np.array([7, 8, 8, 9]), never)


def test_a_comparison_keeps_its_folds_when_the_seed_changes(tmp_path):
    values = {
        "name": "motion",
        "source": {"kind": "simulation", "samples_per_class": 20, "frames": 8},
        "input": {"shape": [8, 16, 16, 1]},
        "splits": {
            "files": None,
            "folds": 3,
            "folds_file": "folds.csv",
            "fractions": {"train": 1, "val": 0, "test": 0},
        },
    }
    first = outer_folds(load_samples(DataSpec.from_dict(values, folder=tmp_path)))
    values["splits"]["seed"] = 5
    second = outer_folds(load_samples(DataSpec.from_dict(values, folder=tmp_path)))
    assert [test.tolist() for _, test in first] == [test.tolist() for _, test in second]
    del values["splits"]["folds_file"]
    third = outer_folds(load_samples(DataSpec.from_dict(values, folder=tmp_path)))
    assert [test.tolist() for _, test in first] != [test.tolist() for _, test in third]
