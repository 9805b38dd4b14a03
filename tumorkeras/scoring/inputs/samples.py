"""Samples of a data spec, and data sets of TensorFlow, as blocks for a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tumorkeras.boxes import NO_CLASS
from tumorkeras.data.agreement import ModelOrigin
from tumorkeras.errors import DataError, first_line
from tumorkeras.scoring.inputs.blocks import Block, Piece, in_order, of_one_size

if TYPE_CHECKING:
    from tumorkeras.data.detection import DetectionSamples
    from tumorkeras.data.samples import Samples

_DATASET = "dataset"


class SampleInputs:
    """Samples that were loaded from a spec, drawn and fitted as in training."""

    carried = None
    has_names = True

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self.paths = [samples.spec.name] * len(samples)

    def fingerprint(self) -> dict[str, Any]:
        """What tells other samples apart."""
        return _fingerprint(self._samples)

    def example(self) -> np.ndarray | None:
        """A sample like those that will be scored."""
        return next(self._arrays(np.arange(1), 1))[0] if len(self._samples) else None

    def _arrays(self, rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
        from tumorkeras.data.pipeline import iterate_arrays

        return iterate_arrays(self._samples.select(rows), size)

    def windows(self, ranges: Iterable[range], batch_size: int) -> Iterator[tuple[range, Iterable[Block]]]:
        """The samples, window by window, which must be gone through in this order."""
        ranges = list(ranges)
        if not ranges:
            return
        # A window is as many whole batches wide, but for the last.
        batches = self._arrays(np.concatenate([np.asarray(window) for window in ranges]), batch_size)
        names = self._samples.table["id"].astype(str)
        for window in ranges:
            own = islice(batches, -(-len(window) // batch_size))
            paths, ids = [self._samples.spec.name] * len(window), names.iloc[window.start : window.stop].tolist()
            yield window, [Block(paths, ids, window, partial(_in_order, own))]


class DetectionInputs:
    """Images with boxes that were loaded from a spec, and the way back to the pixels of their files.

    What lies beside an image on its canvas is cut off, or things would be found there; the model puts it back.
    """

    carried = None
    has_names = True

    def __init__(self, samples: DetectionSamples) -> None:
        self._samples = samples
        self.paths = [samples.spec.name] * len(samples)

    def fingerprint(self) -> dict[str, Any]:
        """What tells other samples apart."""
        return _fingerprint(self._samples)

    def example(self) -> np.ndarray | None:
        """An image like those that will be scored."""
        return self._samples.image_of(0) if len(self._samples) else None

    def windows(self, ranges: Iterable[range], batch_size: int) -> Iterator[tuple[range, Iterable[Block]]]:
        """The images, window by window."""
        for window in ranges:
            yield window, [self._block(window)]

    def _block(self, window: range) -> Block:
        samples = self._samples

        def pieces(size: int) -> Iterator[Piece]:
            return of_one_size((samples.image_of(row) for row in window), size)

        def in_files(found: np.ndarray) -> np.ndarray:
            found = found.copy()
            for row, own in zip(window, found, strict=True):
                real = own[:, 0] > NO_CLASS
                own[real, 2:] = samples.in_file(row, own[real, 2:])
            return found

        ids = samples.table["id"].iloc[window.start : window.stop].astype(str).tolist()
        return Block([samples.spec.name] * len(window), ids, window, pieces, in_files)


def _in_order(batches: Iterable[np.ndarray], size: int) -> Iterator[Piece]:
    """Batches that were made beforehand, of the size of the job."""
    return in_order(batches)


def _fingerprint(samples: Samples | DetectionSamples) -> dict[str, Any]:
    digest = hashlib.sha256(samples.spec.to_json().encode())
    digest.update("\n".join(samples.table["id"].astype(str)).encode())
    return {"inputs": f"samples of {samples.spec.name}", "inputs_sha256": digest.hexdigest()}


class DatasetInputs:
    """A ``tf.data`` set of samples, in batches or one by one, alone or with their labels.

    One whose length TensorFlow does not know is gone through once to count it.

    Raises
    ------
    DataError
        If its elements are no samples of the model, or it has no end.
    """

    carried = None
    has_names = False

    def __init__(self, dataset: tf.data.Dataset, origin: ModelOrigin) -> None:
        samples = dataset.map(lambda first, *rest: first) if isinstance(dataset.element_spec, tuple) else dataset
        found, shape = samples.element_spec, origin.shape
        size = tuple(found.shape) if isinstance(found, tf.TensorSpec) and found.shape.rank is not None else None
        if size is not None and _may_be(size[1:], shape):
            samples = samples.unbatch()
        elif size is None or not _may_be(size, shape):
            raise DataError("score", [f"inputs: a tf.data set of {found} found, expected samples {shape}"])
        self._samples = samples
        self.paths = [_DATASET] * _length(samples)

    def fingerprint(self) -> dict[str, Any]:
        """What tells another data set apart, as far as it can be told without going through it."""
        return {"inputs": f"tf.data set of {self._samples.element_spec}"}

    def example(self) -> np.ndarray | None:
        """A sample like those that will be scored."""
        first = next(_elements(self._samples.take(1)))
        return first if isinstance(first, np.ndarray) else None

    def windows(self, ranges: Iterable[range], batch_size: int) -> Iterator[tuple[range, Iterable[Block]]]:
        """The samples, window by window, which must be gone through in this order."""
        elements, place = _elements(self._samples.prefetch(tf.data.AUTOTUNE)), 0
        for window in ranges:
            own = islice(elements, window.start - place, window.stop - place)
            place = window.stop
            paths = [_DATASET] * len(window)
            yield window, [Block(paths, window, window, partial(of_one_size, own))]


def _elements(dataset: tf.data.Dataset) -> Iterator[np.ndarray | str]:
    """The samples, without an end: where one fails, or there are fewer than were counted, why there is none."""
    elements = dataset.as_numpy_iterator()
    while True:
        try:
            yield next(elements)
        except StopIteration:
            yield "the tf.data set ended before it"
        except tf.errors.OpError as error:
            yield f"the tf.data set failed on it: {first_line(error.message)}"


def _may_be(found: tuple[int | None, ...], shape: tuple[int | None, ...]) -> bool:
    """Whether samples of a shape that may be open are such as the model reads."""
    return len(found) == len(shape) and all(
        None in pair or len(set(pair)) == 1 for pair in zip(found, shape, strict=True)
    )


def _length(dataset: tf.data.Dataset) -> int:
    length = int(dataset.cardinality())
    if length == tf.data.INFINITE_CARDINALITY:
        raise DataError("score", ["inputs: the tf.data set has no end; take(n) makes one of it"])
    if length == tf.data.UNKNOWN_CARDINALITY:
        try:
            return int(dataset.reduce(np.int64(0), lambda count, _: count + 1))
        except tf.errors.OpError as error:
            fault = f"inputs: the tf.data set fails where its samples are counted: {first_line(error.message)}"
            raise DataError("score", [fault]) from None
    return length
