"""What a model answers when it is served: one function a signature, all of them over one set of variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError

Endpoint = Callable[[tf.Tensor], dict[str, tf.Tensor]]

_KINDS: dict[str, Literal["classifier", "autoencoder"]] = {
    "probabilities": "classifier",
    "reconstruction": "autoencoder",
}


def model_kind(model: keras.Model) -> Literal["classifier", "autoencoder"]:
    """Tell a classifier from an autoencoder by the name of the layer that gives the output.

    Raises
    ------
    ModelError
        If the model is not functional, reads several inputs, or its one output is neither
        ``"probabilities"`` nor ``"reconstruction"``.
    """
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "output_names", None)
    if not inputs or not outputs:
        raise ModelError(f"{model.name}: has no graph yet; give a functional model, as the builders make it")
    faults = []
    if len(inputs) != 1:
        faults.append(f"inputs: {len(inputs)} found, expected one array")
    if len(outputs) != 1 or outputs[0] not in _KINDS:
        faults.append(
            f"outputs: made by {', '.join(outputs)}; expected one layer, named 'probabilities' (classifier) "
            "or 'reconstruction' (autoencoder)"
        )
    if faults:
        raise ModelError(f"{model.name}: cannot be served", faults)
    return _KINDS[outputs[0]]


def input_spec(model: keras.Model) -> tf.TensorSpec:
    """Give the input of every signature: ``inputs``, (batch, *input_shape), float32, batch left open."""
    return tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="inputs")


def endpoints(model: keras.Model) -> dict[str, Endpoint]:
    """Make the functions behind the signatures of a classifier or an autoencoder.

    Parameters
    ----------
    model : keras.Model
        Functional, with one input and one output from a layer named ``"probabilities"`` or
        ``"reconstruction"``. A layer named ``"features"`` adds the embedding, one named ``"target"`` is what
        a reconstruction is measured against (without it, the input).

    Returns
    -------
    dict of str to callable
        ``serving_default``: a classifier gives ``probabilities`` (batch, classes) float32 and ``class_id``
        (batch,) int64; an autoencoder gives ``reconstruction``, ``reconstruction_error`` (batch,), the mean
        squared error, and ``features``. ``features``: ``features`` (batch, k) float32.

    Raises
    ------
    ModelError
        If the model is neither a classifier nor an autoencoder.

    Examples
    --------
    >>> inputs = keras.Input((8, 8, 1))
    >>> features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
    >>> outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    >>> sorted(endpoints(keras.Model(inputs, outputs)))
    ['features', 'serving_default']
    """
    kind = model_kind(model)
    present = {layer.name for layer in model.layers}
    heads = {name: model.get_layer(name).output for name in ("features", "target") if name in present}
    heads[model.output_names[0]] = model.outputs[0]
    graph = keras.Model(model.inputs[0], heads)

    def run(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        # Models of mixed precision answer in float32 as well.
        return {name: tf.cast(value, tf.float32) for name, value in graph(inputs, training=False).items()}

    def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = run(inputs)["probabilities"]
        return {"probabilities": probabilities, "class_id": tf.argmax(probabilities, -1, tf.int64)}

    def reconstruct(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        answer = run(inputs)
        difference = answer["reconstruction"] - answer.pop("target", inputs)
        axes = list(range(1, difference.shape.rank))
        return {**answer, "reconstruction_error": tf.reduce_mean(tf.square(difference), axes)}

    def embed(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": run(inputs)["features"]}

    signatures: dict[str, Endpoint] = {"serving_default": classify if kind == "classifier" else reconstruct}
    if "features" in heads:
        signatures["features"] = embed
    return signatures
