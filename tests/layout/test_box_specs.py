"""The specs for images with boxes or masks."""

from __future__ import annotations

import pytest
import yaml
from made_folders import (
    coco,
    comments,
    made,
    mask,
    picture,
    table,
    voc,
)

from tumorkeras.data.catalog import catalog_of
from tumorkeras.layout.guess import Guess
from tumorkeras.layout.looks import Look
from tumorkeras.layout.settings import add_settings
from tumorkeras.spec import DataSpec

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


@pytest.mark.parametrize("keys", [range(12), range(11, -1, -1)])
def test_many_yolo_names_are_in_the_order_of_their_numbers(tmp_path, keys):
    root = tmp_path / "yolo"
    for k in range(12):
        picture(root / "images" / f"{k}.jpg")
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{k}.txt").write_text(f"{k} 0.5 0.5 0.25 0.5\n")
    lines = "".join(f"  {k}: name {chr(97 + k)}\n" for k in keys)
    (root / "data.yaml").write_text(f"# {'x' * 5000}\nnames:\n{lines}")
    spec, _ = made(root)
    assert spec.classes == [f"name {letter}" for letter in "abcdefghijkl"]
    assert set(catalog_of(spec).boxes["class"]) == set(spec.classes)


@pytest.mark.parametrize(
    ("names", "classes"),
    [("{3: b, 0: a}", ["a", "b"]), ("{x: a, 0: b}", ["0"]), ("[a, [b]]", ["0"]), ("{[]: a}", ["0"]), ("7", ["0"])],
)
def test_yolo_names_with_gaps_and_without_numbers(tmp_path, names, classes):
    root = tmp_path / "yolo"
    for k in range(8):
        picture(root / "images" / f"{k}.jpg")
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{k}.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (root / "data.yaml").write_text(f"names: {names}\n")
    spec, text = made(root)
    assert spec.classes == classes
    assert ("Not all annotations can be read: data.yaml" in comments(text)) is (names not in ("{3: b, 0: a}", "7"))
    assert len(catalog_of(spec).boxes) == 8


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
    assert (spec.source.format, spec.classes) == ("voc", ["cyst"])
    assert "Not all annotations can be read: 3.xml" in comments(text)
    assert "cyst 7 boxes" in comments(text)


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


BOXES = "image,class,xmin,ymin,xmax,ymax"


def table_of_boxes(root, header, rows):
    """A folder of images with a table of two boxes an image."""
    for k in range(len(rows)):
        picture(root / "img" / f"{k}.png")
    boxes = [(f"{k}.png", "ab"[k % 2], j, 1, 20 + j, 30, *row) for k, row in enumerate(rows) for j in (1, 2)]
    table(root / "boxes.csv", header, boxes)
    return root


def test_boxes_as_shares_of_the_image_are_read_as_such(tmp_path):
    root = tmp_path / "cells"
    for k in range(10):
        picture(root / f"{k}.png")
    table(root / "boxes.csv", BOXES, [(f"{k}.png", "a", 0.25, 0, 0.5, 1) for k in range(10)])
    spec, text = made(root)
    assert spec.source.format == "csv_relative"
    assert "taken as shares of the image" in comments(text)
    assert catalog_of(spec).boxes.loc[0, ["xmin", "ymin", "xmax", "ymax"]].tolist() == [16, 0, 32, 48]


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (0.5, 0.5, 1, 1.01), (-0.1, 0, 1, 1)])
def test_other_boxes_are_pixels(tmp_path, box):
    root = tmp_path / "cells"
    for k in range(8):
        picture(root / f"{k}.png")
    table(root / "boxes.csv", BOXES, [(f"{k}.png", "a", *box) for k in range(8)])
    assert made(root)[0].source.format == "csv"


def test_patients_in_a_table_of_boxes_become_groups(tmp_path):
    rows = [(f"p{k // 3}", f"lesion {k}") for k in range(12)]
    root = table_of_boxes(tmp_path / "cells", f"{BOXES},patient,lesion", rows)
    spec, text = made(root)
    assert (spec.source.table, spec.splits.group, spec.classes) == (None, "patient", ["a", "b"])
    assert "12 images have 4 values of patient: each stays whole" in comments(text)
    assert "Nothing tells which images are of one patient" not in comments(text)
    assert catalog_of(spec).table["group"].tolist() == [f"p{k // 3}" for k in sorted(range(12), key=str)]


def test_groups_in_a_table_of_boxes_that_lacks_images(tmp_path):
    root = table_of_boxes(tmp_path / "cells", f"{BOXES},patient", [(f"p{k // 3}",) for k in range(12)])
    picture(root / "img" / "other.png")
    spec, text = made(root)
    assert spec.splits.group is None
    assert "boxes.csv has patient, but no row for 1 image: add them, then write group: patient" in comments(text)
    assert len(catalog_of(spec)) == 13


