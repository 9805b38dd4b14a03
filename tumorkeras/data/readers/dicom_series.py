"""A folder with one DICOM series as one volume, its slices in order of their position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tumorkeras.data.readers.dicom import IDENTIFYING, is_dicom, metadata_of, open_dataset, read_dicom
from tumorkeras.data.readers.dicom_geometry import (
    ALIKE,
    DIRECTION,
    PER_FRAME,
    POSITION,
    SHARED,
    Stack,
    pixel_spacing,
    placed,
    stack_of,
    step_between,
)
from tumorkeras.data.readers.dicom_pixels import code_of, decode, rescales
from tumorkeras.data.readers.formats import FileFault, Options, Reading, with_notes
from tumorkeras.data.readers.limits import check_file, check_pixels

HEAD = 256
INDEX = "DICOMDIR"
MOST_FAULTS = 10
TAGS = [
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation", "SeriesInstanceUID",
    "PhotometricInterpretation", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "SpacingBetweenSlices",
    "SliceThickness", "Modality", "BodyPartExamined", "SequenceOfUltrasoundRegions",
    SHARED, PER_FRAME,
]  # fmt: skip


class Slice(NamedTuple):
    """A file of a series and its header."""

    path: Path
    header: Any


def holds_series(folder: Path) -> bool:
    """Whether a DICOM file lies in the folder itself."""
    return any(True for _ in _dicom_files(folder, []))


def read_folder(folder: Path, options: Options) -> Reading:
    """The volume (depth, height, width, channels) of the one series in a folder.

    Slices are ordered along the normal of their rows and columns, for axial ones from feet to head. The distance
    between them is measured from their positions. Slices without any position keep the order of their numbers.

    Raises
    ------
    FileFault
        If there is no DICOM file, several series, slices of different sizes or directions, two at one place, or a gap:
        with the names of the files.
    """
    left_out: list[str] = []
    paths = list(_dicom_files(folder, left_out))
    if not paths:
        raise FileFault("is a folder without DICOM files; give a file, or a folder that holds one DICOM series")
    notes = [f"files left out, as they are no DICOM: {len(left_out)}"] if left_out else []
    if len(paths) == 1:
        return _single(paths[0], options, notes)
    slices = _headers(paths, options, notes)
    _check_alike(slices)
    first = slices[0].header
    check_pixels((len(slices), int(first.Rows), int(first.Columns)), options.max_pixels)
    stack = _stack(slices, notes)
    if stack.order is not None:
        slices = [slices[k] for k in stack.order]
    array = _values(slices, options, notes)
    metadata = metadata_of(first, options.identifying) | {"slices": len(slices)}
    in_plane = pixel_spacing(first, notes)
    spacing = None if in_plane is None or stack.step is None else (stack.step, *in_plane)
    if spacing is None and in_plane is not None:
        metadata["pixel_spacing"] = in_plane
    return Reading(array, spacing, with_notes(metadata, notes))


def _dicom_files(folder: Path, left_out: list[str]) -> Iterator[Path]:
    """DICOM files of the folder itself, by name; others are named in ``left_out``."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.upper() == INDEX or not path.is_file():
            continue
        with path.open("rb") as file:
            found = is_dicom(file.read(HEAD))
        if found or path.suffix.lower() in (".dcm", ".dicom", ".ima"):
            yield path
        else:
            left_out.append(path.name)


def _single(path: Path, options: Options, notes: list[str]) -> Reading:
    """The one file of a folder as a volume, of one slice where it has one frame."""
    check_file(path, options.max_pixels)
    array, spacing, metadata = read_dicom(path, options)
    metadata = with_notes(metadata, notes + metadata.get("notes", []))
    if array.ndim == 4:
        return Reading(array, spacing, metadata)
    step = step_between(open_dataset(path, options.max_pixels, header_only=True, tags=TAGS))
    return Reading(array[None], None if spacing is None or step is None else (step, *spacing), metadata)


def _headers(paths: list[Path], options: Options, notes: list[str]) -> list[Slice]:
    """Headers of all files; every file that cannot be read is named."""
    slices, without, faults = [], 0, []
    tags = [*TAGS, *(IDENTIFYING if options.identifying else ())]
    for path in paths:
        try:
            check_file(path, options.max_pixels)
            header = open_dataset(path, options.max_pixels, header_only=True, tags=tags)
        except FileFault as error:
            faults += [f"{path.name}: {fault}" for fault in error.faults]
            continue
        if not header.get("Rows") or not header.get("Columns"):
            if _should_be_image(header):
                faults.append(f"{path.name}: is damaged: it says that it is an image, and not of which size")
            else:
                without += 1
        elif int(header.get("NumberOfFrames") or 1) > 1:
            faults.append(f"{path.name}: has several frames, a volume of its own; give it by itself")
        else:
            slices.append(Slice(path, header))
    if without:
        notes.append(f"files left out, as they have no pixel data: {without}")
    if not faults and not slices:
        faults = ["holds no DICOM file with pixel data"]
    if faults:
        raise FileFault(*_first(faults))
    return slices


