"""Truth and detections of many images, checked and laid flat: padding is gone, detections are sorted by score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.boxes import NO_CLASS
from tumorkeras.errors import DataError, shortened
from tumorkeras.metrics.checks import check_classes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Padded = Mapping[str, ArrayLike]

OVERALL = "all"


@dataclass(frozen=True)
class Objects:
    """Boxes without padding: of each its image, class, corners, area in square pixels, and place in its image's row."""

    image: Ints
    label: Ints
    boxes: Floats
    place: Ints

    @property
    def area(self) -> Floats:
        """Area of each box, 0 where a side is not positive."""
        return area_of(self.boxes)

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: Ints) -> Objects:
        return Objects(self.image[rows], self.label[rows], self.boxes[rows], self.place[rows])


@dataclass(frozen=True)
class Scenes:
    """Truth and detections of the same images.

    Detections are in the order of falling score, equal scores in the order of the images and of their places there:
    the order of every curve. `rank` is the place of a detection among those of its image and class, from 0.
    """

    images: int
    names: list[str]
    truth: Objects
    found: Objects
    scores: Floats
    rank: Ints

    def truths_by_image(self, counted: Flags | None = None) -> Floats:
        """Number of truths of each image and class, shape (images, k); of those that are `counted` where given."""
        return count_by_image(self, self.truth if counted is None else self.truth[np.flatnonzero(counted)])


def area_of(boxes: Floats) -> Floats:
    """Area of boxes (..., 4), 0 where a side is not positive; in float64, so that a limit is met exactly.

    Examples
    --------
    >>> area_of(np.array([[0.0, 0.0, 4.0, 3.0], [5.0, 5.0, 4.0, 9.0]])).tolist()
    [12.0, 0.0]
    """
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]


def count_by_image(scenes: Scenes, objects: Objects) -> Floats:
    """Number of the objects of each image and class, shape (images, k)."""
    k = len(scenes.names)
    counts = np.bincount(objects.image * k + objects.label, minlength=scenes.images * k)
    return counts.reshape(scenes.images, k).astype(np.float64)


