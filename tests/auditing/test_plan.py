"""The plan: sizes, tiles, anchors and batches worked by hand, from the training part alone, as text with reasons."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from made_catalogs import catalog_of, facts_of
from read_html import card

from tumorkeras.auditing.plan import MOST_SIDE, SMALLEST_OBJECT, Plan, propose_plan


def squares(size, images, size_of_image=(480, 640), each=4, seed=0):
    """Boxes (image, class, xyxy) of about one size in every image."""
    generator = np.random.default_rng(seed)
    rows = []
    for image in range(images):
        for _ in range(each):
            side = size * generator.uniform(0.95, 1.05)
            left, top = generator.uniform(0, size_of_image[1] - side), generator.uniform(0, size_of_image[0] - side)
            rows.append((image, "cell", left, top, left + side, top + side))
    return rows


def plan_of(boxes, images=40, height=480.0, width=640.0, splits=None):
    return propose_plan(catalog_of(images, boxes, splits=splits), facts_of(images, height=height, width=width))


def test_the_canvas_keeps_small_objects_visible():
    """Objects of 32 pixels may be halved; 240 x 320 is rounded up to whole cells of 32."""
    plan = plan_of(squares(32 / 0.95, 40))
    assert plan.input_size == (256, 320)
    assert plan.tile_size is None
    assert f"where {SMALLEST_OBJECT} are wanted" in plan.reasons["input_size"]
    assert "480 x 640" in plan.reasons["input_size"]


@pytest.mark.parametrize(("size", "canvas"), [(10, (480, 640)), (16, (480, 640)), (300, (192, 256))])
def test_the_canvas_is_never_enlarged_and_never_too_small(size, canvas):
    assert plan_of(squares(size, 40)).input_size == canvas


def test_small_objects_in_large_images_need_tiles():
    """Half of 4000 x 6000 keeps objects of 32 at 16: too large for one piece."""
    plan = plan_of(squares(32 / 0.95, 40, (4000, 6000)), height=4000.0, width=6000.0)
    assert plan.input_size == (2016, 3008)
    assert plan.tile_size == (MOST_SIDE // 2, MOST_SIDE // 2)
    assert plan.tile_overlap == 32
    assert plan.batch_size == 4
    assert "tiles" not in plan.reasons["batch_size"]


def test_what_is_small_in_a_large_image_counts_as_it_will_be_seen():
    """32 pixels in the image of twice the size are 16 on the canvas of the others, so nothing may be halved."""
    heights, widths = [480.0] * 30 + [960.0] * 10, [640.0] * 30 + [1280.0] * 10
    boxes = [row for row in squares(32 / 0.95, 40) if row[0] < 30 or row[4] < 640]
    assert plan_of(boxes, height=heights, width=widths).input_size == (480, 640)


def test_only_the_training_part_is_read():
    boxes = squares(34, 40)
    small = [(image, "speck", 10, 10, 13, 13) for image in range(20, 40)]
    splits = ["train"] * 20 + ["val"] * 10 + ["test"] * 10
    whole = plan_of([row for row in boxes if row[0] < 20], images=20)
    found = plan_of(boxes + small, splits=splits)
    assert found.to_dict() == whole.to_dict()
    assert set(found.recall["default"]["classes"]) == {"cell"}
    assert plan_of(boxes + small).to_dict() != whole.to_dict()


def test_anchors_come_with_their_recall_and_that_of_the_defaults():
    plan = plan_of(squares(40, 40) + [(image, "dot", 100, 100, 300, 150) for image in range(40)])
    proposed, default = plan.recall["proposed"], plan.recall["default"]
    assert plan.recall["boxes"] == 200
    assert proposed["iou_50"] > 0.95 > default["iou_50"]
    assert proposed["iou_70"] <= proposed["iou_50"]
    assert set(proposed["classes"]) == {"cell", "dot"}
    shares = [proposed["classes"]["cell"] * 160, proposed["classes"]["dot"] * 40]
    assert sum(shares) / 200 == pytest.approx(proposed["iou_50"], abs=1e-3)
    assert len(plan.anchors.sizes) == len(plan.anchors.strides)


@pytest.mark.parametrize(
    ("images", "height", "batch"),
    [(400, 480, 16), (90, 480, 8), (40, 480, 4), (9, 480, 1)],
)
def test_the_batch_fits_into_memory_and_leaves_steps(images, height, batch):
    """256 x 320 pixels at 2048 bytes are 168 MB, so 23 images are 4 GB; an epoch has at least 10 steps."""
    plan = plan_of(squares(32 / 0.95, images, each=1), images=images, height=float(height))
    assert plan.batch_size == batch


def test_images_without_boxes():
    plan = propose_plan(catalog_of(100), facts_of(100, height=900.0, width=1200.0))
    assert plan.input_size == (384, 512)
    assert (plan.anchors, plan.tile_size, plan.recall) == (None, None, {})
    assert plan.batch_size == 8  # of 100 samples, in at least 10 steps
    assert set(plan.to_dict()) == {"input_size", "batch_size", "reasons"}


def test_a_training_part_without_boxes_is_planned_as_images():
    plan = plan_of(squares(40, 10), images=20, splits=["test"] * 10 + ["train"] * 10)
    assert plan.anchors is None


@pytest.mark.parametrize(
    ("shape", "expected"), [((32, 32, 32), (32, 32, 32)), ((60, 61, 100), (64, 64, 104)), ((400, 400, 400), (128,) * 3)]
)
def test_volumes(shape, expected):
    sides = dict(zip(("depth", "height", "width"), map(float, shape), strict=True))
    plan = propose_plan(catalog_of(500, kind="volumes"), facts_of(500, **sides))
    assert plan.input_size == expected
    assert plan.batch_size == {32: 32, 64: 32, 128: 4}[expected[0]]


def test_nothing_to_plan():
    nothing = {"height": np.nan, "width": np.nan}
    assert propose_plan(catalog_of(3, kind="tracks"), facts_of(3, frames=60.0, **nothing)) is None
    assert propose_plan(catalog_of(3), facts_of(3, readable=False, **nothing)) is None


def test_the_text_holds_every_value_and_every_reason():
    plan = plan_of(squares(40, 40))
    text, values = plan.to_yaml(), plan.to_dict()
    reasons = values.pop("reasons")
    assert yaml.safe_load(text) == values == json.loads(json.dumps(values))
    assert list(values) == [
        "input_size", "batch_size", "tile_size", "tile_overlap",
        "pyramid_strides", "anchor_sizes", "anchor_ratios", "recall",
    ]  # fmt: skip
    words = " ".join(line.removeprefix("# ") for line in text.splitlines() if line.startswith("#"))
    assert all(reason in words for reason in reasons.values())
    assert set(reasons) <= set(values)
    assert max(map(len, text.splitlines())) <= 120


def test_a_plan_may_be_edited():
    plan = plan_of(squares(40, 40))
    plan.batch_size = 2
    plan.input_size = (64, 64)
    assert yaml.safe_load(plan.to_yaml())["batch_size"] == 2
    assert isinstance(plan, Plan)


def test_boxes_without_a_class_have_no_recall_by_class():
    boxes = [(image, None, *corners) for image, _, *corners in squares(40, 20)]
    plan = plan_of(boxes, images=20)
    assert plan.recall["default"]["classes"] == {}
    assert pd.notna(plan.recall["default"]["iou_50"])


def test_a_plan_shows_itself_with_its_reasons():
    plan = plan_of(squares(40, 40))
    plan.reasons["input_size"] = "as <wide> as it is"
    reader = card(plan)
    assert f"input size [{plan.input_size[0]}, {plan.input_size[1]}] as <wide> as it is" in reader.cells
    assert f"of {plan.recall['boxes']} training boxes met at IoU 0.5 met at IoU 0.7" in reader.cells
    assert f"proposed anchors {plan.recall['proposed']['iou_50']:.3f}" in reader.cells
    assert plan.to_yaml() in reader.text
    assert "Recall" not in Plan((8, 8), 1)._repr_html_()