def _should_be_image(header: Any) -> bool:
    """Whether a file is of a kind that has pixels, such as "CT Image Storage"; reports and states have none."""
    kind = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    return kind is not None and "Image" in kind.name


def _first(faults: list[str]) -> list[str]:
    more = len(faults) - MOST_FAULTS
    return faults if more <= 0 else [*faults[:MOST_FAULTS], f"and {more} more"]


def _check_alike(slices: list[Slice]) -> None:
    """Refuse slices that are not of one series and one geometry; all differences are named at once."""
    faults = [
        fault
        for what, key in (
            ("series", lambda header: str(header.get("SeriesInstanceUID"))),
            ("size", lambda header: f"{int(header.Columns)} x {int(header.Rows)}"),
            ("kind of pixels", _kind),
            ("pixel spacing", lambda header: tuple(round(step, 4) for step in pixel_spacing(header, []) or ())),
            ("direction", _direction),
        )
        if (fault := _difference(slices, what, key))
    ]
    if faults:
        raise FileFault(*faults)


def _kind(header: Any) -> str:
    signed = "signed" if header.get("PixelRepresentation") else "unsigned"
    return f"{code_of(header, 'PhotometricInterpretation')} {int(header.BitsAllocated)} bit {signed}"


def _direction(header: Any) -> tuple[float, ...]:
    cosines = placed(header, *DIRECTION)
    return () if cosines is None else tuple(round(value, 2) + 0.0 for value in cosines)  # no -0


def _difference(slices: list[Slice], what: str, key: Callable[[Any], Hashable]) -> str | None:
    """How slices differ in one thing, in words with an example of each; None where they do not."""
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for path, header in slices:
        groups[key(header)].append(path.name)
    if len(groups) == 1:
        return None
    # What tells a series is a number that may lead to the patient: it stays here.
    words = [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"
        + ("" if what == "series" else f": {_words(value)}")
        for value, names in groups.items()
    ]
    return f"more than one {what} ({'; '.join(_first(words))}); keep one in a folder"


def _words(value: Hashable) -> str:
    return (" x ".join(map(str, value)) or "not given") if isinstance(value, tuple) else str(value)


def _stack(slices: list[Slice], notes: list[str]) -> Stack:
    """Order of the slices and their distance."""
    places = [placed(header, *POSITION) for _, header in slices]
    directions = placed(slices[0].header, *DIRECTION)
    if directions is None or not any(places):
        return _numbered(slices, notes)
    lost = [path.name for (path, _), place in zip(slices, places, strict=True) if place is None]
    if lost:
        raise FileFault(*_first([f"{name}: has no ImagePositionPatient, the others have one" for name in lost]))
    if np.linalg.norm(np.cross(directions[:3], directions[3:])) < ALIKE:
        raise FileFault("ImageOrientationPatient is no pair of directions; the headers are damaged")
    stack, faults = stack_of(np.array(places), np.array(directions), [path.name for path, _ in slices], notes)
    if faults:
        raise FileFault(*_first(faults))
    return stack


def _numbered(slices: list[Slice], notes: list[str]) -> Stack:
    found = [header.get("InstanceNumber") for _, header in slices]
    if any(number is None for number in found) or len(set(found)) < len(found):
        raise FileFault("its slices have neither positions nor numbers (InstanceNumber) of their own to order them by")
    notes.append("slices without positions: in the order of their numbers")
    return Stack(np.argsort([int(number) for number in found], kind="stable"), step_between(slices[0].header))


def _values(slices: list[Slice], options: Options, notes: list[str]) -> np.ndarray:
    """Values of all slices; float32 where any of them is rescaled."""
    rescaled = any(rescales(header, 1) != [(1, 0)] for _, header in slices)
    array = np.empty(0)
    for place, (path, _) in enumerate(slices):
        try:
            values, more = decode(open_dataset(path, options.max_pixels), options.max_pixels)
        except FileFault as error:
            raise FileFault(*(f"{path.name}: {fault}" for fault in error.faults)) from None
        if place == 0:
            array = np.empty((len(slices), *values.shape[1:]), np.float32 if rescaled else values.dtype)
            notes += more
        array[place] = values[0]
    return array
