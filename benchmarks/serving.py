"""What an export costs a server: loading, first calls, and the time of a call by signature, batch and format.

    TUMORKERAS_DATA=... python benchmarks/serving.py [--model classifier detector autoencoder] [--runs 30]
        [--batches 1 8 32] [--write docs/serving.md]

The models are those of ``examples/busi_crops.yaml`` (classifier and autoencoder of images of lesions) and
``examples/busi_lesion.yaml`` (detector), untrained: their time hangs on their sizes, not on their weights, but for the
detections that they find. Each is exported in every format that takes it, and asked with images of the data.

Each signature and format is called RUNS times at each batch, all in turn within one run of this script, so that what
else happens on the machine falls on all of them; the table gives the median and the 99th percentile in milliseconds.
``Model.predict`` of Keras is beside them. "OpenCV + serving_uint8" decodes the files of ``serving_bytes`` in Python,
one after the other, and gives the arrays to the signature: what decoding in the graph is to be held against. The first
call is timed in a new process that loads the export with TensorFlow alone, with and without the requests of its warm-up
file before it; the process prints its memory, too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from pages import put_between_marks

from tumorkeras import DataSpec, export
from tumorkeras.errors import TumorKerasError
from tumorkeras.serving.formats import FORMATS, load_format, write_formats
from tumorkeras.serving.signatures import BYTES, DEFAULT, FEATURES, UINT8
from tumorkeras.serving.warm_up import read_warm_up
from tumorkeras.training.networks import autoencoder_of, classifier_of, detector_of

EXAMPLES = Path(__file__).parents[1] / "examples"
MODELS: dict[str, tuple[str, Callable[[DataSpec], keras.Model]]] = {
    "classifier": ("busi_crops", lambda spec: classifier_of(spec, 2)),
    "autoencoder": ("busi_crops", autoencoder_of),
    "detector": ("busi_lesion", lambda spec: detector_of(spec, 1)),
}
IN_GRAPH, BESIDE = f"{BYTES}, the same images", f"OpenCV + {UINT8}"  # where files are decoded
# Loads an export and calls it once, after its warm-up requests or without them, as a server does.
FIRST_CALL = """
import json, sys, time
import psutil, tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
began = time.perf_counter()
loaded = tf.saved_model.load(sys.argv[1])
loading = time.perf_counter() - began
def call(log):
    request = log.predict_log.request
    given = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
    return loaded.signatures[request.model_spec.signature_name](**given)
records = tf.data.TFRecordDataset(sys.argv[1] + "/assets.extra/tf_serving_warmup_requests").as_numpy_iterator()
logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
logs = [log for log in logs if log.predict_log.request.model_spec.signature_name == sys.argv[2]]
if sys.argv[3] == "warm":
    for log in logs:
        call(log)
