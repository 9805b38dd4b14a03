"""Shortcuts that were planted are found, and nothing is found where nothing was."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from tumorkeras.auditing import probes
from tumorkeras.auditing.columns import column_findings
from tumorkeras.auditing.facts import collect_facts
from tumorkeras.auditing.families import FAMILIES, box_sizes, image_families, size_columns
from tumorkeras.auditing.questions import questions_of
from tumorkeras.auditing.shortcuts import shortcut_findings
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.readers import Reading

N = 30  # of each class


@pytest.fixture(autouse=True, scope="module")
def few_trees():
    """What is planted is found by a small forest as well, in a third of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "TREES", 8)
        yield


def tissue(n, size=(96, 128), seed=0):
    """Speckled pictures (height, width), each with a dark blob somewhere in its middle."""
    generator = np.random.default_rng(seed)
    pictures = []
    for _ in range(n):
        speckle = cv2.GaussianBlur(generator.normal(size=size), (0, 0), 2) * 120 + generator.uniform(80, 140)
        centre = tuple(int(side * generator.uniform(0.4, 0.6)) for side in size[::-1])
        cv2.circle(speckle, centre, 12, 20.0, -1)
        pictures.append(np.clip(speckle, 0, 255).astype(np.uint8))
    return pictures


def catalog_of_arrays(arrays, labels, kind="images", **columns):
    table = pd.DataFrame({"id": [f"{k}.png" for k in range(len(arrays))], "path": "", "class_name": labels})
    table = table.assign(group=columns.pop("group", None), given_split=None, split=None, **columns)
    boxes = table.attrs.get("boxes")
    read = lambda row: Reading(arrays[row], None, {})  # noqa: E731
    return Catalog(table, boxes, tuple(sorted(set(labels))), kind, (), None, read)


def findings_of(catalog):
    return shortcut_findings(catalog, collect_facts(catalog, progress=False))


def alarms(findings):
    return {finding.code: finding for finding in findings if finding.severity != "note"}


def stamp(picture, place, strength):
    """A logo of the letters US, laid over a picture."""
    letters = np.zeros((14, 30), np.uint8)
    cv2.putText(letters, "US", (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    weight = letters / 255 * strength
    window = tuple(slice(start, start + side) for start, side in zip(place, letters.shape, strict=True))
    stamped = picture.copy()
    stamped[window] = (picture[window] * (1 - weight) + 255 * weight).astype(np.uint8)
    return stamped


def planted(place, strength, share=0.8):
    """Two classes that differ by nothing but a logo on most pictures of the second."""
    generator = np.random.default_rng(1)
    pictures = tissue(2 * N)
    for k in range(N, 2 * N):
        if generator.random() < share:
            pictures[k] = stamp(pictures[k], place, strength)
    return catalog_of_arrays([picture[..., None] for picture in pictures], ["benign"] * N + ["malignant"] * N)


@pytest.mark.parametrize(
    ("place", "strength"),
    [((2, 96), 1.0), ((2, 48), 0.4)],
    ids=["opaque in a corner", "half transparent in the middle of the border"],
)
def test_a_watermark_is_found(place, strength):
    found = alarms(findings_of(planted(place, strength)))
    finding = found["edge_pattern"]
    assert "benign from malignant" in finding.title
    assert finding.figures["low"] > 0.6
    assert finding.figures["n"] == 2 * N
    assert finding.effect
    assert finding.mend


@pytest.fixture(scope="module")
def clean():
    """Findings on pictures without a shortcut, whose table has three columns of its own."""
    catalog = planted((2, 48), 0.0)
    generator = np.random.default_rng(0)
    catalog.table["kilovolts"] = generator.normal(size=2 * N) + 5 * (catalog.table["class_name"] == "malignant")
    catalog.table["hospital"] = np.where(catalog.table["class_name"] == "malignant", "north", "south")
    catalog.table["scanner"] = generator.permutation(["x", "y"] * N)
    return {finding.code: finding for finding in findings_of(catalog)}


def test_clean_pictures_raise_no_alarm_and_every_probe_is_named(clean):
    assert {finding.severity for finding in clean.values()} == {"note"}
    note = clean["probes"]
    assert {probe["probe"] for probe in note.figures["probes"]} >= {"the corners", "mean and spread of intensity"}
    assert all(probe["low"] <= probe["auc"] <= probe["high"] for probe in note.figures["probes"])
    assert "Bonferroni" in note.mend
    assert note.effect.count(".") == 1  # one sentence: the scores are in the figures


def test_the_quality_of_the_files_is_found(tmp_path):
    pictures = tissue(2 * N)
    paths = [tmp_path / f"{k}.jpg" for k in range(2 * N)]
    for k, (path, picture) in enumerate(zip(paths, pictures, strict=True)):
        path.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 70 if k < N else 95])[1].tobytes())
    catalog = catalog_of_arrays([picture[..., None] for picture in pictures], ["a"] * N + ["b"] * N)
    catalog.table["path"] = [str(path) for path in paths]
    found = alarms(findings_of(catalog))
    assert found["file_size"].severity == "error"


