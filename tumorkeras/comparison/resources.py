"""What a piece of work costs: seconds and memory."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

EVERY = 0.05  # seconds between two looks at the memory
MEGABYTE = 2**20


class Watch:
    """Measures the block under ``with``: its seconds, and how far memory grew in it.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    peak_memory_mb : float
        Largest resident memory of this process and its children over that at the start, in MiB, looked at 20 times
        a second. Memory that was taken before and is used again does not count.

    Examples
    --------
    >>> with Watch() as watch:
    ...     kept = bytearray(2**26)
    >>> watch.seconds > 0, watch.peak_memory_mb >= 0
    (True, True)
    """

    def __enter__(self) -> Self:
        self.seconds = self.peak_memory_mb = 0.0
        self._process = psutil.Process()
        self._started, self._began = self._resident(), time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._began
        self._over.set()
        self._thread.join()
        self._note()

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            self._note()

    def _note(self) -> None:
        self.peak_memory_mb = max(self.peak_memory_mb, (self._resident() - self._started) / MEGABYTE)

    def _resident(self) -> int:
        total = self._process.memory_info().rss
        for child in self._process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                total += child.memory_info().rss
        return total
