"""Whether an export answers as the model did, and as a signature must: NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]
Outputs = dict[str, dict[str, np.ndarray]]
"""Signature -> output -> array."""

#: Largest absolute difference of a probability that still counts as the same answer.
PROBABILITY_TOLERANCE = 1e-5
#: The same for other outputs, relative to the largest value of the output.
RELATIVE_TOLERANCE = 1e-4
#: The same for the sides of a detection, in pixels, and for its score.
BOX_TOLERANCE, SCORE_TOLERANCE = 1e-3, 1e-5

DETECTION = ("boxes", "scores", "classes", "num_detections")


def is_detection(outputs: Arrays) -> bool:
    """Whether these are the outputs of a detector.

    Examples
    --------
    >>> is_detection({"probabilities": np.ones((1, 2))})
    False
    """
    return set(DETECTION) <= set(outputs)


def compare(found: Arrays, expected: Arrays, batch: int) -> tuple[float | None, list[str]]:
    """Hold the answer to a batch against what was expected of it.

    Probabilities may differ by 1e-5, other floats by 1e-4 of the largest value, integers not at all; detections as
    :func:`unmatched` has it.

    Parameters
    ----------
    found, expected : mapping of str to ndarray
        Output -> array (batch, ...); ``expected`` may leave out any.
    batch : int

    Returns
    -------
    difference : float or None
        The largest; None where nothing was compared.
    faults : list of str
    """
    faults = list(_output_faults(found, batch))
    faults += [f"output {name!r} is missing" for name in sorted(set(expected) - set(found))]
    both = sorted(set(expected) & set(found))
    odd = [name for name in both if found[name].shape != expected[name].shape]
    faults += [f"{name!r} has the shape {found[name].shape}, expected {expected[name].shape}" for name in odd]
    differences = []
    if not odd and is_detection({name: expected[name] for name in both}):
        difference, more = _compare_detections(found, expected)
        differences.append(difference)
        faults += more
        both = [name for name in both if name not in DETECTION]
    for name in [name for name in both if name not in odd]:
        difference = float(np.max(np.abs(found[name].astype(np.float64) - expected[name]), initial=0.0))
        differences.append(difference)
        allowed = _tolerance(name, expected[name])
        if not difference <= allowed:  # NaN is no agreement.
            faults.append(f"{name!r} is {difference:.2g} off, expected {allowed:.2g} at most")
    return max(differences, default=None), faults


def _output_faults(outputs: Arrays, batch: int) -> Iterator[str]:
    for name, value in sorted(outputs.items()):
        if len(value) != batch:
            yield f"{name!r} has {len(value)} rows, expected {batch}"
        elif value.dtype.kind == "f" and not np.isfinite(value).all():
            yield f"{name!r} holds values that are not finite"
    if {"class_id", "probabilities"} <= set(outputs) and not np.array_equal(
        outputs["class_id"], outputs["probabilities"].argmax(-1)
    ):
        yield "'class_id' is not the most probable class"
    if is_detection(outputs):
        padding = np.arange(outputs["scores"].shape[1]) >= outputs["num_detections"][:, None]
        if not np.array_equal(outputs["classes"] < 0, padding):
            yield "'classes' are not -1 from 'num_detections' on, and there alone"


def _tolerance(name: str, expected: np.ndarray) -> float:
    if expected.dtype.kind != "f":
        return 0.0
    if name == "probabilities":
        return PROBABILITY_TOLERANCE
    return RELATIVE_TOLERANCE * float(np.max(np.abs(expected), initial=0.0)) + 1e-7


# -------------------------------------------------------------------------------------------------------- detections


class Unmatched(NamedTuple):
    """How two lists of detections in one image differ.

    Attributes
    ----------
    first, second : int
        Detections of each list that have no counterpart in the other.
    difference : float
        The largest between counterparts, in pixels or of the score.
    """

    first: int
    second: int
    difference: float


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
    Unmatched(first=0, second=0, difference=0.0)
    """
    (boxes, scores, classes), (others, their_scores, their_classes) = _real(first), _real(second)
    sides = np.abs(boxes[:, None] - others[None]).max(axis=-1, initial=0)
    gaps = np.abs(scores[:, None] - their_scores[None])
    near = (sides <= BOX_TOLERANCE) & (gaps <= SCORE_TOLERANCE) & (classes[:, None] == their_classes[None])
    free, largest, matched = np.ones(len(others), dtype=bool), 0.0, 0
    for row in range(len(boxes)):
        candidates = np.flatnonzero(near[row] & free)
        if len(candidates):
            chosen = candidates[sides[row, candidates].argmin()]
            free[chosen] = False
            matched += 1
            largest = max(largest, float(sides[row, chosen]), float(gaps[row, chosen]))
    return Unmatched(len(boxes) - matched, len(others) - matched, largest)


def _real(given: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    real = given["classes"] >= 0
    return given["boxes"][real].astype("float64"), given["scores"][real].astype("float64"), given["classes"][real]


def image_of(detections: Arrays, row: int) -> dict[str, np.ndarray]:
    """The detections of one image of a batch."""
    return {name: detections[name][row] for name in DETECTION}


def _compare_detections(found: Arrays, expected: Arrays) -> tuple[float, list[str]]:
    faults, largest = [], 0.0
    for row in range(len(expected["scores"])):
        result = unmatched(image_of(found, row), image_of(expected, row))
        largest = max(largest, result.difference)
        if result.first or result.second:
            counts = [int((given["classes"][row] >= 0).sum()) for given in (found, expected)]
            faults.append(
                f"image {row}: {result.first} of {counts[0]} detections are not among the {counts[1]} expected ones, "
                f"and {result.second} of these are missing (within {BOX_TOLERANCE:g} px, score {SCORE_TOLERANCE:g})"
            )
    return largest, faults
