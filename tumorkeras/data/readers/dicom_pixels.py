"""Stored DICOM pixels to values: unpacked, rescaled, brighter upwards, in red, green and blue."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from tumorkeras.data.readers.dicom_geometry import PER_FRAME, SHARED
from tumorkeras.data.readers.formats import FileFault, optional
from tumorkeras.data.readers.headers import stream_header
from tumorkeras.data.readers.limits import check_pixels, check_stored
from tumorkeras.errors import MissingExtraError

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
COLOURS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
GREY = {"MONOCHROME1", "MONOCHROME2"}
PALETTE = "PALETTE COLOR"
CODE = re.compile(r"[A-Z][A-Z0-9_ ]{0,15}")
PLUG_INS = {"JPEG 2000": "pylibjpeg-openjpeg", "High-Throughput": "pylibjpeg-openjpeg", "RLE": "pylibjpeg-rle"}


def decode(dataset: Any, max_pixels: int) -> tuple[np.ndarray, list[str]]:
    """Values (frames, height, width, channels) of a dataset, and what was done to them.

    Raises
    ------
    FileFault
        If there is no pixel data, it is truncated, too large, or of a kind that cannot be decoded.
    MissingExtraError
        If the package that unpacks it is missing.
    """
    shape = _checked_shape(dataset, max_pixels)
    stored = np.asarray(_unpacked(dataset))
    if stored.size != math.prod(shape):
        raise FileFault(f"holds {stored.size:,} values; {' x '.join(map(str, shape))} are declared")
    values = stored.reshape(shape)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    notes: list[str] = []
    kind = _photometric(dataset)
    if kind == PALETTE:
        return _with_palette(values, dataset), notes
    if kind in GREY:
        values = _measured(values, dataset, kind == "MONOCHROME1", notes)
    return values, notes


def code_of(dataset: Any, tag: str) -> str:
    """A tag that holds a code, upper case; empty where it holds anything else: in a damaged file, perhaps a name."""
    value = str(dataset.get(tag) or "").strip().upper()
    return value if CODE.fullmatch(value) else ""


def _photometric(dataset: Any) -> str:
    return code_of(dataset, "PhotometricInterpretation")


def _checked_shape(dataset: Any, max_pixels: int) -> tuple[int, int, int, int]:
    """Declared shape, once the pixels are sure to be there and not too many."""
    there = [tag for tag in PIXELS if tag in dataset]
    if not there:
        uid = dataset.get("SOPClassUID")
        kind = getattr(uid, "name", uid)
        kind = "of no named kind" if kind == uid else kind
        raise FileFault(f"holds no pixel data (it is {kind}); give images only")
    rows, columns = (int(dataset.get(tag) or 0) for tag in ("Rows", "Columns"))
    frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
    check_pixels((frames, rows, columns), max_pixels)
    kind = _photometric(dataset)
    if kind not in COLOURS | GREY | {PALETTE} or samples != (3 if kind in COLOURS else 1):
        raise FileFault(f"its colours are {kind or 'not named'} in {samples} samples a pixel, which cannot be read")
    bits, top = (int(dataset.get(tag) or 0) for tag in ("BitsStored", "HighBit"))
    if bits and "HighBit" in dataset and top != bits - 1:
        raise FileFault(f"keeps {bits} bits below bit {top}, not from bit 0 on, which cannot be read")
    syntax = _transfer_syntax(dataset)
    if syntax.is_encapsulated:
        _check_streams(dataset, syntax, (frames, rows, columns))
    else:
        bits = frames * rows * columns * samples * int(dataset.BitsAllocated)
        check_stored(len(dataset[there[0]].value), (bits * 2 // 3 if kind == "YBR_FULL_422" else bits) // 8)
    return frames, rows, columns, samples


def _transfer_syntax(dataset: Any) -> Any:
    """How the file is packed; files of old do not say, and are then as they were read."""
    uid = optional("pydicom.uid")
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise FileFault("its transfer syntax is none of the standard; save the file uncompressed")
    return syntax


def _check_streams(dataset: Any, syntax: Any, declared: tuple[int, int, int]) -> None:
    """Compare the header of each packed frame with that of the file; and find the package that unpacks it."""
    encaps, pixels = optional("pydicom.encaps"), optional("pydicom.pixels")
    try:
        decoder = pixels.get_decoder(syntax)
    except NotImplementedError:
        raise FileFault(f"its pixels are packed as {syntax.name}, which cannot be decoded; unpack it first") from None
    if not decoder.is_available:
        raise MissingExtraError(
            next((name for start, name in PLUG_INS.items() if start in syntax.name), "pylibjpeg-libjpeg"), "medical"
        )
    frames, rows, columns = declared
    found = 0
    for frame in encaps.generate_frames(dataset.PixelData, number_of_frames=frames):
        found += 1
        header = stream_header(frame)
        if header is not None and (header.height, header.width) != (rows, columns):
            size = f"{header.width} x {header.height}"
            raise FileFault(f"frame {found} is packed as {size} pixels; {columns} x {rows} are declared")
    if found < frames:
        raise FileFault(f"is truncated: {found} of {frames} frames are there")


def _unpacked(dataset: Any) -> np.ndarray:
    return optional("pydicom.pixels").pixel_array(dataset)


def _range(dtype: np.dtype, bits: int) -> tuple[int, int]:
    return (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _measured(values: np.ndarray, dataset: Any, inverted: bool, notes: list[str]) -> np.ndarray:
    """Values rescaled as the file says; larger is brighter."""
    if dataset.get("ModalityLUTSequence"):
        values = optional("pydicom.pixels").apply_modality_lut(values, dataset)
        notes.append("values looked up in the modality table")
        return _inverted(values, int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]), notes) if inverted else values
    physical = code_of(dataset, "RescaleType") == "HU"
    if inverted and physical:
        notes.append("MONOCHROME1, not inverted: its values are Hounsfield units")
    elif inverted:
        values = _inverted(values, int(dataset.get("BitsStored") or values.dtype.itemsize * 8), notes)
    lines = rescales(dataset, len(values))
    if all(line == (1, 0) for line in lines):
        return values
    slopes, offsets = (np.array(part, np.float32)[:, None, None, None] for part in zip(*lines, strict=True))
    return values.astype(np.float32) * slopes + offsets


def _inverted(values: np.ndarray, bits: int, notes: list[str]) -> np.ndarray:
    notes.append("MONOCHROME1 inverted: larger is brighter")
    if values.dtype.kind not in "ui":
        return values.max() + values.min() - values
    low, high = _range(values.dtype, min(bits, values.dtype.itemsize * 8))
    return np.subtract(low + high, values, dtype=values.dtype) if low else values.dtype.type(high) - values


def rescales(dataset: Any, frames: int) -> list[tuple[float, float]]:
    """Slope and intercept of all frames, or of each.

    Raises
    ------
    FileFault
        If they are no finite numbers, or a slope is 0.
    """
    groups = dataset.get(PER_FRAME) or []
    each = [_rescale(group) for group in groups]
    if len(each) == frames and all(each):
        return [line for line in each if line]
    shared = dataset.get(SHARED) or [None]
    return [_line(dataset) or _rescale(shared[0]) or (1.0, 0.0)]


def _rescale(group: Any) -> tuple[float, float] | None:
    sequence = group.get("PixelValueTransformationSequence") if group is not None else None
    return _line(sequence[0]) if sequence else None


def _line(dataset: Any) -> tuple[float, float] | None:
    slope, offset = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None and offset is None:
        return None
    line = (float(1 if slope is None else slope), float(offset or 0))
    if not all(map(math.isfinite, line)) or not line[0]:
        raise FileFault(
            f"its values are rescaled by {line[0]:g} and {line[1]:g}; expected finite numbers, no slope of 0"
        )
    return line


def _with_palette(values: np.ndarray, dataset: Any) -> np.ndarray:
    """Colours (..., 3), uint8 where their lower bytes say nothing."""
    colours = optional("pydicom.pixels").apply_color_lut(values[..., 0], dataset)[..., :3]
    if colours.dtype == np.uint8:
        return colours
    if not dataset.file_meta.TransferSyntaxUID.is_little_endian:
        colours = colours.byteswap()  # pydicom takes the table as it lies
    if int(dataset.RedPaletteColorLookupTableDescriptor[2]) == 8 and colours.max() < 256:
        return colours.astype(np.uint8)
    upper, lower = colours >> 8, colours & 255
    return upper.astype(np.uint8) if not lower.any() or np.array_equal(upper, lower) else colours
