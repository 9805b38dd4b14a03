"""Simulated ultrasound: a function of the seed, with boxes that are right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.data.phantoms import simulate_ultrasound
from tumorkeras.data.phantoms.simulate import Series
from tumorkeras.errors import DataError

SIZE = (96, 112)


def assert_same(first, second):
    for name in first._fields:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(0, 3),
    size=st.tuples(st.integers(32, 80), st.integers(32, 80)),
    most=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_shapes_types_and_tight_boxes(n, size, most, seed):
    scans = simulate_ultrasound(n, size, most=most, seed=seed)
    assert (scans.images.shape, scans.images.dtype) == ((n, *size), "uint8")
    assert (scans.masks.shape, scans.masks.dtype) == ((n, *size), "uint8")
    assert (scans.boxes.shape, scans.boxes.dtype) == ((n, most, 4), "float32")
    assert (scans.classes.shape, scans.classes.dtype) == ((n, most), "int32")
    for boxes, classes, mask in zip(scans.boxes, scans.classes, scans.masks, strict=True):
        count = mask.max()
        assert set(classes[:count]) <= {0, 1}
        assert (classes[count:] == -1).all()
        assert not boxes[count:].any()
        for k, (xmin, ymin, xmax, ymax) in enumerate(boxes[:count].astype(int)):
            rows, columns = np.nonzero(mask == k + 1)
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (xmin, ymin, xmax, ymax)


def test_the_seed_decides_and_an_image_is_the_same_in_any_number():
    three = simulate_ultrasound(3, SIZE, seed=4)
    assert_same(three, simulate_ultrasound(3, SIZE, seed=4))
    five = simulate_ultrasound(5, SIZE, seed=4)
    assert_same(three, type(five)(*(part[:3] for part in five)))
    assert not np.array_equal(three.images, simulate_ultrasound(3, SIZE, seed=5).images)
    assert not np.array_equal(five.images[0], five.images[1])


def test_no_image():
    scans = simulate_ultrasound(0, SIZE)
    assert [part.shape for part in scans] == [(0, *SIZE), (0, 3, 4), (0, 3), (0, *SIZE)]


def test_the_share_of_images_without_lesion():
    series = Series(SIZE, without=0.3, seed=1)
    assert np.mean([not series.lesions(k) for k in range(400)]) == pytest.approx(0.3, abs=0.07)
    assert (simulate_ultrasound(5, SIZE, without=1).classes == -1).all()
    assert (simulate_ultrasound(20, SIZE, without=0).classes[:, 0] >= 0).all()


def test_class_ids_follow_the_order_that_is_asked_for():
    one, other = (simulate_ultrasound(12, SIZE, classes=names, without=0) for names in (["benign"], ["malignant"]))
    assert set(one.classes.ravel()) == set(other.classes.ravel()) == {0, -1}
    usual = simulate_ultrasound(12, SIZE).classes
    turned = simulate_ultrasound(12, SIZE, classes=["malignant", "benign"]).classes
    assert {0, 1} < set(usual.ravel())
    np.testing.assert_array_equal(usual, turned)  # the draw is one of the ids


def test_outlines_are_those_of_the_image():
    series = Series(SIZE, seed=2)
    for number in range(6):
        boxes, classes = series.outlines(number)
        phantom = series.image(number)
        np.testing.assert_array_equal(boxes, phantom.boxes)
        np.testing.assert_array_equal(classes, phantom.classes)


def test_calipers_change_only_crosses_at_the_box():
    plain, marked = (simulate_ultrasound(8, SIZE, without=0, calipers=calipers, seed=3) for calipers in (False, True))
    assert_same(plain._replace(images=marked.images), marked)
    for before, after, boxes, classes in zip(plain.images, marked.images, plain.boxes, plain.classes, strict=True):
        changed = before != after
        count = int(np.sum(classes >= 0))
        assert 0 < changed.sum() <= count * 4 * 9  # crosses of 5 + 4 pixels
        assert (after[changed] == 255).all()
        near = np.zeros(SIZE, bool)
        for xmin, ymin, xmax, ymax in boxes[:count].astype(int):
            edges = np.ones(SIZE, bool)
            edges[ymin + 3 : max(ymin + 3, ymax - 3), xmin + 3 : max(xmin + 3, xmax - 3)] = False
            edges[:, : max(xmin - 2, 0)] = edges[:, xmax + 2 :] = False
            edges[: max(ymin - 2, 0)] = edges[ymax + 2 :] = False
            near |= edges
        assert not (changed & ~near).any()


def test_calipers_of_one_kind_leave_images_of_the_other_as_they_are():
    options = {"size": SIZE, "without": 0, "most": 1, "seed": 3}
    plain, marked = (simulate_ultrasound(8, **options, calipers=calipers) for calipers in (False, ["malignant"]))
    changed = (plain.images != marked.images).any(axis=(1, 2))
    np.testing.assert_array_equal(changed, plain.classes[:, 0] == 1)
    assert set(changed) == {True, False}


def level_of_lesions(kind, rows):
    """Mean grey value inside lesions and in what lies behind them, against what lies beside, at the same depth."""
    inside, behind = [], []
    for k in range(60):
        series = Series((160, 160), (kind,), most=1, without=0, seed=8)
        phantom = series.image(k)
        xmin, ymin, xmax, ymax = phantom.boxes[0].astype(int)
        if xmax - xmin < 16 or xmax - xmin > 90 or ymax > 130:
            continue
        image = phantom.image.astype(float)
        quarter = (xmax - xmin) // 4
        core = slice(xmin + quarter, xmax - quarter)
        beside = np.ones(160, bool)
        beside[max(0, xmin - 5) : xmax + 5] = False
        deep = slice(ymax + 3, min(160, ymax + 3 + rows))
        inside.append(image[phantom.mask == 1].mean() - image[ymin:ymax, beside].mean())
        behind.append(image[deep, core].mean() - image[deep, beside].mean())
    return np.array(inside), np.array(behind)


def test_lesions_are_darker_than_what_is_around_them_some_of_them_faintly():
    benign, bright = level_of_lesions("benign", 20)
    malignant, dark = level_of_lesions("malignant", 20)
    assert malignant.mean() < benign.mean() < -10
    assert np.quantile(benign, 0.9) > -12
    assert bright.mean() > 3  # enhancement
    assert dark.mean() < -10  # shadow


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", -1),
        ("n", 2.0),
        ("n", True),
        ("size", (31, 64)),
        ("size", (64,)),
        ("size", 64),
        ("size", (64.0, 64)),
        ("classes", ("cyst",)),
        ("classes", ()),
        ("classes", ("benign", "benign")),
        ("most", 0),
        ("most", 21),
        ("most", 1.5),
        ("without", -0.1),
        ("without", 1.1),
        ("without", float("nan")),
        ("depth_mm", 0),
        ("depth_mm", float("inf")),
        ("frequency_mhz", "10"),
        ("frequency_mhz", 0.5),
        ("blur_mm", -1),
        ("calipers", 1),
        ("calipers", "malignant"),
        ("calipers", ["cyst"]),
        ("seed", -1),
        ("seed", None),
    ],
)
def test_an_argument_outside_its_range_is_named(name, value):
    with pytest.raises(DataError) as caught:
        simulate_ultrasound(**{"n": 1, name: value})
    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}: found {value!r}, expected ")


def test_all_faults_at_once():
    with pytest.raises(DataError) as caught:
        simulate_ultrasound(-1, (1, 1), most=0, without=2, depth_mm=0, calipers=None, seed="a")
    named = {fault.split(":")[0] for fault in caught.value.faults}
    assert named == {"n", "size", "most", "without", "depth_mm", "calipers", "seed"}
