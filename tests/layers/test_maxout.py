import keras
import numpy as np
import pytest

from tumorkeras.errors import ModelError
from tumorkeras.layers import Maxout, activate, activation_fault, pieces


def test_maxout_is_equation_3():
    """Against the equation written out: the largest of x W_ij + b_ij over j."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 5)).astype("float32")
    weights, bias = rng.normal(size=(5, 4, 3)), rng.normal(size=(4, 3))  # inputs, units, pieces
    expected = (np.einsum("bn,nup->bup", x, weights) + bias).max(axis=-1)

    # Piece j of unit i is channel j * units + i.
    dense = keras.layers.Dense(12)
    dense.build((None, 5))
    dense.set_weights([weights.transpose(0, 2, 1).reshape(5, 12), bias.T.reshape(12)])
    np.testing.assert_allclose(Maxout(pieces=3)(dense(x)), expected, rtol=1e-5, atol=1e-5)


def test_decode_shares_a_unit_among_its_pieces():
    layer = Maxout(pieces=2)
    shared = np.asarray(layer(np.array([[4.0, -6.0]], "float32"), decode=True))
    np.testing.assert_array_equal(shared, [[2.0, -3.0, 2.0, -3.0]])
    np.testing.assert_array_equal(layer(shared), [[2.0, -3.0]])


def test_maxout_refuses_what_it_cannot_split():
    with pytest.raises(ModelError, match="7 channels, expected a multiple of pieces=2"):
        Maxout(pieces=2)(np.zeros((1, 7), "float32"))
    for value in (1, 0, 2.0, True):
        with pytest.raises(ModelError, match="pieces"):
            Maxout(pieces=value)


def test_activate_names_its_layer_and_widens_for_maxout():
    x = keras.Input((5, 6 * pieces("maxout")))
    assert activate(x, "maxout", "act").shape == (None, 5, 6)
    assert activate(x, "tanh", "act").shape == (None, 5, 12)
    assert keras.Model(x, activate(x, "elu", "named")).get_layer("named").activation is keras.activations.elu


@pytest.mark.parametrize("name", ["rellu", "get", "serialize", "glu", "threshold", None, 3, ["relu"]])
def test_unfit_activations_are_refused(name):
    assert repr(name) in activation_fault(name)
    with pytest.raises(ModelError, match="activation"):
        activate(keras.Input((4,)), name, "act")


def test_every_other_keras_activation_runs():
    names = [name for name in dir(keras.activations) if not name.startswith("_") and not activation_fault(name)]
    assert {"relu", "elu", "tanh", "sigmoid", "linear", "gelu", "silu", "leaky_relu"} <= set(names)
    for name in names:
        assert activate(keras.Input((3, 4)), name, name).shape == (None, 3, 4)
