"""Numbers as people write them."""

from __future__ import annotations

import re
from typing import Any

from tumorkeras.data.annotations.names import Fault

LARGEST_NUMBER = 1e18  # beyond any coordinate, and small enough to be scaled without overflow
NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")  # kept exactly, and no name as "007" is


def number(value: Any, what: str) -> float:
    """A finite number, from a number or from text with a decimal point or comma.

    Raises
    ------
    Fault
        If it is none.

    Examples
    --------
    >>> number("262.38", "xmin"), number("262,38", "xmin"), number(7, "xmin")
    (262.38, 262.38, 7.0)
    """
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str):
        text = with_point(text)
        found = float(text) if NUMBER.fullmatch(text) else float("nan")
    else:
        found = _as_float(text)
    if not abs(found) <= LARGEST_NUMBER:  # NaN is not
        raise Fault(f"{what}: {str(value)[:60]!r} is not a finite number")
    return found


def with_point(text: str) -> str:
    """Text with its decimal comma, if it has one, as a point.

    Examples
    --------
    >>> with_point("262,38"), with_point("1,000.5"), with_point("1,2,3")
    ('262.38', '1,000.5', '1,2,3')
    """
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text


def _as_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("nan")


def count(value: Any) -> int | None:
    """A whole number from 0 on, from a number or text; None for anything else.

    Examples
    --------
    >>> count("480"), count(480.0), count("Unspecified"), count(None)
    (480, 480, None, None)
    """
    try:
        found = number(value, "")
    except Fault:
        return None
    return int(found) if found >= 0 and found.is_integer() and found < 2**31 else None
