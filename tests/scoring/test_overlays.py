"""Pictures of what was found: the boxes where they are, on images of any kind, and never over the images themselves."""

import os

import cv2
import numpy as np
import pandas as pd
import pytest

from tumorkeras.errors import DataError
from tumorkeras.scoring import write_overlays
from tumorkeras.scoring.overlays import COLOURS, SMALLEST


def found(path, *boxes):
    """A table of a detector: for each box its class, score and sides; or nothing found."""
    rows = boxes or [(None, np.nan, *[np.nan] * 4)]
    columns = ["class", "score", "xmin", "ymin", "xmax", "ymax"]
    table = pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])
    return table.assign(path=str(path), status="ok")


def is_colour(picture, number):
    """Where a picture as it lies in its file (blue, green, red) has the colour of a class."""
    return (cv2.imread(str(picture))[..., ::-1] == COLOURS[number]).all(axis=-1)


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def test_boxes_are_drawn_at_their_edges_in_the_colours_of_their_classes(images, tmp_path):
    assert cv2.imwrite(str(images / "a.png"), np.full((500, 640), 7, "uint8"))
    boxes = [("cyst", 0.9, 100, 200, 300, 260), ("mass", 0.6, 400, 100, 500, 450), ("mass", 0.2, 50, 400, 90, 440)]
    (picture,) = write_overlays(found(images / "a.png", *boxes), tmp_path / "drawn", threshold=0.5)
    assert picture == tmp_path / "drawn" / "a.png"
    for number, (_, _, left, top, right, bottom) in enumerate(boxes[:2]):
        coloured = is_colour(picture, number)
        for edge in (coloured[top:bottom, left], coloured[top:bottom, right - 1], coloured[bottom - 1, left:right]):
            assert edge.all()
        assert not coloured[bottom + 2 :].any()
        assert not coloured[:, : left - 2].any()
        assert not coloured[top + 5 : bottom - 5, left + 5 : right - 5].any()
        text = coloured[top - 18 : top - 1, left : left + 60]
        assert 0.4 < text.mean() < 1
    # What is below the threshold is not there.
    assert (cv2.imread(str(picture))[380:460, 20:120] == 7).all()


def test_of_texts_that_would_cover_each_other_the_best_stays(images, tmp_path):
    assert cv2.imwrite(str(images / "a.png"), np.zeros((500, 640), "uint8"))
    boxes = [("mass", 0.3, 104, 204, 300, 300), ("cyst", 0.9, 100, 200, 310, 310)]
    (picture,) = write_overlays(found(images / "a.png", *boxes), tmp_path / "drawn")
    (alone,) = write_overlays(found(images / "a.png", boxes[1]), tmp_path / "alone")
    text = (slice(183, 199), slice(100, 160))
    np.testing.assert_array_equal(cv2.imread(str(picture))[text], cv2.imread(str(alone))[text])
    assert is_colour(picture, 1)[250:300, 104].all()


def test_texts_stay_within_the_image(images, tmp_path):
    assert cv2.imwrite(str(images / "a.png"), np.zeros((500, 640), "uint8"))
    boxes = [("cyst", 0.9, 0, 0, 640, 500), ("cyst", 0.8, 620, 480, 640, 500)]
    (picture,) = write_overlays(found(images / "a.png", *boxes), tmp_path / "drawn")
    coloured = is_colour(picture, 0)
    assert coloured[:16, :40].mean() > 0.4
    assert coloured[465:478, 580:].mean() > 0.4


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_images_are_shown_from_their_darkest_to_their_brightest(images, tmp_path, dtype):
    pixels = np.linspace(1000, 3000, 480 * 500).reshape(480, 500).astype(dtype)
    if dtype == "float32":
        pixels[10, 10] = np.nan
    assert cv2.imwrite(str(images / "a.tif"), pixels)
    (picture,) = write_overlays(found(images / "a.tif"), tmp_path / "drawn")
    assert picture.name == "a.tif.png"
    shown = cv2.imread(str(picture))
    assert (shown.max(), shown.shape) == (255, (480, 500, 3))
    if dtype == "uint16":
        assert (shown[0, 0].max(), shown[240, 250].max()) == (0, 128)


def test_small_images_are_enlarged_with_their_boxes(images, tmp_path):
    assert cv2.imwrite(str(images / "a.png"), np.zeros((20, 40), "uint8"))
    (picture,) = write_overlays(found(images / "a.png", ("cyst", 0.9, 10, 8, 30, 16)), tmp_path / "drawn")
    coloured = is_colour(picture, 0)
    assert coloured.shape == (SMALLEST // 2, SMALLEST)
    assert coloured[12 * 9 : 12 * 15, 12 * 10].all()
    assert coloured[12 * 16 - 1, 12 * 12 : 12 * 28].all()
    assert not coloured[:, 12 * 30 + 2 :].any()


def test_pictures_keep_their_places_and_what_cannot_be_read_has_none(images, tmp_path):
    (images / "deep").mkdir()
    for name in ("a.png", "deep/a.png", "deep/b.jpg"):
        assert cv2.imwrite(str(images / name), np.zeros((9, 9), "uint8"))
    (images / "text.png").write_text("no image")
    names = ["a.png", "deep/a.png", "text.png", "none.png", "deep/b.jpg", "a.npz#x"]
    table = pd.concat([found(images / name) for name in names], ignore_index=True)
    drawn = write_overlays(table, tmp_path / "drawn")
    assert [os.path.relpath(path, tmp_path / "drawn") for path in drawn] == ["a.png", "deep/a.png", "deep/b.jpg.png"]
    assert write_overlays(table.iloc[:0], tmp_path / "none") == []


def test_images_are_never_drawn_over(images, tmp_path):
    assert cv2.imwrite(str(images / "a.png"), np.zeros((9, 9), "uint8"))
    before = (images / "a.png").read_bytes()
    (tmp_path / "link").symlink_to(images)
    for folder in (images, tmp_path / "link", images / ".." / "images"):
        with pytest.raises(DataError, match=r"a.png is an image itself; choose another folder for the pictures"):
            write_overlays(found(images / "a.png", ("cyst", 0.9, 1, 1, 5, 5)), folder)
    assert (images / "a.png").read_bytes() == before


def test_other_tables_and_folders_are_refused(images, tmp_path):
    with pytest.raises(
        DataError, match=r"the table lacks class, score, xmin, .*; only that of a detector can be drawn"
    ):
        write_overlays(pd.DataFrame({"path": ["a.png"], "probability_0": [1.0]}), tmp_path)
    assert cv2.imwrite(str(images / "a.png"), np.zeros((9, 9), "uint8"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"a.png: cannot be written: (Not a directory|File exists)"):
        write_overlays(found(images / "a.png"), tmp_path / "file")