began = time.perf_counter()
call(logs[0])
print(json.dumps([loading, time.perf_counter() - began, psutil.Process().memory_info().rss / 2**20]))
"""


def images_of(count: int) -> list[bytes]:
    """Encoded images of the data."""
    files = sorted((Path(os.environ["TUMORKERAS_DATA"]) / "busi" / "images").iterdir())
    return [file.read_bytes() for file in files[:count]]


def decoded(contents: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """By OpenCV, one after the other, brought to one size where the files differ in it."""
    flags = cv2.IMREAD_GRAYSCALE if shape[-1] == 1 else cv2.IMREAD_COLOR_RGB
    images = [cv2.imdecode(np.frombuffer(content, np.uint8), flags) for content in contents]
    height, width = images[0].shape[:2]
    return np.stack([image.reshape(height, width, shape[-1]) for image in images])


def calls_of(
    model: keras.Model, folder: Path, formats: list[str], contents: list[bytes], shape: tuple[int, ...]
) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    loaded = tf.saved_model.load(str(folder))
    pixels = decoded(contents, shape)
    canvases = np.stack([cv2.resize(image, shape[1::-1]).reshape(shape) for image in pixels]).astype("float32")
    floats, levels, encoded = tf.constant(canvases), tf.constant(pixels), tf.constant(contents)
    signatures = loaded.signatures
    calls: dict[str, Callable[[], object]] = {
        "Model.predict": lambda: model.predict(canvases, batch_size=len(canvases), verbose=0),
        DEFAULT: lambda: signatures[DEFAULT](inputs=floats),
        FEATURES: lambda: signatures[FEATURES](inputs=floats),
        f"{UINT8}, images as they are": lambda: signatures[UINT8](inputs=levels),
        IN_GRAPH: lambda: signatures[BYTES](image_bytes=encoded),
        BESIDE: lambda: signatures[UINT8](inputs=tf.constant(decoded(contents, shape))),
    }
    for name in formats:
        calls[f"{name}, {DEFAULT}"] = partial(load_format(folder, name), {"inputs": canvases})
    return calls


def timed(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, np.ndarray]:
    """Milliseconds (runs,) of each, called in turn; three calls before are not counted."""
    for call in calls.values():
        for _ in range(3):
            call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            found[name].append(1000 * (time.perf_counter() - began))
    return {name: np.array(values) for name, values in found.items()}


def first_calls(folder: Path) -> list[str]:
    """A line of what a new process takes until it answers."""
    lines = []
    for state in ("cold", "warm"):
        command = [sys.executable, "-c", FIRST_CALL, str(folder), DEFAULT, state]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loading, call, memory = json.loads(done.stdout.splitlines()[-1])
        words = "after the requests of its warm-up file" if state == "warm" else "without a warm-up"
        lines.append(f"first call {words} {1000 * call:.1f} ms (loading {loading:.1f} s, memory {memory:.0f} MiB)")
    return lines


def exported(model: keras.Model, folder: Path) -> tuple[Path, list[str], list[str]]:
    """An export in all formats that take the model, and what the others say."""
    path = export(model, folder, name="model")
    requests = read_warm_up(path)
    formats, refused = [], []
    for name in FORMATS:
        try:
            write_formats(path, [name], requests)
            formats.append(name)
        except TumorKerasError as error:
            refused.append(" ".join(error.faults[0].split()))
    return path, formats, refused


def measured(name: str, batches: list[int], runs: int, folder: Path) -> list[str]:
    """The Markdown of one model."""
    example, build = MODELS[name]
    spec = DataSpec.from_yaml(EXAMPLES / f"{example}.yaml")
    model = build(spec)
    path, formats, refused = exported(model, folder / name)
    rows, shares = {}, []
    # Of one size, so that arrays of them can be compared.
    contents = images_of(400)
    size = cv2.imdecode(np.frombuffer(contents[0], np.uint8), cv2.IMREAD_GRAYSCALE).shape
    alike = [c for c in contents if cv2.imdecode(np.frombuffer(c, np.uint8), cv2.IMREAD_GRAYSCALE).shape == size]
    for batch in batches:
        chosen = [alike[k % len(alike)] for k in range(batch)]
        times = timed(calls_of(model, path, formats, chosen, tuple(spec.input.shape)), runs)
        rows[batch] = {key: f"{np.median(ms):.1f} ({np.percentile(ms, 99):.1f})" for key, ms in times.items()}
        shares.append(f"{np.median(times[IN_GRAPH]) / np.median(times[BESIDE]):.2f}")
    table = pd.DataFrame(rows)
    shape = " x ".join(map(str, spec.input.shape))
    heads = [f"{name}, canvas {shape}; images of {size[0]} x {size[1]}", *(f"batch {batch}" for batch in batches)]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * len(batches)}"]
    lines += [f"| {' | '.join([key, *row])} |" for key, row in zip(table.index, table.to_numpy(), strict=True)]
    decoding = (
        f"{BYTES} takes {', '.join(shares)} times as long as OpenCV + {UINT8}, at batch {', '.join(map(str, batches))}"
    )
    lines += ["", *(f"- {line}" for line in [decoding, *first_calls(path), *refused]), ""]
    return lines


def main() -> None:
    """Export, call, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        lines = [line for model in options.model for line in measured(model, options.batches, options.runs, Path(name))]
    lines.append(
        f"Milliseconds a call, median (99th percentile) of {options.runs} calls; {platform.machine()}, "
        f"{os.cpu_count()} CPUs, TensorFlow {tf.__version__}."
    )
    text = "\n".join(lines)
    print(text)
    if options.write:
        put_between_marks(options.write, "serving", text)


if __name__ == "__main__":
    main()
