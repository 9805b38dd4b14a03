"""What a detector finds, and the features of each region that it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tumorkeras.boxes import CORNERS
from tumorkeras.data.proposals import propose_regions
from tumorkeras.data.proposals.samples import padded
from tumorkeras.features.network_inputs import NetworkInputs
from tumorkeras.layers.letterbox import letterbox_boxes
from tumorkeras.models import Detector

Finder = Callable[[np.ndarray], dict[str, np.ndarray]]


def region_finder(detector: Detector) -> Finder:
    """A detector that also tells what it saw in each region that it found, compiled.

    The found box itself is read once more, by the RoIAlign and the head of the detector: the answer is that of its
    last dense layer, from which the scores of the classes are made.

    Returns
    -------
    callable
        Images (batch, height, width, channels) float32 -> the detector's outputs, and ``features`` (batch, most, k)
        float32, which say nothing where there is padding. Where the proposals come from outside they are those of
        :func:`tumorkeras.propose_regions`.
    """
    inputs = {given.name: given for given in detector.inputs}
    *levels, _ = detector.get_layer("roi_align").input
    whole = keras.Model(inputs, {"levels": levels, **detector.output})
    align, head, canvas = detector.get_layer("roi_align"), detector.get_layer("region_head"), detector.canvas
    embed = keras.Model(head.inputs, head.get_layer("logits").input)

    def find(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        answer = dict(whole(given, training=False))
        boxes = letterbox_boxes(answer["boxes"], tf.shape(given["images"])[1:3], canvas)
        seen = embed(align(keras.tree.flatten(answer.pop("levels")), boxes), training=False)
        shape = (-1, boxes.shape[1], seen.shape[-1])
        return {**answer, "features": tf.reshape(tf.cast(seen, tf.float32), shape)}

    signature = {name: tf.TensorSpec(tensor.shape, tf.float32) for name, tensor in inputs.items()}
    call: Any = tf.function(find, input_signature=[signature], autograph=False)

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        given = {"images": images}
        if "proposals" in inputs:
            given["proposals"] = padded([propose_regions(image) for image in images])
        return {name: value.numpy() for name, value in call(given).items()}

    return run


def region_table(find: Finder, inputs: NetworkInputs, batch_size: int, width: int) -> pd.DataFrame:
    """A row a region, by image and best first: where it is, what it is, and its ``width`` features."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for chosen, batch in inputs.batches(batch_size):
        answer = find(batch)
        for place, row in enumerate(chosen):
            count = int(answer["num_detections"][place])
            # Copied: a view would hold the padding as well.
            own = {name: answer[name][place, :count].copy() for name in ("boxes", "scores", "classes", "features")}
            found[row] = {**own, "boxes": inputs.in_files(row, own["boxes"])}
    rows = sorted(found)
    images = np.repeat(np.array(rows, "int64"), [len(found[row]["scores"]) for row in rows])
    boxes = _joined([found[row]["boxes"] for row in rows], 4)
    seen = _joined([found[row]["features"] for row in rows], width)
    table = pd.DataFrame({"image": images, **dict(zip(CORNERS, boxes.T, strict=True))})
    table["score"] = _joined([found[row]["scores"][:, None] for row in rows], 1)[:, 0]
    table["class_id"] = _joined([found[row]["classes"][:, None] for row in rows], 1)[:, 0].astype("int64")
    return pd.concat([table, pd.DataFrame(seen, columns=[f"region_{k}" for k in range(width)])], axis=1)


def _joined(parts: Iterable[np.ndarray], width: int) -> np.ndarray:
    return np.concatenate([np.empty((0, width), "float32"), *parts])
