from __future__ import annotations

import time

import numpy as np
import pytest

from tumorkeras.comparison.resources import Watch


def test_memory_that_is_taken_and_given_back_counts():
    with Watch() as watch:
        block = np.ones(2**25)  # 256 MiB, each page of it touched
        time.sleep(0.15)
        del block
    assert 200 < watch.peak_memory_mb < 400
    assert watch.seconds >= 0.15


def test_a_block_that_fails_is_measured_and_fails():
    watch = Watch()
    with pytest.raises(ValueError, match="no"), watch:
        raise ValueError("no")
    assert watch.seconds > 0
    assert not watch._thread.is_alive()