def test_columns_that_differ_within_an_image_are_no_groups(tmp_path):
    root = tmp_path / "cells"
    for k in range(8):
        picture(root / f"{k}.png")
    table(root / "b.csv", f"{BOXES},case", [(f"{k}.png", "a", 1, 2, 9, 12, k + j) for k in range(8) for j in (0, 1)])
    spec, text = made(root)
    assert spec.splits.group is None
    assert "Nothing tells which images are of one patient" in comments(text)


def test_parts_in_a_table_of_boxes_are_kept(tmp_path):
    rows = [("train" if k < 8 else "validation", f"p{k // 2}") for k in range(12)]
    spec, _ = made(table_of_boxes(tmp_path / "cells", f"{BOXES},phase,patient", rows))
    assert spec.source.columns == {"split": "phase"}
    assert (spec.splits.given, spec.splits.group) == ({"train": "train", "val": "val"}, "patient")
    assert catalog_of(spec).table["split"].value_counts().to_dict() == {"train": 8, "val": 4}


def test_patients_in_two_parts_of_a_table_of_boxes_are_a_leak(tmp_path):
    rows = [(("train", "val")[k % 2], f"p{k // 3}") for k in range(12)]
    spec, text = made(table_of_boxes(tmp_path / "cells", f"{BOXES},split,patient", rows))
    assert (spec.splits.given, spec.splits.group) == ({"train": "train", "val": "val"}, None)
    assert "4 of 4 values of patient have images in more than one part: a leak" in comments(text)


@pytest.mark.parametrize(("column", "number"), [("patient_name", 4), ("name", 24)])
def test_names_beside_boxes_are_never_written(tmp_path, column, number):
    root = tmp_path / "cells"
    for k in range(48):
        picture(root / f"{k}.png")
    rows = [(f"{k}.png", f"Anna {chr(65 + k % number)}.", 1, 2, 9, 12) for k in range(48)]
    table(root / "boxes.csv", f"image,{column},xmin,ymin,xmax,ymax", rows)
    spec, text = made(root)
    assert "Anna" not in text
    assert spec.splits.group == ("patient_name" if column == "patient_name" else None)


@pytest.mark.parametrize(("images", "epochs", "batch_size"), [(8, 60, 4), (500, 20, 8), (5000, 12, 8)])
def test_a_detector_is_trained_as_fits_the_number_of_images(images, epochs, batch_size):
    guess = Guess("images with a box around every object", 1.0, {"tasks": ["detect"]})
    add_settings(guess, look_of("uint8"), images)
    assert set(guess.values) == {"tasks", "input", "preprocessing", "training"}
    training = DataSpec.from_dict({"name": "a", "source": {"kind": "phantoms"}, **guess.values}).training
    assert (training.epochs, training.batch_size, training.patience) == (epochs, batch_size, epochs)
    assert training.augment == ["flip", "crop", "intensity"]


def look_of(dtype):
    return Look(((240, 320),) * 4, False, 0, (dtype,), 0.0, 200.0, None, ())


@pytest.mark.parametrize(("dtype", "step"), [("uint8", "rescale"), ("uint16", "standardize")])
def test_grey_values_of_a_detector_are_scaled_as_they_are(dtype, step):
    guess = Guess("images with a box around every object", 1.0, {"tasks": ["detect"]})
    add_settings(guess, look_of(dtype), 50)
    assert [each["step"] for each in guess.values["preprocessing"]] == [step]


def test_boxes_are_for_a_detector(tmp_path):
    spec, text = made(table_of_boxes(tmp_path / "cells", f"{BOXES},patient", [(f"p{k // 3}",) for k in range(12)]))
    assert spec.tasks == ["detect"]
    written = yaml.safe_load(text)
    assert not {"autoencoder", "classifier", "detector"} & set(written)
    assert "class_map: {a: object, b: object} under source, classes: [object]" in comments(text)
    assert "tumorkeras audit shows them" in comments(text)
    merged = {**written["source"], "class_map": {"a": "object", "b": "object"}}
    merged = DataSpec.from_dict({**written, "source": merged, "classes": ["object"]}, folder=tmp_path)
    assert set(catalog_of(merged).boxes["class"]) == {"object"}


def test_a_class_without_boxes_is_said(tmp_path):
    for k in range(8):
        picture(tmp_path / "coco" / f"{k}.png")
    coco(tmp_path / "coco" / "boxes.json", [f"{k}.png" for k in range(8)])
    spec, text = made(tmp_path / "coco")
    assert spec.classes == ["cyst", "mass"]
    assert "No box is of the class mass: a detector cannot learn it; take it out of classes." in comments(text)


def test_one_class_needs_no_merging(tmp_path):
    for k in range(8):
        picture(tmp_path / "cells" / f"{k}.png")
        voc(tmp_path / "cells" / f"{k}.xml", f"{k}.png")
    assert "class_map" not in made(tmp_path / "cells")[1]


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
    assert (spec.tasks, spec.classes) == (["detect"], ["benign", "malignant"])
    assert "class_map: {benign: object, malignant: object}" in comments(text)
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
