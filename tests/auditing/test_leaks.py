"""Leaks: groups on both sides of a split, groups that nobody named, and no name of a group in any of it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from auditing.samples import picture, spec_of, write, write_dicom
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.auditing.facts import Facts
from tumorkeras.auditing.leaks import batch_columns, candidates, group_leaks, leak_findings
from tumorkeras.data.catalog import Catalog

SECRET = "Doe^Jane"


def catalog(groups=None, parts=None, spec=None, **columns):
    n = len(parts)
    table = pd.DataFrame({"id": [f"{k}.png" for k in range(n)], "path": "", "class_name": "a", "group": groups})
    table = table.assign(given_split=None, split=parts, **columns)
    return Catalog(table, None, ("a",), "images", (), spec, lambda row: None)


def test_groups_that_are_whole_are_no_leak():
    assert leak_findings(catalog(list("aabbcc"), ["train"] * 4 + ["test"] * 2)) == []


def test_a_group_on_both_sides():
    groups = [SECRET, SECRET, SECRET, "b", "b", "c", "c"]
    parts = ["train", "val", "test", "train", "train", "test", "train"]
    (found,) = leak_findings(catalog(groups, parts))
    assert (found.code, found.severity, found.check) == ("group_across_split", "error", "leaks")
    assert found.files == ("0.png", "1.png", "2.png", "5.png", "6.png")
    assert found.title == (
        "2 of 3 groups (column 'group') in more than one part: "
        "1 in train and val, 2 in train and test, 1 in val and test"
    )
    assert found.figures == {
        "groups": 2, "of": 3, "pairs": {"train and val": 1, "train and test": 2, "val and test": 1}
    }  # fmt: skip
    assert SECRET not in json.dumps(found.to_dict())


def test_samples_without_a_part_leak_nowhere():
    assert leak_findings(catalog(list("aabb"), ["train", None, "test", None])) == []


def test_a_group_a_sample_keeps_nothing_together():
    (found,) = leak_findings(catalog(list("abcd"), ["train"] * 2 + ["test"] * 2))
    assert (found.code, found.severity) == ("single_groups", "warning")


def test_a_column_that_looks_like_a_group_is_named():
    exams = [SECRET, SECRET, "b", "b"]
    (found,) = leak_findings(catalog(parts=["train", "train", "test", "test"], exam_id=exams, age=[60, 60, 50, 50]))
    assert (found.code, found.severity, found.files) == ("group_not_named", "note", ())
    assert found.mend.startswith("Set splits.group: exam_id")
    (found,) = leak_findings(catalog(parts=["train", "test", "test", "test"], exam_id=exams))
    assert (found.severity, found.files) == ("error", ("0.png", "1.png"))
    assert "1 value in more than one part: 1 in train and test" in found.title
    assert SECRET not in json.dumps(found.to_dict())


@pytest.mark.parametrize(
    "name",
    [
        "exam_id",
        "patient",
        "PatientID",
        "patient-id",
        "case",
        "subject",
        "experiment",
        "dup_group",
        "StudyUID",
        "mouse",
        "patientid",
        "caseid",
    ],
)
def test_names_of_groups(name):
    assert candidates(pd.DataFrame({name: ["a", "a", "b"]})) == [name]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age", [1, 1, 2]),
        ("showcase", ["a", "a", "b"]),
        ("patient", ["a", "b", "c"]),  # each comes once
        ("patient", ["a", "a", "a"]),  # nothing to keep apart
        ("dup_group_mixed", [0, 0, 1]),  # yes or no
        ("group_share", [0.5, 0.5, 0.25, 0.75]),
        ("patient", [None, None, None]),
        ("group", ["a", "a", "b"]),  # the column of the spec itself
    ],
)
def test_what_is_no_group(name, values):
    assert candidates(pd.DataFrame({name: values})) == []


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["train", "val", "test", None])), max_size=30))
def test_exactly_the_samples_of_torn_groups_are_named(rows):
    groups = pd.Series([group for group, _ in rows], dtype=object)
    parts = pd.Series([part for _, part in rows], dtype=object)
    ids = pd.Series([str(k) for k in range(len(rows))], dtype=object)
    torn = {g for g in groups if len({part for group, part in rows if group == g and part}) > 1}
    named = {name for found in group_leaks(groups, parts, ids, "g") for name in found.files}
    assert named == {name for name, group in zip(ids, groups, strict=True) if group in torn}


def test_parts_that_are_drawn_never_tear_a_group(tmp_path):
    from auditing.samples import catalog_and_facts

    lines = ["image,class,patient"]
    for k in range(40):
        write(tmp_path / "images" / f"{k}.png", picture(k, 8, 8))
        lines.append(f"{k}.png,{'ab'[k // 4 % 2]},{SECRET if k < 4 else k // 4}")
    (tmp_path / "images.csv").write_text("\n".join(lines))
    table = {"path": "images.csv", "image_column": "image", "class_column": "class"}
    source = {"kind": "image_folder", "path": "images", "levels": "none", "table": table}
    torn, _ = catalog_and_facts(spec_of(tmp_path, source))
    (found,) = leak_findings(torn)
    assert (found.code, found.severity) == ("group_not_named", "error")
    kept, _ = catalog_and_facts(spec_of(tmp_path, source, splits={"group": "patient"}))
    assert leak_findings(kept) == []


def dicom_files(folder, ending, patients):
    return [str(write_dicom(folder / f"{k}{ending}", picture(k), PatientID=name)) for k, name in enumerate(patients)]


def facts_of(formats):
    return Facts(pd.DataFrame({"format": formats}), np.zeros((len(formats), 1, 1), np.uint8))


@pytest.mark.parametrize("ending", [".dcm", "", ".ima", ".001"])
def test_patients_of_dicom_files(tmp_path, ending):
    names = dicom_files(tmp_path, ending, [SECRET, SECRET, "P2", "P3"])
    torn = catalog(parts=["train", "test", "test", "test"], path=names)
    (found,) = leak_findings(torn, facts_of(["dicom"] * 4))
    assert (found.code, found.severity, found.files) == ("group_not_named", "error", ("0.png", "1.png"))
    assert "Set splits.group: patient" in found.mend
    assert SECRET not in json.dumps(found.to_dict())
    assert leak_findings(catalog(parts=["train"] * 2, path=[names[0], names[2]]), facts_of(["dicom"] * 2)) == []
    assert leak_findings(torn, facts_of(["png"] * 4)) == []
    by_name = leak_findings(torn)
    assert by_name == (leak_findings(torn, facts_of(["dicom"] * 4)) if ending in (".dcm", ".ima") else [])


def test_a_dicom_file_that_cannot_be_decoded_names_its_patient(tmp_path):
    names = dicom_files(tmp_path, ".dcm", ["P1", "P1", "P2"])
    (found,) = leak_findings(catalog(parts=["train", "test", "test"], path=names), facts_of(["dicom", "", "dicom"]))
    assert found.files == ("0.png", "1.png")


def test_patients_are_looked_for_where_another_group_is_named(tmp_path):
    names = dicom_files(tmp_path, "", ["P1", "P1", "P2", "P2", "P3"])
    whole = catalog(list("aabbc"), ["train"] * 5, path=names)
    assert leak_findings(whole, facts_of(["dicom"] * 5)) == []
    torn = catalog(list("abbcc"), ["train", "test", "test", "train", "train"], path=names)
    (found,) = leak_findings(torn, facts_of(["dicom"] * 5))
    assert (found.code, found.severity) == ("group_not_named", "error")
    assert found.files == ("0.png", "1.png", "2.png", "3.png")
    assert "but the groups are those of 'group'" in found.title


def test_other_columns_are_told_beside_a_group_only_where_they_are_torn():
    groups, parts = list("aabbcc"), ["train", "train", "test", "test", "train", "train"]
    whole = catalog(groups, parts, study=["x", "x", "y", "y", "x", "x"])  # coarser than the group, and whole
    assert leak_findings(whole) == []
    copy = catalog(groups, parts, patient=groups, visit=["a1", "a2", "b1", "b1", "c1", "c1"])
    assert leak_findings(copy) == []
    (found,) = leak_findings(catalog(groups, parts, patient=["p", "p", "p", "p", "q", "q"]))
    assert (found.code, found.severity, found.figures["column"]) == ("group_not_named", "error", "patient")
    assert found.files == ("0.png", "1.png", "2.png", "3.png")


def test_what_only_divides_a_torn_group_is_not_told_twice():
    found = leak_findings(catalog(list("aabb"), ["train", "test", "test", "test"], visit=["v", "v", "w", "x"]))
    assert [finding.code for finding in found] == ["group_across_split"]


def test_copies_that_are_joined_are_no_group_that_somebody_named(tmp_path):
    """Where there is no copy, each sample is a group of its own: as it should be."""
    spec = spec_of(tmp_path, splits={"duplicates": "together"})
    assert leak_findings(catalog(["group 1", "group 2", "group 3"], ["train", "train", "test"], spec)) == []


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("scanner", ["x", "x", "y"], True),
        ("ScannerModel", ["x", "x", "y"], True),
        ("hospital_id", [0, 0, 1], True),
        ("imaging site", ["x", "x", "y"], True),
        ("day", [1, 1, 2], True),
        ("centre", ["x", "y", "z"], False),
        ("center_x", [4, 4, 7], False),
        ("survival_days", [4, 4, 7], False),
        ("day", [0.5, 0.5, 0.25], False),
        ("website", ["x", "x", "y"], False),
    ],
)
def test_names_of_places_and_devices(name, values, wanted):
    table = pd.DataFrame({name: values})
    assert batch_columns(table) == [name] * wanted
    assert candidates(table) == []  # that one scanner is in two parts is no leak


@pytest.mark.parametrize(
    ("name", "severity"),
    [("patientid", "error"), ("CaseID", "error"), ("visit", "error"), ("batch", "warning"), ("dup_group", "warning")],
)
def test_only_persons_and_visits_in_two_parts_are_errors(name, severity):
    (found,) = leak_findings(catalog(parts=["train", "test", "test", "test"], **{name: list("aabb")}))
    assert (found.code, found.severity) == ("group_not_named", severity)


def test_the_number_of_a_visit_is_no_visit():
    numbered = catalog(parts=["train", "train", "test", "test"], patient=list("aabb"), visit=[1, 2, 1, 2])
    severities = {found.figures["column"]: found.severity for found in leak_findings(numbered)}
    assert severities == {"patient": "note", "visit": "warning"}


def test_one_sample_a_patient_is_as_it_should_be(tmp_path):
    spec = spec_of(tmp_path, splits={"group": "patient"})
    (found,) = leak_findings(catalog(list("abcd"), ["train"] * 2 + ["test"] * 2, spec))
    assert (found.code, found.severity) == ("single_groups", "note")


def test_what_mends_given_parts_that_tear_a_patient(tmp_path):
    from auditing.samples import catalog_and_facts

    lines = ["image,class,patient,part"]
    for k in range(40):
        write(tmp_path / "images" / f"{k}.png", picture(k, 8, 8))
        lines.append(f"{k}.png,{'ab'[k // 4 % 2]},{k // 4},{'train' if k % 4 else 'test'}")
    (tmp_path / "images.csv").write_text("\n".join(lines))
    table = {"path": "images.csv", "image_column": "image", "class_column": "class", "split_column": "part"}
    source = {"kind": "image_folder", "path": "images", "levels": "none", "table": table}
    (found,) = leak_findings(catalog_and_facts(spec_of(tmp_path, source))[0])
    assert found.severity == "error"
    assert "Set splits.group: patient and splits.given: {test: train, train: train}, so that" in found.mend
    mended = {"group": "patient", "given": {"test": "train", "train": "train"}}
    catalog_mended, _ = catalog_and_facts(spec_of(tmp_path, source, splits=mended))
    assert leak_findings(catalog_mended) == []
    assert set(catalog_mended.table["split"]) == {"train", "val", "test"}


def test_an_empty_catalog():
    assert leak_findings(catalog(np.array([], object), [])) == []
