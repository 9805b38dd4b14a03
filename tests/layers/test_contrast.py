import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.errors import ModelError
from tumorkeras.layers import ContrastLimitedEqualization


def picture(shape, seed=0):
    """Smooth light and dark with fine noise, 8 bit."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.clip(110 + 60 * smooth / smooth.std() + 6 * noise, 0, 255).astype("uint8")


def equalized(x, **options):
    return np.asarray(ContrastLimitedEqualization(**options)(x))


def opencv(image, tiles, clip_limit):
    return cv2.createCLAHE(clip_limit, (tiles, tiles)).apply(image).astype("float64")


@pytest.mark.parametrize("clip_limit", [0.1, 2.0, 4.0, 40.0])
@pytest.mark.parametrize(
    ("shape", "tiles"), [((64, 64), 8), ((65, 64), 8), ((63, 77), 8), ((120, 90), 3), ((41, 50), 1), ((240, 320), 8)]
)
def test_8_bit_images_are_equalised_as_opencv_does(shape, tiles, clip_limit):
    """OpenCV rounds the maps and then the pixels to whole grey levels, half a level each."""
    image = picture(shape)
    ours = equalized(image[None, ..., None], tiles=tiles, clip_limit=clip_limit, low=0, high=255)[0, ..., 0] * 255
    assert np.abs(ours - opencv(image, tiles, clip_limit)).max() < 1.001


def test_ultrasound_is_equalised_as_opencv_does(data_folder):
    for path in sorted((data_folder / "busi" / "images").glob("*.jpg"))[::150]:
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        ours = equalized(image[None, ..., None], low=0, high=255)[0, ..., 0] * 255
        assert np.abs(ours - opencv(image, 8, 2.0)).max() < 1.001


def test_without_a_limit_one_tile_is_plain_equalisation():
    """By hand: the share of pixels up to each value."""
    x = np.array([[[[0.0], [0.0]], [[1.0], [3.0]]]])
    np.testing.assert_allclose(
        equalized(x, tiles=1, clip_limit=4.0, bins=4)[0, ..., 0], [[0.5, 0.5], [0.75, 1.0]], atol=1e-6
    )


def test_the_limit_by_hand():
    """8 pixels in 4 bins, limit 1.5 x 2 = 3: counts 5, 2, 1, 0 become 3, 2, 1, 0, and 2 go to every second bin."""
    x = np.array([0, 0, 0, 0, 0, 1, 1, 2], "float32").reshape(1, 2, 4, 1)
    found = equalized(x, tiles=1, clip_limit=1.5, bins=4, low=0, high=3).ravel()
    np.testing.assert_allclose(found, np.array([4, 4, 4, 4, 4, 6, 6, 8]) / 8, atol=1e-6)


def test_values_between_bins_stay_apart():
    fine = np.linspace(0, 1, 64 * 64, dtype="float32").reshape(1, 64, 64, 1)
    found = np.sort(equalized(fine, tiles=1, bins=16).ravel())
    assert np.diff(found).min() > 0


@settings(max_examples=20)
@given(st.integers(0, 100), st.floats(0.01, 100), st.floats(-1000, 1000), st.integers(1, 5))
def test_the_range_of_a_sample_does_not_matter(seed, scale, offset, tiles):
    x = picture((20, 24), seed)[None, ..., None].astype("float32")
    plain, moved = equalized(x, tiles=tiles), equalized(x * scale + offset, tiles=tiles)
    assert plain.min() >= 0
    assert plain.max() <= 1 + 1e-6
    # float32 moves a value near the border of two bins into the other one.
    assert np.abs(plain - moved).mean() < 5e-3


def test_each_sample_and_channel_by_itself_and_volumes_by_slice():
    images = np.stack([picture((3 * 8, 40), seed) for seed in range(6)])
    alone = [equalized(image[None, ..., None], tiles=4, low=0, high=255)[0, ..., 0] for image in images]
    channels = equalized(images.reshape(2, 3, 24, 40).transpose(0, 2, 3, 1), tiles=4, low=0, high=255)
    np.testing.assert_allclose(channels.transpose(0, 3, 1, 2).reshape(6, 24, 40), alone, atol=1e-5)
    volumes = equalized(images.reshape(2, 3, 24, 40, 1), tiles=4, low=0, high=255)
    np.testing.assert_allclose(volumes.reshape(6, 24, 40), alone, atol=1e-5)


def test_open_sizes_give_the_same():
    layer = ContrastLimitedEqualization(tiles=4)
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, None))])
    for shape in ((32, 48), (33, 50)):
        x = picture(shape)[None, ..., None].astype("float32")
        np.testing.assert_allclose(run(x), layer(x), atol=1e-6)


def test_a_constant_image_stays_constant():
    found = equalized(np.full((1, 16, 16, 1), 3.0), tiles=2)
    assert np.isfinite(found).all()
    assert np.ptp(found) < 1e-6


def test_the_gradient_is_the_slope_of_the_map():
    x = picture((24, 24))[None, ..., None].astype("float32") + 0.25
    layer = ContrastLimitedEqualization(tiles=3, clip_limit=4.0, low=0, high=255)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(layer(given))
    gradient = np.asarray(tape.gradient(total, given))
    # A step of an eighth stays in the bin, so that the counts do not change.
    slope = (np.asarray(layer(x + 0.125)) - np.asarray(layer(x))) / 0.125
    np.testing.assert_allclose(gradient, slope, atol=1e-4)
    assert gradient.min() >= 0
    assert gradient.max() > 0


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"tiles": 0}, "tiles"),
        ({"tiles": 2.0}, "tiles"),
        ({"clip_limit": 0.0}, "clip_limit"),
        ({"bins": 1}, "bins"),
        ({"bins": True}, "bins"),
        ({"low": 5, "high": 5}, "low below high"),
        ({"low": "0"}, "low"),
    ],
)
def test_bad_arguments_are_refused(options, fault):
    with pytest.raises(ModelError, match=fault):
        ContrastLimitedEqualization(**options)


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="expected 4 or 5 axes"):
        ContrastLimitedEqualization()(np.zeros((2, 5), "float32"))
    with pytest.raises(ModelError, match="fewer than tiles=8"):
        ContrastLimitedEqualization()(np.zeros((1, 32, 7, 1), "float32"))
