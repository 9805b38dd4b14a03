"""What the columns of a table are taken for."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.layout.columns import class_column, group_columns

PEOPLE = ["Anna Schmidt", "Bo Li", "Cem Kaya"]


WHO = ["patient_name", "name", "PatientID", "Vorname", "patient2", "subject", "user", "E-Mail", "mrn", "radiologist"]
WHEN = ["Birth Date", "exam_date", "dob", "Study-ID"]
WHAT = ["file", "imagePath", "Comments", "notes"]


@pytest.mark.parametrize("name", [*WHO, *WHEN, *WHAT])
def test_what_tells_who_or_when_is_no_class(name):
    table = pd.DataFrame({name: PEOPLE * 5, "age": range(15)})
    assert class_column(table) == (None, False)


@pytest.mark.parametrize("name", ["cell_type", "Befund", "BIRADS", "update", "thyroid", "denoted", "width"])
def test_text_of_few_values_may_be_a_class(name):
    assert class_column(pd.DataFrame({name: ["a", "b", "c"] * 5})) == (name, False)


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        (["a", "b"] * 3, True),
        (["a", "b"] * 3 + ["c"] * 2, False),  # two of one
        ([f"v{k}" for k in range(20)] * 3, True),
        ([f"v{k}" for k in range(21)] * 3, False),
        (["a"] * 9, False),
        ([1, 2] * 9, False),
    ],
)
def test_how_many_values_a_guessed_class_has(values, taken):
    assert class_column(pd.DataFrame({"kind": values})) == (("kind" if taken else None), False)


def test_a_second_name_of_a_class_is_taken_where_the_first_is_none():
    table = pd.DataFrame({"label": [f"text {k}" for k in range(8)], "diagnosis": ["cyst", "mass"] * 4})
    assert class_column(table) == ("diagnosis", True)


@given(st.lists(st.sampled_from(PEOPLE), min_size=3, max_size=40), st.sampled_from(["patient", "name", "Patient Name"]))
def test_names_of_people_are_never_a_class(people, name):
    assert class_column(pd.DataFrame({"image": range(len(people)), name: people}), ["image"]) == (None, False)


@pytest.mark.parametrize("name", ["patient", "PatientID", "patientid", "pid", "mice", "case_no", "Well/XY", "session"])
def test_what_samples_have_in_common(name):
    assert group_columns(pd.DataFrame({name: [1, 1, 2, 3]})) == [name]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age_group", [1, 1, 2, 3]),
        ("patient", [1, 2, 3, 4]),
        ("patient", [1, None, 2, 2]),
        ("study_time", [0.5, 1, 2, 2]),
        ("grouping", [1, 1, 2, 3]),
        ("case", [0, 1, 1, 0]),
    ],
)
def test_what_is_no_group(name, values):
    assert group_columns(pd.DataFrame({name: values})) == []


def test_patients_come_before_exams_before_copies_before_experiments():
    names = ["batch", "dup_group", "exam", "patient"]
    assert group_columns(pd.DataFrame({name: [1, 1, 2, 3] for name in names})) == names[::-1]
