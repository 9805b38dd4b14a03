"""NIfTI volumes: the header read by nibabel, the values by NumPy, so that nothing unpacks further than declared."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras.data.readers.formats import FileFault, Format, Options, Reading, optional, with_notes
from tumorkeras.data.readers.limits import check_deflate, check_pixels, check_stored

GZIP_START = b"\x1f\x8b"
MAGIC = {b"n+1\0": (344, "Nifti1Header"), b"n+2\0": (4, "Nifti2Header")}
ROUNDED = 0.01  # share by which two spacings may differ and be one
HEADER_ROOM = 540
LONGEST_EXTENSIONS = 2**24
MILLIMETRES = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
COLOURS = {"R", "G", "B"}


def read_nifti(path: Path, options: Options) -> Reading:
    """A volume (depth, height, width, channels), turned to the patient: the array of an axial DICOM series.

    Depth runs from feet to head, height from front to back, width from the patient's right to left, by the closest
    axes: nothing is resampled. A fourth axis of the file (time, echoes, kinds of images) becomes the channels, however
    many. Where a scale or an offset changes the values they are float32, else as stored.
    ``metadata["orientation"]`` is "SPL": where the three axes point to, superior, posterior and left.
    ``metadata["affine"]`` takes (depth, height, width) indices to nibabel's world: right, front, head in millimetres.

    Raises
    ------
    FileFault
        If the header is damaged, the volume too large or truncated, or the values are no numbers.
    MissingExtraError
        If nibabel is missing.
    """
    nibabel = optional("nibabel")
    packed = _starts_packed(path)
    with gzip.open(path) if packed else path.open("rb") as file:
        head = file.read(HEADER_ROOM)
        header = _header(nibabel, head)
        shape, dtype = _checked(header, path, packed, options.max_pixels)
        start = int(header["vox_offset"])
        wanted = math.prod(shape) * dtype.itemsize
        file.seek(start)
        content = file.read(wanted)
        check_stored(len(content), wanted)
        if packed:
            file.read(1)  # at the end of the stream, its checksum is compared
    values = _scaled(_channels(np.frombuffer(content, dtype), shape), header)
    return _to_patient(nibabel, values, header)


def _starts_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_START


def _header(nibabel: Any, head: bytes) -> Any:
    for magic, (place, name) in MAGIC.items():
        if head[place : place + 4] == magic:
            kind = getattr(nibabel, name)
            check_stored(len(head), kind.sizeof_hdr)
            return kind(head[: kind.sizeof_hdr], check=False)
    raise FileFault("is named like NIfTI, but its header is something else (pairs of .hdr and .img are not read)")


def _checked(header: Any, path: Path, packed: bool, max_pixels: int) -> tuple[tuple[int, ...], np.dtype]:
    """Shape (x, y, z) or (x, y, z, channels) and dtype, once they are sure to be there and not too large."""
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:  # vectors: the fourth axis is that of time
        shape = (*shape[:3], shape[4])
    if not 2 <= len(shape) <= 4:
        raise FileFault(f"has {len(shape)} axes {shape}; expected two, three, or four (the fourth as channels)")
    shape = (*shape, 1) if len(shape) == 2 else shape
    check_pixels(shape, max_pixels)
    dtype = header.get_data_dtype()
    if (dtype.kind not in "uif" or dtype.itemsize > 8) and set(dtype.names or ()) != COLOURS:
        raise FileFault(f"holds {dtype} values; expected numbers or RGB")
    start, size, wanted = float(header["vox_offset"]), path.stat().st_size, math.prod(shape) * dtype.itemsize
    if not header.sizeof_hdr <= start <= header.sizeof_hdr + LONGEST_EXTENSIONS:
        raise FileFault(f"its values start at byte {start:g}; the header is damaged")
    check_deflate(size, wanted) if packed else check_stored(size - int(start), wanted)
    return shape, dtype


def _channels(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(x, y, z, channels)."""
    values = values.reshape(shape, order="F")
    if values.dtype.names:
        if len(shape) == 4:
            raise FileFault(f"holds RGB values along four axes {shape}; expected three")
        return np.stack([values[name] for name in "RGB"], axis=-1)
    return values if len(shape) == 4 else values[..., None]


def _scaled(values: np.ndarray, header: Any) -> np.ndarray:
    slope, offset = (float(header[name]) for name in ("scl_slope", "scl_inter"))
    if not math.isfinite(slope) or slope == 0 or (slope == 1 and offset == 0):
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    if not math.isfinite(offset):
        raise FileFault(f"its values are scaled by {slope:g} and {offset:g}; expected finite numbers")
    return values.astype(np.float32) * np.float32(slope) + np.float32(offset)


def _to_patient(nibabel: Any, values: np.ndarray, header: Any) -> Reading:
    notes: list[str] = []
    affine = _affine(nibabel, header, notes)
    found = nibabel.orientations.io_orientation(affine)
    wanted = nibabel.orientations.axcodes2ornt("LPS")  # of x, y, z: the array's axes the other way round
    change = nibabel.orientations.ornt_transform(found, wanted)
    turned = nibabel.orientations.apply_orientation(values, change)
    to_world = affine @ nibabel.orientations.inv_ornt_aff(change, values.shape[:3])
    array = np.ascontiguousarray(turned.transpose(2, 1, 0, 3))
    to_world = to_world[:, [2, 1, 0, 3]]
    spacing = tuple(float(step) for step in np.linalg.norm(to_world[:3, :3], axis=0))
    oblique = np.abs(to_world[:3, :3]).max(axis=0) < np.cos(np.radians(1)) * np.array(spacing)
    if oblique.any():
        notes.append("lies obliquely: axes are the closest to the patient's")
    bits = 8 * header.get_data_dtype().itemsize // (3 if header.get_data_dtype().names else 1)
    metadata = {"format": "nifti", "bits": bits, "orientation": "SPL", "affine": to_world.tolist()}
    return Reading(array, spacing, with_notes(metadata, notes))


def _affine(nibabel: Any, header: Any, notes: list[str]) -> np.ndarray:
    """Voxel indices to millimetres: right, front, head."""
    unit = header.get_xyzt_units()[0]
    if unit == "unknown":
        notes.append("names no unit of length: taken as millimetres")
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        notes.append("names no orientation: taken as it is stored")
    affine = np.asarray(header.get_best_affine(), float)
    if not np.isfinite(affine).all() or np.linalg.matrix_rank(affine[:3, :3]) < 3:
        raise FileFault("its affine is no map of three axes; the header is damaged")
    named, found = header["pixdim"][1:4], np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(np.abs(named), found, rtol=ROUNDED):
        notes.append("its header names two spacings: that of the affine is taken")
    return np.diag([MILLIMETRES[unit]] * 3 + [1.0]) @ affine


def is_nifti(head: bytes) -> bool:
    """Whether a file starts like NIfTI, packed by gzip or not."""
    if head.startswith(GZIP_START):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, HEADER_ROOM)
        except zlib.error:
            return False
    return any(head[place : place + 4] == magic for magic, (place, _) in MAGIC.items())


FORMATS = (Format("nifti", (".nii", ".nii.gz"), is_nifti, read_nifti, ("volume",)),)
