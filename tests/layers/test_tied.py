import keras
import numpy as np
import pytest
from model_check import check_models
from scipy.signal import convolve, correlate

from tumorkeras.errors import ModelError
from tumorkeras.layers import TiedConv, TiedDense


def there_and_back(layer, shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(layer(inputs), decode=True))


@pytest.mark.slow
def test_a_tied_layer_called_twice_trains_saves_and_loads(tmp_path):
    builders = {
        "conv_2d": lambda: there_and_back(TiedConv(4, 3, padding="valid"), (8, 9, 2)),
        "conv_3d": lambda: there_and_back(TiedConv(4, (1, 3, 2)), (4, 7, 9, 1)),
        "dense": lambda: there_and_back(TiedDense(4), (12,)),
    }
    check_models(builders, tmp_path)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("shape", "kernel_size"), [((7, 8), 3), ((7, 8), (2, 5)), ((5, 6, 7), (3, 2, 1))])
def test_encode_and_decode_against_scipy(shape, kernel_size, padding):
    rng = np.random.default_rng(1)
    layer = TiedConv(3, kernel_size, padding=padding)
    x = rng.normal(size=(1, *shape, 2)).astype("float32")
    code = np.asarray(layer(x))
    decoded = np.asarray(layer(code, decode=True))
    kernel = np.asarray(layer.kernel)
    # Keras pads less before than after; scipy's "full" cut at the right place is the reference for both.
    before = [(size - 1) // 2 for size in kernel.shape[:-2]]
    after = [size // 2 for size in kernel.shape[:-2]]
    widths = list(zip(before, after, strict=True)) if padding == "same" else [(0, 0)] * len(shape)

    for channel in range(3):
        padded = [np.pad(x[0, ..., i], widths) for i in range(2)]
        expected = sum(correlate(padded[i], kernel[..., i, channel], "valid") for i in range(2))
        np.testing.assert_allclose(code[0, ..., channel], expected, rtol=1e-4, atol=1e-4)
    cut = tuple(slice(low, low + size) for (low, _), size in zip(widths, shape, strict=True))
    for i in range(2):
        full = sum(convolve(code[0, ..., f], kernel[..., i, f], "full") for f in range(3))
        np.testing.assert_allclose(decoded[0, ..., i], full[cut], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (TiedConv(3, 4), (6, 7, 2)),
        (TiedConv(3, 3, padding="valid"), (5, 6, 7, 1)),
        (TiedDense(4), (9,)),
    ],
    ids=["conv_same", "conv_valid", "dense"],
)
def test_decode_is_the_transpose_of_encode(layer, shape):
    """<W x, y> = <x, W' y> for random x and y: what "transpose" means."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1, *shape)).astype("float32")
    code = np.asarray(layer(x))
    y = rng.normal(size=code.shape).astype("float32")
    back = np.asarray(layer(y, decode=True))
    assert back.shape == x.shape
    assert np.sum(code * y) == pytest.approx(np.sum(x * back), rel=1e-4)


def test_each_direction_has_its_own_bias():
    layer = TiedConv(3, 3)
    layer(np.zeros((1, 4, 4, 2), "float32"))
    assert [tuple(weight.shape) for weight in layer.weights] == [(3, 3, 2, 3), (3,), (2,)]
    layer.bias.assign([1.0, 2.0, 3.0])
    layer.decoder_bias.assign([4.0, 5.0])
    code = np.asarray(layer(np.zeros((1, 4, 4, 2), "float32")))
    np.testing.assert_array_equal(code[0, 0, 0], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(layer(np.zeros_like(code), decode=True)[0, 0, 0], [4.0, 5.0])


def test_a_penalty_counts_the_kernel_once():
    layer = TiedConv(3, 3, kernel_regularizer=keras.regularizers.L2(0.5))
    model = there_and_back(layer, (6, 6, 1))
    assert float(sum(model.losses)) == pytest.approx(0.5 * np.sum(np.square(layer.kernel)), rel=1e-5)


def test_bad_arguments_are_named_together():
    with pytest.raises(ModelError) as error:
        TiedConv(0, (3, 0), padding="full")
    assert len(error.value.faults) == 3
    with pytest.raises(ModelError, match="units: -1"):
        TiedDense(-1)
    with pytest.raises(ModelError, match="expected 4 or 5 axes"):
        TiedConv(3)(np.zeros((2, 5), "float32"))
    with pytest.raises(ModelError, match="does not fit 2 spatial axes"):
        TiedConv(3, (3, 3, 3))(np.zeros((2, 5, 5, 1), "float32"))
