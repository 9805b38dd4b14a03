import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import generic_filter

from tumorkeras.errors import ModelError
from tumorkeras.layers import LeeFilter, Standardize


@settings(max_examples=30, deadline=None)
@given(arrays("float32", (2, 3, 4, 1), elements=st.floats(-1e4, 1e4, width=32)))
def test_standardized_samples_have_mean_0_and_variance_1_or_are_zeros(x):
    for before, after in zip(x, np.asarray(Standardize()(x), "float64"), strict=True):
        spread = np.ptp(before.astype("float64"))
        assert np.isfinite(after).all()
        if spread == 0:
            assert not after.any()
        elif spread > 1e-3 * np.abs(before).max():
            assert after.mean() == pytest.approx(0, abs=1e-3)
            assert after.var() == pytest.approx(1, rel=1e-2)


def test_standardize_takes_each_sample_by_itself():
    x = np.random.default_rng(0).normal(5, 3, size=(2, 4, 5, 6, 2)).astype("float32")
    expected = np.stack([(sample - sample.mean()) / sample.std() for sample in x])
    np.testing.assert_allclose(Standardize()(x), expected, atol=1e-4)
    np.testing.assert_allclose(Standardize()(x * 100 + 1000), expected, atol=1e-3)


def test_a_constant_sample_has_a_finite_gradient():
    x = tf.fill((1, 4, 4, 1), 0.1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.square(Standardize()(x)))
    assert np.isfinite(tape.gradient(y, x)).all()


def test_16_bit_pixels_keep_their_range_in_mixed_precision():
    x = np.array([[[0.0], [70000.0]]])
    for layer in (Standardize(dtype="mixed_float16"), keras.layers.Rescaling(1 / 70000, dtype="float32")):
        assert np.isfinite(np.asarray(layer(x))).all()


def lee_by_the_book(image, size):
    """One channel, a pixel at a time; the window is cut at the border."""

    def local(statistic):
        return generic_filter(image, lambda w: statistic(w[~np.isnan(w)]), size, mode="constant", cval=np.nan)

    mean, variance = local(np.mean), local(np.var)
    keep = np.maximum(variance - variance.mean(), 0) / np.where(variance > 0, variance, 1)
    return mean + keep * (image - mean)


@pytest.mark.parametrize(("shape", "size"), [((9, 11), 3), ((12, 10), 5), ((6, 7, 8), 3), ((4, 5), 7)])
def test_lee_filter_is_the_published_one(shape, size):
    x = np.random.default_rng(4).gamma(2.0, 50.0, size=(2, *shape, 2))
    filtered = np.asarray(LeeFilter(size)(x.astype("float32")))
    for sample in range(2):
        for channel in range(2):
            expected = lee_by_the_book(x[sample, ..., channel], size)
            np.testing.assert_allclose(filtered[sample, ..., channel], expected, rtol=1e-4, atol=1e-3)


def test_lee_filter_smooths_speckle_and_keeps_an_edge():
    rng = np.random.default_rng(5)
    clean = np.zeros((1, 32, 32, 1))
    clean[:, :, 16:] = 100.0
    noisy = (clean + rng.normal(0, 5, clean.shape)).astype("float32")
    filtered = np.asarray(LeeFilter(5)(noisy))
    flat = np.s_[:, :, 4:12]
    assert filtered[flat].std() < 0.4 * noisy[flat].std()
    # A plain mean of 5 pixels would leave 20 of the 100 between the two columns at the edge.
    assert filtered[0, :, 16, 0].mean() - filtered[0, :, 15, 0].mean() > 80


def test_lee_filter_leaves_a_constant_image_alone():
    x = np.full((1, 6, 6, 1), 1000.1, "float32")
    np.testing.assert_array_equal(LeeFilter(3)(x), x)


def test_lee_filter_refuses_bad_arguments():
    for size in (1, 0, 3.0, True):
        with pytest.raises(ModelError, match="size"):
            LeeFilter(size)
    with pytest.raises(ModelError, match="expected 4 or 5 axes"):
        LeeFilter(3)(np.zeros((2, 5), "float32"))
