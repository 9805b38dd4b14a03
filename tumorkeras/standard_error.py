"""What is written to standard error past Python, as C++ does, sent elsewhere for a while."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_STANDARD_ERROR = 2  # of the process


@contextmanager
def redirected(target: int) -> Iterator[None]:
    """Send what is written to the file descriptor of standard error to another; nothing is done where it is closed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as kept:
    ...     with redirected(kept.fileno()):
    ...         _ = os.write(2, b"nobody needs this")
    ...     _ = kept.seek(0); kept.read()
    b'nobody needs this'
    """
    _flush()
    try:
        saved = os.dup(_STANDARD_ERROR)
    except OSError:  # closed: nothing can be seen there
        yield
        return
    try:
        os.dup2(target, _STANDARD_ERROR)
        yield
    finally:
        _flush()
        os.dup2(saved, _STANDARD_ERROR)
        os.close(saved)


def _flush() -> None:
    with suppress(OSError, ValueError, AttributeError):  # there is none, or it is closed
        sys.stderr.flush()
