"""Single DICOM files by pydicom: an image, or a volume where the file has several frames."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

from tumorkeras.data.readers.dicom_geometry import Stack, frame_stack, pixel_spacing, step_between
from tumorkeras.data.readers.dicom_pixels import code_of, decode
from tumorkeras.data.readers.formats import FileFault, Format, Options, Reading, optional, with_notes
from tumorkeras.data.readers.limits import BYTES_A_PIXEL, MOST_PIXELS, SMALL_FILE
from tumorkeras.data.readers.quiet import quiet
from tumorkeras.errors import MissingExtraError

PREAMBLE, MARK = 128, b"DICM"
META_ROOM = 2**16
SYNTAX = b"\x10\0"  # element of the transfer syntax in the group of the file meta information
DEFLATED = "1.2.840.10008.1.2.1.99"
DIRECTORY = "1.2.840.10008.1.3.10"
LONG_LENGTHS = {b"OB", b"OW", b"UN", b"UT", b"SQ", b"OF", b"OD", b"OL"}
# The first elements of a file of old that has no preamble.
FIRST_ELEMENTS = {bytes([group, 0, element, 0]) for group in (2, 8) for element in (0, 1, 2, 5, 8, 0x12, 0x16, 0x18)}
IDENTIFYING = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "AccessionNumber", "StudyID",
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "StudyDate", "SeriesDate", "AcquisitionDate",
    "StudyTime", "InstitutionName", "ReferringPhysicianName", "StationName", "StudyDescription", "SeriesDescription",
)  # fmt: skip
HARMLESS = {"modality": "Modality", "body_part": "BodyPartExamined", "photometric": "PhotometricInterpretation"}


def read_dicom(path: Path, options: Options) -> Reading:
    """An image (height, width, channels), or (frames, height, width, channels) where there are several frames.

    Stored numbers are rescaled by slope and intercept or by the table of the file (float32 where that changes them),
    MONOCHROME1 is inverted among the values that its bits allow, YBR and palette colours become RGB. The display
    window is not applied. Frames that name their positions are ordered along the normal; a loop over time keeps its
    order, its spacing is None, and its pixels' is ``metadata["pixel_spacing"]``.

    Raises
    ------
    FileFault
        If there is no pixel data, it is truncated, too large, or packed in a way that cannot be decoded.
    MissingExtraError
        If pydicom or the package that unpacks the pixels is missing.
    """
    dataset = open_dataset(path, options.max_pixels)
    values, notes = decode(dataset, options.max_pixels)
    metadata = metadata_of(dataset, options.identifying)
    in_plane = pixel_spacing(dataset, notes)
    if "NumberOfFrames" not in dataset or len(values) == 1:
        return Reading(values[0], in_plane, with_notes(metadata, notes))
    stack = frame_stack(dataset, len(values), notes) or Stack(None, step_between(dataset))
    if stack.order is not None:
        values = values[stack.order]
    spacing = None if in_plane is None or stack.step is None else (stack.step, *in_plane)
    metadata |= {"frames": len(values), "fps": frame_rate(dataset)}
    if spacing is None and in_plane is not None:
        metadata["pixel_spacing"] = in_plane
    return Reading(values, spacing, with_notes(metadata, notes))


def open_dataset(path: Path, max_pixels: int, *, header_only: bool = False, tags: list[str] | None = None) -> Any:
    """A dataset, once it is sure not to unpack without end.

    Raises
    ------
    FileFault
        If the file is no DICOM, truncated, or an index of other files.
    """
    pydicom = optional("pydicom")
    _check_deflated(path, max_pixels)
    try:
        with path.open("rb") as file:
            marked = file.read(PREAMBLE + len(MARK)).endswith(MARK)
        dataset = pydicom.dcmread(
            path, force=not marked, stop_before_pixels=header_only, specific_tags=tags and [*tags, "NumberOfFrames"]
        )
    except EOFError:
        raise FileFault("is truncated: a value ends before its length") from None
    if dataset.file_meta.get("MediaStorageSOPClassUID") == DIRECTORY:
        raise FileFault("is a DICOMDIR, an index; give the files that it lists")
    if not marked and len(dataset) < 3:
        raise FileFault("is named like DICOM, but its content is something else")
    return dataset


def header_value(path: Path, tag: str) -> Any:
    """The value of one tag, without reading pixels; None where the file has none or cannot be read.

    Raises
    ------
    MissingExtraError
        If pydicom is not installed.
    """
    try:
        with quiet():
            return open_dataset(path, MOST_PIXELS, header_only=True, tags=[tag]).get(tag)
    except MissingExtraError:
        raise
    except Exception:  # decoders of damaged files raise what they please; `read` says what is wrong
        return None


def _check_deflated(path: Path, max_pixels: int) -> None:
    """Refuse a deflated file that grows beyond any image: pydicom unpacks it whole, before a tag is read."""
    with path.open("rb") as file:
        head = file.read(META_ROOM)
    place, syntax = PREAMBLE + len(MARK), b""
    while head[place : place + 2] == b"\2\0":
        tag, long = head[place + 2 : place + 4], head[place + 4 : place + 6] in LONG_LENGTHS
        length = int.from_bytes(head[place + 8 : place + 12] if long else head[place + 6 : place + 8], "little")
        place += 12 if long else 8
        syntax = head[place : place + length] if tag == SYNTAX else syntax
        place += length
    if place >= len(head) == META_ROOM:
        raise FileFault("its file meta information is longer than any can be")
    if syntax.rstrip(b"\0 ").decode("ascii", "replace") != DEFLATED:
        return
    most = max(SMALL_FILE, BYTES_A_PIXEL * max_pixels)
    unpacked, stream = 0, zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as file:
        file.seek(place)
        packed = file.read(2**20)
        while packed:
            unpacked += len(stream.decompress(packed, 2**24))
            if unpacked > most:
                raise FileFault(f"unpacks to more than {most:,} bytes; the limit on pixels is {max_pixels:,}")
            packed = stream.unconsumed_tail or file.read(2**20)


def metadata_of(dataset: Any, identifying: bool) -> dict[str, Any]:
    """What a dataset says of itself; whom it shows only where that is asked for."""
    metadata: dict[str, Any] = {"format": "dicom", "bits": int(dataset.get("BitsStored") or dataset.BitsAllocated)}
    metadata |= {name: code for name, tag in HARMLESS.items() if (code := code_of(dataset, tag))}
    if identifying:
        metadata["identifying"] = {tag: str(dataset.get(tag)) for tag in IDENTIFYING if dataset.get(tag)}
    return metadata


def frame_rate(dataset: Any) -> float | None:
    """Frames a second of a loop; None where the file does not say."""
    for tag, rate in (("FrameTime", lambda ms: 1000 / ms), ("CineRate", float), ("RecommendedDisplayFrameRate", float)):
        try:
            return float(rate(float(dataset.get(tag))))
        except (TypeError, ValueError, ZeroDivisionError):
            continue
    return None


def is_dicom(head: bytes) -> bool:
    """Whether a file starts like DICOM, with its preamble or, as files of old, without."""
    if head[PREAMBLE : PREAMBLE + len(MARK)] == MARK:
        return True
    if head[:4] not in FIRST_ELEMENTS:
        return False
    return head[4:6].isalpha() or int.from_bytes(head[4:8], "little") <= 64


FORMATS = (Format("dicom", (".dcm", ".dicom", ".ima"), is_dicom, read_dicom, ("image", "volume")),)