def test_the_size_of_the_images_is_found():
    generator = np.random.default_rng(2)
    pictures = tissue(2 * N)
    for k in range(N, 2 * N):
        if generator.random() < 0.8:
            pictures[k] = cv2.resize(pictures[k], (120, 96))
    catalog = catalog_of_arrays([picture[..., None] for picture in pictures], ["a"] * N + ["b"] * N)
    found = alarms(findings_of(catalog))
    assert found["image_size"].severity == "warning"
    assert found["image_size"].figures["auc"] == pytest.approx(0.9, abs=0.05)


def test_objects_that_are_cut_out_are_told_by_their_size():
    generator = np.random.default_rng(0)
    volumes = []
    for k in range(2 * N):
        side = generator.integers(3, 7) + 2 * (k >= N)
        volume = np.zeros((12, 12, 12, 1), np.uint8)
        volume[2 : 2 + side, 2 : 2 + side, 2 : 2 + side] = generator.integers(50, 200, (side, side, side, 1))
        volumes.append(volume)
    labels = ["benign"] * N + ["malignant"] * N
    found = alarms(findings_of(catalog_of_arrays(volumes, labels, "volumes")))
    assert found["object_size"].severity == "warning"  # it belongs to the object, however well it tells
    assert "intensity" not in found


def test_lidc_nodules_are_told_by_size(data_folder):
    stored = np.load(data_folder / "lidc_nodules" / "nodules32.npz")
    rows = pd.read_csv(data_folder / "lidc_nodules" / "nodules.csv").query("split == 'val'").reset_index(drop=True)
    labels = np.array(["benign", "malignant"])[stored["val_labels"].ravel()]
    catalog = catalog_of_arrays(stored["val_images"][..., None], labels, "volumes", group=rows["exam_id"])
    catalog.table["diameter_mm"] = rows["diameter_mm"]
    findings = findings_of(catalog)
    size = alarms(findings)["object_size"]
    assert size.figures["auc"] == pytest.approx(0.84, abs=0.04)
    assert not any(exam in str(finding.to_dict()) for exam in rows["exam_id"] for finding in findings)


def test_tracks_are_told_by_their_length_and_speed():
    generator = np.random.default_rng(0)
    tracks = [np.cumsum(generator.normal(size=(63, 2)), axis=0) for _ in range(N)]
    tracks += [np.cumsum(3 * generator.normal(size=(77, 2)), axis=0) for _ in range(N)]
    catalog = catalog_of_arrays(tracks, ["musc"] * N + ["myoblast"] * N, "tracks")
    found = alarms(findings_of(catalog))
    assert set(found) == {"frames", "mean_step"}
    assert {finding.severity for finding in found.values()} == {"warning"}
    assert found["frames"].figures["auc"] == 1


def boxed_catalog(classes_of, widths):
    """Images of noise; `classes_of` lists the classes of the boxes of each, `widths` the width by class."""
    arrays = [picture[..., None] for picture in tissue(len(classes_of))]
    names = [" + ".join(sorted(set(found))) or "no objects" for found in classes_of]
    catalog = catalog_of_arrays(arrays, names, labelled=True)
    generator = np.random.default_rng(0)
    rows = [
        (f"{k}.png", name, 5.0, 5.0, 5.0 + widths[name] + generator.uniform(0, 4), 15.0 + generator.uniform(0, 4))
        for k, found in enumerate(classes_of)
        for name in found
    ]
    boxes = pd.DataFrame(rows, columns=["image", "class", "xmin", "ymin", "xmax", "ymax"])
    return Catalog(catalog.table, boxes, ("a", "b"), "images", (), None, catalog.reader)


