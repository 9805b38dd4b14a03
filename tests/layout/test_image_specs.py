"""The specs for images in folders of classes, and for images with a table."""

from __future__ import annotations

import numpy as np
from made_folders import (
    class_folders,
    comments,
    made,
    picture,
    table,
)

from tumorkeras.data.catalog import catalog_of

# ------------------------------------------------------------------------------------------------- folders of classes


def test_folders_of_parts_with_folders_of_classes(tmp_path):
    root = class_folders(tmp_path / "scans", [f"{p}/{c}" for p in ("train", "Valid", "test") for c in ("cyst", "mass")])
    spec, text = made(root)
    assert (spec.source.kind, spec.source.levels, spec.source.path) == ("image_folder", "split/class", "scans")
    assert spec.classes == ["cyst", "mass"]
    assert spec.splits.given == {"train": "train", "Valid": "val", "test": "test"}
    assert spec.input.shape == [64, 64, 1]
    assert spec.preprocessing[0].step == "rescale"
    assert "lee_filter" in comments(text)
    catalog = catalog_of(spec)
    assert (len(catalog), catalog.faults) == (36, ())


def test_a_part_without_a_class_is_said(tmp_path):
    _, text = made(class_folders(tmp_path / "scans", ["train/a", "train/b", "val/a"]))
    assert "val has no folder b" in comments(text)


def test_class_folders_with_parts_inside(tmp_path):
    spec, _ = made(class_folders(tmp_path / "scans", ["d/a/train", "d/a/test", "d/b/train", "d/b/test"]))
    assert (spec.source.levels, spec.source.path) == ("class/split", "scans/d")
    assert spec.splits.given == {"train": "train", "test": "test"}
    assert spec.splits.fractions.val == 0.15


def test_class_names_are_kept_as_they_are_written(tmp_path):
    spec, text = made(class_folders(tmp_path / "scans", ["Benign Cases ", "benign-cases", "yes", "MALIGNANT: 2"]))
    assert spec.classes == ["Benign Cases ", "MALIGNANT: 2", "benign-cases", "yes"]
    assert "'Benign Cases ' and 'benign-cases' are two classes here" in comments(text)
    assert catalog_of(spec).faults == ()
    assert "Nothing tells which images are of one patient" in comments(text)


def test_folders_of_patients_are_no_classes(tmp_path):
    spec, text = made(class_folders(tmp_path / "scans", [f"patient{k}" for k in range(4)]))
    assert (spec.tasks, spec.source.levels, spec.classes) == (["autoencode"], "none", None)
    assert "look like one a patient" in comments(text)


def test_numbered_folders_may_be_classes(tmp_path):
    spec, text = made(class_folders(tmp_path / "scans", ["0", "1"]))
    assert spec.classes == ["0", "1"]
    assert "that they are classes is guessed" in comments(text)


def test_folders_inside_classes_may_be_patients(tmp_path):
    _, text = made(class_folders(tmp_path / "scans", ["a/p1", "a/p2", "b/p3"]))
    assert "If they stand for patients" in comments(text)


def test_images_that_are_truly_coloured_have_three_channels(tmp_path):
    spec, _ = made(class_folders(tmp_path / "scans", ["a", "b"], colour=True))
    assert spec.input.shape[-1] == 3


def test_sixteen_bits_are_standardized(tmp_path):
    root = tmp_path / "scans"
    for k in range(10):
        path = root / "ab"[k % 2] / f"{k}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((300, 500), k * 100, "uint16"))
    spec, text = made(root)
    assert [step.step for step in spec.preprocessing] == ["standardize"]
    assert spec.input.shape == [64, 128, 1]  # 77 x 128 in multiples of 32
    assert "uint16" in comments(text)


def test_videos_or_stacks_are_volumes(tmp_path):
    root = tmp_path / "scans"
    for k in range(10):
        path = root / "ab"[k % 2] / f"{k}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.zeros((10, 40, 50), "uint8"))
    spec, text = made(root)
    assert spec.input.shape == [8, 40, 48, 1]
    assert "do not tell the spacing" in comments(text)


