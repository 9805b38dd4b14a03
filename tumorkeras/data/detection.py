"""Images with boxes: from a spec to samples on one canvas, and from these to batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from tumorkeras.boxes import CORNERS, NO_CLASS, Letterbox, clip, letterbox, pad
from tumorkeras.data.augment_boxes import augment_boxes
from tumorkeras.data.cache import in_pieces, rows_of
from tumorkeras.data.catalog import Catalog, catalog_of
from tumorkeras.data.images import decode_all
from tumorkeras.data.parted import Parted
from tumorkeras.data.parts import with_parts
from tumorkeras.data.readers import Reading
from tumorkeras.data.shuffle import seed_at, shuffled_batches
from tumorkeras.data.sources import labelled
from tumorkeras.data.tiled import in_tiles
from tumorkeras.errors import DataError
from tumorkeras.spec import BOXED, DataSpec

logger = logging.getLogger(__name__)

Batch = dict[str, tf.Tensor]


@dataclass(frozen=True)
class DetectionSamples(Parted):
    """Images on one canvas with the boxes of their objects, before they become batches.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a sample: ``id``, ``class_name`` (what is in the image), ``group`` (missing where there is none),
        ``split`` ("train", "val" or "test"), and the columns of the source's own table.
    images : numpy.ndarray
        (images, height, width, channels) uint8, uint16 or float32, letterboxed to ``spec.input.shape``; large sets lie
        on disk. A selection of samples shares them, and says by ``rows`` which of them it has.
    sizes : numpy.ndarray
        (height, width) of each image in its file (of a tile: what it takes of the file), int64.
    boxes, class_ids : numpy.ndarray
        The boxes of all images, (objects, 4) float32, xyxy in pixels of the canvas, and their class ids, int64.
    offsets : numpy.ndarray
        Where the boxes of each image begin, and where the last end, (images + 1,).
    rows : numpy.ndarray
        The image of each sample, as its row in ``images``, ``sizes`` and ``offsets``.
    classes : tuple of str
        Names by class id.
    spec : DataSpec
        Where they came from.
    notes : tuple of str
        What loading left out.
    """

    images: np.ndarray
    sizes: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray
    classes: tuple[str, ...]
    spec: DataSpec
    notes: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        what = f"{len(self)} images {tuple(self.images.shape[1:])}"
        return f"<DetectionSamples {self.spec.name}: {what}, objects of {len(self.classes)} classes; {self.in_parts}>"

    def _repr_html_(self) -> str:
        from tumorkeras.data.preview import detection_card

        return detection_card(self)

    @property
    def pixel_dtype(self) -> str:
        """Of the images."""
        return self.images.dtype.name

    def content(self) -> Iterator[np.ndarray]:
        """Images, boxes and classes."""
        for rows in in_pieces(len(self)):
            yield rows_of(self.images, self.rows[rows])
            for boxes, classes in map(self.boxes_of, rows):
                yield boxes
                yield classes

    def _at(self, rows: np.ndarray) -> dict[str, Any]:
        return {"rows": self.rows[rows]}  # no image is copied

    def boxes_of(self, sample: int) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (objects, 4) and class ids (objects,) of a sample, in pixels of the canvas."""
        row = self.rows[sample]
        chosen = slice(self.offsets[row], self.offsets[row + 1])
        return self.boxes[chosen], self.class_ids[chosen]

    def placement(self, sample: int) -> Letterbox:
        """How a sample's image lies on the canvas; its ``invert`` turns boxes into pixels of the file."""
        height, width = self.sizes[self.rows[sample]]
        return letterbox((int(height), int(width)), self.images.shape[1:3])

    def image_of(self, sample: int) -> np.ndarray:
        """A sample's image (height, width, channels) as it was scaled to the canvas, without what lies beside it."""
        placed, (canvas,) = self.placement(sample), rows_of(self.images, self.rows[[sample]])
        return canvas[placed.top : placed.top + placed.height, placed.left : placed.left + placed.width]

    def in_file(self, sample: int, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4), xyxy in pixels of :meth:`image_of`, in pixels of the file, cut at its edges; 0 stays 0."""
        placed = self.placement(sample)
        down, across = placed.size[0] / placed.height, placed.size[1] / placed.width
        return clip(boxes * np.array([across, down, across, down], "float32"), placed.size)

    def on_canvas(self, objects: Mapping[str, Any]) -> dict[str, Any]:
        """Padded arrays, a row a sample, with ``boxes`` in pixels of the files: the same in pixels of ``images``."""
        boxes = [self.placement(k).apply(own) for k, own in enumerate(np.asarray(objects["boxes"]))]
        held = np.asarray(objects["classes"])[..., None] != NO_CLASS
        return {**objects, "boxes": np.where(held, np.stack(boxes), 0)}

    def truth(self) -> dict[str, np.ndarray]:
        """The objects as metrics take them: ``boxes`` (n, most, 4), xyxy in pixels of files, ``classes`` (n, most).

        Images with fewer objects are padded with boxes of 0 and the class -1.
        """
        found = [self.boxes_of(k) for k in range(len(self))]
        in_files = [self.placement(k).invert(boxes) for k, (boxes, _) in enumerate(found)]
        boxes, classes = pad(in_files, [ids for _, ids in found])
        return {"boxes": boxes, "classes": classes}

    @property
    def most_objects(self) -> int:
        """Boxes of the image that has most."""
        return int(np.diff(self.offsets)[self.rows].max(initial=0))


# ---------------------------------------------------------------------------------------------------------- loading


def load_detection(spec: DataSpec) -> DetectionSamples:
    """Decode the labelled images of a spec with boxes, each once, and assign them to train, val and test.

    Images without objects are samples like any other; unlabelled ones are left out. Boxes are cut at the edges of
    their image; one that has no area there is left out, which ``notes`` says. Where the source has ``tiles`` a sample
    is a tile of an image, as :func:`tumorkeras.data.tiled.in_tiles` cuts it.

    Parameters
    ----------
    spec : DataSpec
        With a source of the kind ``detection``, ``regions`` or ``phantoms``.

    Raises
    ------
    DataError
        If the source has no boxes, files are missing or cannot be read, or a class is not among the spec's.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "lesions", "input": {"shape": [48, 64, 1]},
    ...     "source": {"kind": "phantoms", "samples": 4}})
    >>> samples = load_detection(spec)
    >>> samples.images.shape, samples.classes
    ((4, 48, 64, 1), ('benign', 'malignant'))
    """
    if not isinstance(spec.source, BOXED):
        raise DataError("source.kind", [f"{spec.source.kind} has no boxes; expected detection, regions or phantoms"])
    catalog, notes = labelled(catalog_of(spec))
    catalog, more = in_tiles(with_parts(catalog))
    notes += more
    images, sizes = _decoded(catalog, tuple(spec.input.shape))
    boxes, image_of_box, lost = _boxes_on_canvas(catalog, sizes, images.shape[1:3])
    if lost:
        notes.append(f"{lost} of {lost + len(boxes)} boxes have no area inside their image and were left out")
    for note in notes:
        logger.info(note)
    return DetectionSamples(
        catalog.table.drop(columns=["path", "labelled"]),
        images,
        sizes,
        boxes[CORNERS].to_numpy("float32"),
        boxes["class"].map({name: k for k, name in enumerate(catalog.classes)}).to_numpy("int64"),
        np.searchsorted(image_of_box, np.arange(len(images) + 1)),
        np.arange(len(images)),
        catalog.classes,
        spec,
        tuple(notes),
    )


def _decoded(catalog: Catalog, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The images on their canvas, and the (height, width) that each had in its file."""
    sizes = np.zeros((len(catalog), 2), "int64")

    def reader(row: int) -> Reading:
        reading = catalog.read(row)
        sizes[row] = reading.array.shape[-3:-1]
        return reading

    return decode_all(replace(catalog, reader=reader), shape), sizes


