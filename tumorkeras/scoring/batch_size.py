"""How many samples a call of the model takes: as many as pay, and as memory holds."""

from __future__ import annotations

import logging
import time

import numpy as np
import psutil

from tumorkeras.scoring.backends import CallError
from tumorkeras.scoring.predictor import Predictor

logger = logging.getLogger(__name__)

SIZES = (1, 2, 4, 8, 16, 32, 64)
USUAL = 32  # of what cannot be tried beforehand
SECONDS = 2.0  # after which no larger one is tried
GAIN = 1.05  # in rate, for which twice the memory is taken
SHARE = 0.25  # of the free memory that a call may take


def choose_batch_size(predictor: Predictor, example: np.ndarray | None) -> int:
    """The batch size at which a sample, repeated, goes through the model fastest.

    Sizes are doubled until the rate no longer grows, a call would take more than a quarter of the memory that is free,
    or two seconds are over. The calls also warm the model up.

    Parameters
    ----------
    predictor : Predictor
    example : ndarray or None
        A sample; without one the size is 32.
    """
    if example is None or predictor.fault_of(example[None]):  # which is said where it is scored
        return USUAL
    began, best, best_rate = time.monotonic(), 1, 0.0
    for size in SIZES:
        batch = predictor.as_read(np.broadcast_to(example, (size, *example.shape)))
        before = psutil.Process().memory_info().rss
        try:
            rate = _rate(predictor, batch)
        except CallError:  # memory does not hold it, or it is said where the sample is scored
            break
        taken = psutil.Process().memory_info().rss - before
        if rate > GAIN * best_rate:
            best, best_rate = size, rate
        elif size >= 4 * best:  # one size may be slower by chance, but not two
            break
        too_large = 2 * max(taken, batch.nbytes) > SHARE * psutil.virtual_memory().available
        if too_large or time.monotonic() - began > SECONDS:
            break
    logger.debug("batch size %d: %.0f samples a second", best, best_rate)
    return best


def _rate(predictor: Predictor, batch: np.ndarray) -> float:
    """Samples a second in the second of two calls: the first makes room."""
    predictor.run(batch)
    began = time.perf_counter()
    predictor.run(batch)
    return len(batch) / max(time.perf_counter() - began, 1e-9)
