"""The data set in numbers: hand-worked quantiles and counts, boxes that can be used, what the numbers warn of."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_catalogs import catalog_of, facts_of

from tumorkeras.auditing.fingerprint import (
    boxes_on_canvas,
    fingerprint,
    fingerprint_findings,
    quantiles,
    usable_boxes,
)
from tumorkeras.auditing.plan import Plan
from tumorkeras.boxes import letterbox


def test_quantiles_are_of_what_is_known():
    assert quantiles([0, 1, 2, 3, 4, np.nan, np.inf]) == {
        "min": 0, "q01": 0.04, "q05": 0.2, "q25": 1, "median": 2, "q75": 3, "q95": 3.8, "q99": 3.96, "max": 4,
    }  # fmt: skip
    assert quantiles([]) is None
    assert quantiles([np.nan]) is None


def test_images_in_numbers():
    catalog = catalog_of(4, classes=["b", "a", "a", None])
    facts = facts_of(4, height=[100, 100, 50, np.nan], readable=[True, True, True, False], spacing_0=[0.5, 0.5, 0.1, 9])
    found = fingerprint(catalog, facts)
    assert (found["kind"], found["part"], found["samples"], found["readable"]) == ("images", None, 4, 3)
    assert found["classes"] == {"a": 2, "b": 1}
    assert found["sizes"]["commonest"] == {"100 x 200": 2, "50 x 200": 1}
    assert (found["sizes"]["different"], found["sizes"]["height"]["median"]) == (2, 100)
    assert (found["sizes"]["aspect_ratio"]["min"], found["sizes"]["aspect_ratio"]["max"]) == (0.25, 0.5)
    assert (found["channels"], found["bits"], found["objects"]) == ({"1": 3}, {"8": 3}, None)
    assert found["spacing"] == {"spacing_0": quantiles([0.5, 0.5, 0.1])}
    assert found["intensity"]["maximum"]["median"] == 255
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("kind", "columns", "sizes"),
    [
        ("volumes", {"depth": [8.0, 10.0], "height": 20.0, "width": 30.0}, {"8 x 20 x 30": 1, "10 x 20 x 30": 1}),
        ("tracks", {"frames": [63.0, 77.0], "height": np.nan, "width": np.nan, "channels": np.nan}, {"63": 1, "77": 1}),
    ],
)
def test_volumes_and_tracks_in_numbers(kind, columns, sizes):
    found = fingerprint(catalog_of(2, kind=kind), facts_of(2, **columns))
    assert found["sizes"]["commonest"] == sizes
    assert found["spacing"] is None


def test_nothing_that_is_readable():
    found = fingerprint(catalog_of(2), facts_of(2, readable=False, height=np.nan, width=np.nan))
    assert (found["readable"], found["sizes"]["height"], found["sizes"]["commonest"]) == (0, None, {})


BOXES = [
    (0, "cell", 0, 0, 10, 40),
    (0, "dot", 190, 90, 210, 110),  # over the edge: 10 x 10 are left
    (1, "cell", 20, 20, 20, 60),  # no area
    (1, "cell", 300, 20, 320, 60),  # outside
    (1, "cell", 5, 5, np.nan, 9),
    (2, "dot", 0, 0, 20, 20),  # of an image that cannot be read
    (4, "dot", 0, 0, 30, 30),
]


def with_boxes(**more):
    labelled = [True, True, True, False, True, True]
    splits = ["train", "train", "train", "train", "val", "train"]
    catalog = catalog_of(6, BOXES, splits=splits, labelled=labelled)
    return catalog, facts_of(6, readable=[True, True, False, True, True, True], **more)


def test_objects_in_numbers():
    found = fingerprint(*with_boxes())["objects"]
    assert (found["boxes"], found["unusable"], found["classes"]) == (7, 3, {"cell": 4, "dot": 3})
    assert (found["images_without"], found["images_unlabelled"]) == (1, 1)
    assert found["per_image"] == quantiles([2, 3, 1, 1, 0])
    assert found["size"] == quantiles([20, 10, 30])
    assert found["size_by_class"] == {"cell": quantiles([20]), "dot": quantiles([10, 30])}
    assert found["aspect_ratio"] == quantiles([4, 1, 1])
    assert found["share_of_image"] == quantiles([400 / 20000, 100 / 20000, 900 / 20000])


def test_a_part_is_counted_by_itself():
    found = fingerprint(*with_boxes(), part="train")
    assert (found["part"], found["samples"], found["readable"]) == ("train", 5, 4)
    assert found["objects"]["size"] == quantiles([20, 10])
    assert found["objects"]["classes"] == {"cell": 4, "dot": 2}
    assert fingerprint(*with_boxes(), part="test")["objects"]["size"] is None


def test_usable_boxes_are_cut_and_know_their_image():
    boxes = usable_boxes(*with_boxes())
    assert boxes[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [
        [0, 0, 10, 40], [190, 90, 200, 100], [0, 0, 30, 30],
    ]  # fmt: skip
    assert boxes[["image_height", "image_width"]].to_numpy().tolist() == [[100, 200]] * 3
    assert usable_boxes(catalog_of(2), facts_of(2)).empty


def test_boxes_go_onto_the_canvas_with_their_image():
    catalog, facts = with_boxes(height=[100.0, 1, 1, 1, 50, 1])
    placed = boxes_on_canvas(usable_boxes(catalog, facts), (64, 64))
    own = [letterbox((100, 200), (64, 64)).apply(box) for box in ([0, 0, 10, 40], [190, 90, 200, 100])]
    np.testing.assert_allclose(placed, [*own, letterbox((50, 200), (64, 64)).apply([0, 0, 30, 30])])


# ------------------------------------------------------------------------------------------------------- findings


def codes(catalog, facts, plan=None):
    return {finding.code: finding for finding in fingerprint_findings(catalog, facts, plan)}


@pytest.mark.parametrize(("rare", "severity"), [(10, None), (9, "note"), (1, "note"), (0.99, "warning")])
def test_classes_out_of_balance(rare, severity):
    counts = {10: [90, 10], 9: [90, 9], 1: [99, 1], 0.99: [100, 1]}[rare]
    names = np.repeat(["common", "rare"], counts)
    found = codes(catalog_of(len(names), classes=names), facts_of(len(names))).get("class_imbalance")
    assert (found and found.severity) == severity
    if found:
        assert found.files == tuple(f"{k}.png" for k in range(counts[0], len(names)))
        assert found.figures["ratio"] == pytest.approx(counts[0] / counts[1], abs=0.1)
        assert f"{counts[0]} samples of class common, {counts[1]} of class rare" in found.title


def test_objects_out_of_balance_are_counted_by_boxes():
    boxes = [(k, "cell", 0, 0, 50, 50) for k in range(3) for _ in range(10)] + [(1, "dot", 0, 0, 50, 50)]
    found = codes(catalog_of(3, boxes), facts_of(3))["class_imbalance"]
    assert found.files == ("1.png",)
    assert "30 objects of class cell, 1 of class dot: 30 to 1" in found.title


@pytest.mark.parametrize("width", [200.0, 350.0])
def test_sizes_that_hardly_differ_are_no_finding(width):
    assert "mixed_sizes" not in codes(catalog_of(4), facts_of(4, width=[200.0, 200, 200, width]))


def test_mixed_sizes_name_the_odd_images():
    found = codes(catalog_of(6), facts_of(6, width=[200.0] * 3 + [210, 450, 1000]))["mixed_sizes"]
    assert found.files == ("4.png", "5.png")
    assert found.severity == "note"


def test_one_class_and_tracks_and_unreadable_files_find_nothing():
    assert codes(catalog_of(3, classes=["a"] * 3), facts_of(3)) == {}
    nothing = {"height": np.nan, "width": np.nan}
    assert codes(catalog_of(3, kind="tracks"), facts_of(3, frames=60.0, **nothing)) == {}
    assert codes(catalog_of(3), facts_of(3, readable=False, **nothing)) == {}


def test_objects_that_the_canvas_makes_tiny():
    """Images of 100 x 200 on a canvas of 100 x 100 are halved: 15 x 15 becomes 7.5, 17 x 17 stays above 8."""
    boxes = [(0, "a", 0, 0, 17, 17), (1, "a", 50, 50, 65, 65), (1, "a", 0, 0, 50, 50)]
    found = codes(catalog_of(2, boxes), facts_of(2))["tiny_objects"]
    assert (found.files, found.severity) == (("1.png",), "warning")
    assert "1 of 3 objects are smaller than 8 pixels on the canvas of 100 x 100" in found.title
    assert "tiny_objects" not in codes(catalog_of(2, [boxes[0], boxes[2]]), facts_of(2))


@pytest.mark.parametrize(("overall", "dot", "said"), [(0.95, 0.95, False), (0.89, 0.95, True), (0.95, 0.2, True)])
def test_boxes_that_default_anchors_miss(overall, dot, said):
    proposed = {"iou_50": 0.99, "iou_70": 0.9, "classes": {"cell": 1.0, "dot": 0.97}}
    default = {"iou_50": overall, "iou_70": 0.4, "classes": {"cell": 1.0, "dot": dot}}
    plan = Plan((64, 64), 4, recall={"boxes": 100, "proposed": proposed, "default": default})
    found = codes(catalog_of(2), facts_of(2), plan).get("default_anchors_miss")
    assert bool(found) == said
    if found:
        assert found.severity == "note"
        assert f"{overall:.2f} of the training boxes" in found.title
        assert "0.99" in found.title
        assert ("dot 0.20 against 0.97" in found.title) == (dot == 0.2)
        assert found.figures == {"default": default, "proposed": proposed}
