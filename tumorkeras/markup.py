"""Pieces of HTML from plain text: whatever comes in as text goes out escaped."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import TypeGuard

import cv2
import numpy as np

# Figures are drawn at 144 dots an inch; a CSS pixel is 1/96 inch.
PIXEL_RATIO = 144 / 96
QUALITY = 82  # of JPEG


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, a fainter text after it, and a tag.

    ``number`` puts it to the right, where digits line up.
    """

    text: str
    interval: str = ""
    tag: str = ""
    number: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table; ``kind`` is "", "best" or "baseline"."""

    cells: Sequence[Cell]
    kind: str = ""


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is "", "soft" for what is less important, or "aside" for what must be minded.

    Examples
    --------
    >>> paragraph("a < b")
    '<p>a &lt; b</p>'
    """
    return f"<p{_class(kind)}>{escape(text)}</p>"


def link(text: str, place: str) -> str:
    """A link to another page, given relative to this one, in a line of its own.

    Examples
    --------
    >>> link("The whole report", "lesions/report.html")
    '<p><a href="lesions/report.html">The whole report</a></p>'
    """
    return f'<p><a href="{escape(place)}">{escape(text)}</a></p>'


def bullets(lines: Iterable[str]) -> str:
    """A list of lines."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def heading(text: str) -> str:
    """A heading below that of the section."""
    return f"<h3>{escape(text)}</h3>"


def preformatted(text: str) -> str:
    """Text with its own line breaks, such as YAML."""
    return f'<pre tabindex="0">{escape(text)}</pre>'


def section(identity: str, title: str, parts: Iterable[str]) -> str:
    """A section of pieces that are HTML already."""
    body = "\n".join(parts)
    return f'<section id="{escape(identity)}">\n<h2>{escape(title)}</h2>\n{body}\n</section>'


def card(title: str, parts: Iterable[str], kind: str = "", style: str = "") -> str:
    """What an object shows of itself in a notebook: a title, if any, above pieces that are HTML already.

    It brings its own style, which reaches nothing outside it, and takes the colours of what is around it. ``kind`` and
    ``style`` are a class and rules of an object that needs its own.

    Examples
    --------
    >>> shown = card("a < b", [paragraph("few")])
    >>> shown.startswith('<div class="tk-card" role="region" aria-label="a &lt; b">'), shown.count("<style>")
    (True, 1)
    """
    body = "\n".join(part for part in parts if part)
    classes = f"tk-card {kind}".strip()
    named = f' role="region" aria-label="{escape(title)}"' if title else ""
    head = f'<p class="head">{escape(title)}</p>\n' if title else ""
    return f'<div class="{escape(classes)}"{named}>\n<style>\n{_card_style()}{style}</style>\n{head}{body}\n</div>'


@cache
def _card_style() -> str:
    return files("tumorkeras").joinpath("card.css").read_text(encoding="utf-8")


def details(summary: str, *parts: str) -> str:
    """Pieces that are HTML already, folded under a line of text.

    Examples
    --------
    >>> details("more", paragraph("a"))
    '<details><summary>more</summary><p>a</p></details>'
    """
    return f"<details><summary>{escape(summary)}</summary>{''.join(parts)}</details>"


def facts(pairs: Iterable[tuple[str, str]], label: str) -> str:
    """A table of names and what is to be said of them; what is empty is left out.

    Examples
    --------
    >>> facts([("kind", "classifier"), ("folder", "")], "Model").count("<tr>")
    1
    """
    return table([], [Row([Cell(name), Cell(text)]) for name, text in pairs if text], label)


def table(columns: Sequence[str], rows: Sequence[Row], label: str, stacked: bool = False) -> str:
    """A table that scrolls sideways where the page is narrow; the first cell of a row is its heading.

    Without ``columns`` it has no head; ``stacked`` puts intervals below their figures, where columns are many.
    """
    right = [bool(rows) and rows[0].cells[place].number for place in range(len(columns))]
    head = "".join(
        f'<th scope="col"{_class("number" if numeric else "")}>{escape(name)}</th>'
        for name, numeric in zip(columns, right, strict=True)
    )
    top = f"<thead><tr>{head}</tr></thead>\n" if columns else ""
    body = "\n".join(f"<tr{_class(row.kind)}>{_cells(row.cells)}</tr>" for row in rows)
    opening = f"<table{_class('stacked' if stacked else '')}>"
    return (
        f'<div class="scroll" role="region" aria-label="{escape(label)}" tabindex="0">{opening}\n'
        f"{top}<tbody>\n{body}\n</tbody></table></div>"
    )


def _cells(cells: Sequence[Cell]) -> str:
    return "".join(_cell(cell, "th" if place == 0 else "td") for place, cell in enumerate(cells))


def _cell(cell: Cell, element: str) -> str:
    scope = ' scope="row"' if element == "th" else ""
    content = escape(cell.text)
    if cell.interval:
        content += f' <span class="interval">{escape(cell.interval)}</span>'
    if cell.tag:
        content += f'<span class="tag">{escape(cell.tag)}</span>'
    return f"<{element}{scope}{_class('number' if cell.number else '')}>{content}</{element}>"


def keys(figures: Iterable[tuple[str, str, str]]) -> str:
    """The key figures at the top of the page: (name, value, note) each."""
    tiles = "".join(
        f'<div><dt>{escape(name)}</dt><dd class="value">{escape(value)}</dd><dd class="note">{escape(note)}</dd></div>'
        for name, value, note in figures
    )
    return f'<dl class="keys">{tiles}</dl>'


def figure(png: bytes, alt: str, caption: str = "", photo: bool = False, ratio: float = PIXEL_RATIO) -> str:
    """A PNG inside the page, at the size it was drawn for, with a text for those who do not see it.

    A photo goes in as JPEG, a fraction of the size where a picture is mostly grain. ``ratio`` is of its pixels to those
    of the page.
    """
    width, height = (round(size / ratio) for size in struct.unpack(">II", png[16:24]))
    kind, content = ("jpeg", _jpeg(png)) if photo else ("png", png)
    data = base64.b64encode(content).decode("ascii")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><img src="data:image/{kind};base64,{data}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}">{below}</figure>'
    )


def _jpeg(png: bytes) -> bytes:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    # Without subsampling, or the colours of thin lines fade.
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imencode(".jpg", picture, settings)[1].tobytes()


def drawing(shapes: str, size: tuple[int, int], alt: str, caption: str = "") -> str:
    """Shapes of SVG, with a text for those who do not see them; ``currentColor`` is that of the text around them.

    Examples
    --------
    >>> drawing('<circle r="2"/>', (4, 4), "a dot").startswith('<figure><svg role="img" aria-label="a dot"')
    True
    """
    width, height = size
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><svg role="img" aria-label="{escape(alt)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-size="10.5">{shapes}</svg>{below}</figure>'
    )


def figures(pieces: Iterable[str]) -> str:
    """Figures side by side where there is room."""
    return f'<div class="figures">{"".join(pieces)}</div>'


def rounded(value: float | None, digits: int = 3) -> str:
    """A figure of a table; a dash where it is undefined.

    Examples
    --------
    >>> rounded(0.98765), rounded(None), rounded(float("nan")), rounded(0.00012345)
    ('0.988', '–', '–', '0.000123')
    """
    if not _is_known(value):
        return "–"
    return f"{value:.{digits}g}" if 0 < abs(value) < 0.01 else f"{value:.{digits}f}"


def interval(low: float | None, high: float | None, show: Callable[[float], str] = rounded) -> str:
    """The ends of an interval; nothing where they are undefined.

    Examples
    --------
    >>> interval(0.9, 1.0).split(), interval(None, 1.0)
    (['[0.900,', '1.000]'], '')
    """
    return f"[{show(low)},\N{NO-BREAK SPACE}{show(high)}]" if _is_known(low) and _is_known(high) else ""


def estimate(value: float | None, low: float | None, high: float | None) -> Cell:
    """A figure with its interval.

    Examples
    --------
    >>> estimate(0.9, None, None)
    Cell(text='0.900', interval='', tag='', number=True)
    """
    return Cell(rounded(value), interval(low, high), number=True)


def count(value: float | None, low: float | None, high: float | None) -> Cell:
    """A number of things with its interval.

    Examples
    --------
    >>> count(1200, float("nan"), None)
    Cell(text='1,200', interval='', tag='', number=True)
    """
    text = f"{value:,.0f}" if _is_known(value) else rounded(value)
    return Cell(text, interval(low, high, "{:,.6g}".format), number=True)


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and not math.isnan(value)


def _class(name: str) -> str:
    return f' class="{escape(name)}"' if name else ""
