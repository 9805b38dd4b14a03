from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tumorkeras import DataSpec, load_samples
from tumorkeras.data.clinical import check_patients, clinical_features
from tumorkeras.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clinical")
    np.savez(folder / "cells.npz", all_images=np.ones((4, 4, 4, 4)), all_labels=[0, 1, 0, 1])
    (folder / "cells.csv").write_text("exam\n007\n3\n007\n12\n")
    return folder


def samples_with(folder, clinic, **section):
    (folder / "clinic.csv").write_text(clinic)
    clinical = {"path": "clinic.csv", "id_column": "patient", "sample_column": "exam"} | section
    values = {
        "name": "cells",
        "input": {"shape": [4, 4, 4, 1]},
        "source": {"kind": "npz", "path": "cells.npz", "table": "cells.csv"},
        "splits": {"fractions": {"train": 1, "val": 0, "test": 0}},
        "clinical": clinical,
    }
    return load_samples(DataSpec.from_dict(values, folder=folder))


def test_rows_follow_the_samples_and_ids_are_left_out(folder, caplog):
    with caplog.at_level(logging.WARNING):
        found = clinical_features(samples_with(folder, "patient;age;meno\n3;4,5;pre\n007;61;post\n"))
    expected = pd.DataFrame({"age": [61, 4.5, 61, np.nan], "meno": ["post", "pre", "post", None]})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert "1 of 4 samples are of patients that it does not have" in caplog.text
    assert "007" not in caplog.text  # no id of a patient


def test_chosen_columns_only(folder):
    found = clinical_features(samples_with(folder, "patient,age,name\n3,4,A\n007,6,B\n", columns=["age"]))
    assert list(found) == ["age"]


@pytest.mark.parametrize(
    ("clinic", "section", "fault"),
    [
        ("patient,age\n3,4\n3,5\n", {}, r"1 rows name a patient \(patient\) that another names"),
        ("patient,age\n3,4\n", {"columns": ["age", "size"]}, "has no column 'size'"),
        ("patient,age\n3,4\n", {"sample_column": "exams"}, "'exams' is no column of the samples"),
        ("patient,age\n99,4\n", {}, "has none of the samples' patients"),
        ("patient,age\n3,1e999\n", {}, "infinite values in age"),
    ],
)
def test_tables_that_do_not_fit(folder, clinic, section, fault):
    with pytest.raises(DataError, match=fault) as caught:
        clinical_features(samples_with(folder, clinic, **section))
    assert "99" not in str(caught.value)


def test_a_column_that_the_samples_have_not_is_named_before_any_fold_is_looked_at(folder):
    samples = samples_with(folder, "patient,age\n3,4\n", sample_column="exams")
    with pytest.raises(DataError, match="'exams' is no column of the samples"):
        check_patients(samples, [(np.array([0, 1]), np.array([2, 3]))])


def test_a_spec_without_a_clinical_table(folder):
    samples = samples_with(folder, "patient,age\n3,4\n")
    spec = samples.spec.model_copy(update={"clinical": None})
    with pytest.raises(DataError, match="the spec names no clinical table"):
        clinical_features(replace(samples, spec=spec))
