"""The one check that every layer and every builder passes.

``check_models`` takes builders by name: each model is run with open batch sizes, each of its trainable
weights must get a gradient, and it must come back equal from its file in a new process. One process loads all
the models of a call, because starting TensorFlow takes seconds. Inputs and outputs may be arrays, or lists and
dicts of arrays.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

REPOSITORY = Path(__file__).parents[1]
Loss = Callable[[keras.Model, Any], tf.Tensor]
Layers = Mapping[str, tuple[Any, ...]]

# No custom objects are named: importing the package registers them.
RELOAD = """
import pickle, sys, warnings
from pathlib import Path
import keras, numpy as np
import tumorkeras.layers, tumorkeras.models
warnings.simplefilter("error")
folder = Path(sys.argv[1])
for name, x in pickle.loads((folder / "inputs.pickle").read_bytes()).items():
    model = keras.saving.load_model(folder / f"{name}.keras")
    output = keras.tree.map_structure(np.asarray, model(x, training=False))
    (folder / f"{name}_output.pickle").write_bytes(pickle.dumps(output))
"""


def check_model(build: Callable[[], keras.Model], tmp_path: Path) -> None:
    """Check one builder; see ``check_models``."""
    check_models({"model": build}, tmp_path)


def check_models(
    builders: Mapping[str, Callable[[], keras.Model]],
    tmp_path: Path,
    inputs: Mapping[str, Any] | None = None,
    loss: Loss | None = None,
) -> None:
    """Check models: batches, gradients, saving and loading in a new process.

    ``inputs`` by name replace the random ones, ``loss`` the distance to a random goal that every weight must change.
    """
    models, given = {}, {}
    for name, build in builders.items():
        keras.utils.set_random_seed(7)
        models[name] = build()
        given[name] = inputs[name] if inputs else sample(models[name].input_shape)
        check_batches(models[name], given[name])
        check_gradients(models[name], given[name], loss or distance)
    check_reload(models, given, tmp_path)


def check_layer(make: Callable[[], keras.layers.Layer], input_shape: tuple[int, ...], tmp_path: Path) -> None:
    """Check one layer; see ``check_layers``."""
    check_layers({"layer": (make, input_shape)}, tmp_path)


def check_layers(layers: Layers, tmp_path: Path) -> None:
    """Check layers, each given as a factory that takes ``dtype``, and an input shape without the batch.

    Instead of the shape there may be a list of the arrays, or lists of arrays, that the layer is called with. Beyond
    ``check_models``: the configuration makes an equal layer, and in mixed precision its output is close to float32
    and of dtype float16, or of the dtype that is given third.
    """
    arguments = {
        name: given if isinstance(given, list) else [sample((None, *given))] for name, (_, given, *_) in layers.items()
    }
    for name, (make, _, *half) in layers.items():
        keras.utils.set_random_seed(7)
        layer = make()
        outputs = layer(*arguments[name])
        check_config(layer)
        check_mixed_precision(layer, make, arguments[name], outputs, name, *half)

    def as_model(name: str) -> keras.Model:
        inputs = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype), arguments[name])
        return keras.Model(inputs, layers[name][0]()(*inputs))

    check_models({name: lambda name=name: as_model(name) for name in layers}, tmp_path, arguments)


def sample(input_shape: tuple[int | None, ...], batch: int = 3) -> np.ndarray:
    """Three random inputs for a model with an open batch dimension."""
    assert input_shape[0] is None, f"the batch dimension is {input_shape[0]}, not open"
    return np.random.default_rng(3).random((batch, *input_shape[1:]), dtype=np.float32)


def check_batches(model: keras.Model, x: Any) -> None:
    """A sample's output does not depend on what else is in the batch; shapes and dtypes are as the model says."""
    batch = len(keras.tree.flatten(x)[0])
    together = arrays_of(model(x, training=False))
    alone = arrays_of(model(keras.tree.map_structure(lambda each: each[:1], x), training=False))
    for whole, first, promised in zip(together, alone, keras.tree.flatten(model.output), strict=True):
        assert whole.shape == (len(first) * batch, *promised.shape[1:])  # a sample may give several rows
        assert whole.dtype == promised.dtype
        assert np.isfinite(whole).all()
        np.testing.assert_allclose(whole[: len(first)], first, rtol=1e-4, atol=1e-5)


def check_gradients(model: keras.Model, x: Any, loss: Loss) -> None:
    """Every trainable weight takes part in the loss."""
    weights = model.trainable_variables
    if not weights:
        return
    with tf.GradientTape() as tape:
        total = loss(model, x)
    gradients = tape.gradient(total, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {weight.path}"
        assert np.abs(gradient).max() > 0, f"the gradient of {weight.path} is zero"


def distance(model: keras.Model, x: Any) -> tf.Tensor:
    """Squared distance of the outputs to a random goal."""
    outputs = [tf.cast(output, tf.float32) for output in keras.tree.flatten(model(x, training=False))]
    goals = [tf.random.stateless_uniform(output.shape, seed=(1, 2)) for output in outputs]
    return tf.add_n([tf.reduce_sum(tf.square(output - goal)) for output, goal in zip(outputs, goals, strict=True)])


def check_reload(models: Mapping[str, keras.Model], inputs: Mapping[str, Any], folder: Path) -> None:
    """A saved model gives the same output to 1e-6 in a process that never saw how it was built, without a warning."""
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
    (folder / "inputs.pickle").write_bytes(pickle.dumps(dict(inputs)))
    run_python(RELOAD, str(folder))
    for name, model in models.items():
        loaded = pickle.loads((folder / f"{name}_output.pickle").read_bytes())
        for found, expected in pairs_of(loaded, model(inputs[name], training=False)):
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=name)


def run_python(program: str, *arguments: str) -> str:
    """Run a program in a new process that knows the package; what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def check_config(layer: keras.layers.Layer) -> None:
    """The configuration is plain JSON and makes an equal layer."""
    config = layer.get_config()
    twin = type(layer).from_config(json.loads(json.dumps(config)))
    assert json.dumps(twin.get_config()) == json.dumps(config)


def check_mixed_precision(
    layer: keras.layers.Layer,
    make: Callable[..., keras.layers.Layer],
    arguments: list[Any],
    expected: Any,
    name: str,
    half: str = "float16",
) -> None:
    """With the same weights in mixed precision: ``half`` out, close to float32, weights kept in float32."""
    lighter = make(dtype="mixed_float16")
    lighter(*arguments)
    lighter.set_weights(layer.get_weights())
    assert all(weight.dtype == "float32" for weight in lighter.weights), name
    for output, whole in pairs_of(lighter(*arguments), expected):
        assert output.dtype == (half if whole.dtype == "float32" else whole.dtype), name
        np.testing.assert_allclose(output.astype("float32"), whole, atol=0.01 * np.abs(whole).max(), err_msg=name)


def arrays_of(outputs: Any) -> list[np.ndarray]:
    """The arrays of a list or dict of tensors, or of one."""
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def pairs_of(one: Any, other: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The arrays of two structures side by side."""
    return zip(arrays_of(one), arrays_of(other), strict=True)
