"""Tiny SavedModels with the signatures of exports, made by hand, for the double of the server."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def write_classifier(folder):
    """Three classes by the mean of an image (b, None, None, 1), with the signatures of an export."""
    import keras

    inputs = keras.Input((None, None, 1))
    features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
    dense = keras.layers.Dense(3, activation="softmax", name="probabilities")
    model = keras.Model(inputs, [features, dense(features)])
    dense.set_weights([np.array([[-0.02, 0.01, 0.02]]), np.array([2.0, 1.0, 0.0])])

    def classify(inputs):
        probabilities = model(inputs)[1]
        return {"probabilities": probabilities, "class_id": tf.argmax(probabilities, -1, tf.int64)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    images = (None, None, None, 1)
    archive.add_endpoint("serving_default", classify, [tf.TensorSpec(images, tf.float32, name="inputs")])
    archive.add_endpoint(
        "serving_uint8",
        lambda inputs: classify(tf.cast(inputs, tf.float32)),
        [tf.TensorSpec(images, tf.uint8, name="inputs")],
    )
    archive.add_endpoint("serving_bytes", _of_bytes(classify), [tf.TensorSpec((None,), tf.string, name="image_bytes")])
    archive.add_endpoint(
        "features", lambda inputs: {"features": model(inputs)[0]}, [tf.TensorSpec(images, tf.float32, name="inputs")]
    )
    archive.write_out(str(folder), verbose=False)
    return folder


def write_detector(folder):
    """Of a bright image (b, None, None, 1) its middle as class 1 and all of it as class 0; of a dark one nothing."""

    def detect(inputs):
        size = tf.cast(tf.shape(inputs), tf.float32)
        score = tf.reduce_mean(inputs, (1, 2, 3)) / 255
        middle = tf.stack([size[2] / 4, size[1] / 4, size[2] * 3 / 4, size[1] * 3 / 4])
        boxes = tf.stack([middle, tf.stack([0.0, 0.0, size[2], size[1]]), tf.zeros(4)])
        real = tf.cast(score[:, None] > 0.1, tf.float32) * [1.0, 1.0, 0.0]
        return {
            "boxes": boxes * real[..., None],
            "scores": score[:, None] * [1.0, 0.5, 0.0] * real,
            "classes": tf.where(real > 0, [[1, 0, -1]], -1),
            "num_detections": tf.reduce_sum(tf.cast(real, tf.int32), axis=-1),
        }

    return _write(
        folder,
        serving_default=(detect, tf.TensorSpec((None, None, None, 1), tf.float32, name="inputs")),
        serving_bytes=(_of_bytes(detect), tf.TensorSpec((None,), tf.string, name="image_bytes")),
    )


def _of_bytes(function):
    """Images of 8 x 8 from bytes that begin as PNG does; status 1 and zeros for others."""

    def one(content):
        def decoded():
            image = tf.io.decode_image(content, channels=1, expand_animations=False)
            return tf.image.resize(image, (8, 8)), 0

        is_png = tf.strings.substr(content, 0, 4) == b"\x89PNG"
        return tf.cond(is_png, decoded, lambda: (tf.zeros((8, 8, 1)), 1))

    def run(image_bytes):
        spec = (tf.TensorSpec((8, 8, 1), tf.float32), tf.TensorSpec((), tf.int32))
        images, status = tf.map_fn(one, image_bytes, fn_output_signature=spec)
        outputs = function(images)
        bad = {"class_id": -1, "classes": -1}
        for name, value in outputs.items():
            ok = tf.reshape(status == 0, (-1, *[1] * (value.shape.rank - 1)))
            outputs[name] = tf.where(ok, value, tf.cast(bad.get(name, 0), value.dtype))
        return {**outputs, "status": status}

    return run


def write_odd(folder):
    """Signatures that show the rules of the protocol; no server could batch all of them."""
    rows = tf.TensorSpec((None, 2), tf.float32, name="inputs")
    return _write(
        folder,
        serving_default=(lambda inputs: {"doubled": 2 * inputs}, rows),
        words=(lambda text: {"text": text, "text_bytes": text}, tf.TensorSpec((None,), tf.string, name="text")),
        fewer=(lambda inputs: {"a": inputs[1:], "b": inputs}, rows),
        nothing=(lambda inputs: {"boxes": tf.reshape(inputs, (-1, 2, 1))[:, :0], "sum": inputs[:, 0]}, rows),
        halves=(lambda inputs: {"halves": tf.cast(inputs, tf.float16)}, rows),
        whole=(
            lambda number: {"next": number + 1, "odd": number % 2 == 1},
            tf.TensorSpec((None,), tf.int64, name="number"),
        ),
    )


def _write(folder, **signatures):
    module = tf.Module()
    concrete = {
        name: tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
        for name, (function, spec) in signatures.items()
    }
    tf.saved_model.save(module, str(folder), signatures=concrete)
    return folder
