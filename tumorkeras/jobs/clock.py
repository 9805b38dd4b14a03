"""The times of a job's stages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Clock:
    """Runs the stages, says which one is on, and keeps their times.

    Examples
    --------
    >>> clock = Clock()
    >>> clock("sum", lambda: 1 + 1)
    2
    >>> list(clock.seconds)
    ['sum']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        """Do the work of a stage."""
        logger.info("%s ...", stage)
        began = time.monotonic()
        result = work()
        self.seconds[stage] = round(time.monotonic() - began, 1)
        logger.info("%s: %.1f s", stage, self.seconds[stage])
        return result
