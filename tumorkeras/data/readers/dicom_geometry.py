"""Where DICOM pixels and slices lie: spacing in the plane, order and distance of slices along their normal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
POSITION = ("PlanePositionSequence", "ImagePositionPatient", 3)
DIRECTION = ("PlaneOrientationSequence", "ImageOrientationPatient", 6)
CENTIMETRES, TWO_DIMENSIONAL = 3, 1  # of an ultrasound region: unit and kind
ALIKE = 1e-3  # cosines and millimetres that differ less are rounded differently
UNEVEN, NOTICEABLE = 0.2, 0.01  # share of the usual gap by which one is a fault, or worth a note
SHEARED = 0.05  # share of the gap by which a slice lies beside the normal


class Stack(NamedTuple):
    """Order of slices from one end to the other (None: as stored), and millimetres between them.

    Examples
    --------
    >>> Stack(np.array([1, 0]), 2.5).step
    2.5
    """

    order: np.ndarray | None
    step: float | None


def numbers(dataset: Any, tag: str, count: int) -> tuple[float, ...] | None:
    """Finite numbers of a tag; None where it is absent, has another count or no numbers."""
    try:
        values = tuple(float(value) for value in dataset.get(tag) or ())
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and all(map(math.isfinite, values)) else None


def _steps(dataset: Any, tag: str) -> tuple[float, float] | None:
    found = numbers(dataset, tag, 2)
    return (found[0], found[1]) if found and min(found) > 0 else None


def pixel_spacing(dataset: Any, notes: list[str]) -> tuple[float, float] | None:
    """Millimetres between rows and between columns."""
    for part in (dataset, *_measures(dataset)):
        if steps := _steps(part, "PixelSpacing"):
            return steps
    for tag, words in (
        ("ImagerPixelSpacing", "spacing is that of the detector: what lies in the body is smaller"),
        ("NominalScannedPixelSpacing", "spacing is that of the scanned film"),
    ):
        if steps := _steps(dataset, tag):
            notes.append(words)
            return steps
    return _ultrasound_spacing(dataset, notes)


def _measures(dataset: Any) -> list[Any]:
    """The pixel measures that all frames share, or of the first frame."""
    found = []
    for groups in (SHARED, PER_FRAME):
        group = (dataset.get(groups) or [None])[0]
        measures = group.get("PixelMeasuresSequence") if group is not None else None
        found += list(measures or [])[:1]
    return found


def _ultrasound_spacing(dataset: Any, notes: list[str]) -> tuple[float, float] | None:
    steps = {step for region in dataset.get("SequenceOfUltrasoundRegions") or [] if (step := _region_step(region))}
    if len(steps) > 1:
        notes.append("its ultrasound regions have different spacings: none taken")
    return steps.pop() if len(steps) == 1 else None


def _region_step(region: Any) -> tuple[float, float] | None:
    units = [region.get(f"PhysicalUnits{axis}Direction") for axis in "YX"]
    if units != [CENTIMETRES, CENTIMETRES] or region.get("RegionSpatialFormat") != TWO_DIMENSIONAL:
        return None
    down, across = (abs(float(region.get(f"PhysicalDelta{axis}") or 0)) * 10 for axis in "YX")
    return (round(down, 9), round(across, 9)) if down > 0 and across > 0 else None


def step_between(dataset: Any) -> float | None:
    """Millimetres between slices as the file says, where no positions tell."""
    for part in (dataset, *_measures(dataset)):
        for tag in ("SpacingBetweenSlices", "SliceThickness"):
            try:
                step = abs(float(part.get(tag) or 0))
            except (TypeError, ValueError):
                continue
            if math.isfinite(step) and step > 0:
                return step
    return None


def frame_stack(dataset: Any, frames: int, notes: list[str]) -> Stack | None:
    """Order of the frames of a file that names where each lies; None where it does not, or several share a place."""
    groups = dataset.get(PER_FRAME) or []
    shared = dataset.get(SHARED) or [None]
    places = [_inner(group, *POSITION) for group in groups]
    if len(places) != frames or not all(places):
        return None
    turns = [_inner(group, *DIRECTION) or _inner(shared[0], *DIRECTION) for group in groups]
    if not all(turns) or np.ptp(np.array(turns), axis=0).max() > ALIKE:
        notes.append("frames lie in different directions: kept in their order")
        return None
    stack, faults = stack_of(np.array(places), np.array(turns[0]), [f"frame {k + 1}" for k in range(frames)], notes)
    if faults:
        notes.append("frames do not lie evenly: kept in their order")
        return None
    return stack


def placed(dataset: Any, sequence: str, tag: str, count: int) -> tuple[float, ...] | None:
    """Numbers that say where a file with one frame lies, in the header or in its functional groups."""
    groups = [(dataset.get(name) or [None])[0] for name in (PER_FRAME, SHARED)]
    found = (_inner(group, sequence, tag, count) for group in groups)
    return numbers(dataset, tag, count) or next((values for values in found if values), None)


def _inner(group: Any, sequence: str, tag: str, count: int) -> tuple[float, ...] | None:
    found = group.get(sequence) if group is not None else None
    return numbers(found[0], tag, count) if found else None


def stack_of(
    places: np.ndarray, directions: np.ndarray, names: Sequence[str], notes: list[str]
) -> tuple[Stack, list[str]]:
    """Slices put in order along the normal of their rows and columns.

    Parameters
    ----------
    places : ndarray, shape (n, 3)
        ImagePositionPatient, millimetres.
    directions : ndarray, shape (6,)
        ImageOrientationPatient.
    names : sequence of str
        What the faults call the slices.
    notes : list of str
        Takes what is odd, but no fault.

    Returns
    -------
    Stack
        The step is the mean gap; None for one slice.
    faults : list of str
        Slices at one place, and gaps that differ from the usual one.

    Examples
    --------
    >>> axial = np.array([1, 0, 0, 0, 1, 0])
    >>> stack, faults = stack_of(np.array([[0, 0, 5], [0, 0, 0], [0, 0, 2.5]]), axial, "abc", [])
    >>> stack.order.tolist(), stack.step, faults
    ([1, 2, 0], 2.5, [])
    """
    normal = np.cross(directions[:3], directions[3:])
    along = places @ normal / np.linalg.norm(normal)
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    if not len(gaps):
        return Stack(order, None), []
    usual = float(np.median(gaps))
    pairs = [f"{names[a]} and {names[b]}" for a, b in pairwise(order)]
    same = [f"{pairs[k]} lie at one place; keep one phase or repetition" for k in np.flatnonzero(gaps < ALIKE)]
    if same:
        return Stack(order, usual), same
    away = np.abs(gaps - usual) / usual
    faults = [f"{pairs[k]} are {gaps[k]:g} mm apart, most are {usual:g} mm" for k in np.flatnonzero(away > UNEVEN)]
    if NOTICEABLE < away.max() <= UNEVEN:
        notes.append(f"gaps between slices differ by up to {away.max():.0%}: their mean is taken")
    _note_shear(places[order], along[order], normal, notes)
    return Stack(order, float(gaps.mean())), faults


def _note_shear(places: np.ndarray, along: np.ndarray, normal: np.ndarray, notes: list[str]) -> None:
    """Say that slices do not lie above one another, as with a tilted gantry."""
    unit = normal / np.linalg.norm(normal)
    beside = np.linalg.norm((places - places[0]) - np.outer(along - along[0], unit), axis=1)
    if beside.max() > SHEARED * (along[-1] - along[0]):
        notes.append("slices are shifted against one another (tilted gantry): not resampled")
