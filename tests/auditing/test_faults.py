"""Faults: every planted one is found, in the right files, and nothing in clean data."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest
from auditing.samples import (
    by_code,
    catalog_and_facts,
    detection_spec,
    picture,
    spec_of,
    write,
    write_boxes,
    write_classes,
)

from tumorkeras.auditing.facts import collect_facts
from tumorkeras.auditing.faults import fault_findings
from tumorkeras.auditing.file_faults import SAVE_ANEW, _mend_unreadable, _troubles
from tumorkeras.auditing.label_faults import MEND_DRAWN, MEND_GIVEN, _agreeing, class_findings, label_findings
from tumorkeras.data.catalog import Catalog, catalog_of
from tumorkeras.data.image_files import CatalogFault
from tumorkeras.data.readers import Reading


def faults_of(spec, **options):
    return fault_findings(*catalog_and_facts(spec, **options))


def named(findings, code):
    (found,) = [finding for finding in findings if finding.code == code]
    return found


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def folder(tmp_path):
    return write_classes(tmp_path, each=6)


def without_counts(findings):
    """What is found beside classes and parts that are small because the test is."""
    return {code: files for code, files in by_code(findings).items() if code not in ("few_examples", "small_part")}


def test_clean_images_have_no_fault(clean):
    assert faults_of(spec_of(clean)) == []


def test_clean_boxes_have_no_fault(tmp_path):
    assert faults_of(detection_spec(write_boxes(tmp_path, images=75))) == []


# ------------------------------------------------------------------------------------------------------------ files


def test_files_that_cannot_be_read(folder):
    images = folder / "images" / "benign"
    whole = write(images / "cut.jpg", picture(77)).read_bytes()
    (images / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "empty.png").touch()
    (images / "text.png").write_text("not a picture")
    findings = faults_of(spec_of(folder))
    assert without_counts(findings) == {
        "empty": ("benign/empty.png",), "truncated": ("benign/cut.jpg",), "unreadable": ("benign/text.png",),
    }  # fmt: skip
    assert all(named(findings, code).severity == "error" for code in ("empty", "truncated", "unreadable"))
    assert named(findings, "empty").title == "1 image of 15 holds nothing"
    assert set(named(findings, "unreadable").figures["reasons"]) == {"benign/text.png"}


def test_constant_and_saturated_images(folder):
    images = folder / "images"
    write(images / "benign" / "black.png", np.zeros((48, 48), "uint8"))
    write(images / "benign" / "white.png", np.full((48, 48), 255, "uint8"))
    bright = picture(5)
    bright[:20] = 255
    write(images / "malignant" / "bright.png", bright)
    findings = faults_of(spec_of(folder))
    assert without_counts(findings) == {
        "constant": ("benign/black.png", "benign/white.png"), "saturated": ("malignant/bright.png",),
    }  # fmt: skip
    assert named(findings, "saturated").figures["shares"] == {"malignant/bright.png": pytest.approx(20 / 48, abs=1e-3)}
    assert named(findings, "saturated").severity == "warning"


def test_white_backgrounds_are_only_noted(tmp_path):
    for k in range(12):
        image = picture(k)
        image[:30] = 255
        write(tmp_path / "images" / "abcd"[k % 2] / f"{k}.png", image)
    assert named(faults_of(spec_of(tmp_path)), "saturated").severity == "note"


def test_values_that_are_not_finite(folder):
    values = picture(3).astype("float32")[..., None]
    values[4, 5] = np.nan
    np.save(folder / "images" / "benign" / "nan.npy", values)
    findings = faults_of(spec_of(folder))
    assert named(findings, "not_finite").files == ("benign/nan.npy",)
    assert named(findings, "mixed_bits").files == ("benign/nan.npy",)
    assert set(without_counts(findings)) == {"not_finite", "mixed_bits"}


def test_mixed_bit_depth(folder):
    write(folder / "images" / "malignant" / "deep.png", picture(3).astype("uint16") * 257)
    found = named(faults_of(spec_of(folder)), "mixed_bits")
    assert (found.severity, found.files) == ("error", ("malignant/deep.png",))
    assert found.title == "1 image uint16, 16 bits, the other 12 uint8, 8 bits"
    assert found.figures["forms"] == {"uint8, 8 bits": 12, "uint16, 16 bits": 1}


def test_colour_among_grey(folder):
    write(folder / "images" / "malignant" / "colour.png", np.dstack([picture(k) for k in range(3)]))
    found = named(faults_of(spec_of(folder)), "mixed_channels")
    assert (found.files, found.title) == (("malignant/colour.png",), "1 image in colour, unlike the other 12")
    assert found.figures["channels"] == {1: 12, 3: 1}


def test_colours_that_a_grey_input_drops(tmp_path):
    for k in range(12):
        write(tmp_path / "images" / f"{k}.png", np.dstack([picture(3 * k + j) for j in range(3)]))
    source = {"kind": "image_folder", "path": "images", "levels": "none"}
    grey, colour = (spec_of(tmp_path, source, tasks=["autoencode"], input={"shape": [32, 32, c]}) for c in (1, 3))
    assert by_code(faults_of(grey, parts=False)) == {"colour_dropped": ()}
    assert faults_of(colour, parts=False) == []


def test_channels_that_no_input_takes():
    arrays = [picture(k)[..., None] for k in range(3)] + [np.dstack([picture(1), picture(2)])]
    found = named(faults_of_made(arrays, kind="images"), "wrong_channels")
    assert (found.severity, found.files) == ("error", ("s3",))
    assert found.title == "1 image with 2 channels, expected 1 (grey) or 3 (colour)"


def test_pages_where_one_image_is_expected(folder):
    pages = [picture(k) for k in range(3)]
    assert cv2.imwritemulti(str(folder / "images" / "benign" / "pages.tiff"), pages)
    assert named(faults_of(spec_of(folder)), "several_pages").files == ("benign/pages.tiff",)


# ---------------------------------------------------------------------------------------- arrays of a made catalog


def made(arrays, kind="volumes", spacing=None, classes=None, spec=None, faults=()):
    """A catalog of arrays without files."""
    n = len(arrays)
    table = pd.DataFrame({"id": [f"s{k}" for k in range(n)], "path": "", "group": None, "split": None})
    table["class_name"] = classes or ["a"] * n
    steps = spacing or [None] * n
    return Catalog(table, None, (), kind, tuple(faults), spec, lambda row: Reading(arrays[row], steps[row], {}))


def faults_of_made(*args, **options):
    catalog = made(*args, **options)
    return fault_findings(catalog, collect_facts(catalog, progress=False))


def volumes(n):
    return [np.random.default_rng(k).integers(1, 250, (4, 8, 8, 1), dtype="uint8") for k in range(n)]


def test_mixed_spacing():
    found = named(faults_of_made(volumes(4), spacing=[(2, 1, 1), (2, 1, 1), (2, 1, 1.001), (5, 1, 1)]), "mixed_spacing")
    assert (found.severity, found.files) == ("warning", ("s3",))
    assert found.title == "1 volume of 4 with a spacing unlike the median; along the axes 2 to 5, 1, 1 mm"
    assert found.figures["ranges"] == {"spacing_0": [2, 5], "spacing_1": [1, 1], "spacing_2": [1, 1.001]}
    assert found.figures["without"] == 0


def test_files_without_spacing_among_files_with():
    found = named(faults_of_made(volumes(3), spacing=[(2, 1, 1), None, (2, 1, 1)]), "mixed_spacing")
    assert (found.files, found.figures["without"]) == (("s1",), 1)
    assert "; 1 without any" in found.title


def test_volumes_that_are_resampled_are_only_noted(tmp_path):
    spec = spec_of(tmp_path, input={"shape": [8, 16, 16, 1], "spacing": [2, 1, 1], "units": "mm"})
    found = named(faults_of_made(volumes(3), spacing=[(2, 1, 1), (2, 1, 1), (3, 1, 1)], spec=spec), "mixed_spacing")
    assert found.severity == "note"


def test_tracks_that_never_move_have_gaps_or_are_copies():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(20, 2)), axis=0)
    other, gap, still = walk * 2, walk * 3, np.full((20, 2), 5.0)
    gap[3] = np.nan
    findings = faults_of_made([walk, other, gap, still, walk], kind="tracks", classes=list("aaaab"))
    assert without_counts(findings) == {"not_finite": ("s2",), "constant": ("s3",), "same_content": ("s0", "s4")}
    assert named(findings, "same_content").severity == "error"  # one of the two classes is wrong
    assert named(findings, "same_content").title == "2 tracks in 1 set of the very same positions, 1 across classes"
    assert named(findings, "constant").title == "1 track without any motion"


# ------------------------------------------------------------------------------------------------------------ boxes


def test_every_fault_of_boxes(tmp_path):
    lines = (
        "000.png,benign,30,30,30,40",  # no width
        "001.png,malignant,40,40,30,47",  # corners swapped
        "002.png,benign,60,5,70,15",  # outside: pictures are 48 x 48
        "003.png,malignant,40,40,50,47",  # over the edge
        "004.png,benign,0,0,48,47.5",  # the whole image
        "005.png,malignant,4,6,29,32",  # as the box that is there
        "006.png,malignant,5,6,30,30",  # the same place, another class
        "007.png,malignant,30,30,40.4,48.4",  # within rounding of the edge: no fault
    )
    findings = faults_of(detection_spec(write_boxes(tmp_path, images=75, extra=lines)))
    assert by_code(findings) == {
        "box_no_area": ("000.png", "001.png"), "box_outside": ("002.png",), "box_beyond_edge": ("003.png",),
        "box_whole_image": ("004.png",), "box_duplicated": ("005.png",), "box_two_classes": ("006.png",),
    }  # fmt: skip
    flat = named(findings, "box_no_area")
    assert flat.title == "2 boxes of no area (a side of 0 pixels or less), in 2 images (1 benign, 1 malignant)"
    assert flat.figures["boxes"][0]["box"] == [30, 30, 30, 40]
    assert flat.figures["boxes"][0]["from"] == "boxes.csv, line 152"


def box_faults_of_made(rows, sizes=None):
    """Faults of boxes (class, xmin, ymin, xmax, ymax) of one picture of 100 x 200."""
    catalog = made([picture(0, 100, 200)[..., None]], kind="images")
    catalog.table["labelled"] = True
    boxes = pd.DataFrame(rows, columns=["class", "xmin", "ymin", "xmax", "ymax"]).assign(image="s0", **(sizes or {}))
    catalog = Catalog(catalog.table, boxes, ("cell",), "images", (), None, catalog.reader)
    return fault_findings(catalog, collect_facts(catalog, progress=False))


def test_boxes_with_corners_that_are_no_numbers_or_without_class():
    findings = box_faults_of_made([("cell", 1, 1, np.nan, 9), ("cell", 1, 1, np.inf, 9), (None, 20, 20, 30, 30)])
    assert {"box_not_finite", "box_without_class"} == set(without_counts(findings))
    assert named(findings, "box_not_finite").title.startswith("2 boxes with a corner that is no number, in 1 image")


def test_annotations_of_another_size_of_the_image():
    findings = box_faults_of_made([("cell", 1, 1, 9, 9)], sizes={"width": 100, "height": 100})
    found = named(findings, "annotation_size_differs")
    assert found.figures["sizes_height_width"] == {"s0": {"annotation": [100, 100], "file": [100, 200]}}
    assert not without_counts(box_faults_of_made([("cell", 1, 1, 9, 9)], sizes={"width": 200, "height": 100}))


@pytest.mark.parametrize(
    ("box", "codes"),
    [
        ((0, 0, 200, 100), {"box_whole_image"}),
        ((-20, -20, 220, 120), {"box_whole_image", "box_beyond_edge"}),
        ((0, 0, 190, 100), {"box_whole_image"}),  # 0.95
        ((0, 0, 189, 100), set()),
        ((200, 0, 210, 50), {"box_outside"}),  # half-open: it begins where the image ends
        ((199, 0, 200, 50), set()),
        ((-30, 0, 0, 50), {"box_outside"}),
        ((10, 10, 60, 100.6), {"box_beyond_edge"}),
        ((10, 10, 60, 100.5), set()),
    ],
)
def test_boxes_at_the_edge(box, codes):
    assert set(without_counts(box_faults_of_made([("cell", *box)]))) == codes


# ----------------------------------------------------------------------------------------------------------- labels


def test_unlabelled_images_are_told_apart_from_images_without_objects(tmp_path):
    write_boxes(tmp_path, images=75, extra=("empty.png,,,,,",))
    for k, name in enumerate(("empty", "forgotten")):
        write(tmp_path / "images" / f"{name}.png", picture(900 + k))
    findings = faults_of(detection_spec(tmp_path))
    assert by_code(findings) == {"unlabelled": ("forgotten.png",), "without_objects": ("empty.png",)}
    assert (named(findings, "unlabelled").severity, named(findings, "without_objects").severity) == ("warning", "note")


def test_annotations_without_image_and_unknown_classes(tmp_path):
    write_boxes(tmp_path, images=75, extra=("gone.png,benign,1,1,5,5", "000.png,Benign,30,30,40,40"))
    findings = faults_of(detection_spec(tmp_path, classes=["benign", "malignant"]), parts=False)
    found = without_counts(findings)
    assert found == {"annotation_without_file": ("gone.png",), "class_unknown": ("000.png",)}
    assert "'Benign'" in named(findings, "class_unknown").figures["reasons"]["000.png"]


def test_every_fault_that_a_catalog_names_has_words():
    codes = ["outside_folder", "not_a_file", "row_without_file", "image_without_row", "annotation_without_file",
             "ambiguous_name", "class_missing", "class_empty", "class_unknown", "annotation_unreadable",
             "class_without_box", "row_twice", "something_new"]  # fmt: skip
    listed = [CatalogFault(code, ("x", "y"), f"words of {code}") for code in codes]
    findings = [finding for finding in faults_of_made(volumes(2), faults=listed) if finding.code in codes]
    assert [finding.code for finding in findings] == codes
    for finding in findings:
        assert finding.files == ("x", "y")
        assert finding.title.startswith("2 names ")
        assert finding.effect
        assert finding.mend
        assert finding.figures["reasons"]["x"] == f"words of {finding.code}"
    severities = {finding.code: finding.severity for finding in findings}
    assert {code for code in codes if severities[code] == "warning"} == {
        "not_a_file", "class_without_box", "something_new"
    }  # fmt: skip
    single = faults_of_made(volumes(1), faults=[CatalogFault("class_missing", ("x",), "w")])
    assert named(single, "class_missing").title == "1 name has no class"


def test_no_words_of_a_catalog_are_lost():
    """Neither of two faults of one file, nor of a fault that names no file."""
    listed = [CatalogFault("annotation_unreadable", ("boxes.csv",), f"line {k}: no box") for k in (3, 9)]
    listed += [CatalogFault("something_new", (), "the moon is full")]
    findings = faults_of_made(volumes(1), faults=listed)
    unreadable, new = named(findings, "annotation_unreadable"), named(findings, "something_new")
    assert unreadable.title == "1 name has lines or objects that cannot be read"
    assert unreadable.figures["reasons"] == {"boxes.csv": "line 3: no box; line 9: no box"}
    assert (new.severity, new.figures["words"]) == ("warning", ["the moon is full"])
    assert new.title == "something new: the moon is full"


def test_small_classes_and_parts():
    classes = ["a"] * 60 + ["b"] * 29 + ["c"] * 5
    splits = ["train"] * 45 + ["val"] * 15 + ["train"] * 20 + ["val"] * 9 + ["val"] * 5
    catalog = made([None] * 94, classes=classes)
    catalog.table["split"] = splits
    findings = label_findings(catalog)
    assert {finding.code: (finding.severity, finding.title) for finding in findings} == {
        "few_examples": ("warning", "2 classes of 3 with fewer than 30 examples: b 29, c 5"),
        "class_missing_in_part": ("error", "a part lacks a class: train has no c"),
        "small_part": ("warning", "few examples to measure on: 9 b in val, 5 c in val"),
    }
    assert len(named(findings, "few_examples").files) == 34


def test_classes_that_nothing_shows(folder):
    findings = faults_of(spec_of(folder, classes=["benign", "malignant", "cyst"]), parts=False)
    assert named(findings, "class_without_examples").title == "1 class without any example: cyst"


# ------------------------------------------------------------------------------------------------------- real data


def test_bccd(data_folder, tmp_path):
    """Two boxes have no area; the README of the data names them."""
    source = {"kind": "detection", "path": str(data_folder / "bccd" / "JPEGImages")}
    source["annotations"] = str(data_folder / "bccd" / "Annotations")
    catalog = catalog_of(spec_of(tmp_path, source, tasks=["autoencode"]))
    wanted = {"BloodImage_00338", "BloodImage_00343"} & set(catalog.table["id"].str.removesuffix(".jpg"))
    looked_at = catalog.table["id"].str.removesuffix(".jpg").isin(wanted) | (catalog.table.index < 30)
    catalog = catalog.select(np.flatnonzero(looked_at))
    findings = fault_findings(catalog, collect_facts(catalog, progress=False))
    flat = named(findings, "box_no_area")
    assert {name.removesuffix(".jpg") for name in flat.files} == wanted
    assert {box["class"] for box in flat.figures["boxes"]} == {"RBC"}
    assert [finding.code for finding in findings if finding.severity == "error"] == ["box_no_area"]


def test_busi(data_folder, tmp_path):
    """Grey JPEGs without a fault; the normal images are listed, and hold no object."""
    busi = data_folder / "busi"
    source = {"kind": "detection", "path": str(busi / "images"), "annotations": str(busi / "boxes.csv")}
    source["table"] = {"path": str(busi / "images.csv"), "image_column": "image", "split_column": "split"}
    catalog = catalog_of(spec_of(tmp_path, source, tasks=["autoencode"]))
    assert not catalog.faults
    catalog = catalog.select(np.arange(0, len(catalog), 12))
    found = without_counts(fault_findings(catalog, collect_facts(catalog, progress=False)))
    normal = tuple(name for name in catalog.table["id"] if name.startswith("normal"))
    assert found == {"without_objects": normal}


def test_what_helps_depends_on_why_a_file_cannot_be_read():
    bomb, objects = "declares 9 pixels; the limit is 4 (max_pixels raises it)", "holds object values; never unpickled"
    assert _mend_unreadable(pd.Series(["is no image"])) == SAVE_ANEW
    refused = _mend_unreadable(pd.Series([bomb, objects]))
    assert "over the limit" in refused
    assert "hold objects" in refused
    assert SAVE_ANEW not in refused
    assert SAVE_ANEW in _mend_unreadable(pd.Series([bomb, "is no image"]))


def test_counts_agree_with_their_words():
    assert _agreeing("are no regular files", 1) == "is no regular file"
    assert _agreeing("are no regular files", 2) == "are no regular files"
    found = pd.DataFrame({"trouble": ["truncated"] * 2 + [""], "id": list("abc"), "fault": "ends early"})
    assert _troubles(found, "image")[0].title == "2 images of 3 end before their data do"


def test_drawn_parts_are_not_told_to_be_drawn():
    examples = pd.DataFrame(
        {"class": ["a"] * 9 + ["b"], "sample": list("abcdefghij"), "part": ["train"] * 5 + ["test"] * 5}
    )
    for given, wanted in ((True, MEND_GIVEN), (False, MEND_DRAWN)):
        found = {finding.code: finding.mend for finding in class_findings(examples, given=given)}
        assert found["class_missing_in_part"] == wanted
