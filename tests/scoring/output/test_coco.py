"""COCO results that pycocotools reads on top of a ground truth, and what lies beside them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tumorkeras.boxes import CORNERS
from tumorkeras.data.annotations import write_annotations
from tumorkeras.errors import DataError
from tumorkeras.scoring.output.coco import write_coco_results
from tumorkeras.scoring.output.final import check_place
from tumorkeras.scoring.output.parts import Parts
from tumorkeras.scoring.output.plans import Plan

CLASSES = ["malignant", "benign"]
COLUMNS = ["path", "id", "status", "error", "class", "score", *CORNERS]
TYPES = dict.fromkeys(COLUMNS, "str") | dict.fromkeys(["score", *CORNERS], "float32")
FOUND = [
    ["/data/a/1.png", None, "ok", None, "malignant", 0.9, 10.1, 20, 40.3, 60],
    ["/data/a/1.png", None, "ok", None, "benign", 0.1, 0, 0, 8, 8],
    ["/data/a/2.png", None, "error", 'is empty; or "damaged"', *[None] * 6],
    ["/data/b/1.png", None, "ok", None, *[None] * 6],
    ["/data/b/2.png", None, "ok", None, "benign", 1 / 3, 0.1, 0.2, 30.7, 31],
]
TRUTH = [
    ["a/1.png", "malignant", 10, 20, 40, 60],
    ["a/2.png", "benign", 1, 2, 30, 40],
    ["b/1.png", None, None, None, None, None],
    ["b/2.png", "benign", 0, 0, 31, 31],
]


@pytest.fixture
def found():
    columns = dict(zip(COLUMNS, zip(*FOUND, strict=True), strict=True))
    return pd.DataFrame({name: pd.Series(values, dtype=TYPES[name]) for name, values in columns.items()})


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "truth.json"
    write_annotations(pd.DataFrame(TRUTH, columns=["image", "class", *CORNERS]), path)
    return path


def results_of(path):
    return json.loads(path.read_text())


def test_results_by_hand(found, tmp_path):
    path = write_coco_results(found, tmp_path / "found.json", classes=CLASSES)
    assert results_of(path) == [
        {"image_id": 1, "category_id": 2, "bbox": [10.1, 20.0, 30.2, 40.0], "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": [0.0, 0.0, 8.0, 8.0], "score": 0.1},
        {"image_id": 4, "category_id": 1, "bbox": [0.1, 0.2, 30.6, 30.8], "score": 0.33333334},
    ]
    beside = results_of(tmp_path / "found.images.json")
    assert [image["id"] for image in beside["images"]] == [1, 2, 3, 4]
    assert [image["file_name"] for image in beside["images"]] == [
        *["/data/a/1.png", "/data/a/2.png", "/data/b/1.png", "/data/b/2.png"]
    ]
    assert beside["categories"] == [{"id": 1, "name": "benign"}, {"id": 2, "name": "malignant"}]


@pytest.mark.parametrize("by_truth", [True, False])
def test_pycocotools_evaluates_them(found, truth, tmp_path, capsys, by_truth):
    """With the ids of the ground truth, and, where list and classes are the same, with those that are counted."""
    ids = {"ground_truth": truth} if by_truth else {"classes": CLASSES}
    path = write_coco_results(found, tmp_path / "found.json", **ids)
    loaded = COCO(str(truth))
    evaluation = COCOeval(loaded, loaded.loadRes(str(path)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    # Malignant: found. Benign: one of two, after nothing false that is better. AP at IoU 0.5, 101 points of recall.
    assert evaluation.stats[1] == pytest.approx((1 + 51 / 101) / 2)
    assert (tmp_path / "found.images.json").exists() != by_truth
    capsys.readouterr()


def test_the_file_beside_is_a_ground_truth_for_them(found, tmp_path, capsys):
    path = write_coco_results(found, tmp_path / "found.json", classes=CLASSES)
    loaded = COCO(str(tmp_path / "found.images.json")).loadRes(str(path))
    assert [loaded.loadImgs(item["image_id"])[0]["file_name"] for item in loaded.loadAnns(loaded.getAnnIds())] == [
        *["/data/a/1.png", "/data/a/1.png", "/data/b/2.png"]
    ]
    capsys.readouterr()


def test_failures_are_listed_beside_and_counted(found, tmp_path, caplog):
    write_coco_results(found, tmp_path / "found.json", classes=CLASSES)
    errors = pd.read_csv(tmp_path / "found.errors.csv", keep_default_na=False)
    assert errors.to_dict("list") == {"path": ["/data/a/2.png"], "id": [""], "error": ['is empty; or "damaged"']}
    assert "1 images could not be scored; found.errors.csv lists them" in caplog.text
    write_coco_results(found[found["status"] == "ok"], tmp_path / "found.json", classes=CLASSES)
    assert not (tmp_path / "found.errors.csv").exists()


def test_ids_of_a_model_without_names(found, tmp_path):
    found["class"] = found["class"].replace({"malignant": "10", "benign": "0"})
    path = write_coco_results(found, tmp_path / "found.json")
    assert [item["category_id"] for item in results_of(path)] == [11, 1, 1]
    categories = results_of(tmp_path / "found.images.json")["categories"]
    assert categories == [{"id": 1, "name": "0"}, {"id": 11, "name": "10"}]


def test_names_of_samples_are_their_ids(found, tmp_path):
    found["id"] = pd.Series(["a", "a", "b", "c", "d"], dtype="str")
    write_coco_results(found.assign(path="lesions"), tmp_path / "found.json", classes=CLASSES)
    write_coco_results(found.assign(path="x.npy", id=[0, 0, 1, 2, 3]), tmp_path / "rows.json", classes=CLASSES)
    names = [
        [image["file_name"] for image in results_of(tmp_path / f"{name}.images.json")["images"]]
        for name in ("found", "rows")
    ]
    assert names == [["a", "b", "c", "d"], ["x.npy#0", "x.npy#1", "x.npy#2", "x.npy#3"]]


def test_what_cannot_be_written_is_named_and_nothing_is(found, truth, tmp_path):
    wrong = [
        ("class 'malignant' has no id; known: benign", found, {"classes": ["benign"]}),
        ("class 'malignant' has no id; known: numbers of classes only", found, {}),
        ("no image /data/c/9.png", found.assign(path="/data/c/9.png"), {"ground_truth": truth}),
        ("are one image of the ground truth", pd.concat([found, found]), {"ground_truth": truth}),
        ("is no COCO file", found, {"ground_truth": __file__}),
        ("cannot be read: No such file", found, {"ground_truth": tmp_path / "absent.json"}),
        ("has no column xmin; give a table of detections", found.drop(columns="xmin"), {}),
    ]
    for fault, table, ids in wrong:
        with pytest.raises(DataError, match=fault):
            write_coco_results(table, tmp_path / "found.json", **ids)
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_coco_results(found, tmp_path / "absent" / "found.json", classes=CLASSES)
    assert [path.name for path in tmp_path.iterdir()] == ["truth.json"]


def test_nothing_found_is_an_empty_list(found, tmp_path):
    for table in (found.iloc[:0], found.iloc[2:4]):
        assert results_of(write_coco_results(table, tmp_path / "found.json")) == []


@pytest.mark.parametrize("width", [1, 3, 4])
def test_parts_give_the_same_files_as_the_table(found, tmp_path, width):
    whole, output = tmp_path / "whole.json", tmp_path / "parts.json"
    write_coco_results(found, whole, classes=CLASSES)
    found["_input"] = np.array([0, 0, 1, 2, 3])
    template = found.drop(columns="_input").iloc[:0]
    with Parts.open(output, Plan({}, list("abcd"), width), template, resume=True) as parts:
        for start, stop in reversed(list(parts.missing())):
            parts.add(start, stop, found[found["_input"].between(start, stop - 1)])
        assert parts.finish(CLASSES) == output
    for ending in ("json", "images.json", "errors.csv"):
        assert output.with_suffix(f".{ending}").read_text() == whole.with_suffix(f".{ending}").read_text()
    assert len(list(tmp_path.iterdir())) == 6


def test_only_detections_may_be_coco_results(tmp_path):
    assert check_place(tmp_path / "found.json", detects=True) == tmp_path / "found.json"
    with pytest.raises(DataError, match=r"ends in '.json', expected .parquet or .csv$"):
        check_place(tmp_path / "found.json")
    with pytest.raises(DataError, match=r"ends in '.txt', expected .parquet, .csv or .json$"):
        check_place(tmp_path / "found.txt", detects=True)
