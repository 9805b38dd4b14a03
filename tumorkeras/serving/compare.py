"""Whether an export answers as the model did, and as a signature must: NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]

#: Largest absolute difference of a probability that still counts as the same answer.
PROBABILITY_TOLERANCE = 1e-5
#: The same for the entropy of probabilities, in nats: their logarithms are up to 16.
ENTROPY_TOLERANCE = 2e-4
#: The same for other outputs, relative to the largest value of the output.
RELATIVE_TOLERANCE = 1e-4
#: The same for the sides of a detection, in pixels, and for its score.
BOX_TOLERANCE, SCORE_TOLERANCE = 1e-3, 1e-5

#: Two probabilities this close may change places.
TIE = 2e-5

DETECTION = ("boxes", "scores", "classes", "num_detections")


def is_detection(outputs: Arrays) -> bool:
    """Whether these are the outputs of a detector.

    Examples
    --------
    >>> is_detection({"probabilities": np.ones((1, 2))})
    False
    """
    return set(DETECTION) <= set(outputs)


def compare(found: Arrays, expected: Arrays, batch: int) -> tuple[dict[str, float], list[str]]:
    """Hold the answer to a batch against what was expected of it.

    Probabilities and their standard deviations may differ by 1e-5, entropies by 2e-4, other floats by 1e-4 of the
    largest value, integers and strings not at all, but for the ``class_id``, with its ``class_name``, of a row whose
    two largest probabilities are within 2e-5 of each other. Detections are compared as :func:`unmatched` has it, and
    their names by their classes.

    Parameters
    ----------
    found, expected : mapping of str to ndarray
        Output -> array (batch, ...); ``expected`` may leave out any. Strings are object arrays of bytes.
    batch : int

    Returns
    -------
    differences : dict of str to float
        The largest of each output that was compared; strings have none.
    faults : list of str

    Examples
    --------
    >>> compare({"mean": np.array([0.5])}, {"mean": np.array([0.25])}, 1)
    ({'mean': 0.25}, ["'mean' is 0.25 off, expected 2.5e-05 at most"])
    """
    faults = list(_output_faults(found, batch))
    faults += [f"output {name!r} is missing" for name in sorted(set(expected) - set(found))]
    both = sorted(set(expected) & set(found))
    odd = [name for name in both if found[name].shape != expected[name].shape]
    faults += [f"{name!r} has the shape {found[name].shape}, expected {expected[name].shape}" for name in odd]
    if odd:
        return {}, faults
    found, expected = ({name: given[name] for name in both} for given in (found, expected))
    differences: dict[str, float] = {}
    if is_detection(expected):
        differences, more = _compare_detections(found, expected)
        faults += more
        both = [name for name in both if name not in (*DETECTION, "class_name")]
    ties = _near_ties(found)
    for name in both:
        values = found[name].copy()
        if name in ("class_id", "class_name") and len(ties) == len(values):
            values[ties] = expected[name][ties]
        difference, fault = _difference(name, values, expected[name])
        differences |= {} if difference is None else {name: difference}
        faults += [] if fault is None else [fault]
    return differences, faults


def _output_faults(outputs: Arrays, batch: int) -> Iterator[str]:
    for name, value in sorted(outputs.items()):
        if len(value) != batch:
            yield f"{name!r} has {len(value)} rows, expected {batch}"
        elif value.dtype.kind == "f" and not np.isfinite(value).all():
            yield f"{name!r} holds values that are not finite"
    if {"class_id", "probabilities"} <= set(outputs):
        # Not the most probable one: a threshold may be in the graph, and -1 is a row without an answer.
        classes = outputs["probabilities"].shape[-1]
        if ((outputs["class_id"] < -1) | (outputs["class_id"] >= classes)).any():
            yield f"'class_id' holds {np.unique(outputs['class_id']).tolist()}, expected -1 to {classes - 1}"
    if is_detection(outputs):
        padding = np.arange(outputs["scores"].shape[1]) >= outputs["num_detections"][:, None]
        if not np.array_equal(outputs["classes"] < 0, padding):
            yield "'classes' are not -1 from 'num_detections' on, and there alone"


def _near_ties(outputs: Arrays) -> np.ndarray:
    """Rows whose most probable class hangs on the last digits; none where that cannot be told."""
    probabilities = outputs.get("probabilities", np.empty((0, 0)))
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        return np.zeros(len(probabilities), dtype=bool)
    second, first = np.sort(probabilities.astype(np.float64), axis=1)[:, -2:].T
    return first - second <= TIE


def _difference(name: str, found: np.ndarray, expected: np.ndarray) -> tuple[float | None, str | None]:
    if expected.dtype.kind in "OSU":
        wrong = np.flatnonzero((found.astype(object) != expected.astype(object)).reshape(len(found), -1).any(axis=1))
        if not len(wrong):
            return None, None
        row = wrong[0]
        return None, f"{name!r} of row {row} is {found[row]!r}, expected {expected[row]!r}; {len(wrong)} rows differ"
    with np.errstate(invalid="ignore"):
        difference = float(np.max(np.abs(found.astype(np.float64) - expected), initial=0.0))
    allowed = _tolerance(name, expected)
    # NaN is no agreement, and float64 does not tell large integers apart.
    if difference <= allowed and (allowed or np.array_equal(found, expected)):
        return difference, None
    return difference, f"{name!r} is {difference:.2g} off, expected {allowed:.2g} at most"


def _tolerance(name: str, expected: np.ndarray) -> float:
    if expected.dtype.kind != "f":
        return 0.0
    if name in ("probabilities", "std"):
        return PROBABILITY_TOLERANCE
    if name in ("entropy", "mutual_information"):
        return ENTROPY_TOLERANCE
    return RELATIVE_TOLERANCE * float(np.max(np.abs(expected), initial=0.0)) + 1e-7


# -------------------------------------------------------------------------------------------------------- detections


class Unmatched(NamedTuple):
    """How two lists of detections in one image differ.

    Attributes
    ----------
    first, second : int
        Detections of each list that have no counterpart in the other.
    boxes, scores : float
        The largest difference between counterparts, in pixels and of the score.
    """

    first: int
    second: int
    boxes: float
    scores: float


def unmatched(first: Arrays, second: Arrays) -> Unmatched:
    """Look for the counterpart of each detection, whatever the order: detections that tie may have changed places.

    A counterpart has the same class, no side more than 0.001 px away, and a score that differs by 1e-5 at most; each
    detection is the counterpart of one.

    Parameters
    ----------
    first, second : mapping of str to ndarray
        ``boxes`` (n, 4), ``scores`` (n,), ``classes`` (n,), padded with class -1.

    Examples
    --------
    >>> boxes, scores = np.array([[0, 0, 4, 4], [8, 8, 9, 9.0]]), np.array([0.5, 0.5])
    >>> first = {"boxes": boxes, "scores": scores, "classes": np.array([1, 0])}
    >>> unmatched(first, {name: values[::-1] for name, values in first.items()})
    Unmatched(first=0, second=0, boxes=0.0, scores=0.0)
    """
    (boxes, scores, classes), (others, their_scores, their_classes) = _real(first), _real(second)
    sides = np.abs(boxes[:, None] - others[None]).max(axis=-1, initial=0)
    gaps = np.abs(scores[:, None] - their_scores[None])
    near = (sides <= BOX_TOLERANCE) & (gaps <= SCORE_TOLERANCE) & (classes[:, None] == their_classes[None])
    free, matched = np.ones(len(others), dtype=bool), []
    for row in range(len(boxes)):
        candidates = np.flatnonzero(near[row] & free)
        if len(candidates):
            chosen = candidates[sides[row, candidates].argmin()]
            free[chosen] = False
            matched.append((sides[row, chosen], gaps[row, chosen]))
    count = len(matched)
    largest = np.max(matched, axis=0, initial=0.0) if matched else np.zeros(2)
    return Unmatched(len(boxes) - count, len(others) - count, *map(float, largest))


def _real(given: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    real = given["classes"] >= 0
    return given["boxes"][real].astype("float64"), given["scores"][real].astype("float64"), given["classes"][real]


def image_of(detections: Arrays, row: int) -> dict[str, np.ndarray]:
    """The detections of one image of a batch."""
    return {name: detections[name][row] for name in DETECTION}


def _compare_detections(found: Arrays, expected: Arrays) -> tuple[dict[str, float], list[str]]:
    faults, largest = [], {"boxes": 0.0, "scores": 0.0}
    for row in range(len(expected["scores"])):
        result = unmatched(image_of(found, row), image_of(expected, row))
        largest = {name: max(value, getattr(result, name)) for name, value in largest.items()}
        if result.first or result.second:
            counts = [int((given["classes"][row] >= 0).sum()) for given in (found, expected)]
            faults.append(
                f"image {row}: {result.first} of {counts[0]} detections are not among the {counts[1]} expected ones, "
                f"and {result.second} of these are missing (within {BOX_TOLERANCE:g} px, score {SCORE_TOLERANCE:g})"
            )
    return largest, faults + _name_faults(found, expected)


def _name_faults(found: Arrays, expected: Arrays) -> list[str]:
    """Detections may have changed places, so their names are held to those of the same class."""
    if "class_name" not in expected:
        return []
    names, wanted = (_names_of_classes(given) for given in (found, expected))
    return [
        f"'class_name' of class {number} is {names[number]}, expected {wanted[number]}"
        for number in sorted(set(names) & set(wanted))
        if names[number] != wanted[number]
    ]


def _names_of_classes(given: Arrays) -> dict[int, list[bytes]]:
    pairs = sorted(set(zip(given["classes"].ravel().tolist(), given["class_name"].ravel(), strict=True)))
    return {number: [name for other, name in pairs if other == number] for number, _ in pairs}
