import json

import cv2
import numpy as np
import pandas as pd
import pytest

from tumorkeras.auditing.duplicates import duplicate_findings
from tumorkeras.data.similarity import near_duplicates, thumbnail


def pairs_of(*rows):
    table = pd.DataFrame(rows, columns=["first", "second", "similarity"])
    return table.assign(change="similar")


IDS = ["a.png", "b.png", "c.png", "d.png", "e.png"]


def test_nothing_found():
    assert duplicate_findings(IDS, pairs_of(), ["train"] * 5, ["x"] * 5) == []


def test_pairs_across_parts_are_an_error_that_names_all_files():
    pairs = pairs_of((0, 1, 0.9), (1, 2, 0.95), (3, 4, 0.8))
    (across, within) = duplicate_findings(IDS, pairs, ["train", "val", "train", "test", "test"], ["x"] * 5)
    assert (across.check, across.code, across.severity) == ("duplicates", "near_duplicates_across_split", "error")
    assert across.files == ("b.png", "c.png", "a.png")  # the most similar pair first
    assert across.title == (
        "2 pairs of near-duplicates across parts: b.png (val) and c.png (train); a.png (train) and b.png (val)"
    )
    assert "splits.duplicates: together" in across.mend
    assert "too good" in across.effect
    assert (within.code, within.severity, within.files) == ("near_duplicates", "note", ("d.png", "e.png"))


def test_the_same_picture_in_two_classes_names_both_files_and_classes():
    findings = duplicate_findings(
        IDS, pairs_of((0, 1, 0.999), (2, 3, 0.85)), [None] * 5, ["benign", "malignant", "benign", "normal", None]
    )
    same, alike = findings
    assert (same.code, same.severity, same.files) == ("same_picture_in_two_classes", "error", ("a.png", "b.png"))
    assert same.title.endswith(": a.png (benign) and b.png (malignant)")
    assert (alike.code, alike.severity, alike.files) == (
        "near_duplicates_across_classes",
        "warning",
        ("c.png", "d.png"),
    )
    assert alike.title.endswith(": c.png (benign) and d.png (normal)")


def test_a_pair_across_both_is_in_both_findings():
    findings = duplicate_findings(["a", "b"], pairs_of((0, 1, 0.99)), ["train", "val"], ["x", "y"])
    assert [finding.code for finding in findings] == ["near_duplicates_across_split", "same_picture_in_two_classes"]


def test_missing_parts_and_classes_are_no_others():
    missing = pd.Series([None, "train", np.nan, pd.NA, "train"], dtype=object)
    findings = duplicate_findings(IDS, pairs_of((0, 1, 0.9), (2, 4, 0.9), (0, 3, 0.9)), missing, missing)
    assert [finding.code for finding in findings] == ["near_duplicates"]


def test_copies_count_as_fewer_pictures():
    (note,) = duplicate_findings(IDS, pairs_of((0, 1, 0.9), (1, 2, 0.9), (3, 4, 0.9)), ["train"] * 5, ["x"] * 5)
    assert note.title == "3 pairs of near-duplicates within one part and class: 5 samples show 2 pictures"
    assert (note.figures["samples"], note.figures["pictures"]) == (5, 2)


def test_figures_are_plain_values_with_every_pair():
    (found,) = duplicate_findings(IDS, pairs_of((1, 0, 0.8), (2, 3, 0.9)), ["train"] * 5, ["x"] * 5)
    told = json.loads(json.dumps(found.to_dict()))["figures"]["pairs"]
    assert told[0] == {
        "first": "c.png",
        "first_part": "train",
        "first_class": "x",
        "second": "d.png",
        "second_part": "train",
        "second_class": "x",
        "similarity": 0.9,
        "change": "similar",
    }
    assert [pair["similarity"] for pair in told] == [0.9, 0.8]


def test_a_title_names_three_pairs_of_many():
    pairs = pairs_of(*[(2 * k, 2 * k + 1, 0.9) for k in range(4)])
    (found,) = duplicate_findings([f"{k}.png" for k in range(8)], pairs, ["train", "val"] * 4, ["x"] * 8)
    assert found.title.count(" and ") == 3
    assert found.title.endswith(" ...")
    assert len(found.files) == 8


def test_the_picture_that_is_both_benign_and_malignant(data_folder):
    """On real images: files that are equal but for their class are in one finding, with both names and classes."""
    table = pd.read_csv(data_folder / "busi" / "images.csv")
    rows = [*range(40), *np.flatnonzero(table["image"].isin(["benign_433", "malignant_145"]))]
    table = table.iloc[rows].reset_index(drop=True)
    images = [cv2.imread(str(data_folder / "busi" / "images" / f"{name}.jpg"), 0) for name in table["image"]]
    pairs = near_duplicates(np.stack([thumbnail(image) for image in images]))
    findings = {
        found.code: found for found in duplicate_findings(table["image"], pairs, table["split"], table["class"])
    }
    both = findings["same_picture_in_two_classes"]
    assert both.severity == "error"
    assert both.files == ("benign_433", "malignant_145")
    assert both.title.endswith("benign_433 (benign) and malignant_145 (malignant)")


def test_copies_that_are_planted_across_a_split(data_folder):
    table = pd.read_csv(data_folder / "busi" / "images.csv").iloc[:100]
    images = [cv2.imread(str(data_folder / "busi" / "images" / f"{name}.jpg"), 0) for name in table["image"]]
    changed = {
        "resized": cv2.resize(images[10], None, fx=0.5, fy=0.5),
        "recompressed": cv2.imdecode(cv2.imencode(".jpg", images[20], [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0),
        "mirrored": images[30][:, ::-1],
        "upside_down": images[40][::-1],
        "brighter": np.clip(images[50] * 1.3 + 20, 0, 255).astype("uint8"),
        "cropped": images[60][20:, 25:],
    }
    pairs = near_duplicates(np.stack([thumbnail(image) for image in [*images, *changed.values()]]))
    ids, parts = [*table["image"], *changed], ["train"] * 100 + ["val"] * len(changed)
    findings = {found.code: found for found in duplicate_findings(ids, pairs, parts, ["x"] * len(ids))}
    crossing = {(pair["first"], pair["second"]) for pair in findings["near_duplicates_across_split"].figures["pairs"]}
    assert {(ids[10 * k + 10], name) for k, name in enumerate(changed)} <= crossing


@pytest.mark.parametrize("wrong", [None, 3.5])
def test_ids_need_not_be_text(wrong):
    (found,) = duplicate_findings([1, 2], pairs_of((0, 1, 0.9)), [wrong] * 2, [wrong] * 2)
    assert found.code == "near_duplicates"
