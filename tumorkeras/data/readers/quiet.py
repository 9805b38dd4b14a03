"""No warning of a decoding package reaches the user: what matters becomes a note of the reading."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

# Warnings count as given by the module that their stack level points at, which may be the reader.
MODULES = (
    r"(pydicom|nibabel|tifffile|imagecodecs|pylibjpeg|libjpeg|openjpeg|rle|<unknown>|tumorkeras\.data\.readers)(\.|$)"
)
FILTER = ("ignore", None, Warning, re.compile(MODULES), 0)  # as warnings.filterwarnings makes it, but made once
LOGGERS = (
    "pydicom",
    "pydicom.pixels.decoders.base",
    "pydicom.pixels.utils",
    "pylibjpeg.utils",
    "openjpeg.utils",
    "nibabel.global",
    "tifffile",
)
SILENT = 0

_lock = threading.Lock()
_reading = threading.local()
_depth = 0
_level = SILENT


@contextmanager
def quiet() -> Iterator[None]:
    """While files are decoded, in any number of threads, decoders neither warn nor log.

    The filters of warnings belong to the whole process: the first thread in puts one there, the last one out takes it
    away. Messages of loggers are dropped in the reading thread only.

    Examples
    --------
    >>> with quiet():
    ...     logging.getLogger("tifffile").error("corrupted tag")
    """
    _enter()
    _reading.depth = getattr(_reading, "depth", 0) + 1
    try:
        yield
    finally:
        _reading.depth -= 1
        _leave()


def _enter() -> None:
    global _depth, _level
    with _lock:
        if _depth == 0:
            warnings.filters.insert(0, FILTER)  # type: ignore[attr-defined]
            _level = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(SILENT)
        _depth += 1


def _leave() -> None:
    global _depth
    with _lock:
        _depth -= 1
        if _depth == 0:
            cv2.utils.logging.setLogLevel(_level)
            if FILTER in warnings.filters:  # somebody may have set all of them anew meanwhile
                warnings.filters.remove(FILTER)  # type: ignore[attr-defined]


def _outside(record: logging.LogRecord) -> bool:
    return not getattr(_reading, "depth", 0)


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_outside)
