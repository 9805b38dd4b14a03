"""The specs for volumes and for tracks of cells."""

from __future__ import annotations

import json

import numpy as np
from made_folders import (
    comments,
    dicom_series,
    made,
    matrix,
    nifti,
    refused,
    table,
)

from tumorkeras.data.catalog import catalog_of

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
