"""Truth and predictions upon an image: every box where it is, every label inside."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.palette import color_of
from tumorkeras.plots.style import COLORS

TRUTH = {"boxes": [[4, 6, 20, 16], [30, 2, 44, 12], [0, 0, 0, 0]], "classes": [0, 1, -1]}
FOUND = {
    "boxes": [[5, 6, 20, 15], [40, 28, 48, 32], [1, 1, 3, 3], [0, 0, 9, 9]],
    "scores": [0.9, 0.75, 0.3, 0.95],
    "classes": [0, 1, 0, -1],
}
IMAGE = np.zeros((32, 48), np.uint8)


def corners(line):
    (left, top), (right, bottom) = line.get_xydata().min(axis=0), line.get_xydata().max(axis=0)
    return [left, top, right, bottom]


def test_boxes_are_drawn_where_they_are():
    ax = plots.detections(IMAGE, TRUTH, FOUND, ["a", "b"])
    assert [corners(line) for line in ax.lines] == [[4, 6, 20, 16], [30, 2, 44, 12], [40, 28, 48, 32], [5, 6, 20, 15]]
    assert [line.get_color() for line in ax.lines] == [COLORS[0], COLORS[1], COLORS[1], COLORS[0]]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "-", "--", "--"]
    assert ax.images[0].get_extent() == [0, 48, 32, 0]  # a box (0, 0, 48, 32) is the whole image
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 48), (32, 0))
    assert [text.get_text() for text in ax.texts] == ["a", "b", "b 0.75", "a 0.90"]


def test_the_threshold_and_a_truth_that_is_not_known():
    ax = plots.detections(IMAGE, None, FOUND, ["a", "b"], threshold=0.3)
    assert [text.get_text() for text in ax.texts] == ["a 0.30", "b 0.75", "a 0.90"]
    assert ax.get_title(loc="left") == "Predictions (dashed) from score 0.3: 3"


@pytest.mark.parametrize("size", [(64, 64), (300, 80), (60, 400)])
def test_labels_stay_inside(size):
    height, width = size
    edges = [[0, 0, 5, 5], [width - 5, 0, width, 5], [0, height - 5, 5, height], [width - 5, height - 5, width, height]]
    found = {"boxes": edges, "scores": [0.9] * 4, "classes": [0] * 4}
    ax = plots.detections(np.zeros(size), {"boxes": edges, "classes": [0] * 4}, found, ["ductal"])
    ax.figure.draw_without_rendering()
    frame = ax.get_window_extent()
    assert len(ax.texts) == 8
    for text in ax.texts:
        extent = text.get_window_extent()
        assert frame.x0 <= extent.x0
        assert extent.x1 <= frame.x1
        assert frame.y0 <= extent.y0
        assert extent.y1 <= frame.y1


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.full((4, 4), 51, np.uint8), 0.2),
        (np.full((4, 4, 1), 0.25), 0.25),
        (np.full((4, 4, 3), 255, np.uint8), 1.0),
        (np.where(np.eye(4) == 1, 3000, 750).astype(np.uint16), 0.25),
        (np.where(np.eye(4) == 1, -1000.0, 0.0), 1000 / 1001),
        (np.where(np.eye(4) == 1, 1.0, np.nan), 0.0),
    ],
)
def test_images_of_all_kinds(image, expected):
    ax = plots.detections(image, None, {"boxes": np.zeros((0, 4)), "scores": [], "classes": []}, ["a"])
    drawn = ax.images[0].get_array()
    np.testing.assert_allclose(drawn[0, 1], expected)
    assert ax.images[0].get_clim() == (0, 1)
    plots.to_png(ax)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ((np.zeros((4, 4, 2)), TRUTH, FOUND, ["a", "b"]), r"image: shape \(4, 4, 2\) is not"),
        ((np.zeros((0, 4)), TRUTH, FOUND, ["a", "b"]), r"image: shape \(0, 4\)"),
        ((IMAGE, TRUTH, FOUND, ["a"]), "2 faults"),
        ((IMAGE, TRUTH, TRUTH, ["a", "b"]), "without 'scores'"),
        ((IMAGE, TRUTH, FOUND, ["a", "b"], None, 2), "threshold: 2"),
    ],
)
def test_refuses(arguments, fault):
    with pytest.raises(DataError, match=fault):
        plots.detections(*arguments)


def with_masks(table, masks):
    return {**table, "masks": np.asarray(masks)}


def test_masks_are_tinted_in_the_colours_of_their_classes():
    masks = np.zeros((3, 32, 48), bool)
    masks[0, 6:16, 4:20] = masks[1, 2:12, 30:44] = masks[2] = True  # the third is padding
    ax = plots.detections(IMAGE, with_masks(TRUTH, masks), FOUND, ["a", "b"], threshold=1.0)
    picture, *tints = ax.images
    assert picture.get_array().shape == IMAGE.shape
    assert [tint.get_extent() for tint in tints] == [[0, 48, 32, 0]] * 2
    for tint, mask, label in zip(tints, masks, (0, 1), strict=False):
        colours = tint.get_array()
        np.testing.assert_array_equal(colours[..., 3] > 0, mask)
        np.testing.assert_allclose(colours[mask][:, :3], [to_rgb(color_of(label))] * mask.sum())
    (outline, _) = (collection.get_paths()[0].get_extents() for collection in ax.collections)
    np.testing.assert_allclose(outline.extents, (4, 6, 20, 16), atol=0.51)  # through the rim of the mask's own pixels


def test_masks_of_predictions_follow_the_threshold():
    masks = np.zeros((len(FOUND["boxes"]), 32, 48), bool)
    masks[:, :4, :4] = True
    for threshold in (0.0, 0.5, 1.0):
        ax = plots.detections(IMAGE, None, with_masks(FOUND, masks), ["a", "b"], threshold=threshold)
        shown = (np.array(FOUND["scores"]) >= threshold) & (np.array(FOUND["classes"]) >= 0)
        assert len(ax.images) == 1 + shown.sum()


def test_an_empty_mask_has_no_outline():
    ax = plots.detections(IMAGE, with_masks(TRUTH, np.zeros((3, 32, 48))), FOUND, ["a", "b"])
    assert len(ax.collections) == 0


def test_refuses_masks_of_another_size_and_number():
    wrong = with_masks(TRUTH, np.zeros((2, 32, 48))), with_masks(FOUND, np.zeros((len(FOUND["boxes"]), 48, 32)))
    with pytest.raises(DataError, match=r"(?s)2 faults.*truth: masks have shape.*detections: masks have shape"):
        plots.detections(IMAGE, *wrong, ["a", "b"])
