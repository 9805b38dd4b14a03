"""A table of samples that lie in parts, whatever their values are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from tumorkeras.data.splits import PARTS
from tumorkeras.errors import DataError


@dataclass(frozen=True)
class Parted:
    """Samples with a row each in ``table``, whose column ``split`` names the part."""

    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    @property
    def groups(self) -> np.ndarray | None:
        """Group of each sample, or None where the spec names no group."""
        return None if self.table["group"].isna().any() else self.table["group"].to_numpy()

    def select(self, chosen: np.ndarray) -> Self:
        """The samples at the given indices or where a boolean mask is true."""
        chosen = np.asarray(chosen)
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return replace(self, table=self.table.iloc[rows].reset_index(drop=True), **self._at(rows))

    def _at(self, rows: np.ndarray) -> dict[str, Any]:
        """The fields beside the table, of some rows."""
        raise NotImplementedError

    def content(self) -> Iterator[np.ndarray]:
        """Everything that a model sees of the samples, in their order, piece by piece: large sets lie on disk."""
        raise NotImplementedError

    def part(self, name: str) -> Self:
        """The samples of one part: "train", "val" or "test".

        Raises
        ------
        DataError
            If the part has no sample.
        """
        chosen = (self.table["split"] == name).to_numpy()
        if not chosen.any():
            raise DataError("splits", [f"no sample is in the part {name!r}; there are {self.counts().to_dict()}"])
        return self.select(chosen)

    @property
    def in_parts(self) -> str:
        """How many samples each part has, in words."""
        return ", ".join(f"{count:,} {name}" for name, count in self.counts().items())

    def counts(self) -> pd.Series:
        """Number of samples of each part."""
        return self.table["split"].value_counts().reindex(list(PARTS), fill_value=0)
