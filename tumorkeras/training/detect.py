"""What a detector finds in samples, in the arrays that the metrics take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tumorkeras.boxes import Boxes, pad
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.proposals.samples import padded, proposals_of
from tumorkeras.errors import ModelError
from tumorkeras.metrics import average_precision
from tumorkeras.models.detector.model import Detector, split_batch
from tumorkeras.progress import progress_bar
from tumorkeras.training.folder import TrainedModel, as_network

Padded = dict[str, np.ndarray]


def detect(
    model: keras.Model | TrainedModel | str | Path,
    samples: DetectionSamples,
    batch_size: int = 8,
    *,
    call: Any = None,
    proposals: Sequence[Boxes] | None = None,
    progress: bool = False,
) -> Padded:
    """What a detector finds in samples: its outputs, stacked, with boxes in pixels of the files.

    The model sees each image as it was scaled to the canvas of the samples, without the border beside it, as it does
    where files are scored; images of one size share a batch.

    Parameters
    ----------
    model : keras.Model, TrainedModel or path
        A detector, or the folder of a trained one.
    samples : DetectionSamples
    batch_size : int
    call : callable, optional
        What :func:`compiled_detector` made of the model.
    proposals : sequence of ndarray, optional
        Of a model whose proposals come from outside: those of each sample, xyxy in pixels of ``samples.image_of``; by
        default from :func:`tumorkeras.propose_regions`.
    progress : bool

    Returns
    -------
    dict of str to ndarray
        ``boxes`` (n, most, 4) float32, ``scores`` (n, most) float32, ``classes`` (n, most) int32, padded with -1, and
        ``num_detections`` (n,) int32.

    Raises
    ------
    ModelError
        If the model is no detector.

    Examples
    --------
    >>> from tumorkeras import DataSpec, build_detector, load_data
    >>> samples = load_data(DataSpec.from_dict({"name": "lesions", "input": {"shape": [64, 64, 1]},
    ...     "source": {"kind": "phantoms", "samples": 3}}))
    >>> found = detect(build_detector((64, 64, 1), num_classes=2), samples)
    >>> found["boxes"].shape == (3, *found["scores"].shape[1:], 4)
    True
    """
    network = _detector_of(model)
    call = compiled_detector(network) if call is None else call
    if proposals is None and takes_proposals(network):
        proposals = proposals_of(samples, progress=progress)
    found: dict[int, Padded] = {}
    with progress_bar(len(samples), "detecting", "image", shown=progress) as bar:
        for rows in _of_one_size(samples, batch_size):
            images = np.stack([samples.image_of(row) for row in rows]).astype("float32")
            given = None if proposals is None else padded([proposals[row] for row in rows])
            answer = call(images if given is None else {"images": images, "proposals": given})
            arrays = {key: value.numpy() for key, value in answer.items()}
            found |= {row: {key: value[k] for key, value in arrays.items()} for k, row in enumerate(rows)}
            bar.update(len(rows))
    for row, own in found.items():
        own["boxes"] = samples.in_file(row, own["boxes"])
    return {key: np.stack([found[row][key] for row in range(len(samples))]) for key in found[0]}


def _detector_of(model: Any) -> Detector:
    network = as_network(model)
    if not isinstance(network, Detector):
        found = getattr(network, "name", type(network).__name__)
        raise ModelError("detect", [f"model: {found} is no detector; for other models see tumorkeras.score"])
    return network


def takes_proposals(model: keras.Model) -> bool:
    """Tell whether the proposals of a detector come from outside."""
    return any(each.name == "proposals" for each in model.inputs)


def _of_one_size(samples: DetectionSamples, batch_size: int) -> Iterator[list[int]]:
    """Samples in batches whose images are of one size."""
    rows_by_size: dict[tuple[int, int], list[int]] = {}
    for row in range(len(samples)):
        placed = samples.placement(row)
        rows_by_size.setdefault((placed.height, placed.width), []).append(row)
    for rows in rows_by_size.values():
        for start in range(0, len(rows), batch_size):
            yield rows[start : start + batch_size]


def compiled_detector(model: keras.Model) -> Any:
    """A detector's inference call as one graph for every number and size of images."""
    inputs = {each.name: tf.TensorSpec(each.shape, tf.float32) for each in model.inputs}
    signature = inputs if len(inputs) > 1 else inputs["images"]
    graph = tf.function(lambda images: model(images, training=False), input_signature=[signature])
    graph.get_concrete_function()  # traced now, as in predict.compiled: TensorFlow would warn of many detectors
    return graph


class DetectionAveragePrecision(keras.callbacks.Callback):
    """Adds ``val_AP50`` and ``val_AP`` (mean over IoU 0.50 to 0.95) to the logs at the end of each epoch.

    Put it before callbacks that read the logs, such as ``keras.callbacks.ModelCheckpoint``.

    Parameters
    ----------
    data : iterable
        Batches as :class:`tumorkeras.models.Detector` takes them in ``evaluate``; gone through once an epoch.
    classes : sequence of str
        Names by class id.

    Examples
    --------
    >>> from tumorkeras.models import build_detector
    >>> detector = build_detector((64, 64, 1), 1)
    >>> detector.compile("adam")
    >>> batch = (np.zeros((2, 64, 64, 1)), {"boxes": np.array([[[8, 8, 40, 40.0]]] * 2), "classes": np.zeros((2, 1))})
    >>> data = tf.data.Dataset.from_tensors(batch)
    >>> measure = DetectionAveragePrecision(data, ["lesion"])
    >>> history = detector.fit(data, verbose=0, shuffle=False, callbacks=[measure])
    >>> "val_AP50" in history.history
    True
    """

    def __init__(self, data: Iterable[Any], classes: Sequence[str]) -> None:
        super().__init__()
        self.data, self.classes = data, list(classes)
        self._call: Any = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Detect, match and log."""
        self._call = compiled_detector(self.model) if self._call is None else self._call
        if logs is not None:
            logs |= average_precision_of(self._call, self.data, self.classes)


def average_precision_of(call: Any, data: Iterable[Any], classes: Sequence[str]) -> dict[str, float]:
    """``val_AP50`` and ``val_AP`` of a compiled detector on batches with objects."""
    found: list[Padded] = []
    boxes: list[np.ndarray] = []
    ids: list[np.ndarray] = []
    for batch in data:
        images, truth = split_batch(batch)
        pixels = tf.nest.map_structure(lambda given: tf.cast(given, tf.float32), images)
        found.append({key: np.asarray(value) for key, value in call(pixels).items()})
        boxes += list(np.asarray(truth["boxes"]))
        ids += list(np.asarray(truth["classes"]))
    padded, padded_ids = pad(boxes, ids)
    detections = {key: np.concatenate([each[key] for each in found]) for key in ("boxes", "scores", "classes")}
    return precision_logs({"boxes": padded, "classes": padded_ids}, detections, classes)


def precision_logs(truth: Padded, found: Padded, classes: Sequence[str]) -> dict[str, float]:
    """What an epoch logs of the detections in validation samples: ``val_AP50`` and ``val_AP``."""
    figures = average_precision(truth, found, classes)
    return {"val_AP50": figures.ap50, "val_AP": figures.ap}
