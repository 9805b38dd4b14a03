"""Converters and runtimes that say what they have to say in their errors, and nothing else."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tumorkeras.standard_error import redirected

_LOGGERS = ("absl", "tensorflow", "tf2onnx")
_SILENT = logging.CRITICAL + 1


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings, logs and what C++ writes to standard error from the user.

    Examples
    --------
    >>> with quiet():
    ...     logging.getLogger("tf2onnx.graph").error("not seen")
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings(), open(os.devnull, "wb") as nowhere, redirected(nowhere.fileno()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(_SILENT)  # also that of the loggers below it
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
