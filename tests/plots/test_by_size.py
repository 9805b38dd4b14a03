"""A figure over the number of training samples: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.plots.by_size import APART


@pytest.fixture
def table():
    """Two methods, their sizes out of order, the second without intervals."""
    rows = [["b", 100, 0.9, 0.85, 0.97], ["b", 10, 0.6, 0.5, 0.65], ["a", 10, 0.7, np.nan, np.nan]]
    return pd.DataFrame(rows, columns=["method", "size", "AUC", "AUC_low", "AUC_high"], index=[5, 5, 5])


def test_lines_and_intervals_are_drawn_as_given(table):
    ax = plots.learning_by_size(table, "AUC")
    first, second = ax.containers
    np.testing.assert_allclose(first[0].get_xydata(), [[10 / APART**0.5, 0.6], [100 / APART**0.5, 0.9]])
    np.testing.assert_allclose(second[0].get_xydata(), [[10 * APART**0.5, 0.7]])
    ends = [segment[:, 1].tolist() for segment in first[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.5, 0.65], [0.85, 0.97]])
    np.testing.assert_allclose(second[2][0].get_segments()[0][:, 1], [0.7, 0.7])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["b", "a"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "100"]
    assert ax.get_xscale() == "log"
    assert (ax.get_title(loc="left"), ax.get_ylabel()) == ("AUC by training samples", "AUC")
    plots.to_png(ax)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="method"), "no column 'method'; found size"),
        (lambda table: table.drop(columns="AUC_low"), "no column 'AUC_low'"),
        (lambda table: table.assign(size=[0, 10, 10]), "not above 0"),
        (lambda table: table.assign(size=[np.nan, 10, 10]), "not above 0"),
        (lambda table: table.assign(size=10), "two rows of 'b' and size 10"),
        (lambda table: table.iloc[:0], "no rows"),
    ],
)
def test_tables_that_cannot_be_drawn_are_told(table, change, words):
    with pytest.raises(DataError, match=words):
        plots.learning_by_size(change(table), "AUC")
