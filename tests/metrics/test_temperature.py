from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax
from sklearn.metrics import roc_auc_score

from tumorkeras.errors import DataError
from tumorkeras.metrics import apply_temperature, fit_temperature


def drawn(n=4000, seed=0):
    """Logits, and labels that are drawn by their sigmoid."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, n)
    return logits, (rng.random(n) < expit(logits)).astype(int)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_that_made_logits_too_large_is_found(factor):
    logits, labels = drawn()
    found = fit_temperature(labels, expit(factor * logits))
    assert found.value == pytest.approx(factor, rel=0.08)
    assert found.log_loss_after <= found.log_loss_before
    assert found.n == 4000


def test_no_other_temperature_is_better():
    logits, labels = drawn(200)
    table = np.column_stack([expit(-2 * logits), expit(2 * logits)])
    found = fit_temperature(labels, table)
    rows, values = np.arange(200), np.geomspace(0.05, 20, 400)
    losses = [-log_softmax(np.log(table) / value, axis=1)[rows, labels].mean() for value in values]
    assert found.log_loss_after <= min(losses) + 1e-9
    assert found.log_loss_before == pytest.approx(-np.log(table[np.arange(200), labels]).mean())


def test_ends_of_the_range():
    assert fit_temperature([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).value == pytest.approx(0.05)  # all right: never too sure
    assert fit_temperature([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]).value == pytest.approx(20)  # all wrong
    assert np.isfinite(fit_temperature([1, 0, 0], [0.0, 0.0, 1.0]).log_loss_before)


def test_an_end_of_the_range_is_flagged_and_where_all_are_as_good_nothing_changes():
    assert fit_temperature([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).at_end
    assert fit_temperature([0, 1], [0.0, 1.0]).at_end  # the loss is 0 in float64 well before the end
    assert fit_temperature([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]).at_end
    assert not fit_temperature([0, 0, 1, 1, 0], [0.1, 0.2, 0.8, 0.9, 0.7]).at_end
    assert fit_temperature([0, 1], [0.5, 0.5]).value == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.floats(0.8, 10), st.integers(0, 1000))
def test_scaling_keeps_sums_and_order_and_can_be_undone(classes, temperature, seed):
    table = np.random.default_rng(seed).dirichlet(np.full(classes, 5), 8)
    scaled = apply_temperature(table, temperature)
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    np.testing.assert_array_equal(scaled.argmax(axis=1), table.argmax(axis=1))
    np.testing.assert_allclose(apply_temperature(scaled, 1 / temperature), table, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.3, 20), st.integers(0, 1000))
def test_scaling_keeps_the_area_under_the_curve(temperature, seed):
    rng = np.random.default_rng(seed)
    labels, scores = np.arange(30) % 2, rng.uniform(0.01, 0.99, 30).round(2)  # some are tied
    scaled = apply_temperature(scores, temperature)
    assert roc_auc_score(labels, scaled.round(12)) == pytest.approx(roc_auc_score(labels, scores))


def test_the_form_that_was_given():
    np.testing.assert_allclose(apply_temperature([0.2, 0.7], 1.0), [0.2, 0.7])
    np.testing.assert_allclose(apply_temperature([0.8], 2.0), [2 / 3])


def test_bad_input():
    with pytest.raises(DataError, match="all are class 1"):
        fit_temperature([1, 1], [0.2, 0.3])
    with pytest.raises(DataError, match="temperature: 0 is not above 0"):
        apply_temperature([0.2], 0)
    with pytest.raises(DataError, match="temperature: nan"):
        apply_temperature([0.2], np.nan)
