"""NumPy's npy and npz, read without ever unpickling anything."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy_format

from tumorkeras.data.readers.formats import FileFault, Format, Options, Reading
from tumorkeras.data.readers.limits import check_deflate, check_pixels, check_stored

NPY_START = b"\x93NUMPY"
ZIP_START = b"PK\x03\x04"
SPACING = "spacing"
CHANNELS = (1, 3)
LONGEST_HEADER = 10_000
LARGEST_VALUE = 8  # bytes
PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class _Header(NamedTuple):
    """What an npy file says before its values start."""

    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype


def read_npy(path: Path, options: Options) -> Reading:
    """An array (h, w), (h, w, c), (d, h, w) or (d, h, w, c).

    There are 1 or 3 channels: any other third axis is the width of a volume. True and false become 1 and 0.
    """
    with path.open("rb") as file:
        return _reading("npy", _read_values(file, path.stat().st_size, options.max_pixels), None)


def read_npz(path: Path, options: Options) -> Reading:
    """The one array of two or more axes of an npz; ``spacing``, where it is there, is millimetres an axis."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        headers = {name: _entry_header(archive, entry) for name, entry in entries.items()}
        images = [name for name, header in headers.items() if len(header.shape) >= 2]
        if len(images) != 1:
            found = ", ".join(f"{name} {header.shape}" for name, header in headers.items())
            raise FileFault(f"holds {found or 'nothing'}; expected one array with two to four axes, and spacing")
        values = _read_entry(archive, entries[images[0]], options.max_pixels)
        spacing = _read_entry(archive, entries[SPACING], options.max_pixels) if SPACING in entries else None
    return _reading("npz", values, spacing)


def _entry_header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Header:
    if entry.compress_type not in PLAIN or not entry.filename.endswith(".npy"):
        raise FileFault(f"{entry.filename!r} in it is no array as numpy.savez writes it")
    check_deflate(entry.compress_size, entry.file_size)
    with archive.open(entry) as file:
        return _read_header(file)


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, max_pixels: int) -> np.ndarray:
    """An array of the archive; never more is unpacked than its header declares."""
    with archive.open(entry) as file:
        return _read_values(file, entry.file_size, max_pixels)


def _read_header(file: IO[bytes]) -> _Header:
    if file.read(len(NPY_START)) != NPY_START:
        raise FileFault("is named like npy, but its content is something else")
    version = tuple(file.read(2))
    readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
    if version not in readers:
        raise FileFault(f"is of npy version {version}; expected 1.0 or 2.0")
    header = _Header(*readers[version](file, max_header_size=LONGEST_HEADER))
    if header.dtype.kind not in "buif" or header.dtype.itemsize > LARGEST_VALUE:
        raise FileFault(f"holds {header.dtype} values; expected numbers (objects are never unpickled)")
    return header


def _read_values(file: IO[bytes], size: int, max_pixels: int) -> np.ndarray:
    """Values in the byte order of this machine; ``size`` is that of the file, in bytes."""
    shape, columns_first, dtype = _read_header(file)
    check_pixels(_pixels(shape), max_pixels)
    wanted = math.prod(shape) * dtype.itemsize
    check_stored(size - file.tell(), wanted)
    content = file.read(wanted)
    check_stored(len(content), wanted)
    values = np.frombuffer(content, dtype).reshape(shape, order="F" if columns_first else "C")
    return values.astype(np.uint8 if dtype.kind == "b" else dtype.newbyteorder("="), order="C")


def _pixels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes without that of the channels."""
    return shape[:-1] if _has_channels(shape) else shape or (1,)


def _has_channels(shape: tuple[int, ...]) -> bool:
    return len(shape) in (3, 4) and (len(shape) == 4 or shape[-1] in CHANNELS)


def _reading(name: str, values: np.ndarray, spacing: np.ndarray | None) -> Reading:
    if values.ndim not in (2, 3, 4) or (values.ndim == 4 and values.shape[-1] not in CHANNELS):
        raise FileFault(
            f"holds an array {values.shape}; expected (height, width), (depth, height, width), "
            "or either with a last axis of 1 or 3 channels"
        )
    array = values if _has_channels(values.shape) else values[..., None]
    metadata = {"format": name, "bits": values.dtype.itemsize * 8}
    return Reading(array, _spacing(spacing, array.ndim - 1), metadata)


def _spacing(given: np.ndarray | None, axes: int) -> tuple[float, ...] | None:
    if given is None:
        return None
    steps = tuple(float(step) for step in np.ravel(given))
    if len(steps) != axes or not all(math.isfinite(step) and step > 0 for step in steps):
        raise FileFault(f"spacing is {list(steps)}; expected {axes} positive numbers, millimetres along each axis")
    return steps


FORMATS = (
    Format("npy", (".npy",), lambda head: head.startswith(NPY_START), read_npy, ("image", "volume")),
    # A zip may be anything: its ending tells. One npz is a whole data set, never a sample in a folder.
    Format("npz", (".npz",), lambda head: False, read_npz, ()),
)
