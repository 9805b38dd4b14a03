"""Occlusion: what a class loses when a part of the sample is covered."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import length_hint
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tumorkeras.errors import DataError, ModelError
from tumorkeras.explain.heads import check_class, head_of
from tumorkeras.explain.inputs import Maps, check_batch_size, check_image_input, mapped, network_for, told_by
from tumorkeras.explain.placement import covered, spread, windows
from tumorkeras.features.layer_outputs import input_of
from tumorkeras.layers.float32 import is_count, is_number
from tumorkeras.models import Detector
from tumorkeras.models.blocks import per_axis
from tumorkeras.progress import progress_bar

CALLER = "occlusion"
Size = int | Sequence[int] | None


def occlusion(
    model: Any,
    samples: Any,
    class_id: int | None = None,
    window: Size = None,
    stride: Size = None,
    fill: Literal["mean"] | float = "mean",
    batch_size: int = 64,
    progress: bool = True,
) -> Maps:
    """How much less probable a class becomes when a window of the sample is covered.

    Parameters
    ----------
    model : keras.Model, TrainedModel, str or Path
        A classifier of images or volumes, with convolutions or without; a trained model, or its folder.
    samples : array-like, list, Samples or tf.data.Dataset
        As the model reads them, (n, height, width, channels) or (n, depth, height, width, channels), of one size; also
        files, as :class:`tumorkeras.FeatureExtractor` reads them.
    class_id : int, optional
        By default the class that the model predicts for the whole sample.
    window : int or sequence of int, optional
        Sides of the window in pixels, one for all axes or one each; by default a quarter of each side.
    stride : int or sequence of int, optional
        Pixels from a window to the next, at most a window; by default half a window. A last window lies at the end, so
        that every pixel is covered.
    fill : "mean" or float, default "mean"
        What covers: the mean of each channel of the sample, or a number in its units.
    batch_size : int, default 64
        Windows a call.
    progress : bool, default True
        Count the windows where somebody can see it.

    Returns
    -------
    ndarray of float32, shape (n, height, width) or (n, depth, height, width)
        The probability of the class for the whole sample less that with the window covered, -1 to 1, averaged over the
        windows that cover a pixel. Above 0 what lies there speaks for the class, below 0 against it.

    Raises
    ------
    ModelError
        If the model is not a classifier of images or volumes.
    DataError
        For samples of another shape, or that are not finite, a class that the model does not have, and windows that do
        not fit.

    Examples
    --------
    >>> from tumorkeras import build_classifier
    >>> model = build_classifier((16, 16, 1), 3, filters=(4, 8))
    >>> maps = occlusion(model, np.random.default_rng(0).random((2, 16, 16, 1)), window=8)
    >>> maps.shape, bool(abs(maps).max() < 1)
    ((2, 16, 16), True)

    References
    ----------
    Zeiler & Fergus, *Visualizing and Understanding Convolutional Networks*, ECCV 2014.
    """
    network, spec = network_for(CALLER, model)
    with told_by(CALLER):
        given = input_of(network)
    if isinstance(network, Detector):
        raise ModelError(CALLER, [f"model: {network.name!r} is a detector, expected a classifier"])
    check_image_input(CALLER, given)
    classes, answer = _compile(network, given)
    check_class(CALLER, class_id, classes)
    check_batch_size(CALLER, batch_size)
    if fill != "mean" and not is_number(fill):
        raise DataError(CALLER, [f"fill: {fill!r} is neither 'mean' nor a finite number"])
    total = _count(samples, given.shape[1:-1], window, stride)
    with progress_bar(total, "covering", "window", shown=progress) as bar:
        cover = _Cover(answer, class_id, window, stride, fill, batch_size, bar)
        return mapped(CALLER, samples, tuple(given.shape[1:]), spec, 1, cover.maps_of)


@dataclass(frozen=True)
class _Cover:
    """Covers a sample window by window.

    Attributes
    ----------
    answer : callable
        A sample, corners (n, axes) of windows, their sides (axes,), and what covers (channels,) -> probabilities
        (n, classes).
    class_id, window, stride, fill, batch_size
        As of :func:`occlusion`.
    bar
        Counts windows.
    """

    answer: Callable[..., tf.Tensor]
    class_id: int | None
    window: Size
    stride: Size
    fill: Any
    batch_size: int
    bar: Any

    def maps_of(self, batch: np.ndarray) -> Maps:
        """The maps (n, *spatial) of a batch, one sample after the other."""
        return np.concatenate([self._map_of(sample) for sample in batch])

    def _map_of(self, sample: np.ndarray) -> Maps:
        sides = sample.shape[:-1]
        size, step = _sizes(sides, self.window, self.stride)
        starts = _starts(sides, size, step)
        color = sample.mean(axis=tuple(range(len(sides)))) if self.fill == "mean" else [self.fill] * sample.shape[-1]
        nothing = [0] * len(sides)
        whole = self.answer(sample, [nothing], nothing, color).numpy()[0]
        wanted = int(whole.argmax()) if self.class_id is None else self.class_id
        corners, left = np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, len(sides)), []
        for first in range(0, len(corners), self.batch_size):
            some = corners[first : first + self.batch_size]
            left.append(self.answer(sample, some, size, color).numpy()[:, wanted])
            self.bar.update(len(some))
        drops = (whole[wanted] - np.concatenate(left)).reshape(1, *map(len, starts))
        return spread(drops, [covered(*each) for each in zip(sides, starts, size, strict=True)])


def _count(samples: Any, sides: Sequence[int | None], window: Size, stride: Size) -> int | None:
    """Windows in all samples, where that is known before they are read."""
    count = 0 if isinstance(samples, tf.data.Dataset) else length_hint(samples)  # that of batches, or none
    known = [side for side in sides if side is not None]
    if not count or len(known) < len(sides):
        return None
    return count * math.prod(map(len, _starts(known, *_sizes(known, window, stride))))


def _starts(sides: Sequence[int], size: Sequence[int], step: Sequence[int]) -> list[NDArray[np.int64]]:
    return [windows(*each) for each in zip(sides, size, step, strict=True)]


def _sizes(sides: Sequence[int], window: Size, stride: Size) -> tuple[Sequence[int], Sequence[int]]:
    """Sides of a window and steps from one to the next, a number an axis."""
    rank = len(sides)
    sizes = [-(-side // 4) for side in sides] if window is None else per_axis(window, rank)
    steps = [max(1, size // 2) for size in sizes] if stride is None else per_axis(stride, rank)
    for name, found, most, limit in (("window", sizes, sides, "the sample"), ("stride", steps, sizes, "the window")):
        fits = len(found) == rank and all(is_count(each) and each <= top for each, top in zip(found, most, strict=True))
        if not fits:
            fault = f"{name}: {tuple(found)} is not {rank} integers from 1 to the sides of {limit}, {tuple(most)}"
            raise DataError(CALLER, [fault])
    return sizes, steps


def _compile(network: keras.Model, given: keras.KerasTensor) -> tuple[int, Callable[..., tf.Tensor]]:
    """The number of classes, and the probabilities of a sample with windows covered."""
    head = head_of(CALLER, network)
    graph = keras.Model(given, head.before)

    def call(sample: tf.Tensor, corners: tf.Tensor, size: tf.Tensor, color: tf.Tensor) -> tf.Tensor:
        inside = tf.constant(True)
        for axis in range(sample.shape.rank - 1):
            place = tf.range(tf.shape(sample)[axis]) - corners[:, axis, None]
            own = (place >= 0) & (place < size[axis])  # (n, side)
            inside = inside[..., None] & tf.reshape(own, (-1, *[1] * axis, tf.shape(sample)[axis]))
        covered = tf.where(inside[..., None], color, sample)
        return head.probabilities(head.scores(graph(covered, training=False)))

    sides, channels = given.shape[1:], given.shape[-1:]
    rank = (len(sides) - 1,)
    shapes = [(sides, tf.float32), ((None, *rank), tf.int32), (rank, tf.int32), (channels, tf.float32)]
    function = tf.function(call, input_signature=[tf.TensorSpec(*each) for each in shapes], autograph=False)
    function.get_concrete_function()
    return head.classes, function
