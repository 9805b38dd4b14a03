"""Proposed regions: objects of known place are among them, whatever the image's type, size and polarity."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tumorkeras import propose_regions
from tumorkeras.boxes import iou
from tumorkeras.data.proposals import METHODS
from tumorkeras.errors import DataError

# Centre and half axes (x, y) of ellipses in an image of 240 x 320; the third is cut by the border.
ELLIPSES = [((60, 70), (22, 18)), ((200, 60), (60, 25)), ((310, 190), (40, 30)), ((100, 180), (12, 14))]
TRUTH = np.array([[38, 52, 82, 88], [140, 35, 260, 85], [270, 160, 320, 220], [88, 166, 112, 194]], "float32")


def drawing(ground=150, objects=60, noise=12, seed=0):
    """Grey ellipses on noise, blurred."""
    image = np.full((240, 320), float(ground))
    for centre, axes in ELLIPSES:
        cv2.ellipse(image, centre, axes, 0, 0, 360, objects, -1)
    image = cv2.GaussianBlur(image, (0, 0), 2.0)
    return np.clip(image + np.random.default_rng(seed).normal(0, noise, image.shape), 0, 255).round().astype("uint8")


def found(image, most=50, **settings):
    """Whether each ellipse is among the proposals."""
    return (iou(TRUTH, propose_regions(image, most, **settings)).max(axis=1) > 0.5).tolist()


@pytest.mark.parametrize(("ground", "objects"), [(150, 60), (60, 150)])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_finds_dark_and_bright_objects(method, ground, objects):
    assert found(drawing(ground, objects, noise=3), methods=[method]) == [True] * 4


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image.astype("uint16") * 200,
        lambda image: image.astype("float32") / 255 - 3,
        lambda image: image.astype("float64") * 1e300,
        lambda image: image.astype("float64") * 1e-300,
        lambda image: image[..., None],
        lambda image: np.stack([image] * 3, axis=-1),
        lambda image: np.stack([np.full_like(image, 200), image, np.full_like(image, 30)], axis=-1),
        lambda image: image > 105,
        lambda image: image.tolist(),
    ],
)
def test_type_range_and_channels_do_not_matter(changed):
    assert found(changed(drawing(noise=5))) == [True] * 4


def test_the_best_come_first():
    """The objects are found among a few boxes already, and a shorter list is the beginning of a longer one."""
    image = drawing()
    assert found(image, most=20) == [True] * 4
    np.testing.assert_array_equal(propose_regions(image, 20), propose_regions(image, 200)[:20])


def test_boxes_are_in_pixels_of_a_large_image():
    large = cv2.resize(drawing(noise=5), None, fx=4, fy=4)
    proposed = propose_regions(large, 50)
    assert (iou(TRUTH * 4, proposed).max(axis=1) > 0.5).all()


def test_a_lesion_in_tissue_that_gets_darker_with_depth():
    image = np.repeat(np.linspace(230, 30, 240)[:, None], 320, axis=1)
    cv2.ellipse(image, (80, 60), (30, 20), 0, 0, 360, 110.0, -1)  # brighter than the tissue far below
    cv2.ellipse(image, (220, 200), (30, 20), 0, 0, 360, 5.0, -1)
    truth = [[50, 40, 110, 80], [190, 180, 250, 220]]
    assert (iou(truth, propose_regions(image, 50)).max(axis=1) > 0.6).all()


def test_cells_that_touch_are_proposed_one_by_one():
    image = np.full((120, 200), 220.0)
    for x in (60, 100, 140):
        cv2.circle(image, (x, 60), 21, 120.0, -1)
    truth = [[x - 21, 39, x + 22, 82] for x in (60, 100, 140)]
    assert (iou(truth, propose_regions(image, 50)).max(axis=1) > 0.6).all()


@given(
    arrays.arrays(
        st.sampled_from(["uint8", "uint16", "float32"]),
        st.tuples(st.integers(1, 40), st.integers(1, 80), st.sampled_from([1, 2, 3, 4])),
        elements=st.integers(0, 255),
    ),
    st.integers(1, 30),
    st.sampled_from([0.3, 0.6, 0.8]),
)
def test_every_box_lies_in_the_image_and_none_is_said_twice(image, most, overlap):
    proposed = propose_regions(image, most, overlap=overlap)
    assert proposed.dtype == np.float32
    assert proposed.shape == (len(proposed), 4)
    assert len(proposed) <= most
    assert (proposed[:, 2:] > proposed[:, :2]).all()
    assert (proposed[:, :2] >= 0).all()
    assert (proposed[:, 2:] <= [image.shape[1], image.shape[0]]).all()
    pairs = iou(proposed, proposed)[np.triu_indices(len(proposed), 1)]
    assert pairs.max(initial=0) <= overlap + 1e-3  # measured before the boxes were rounded to float32


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (300, 1, 3), (4, 4), (90, 120), (2000, 3)])
def test_nothing_is_proposed_where_nothing_stands_out(shape):
    for value in (0, 7):
        assert propose_regions(np.full(shape, value, "uint8")).shape == (0, 4)


def test_a_small_bright_object_on_a_flat_ground():
    image = np.zeros((400, 400), "uint8")
    image[100:114, 200:216] = 9  # less of the image than the share of extreme values that is cut
    assert iou([[200, 100, 216, 114]], propose_regions(image, 10)).max() > 0.5


def test_the_same_boxes_in_another_process(tmp_path):
    """No thread and no process changes them, and the caller's array stays as it is."""
    image = drawing()
    before = image.copy()
    proposed = propose_regions(image)
    np.testing.assert_array_equal(image, before)
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, cv2, numpy; cv2.setNumThreads(1); from tumorkeras import propose_regions; "
        "sys.stdout.buffer.write(propose_regions(numpy.load(sys.argv[1])).tobytes()); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "image.npy"], capture_output=True, check=True)
    assert done.stdout == proposed.tobytes()


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        (np.zeros(5), r"image: shape \(5,\), expected \(height, width\)"),
        (np.zeros((2, 3, 4, 1)), r"image: shape \(2, 3, 4, 1\)"),
        (np.zeros((0, 5)), r"image: shape \(0, 5\)"),
        (np.zeros((5, 5, 0)), r"image: shape \(5, 5, 0\)"),
        (np.array([[1.0, np.nan], [np.inf, 0]]), "image: 2 values are NaN or infinite"),
        (np.array([["a"]]), "image: dtype <U1, expected numbers"),
        (np.zeros((3, 3), complex), "image: dtype complex128"),
    ],
)
def test_bad_images_are_refused(image, fault):
    with pytest.raises(DataError, match=fault):
        propose_regions(image)


def test_all_bad_arguments_are_said_at_once():
    with pytest.raises(DataError) as caught:
        propose_regions(np.zeros((9, 9)), 0, methods=["blobs", "sift"], overlap=1.5, side=2.5)
    for fault in ("most: 0", "side: 2.5", "overlap: 1.5", "methods: ['blobs', 'sift']"):
        assert fault in str(caught.value)
    for methods in ("mser", []):
        with pytest.raises(DataError, match=r"methods: .* expected a list of some of blobs, mser, contours"):
            propose_regions(np.zeros((9, 9)), methods=methods)
