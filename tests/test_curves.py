"""Learning curves as SVG: where the points lie, what is chosen, gaps, and names that would break the markup."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from read_html import Reader

from tumorkeras.curves import BOTTOM, HEIGHT, LEFT, MOST_POINTS, RIGHT, TOP, WIDTH, curves, falls, panels_of


def lines_of(html):
    return [
        [tuple(map(float, point.split(","))) for point in line.split()]
        for line in re.findall(r'<polyline points="([^"]*)"', html)
    ]


def test_points_lie_where_epoch_and_value_say():
    (line,) = lines_of(curves(pd.DataFrame({"epoch": [1, 2, 3], "loss": [2.0, 1.0, 0.0]}), epochs=5))
    # The axis ends at epoch 5; the values take what is between the margins, from 0 to 2 and a twentieth above.
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    assert [x for x, _ in line] == pytest.approx([LEFT, LEFT + (right - LEFT) / 4, (LEFT + right) / 2], abs=0.06)
    assert [y for _, y in line] == pytest.approx([bottom - (bottom - TOP) * v / 2.1 for v in (2, 1, 0)], abs=0.06)


def test_a_gap_parts_the_line_and_a_single_point_is_seen():
    html = curves(pd.DataFrame({"epoch": range(1, 6), "loss": [1.0, np.nan, 0.5, np.inf, 0.4]}))
    assert [len(line) for line in lines_of(html)] == [1, 1, 1]
    assert html.count("<circle") == 3
    assert "nan" not in html
    assert "inf" not in html


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [-3.0, -3.0], [1e-12, 1e12]])
def test_flat_and_far_apart_values_have_an_axis(values):
    html = curves(pd.DataFrame({"epoch": range(len(values)), "val_AP50": values, "loss": values}))
    Reader(f"<div>{html}</div>")
    for line in lines_of(html):
        assert all(TOP - 1 <= y <= HEIGHT - BOTTOM + 1 for _, y in line)


def test_the_detectors_own_losses_give_way_to_what_is_measured_on_validation():
    row = {"epoch": 1, "rpn_box_loss": 1.0, "loss": 2.0, "val_AP50": 0.1, "val_AP": 0.05}
    assert [panel.name for panel in panels_of(pd.DataFrame([row]))] == ["loss", "AP50", "AP"]


def test_the_best_epoch_is_marked_and_told():
    rows = {"epoch": [1, 2, 3], "loss": [3, 2, 1.0], "val_loss": [0.9, 0.6, 0.7], "val_accuracy": [0.5, 0.4, np.nan]}
    html = curves(pd.DataFrame(rows))
    assert "best 0.6 at epoch 2" in html
    assert "best 0.5 at epoch 1" in html
    assert "loss by epoch, at the end training 1, validation 0.7; best validation at epoch 2" in html


def test_names_are_escaped_and_nothing_is_drawn_of_nothing():
    reader = Reader(f"<div>{curves(pd.DataFrame({'epoch': [1], '<b-class>': [0.5]}))}</div>")
    assert "<b-class>" in reader.text
    assert curves(pd.DataFrame()) == ""
    assert curves(pd.DataFrame({"epoch": [1], "loss": [np.nan], "note": ["a"]})) == ""


def test_a_long_history_stays_light():
    n = 100_000
    html = curves(pd.DataFrame({"epoch": range(n), "loss": np.linspace(1, 0, n), "val_loss": np.ones(n)}))
    assert [len(line) for line in lines_of(html)] == [MOST_POINTS, MOST_POINTS]
    assert len(html) < 20_000


def test_what_is_measured_now_and_then_in_a_long_training_is_seen():
    measured = [0.5 if epoch % 5 == 0 else np.nan for epoch in range(1, 51)]
    html = curves(pd.DataFrame({"epoch": range(1, 51), "loss": np.linspace(1, 0, 50), "val_loss": measured}))
    assert html.count('r="1.8"') == 10


@pytest.mark.parametrize(
    ("metric", "lower"),
    [("categorical_crossentropy", True), ("kl_divergence", True), ("false_negatives", True), ("AP50", False)],
)
def test_the_best_epoch_is_the_lowest_of_what_is_to_fall(metric, lower):
    assert falls(metric) == lower
