"""TIFF, multi-page TIFF and OME-TIFF by tifffile; compressed ones need imagecodecs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tumorkeras.data.readers.formats import FileFault, Format, Options, Reading, optional, with_notes
from tumorkeras.data.readers.headers import stream_header
from tumorkeras.data.readers.limits import check_pixels, check_stored
from tumorkeras.data.readers.tiff_spacing import spacing_of

STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
CHANNEL_AXES = "SC"
PLANE_AXES = "YX"
MOST_PAGES = 2**18
WHITE_IS_ZERO, PALETTE = 0, 3
UNPACKED = 1
PHOTOMETRICS = {0: "MINISWHITE", 1: "MINISBLACK", 2: "RGB", 3: "PALETTE", 6: "YCBCR"}
WITH_STREAMS = {6, 7, 34712, 33003, 33004, 33005, 34933, 34934}  # JPEG and JPEG 2000: their own headers tell the size


def read_tiff(path: Path, options: Options) -> Reading:
    """An image, or a volume where there are several pages (or planes, slices, time points).

    Colour palettes are applied, MINISWHITE is inverted so that larger is brighter, 1-bit images become 0 and 255,
    alpha is dropped, pages are turned as the orientation tag says. Channels that OME-TIFF keeps apart are the last
    axis, however many. Of several series the first is read; planes in other files are not looked for.

    Raises
    ------
    FileFault
        If the file is truncated, damaged or too large, its pages run in a circle, or it has planes in other files.
    MissingExtraError
        If tifffile or imagecodecs is missing.
    """
    tifffile = optional("tifffile")
    with path.open("rb") as file:
        check_pages(file, path.stat().st_size)
    # Planes in other files are not looked for: their names may lead anywhere.
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        _refuse_entities(tiff.pages[0])
        series = tiff.series[0]
        page = series.keyframe
        notes = [f"series left out after the first: {len(tiff.series) - 1}"] if len(tiff.series) > 1 else []
        if tiff.is_ome and series.kind != "ome":
            notes.append("its description names other files or is damaged: pages are taken as they lie here")
        _check(path, tiff, series, options)
        values = _decode(series)
        steps, more = spacing_of(tiff, series.axes)
        bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    array, orientation = _arranged(values, series.axes, page, notes)
    spacing = _for_axes(steps, array.ndim - 1, orientation)
    return Reading(array, spacing, with_notes({"format": "tiff", "bits": bits}, notes + more))


def check_pages(file: BinaryIO, size: int) -> None:
    """Walk from page to page, so that a chain that is cut or bitten into its tail is known before it is followed.

    Raises
    ------
    FileFault
    """
    head = file.read(16)
    if not head.startswith(STARTS):
        raise FileFault("is named like a TIFF, but its content is something else")
    order = "<" if head.startswith(b"II") else ">"
    large = head[2:4].strip(b"\0") == b"+"
    count, step, link, start = ("Q", 20, "Q", 8) if large else ("H", 12, "I", 4)
    seen: set[int] = set()
    place = _number(order + link, head[start:])
    while place:
        if place in seen:
            raise FileFault("its pages run in a circle")
        if len(seen) == MOST_PAGES:
            raise FileFault(f"has more than {MOST_PAGES:,} pages")
        seen.add(place)
        file.seek(place)
        entries = _number(order + count, file.read(struct.calcsize(count)))
        after = file.tell() + entries * step
        if place >= size or after + struct.calcsize(link) > size:
            raise FileFault(f"is truncated: page {len(seen)} is not there")
        file.seek(after)
        place = _number(order + link, file.read(struct.calcsize(link)))
    if not seen:
        raise FileFault("has no page")


def _number(kind: str, content: bytes) -> int:
    width = struct.calcsize(kind)
    return int(struct.unpack(kind, content[:width])[0]) if len(content) >= width else 0


def _refuse_entities(page: Any) -> None:
    """An XML description may declare entities that grow without end."""
    if "<!DOCTYPE" in (page.description or "") or "<!ENTITY" in (page.description or ""):
        raise FileFault("its XML description declares entities, which are not read")


def _check(path: Path, tiff: Any, series: Any, options: Options) -> None:
    """Refuse what is too large, not there, or not an image, before anything is decoded."""
    page = series.keyframe
    check_pixels([n for n, axis in zip(series.shape, series.axes, strict=True) if axis != "S"], options.max_pixels)
    if page.dtype is None or page.dtype.kind not in "buif" or page.dtype.itemsize > 8:
        raise FileFault(f"holds {page.dtype} values; expected whole or floating-point numbers")
    if page.photometric not in PHOTOMETRICS:
        name = getattr(page.photometric, "name", page.photometric)
        raise FileFault(f"its colours are {name}; expected one of {', '.join(PHOTOMETRICS.values())}")
    pages = list(series.pages)
    if any(one is None for one in pages):
        raise FileFault("names planes that are in other files; put all into one file")
    _check_bytes(series, pages, path.stat().st_size)
    if page.compression in WITH_STREAMS:
        _check_streams(tiff, pages, options.max_pixels)


def _check_bytes(series: Any, pages: list[Any], there: int) -> None:
    """Refuse a file that ends before its strips or tiles do, or that leaves some out."""
    if series.dataoffset is not None:  # one block, of which the first page may stand for all
        check_stored(there - series.dataoffset, series.nbytes)
        return
    for number, page in enumerate(pages, start=1):
        parts = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        absent = sum(not start or not count for start, count in parts)
        if absent or not parts:
            raise FileFault(f"page {number}: {absent} of {len(parts)} strips or tiles are not there")
        check_stored(there, max(start + count for start, count in parts))


def _check_streams(tiff: Any, pages: list[Any], max_pixels: int) -> None:
    """A small tile may hold a JPEG that says it is huge."""
    for page in pages:
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            tiff.filehandle.seek(start)
            header = stream_header(tiff.filehandle.read(count))
            if header is not None:
                check_pixels((header.height, header.width), max_pixels)


def _decode(series: Any) -> np.ndarray:
    try:
        return np.asarray(series.asarray(maxworkers=1))
    except (ValueError, ImportError, AttributeError):
        if series.keyframe.compression != UNPACKED:
            optional("imagecodecs")  # where it is missing, that is the cause
        raise


def _arranged(values: np.ndarray, axes: str, page: Any, notes: list[str]) -> tuple[np.ndarray, int]:
    """The array with its axes in order, its colours applied; and the orientation that was undone."""
    array = _ordered(values, axes)
    array = _coloured(array, page, notes)
    orientation = page.tags.valueof(274, 1)
    if orientation not in range(2, 9):
        return np.ascontiguousarray(array), 1
    notes.append("turned as its orientation tag says")
    return np.ascontiguousarray(turned(array, orientation)), orientation


def _ordered(values: np.ndarray, axes: str) -> np.ndarray:
    """(height, width, channels) or (depth, height, width, channels)."""
    channels = [axis for axis in axes if axis in CHANNEL_AXES]
    planes = [axis for axis in axes if axis not in CHANNEL_AXES + PLANE_AXES]
    if "Y" not in axes or "X" not in axes or len(planes) > 1 or len(channels) > 1:
        size = ", ".join(f"{axis} {n}" for axis, n in zip(axes, values.shape, strict=True))
        raise FileFault(f"has the axes {size}; expected height and width, one axis of pages, one of channels")
    array = values.transpose([axes.index(axis) for axis in [*planes, *PLANE_AXES, *channels]])
    return array if channels else array[..., None]


def _coloured(array: np.ndarray, page: Any, notes: list[str]) -> np.ndarray:
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
        bits = 8
    else:
        bits = page.bitspersample
    if page.photometric == WHITE_IS_ZERO and np.issubdtype(array.dtype, np.unsignedinteger):
        notes.append("MINISWHITE inverted: larger is brighter")
        array = array.dtype.type(2**bits - 1) - array
    if page.photometric == PALETTE and page.colormap is not None:
        array = _with_palette(array[..., 0], np.asarray(page.colormap))
    if page.extrasamples and array.shape[-1] == page.samplesperpixel:
        notes.append("transparency dropped")
        array = array[..., : -len(page.extrasamples)]
    return array


def _with_palette(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Colours (..., 3) uint8; the palette (3, n) uint16 holds the 8 bits of a colour in its upper byte."""
    colours = (palette >> 8 if palette.max(initial=0) > 255 else palette).astype(np.uint8)
    if indices.max(initial=0) >= colours.shape[1]:
        raise FileFault(f"has colour {indices.max()}, but its palette ends at {colours.shape[1] - 1}")
    return colours.T[indices]


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """An array (..., height, width, channels) upright; orientation 1 to 8 as TIFF and EXIF count.

    Examples
    --------
    >>> turned(np.array([[1, 2], [3, 4]])[..., None], 6)[..., 0].tolist()
    [[3, 1], [4, 2]]
    """
    if orientation >= 5:
        array = array.swapaxes(-3, -2)
    if orientation in (3, 4, 7, 8):
        array = array[..., ::-1, :, :]
    return array[..., ::-1, :] if orientation in (2, 3, 6, 7) else array


def _for_axes(steps: dict[str, float], axes: int, orientation: int) -> tuple[float, ...] | None:
    """Spacing of the axes that the array has; None where one is not known."""
    if orientation >= 5:
        steps = {**steps, **{new: steps[old] for new, old in (("X", "Y"), ("Y", "X")) if old in steps}}
    wanted = ["Z", "Y", "X"][-axes:]
    return tuple(steps[axis] for axis in wanted) if all(axis in steps for axis in wanted) else None


FORMATS = (Format("tiff", (".tif", ".tiff"), lambda head: head.startswith(STARTS), read_tiff, ("image", "volume")),)
