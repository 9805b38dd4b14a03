"""The worst errors: the right ones, in the right order, cut out at the right place."""

from __future__ import annotations

import numpy as np
import pytest
from made_detections import SIZE, made_detections

from tumorkeras import plots
from tumorkeras.errors import DataError

CLASSES = ["a", "b", "c"]
#          found by 0.9; found by 0.2; overlapped a little; not at all
TRUTH = {
    "boxes": np.array([[[10, 10, 30, 30], [60, 60, 80, 80]], [[10, 10, 30, 30], [60, 60, 80, 80]]]),
    "classes": np.zeros((2, 2)),
}
FOUND = {
    "boxes": np.array(
        [[[10, 10, 30, 30], [60, 60, 80, 78], [0, 0, 0, 0]], [[10, 24, 30, 44], [40, 0, 50, 9], [1, 1, 9, 9]]]
    ),
    "scores": np.array([[0.9, 0.2, 0.0], [0.7, 0.8, 0.1]]),
    "classes": np.array([[0, 0, -1], [0, 0, 0]]),
}
IMAGES = [np.zeros((100, 100), np.uint8), np.zeros((90, 120, 3))]


def captions(ax):
    return [text.get_text() for text in ax.texts]


def test_misses_are_those_that_nothing_overlaps_first():
    ax = plots.worst_detections(IMAGES, TRUTH, FOUND, CLASSES)
    assert captions(ax) == [
        "a, image 1\nnot found, best IoU 0.00",
        "a, image 1\nnot found, best IoU 0.18",
        "a, image 0\nfound with score 0.20",
    ]
    assert ax.get_title(loc="left") == "Misses: 3 of 3, score 0.5, IoU 0.5"
    assert len(plots.worst_detections(IMAGES, TRUTH, FOUND, CLASSES, threshold=0.1).images) == 2
    assert len(plots.worst_detections(IMAGES, TRUTH, FOUND, CLASSES, count=1).images) == 1


def test_false_alarms_are_those_of_the_highest_scores():
    ax = plots.worst_detections(IMAGES, TRUTH, FOUND, CLASSES, kind="false_alarms")
    assert captions(ax) == ["a 0.80, image 1\nbest IoU 0.00", "a 0.70, image 1\nbest IoU 0.18"]
    assert ax.get_title(loc="left") == "False alarms: 2 of 2, score 0.5, IoU 0.5"


def test_a_crop_shows_its_box_and_the_pixels_around_it():
    image = np.arange(200 * 300).reshape(200, 300) / (200 * 300)
    box = [140, 90, 180, 110]  # 40 wide: the crop is 100 wide, from (110, 50)
    truth = {"boxes": [[box]], "classes": [[0]]}
    nothing = {"boxes": np.zeros((1, 0, 4)), "scores": np.zeros((1, 0)), "classes": np.zeros((1, 0))}
    ax = plots.worst_detections([image], truth, nothing, ["a"])
    np.testing.assert_array_equal(ax.images[0].get_array(), image[50:150, 110:210])
    assert ax.images[0].get_extent() == pytest.approx([0, 1, 1, 0])
    outline = ax.lines[-1].get_xydata()
    np.testing.assert_allclose([outline.min(axis=0), outline.max(axis=0)], [[0.3, 0.4], [0.7, 0.6]])


@pytest.mark.parametrize("kind", ["misses", "false_alarms"])
def test_other_boxes_are_drawn_thin_and_its_own_once(kind):
    ax = plots.worst_detections(IMAGES, TRUTH, FOUND, CLASSES, kind=kind, count=1)
    widths = [line.get_linewidth() for line in ax.lines]
    assert widths == [0.9, 0.9, 0.9, 2.0]  # image 1 has two truths and two detections from 0.5 on
    assert ax.lines[-1].get_linestyle() == ("-" if kind == "misses" else "--")
    left, right, bottom, top = ax.images[0].get_extent()
    for line in ax.lines:  # cut at the edges of the crop
        cut = line.get_clip_box().transformed(ax.transData.inverted())
        assert sorted(cut.extents) == pytest.approx(sorted([left, right, bottom, top]))


def test_a_box_at_the_edge_and_an_image_smaller_than_its_crop():
    truth = {"boxes": [[[0, 0, 20, 20]], [[4, 4, 20, 20]]], "classes": [[0], [0]]}
    nothing = {"boxes": np.zeros((2, 0, 4)), "scores": np.zeros((2, 0)), "classes": np.zeros((2, 0))}
    ax = plots.worst_detections([np.zeros((100, 100)), np.zeros((24, 36))], truth, nothing, ["a"])
    assert [image.get_array().shape for image in ax.images] == [(50, 50), (24, 36)]
    left, right, bottom, top = ax.images[1].get_extent()
    assert (right - left, bottom - top) == pytest.approx((36 / 48, 24 / 48))
    assert (left + right) / 2 == pytest.approx(1.06 + 0.5)  # in the middle of the second square


def test_no_error_is_drawn_as_none():
    perfect = TRUTH | {"scores": np.ones((2, 2))}
    for kind in ("misses", "false_alarms"):
        ax = plots.worst_detections(IMAGES, TRUTH, perfect, CLASSES, kind=kind)
        assert captions(ax) == ["none"]
        plots.to_png(ax)


def test_a_long_name_is_cut():
    name = "invasive ductal carcinoma of no special type"
    ax = plots.worst_detections(IMAGES, TRUTH, FOUND, [name], count=1)
    assert captions(ax)[0].startswith("invasive ductal c…, image 1")


@pytest.mark.parametrize("kind", ["misses", "false_alarms"])
def test_many_are_drawn_in_rows(kind):
    truth, found = made_detections(images=20, seed=1)
    images = [np.zeros((int(SIZE), int(SIZE) + 40)) for _ in range(20)]
    ax = plots.worst_detections(images, truth, found, CLASSES, kind=kind, count=10)
    assert len(ax.images) == len(ax.texts) == 10
    corners = {(round(image.get_extent()[0], 1), round(image.get_extent()[3], 1)) for image in ax.images}
    assert len(corners) == 10
    plots.to_png(ax)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"kind": "both"}, "kind: 'both' is not one of misses, false_alarms"),
        ({"count": 0}, "count: 0"),
        ({"threshold": 2, "iou": 0}, "2 faults"),
        ({"images": IMAGES[:1]}, "images: 1 for truth of 2"),
        ({"images": [np.zeros(3), np.zeros(3)]}, r"images: image 1: shape \(3,\)"),
    ],
)
def test_refuses(options, fault):
    with pytest.raises(DataError, match=fault):
        plots.worst_detections(**{"images": IMAGES, "truth": TRUTH, "detections": FOUND, "classes": CLASSES} | options)
