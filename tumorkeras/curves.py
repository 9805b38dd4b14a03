"""Learning curves as SVG: light enough to be drawn anew each second, legible on light and on dark ground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tumorkeras import markup
from tumorkeras.palette import color_of

FALLING = (
    *("loss", "error", "mae", "mse", "entropy", "divergence", "hinge", "poisson", "logcosh", "perplexity"),
    *("false_positives", "false_negatives"),
)
MOST_PANELS, MOST_POINTS = 6, 400
WIDTH, HEIGHT = 250, 150  # pixels of a panel
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 24, 22  # its margins
# Of a contrast above three to one against white and against black.
STROKES = {"training": (color_of(0), ""), "validation": (color_of(1), "5 2")}

Floats = NDArray[np.float64]


class Panel(NamedTuple):
    """A metric over the epochs: its name, the epochs, and the values by part; what is not finite is a gap."""

    name: str
    epochs: Floats
    values: dict[str, Floats]


def curves(history: pd.DataFrame, epochs: int | None = None) -> str:
    """The learning curves of a history as HTML, a panel a metric, with the best validation epoch marked.

    Parameters
    ----------
    history : DataFrame
        A row an epoch: ``epoch``, and figures, those of the validation part with ``val_`` before the name. Where there
        are any of these, only they and the loss are drawn.
    epochs : int, optional
        Where the axis ends; at the last epoch by default.

    Returns
    -------
    str
        "" where there is nothing finite to draw.

    Examples
    --------
    >>> history = pd.DataFrame({"epoch": [1, 2], "loss": [0.9, 0.5], "val_loss": [0.8, 0.6]})
    >>> curves(history).count("<polyline"), curves(history.iloc[:0])
    (2, '')
    """
    panels = panels_of(history)
    if not panels:
        return ""
    parts = {part: None for panel in panels for part in panel.values}
    drawn = markup.figures(_panel(panel, epochs) for panel in panels)
    return f'{drawn}<p class="soft">{_legend(list(parts))}</p>'


def panels_of(history: pd.DataFrame) -> list[Panel]:
    """The metrics that are drawn, the loss first.

    Examples
    --------
    >>> history = pd.DataFrame({"epoch": [1], "accuracy": [0.5], "loss": [1.0], "rate": [0.1], "val_accuracy": [0.4]})
    >>> [(panel.name, list(panel.values)) for panel in panels_of(history)]
    [('loss', ['training']), ('accuracy', ['training', 'validation'])]
    """
    figures = [str(name) for name in history.select_dtypes("number") if name != "epoch"]
    names = list(dict.fromkeys(name.removeprefix("val_") for name in sorted(figures, key=lambda name: name != "loss")))
    if any(name.startswith("val_") for name in figures):
        names = [name for name in names if name == "loss" or f"val_{name}" in figures]
    epochs = history["epoch"].to_numpy("float64") if "epoch" in history else np.arange(1.0, len(history) + 1)
    panels = []
    for name in names:
        columns = {"training": name, "validation": f"val_{name}"}
        values = {part: history[own].to_numpy("float64") for part, own in columns.items() if own in figures}
        values = {part: own for part, own in values.items() if np.isfinite(own).any()}
        panels += [Panel(name, epochs, values)] if values else []
    return panels[:MOST_PANELS]


def best_epoch(panel: Panel) -> int | None:
    """The row of the best validation value; None without one.

    Examples
    --------
    >>> best_epoch(Panel("loss", np.arange(3.0), {"validation": np.array([0.9, np.nan, 0.7])}))
    2
    """
    values = panel.values.get("validation")
    if values is None:
        return None
    signed = values if falls(panel.name) else -values
    return int(np.nanargmin(np.where(np.isfinite(values), signed, np.nan)))


def falls(metric: str) -> bool:
    """Whether lower is better: losses and errors are to fall, all else is to rise.

    Examples
    --------
    >>> falls("loss"), falls("binary_crossentropy"), falls("AUC")
    (True, True, False)
    """
    return any(word in metric for word in FALLING)


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers within a range.

    Examples
    --------
    >>> ticks(0.31, 0.92), ticks(0, 100)
    ([0.4, 0.6, 0.8], [0.0, 50.0, 100.0])
    """
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(unit * factor for factor in (1, 2, 5, 10) if (high - low) / (unit * factor) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _panel(panel: Panel, epochs: int | None) -> str:
    flat = np.concatenate(list(panel.values.values()))
    low, high = _range(flat[np.isfinite(flat)])
    first, last = float(panel.epochs.min()), max(float(panel.epochs.max()), float(epochs or 0))
    last = max(last, first + 1)

    def x(epoch: Floats | float) -> Floats | float:
        return LEFT + (epoch - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: Floats | float) -> Floats | float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 13, panel.name, weight="600")]
    for value in ticks(low, high):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="currentColor" '
            'stroke-opacity=".18"/>'
        )
        parts.append(_text(LEFT - 5, float(y(value)) + 3.5, f"{value:.4g}", "end"))
    parts += [_text(float(x(end)), HEIGHT - 6, f"{end:g}", "middle") for end in (first, last)]
    for part, values in panel.values.items():
        parts += _lines(x(panel.epochs), y(values), part)
    row = best_epoch(panel)
    if row is not None:
        value, epoch = panel.values["validation"][row], panel.epochs[row]
        parts.append(f'<circle cx="{x(epoch):.1f}" cy="{y(value):.1f}" r="4" fill="none" stroke="currentColor"/>')
        parts.append(_text(WIDTH - RIGHT, 13, f"best {value:.3g} at epoch {epoch:g}", "end"))
    return markup.drawing("".join(parts), (WIDTH, HEIGHT), _in_words(panel))