def test_the_size_of_boxes_is_set_against_their_class():
    catalog = boxed_catalog([["a"]] * 11 + [["b"]] * 11 + [[]] * 11, {"a": 10, "b": 30})
    findings = findings_of(catalog)
    size = alarms(findings)["object_size"]
    assert size.severity == "warning"
    assert size.figures["question"] == "class of the box"
    asked = {probe["question"] for probe in findings[-1].figures["probes"]}
    assert asked == {"objects", "class", "class of the box"}


def test_images_of_several_classes_are_asked_class_by_class():
    catalog = boxed_catalog([["a"]] * 15 + [["a", "b"]] * 15 + [["b", "b"]] * 4, {"a": 10, "b": 10})
    found = questions_of(catalog.table, catalog.boxes)
    # every image has an object, and all but four have an a
    assert [question.name for question in found] == ["has b"]
    assert found[0].labels.tolist() == ["without b"] * 15 + ["with b"] * 19


def test_unlabelled_images_are_not_images_without_objects():
    catalog = boxed_catalog([["a"]] * 15 + [[]] * 25, {"a": 10, "b": 10})
    catalog.table.loc[15:19, "labelled"] = False
    (question,) = questions_of(catalog.table, catalog.boxes)
    assert question.labels.isna().sum() == 5
    assert question.labels.value_counts().to_dict() == {"without objects": 20, "with objects": 15}


def test_the_sources_own_columns_are_a_note(clean):
    """The hospital is the class in other words, of which there is nothing to learn; the scanner tells nothing."""
    assert clean["columns"].title.endswith("by themselves: kilovolts")


def test_a_column_that_is_almost_the_class_is_a_warning():
    generator = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], N)
    table = pd.DataFrame(
        {
            "speed": generator.normal(size=2 * N) + (labels == "b"),
            "stage": generator.normal(size=2 * N) + 20 * (labels == "b"),
            "site": generator.permutation(["north", "south"] * N),
            "name": [f"cell {k}" for k in range(2 * N)],
        }
    )
    warning, note = column_findings(table, labels)
    assert (warning.code, warning.severity, warning.figures["column"]) == ("column", "warning", "stage")
    assert [entry["column"] for entry in note.figures["columns"]][:2] == ["stage", "speed"]
    assert note.figures["probes"] == 3  # a name for each row is no feature
    assert column_findings(table[:5], labels[:5]) == []


def test_without_two_classes_nothing_is_probed():
    assert findings_of(catalog_of_arrays([np.zeros((8, 8, 1))] * 12, ["a"] * 12)) == []


def test_every_family_is_told_in_whole_sentences():
    assert all(text.endswith(".") for family in FAMILIES.values() for text in (family.effect, family.mend))


def test_facts_fall_into_families():
    found = pd.DataFrame(
        {
            "height": [4.0, 4.0],
            "width": [4.0, 8.0],
            "bits": [8.0, 8.0],
            "bytes": [10.0, 0.0],
            "corner_mean_0": [0.0, 1.0],
        }
    )
    families = image_families(found.assign(depth=np.nan), volumes=False)
    assert set(families) == {"image_size", "file_size", "corners"}
    assert families["image_size"]["aspect"].tolist() == [1.0, 0.5]
    assert families["file_size"]["bytes"].isna().tolist() == [False, True]


def test_sizes_are_known_by_their_names():
    table = pd.DataFrame(
        {"tumor_size": [1], "n_voxels": [2], "area": [3.5], "age": [4], "height": [5], "size": ["big"]}
    )
    assert list(size_columns(table)) == ["tumor_size", "n_voxels", "area"]


def test_boxes_without_area_have_no_size():
    boxes = pd.DataFrame({"xmin": [0, 3], "ymin": [0, 0], "xmax": [4, 3], "ymax": [2, 2]})
    assert box_sizes(boxes)["area"].isna().tolist() == [False, True]
