"""The spec that is written for a folder, layout by layout."""

from __future__ import annotations

import contextlib
import json
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
    dicom_series,
    mask,
    matrix,
    nifti,
    off_blocks,
    picture,
    table,
    voc,
)

from tumorkeras.data.catalog import catalog_of
from tumorkeras.errors import DataError
from tumorkeras.layout import init
from tumorkeras.layout.writing import spec_text
from tumorkeras.spec import DataSpec


def made(folder, output="spec.yaml"):
    """The spec and its text."""
    path = folder.parent / output
    spec = init(folder, path)
    assert DataSpec.from_yaml(path) == spec
    return spec, path.read_text(encoding="utf-8")


def refused(folder):
    with pytest.raises(DataError) as caught:
        init(folder, folder.parent / "spec.yaml")
    assert not (folder.parent / "spec.yaml").exists()
    return str(caught.value)


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


# ------------------------------------------------------------------------------------------------------------- boxes


def test_coco_with_a_folder_a_part(tmp_path):
    root = tmp_path / "coco"
    for part, first in (("train", 1), ("val", 100)):
        names = [f"{part}{k}.jpg" for k in range(6)]
        for name in names:
            picture(root / f"{part}2017" / name, colour=True)
        coco(root / "annotations" / f"instances_{part}2017.json", names, first=first)
    spec, text = made(root)
    source = spec.source
    assert (source.kind, source.path, source.annotations, source.format) == (
        "detection",
        "coco",
        "coco/annotations",
        "coco",
    )
    assert spec.classes == ["cyst", "mass"]  # ids 7 and 9
    assert spec.splits.given == {"train": "train", "val": "val"}
    assert "order of their numbers in the files: cyst 12, mass 0 boxes" in comments(text)
    catalog = catalog_of(spec)
    assert (catalog.faults, len(catalog.boxes), catalog.table["labelled"].all()) == ((), 12, True)


def test_a_large_coco_file_is_not_parsed(tmp_path, monkeypatch):
    from tumorkeras.layout import of_boxes

    monkeypatch.setattr(of_boxes, "MOST_BYTES", 10)
    for k in range(8):
        picture(tmp_path / "coco" / f"{k}.png")
    coco(tmp_path / "coco" / "boxes.json", [f"{k}.png" for k in range(8)])
    spec, text = made(tmp_path / "coco")
    assert (spec.source.annotations, spec.classes) == ("coco/boxes.json", ["cyst", "mass"])
    assert "were not all read" in comments(text)


@pytest.mark.parametrize("named", [True, False])
def test_yolo(tmp_path, named):
    root = tmp_path / "yolo"
    for part in ("train", "valid"):
        for k in range(5):
            picture(root / part / "images" / f"{part}{k}.jpg")
            labels = root / part / "labels" / f"{part}{k}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text("1 0.5 0.5 0.25 0.5\n" if k else "")
    if named:
        (root / "data.yaml").write_text("train: ../train/images\nnc: 2\nnames: ['mass', 'cyst']\n")
    spec, text = made(root)
    assert (spec.source.path, spec.source.annotations, spec.source.format) == ("yolo", "yolo", "yolo")
    assert spec.classes == (["mass", "cyst"] if named else ["0", "1"])
    assert ("numbers only" in comments(text)) is not named
    assert spec.splits.given == {"train": "train", "val": "val"}
    assert "2 images listed without a box: images without objects" in comments(text)
    catalog = catalog_of(spec)
    assert (catalog.faults, len(catalog.boxes)) == ((), 8)


def test_voc_beside_the_images(tmp_path):
    for k in range(8):
        picture(tmp_path / "cells" / f"{k}.png")
        voc(tmp_path / "cells" / f"{k}.xml", f"{k}.png", ("cyst", "mass")[k > 5])
    spec, text = made(tmp_path / "cells")
    assert (spec.source.format, spec.source.annotations, spec.classes) == ("voc", "cells", ["cyst", "mass"])
    assert "how many boxes they have: cyst 6, mass 2 boxes" in comments(text)
    assert len(catalog_of(spec).boxes) == 8