def rank_within(keys: Ints) -> Ints:
    """Place of each row among the rows of its key, from 0.

    Examples
    --------
    >>> rank_within(np.array([7, 3, 7, 7, 3])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    ranks = np.empty(len(keys), np.int64)
    ranks[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
    return ranks


def overall_name(names: Sequence[str]) -> str:
    """What stands for all classes together; another word where a class has that name (the leukaemia ALL).

    Examples
    --------
    >>> overall_name(["tumor"]), overall_name(["all", "hem"])
    ('all', 'all classes')
    """
    return OVERALL if OVERALL not in names else f"{OVERALL} classes"


def read_scenes(heading: str, truth: Padded, detections: Padded, classes: Sequence[str]) -> Scenes:
    """Read truth and detections that belong together.

    Parameters
    ----------
    heading : str
        What the error is headed with.
    truth : mapping
        ``boxes`` (images, m, 4), xyxy in pixels, and ``classes`` (images, m); padding has class -1.
    detections : mapping
        ``boxes`` (images, n, 4), ``scores`` (images, n) from 0 to 1 and ``classes`` (images, n); padding has class -1.
        Other keys are ignored.
    classes : sequence of str
        The k class names.

    Raises
    ------
    DataError
        With all faults: missing or misshapen arrays, no images, another number of images, boxes or scores that are
        not finite, truth with its corners the wrong way round, class ids or scores out of range, repeated names.

    Examples
    --------
    >>> truth = {"boxes": [[[0, 0, 4, 4]]], "classes": [[0]]}
    >>> found = {"boxes": [[[0, 0, 4, 3], [1, 1, 2, 2], [0, 0, 0, 0]]], "scores": [[0.2, 0.9, 0]]}
    >>> read_scenes("scores", truth, found | {"classes": [[0, 0, -1]]}, ["tumor"]).scores.tolist()
    [0.9, 0.2]
    """
    names, faults = check_classes(classes, len(classes))
    if not names:
        faults.append("classes: none; name at least one")
    given, array_faults = _arrays("truth", truth, ("boxes", "classes"))
    found, found_faults = _arrays("detections", detections, ("boxes", "classes", "scores"))
    faults += array_faults + found_faults
    if given and found and len(given["boxes"]) != len(found["boxes"]):
        faults.append(f"truth and detections: of {len(given['boxes'])} and {len(found['boxes'])} images; give the same")
    faults += _value_faults("truth", given, len(names)) + _value_faults("detections", found, len(names))
    if faults:
        raise DataError(heading, shortened(list(dict.fromkeys(faults))))
    return _flat(given, found, names)


def _arrays(name: str, table: Padded, keys: tuple[str, ...]) -> tuple[dict[str, Floats], list[str]]:
    """The arrays by key; none of them where one has a fault."""
    missing = [key for key in keys if key not in table]
    if missing:
        return {}, [f"{name}: without {' and '.join(map(repr, missing))}; found {', '.join(map(repr, table))}"]
    try:
        arrays = {key: np.asarray(table[key], dtype=np.float64) for key in keys}
    except (TypeError, ValueError) as error:
        return {}, [f"{name}: not arrays of numbers ({error})"]
    boxes = arrays["boxes"]
    if boxes.ndim != 3 or boxes.shape[2] != 4:
        return {}, [f"{name}: boxes have shape {boxes.shape}, expected (images, n, 4)"]
    if len(boxes) == 0:
        return {}, [f"{name}: no images; at least one is needed"]
    faults = [
        f"{name}: {key} have shape {arrays[key].shape}, expected {boxes.shape[:2]} as the boxes have"
        for key in keys[1:]
        if arrays[key].shape != boxes.shape[:2]
    ]
    return ({} if faults else arrays), faults


def _value_faults(name: str, arrays: dict[str, Floats], k: int) -> list[str]:
    if not arrays:
        return []
    boxes, labels = arrays["boxes"], arrays["classes"]
    real: Flags = labels != NO_CLASS
    unknown = real & ~((labels >= 0) & (labels < k) & (labels == np.floor(labels)))
    infinite = real & ~np.isfinite(boxes).all(axis=2)
    faults = _named(name, "class", labels, unknown, f"an integer from 0 to {k - 1}, or -1 for padding")
    faults += _named(name, "box", boxes, infinite, "finite pixels")
    if "scores" in arrays:
        scores = arrays["scores"]
        return faults + _named(name, "score", scores, real & ~((scores >= 0) & (scores <= 1)), "0 to 1")
    turned = real & ~infinite & (boxes[..., 2:] < boxes[..., :2]).any(axis=2)
    return faults + _named(name, "box", boxes, turned, "(xmin, ymin, xmax, ymax)")


def _named(name: str, what: str, values: Floats, wrong: Flags, expected: str) -> list[str]:
    places = np.argwhere(wrong)
    return [f"{name}: image {i} has {what} {_shown(values[i, j])}, expected {expected}" for i, j in places]


def _shown(value: Any) -> str:
    return "(" + ", ".join(f"{each:g}" for each in value) + ")" if np.ndim(value) else f"{value:g}"


def _flat(truth: dict[str, Floats], detections: dict[str, Floats], names: list[str]) -> Scenes:
    found = _objects(detections)
    scores = detections["scores"][found.image, found.place]
    order = np.argsort(-scores, kind="stable")
    found = found[order]
    rank = rank_within(found.image * len(names) + found.label)
    return Scenes(len(truth["boxes"]), names, _objects(truth), found, scores[order], rank)


def _objects(arrays: dict[str, Floats]) -> Objects:
    image, place = np.nonzero(arrays["classes"] != NO_CLASS)
    label = arrays["classes"][image, place].astype(np.int64)
    return Objects(image.astype(np.int64), label, arrays["boxes"][image, place], place.astype(np.int64))
