"""The one check that every layer and every builder passes.

``check_models`` takes builders by name: each model is run with open batch sizes, each of its trainable
weights must get a gradient, and it must come back equal from its file in a new process. One process loads all
the models of a call, because starting TensorFlow takes seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

REPOSITORY = Path(__file__).parents[1]

# No custom objects are named: importing the package registers them.
RELOAD = """
import json, sys
from pathlib import Path
import keras, numpy as np
import tumorkeras.layers, tumorkeras.models
folder = Path(sys.argv[1])
for name in json.loads((folder / "names.json").read_text()):
    model = keras.saving.load_model(folder / f"{name}.keras")
    output = model(np.load(folder / f"{name}_input.npy"), training=False)
    np.save(folder / f"{name}_output.npy", np.asarray(output))
"""


def check_model(build: Callable[[], keras.Model], tmp_path: Path) -> None:
    """Check one builder; see ``check_models``."""
    check_models({"model": build}, tmp_path)


def check_models(builders: Mapping[str, Callable[[], keras.Model]], tmp_path: Path) -> None:
    """Check models with one input and one output: batches, gradients, saving and loading in a new process."""
    models, inputs = {}, {}
    for name, build in builders.items():
        keras.utils.set_random_seed(7)
        models[name] = build()
        inputs[name] = sample(models[name].input_shape)
        check_batches(models[name], inputs[name])
        check_gradients(models[name], inputs[name])
    check_reload(models, inputs, tmp_path)


def check_layer(make: Callable[[], keras.layers.Layer], input_shape: tuple[int, ...], tmp_path: Path) -> None:
    """Check one layer; see ``check_layers``."""
    check_layers({"layer": (make, input_shape)}, tmp_path)


def check_layers(
    layers: Mapping[str, tuple[Callable[..., keras.layers.Layer], tuple[int, ...]]], tmp_path: Path
) -> None:
    """Check layers, each given as a factory that takes ``dtype`` and an input shape without the batch.

    Beyond ``check_models``: the configuration makes an equal layer, and mixed precision is close to float32.
    """
    for name, (make, shape) in layers.items():
        keras.utils.set_random_seed(7)
        layer = make()
        outputs = layer(sample((None, *shape)))
        check_config(layer)
        check_mixed_precision(layer, make, sample((None, *shape)), np.asarray(outputs), name)

    def as_model(make: Callable[..., keras.layers.Layer], shape: tuple[int, ...]) -> keras.Model:
        inputs = keras.Input(shape)
        return keras.Model(inputs, make()(inputs))

    builders = {name: lambda make=make, shape=shape: as_model(make, shape) for name, (make, shape) in layers.items()}
    check_models(builders, tmp_path)


def sample(input_shape: tuple[int | None, ...], batch: int = 3) -> np.ndarray:
    """Three random inputs for a model with an open batch dimension."""
    assert input_shape[0] is None, f"the batch dimension is {input_shape[0]}, not open"
    return np.random.default_rng(3).random((batch, *input_shape[1:]), dtype=np.float32)


def check_batches(model: keras.Model, x: np.ndarray) -> None:
    """A sample's output does not depend on what else is in the batch; shapes are as the model says."""
    together = np.asarray(model(x, training=False))
    alone = np.asarray(model(x[:1], training=False))
    assert together.shape == (len(x), *model.output_shape[1:])
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together[:1], alone, rtol=1e-4, atol=1e-5)


def check_gradients(model: keras.Model, x: np.ndarray) -> None:
    """Every trainable weight takes part in the output."""
    with tf.GradientTape() as tape:
        output = tf.cast(model(x, training=False), tf.float32)
        goal = tf.random.stateless_uniform(output.shape, seed=(1, 2))
        loss = tf.reduce_sum(tf.square(output - goal))
    weights = model.trainable_variables
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {weight.path}"
        assert np.abs(gradient).max() > 0, f"the gradient of {weight.path} is zero"


def check_reload(models: Mapping[str, keras.Model], inputs: Mapping[str, np.ndarray], folder: Path) -> None:
    """A saved model gives the same output to 1e-6 in a process that never saw how it was built."""
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
        np.save(folder / f"{name}_input.npy", inputs[name])
    (folder / "names.json").write_text(json.dumps(list(models)))
    run = subprocess.run(
        [sys.executable, "-c", RELOAD, str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    for name, model in models.items():
        expected = np.asarray(model(inputs[name], training=False))
        loaded = np.load(folder / f"{name}_output.npy")
        np.testing.assert_allclose(loaded, expected, rtol=1e-6, atol=1e-6, err_msg=name)


def check_config(layer: keras.layers.Layer) -> None:
    """The configuration is plain JSON and makes an equal layer."""
    config = layer.get_config()
    twin = type(layer).from_config(json.loads(json.dumps(config)))
    assert json.dumps(twin.get_config()) == json.dumps(config)


def check_mixed_precision(
    layer: keras.layers.Layer,
    make: Callable[..., keras.layers.Layer],
    x: np.ndarray,
    expected: np.ndarray,
    name: str,
) -> None:
    """With the same weights in mixed precision: float16 out, close to float32, weights kept in float32."""
    half = make(dtype="mixed_float16")
    half(x)
    half.set_weights(layer.get_weights())
    output = half(x)
    assert output.dtype == "float16", name
    assert all(weight.dtype == "float32" for weight in half.weights), name
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(output, "float32"), expected, atol=0.01 * scale, err_msg=name)
