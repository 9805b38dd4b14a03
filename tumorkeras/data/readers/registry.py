"""Which reader a file needs, by its content first and its ending second; and the one function that reads them all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from tumorkeras.data.readers import dicom_series
from tumorkeras.data.readers.formats import START, FileFault, Format, Options, Reading
from tumorkeras.data.readers.limits import MOST_PIXELS, check_status, status_of
from tumorkeras.data.readers.quiet import quiet
from tumorkeras.errors import DataError, MissingExtraError


def _formats() -> Iterator[Format]:
    """The ``FORMATS`` of every module beside this one, by the names of the modules."""
    for module in iter_modules([str(Path(__file__).parent)]):
        yield from getattr(import_module(f"{__package__}.{module.name}"), "FORMATS", ())


# A new kind of file is a new module with its ``FORMATS``. The first that recognises the content reads it: DICOM before
# TIFF, whose header may stand in its preamble.
FORMATS = tuple(_formats())
# By the ending of a name: files that claim to be of a format, whatever is in them.
ENDINGS = {ending: format.name for format in FORMATS for ending in format.endings}
HEAD = 1024  # bytes that tell one kind from another


def read(path: str | os.PathLike[str], *, identifying: bool = False, max_pixels: int = MOST_PIXELS) -> Reading:
    """Decode an image, a volume or a video, or a folder that holds one DICOM series.

    Parameters
    ----------
    path : path
        PNG, JPEG, JPEG 2000, BMP, WebP, PNM, TIFF, DICOM, NIfTI, npy, npz or video; told by its content.
    identifying : bool, default False
        Whether names, numbers and dates that tell a patient are kept, under ``metadata["identifying"]``.
    max_pixels : int, default 2**28
        Files that declare more pixels (or voxels) are refused before they are decoded.

    Returns
    -------
    Reading
        ``array`` (height, width, channels) or (depth, height, width, channels), its ``spacing`` in millimetres, and
        ``metadata``.

    Raises
    ------
    DataError
        For anything that is wrong with the file.
    MissingExtraError
        If the package that decodes it is not installed.

    Examples
    --------
    >>> import tempfile, numpy as np; path = Path(tempfile.mkdtemp()) / "volume.npy"
    >>> np.save(path, np.zeros((5, 4, 6), "uint8"))
    >>> read(path).array.shape, read(path).metadata
    ((5, 4, 6, 1), {'format': 'npy', 'bits': 8})
    """
    path = Path(path)
    options = Options(max_pixels, identifying)
    name = "image"
    try:
        with quiet():
            status = status_of(path)
            if stat.S_ISDIR(status.st_mode):
                return dicom_series.read_folder(path, options)
            head = _head(path, min(check_status(status, max_pixels), START))
            found = _format(path, head)
            name = found.name
            return found.read(path, options._replace(start=head))
    except MissingExtraError:
        raise
    except FileFault as error:
        raise DataError(str(path), error.faults) from None
    except (MemoryError, OSError) as error:
        reason = "there is not enough memory for it" if isinstance(error, MemoryError) else str(error.strerror or error)
        raise DataError(str(path), [f"cannot be read: {reason}"]) from None
    except Exception as error:  # decoders of damaged files raise what they please; their words may hold a name
        raise DataError(str(path), [f"is damaged: it cannot be decoded as {name} ({type(error).__name__})"]) from None


def _format(path: Path, head: bytes) -> Format:
    found = _recognised(path, head)
    if found is None:
        known = ", ".join(format.name for format in FORMATS)
        raise FileFault(f"is of no kind that can be read ({known})")
    return found


def _head(path: Path, size: int) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(size)


def _recognised(path: Path, head: bytes) -> Format | None:
    head = head[:HEAD]
    by_content = (format for format in FORMATS if format.recognises(head))
    by_ending = (format for format in FORMATS if path.name.lower().endswith(format.endings))
    return next(by_content, None) or next(by_ending, None)


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Name of a file's format, from its first bytes, or its ending where these say nothing.

    Parameters
    ----------
    path : path
        A folder is "dicom" where a file in it is.

    Returns
    -------
    str or None
        "png", "jpeg", "jpeg2000", "bmp", "webp", "pnm", "tiff", "dicom", "npy", "npz", "nifti" or "video"; None for
        anything else, and for what cannot be opened.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "scan.jpg"
    >>> _ = path.write_bytes(b"\\x89PNG\\r\\n\\x1a\\n")
    >>> format_of(path), format_of("there is none.png")
    ('png', None)
    """
    path = Path(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return "dicom" if dicom_series.holds_series(path) else None
        found = _recognised(path, _head(path, HEAD)) if stat.S_ISREG(mode) else None
    except (OSError, ValueError):
        return None
    return found.name if found else None


def is_readable(path: str | os.PathLike[str]) -> bool:
    """Whether ``read`` has a reader for the file; it may still be damaged.

    Examples
    --------
    >>> is_readable("/dev/null")
    False
    """
    return format_of(path) is not None