# ------------------------------------------------------------------------------------------------- tables of images


def test_images_with_a_table_of_classes(tmp_path):
    root = tmp_path / "kaggle"
    for k in range(20):
        picture(root / "images" / f"{k:03}.png")
    table(root / "labels.csv", "id,diagnosis", [(f"{k:03}", ("tumour", "cyst")[k % 2]) for k in range(20)])
    spec, _ = made(root)
    assert (spec.source.kind, spec.source.levels, spec.source.path) == ("image_folder", "none", "kaggle/images")
    assert spec.source.table.model_dump() == {
        "path": "kaggle/labels.csv",
        "image_column": "id",
        "class_column": "diagnosis",
        "split_column": None,
    }
    assert spec.classes == ["cyst", "tumour"]
    catalog = catalog_of(spec)
    assert (catalog.faults, catalog.table["class_name"].value_counts().to_dict()) == ((), {"cyst": 10, "tumour": 10})


def test_patients_in_a_table_become_groups_and_numbers_are_asked_about(tmp_path):
    root = tmp_path / "kaggle"
    for k in range(20):
        picture(root / "train" / f"{k}.png")
        picture(root / "test" / f"{k + 50}.png")
    rows = [(f"{k}.png", f"p{k // 3}", k % 2, k % 7) for k in range(20)]
    table(root / "train.csv", "image_id,patient_id,label,age_group", rows)
    spec, text = made(root)
    assert (spec.source.path, spec.source.table.class_column) == ("kaggle/train", "label")
    assert (spec.classes, spec.splits.group) == (["0", "1"], "patient_id")
    assert "What the classes 0, 1 stand for" in comments(text)


def test_groups_across_given_parts_are_a_leak_and_no_group(tmp_path):
    root = tmp_path / "kaggle"
    for k in range(12):
        picture(root / f"{k}.png")
    rows = [(f"{k}.png", "ab"[k % 2], k // 3, ("train", "val")[k % 3 == 0]) for k in range(12)]
    table(root / "t.csv", "file,class,patient,split", rows)
    spec, text = made(root)
    assert (spec.splits.given, spec.splits.group) == ({"train": "train", "val": "val"}, None)
    assert "4 of 4 values of patient have images in more than one part" in comments(text)
    assert spec.splits.fractions.test == 0


def test_rows_and_images_that_do_not_match_are_counted(tmp_path):
    root = tmp_path / "kaggle"
    for k in range(12):
        picture(root / "images" / f"{k}.png")
    table(root / "t.csv", "file,class", [(f"{k}.png", "ab"[k % 2]) for k in range(1, 13)])
    _, text = made(root)
    assert "1 row of t.csv name no image that is there" in comments(text)
    assert "1 image without a row in t.csv" in comments(text)


def test_a_class_in_several_columns_is_said(tmp_path):
    root = tmp_path / "kaggle"
    for k in range(12):
        picture(root / f"{k}.png")
    table(root / "t.csv", "image,mel,nevus", [(f"{k}.png", int(k % 2), int(not k % 2)) for k in range(12)])
    spec, text = made(root)
    assert spec.tasks == ["autoencode"]
    assert "mel, nevus look like one class in several columns" in comments(text)


def test_names_of_patients_are_never_written(tmp_path):
    root = tmp_path / "clinic"
    for k in range(12):
        picture(root / f"{k}.png")
    people = ["Anna Schmidt", "Bo Li", "Cem Kaya"]
    table(root / "t.csv", "image,patient_name,age", [(f"{k}.png", people[k // 4], 40 + k) for k in range(12)])
    spec, text = made(root)
    assert (spec.tasks, spec.classes, spec.splits.group) == (["autoencode"], None, "patient_name")
    assert not any(word in text for name in people for word in name.split())
