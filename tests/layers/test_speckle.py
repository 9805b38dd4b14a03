import keras
import numpy as np
import pytest
from scipy.ndimage import generic_filter

from tumorkeras.errors import ModelError
from tumorkeras.layers import LeeFilter


def lee_by_the_book(image, size, looks=None):
    """One channel, a pixel at a time; the window is cut at the border."""

    def local(statistic):
        return generic_filter(image, lambda w: statistic(w[~np.isnan(w)]), size, mode="constant", cval=np.nan)

    mean, variance = local(np.mean), local(np.var)
    noise = variance.mean() if looks is None else mean**2 / looks
    keep = np.maximum(variance - noise, 0) / np.where(variance > 0, variance, 1)
    return mean + keep * (image - mean)


@pytest.mark.parametrize("looks", [None, 1, 3.66])
@pytest.mark.parametrize(("shape", "size"), [((9, 11), 3), ((12, 10), 5), ((6, 7, 8), 3), ((4, 5), 7)])
def test_lee_filter_is_the_published_one(shape, size, looks):
    x = np.random.default_rng(4).gamma(2.0, 50.0, size=(2, *shape, 2))
    filtered = np.asarray(LeeFilter(size, looks)(x.astype("float32")))
    for sample in range(2):
        for channel in range(2):
            expected = lee_by_the_book(x[sample, ..., channel], size, looks)
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


def speckled(clean, looks, seed=6):
    """Fully developed speckle: intensities of the mean `clean`, with the relative variance 1 / looks."""
    return clean * np.random.default_rng(seed).gamma(looks, 1 / looks, clean.shape)


def test_looks_smooth_bright_and_dark_alike_and_keep_an_edge():
    clean = np.full((1, 64, 64, 1), 10.0)
    clean[:, :, 32:] = 1000.0
    noisy = speckled(clean, looks=4)
    known, estimated = (np.asarray(LeeFilter(7, looks)(noisy.astype("float32"))) for looks in (4, None))
    dark, bright = np.s_[:, :, 4:28], np.s_[:, :, 36:60]
    for part in (dark, bright):
        assert noisy[part].std() / noisy[part].mean() == pytest.approx(0.5, abs=0.03)  # 1 / sqrt(looks)
        assert known[part].std() / known[part].mean() < 0.25
        assert known[part].mean() == pytest.approx(clean[part].mean(), rel=0.05)
    # Noise taken as added has one level for all: that of the bright part.
    assert estimated[bright].std() > 1.5 * known[bright].std()
    assert known[0, :, 34, 0].mean() - known[0, :, 29, 0].mean() > 800


def test_fewer_looks_smooth_more():
    noisy = speckled(np.full((1, 32, 32, 1), 100.0), looks=2).astype("float32")
    spreads = [np.asarray(LeeFilter(5, looks)(noisy)).std() for looks in (1, 2, 8, 1e9)]
    assert spreads == sorted(spreads)
    np.testing.assert_allclose(LeeFilter(5, 1e9)(noisy), noisy, rtol=1e-3)  # no noise: as it is


def test_a_filter_saved_before_there_were_looks_still_loads():
    """What the first release wrote: another module, and no looks."""
    saved = {
        "module": "tumorkeras.layers.preprocessing",
        "class_name": "LeeFilter",
        "config": {"name": "lee_filter_1", "trainable": True, "dtype": "float32", "size": 3},
        "registered_name": "tumorkeras>LeeFilter",
    }
    loaded = keras.saving.deserialize_keras_object(saved)
    x = np.random.default_rng(0).random((1, 8, 8, 1), dtype="float32")
    np.testing.assert_array_equal(loaded(x), LeeFilter(3)(x))


def test_lee_filter_leaves_a_constant_image_alone():
    x = np.full((1, 6, 6, 1), 1000.1, "float32")
    np.testing.assert_array_equal(LeeFilter(3)(x), x)


def test_lee_filter_refuses_bad_arguments():
    for size in (1, 0, 3.0, True):
        with pytest.raises(ModelError, match="size"):
            LeeFilter(size)
    for looks in (0, -1.0, True, "4"):
        with pytest.raises(ModelError, match="looks"):
            LeeFilter(3, looks)
    with pytest.raises(ModelError, match="expected 4 or 5 axes"):
        LeeFilter(3)(np.zeros((2, 5), "float32"))
