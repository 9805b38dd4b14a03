"""The size of a batch: as many samples as pay."""

import numpy as np
import pytest

from tumorkeras.data.agreement import ModelOrigin
from tumorkeras.scoring import batch_size
from tumorkeras.scoring.backends import CallError
from tumorkeras.scoring.batch_size import USUAL, choose_batch_size
from tumorkeras.scoring.predictor import Predictor

SAMPLE = np.zeros((8, 8, 1), "float32")


@pytest.fixture
def chosen(monkeypatch):
    """The batch size for a model that takes some seconds for each size, by a clock that nobody else moves."""

    def choose(seconds, example=SAMPLE):
        clock = [0.0]

        def run(batch):
            clock[0] += seconds(len(batch))
            return np.zeros((len(batch), 2), "float32")

        monkeypatch.setattr(batch_size.time, "perf_counter", lambda: clock[0])
        monkeypatch.setattr(batch_size.time, "monotonic", lambda: clock[0])
        origin = ModelOrigin("model", (8, 8, 1), 2, None)
        return choose_batch_size(Predictor(origin, "probabilities", (2,), {"float32": run}, {}), example)

    return choose


def test_the_largest_of_those_that_are_faster_is_taken(chosen):
    assert chosen(lambda size: 1e-3) == 64  # more cost nothing
    assert chosen(lambda size: 1e-3 * size) == 1  # more gain nothing
    assert chosen(lambda size: 1e-3 * max(size, 8)) == 8
    assert chosen(lambda size: 1e-3 * max(size, 8) * (3 if size == 4 else 1)) == 8  # slow by chance


def test_the_trial_ends_after_some_seconds(chosen):
    assert chosen(lambda size: 0.4) == 4


def test_what_cannot_be_tried_takes_the_usual_size(chosen):
    assert chosen(lambda size: 1e-3, None) == USUAL
    assert chosen(lambda size: 1e-3, np.zeros((9, 8, 1))) == USUAL


def test_what_memory_does_not_hold_is_not_taken(chosen):
    def seconds(size):
        if size > 4:
            raise MemoryError
        return 1e-3

    assert chosen(seconds) == 4

    def fails(size):
        raise CallError("always")

    assert chosen(fails) == 1
