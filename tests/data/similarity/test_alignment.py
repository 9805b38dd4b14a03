import cv2
import numpy as np
import pytest

from tumorkeras.data.similarity.alignment import align, correlation, look_through


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [cv2.GaussianBlur(rng.random((200, 200)).astype("float32"), (0, 0), 9) for _ in range(6)]


def small(picture, side=32):
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [((10, 200), (10, 200)), ((10, 190), (10, 190)), ((0, 190), (0, 200)), ((5, 195), (0, 195)), ((0, 200), (0, 200))],
)
def test_the_window_of_a_crop_is_found(pictures, rows, columns):
    whole = np.stack([small(picture) for picture in pictures])
    part = np.stack([3 * small(picture[slice(*rows), slice(*columns)]) + 1 for picture in pictures])
    windows = align(whole, part)
    expected = []
    for start, stop in (rows, columns):
        expected += [(stop - start) / 200 - 1, ((start + stop) / 2 - 100) * 32 / 200]
    np.testing.assert_allclose(windows, np.tile(expected, (6, 1)), atol=0.15)
    view, inside = look_through(whole, windows)
    assert correlation(view, part, inside).min() > 0.99
    # From the crop's side the window is larger than the picture.
    view, inside = look_through(part, align(part, whole))
    assert correlation(view, whole, inside).min() > 0.97


def test_other_pictures_stay_unlike(pictures):
    whole = np.stack([small(picture) for picture in pictures])
    view, inside = look_through(whole, align(whole, np.roll(whole, 1, axis=0)))
    assert correlation(view, np.roll(whole, 1, axis=0), inside).max() < 0.8


def test_flat_pictures_are_no_trouble():
    flat = np.ones((2, 16, 16), "float32")
    assert (align(flat, flat) == 0).all()
    assert (correlation(flat, flat) == 0).all()


def test_correlation_is_that_of_numpy():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 4, 8, 8)).astype("float32")
    weights = np.zeros((4, 8, 8), "float32")
    weights[:, :5] = 1
    expected = [np.corrcoef(a[:5].ravel(), b[:5].ravel())[0, 1] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(correlation(first, second, weights), expected, atol=1e-5)
