"""Tables of figures with intervals."""

from __future__ import annotations

from typing import Any, Self

import pandas as pd

from tumorkeras import markup
from tumorkeras.markup import Cell, Row

COUNTED = ("TP", "TN", "FP", "FN")
MOST_ABREAST = 5  # columns; where there are more, intervals stand below their figures


class Estimates(pd.DataFrame):
    """A DataFrame that a notebook shows with each figure's interval beside it; what is made of it is a plain one.

    The ends of the interval of a column ``x`` are the columns ``x_low`` and ``x_high``, of ``value`` they are ``low``
    and ``high``. ``attrs["best"]`` is the number of the row that stands out, ``attrs["caveat"]`` stands below.

    Examples
    --------
    >>> table = Estimates({"value": [0.9], "low": [0.8], "high": [1.0], "n": [12]}, index=["AUC"])
    >>> shown = table._repr_html_()
    >>> "0.900" in shown and "[0.800," in shown and "<b" not in shown, type(table[["value"]]).__name__
    (True, 'DataFrame')
    """

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """The same table, with its attributes."""
        made = cls(table)
        made.attrs = table.attrs
        return made

    def _repr_html_(self) -> str:
        ends = {str(name): _ends(str(name)) for name in self.columns}
        inner = {end for name, pair in ends.items() if set(pair) <= set(ends) for end in pair}
        shown = [name for name in ends if name not in inner and not (name == "error" and not self[name].any())]
        whole = {name for name in shown if not set(ends[name]) & inner and _is_whole(self[name])}
        named = isinstance(self.index, pd.MultiIndex) or not pd.api.types.is_integer_dtype(self.index.dtype)
        heads = [str(name or "") for name in self.index.names] if named else []
        rows = []
        for place, (index, line) in enumerate(zip(self.index, self.to_dict("records"), strict=True)):
            keys = [Cell(str(key)) for key in (index if isinstance(index, tuple) else (index,))] if named else []
            bounds = {name: (line.get(low), line.get(high)) for name, (low, high) in ends.items()}
            counts = set(shown) if str(index).partition("[")[0] in COUNTED else whole
            cells = [_cell(line[name], bounds[name], name in counts) for name in shown]
            rows.append(Row([*keys, *cells], "best" if place == self.attrs.get("best") else ""))
        caveat = self.attrs.get("caveat")
        words = [markup.paragraph(str(caveat), "soft")] if caveat else []
        columns = [name.replace("_", " ") for name in [*heads, *shown]]
        table = markup.table(columns, rows, "Figures", stacked=len(shown) > MOST_ABREAST)
        return markup.card("", [table if rows else markup.paragraph("An empty table."), *words])


def _ends(name: str) -> tuple[str, str]:
    return ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")


def _is_whole(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not (column % 1).any()


def _cell(value: Any, bounds: tuple[Any, Any], whole: bool) -> Cell:
    low, high = bounds
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Cell(str(value))
    if whole:
        return markup.count(value, low, high)
    if abs(value) >= 10:
        return Cell(f"{value:,.1f}", markup.interval(low, high), number=True)
    return markup.estimate(value, low, high)