def test_annotations_that_cannot_be_read_are_said(tmp_path):
    for k in range(8):
        picture(tmp_path / "cells" / f"{k}.png")
        voc(tmp_path / "cells" / f"{k}.xml", f"{k}.png")
    (tmp_path / "cells" / "3.xml").write_text("<annotation><object></annotation>")
    spec, text = made(tmp_path / "cells")
    assert (spec.source.format, spec.classes) == ("voc", None)
    assert "cannot be read as they are: 3.xml" in comments(text)


def test_boxes_in_a_table_with_names_of_its_own(tmp_path):
    root = tmp_path / "cells"
    for k in range(20):
        picture(root / "img" / f"{k}.png")
    rows = "".join(f"{k}.png;{'ab'[k % 2]};1,5;2;9;12\n" for k in range(15))
    (root / "boxes.csv").write_text("picture;kind;x1;y1;x2;y2\n" + rows)
    spec, text = made(root)
    assert (spec.source.format, spec.source.columns) == ("csv", {"image": "picture", "class": "kind"})
    assert spec.classes == ["a", "b"]
    assert "'kind' is the class of a box is guessed" in comments(text)
    assert "5 images not named by the annotations: taken as unlabelled" in comments(text)
    catalog = catalog_of(spec)
    assert (catalog.faults, len(catalog.boxes), catalog.table["labelled"].sum()) == ((), 15, 15)


def test_boxes_as_shares_of_the_image_are_said(tmp_path):
    root = tmp_path / "cells"
    for k in range(10):
        picture(root / f"{k}.png")
    table(
        root / "boxes.csv", "image,class,xmin,ymin,xmax,ymax", [(f"{k}.png", "a", 0.1, 0.1, 0.5, 1) for k in range(10)]
    )
    assert "are shares of the image" in comments(made(root)[1])


# ------------------------------------------------------------------------------------------------------------- masks


def test_masks_beside_images_in_folders_of_classes(tmp_path):
    root = tmp_path / "breast"
    for name in ("benign", "malignant", "normal"):
        for k in range(1, 7):
            picture(root / name / f"{name} ({k}).png")
            mask(root / name / f"{name} ({k})_mask.png", [] if name == "normal" else [(3, 4, 20, 30)])
    mask(root / "benign" / "benign (3)_mask_1.png", [(40, 4, 50, 10)])
    spec, text = made(root)
    assert (spec.source.kind, spec.source.format, spec.source.annotations) == ("detection", "masks", "breast")
    assert spec.classes == ["benign", "malignant"]
    assert "normal that were looked at are empty: images without objects" in comments(text)
    boxes = catalog_of(spec).boxes
    assert boxes["class"].value_counts().to_dict() == {"benign": 7, "malignant": 6}


@pytest.mark.parametrize(("values", "form"), [([1, 2], "instance_masks"), ([3, 5], "masks")])
def test_values_of_masks_are_objects_or_classes(tmp_path, values, form):
    root = tmp_path / "cells"
    for k in range(10):
        picture(root / "images" / f"{k}.png")
        mask(root / "masks" / f"{k}.png", [(3, 4, 20, 30), (30, 4, 50, 20)], values=values)
    spec, text = made(root)
    assert (spec.source.path, spec.source.annotations) == ("cells/images", "cells/masks")
    assert spec.source.format == form
    assert "Whether a value of the masks is a class" in comments(text)
    assert len(catalog_of(spec).boxes) == 20


# ----------------------------------------------------------------------------------------------------------- volumes


def test_a_dicom_tree_with_labels_by_patient(tmp_path):
    root = tmp_path / "ct"
    for k in range(9):
        dicom_series(root / f"PAT{k:03}" / "study" / "series", patient=f"SECRET{k}")
    table(root / "labels.csv", "patient,label", [(f"PAT{k:03}", k % 2) for k in range(9)])
    spec, text = made(root)
    assert (spec.source.levels, spec.tasks, spec.splits.group) == ("none", ["autoencode"], "patient")
    assert (spec.input.shape, spec.input.spacing, spec.input.units) == ([8, 16, 24, 1], [2, 0.5, 0.5], "mm")
    assert "labels.csv names folders above the volumes (column patient)" in comments(text)
    assert "SECRET" not in text
    assert "PAT0" not in text
    assert len(catalog_of(spec)) == 9


