"""What is refused before anything is decoded: no file at all, too large, or said to be larger than it can be."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from tumorkeras.data.readers.formats import FileFault
from tumorkeras.data.readers.headers import DEFLATE_AT_BEST
from tumorkeras.errors import DataError

MOST_PIXELS = 2**28  # pixels or voxels, colours counted once: 16384 x 16384, or 1024 slices of 512 x 512
BYTES_A_PIXEL = 16  # most that a file may have, whatever it holds
SMALL_FILE = 2**24  # never too large
DRIVE = re.compile(r"[A-Za-z]:")
KINDS = [
    (stat.S_ISDIR, "is a folder; give a file, or a folder that holds one DICOM series"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
]


def check_file(path: Path, max_pixels: int = MOST_PIXELS) -> int:
    """Bytes of a file that may be opened: opening a pipe would wait for ever.

    Raises
    ------
    FileFault
        If there is no such file, it is a folder, pipe, socket or device, empty, or larger than any image allowed.

    Examples
    --------
    >>> check_file(Path("/dev/null"))
    Traceback (most recent call last):
    tumorkeras.data.readers.formats.FileFault: is a device, not a file
    """
    return check_status(status_of(path), max_pixels)


def status_of(path: Path) -> os.stat_result:
    """What the system says of a file.

    Raises
    ------
    FileFault
        If there is none, or it may not be looked at.
    """
    try:
        return os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise FileFault(_why_not(error)) from None


def check_status(found: os.stat_result, max_pixels: int) -> int:
    """Bytes of a file, as :func:`check_file` says."""
    if not stat.S_ISREG(found.st_mode):
        raise FileFault(next((words for is_kind, words in KINDS if is_kind(found.st_mode)), "is no file"))
    if found.st_size == 0:
        raise FileFault("the file is empty")
    if found.st_size > max(SMALL_FILE, BYTES_A_PIXEL * max_pixels):
        raise FileFault(f"has {found.st_size:,} bytes, too large for the limit of {max_pixels:,} pixels (max_pixels)")
    return found.st_size


def _why_not(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "may not be read: permission denied"
    return f"cannot be opened: {getattr(error, 'strerror', None) or error}"


def check_pixels(shape: Iterable[int], max_pixels: int) -> None:
    """Refuse more pixels than allowed; ``shape`` is without channels.

    Raises
    ------
    FileFault
        If there are more, or none at all.

    Examples
    --------
    >>> check_pixels((10_000, 10_000), MOST_PIXELS)
    >>> check_pixels((30_000, 30_000), MOST_PIXELS)
    Traceback (most recent call last):
    tumorkeras.data.readers.formats.FileFault: declares 30000 x 30000 = 900,000,000 pixels; the limit is 268,435,456 ...
    """
    sides = [int(side) for side in shape]
    size = " x ".join(map(str, sides))
    if min(sides, default=0) < 1:
        raise FileFault(f"declares {size} pixels, none at all")
    if math.prod(sides) > max_pixels:
        count = f"{size} = {math.prod(sides):,} pixels"
        raise FileFault(f"declares {count}; the limit is {max_pixels:,} (max_pixels raises it)")


def check_deflate(packed: int, declared: int) -> None:
    """Refuse a packed file that cannot hold what it declares.

    Parameters
    ----------
    packed : int
        Bytes that are there.
    declared : int
        Bytes that should come out of them.

    Raises
    ------
    FileFault

    Examples
    --------
    >>> check_deflate(10, 20_000)
    Traceback (most recent call last):
    tumorkeras.data.readers.formats.FileFault: declares 20,000 bytes, but 10 packed ones cannot hold them
    """
    if packed * DEFLATE_AT_BEST < declared:
        raise FileFault(f"declares {declared:,} bytes, but {packed:,} packed ones cannot hold them")


def check_stored(there: int, declared: int) -> None:
    """Refuse a file that ends before its values do.

    Raises
    ------
    FileFault

    Examples
    --------
    >>> check_stored(10, 20)
    Traceback (most recent call last):
    tumorkeras.data.readers.formats.FileFault: is truncated: 10 bytes of values are there, 20 are declared
    """
    if there < declared:
        raise FileFault(f"is truncated: {max(there, 0):,} bytes of values are there, {declared:,} are declared")


def inside(path: str | Path, folder: str | Path) -> Path:
    """A path that a table or an annotation names, as long as it stays in the folder of the data.

    Parameters
    ----------
    path : str or path
        From the folder, or absolute. Backslashes count as slashes.
    folder : path

    Returns
    -------
    pathlib.Path
        ``folder / path``; nothing need be there.

    Raises
    ------
    DataError
        If the path, its ``..`` and symbolic links followed, leads out of the folder, or is no path at all.

    Examples
    --------
    >>> inside("benign\\\\1.png", "images").as_posix()
    'images/benign/1.png'
    >>> inside("../../etc/passwd", "images")
    Traceback (most recent call last):
    tumorkeras.errors.DataError: ../../etc/passwd: leads out of the folder images; copy the file into it
    """
    steps = str(path).replace("\\", "/")
    there = Path(folder, steps)
    try:
        kept = Path(os.path.realpath(there)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):  # a null character, or a name too long
        raise DataError(repr(str(path)), ["is no path of a file"]) from None
    if not kept or DRIVE.match(steps):
        raise DataError(str(path), [f"leads out of the folder {folder}; copy the file into it"])
    return there
