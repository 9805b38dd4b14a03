"""Folders with small flaws, as real ones have: init goes on, uses the rest, and says what is wrong."""

from __future__ import annotations

import os

import numpy as np
import pytest
from made_folders import class_folders, comments, made, nifti, off_blocks, picture, table

from tumorkeras.data.catalog import catalog_of


def images(root, number):
    for k in range(number):
        picture(root / f"{k}.png", size=(16, 16))
    return root


def test_a_link_to_itself_is_passed_over(tmp_path):
    root = class_folders(tmp_path / "scans", ["a", "b"])
    os.symlink("loop.png", root / "a" / "loop.png")
    assert made(root)[0].classes == ["a", "b"]


@pytest.mark.parametrize(("again", "words"), [("a", "the same twice"), ("b", "1 of them with different ones")])
def test_a_repeated_row_does_not_lose_the_table(tmp_path, again, words):
    root = images(tmp_path / "scans", 20)
    table(root / "t.csv", "file,class", [*((f"{k}.png", "ab"[k % 2]) for k in range(20)), ("0.png", again)])
    spec, text = made(root)
    assert (spec.source.table.path, spec.classes) == ("scans/t.csv", ["a", "b"])
    assert f"1 image has several rows in t.csv, {words}" in comments(text)
    assert len(catalog_of(spec)) == 20


def test_a_table_that_is_left_out_is_named_with_the_reason(tmp_path):
    root = images(tmp_path / "scans", 10)
    table(root / "readers.csv", "file,reader,class", [(f"{k}.png", r, "xy"[r]) for k in range(10) for r in (0, 1)])
    table(root / "sites.csv", "site,country", [("north", "de"), ("south", "fr")])
    _, text = made(root)
    assert "readers.csv was not used: 10 images have several rows in it" in comments(text)
    assert "sites.csv was not used: no column of it names the images (site, country)" in comments(text)


def test_a_missing_patient_leaves_the_group_as_a_comment(tmp_path):
    root = images(tmp_path / "scans", 24)
    rows = [(f"{k}.png", "ab"[k % 2], f"p{k // 3}" if k else "") for k in range(24)]
    table(root / "t.csv", "file,class,PatientID", rows)
    spec, text = made(root)
    assert spec.splits.group is None
    assert "1 row of t.csv has no PatientID" in comments(text)
    assert "Nothing tells which images are of one patient" not in comments(text)
    assert {"splits": {"group": "PatientID"}} in off_blocks(text)


def test_folds_are_no_classes(tmp_path):
    root = class_folders(tmp_path / "scans", [f"fold{k}/{name}" for k in (1, 2, 10) for name in "AB"], count=3)
    spec, text = made(root)
    assert (spec.source.levels, spec.classes) == ("split/class", ["A", "B"])
    assert spec.splits.given == {"fold1": "train", "fold2": "train", "fold10": "test"}
    assert "look like the folds of a cross-validation" in comments(text)
    assert catalog_of(spec).faults == ()


def test_folds_without_classes_are_no_classes_either(tmp_path):
    spec, _ = made(class_folders(tmp_path / "scans", ["fold_1", "fold_2"]))
    assert (spec.source.levels, spec.classes) == ("none", None)


def test_names_that_recur_in_most_folders_are_asked_about(tmp_path):
    _, text = made(class_folders(tmp_path / "scans", ["north/cyst", "north/mass", "south/cyst", "south/mass"]))
    assert "The folders cyst, mass lie in most of north, south" in comments(text)


def loop(path, frames=3):
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = UltrasoundMultiFrameImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.PatientID, data.SeriesInstanceUID = path.stem, generate_uid()
    data.Rows, data.Columns, data.NumberOfFrames = 16, 16, frames
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = np.zeros((frames, 16, 16), "uint8").tobytes()
    data.save_as(path, enforce_file_format=True)


def test_several_loops_in_a_folder_are_a_sample_each(tmp_path):
    for k in range(10):
        loop(tmp_path / "loops" / "ab"[k % 2] / f"{k}.dcm")
    spec, _ = made(tmp_path / "loops")
    assert (spec.source.levels, spec.classes, len(spec.input.shape)) == ("class", ["a", "b"], 4)
    assert len(catalog_of(spec)) == 10


def test_masks_and_spreadsheets_that_are_not_used_are_named(tmp_path):
    root = tmp_path / "liver"
    for k in range(8):
        nifti(root / "imagesTr" / f"{k}.nii.gz")
        nifti(root / "labelsTr" / f"{k}.nii.gz")
    (root / "labels.xlsx").write_bytes(b"PK")
    _, text = made(root)
    assert "labelsTr holds 8 masks, which were not used" in comments(text)
    assert "labels.xlsx not read: save spreadsheets as CSV" in comments(text)
