"""Tables of figures with intervals."""

from __future__ import annotations

from typing import Any, Self

import pandas as pd

from tumorkeras import markup
from tumorkeras.markup import Cell, Row


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
        named = isinstance(self.index, pd.MultiIndex) or not pd.api.types.is_integer_dtype(self.index.dtype)
        heads = [str(name or "") for name in self.index.names] if named else []
        rows = []
        for place, (index, line) in enumerate(zip(self.index, self.to_dict("records"), strict=True)):
            keys = [Cell(str(key)) for key in (index if isinstance(index, tuple) else (index,))] if named else []
            cells = [_cell(line[name], *(line.get(end) for end in ends[name])) for name in shown]
            rows.append(Row([*keys, *cells], "best" if place == self.attrs.get("best") else ""))
        if not rows:
            return markup.paragraph("An empty table.")
        caveat = self.attrs.get("caveat")
        words = [markup.paragraph(str(caveat), "soft")] if caveat else []
        columns = [name.replace("_", " ") for name in [*heads, *shown]]
        return markup.card(f"{len(self)} rows", [markup.table(columns, rows, "Figures"), *words])


def _ends(name: str) -> tuple[str, str]:
    return ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")


def _cell(value: Any, low: Any, high: Any) -> Cell:
    if isinstance(value, float) and not value.is_integer():
        return markup.estimate(value, low, high)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Cell(f"{value:,.0f}", markup.interval(low, high), number=True)
    return Cell(str(value))
