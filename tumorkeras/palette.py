"""The colours of classes, the same wherever they are drawn."""

from __future__ import annotations

# Okabe & Ito's colours, told apart with any colour vision; yellow, faint on white, comes late.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def color_of(index: int) -> str:
    """Colour of a class; colours come round again after eight.

    Examples
    --------
    >>> color_of(0) == color_of(8)
    True
    """
    return COLORS[index % len(COLORS)]


def rgb_of(index: int) -> tuple[int, int, int]:
    """The same colour as red, green and blue from 0 to 255.

    Examples
    --------
    >>> rgb_of(0)
    (0, 114, 178)
    """
    red, green, blue = bytes.fromhex(color_of(index)[1:])
    return red, green, blue
