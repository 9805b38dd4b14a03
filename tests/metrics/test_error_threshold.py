from __future__ import annotations

import math

import numpy as np
import pytest

from tumorkeras.errors import DataError
from tumorkeras.metrics import error_threshold


def test_by_hand():
    found = error_threshold([4.0, 1.0, 3.0, 2.0], quantile=0.6)  # the third of four: 0.6 * 5
    assert found.threshold == pytest.approx(3 * 1.001)
    assert (found.quantile, found.n) == (0.6, 4)
    assert found.false_alarms == pytest.approx(0.4)
    assert error_threshold([0.0]) == (0.0, 0.99, 1, 0.5)


@pytest.mark.parametrize(("n", "rank"), [(1, 1), (20, 20), (98, 98), (99, 99), (100, 100), (198, 198), (199, 198)])
def test_few_samples_give_the_largest_error_and_say_how_coarse_that_is(n, rank):
    found = error_threshold(np.arange(1, n + 1))
    assert found.threshold == pytest.approx(1.001 * rank)
    assert found.false_alarms == pytest.approx(1 - rank / (n + 1))


@pytest.mark.parametrize(("n", "quantile"), [(9, 0.9), (30, 0.9), (200, 0.99)])
def test_further_samples_are_above_it_as_rarely_as_it_says(n, quantile):
    """Of many sets of errors and one more each, from a distribution with a long tail."""
    rng = np.random.default_rng(n)
    trials = 4000
    errors = rng.lognormal(size=(trials, n + 1))
    found = [error_threshold(row[1:], quantile) for row in errors]
    above = np.mean([row[0] > each.threshold for row, each in zip(errors, found, strict=True)])
    stated = found[0].false_alarms
    assert stated <= 1 - quantile + 1e-9
    assert above == pytest.approx(stated, abs=4 * math.sqrt(stated / trials))


@pytest.mark.parametrize(
    ("errors", "quantile", "fault"),
    [
        ([], 0.99, r"errors: the shape is \(0,\)"),
        ([[1.0]], 0.99, "expected"),
        ([1.0, np.nan], 0.99, "no numbers"),
        ([1.0, -1.0], 0.99, "negative"),
        ([1.0], 1.0, "quantile: 1.0"),
        ([], 99, "2 faults"),
    ],
)
def test_bad_input(errors, quantile, fault):
    with pytest.raises(DataError, match=fault):
        error_threshold(errors, quantile)
