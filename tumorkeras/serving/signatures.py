"""What a model answers when it is served: one function a signature, all of them over one set of variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.metrics.calibration import SMALLEST

Kind = Literal["classifier", "autoencoder", "detector"]

_KINDS: dict[str, Kind] = {
    "probabilities": "classifier",
    "reconstruction": "autoencoder",
    "detections": "detector",
}


class Endpoint(NamedTuple):
    """One signature.

    Attributes
    ----------
    function : callable
        From one float32 tensor an input, by position, to the named outputs.
    inputs : list of tf.TensorSpec
        Name, shape and dtype of each input; dimension 0 is open.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]

    def compiled(self) -> Any:
        """The function as one graph for every size of its inputs."""
        return tf.function(self.function, input_signature=self.inputs, autograph=False)


def model_kind(model: keras.Model) -> Kind:
    """Tell classifiers, autoencoders and detectors apart by the name of the layer that gives the output.

    Raises
    ------
    ModelError
        If the model is not functional, its output is made by none of the layers ``"probabilities"``,
        ``"reconstruction"`` and ``"detections"``, or it reads several inputs and is no detector.
    """
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "output_names", None)
    if not inputs or not outputs:
        raise ModelError(f"{model.name}: has no graph yet; give a functional model, as the builders make it")
    makers = list(dict.fromkeys(outputs))  # the outputs of a detector come from one layer
    kind = _KINDS.get(makers[0]) if len(makers) == 1 else None
    faults = []
    if len(inputs) != 1 and kind != "detector":
        faults.append(f"inputs: {len(inputs)} found, expected one array")
    if kind is None:
        faults.append(
            f"outputs: made by {', '.join(outputs)}; expected one layer, named 'probabilities' (classifier), "
            "'reconstruction' (autoencoder) or 'detections' (detector)"
        )
    if kind is None or faults:
        raise ModelError(f"{model.name}: cannot be served", faults)
    return kind


def endpoints(model: keras.Model, temperature: float = 1.0) -> dict[str, Endpoint]:
    """Make the functions behind the signatures of a classifier, an autoencoder or a detector.

    Parameters
    ----------
    model : keras.Model
        Functional, with its output from a layer named ``"probabilities"``, ``"reconstruction"`` or ``"detections"``.
        A layer named ``"features"`` adds the embedding, one named ``"target"`` is what a reconstruction is measured
        against (without it, the input). The embedding of a detector is what its layer ``"roi_align"`` reads.
    temperature : float
        Of the probabilities of a classifier; 1 leaves them as they are.

    Returns
    -------
    dict of str to Endpoint
        All read ``inputs``, (batch, *input_shape) float32. ``serving_default``: a classifier gives ``probabilities``
        (batch, classes) float32 and ``class_id`` (batch,) int64; an autoencoder gives ``reconstruction``,
        ``reconstruction_error`` (batch,), the mean squared error, and ``features``; a detector gives ``boxes``
        (batch, n, 4) float32, xyxy in pixels of its inputs, ``scores`` (batch, n) float32, ``classes`` (batch, n)
        int32 and ``num_detections`` (batch,) int32, best first, padded with box 0, score 0 and class -1, and reads
        ``proposals`` (batch, m, 4) float32, too, where it has none of its own. ``features``: ``features`` (batch, k)
        float32; of a detector the means of every channel of every level of its pyramid, finest level first.

    Raises
    ------
    ModelError
        If the model is none of these.

    Examples
    --------
    >>> inputs = keras.Input((8, 8, 1))
    >>> features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
    >>> outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    >>> sorted(endpoints(keras.Model(inputs, outputs)))
    ['features', 'serving_default']
    """
    kind = model_kind(model)
    return _of_detector(model) if kind == "detector" else _of_single_output(model, kind, temperature)


def _spec(given: keras.KerasTensor, name: str) -> tf.TensorSpec:
    return tf.TensorSpec((None, *given.shape[1:]), tf.float32, name=name)


def _of_single_output(model: keras.Model, kind: Kind, temperature: float) -> dict[str, Endpoint]:
    present = {layer.name for layer in model.layers}
    heads = {name: model.get_layer(name).output for name in ("features", "target") if name in present}
    heads[model.output_names[0]] = model.outputs[0]
    graph = keras.Model(model.inputs[0], heads)

    def run(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        # Models of mixed precision answer in float32 as well.
        return {name: tf.cast(value, tf.float32) for name, value in graph(inputs, training=False).items()}

    def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = _at(temperature, run(inputs)["probabilities"])
        return {"probabilities": probabilities, "class_id": tf.argmax(probabilities, -1, tf.int64)}

    def reconstruct(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        answer = run(inputs)
        difference = answer["reconstruction"] - answer.pop("target", inputs)
        axes = list(range(1, difference.shape.rank))
        return {**answer, "reconstruction_error": tf.reduce_mean(tf.square(difference), axes)}

    def embed(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": run(inputs)["features"]}

    read = [_spec(model.inputs[0], "inputs")]
    signatures = {"serving_default": Endpoint(classify if kind == "classifier" else reconstruct, read)}
    if "features" in heads:
        signatures["features"] = Endpoint(embed, read)
    return signatures


def _at(temperature: float, probabilities: tf.Tensor) -> tf.Tensor:
    """Probabilities at a temperature, as :func:`tumorkeras.metrics.apply_temperature` has them."""
    if temperature == 1:
        return probabilities
    return tf.nn.softmax(tf.math.log(tf.maximum(probabilities, SMALLEST)) / temperature)


def _of_detector(model: keras.Model) -> dict[str, Endpoint]:
    names = [each.name for each in model.inputs]
    # The images are what every model reads; a signature calls them `inputs`.
    read = [_spec(each, "inputs" if name == "images" else name) for name, each in zip(names, model.inputs, strict=True)]
    *levels, _ = model.get_layer("roi_align").input
    images = model.inputs[names.index("images")]
    pyramid = keras.Model(images, levels)

    def find(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(model(dict(zip(names, given, strict=True)) if len(given) > 1 else given[0], training=False))

    def embed(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        found = keras.tree.flatten(pyramid(inputs, training=False))  # of one level Keras gives no list
        means = [tf.reduce_mean(tf.cast(level, tf.float32), (1, 2)) for level in found]
        return {"features": tf.concat(means, axis=-1)}

    return {"serving_default": Endpoint(find, read), "features": Endpoint(embed, [_spec(images, "inputs")])}
