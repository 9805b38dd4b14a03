"""What the sections of a report read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from tumorkeras.auditing import AuditReport
from tumorkeras.data.samples import Samples
from tumorkeras.training import TrainedModel

Metrics = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Content:
    """A job, as :func:`tumorkeras.report.write_report` was given it."""

    path: Path
    samples: Samples
    models: dict[str, TrainedModel]
    comparison: pd.DataFrame | None
    predictions: pd.DataFrame
    found: AuditReport | None = None

    @property
    def main(self) -> TrainedModel:
        """The classifier, where there is one."""
        return self.models.get("classifier") or next(iter(self.models.values()))

    @property
    def part(self) -> str:
        """The part that the cards' metrics were read on."""
        return "test" if self.samples.counts()["test"] else "val"

    @cached_property
    def read(self) -> Samples:
        """The samples of that part."""
        return self.samples.part(self.part)

    @property
    def part_in_words(self) -> str:
        """How unseen it was."""
        if self.part == "test":
            return "test part, which neither fitted nor stopped the training"
        return "validation part, which also stopped the training: these figures are a little too good"

    def metrics(self, kind: str) -> Metrics:
        """Value, low, high and n of each metric of a model's card; empty where it has none."""
        if kind not in self.models:
            return {}
        return (self.models[kind].card.get("metrics") or {}).get("values", {})

    @cached_property
    def answers(self) -> pd.DataFrame:
        """The predictions that are there, with the class id of the truth as ``label``."""
        ids = {name: number for number, name in enumerate(self.samples.classes)}
        done = self.predictions[self.predictions["status"] == "ok"]
        return done.assign(label=done["true_class"].map(ids).astype("int64"))

    @property
    def majority(self) -> tuple[str, float]:
        """The commonest class of the training part, and the accuracy of calling everything so."""
        table = self.samples.table
        training = table.loc[table["split"] == "train", "class_name"]
        name = str(training.value_counts().index[0])
        return name, float((self.read.table["class_name"] == name).mean())
