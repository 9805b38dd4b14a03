"""The baseline of the detector, R-CNN: regions are proposed without learning, cut out, and classified one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tumorkeras.boxes import Boxes, clip, pad
from tumorkeras.comparison.region_crops import cut_out, regions_of
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.proposals import propose_regions, suppress
from tumorkeras.errors import DataError
from tumorkeras.training.predict import compiled

Detections = dict[str, NDArray]
AT_ONCE = 256  # crops a call of the network


@dataclass(frozen=True)
class RegionClassifier:
    """A classifier of regions, and how they are proposed and cut out.

    Parameters
    ----------
    model : keras.Model
        Crops (n, size, size, channels) to probabilities (n, classes + 1); the last is that of the background.
    classes : tuple of str
        Names by class id.
    most : int
        Proposals an image.
    context : float
        What a crop shows around its region, as a share of the region's sides.
    history : pandas.DataFrame
        A row an epoch: ``epoch``, ``loss`` and ``accuracy``, with ``val_`` before them where there was validation.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    >>> found = RegionClassifier(model, ("lesion",), 20, 0.25, pd.DataFrame()).detect(np.zeros((1, 48, 48, 1), "uint8"))
    >>> {name: values.shape for name, values in found.items()}
    {'boxes': (1, 0, 4), 'scores': (1, 0), 'classes': (1, 0)}
    """

    model: keras.Model
    classes: tuple[str, ...]
    most: int
    context: float
    history: pd.DataFrame

    def detect(
        self,
        images: DetectionSamples | Sequence[NDArray] | NDArray,
        *,
        threshold: float = 0.05,
        overlap: float = 0.4,
        limit: int = 100,
        original: bool = False,
    ) -> Detections:
        """Find the objects of every image.

        Parameters
        ----------
        images : DetectionSamples, or sequence of ndarray, each (height, width, channels)
            Arrays may differ in size; they have the values that training saw.
        threshold : float, optional
            Least probability of a detection.
        overlap : float, optional
            Largest IoU of two detections of a class in an image; of two that share more the better one stays.
        limit : int, optional
            Detections at most in an image.
        original : bool, optional
            Boxes of samples in pixels of the file, not of the canvas. Arrays have no other pixels than their own.

        Returns
        -------
        dict
            ``boxes`` (images, n, 4) float32 xyxy, ``scores`` (images, n) float32 and ``classes`` (images, n) int32,
            the best first; padding has box 0, score 0 and class -1.

        Raises
        ------
        DataError
            If an array has other channels than the model reads, or holds values that are not finite.
        """
        call = compiled(self.model)
        found = []
        for image, regions, back in self._read(images, original):
            boxes, scores, classes = self._detected(call, image, regions, threshold, overlap, limit)
            found.append((back(boxes), scores, classes))
        return _padded(found)

    def _read(
        self, images: DetectionSamples | Sequence[NDArray] | NDArray, original: bool
    ) -> Iterator[tuple[NDArray, Boxes, Callable[[Boxes], Boxes]]]:
        """Each image, its regions, and what turns its boxes into those that are given back."""
        if isinstance(images, DetectionSamples):
            for k in range(len(images)):
                placed = images.placement(k)
                back = (
                    (lambda boxes, placed=placed: clip(placed.invert(boxes), placed.size)) if original else np.asarray
                )
                yield images.images[images.rows[k]], regions_of(images, k, self.most), back
            return
        channels = self.model.input_shape[-1]
        for k, image in enumerate(images):
            if np.ndim(image) != 3 or np.shape(image)[-1] != channels:
                raise DataError(f"image {k}", [f"shape {np.shape(image)}, expected (height, width, {channels})"])
            yield np.asarray(image), propose_regions(image, self.most), np.asarray

    def _detected(
        self, call: Any, image: NDArray, regions: Boxes, threshold: float, overlap: float, limit: int
    ) -> tuple[Boxes, NDArray, NDArray]:
        """Boxes, scores and classes of one image, the best first."""
        chances = self._chances(call, image, regions)
        places, scores, classes = [], [], []
        for number in range(len(self.classes)):
            likely = np.flatnonzero(chances[:, number] >= threshold)
            kept = likely[suppress(regions[likely], chances[likely, number], overlap, limit)]
            places.append(kept)
            scores.append(chances[kept, number])
            classes.append(np.full(len(kept), number))
        order = np.argsort(-np.concatenate(scores), kind="stable")[:limit]
        best = np.concatenate(places)[order]
        return regions[best], np.concatenate(scores)[order], np.concatenate(classes)[order]

    def _chances(self, call: Any, image: NDArray, regions: Boxes) -> NDArray[np.float32]:
        """Probabilities (regions, classes + 1)."""
        crops = cut_out(image, regions, self.model.input_shape[1], self.context)
        pieces = [call(crops[k : k + AT_ONCE].astype("float32")).numpy() for k in range(0, len(crops), AT_ONCE)]
        return np.concatenate([np.empty((0, len(self.classes) + 1), "float32"), *pieces])


def _padded(found: list[tuple[Boxes, NDArray, NDArray]]) -> Detections:
    boxes, classes = pad([each[0] for each in found], [each[2] for each in found])
    scores = np.zeros(classes.shape, "float32")
    for k, (_, own, _) in enumerate(found):
        scores[k, : len(own)] = own
    return {"boxes": boxes, "scores": scores, "classes": classes}