def _boxes_on_canvas(
    catalog: Catalog, sizes: np.ndarray, canvas: tuple[int, int]
) -> tuple[pd.DataFrame, np.ndarray, int]:
    """The usable boxes on the canvas in the order of their images, the image of each, and how many are not."""
    assert catalog.boxes is not None
    image = pd.Index(catalog.table["id"]).get_indexer(catalog.boxes["image"])
    order = np.argsort(image, kind="stable")
    boxes, image = catalog.boxes.iloc[order].copy(), image[order]
    corners = np.array(boxes[CORNERS], "float32")
    for row in np.unique(image):
        size = (int(sizes[row, 0]), int(sizes[row, 1]))
        own = slice(*np.searchsorted(image, [row, row + 1]))
        corners[own] = letterbox(size, canvas).apply(clip(corners[own], size))
    boxes[CORNERS] = corners
    usable = np.flatnonzero((corners[:, 2:] > corners[:, :2]).all(axis=1))
    return boxes.iloc[usable], image[usable], len(boxes) - len(usable)


# ---------------------------------------------------------------------------------------------------------- batches


def detection_stream(
    samples: DetectionSamples,
    batch_size: int = 8,
    *,
    augment: Collection[str] = (),
    most: int | None = None,
    seed: int = 0,
    epoch: int = 0,
) -> tf.data.Dataset:
    """Endless batches of images and boxes, shuffled anew each epoch.

    The stream is a function of ``seed`` and ``epoch`` alone: started at epoch 7 it gives what a stream started at 0
    gives after seven epochs. Images are read from where they lie, batch by batch.

    Parameters
    ----------
    samples : DetectionSamples
    batch_size : int, optional
        The last batch of an epoch may be smaller.
    augment : collection of str, optional
        Of "flip", "rotate", "crop", "intensity" and "speckle"; see
        :func:`tumorkeras.data.augment_boxes.augment_boxes`.
    most : int, optional
        Boxes an image in every batch; by default as many as the fullest image of the batch has.
    seed, epoch : int, optional

    Returns
    -------
    tf.data.Dataset
        Of dicts: ``images`` (batch, height, width, channels) float32 in the values of the files, ``boxes`` (batch,
        objects, 4) float32, xyxy in pixels of the canvas, padded with 0, ``classes`` (batch, objects) int64, padded
        with -1.

    Raises
    ------
    DataError
        If an image has more boxes than ``most``.
    """
    gather = _gatherer(samples, most)

    def batch_of(step: tf.Tensor, numbers: tf.Tensor) -> Batch:
        batch = gather(numbers)
        areas = batch.pop("areas")
        changed = augment_boxes(**batch, areas=areas, kinds=augment, seed=seed_at(seed, step))
        return dict(zip(batch, changed, strict=True))

    stream = shuffled_batches(len(samples), batch_size, seed, epoch)
    return stream.map(batch_of, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def detection_batches(samples: DetectionSamples, batch_size: int = 8, *, most: int | None = None) -> tf.data.Dataset:
    """Each sample once, in order, in batches as :func:`detection_stream` gives them; for validation."""
    gather = _gatherer(samples, most)

    def batch_of(numbers: tf.Tensor) -> Batch:
        batch = gather(numbers)
        del batch["areas"]
        return batch

    numbers = tf.data.Dataset.range(len(samples)).batch(batch_size)
    return numbers.map(batch_of, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def _gatherer(samples: DetectionSamples, most: int | None) -> Callable[[tf.Tensor], Batch]:
    """From numbers of samples to their batch, with the areas that the images take on the canvas."""
    if most is not None and samples.most_objects > most:
        raise DataError("most", [f"is {most}, but an image has {samples.most_objects} boxes"])

    def taken(numbers: np.ndarray) -> tuple[np.ndarray, ...]:
        boxes, classes = zip(*map(samples.boxes_of, numbers), strict=True)
        padded, ids = pad(boxes, classes, most)
        placements = map(samples.placement, numbers)
        areas = np.stack([placed.apply([0, 0, *reversed(placed.size)]) for placed in placements])
        return rows_of(samples.images, samples.rows[numbers]), padded, ids.astype("int64"), areas

    dtypes = [tf.as_dtype(samples.images.dtype), tf.float32, tf.int64, tf.float32]

    def gather(numbers: tf.Tensor) -> Batch:
        # Not tf.gather: the images would have to be a tensor, and so lie in memory as a whole.
        images, boxes, classes, areas = tf.numpy_function(taken, [numbers], dtypes, stateful=False)
        return {
            "images": tf.cast(tf.ensure_shape(images, [None, *samples.images.shape[1:]]), tf.float32),
            "boxes": tf.ensure_shape(boxes, [None, most, 4]),
            "classes": tf.ensure_shape(classes, [None, most]),
            "areas": tf.ensure_shape(areas, [None, 4]),
        }

    return gather
