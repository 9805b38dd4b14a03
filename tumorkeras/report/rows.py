"""Rows and figures of metrics, each with its interval and the number it was read on."""

from __future__ import annotations

import pandas as pd

from tumorkeras import markup
from tumorkeras.markup import Cell, Row
from tumorkeras.report.content import Content, Metric


def count_rows(counts: pd.DataFrame) -> list[Row]:
    """A row a line of a table of counts, with their sum at its end."""
    return [
        Row([Cell(str(name)), *(Cell(str(count), number=True) for count in (*line, sum(line)))])
        for name, line in zip(counts.index, counts.to_numpy().tolist(), strict=True)
    ]


def metric_cell(metric: Metric) -> Cell:
    """Value and interval."""
    return markup.estimate(metric["value"], metric["low"], metric["high"])


def metric_row(title: str, metric: Metric, baseline: bool = False) -> Row:
    """A metric with its interval and n."""
    tag = "baseline" if baseline else ""
    cells = [Cell(title, tag=tag), metric_cell(metric), Cell(f"{metric['n']:.0f}", number=True)]
    return Row(cells, "baseline" if baseline else "")


def value_and_note(metric: Metric) -> tuple[str, str]:
    """Value, and interval with n."""
    bounds = markup.interval(metric["low"], metric["high"])
    return markup.rounded(metric["value"]), f"{bounds} n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{metric['n']:.0f}".strip()


def unit_of_resampling(content: Content) -> str:
    """What the intervals are from, in words."""
    one = "images" if content.detects else "samples"
    return f"The intervals are from a bootstrap of {one if content.samples.groups is None else 'whole groups'}."