def test_a_dicom_folder_a_patient_without_endings(tmp_path):
    root = tmp_path / "ct"
    for k in range(10):
        dicom_series(root / f"PAT{k:03}", patient=f"SECRET{k}", ending="")
    table(root / "labels.csv", "patient,label", [(f"PAT{k:03}", ("no", "yes")[k % 2]) for k in range(10)])
    spec, text = made(root)
    assert (spec.source.table.image_column, spec.classes, spec.splits.group) == ("patient", ["no", "yes"], "patient")
    assert "SECRET" not in text
    assert catalog_of(spec).faults == ()


def test_nnunet(tmp_path):
    root = tmp_path / "liver"
    for k in range(9):
        for channel in (0, 1):
            nifti(root / "imagesTr" / f"case_{k}_{channel:04}.nii.gz")
        nifti(root / "imagesTs" / f"case_{k + 50}_0000.nii.gz")
        nifti(root / "labelsTr" / f"case_{k}.nii.gz")
    content = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "liver": 1}}
    (root / "dataset.json").write_text(json.dumps(content))
    spec, text = made(root)
    assert (spec.source.path, spec.source.levels, spec.tasks) == ("liver/imagesTr", "none", ["autoencode"])
    assert (spec.input.shape, spec.input.spacing) == ([8, 16, 16, 1], [2.5, 0.8, 0.8])
    assert "background, liver" in comments(text)
    assert "2 files, one a channel (CT, PET)" in comments(text)
    assert "imagesTs" in comments(text)


def test_npz_volumes_with_their_table(tmp_path):
    root = tmp_path / "nodules"
    root.mkdir()
    labels = np.array([0, 1, 2, 0])
    parts = {f"{part}_images": np.zeros((4, 8, 9, 10), "float32") for part in ("train", "test")}
    np.savez(root / "v.npz", **parts, train_labels=labels, test_labels=labels)
    rows = [(p, f"e{p}{k // 2}", label, label + 0.5) for p in ("test", "train") for k, label in enumerate(labels)]
    table(root / "t.csv", "split,exam_id,label,volume_ml", rows)
    spec, text = made(root)
    assert (spec.source.kind, spec.input.shape, spec.classes) == ("npz", [8, 9, 10, 1], ["0", "1", "2"])
    assert (spec.source.table, spec.splits.group) == ("nodules/t.csv", "exam_id")
    assert [step.step for step in spec.preprocessing] == ["standardize"]
    assert "volume_ml: sizes, which may be shortcuts" in comments(text)
    assert "volume_ml: each value is of one class only" in comments(text)
    assert catalog_of(spec).table["given_split"].value_counts().to_dict() == {"train": 4, "test": 4}


def test_npz_with_a_table_of_other_labels_leaves_it_aside(tmp_path):
    root = tmp_path / "nodules"
    root.mkdir()
    np.savez(root / "v.npz", train_images=np.zeros((4, 8, 8, 8), "uint8"), train_labels=np.array([0, 1, 1, 0]))
    table(root / "t.csv", "exam,label", [(1, 1), (1, 0), (2, 0), (2, 1)])
    spec, text = made(root)
    assert spec.source.table is None
    assert "its labels are others" in comments(text)


def test_npz_with_images_is_explained(tmp_path):
    root = tmp_path / "pneumonia"
    root.mkdir()
    np.savez(root / "p.npz", train_images=np.zeros((9, 28, 28), "uint8"), train_labels=np.zeros((9, 1), "uint8"))
    assert "images of shape (28, 28) in p.npz" in refused(root)


# ------------------------------------------------------------------------------------------------------------ tracks