def _range(values: Floats) -> tuple[float, float]:
    """With some room, but not below 0 where nothing is."""
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 0.1 * abs(high) or 0.1
    return (low - room if low < 0 else max(0.0, low - room)), high + room


def _lines(x: Floats | float, y: Floats | float, part: str) -> list[str]:
    """A line a run of finite values, and dots where they are few."""
    color, dashes = STROKES[part]
    points = np.stack([np.asarray(x), np.asarray(y)], axis=1)
    points = points[np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int))]
    broken = np.flatnonzero(~np.isfinite(points).all(axis=1))
    runs = [run[np.isfinite(run).all(axis=1)] for run in np.split(points, broken)]
    drawn = []
    for run in (run for run in runs if len(run)):
        places = " ".join(f"{across:.1f},{down:.1f}" for across, down in run)
        style = f'fill="none" stroke="{color}" stroke-width="1.6" stroke-dasharray="{dashes}"'
        drawn.append(f'<polyline points="{places}" {style}/>')
        if len(points) <= 30 or len(run) == 1:  # one alone makes no line
            drawn += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="1.8" fill="{color}"/>' for across, down in run]
    return drawn


def _text(x: float, y: float, words: str, anchor: str = "start", weight: str = "400") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="currentColor"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def _legend(parts: Sequence[str]) -> str:
    keys = []
    for part in parts:
        color, dashes = STROKES[part]
        line = f'<line x1="0" x2="24" y1="5" y2="5" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        swatch = f'<svg width="24" height="10" aria-hidden="true" style="display:inline">{line}</svg>'
        keys.append(f'<span style="white-space:nowrap">{swatch} {part}</span>')
    return " \N{NO-BREAK SPACE} ".join([*keys, "by epoch"])


def _in_words(panel: Panel) -> str:
    ends = ", ".join(f"{part} {values[np.isfinite(values)][-1]:.3g}" for part, values in panel.values.items())
    row = best_epoch(panel)
    best = "" if row is None else f"; best validation at epoch {panel.epochs[row]:g}"
    return f"{panel.name} by epoch, at the end {ends}{best}"
