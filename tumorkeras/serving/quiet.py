"""Converters and runtimes that say what they have to say in their errors, and nothing else."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LOGGERS = ("absl", "tensorflow", "tf2onnx")
_SILENT = logging.CRITICAL + 1
_STDERR = 2  # of the process: C++ writes past sys.stderr


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
    with warnings.catch_warnings(), _no_stderr():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(_SILENT)  # also that of the loggers below it
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


@contextmanager
def _no_stderr() -> Iterator[None]:
    with suppress(OSError, ValueError, AttributeError):  # none at all, or closed
        sys.stderr.flush()
    try:
        kept = os.dup(_STDERR)
    except OSError:  # closed: nothing can be seen there
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(nowhere)
        os.close(kept)
