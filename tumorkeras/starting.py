"""TensorFlow started without the lines that it writes about its own build, each of which makes users wonder."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tumorkeras.standard_error import redirected


def start_tensorflow() -> None:
    """Import TensorFlow and let it look for devices, without what it says about them.

    TF_CPP_MIN_LOG_LEVEL alone does not do it: the first messages are written before TensorFlow reads it. Who sets it
    below 2 sees all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules or os.environ["TF_CPP_MIN_LOG_LEVEL"] < "2":
        return
    with standard_error_kept():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextmanager
def standard_error_kept() -> Iterator[None]:
    """Keep what is written to the file descriptor of standard error; it is shown only if the work fails."""
    with tempfile.TemporaryFile() as kept:
        try:
            with redirected(kept.fileno()):
                yield
        except BaseException:
            kept.seek(0)
            with suppress(OSError):  # closed: nobody could read it
                os.write(2, kept.read())
            raise