def test_pairs_of_matrices_in_any_naming(tmp_path):
    root = tmp_path / "cells"
    for name, frames in (("x_fast.csv", 9), ("y_fast.csv", 9), ("slow/x.csv", 7), ("slow/y.csv", 7)):
        matrix(root / name, 5, frames)
    for name in ("control-X.csv", "control-Y.csv"):
        matrix(root / name, 4, 8, step=9)
    spec, text = made(root)
    assert {name: (pair.x, pair.y) for name, pair in spec.source.pairs.items()} == {
        "control": ("cells/control-X.csv", "cells/control-Y.csv"),
        "fast": ("cells/x_fast.csv", "cells/y_fast.csv"),
        "slow": ("cells/slow/x.csv", "cells/slow/y.csv"),
    }
    assert (spec.source.frames, spec.input.shape) == (7, [7, 48, 48, 1])
    assert "length of a track alone would give its class away" in comments(text)
    catalog = catalog_of(spec)
    extents = [np.ptp(catalog.read(k).array[:7], axis=0).max() for k in range(len(catalog))]
    assert max(extents) <= spec.input.spacing[1] * 48 * 1.3


def test_groups_of_tracks_that_cover_all_classes(tmp_path):
    root = tmp_path / "cells"
    for name in ("a", "b"):
        matrix(root / f"{name}_x.csv", 6, 9)
        matrix(root / f"{name}_y.csv", 6, 9)
    table(root / "groups.csv", "file,row,experiment", [(n, k, f"{n}{k // 2}") for n in "ab" for k in range(6)])
    spec, _ = made(root)
    assert spec.source.groups.model_dump() == {
        "path": "cells/groups.csv",
        "file_column": "file",
        "row_column": "row",
        "group_column": "experiment",
    }
    assert catalog_of(spec).table["group"].nunique() == 6


def test_a_broken_matrix_is_said(tmp_path):
    root = tmp_path / "cells"
    for name in ("a_x", "a_y", "b_x", "b_y"):
        matrix(root / f"{name}.csv", 6, 9)
    (root / "b_y.csv").write_text("1,2,3\n1,2\n")
    spec, text = made(root)
    assert (list(spec.source.pairs), spec.source.frames) == (["a", "b"], 9)
    assert "b: b_x.csv and b_y.csv: row 2 has 2 cells" in comments(text)


def test_a_long_table_of_tracks(tmp_path):
    root = tmp_path / "cells"
    rows = [(f"c{k}", t, k + t, 2 * t, ("B cell", "T cell")[k % 2]) for k in range(8) for t in range(10 + k)]
    table(root / "t.csv", "Track ID,Frame,Position X,Position Y,Cell type", rows)
    spec, text = made(root)
    assert spec.source.table.model_dump(exclude={"path"}) == {
        "class_column": "Cell type",
        "track_column": "Track ID",
        "time_column": "Frame",
        "x_column": "Position X",
        "y_column": "Position Y",
    }
    assert spec.classes == ["B cell", "T cell"]
    assert "4 cells, 10 to 16 frames" in comments(text)
    assert catalog_of(spec).table["class_name"].value_counts().to_dict() == {"B cell": 4, "T cell": 4}


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


@given(st.data())
@settings(max_examples=15)
def test_broken_files_give_a_spec_or_a_data_error(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("broken") / "cells"
    for k in range(8):
        picture(root / f"{k}.png", size=(8, 8))
    table(root / "t.csv", "image,,class,", [(f"{k}.png", "", "ab"[k % 2], "") for k in range(8)])
    table(root / "b.csv", "image,class,xmin,ymin,xmax,ymax", [(f"{k}.png", "a", "1,5", 1, 4, 5) for k in range(8)])
    matrix(root / "a_x.csv", 3, 4)
    matrix(root / "a_y.csv", 3, 4)
    coco(root / "c.json", ["1.png"])
    np.savez(root / "v.npz", train_images=np.zeros((4, 8, 8, 8), "uint8"), train_labels=np.array([0, 1, 1, 0]))
    for path in data.draw(st.lists(st.sampled_from(sorted(root.iterdir())), min_size=1, max_size=6)):
        content = path.read_bytes()
        start = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:start] + data.draw(st.binary(max_size=4)) + content[start + 4 :])
        if data.draw(st.booleans()):
            path.write_bytes(content[:start])
    with contextlib.suppress(DataError):
        init(root, root.parent / "spec.yaml")
