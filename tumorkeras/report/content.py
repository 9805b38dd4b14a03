"""What the sections of a report read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.auditing import AuditReport
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.samples import Samples
from tumorkeras.jobs.goals import read_part
from tumorkeras.training import TrainedModel

Metric = Mapping[str, Any]  # value, low, high (None where undefined) and n
Metrics = dict[str, Metric]


@dataclass(frozen=True)
class Content:
    """A job, as :func:`tumorkeras.report.write_report` shows it.

    Parameters
    ----------
    path : Path
        The file; other files of its folder that the package knows are listed in it.
    samples : Samples or DetectionSamples
        What the main model learnt from.
    models : dict of str to TrainedModel
        By kind: "autoencoder", "classifier", "detector"; their metrics are taken from their cards.
    comparison : pandas.DataFrame or None
        From :func:`tumorkeras.compare`.
    predictions : pandas.DataFrame
        From :func:`tumorkeras.score` on a part of ``samples``, with a column ``true_class`` unless it is of a
        detector.
    found : AuditReport, optional
        From :func:`tumorkeras.audit` on the same data.
    images : Samples, optional
        What the autoencoder learnt from; by default ``samples``.
    also : dict of str to Content
        Jobs done beside this one, by their names; their pages lie below the folder of this one.

    Examples
    --------
    >>> content = Content(Path("out/report.html"), None, {}, None, pd.DataFrame({"path": []}))
    >>> content.path.name, content.also
    ('report.html', {})
    """

    path: Path
    samples: Any
    models: dict[str, TrainedModel]
    comparison: pd.DataFrame | None
    predictions: pd.DataFrame
    found: AuditReport | None = None
    images: Samples | None = None
    also: dict[str, Content] = field(default_factory=dict)

    @property
    def main(self) -> TrainedModel:
        """The classifier or detector, where there is one."""
        found = [self.models[kind] for kind in ("classifier", "detector") if kind in self.models]
        return found[0] if found else next(iter(self.models.values()))

    @property
    def detects(self) -> bool:
        """Whether samples are images with boxes, and not of a class each."""
        return isinstance(self.samples, DetectionSamples)

    @property
    def part(self) -> str:
        """The part that the cards' metrics were read on."""
        return read_part(self.samples)

    @cached_property
    def read(self) -> Any:
        """The samples of that part."""
        return self.samples.part(self.part)

    @cached_property
    def whole(self) -> Samples:
        """What autoencoder and classifier read of that part."""
        return (self.samples if self.images is None else self.images).part(self.part)

    @property
    def part_in_words(self) -> str:
        """How unseen it was."""
        if self.part == "test":
            return "test part, which neither fitted nor stopped the training"
        return (
            "validation part, which also stopped the training, and tuned the threshold where there is one: these "
            "figures are too good"
        )

    def metrics(self, kind: str) -> Metrics:
        """Value, low, high and n of each metric of a model's card; empty where it has none."""
        return metrics_of(self.models[kind]) if kind in self.models else {}

    @cached_property
    def answers(self) -> pd.DataFrame:
        """The predictions that are there, with the class id of the truth as ``label``."""
        ids = {name: number for number, name in enumerate(self.samples.classes)}
        done = self.predictions[self.predictions["status"] == "ok"]
        return done.assign(label=done["true_class"].map(ids).astype("int64"))

    @cached_property
    def called(self) -> pd.DataFrame:
        """The answers, of two classes as the card's threshold calls them, at which its metrics are read."""
        threshold = self.models["classifier"].card.get("threshold")
        if threshold is None:
            return self.answers
        second = self.answers.filter(regex="^probability_").iloc[:, 1]
        return self.answers.assign(class_id=(second >= threshold).astype("int64"))

    @property
    def answer_groups(self) -> np.ndarray | None:
        """The group of each of them, where the data have groups."""
        groups = self.read.groups
        return None if groups is None else groups[self.answers.index]

    @property
    def majority(self) -> tuple[str, float]:
        """The commonest class of the training part, and the accuracy of calling everything so."""
        table = self.samples.table
        training = table.loc[table["split"] == "train", "class_name"]
        name = str(training.value_counts().index[0])
        return name, float((self.read.table["class_name"] == name).mean())


def metrics_of(trained: TrainedModel) -> Metrics:
    """Value, low, high and n of each metric of a model's card; empty where it has none."""
    return (trained.card.get("metrics") or {}).get("values", {})
