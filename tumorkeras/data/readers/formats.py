"""What a reader is, what it gives, and how it says that a file is wrong."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np

from tumorkeras.errors import MissingExtraError

EXTRA = "medical"
START = 2**20  # bytes: all of most images


class Reading(NamedTuple):
    """A decoded file.

    Attributes
    ----------
    array : numpy.ndarray
        (height, width, channels) or (depth, height, width, channels); 1 channel is grey, 3 are red, green, blue. The
        dtype is that of the file, float32 where the file says how stored numbers become measured ones.
    spacing : tuple of float or None
        Millimetres between neighbours along each axis but channels, in the array's order; None where the file does
        not say it for every axis.
    metadata : dict
        Plain values: ``format``, ``bits`` (as stored), what the format adds, and ``notes`` (what the reader changed,
        left out or found odd) where there are any.

    Examples
    --------
    >>> Reading(np.zeros((4, 6, 1), "uint8"), (0.5, 0.5), {"format": "png", "bits": 8}).spacing
    (0.5, 0.5)
    """

    array: np.ndarray
    spacing: tuple[float, ...] | None
    metadata: dict[str, Any]


class Options(NamedTuple):
    """What the caller of :func:`tumorkeras.data.readers.read` asked for, and what was read to tell the format.

    Attributes
    ----------
    max_pixels : int
    identifying : bool
    start : bytes
        First ``START`` bytes of the file; all of it where there are fewer.
    """

    max_pixels: int
    identifying: bool = False
    start: bytes = b""


class Format(NamedTuple):
    """One kind of file.

    Attributes
    ----------
    name : str
    endings : tuple of str
        Lower case, with the dot.
    recognises : callable
        Whether the first ``HEAD`` bytes of a file are of this kind.
    read : callable
        From path and options to a reading; raises :class:`FileFault`.
    holds : tuple of {"image", "volume"}
        What a file of a folder of samples may be; nothing where it is never a sample by itself.
    """

    name: str
    endings: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[Path, Options], Reading]
    holds: tuple[Literal["image", "volume"], ...]


class FileFault(ValueError):
    """What is wrong with the file being read, a line a fault; ``read`` adds its name."""

    def __init__(self, *faults: str) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(faults))


def with_notes(metadata: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Metadata with ``notes``, where there are any.

    Examples
    --------
    >>> with_notes({"format": "tiff"}, [])
    {'format': 'tiff'}
    """
    return {**metadata, "notes": notes} if notes else metadata


def optional(package: str) -> ModuleType:
    """Import a package of the extra ``medical``.

    Raises
    ------
    MissingExtraError
        If it is not installed.

    Examples
    --------
    >>> optional("json").__name__
    'json'
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise MissingExtraError(error.name, EXTRA) from None
