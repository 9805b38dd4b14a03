"""Tables of figures: intervals beside the figures, plain tables out of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from read_html import card

from tumorkeras.estimates import Estimates


def test_each_figure_has_its_interval_and_no_column_of_ends_is_left():
    table = Estimates(
        {
            "method": ["<b-class>", "svm"],
            "accuracy": [0.5, np.nan],
            "accuracy_low": [0.25, np.nan],
            "accuracy_high": [0.75, np.nan],
            "seconds": [12.34, 0.5],
            "samples": [1200, 3],
            "error": ["", ""],
        }
    )
    table.attrs = {"best": 0, "caveat": "A <ranking>."}
    reader = card(table)
    assert "method accuracy seconds samples " in reader.cells
    assert "<b-class> 0.500 [0.250, 0.750] 12.3 1,200" in reader.cells
    assert "svm – 0.500 3 " in reader.cells
    assert "A <ranking>." in reader.text
    assert [each.get("class") for tag, each in reader.attributes if tag == "tr"] == [None, "best", None]


def test_an_error_is_shown_where_a_method_failed():
    assert "no memory" in card(Estimates({"method": ["cnn"], "error": ["no memory"]})).text


def test_counts_are_whole_and_the_index_is_shown():
    index = pd.Index(["accuracy", "TP"], name="metric")
    table = Estimates({"value": [1.0, 7.0], "low": [0.5, 3.0], "high": [1.0, 12.0], "n": [27.0, 27.0]}, index=index)
    reader = card(table)
    assert "metric value n accuracy 1.000 [0.500, 1.000] 27 TP 7 [3, 12] 27" in reader.cells


def test_two_levels_of_index():
    index = pd.MultiIndex.from_tuples([("AP50", "RBC"), ("AP50", "all")], names=["metric", "class"])
    table = Estimates({"value": [0.25, 0.5]}, index=index)
    assert "metric class value AP50 RBC 0.250 AP50 all 0.500" in card(table).cells


def test_what_is_made_of_it_is_a_plain_table_with_the_same_attributes():
    made = Estimates.of(pd.DataFrame({"value": [0.5], "low": [0.1], "high": [0.9]}))
    assert type(made[["value"]]) is type(made.copy()) is type(made.round(1)) is pd.DataFrame
    plain = pd.DataFrame({"a": [1.5]})
    plain.attrs["caveat"] = "read with care"
    assert Estimates.of(plain).attrs == {"caveat": "read with care"}
    pd.testing.assert_frame_equal(Estimates.of(plain), plain)


def test_an_empty_table_says_so():
    assert "An empty table." in card(Estimates({"value": []})).text


def test_counts_whose_interval_is_not_known_have_none():
    table = Estimates({"value": [7.0], "low": [float("nan")], "high": [float("nan")]}, index=["TP"])
    assert "TP 7" in card(table).cells
    assert "nan" not in card(table).text
