import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tumorkeras.errors import ModelError
from tumorkeras.layers import IntensityWindow, LogCompression, Normalize, PercentileWindow, Standardize


def values(shape, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 50.0, size=shape).astype("float32")


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


def test_normalize_takes_one_value_or_one_a_channel():
    x = values((2, 4, 5, 3))
    np.testing.assert_allclose(Normalize(100.0, 25.0)(x), (x - 100) / 25, rtol=1e-5, atol=1e-5)
    mean, std = [123.7, 116.3, 103.5], [58.4, 57.1, 57.4]
    np.testing.assert_allclose(Normalize(mean, std)(x), (x - mean) / std, rtol=1e-5, atol=1e-5)
    from_arrays = Normalize(np.array(mean), np.float32(25.0))
    assert (from_arrays.get_config()["mean"], from_arrays.get_config()["std"]) == (mean, 25.0)
    volume = values((2, 3, 4, 5, 1))
    np.testing.assert_allclose(Normalize([100.0], 25.0)(volume), (volume - 100) / 25, rtol=1e-5, atol=1e-5)


def test_normalize_refuses_what_does_not_fit():
    with pytest.raises(ModelError, match="2 values for 3 channels"):
        Normalize([1.0, 2.0], 1.0)(values((1, 4, 4, 3)))
    with pytest.raises(ModelError) as error:
        Normalize([], [1.0, 0.0])
    assert [fault.split(":")[0] for fault in error.value.faults] == ["mean", "std"]
    for mean in ("1", None, True, [1.0, "2"], np.nan):
        with pytest.raises(ModelError, match="mean"):
            Normalize(mean, 1.0)


@given(
    arrays("float32", (2, 6), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(-2000, 2000),
    st.floats(1, 4000),
)
def test_a_window_is_level_and_width(x, level, width):
    window = np.asarray(IntensityWindow(level - width / 2, level + width / 2)(x))
    expected = np.clip((x.astype("float64") - (level - width / 2)) / width, 0, 1)
    np.testing.assert_allclose(window, expected, atol=2e-3)


def test_hounsfield_units_in_a_soft_tissue_window():
    air_fat_tissue_bone = np.array([[-1000, -100, 40, 1000]], "int16")
    np.testing.assert_allclose(IntensityWindow(-160, 240)(air_fat_tissue_bone), [[0, 0.15, 0.5, 1]], atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(1, 99), (0, 100), (30, 50.5), (99, 99.9), (0.5, 2)])
@pytest.mark.parametrize("shape", [(3, 9, 11, 2), (2, 4, 5, 6, 1), (2, 1, 2, 1)])
def test_percentiles_are_those_of_numpy(shape, low, high):
    x = values(shape)
    ends = np.percentile(x.reshape(len(x), -1).astype("float64"), [low, high], axis=1)
    bottom, top = ends.reshape(2, len(x), *[1] * (len(shape) - 1))
    np.testing.assert_allclose(PercentileWindow(low, high)(x), np.clip((x - bottom) / (top - bottom), 0, 1), atol=1e-5)


def test_a_constant_sample_has_no_percentile_window():
    assert not np.asarray(PercentileWindow()(np.full((1, 4, 4, 1), 7.0))).any()


def test_log_compression_in_decibels():
    x = values((2, 4, 5, 6, 1))
    peak = x.max(axis=(1, 2, 3, 4), keepdims=True)
    np.testing.assert_allclose(LogCompression(40.0)(x), np.maximum(1 + 20 * np.log10(x / peak) / 40, 0), atol=1e-5)
    np.testing.assert_allclose(LogCompression(80.0)(x * 1000), LogCompression(80.0)(x), atol=1e-5)
    # A tenth of the amplitude is 20 dB less; what is above the peak, zero or negative is clipped.
    marks = np.array([[510.0, 255.0, 25.5, 2.55, 0.255, 0.0, -3.0]])
    np.testing.assert_allclose(LogCompression(60.0, peak=255)(marks)[0], [1, 1, 2 / 3, 1 / 3, 0, 0, 0], atol=1e-6)


def test_log_compression_by_gain():
    x = values((2, 5, 6, 1))
    peak = x.max(axis=(1, 2, 3), keepdims=True)
    expected = np.log1p(50 * x / peak) / np.log1p(50)
    np.testing.assert_allclose(LogCompression(None, gain=50.0)(x), expected, atol=1e-5)
    assert not np.asarray(LogCompression(None, gain=50.0)(np.zeros((1, 3, 3, 1)))).any()
    assert not np.asarray(LogCompression()(np.full((1, 3, 3, 1), -1.0))).any()


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"gain": 10.0}, "give one of them"),
        ({"dynamic_range": None}, "give one of them"),
        ({"dynamic_range": 0.0}, "dynamic_range: 0.0 is not a number above 0"),
        ({"dynamic_range": 1000.0}, "above 300 dB"),
        ({"dynamic_range": None, "gain": -1.0}, "gain"),
        ({"peak": True}, "peak"),
    ],
)
def test_log_compression_refuses(options, fault):
    with pytest.raises(ModelError, match=fault):
        LogCompression(**options)


@pytest.mark.parametrize("layer", [IntensityWindow, PercentileWindow])
@pytest.mark.parametrize("ends", [(2, 2), (5, 1), ("0", 1), (0, None), (True, 5), (0, np.inf)])
def test_windows_refuse_ends_that_are_no_window(layer, ends):
    with pytest.raises(ModelError):
        layer(*ends)


def test_percentiles_lie_between_0_and_100():
    for ends in ((-1, 50), (50, 101)):
        with pytest.raises(ModelError, match="percentiles"):
            PercentileWindow(*ends)


@pytest.mark.parametrize(
    "layer",
    [
        Normalize(1.0, 2.0),
        IntensityWindow(10.0, 400.0),
        PercentileWindow(),
        LogCompression(),
        LogCompression(None, 9.0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_gradients_reach_the_pixels(layer):
    x = tf.constant(np.concatenate([values((1, 6, 6, 1)), np.zeros((1, 6, 6, 1), "float32")]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.square(layer(x)))
    gradient = np.asarray(tape.gradient(y, x))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[0]).max() > 0
