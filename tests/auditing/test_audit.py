"""The whole audit: all checks at once, none ends the others, and nobody's name comes out of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from auditing.samples import by_code, detection_spec, picture, spec_of, write, write_boxes, write_classes, write_dicom

from tumorkeras.auditing import AuditReport, audit, feature_tables, from_spec
from tumorkeras.data.catalog import catalog_of
from tumorkeras.data.parts import with_parts
from tumorkeras.data.samples import load_samples
from tumorkeras.data.sources import labelled
from tumorkeras.errors import DataError, SpecError
from tumorkeras.spec import DataSpec

CHECKS = ["faults", "duplicates", "leaks", "shortcuts", "batch_effects", "fingerprint"]
SMALL = {"few_examples", "small_part", "class_missing_in_part"}
SECRET = "Doe^Jane"


def run(source, **options):
    return audit(source, progress=False, **options)


def faults(report):
    return {code: files for code, files in by_code(report.findings).items() if code not in SMALL}


@pytest.fixture
def folder(tmp_path):
    """Nine pictures a class: too few for probes, which other tests make."""
    return write_classes(tmp_path, each=9)


@pytest.fixture
def without_probes(monkeypatch):
    """Batch effects have tests of their own, and take seconds."""
    monkeypatch.setattr(from_spec, "catalog_batch_effects", lambda *_: [])
    monkeypatch.setattr(feature_tables, "batch_effect_findings", lambda *_, **__: [])


def test_clean_images(folder):
    report = run(spec_of(folder))
    assert report.ok
    assert faults(report) == {}
    assert by_code(report.findings, "leaks") == by_code(report.findings, "duplicates") == {}
    assert set(report.seconds) == set(CHECKS)
    assert report.counts["classes"] == {"benign": 9, "malignant": 9}
    assert (report.counts["images"], report.counts["readable"], sum(report.counts["parts"].values())) == (18, 18, 18)
    assert (report.fingerprint["samples"], report.name) == (18, "scans")
    assert report.plan.input_size
    json.loads(report.to_json())


def test_all_faults_at_once(tmp_path):
    lines = ("000.png,benign,30,30,30,40", "001.png,malignant,60,5,70,15", "gone.png,benign,1,1,5,5")
    write_boxes(tmp_path, images=9, extra=lines)
    (tmp_path / "images" / "002.png").write_bytes(b"")
    (tmp_path / "images" / "003.png").write_text("no picture")
    write(tmp_path / "images" / "extra.png", np.full((48, 48), 7, "uint8"))
    report = run(detection_spec(tmp_path))
    assert not report.ok
    assert faults(report) == {
        "annotation_without_file": ("gone.png",), "box_no_area": ("000.png",), "box_outside": ("001.png",),
        "constant": ("extra.png",), "empty": ("002.png",), "unlabelled": ("extra.png",), "unreadable": ("003.png",),
    }  # fmt: skip
    assert (report.counts["readable"], report.counts["boxes"]) == (17, 20)
    assert set(report.pictures) == {"constant", "unlabelled"}


def test_copies_are_found_and_seen(folder):
    copy = picture(3)  # of benign/003.png
    write(folder / "images" / "malignant" / "copy.png", copy)
    report = run(spec_of(folder))
    found = [finding for finding in report.findings if finding.check == "duplicates"]
    assert any({"benign/003.png", "malignant/copy.png"} <= set(finding.files) for finding in found)
    assert set(report.pictures) == {finding.code for finding in found if finding.files}


def test_a_check_that_fails_is_a_finding_and_stops_nothing(folder, monkeypatch):
    def fails(*_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(from_spec, "leak_findings", fails)
    monkeypatch.setattr(from_spec, "propose_plan", fails)
    report = run(spec_of(folder))
    failed = [finding for finding in report.findings if finding.code == "check_failed"]
    assert [finding.check for finding in failed] == ["fingerprint", "leaks"]
    assert failed[1].title == "the check for leaks could not be made: RuntimeError"
    assert SECRET not in report.to_json()
    assert set(report.seconds) == set(CHECKS)
    assert report.plan is None


# ------------------------------------------------------------------------------------- specs that cannot be followed


def test_a_folder_that_is_not_there(tmp_path):
    report = run(spec_of(tmp_path))
    (found,) = report.findings
    assert (found.code, found.severity) == ("source_unreadable", "error")
    assert "there is no such folder" in found.title
    assert (report.fingerprint, report.plan, report.seconds) == (None, None, {})


def test_a_group_column_that_is_not_there_hides_nothing(folder):
    (folder / "images" / "benign" / "text.png").write_text("no picture")
    report = run(spec_of(folder, splits={"group": "exam"}))
    assert set(faults(report)) == {"source_unreadable", "unreadable"}
    assert "splits.group: the samples have no column 'exam'" in report.findings[0].title
    assert report.findings[0].effect == from_spec.WITHOUT_GROUPS


def test_many_faults_of_a_source_are_all_told(folder):
    names = sorted(path.relative_to(folder / "images").as_posix() for path in (folder / "images").rglob("*.png"))
    (folder / "exams.csv").write_text("image,exam\n" + "".join(f"{name},\n" for name in names))
    values = spec_of(folder).to_dict()
    values["source"]["table"] = {"path": "exams.csv"}
    values["splits"]["group"] = "exam"
    report = run(DataSpec.from_dict(values, folder=folder))
    listed = [finding for finding in report.findings if finding.code == "source_unreadable"]
    assert [finding.title for finding in listed[:2]] == [f"splits.group: {name} has no exam" for name in names[:2]]


@pytest.mark.usefixtures("without_probes")
def test_given_parts_that_tear_a_group(folder):
    lines = ["image,patient,part"]
    for k in range(9):
        lines += [f"benign/{k:03}.png,b{k // 2},{'train' if k < 5 else 'test'}"]
        lines += [f"malignant/{k:03}.png,{SECRET if k < 2 else k},{'test' if k < 6 else 'train'}"]
    (folder / "images.csv").write_text("\n".join(lines))
    table = {"path": "images.csv", "image_column": "image", "split_column": "part"}
    spec = spec_of(folder, {"kind": "image_folder", "path": "images", "table": table}, splits={"group": "patient"})
    report = run(spec)
    (impossible,) = [finding for finding in report.findings if finding.code == "parts_impossible"]
    assert "1 of 13 groups are in more than one part" in impossible.title
    assert impossible.title.isprintable()
    assert by_code(report.findings, "leaks") == {"group_across_split": ("benign/004.png", "benign/005.png")}
    assert report.counts["parts"] == {"test": 10, "train": 8}
    assert SECRET not in report.to_json() + report.to_html() + str(report)


@pytest.mark.usefixtures("without_probes")
def test_listed_parts_that_tear_a_group(folder):
    names = [f"{kind}/{k:03}.png" for kind in ("benign", "malignant") for k in range(9)]
    (folder / "train.txt").write_text("\n".join(names[::2]))
    (folder / "test.txt").write_text("\n".join(names[1::2]))
    rows = "\n".join(f"{name},{k // 3}" for k, name in enumerate(names))
    (folder / "images.csv").write_text("image,exam\n" + rows)
    source = {"kind": "image_folder", "path": "images", "table": {"path": "images.csv"}}
    files = {"train": "train.txt", "test": "test.txt"}
    report = run(spec_of(folder, source, splits={"group": "exam", "files": files}))
    assert set(by_code(report.findings, "leaks")) == {"group_across_split"}
    assert len(by_code(report.findings, "leaks")["group_across_split"]) == 18


def test_parts_that_cannot_be_made(folder):
    report = run(spec_of(folder, splits={"given": {"training": "train"}}))
    (found,) = [finding for finding in report.findings if finding.code == "parts_impossible"]
    assert "splits.given" in found.title
    assert (report.counts["images"], report.counts["parts"]) == (18, {})


# -------------------------------------------------------------------------------------- parts as training has them


def parts_of_training(spec):
    table = load_samples(spec).table
    return dict(zip(table["id"], table["split"], strict=True))


def parts_of_audit(spec, monkeypatch):
    """The part of each sample as the checks see it."""
    seen = []
    monkeypatch.setattr(from_spec, "_checked", lambda checks, catalog, *_: seen.append(catalog.table) or (None, None))
    run(spec)
    return {name: None if pd.isna(part) else part for name, part in zip(seen[0]["id"], seen[0]["split"], strict=True)}


@pytest.mark.parametrize("duplicates", ["apart", "together"])
def test_unlabelled_images_are_in_no_part(tmp_path, monkeypatch, duplicates):
    """And those that are labelled are parted as in training, where copies join no others."""
    write_boxes(tmp_path, images=10)
    for k in range(8):
        write(tmp_path / "images" / f"new{k}.png", picture(2 * k))
    spec = detection_spec(tmp_path, splits={"duplicates": duplicates})
    parts, wanted = parts_of_audit(spec, monkeypatch), parts_of_training(spec)
    assert {name: part for name, part in parts.items() if not name.startswith("new")} == wanted
    assert [part for name, part in parts.items() if name.startswith("new")] == [None] * 8


def test_images_of_a_known_class_that_nobody_marked_are_in_no_part(tmp_path, monkeypatch):
    write_boxes(tmp_path, images=10)
    known = catalog_of(detection_spec(tmp_path))
    table = known.table.assign(labelled=known.table.index % 4 > 0)
    monkeypatch.setattr(from_spec, "catalog_of", lambda spec: replace(known, table=table))
    parts = parts_of_audit(detection_spec(tmp_path), monkeypatch)
    wanted = with_parts(labelled(replace(known, table=table))[0]).table
    assert {name: part for name, part in parts.items() if part is not None} == dict(wanted[["id", "split"]].values)
    assert sum(part is None for part in parts.values()) == 5


def test_tracks_that_are_not_used_are_in_no_part(tmp_path, monkeypatch):
    """Those that are shorter than the frames that are wanted, and those that are not drawn."""
    generator = np.random.default_rng(0)
    lines = ["track,frame,x,y,class"]
    for k in range(30):
        for frame, (x, y) in enumerate(generator.normal(size=(6 if k % 5 == 0 else 12, 2)).cumsum(axis=0)):
            lines.append(f"{k},{frame},{x:.3f},{y:.3f},{'ab'[k % 2]}")
    (tmp_path / "tracks.csv").write_text("\n".join(lines))
    table = {"path": "tracks.csv", "time_column": "frame"}
    source = {"kind": "tracks", "table": table, "frames": 12, "samples_per_class": 10}
    spec = spec_of(tmp_path, source, input={"shape": [12, 16, 16, 1]})
    parts, wanted = parts_of_audit(spec, monkeypatch), parts_of_training(spec)
    assert {name: part for name, part in parts.items() if part is not None} == wanted
    assert (len(parts), len(wanted)) == (30, 20)


def test_pictures_are_not_decoded_once_more_to_compare_them(folder, monkeypatch):
    def fails(*_):
        raise AssertionError("confirmed is for volumes")

    write(folder / "images" / "malignant" / "copy.png", picture(3))
    monkeypatch.setattr(from_spec, "confirmed", fails)
    assert "check_failed" not in {finding.code for finding in run(spec_of(folder)).findings}


def test_a_spec_that_is_no_spec(tmp_path):
    (tmp_path / "spec.yaml").write_text("name: x\nsource: 3\n")
    with pytest.raises(SpecError):
        run(tmp_path / "spec.yaml")


def test_a_spec_by_its_file(folder):
    spec = spec_of(folder)
    (folder / "data_spec.yaml").write_text(spec.to_yaml())
    assert run(folder / "data_spec.yaml").counts == run(spec).counts


def test_columns_belong_to_tables(folder):
    with pytest.raises(DataError, match="label: goes with a table of features"):
        run(spec_of(folder), label="class", group="patient")


# ----------------------------------------------------------------------------------------------------- other kinds


def test_simulated_tracks(tmp_path):
    source = {"kind": "simulation", "samples_per_class": 9, "frames": 16, "motions": ["random_walk", "levy_flight"]}
    report = run(spec_of(tmp_path, source, input={"shape": [16, 24, 24, 1]}))
    assert faults(report) == {}
    assert (report.counts["tracks"], report.pictures, report.plan) == (18, {}, None)


def test_volumes(tmp_path):
    volumes = np.random.default_rng(0).integers(1, 250, (18, 8, 8, 8), dtype="uint8")
    volumes[4] = 9
    np.savez(tmp_path / "v.npz", train_images=volumes, train_labels=np.arange(18) % 2)
    report = run(spec_of(tmp_path, {"kind": "npz", "path": "v.npz"}, input={"shape": [8, 8, 8, 1]}))
    assert faults(report) == {"constant": ("train/4",)}


def test_no_patient_in_the_report(tmp_path):
    for k in range(20):
        path = tmp_path / "images" / ("a", "b")[k % 2] / f"{k}.dcm"
        tags = {"PatientName": SECRET, "PatientID": f"ID-{k // 4}-77", "PatientBirthDate": "19500102"}
        write_dicom(path, None if k == 5 else picture(k), **tags)  # one file has no pixels
    report = run(spec_of(tmp_path))
    assert faults(report) == {"unreadable": ("b/5.dcm",)}
    assert "group_not_named" in by_code(report.findings, "leaks")
    said = report.to_json() + report.to_html() + str(report)
    for secret in ("Doe", "Jane", "ID-", "-77", "19500102"):
        assert secret not in said


# ------------------------------------------------------------------------------------------------- tables of features


def features(n=40, seed=0):
    generator = np.random.default_rng(seed)
    kinds = np.repeat(["wild", "mutant"], n)
    return pd.DataFrame({"class": kinds, "speed": generator.normal(size=2 * n), "turn": generator.normal(size=2 * n)})


def test_a_clean_table():
    report = run(features(), label="class")
    assert (report.ok, faults(report), report.counts) == (True, {}, {"rows": 80, "columns": 3})
    assert list(report.seconds) == ["faults", "leaks", "shortcuts"]


def test_faults_of_a_table():
    table = features()
    table.loc[3, "speed"] = np.nan
    table.loc[[5, 6], "turn"] = [np.inf, -np.inf]
    table.loc[79, ["speed", "turn"]] = table.loc[0, ["speed", "turn"]]
    table.loc[7, "class"] = None
    table = table.assign(device="A")
    report = run(table, label="class")
    assert faults(report) == {
        "class_missing": ("row 8",), "constant": (), "missing_values": ("row 4",), "not_finite": ("row 6", "row 7"),
        "same_content": ("row 1", "row 80"),
    }  # fmt: skip
    copies = next(finding for finding in report.findings if finding.code == "same_content")
    assert (copies.severity, copies.figures) == ("error", {"crossing": {"classes": 1, "parts": 0}})


@pytest.mark.usefixtures("without_probes")
def test_leaks_of_a_table():
    table = features().assign(experiment=np.arange(80) // 8, split=["train"] * 36 + ["test"] * 44)
    (unnamed,) = [finding for finding in run(table, label="class").findings if finding.check == "leaks"]
    assert (unnamed.code, unnamed.severity, unnamed.figures["column"]) == ("group_not_named", "warning", "experiment")
    assert unnamed.mend.startswith("Name it with --group experiment")
    assert "splits.group" not in unnamed.title + unnamed.mend
    report = run(table, label="class", group="experiment")
    assert by_code(report.findings, "leaks") == {"group_across_split": tuple(f"row {k}" for k in range(33, 41))}
    assert "batch_effects" in report.seconds


def test_a_table_in_a_file_and_without_label(tmp_path):
    features(5).to_csv(tmp_path / "cells.csv", index=False)
    report = run(tmp_path / "cells.csv")
    assert (report.name, report.counts, list(report.seconds)) == (
        "cells",
        {"rows": 10, "columns": 3},
        ["faults", "leaks"],
    )
    (left_out,) = [finding for finding in report.findings if finding.code == "no_label"]
    assert (left_out.severity, "--label COLUMN" in left_out.mend) == ("note", True)


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (features(5), {"label": "kind"}, "label: there is no column 'kind'"),
        (features(5), {"group": "day"}, "group: there is no column 'day'"),
        (features(5).head(0), {"label": "class"}, "has no row"),
    ],
)
def test_tables_that_cannot_be_audited(table, options, words):
    with pytest.raises(DataError, match=words):
        run(table, **options)


def test_the_report_is_of_the_public_type(folder):
    assert isinstance(run(spec_of(folder)), AuditReport)
