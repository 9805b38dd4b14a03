"""One place where the ``activation=`` of every builder becomes a layer."""

from __future__ import annotations

from typing import Any

import keras

from tumorkeras.errors import ModelError
from tumorkeras.layers.maxout import Maxout

#: Affine maps a unit when the activation is ``"maxout"``.
MAXOUT_PIECES = 2

_UNFIT = {
    "glu": "halves the channels; 'maxout' is a gated unit that fits here",
    "threshold": "needs a threshold of its own",
}


def pieces(activation: str) -> int:
    """How many times as many outputs the layer before ``activation`` needs: 2 for ``"maxout"``, else 1.

    Examples
    --------
    >>> pieces("relu"), pieces("maxout")
    (1, 2)
    """
    return MAXOUT_PIECES if activation == "maxout" else 1


def activation_fault(activation: Any) -> str | None:
    """Say what is wrong with the name of an activation; None where nothing is.

    Examples
    --------
    >>> activation_fault("elu") is None
    True
    >>> activation_fault("rellu")
    "activation: 'rellu' is not known, expected a name from keras.activations or 'maxout'"
    """
    if activation == "maxout":
        return None
    if not isinstance(activation, str) or activation not in _names():
        return f"activation: {activation!r} is not known, expected a name from keras.activations or 'maxout'"
    if activation in _UNFIT:
        return f"activation: {activation!r} {_UNFIT[activation]}"
    return None


def _names() -> set[str]:
    tools = {"get", "serialize", "deserialize"}
    return {name for name, value in vars(keras.activations).items() if callable(value)} - tools


def activate(x: Any, activation: str, name: str) -> Any:
    """Apply an activation as a layer called ``name``: tanh, ReLU, maxout, ELU or any other Keras name.

    Parameters
    ----------
    x : KerasTensor
        (batch, ..., units), for ``"maxout"`` (batch, ..., units * pieces("maxout")).
    activation : str
        A name from ``keras.activations``, or ``"maxout"``.
    name : str
        Name of the layer.

    Returns
    -------
    KerasTensor
        (batch, ..., units).

    Raises
    ------
    ModelError
        If there is no such activation.

    Examples
    --------
    >>> x = keras.layers.Dense(4 * pieces("maxout"))(keras.Input((3,)))
    >>> activate(x, "maxout", "hidden").shape
    (None, 4)

    References
    ----------
    Equations 1-4 of doi 10.18280/ts.360510.
    """
    fault = activation_fault(activation)
    if fault:
        raise ModelError(name, [fault])
    if activation == "maxout":
        return Maxout(MAXOUT_PIECES, name=name)(x)
    return keras.layers.Activation(activation, name=name)(x)
