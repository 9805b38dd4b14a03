"""Many probes at once: each is made on its rows, and their intervals hold together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tumorkeras.auditing.group_folds import fewest_groups
from tumorkeras.auditing.probes import Model, ProbeScore, probe, screened_model
from tumorkeras.auditing.questions import Question


@dataclass(frozen=True)
class Trial:
    """A probe that is to be made: features, labels and groups, row by row."""

    code: str
    question: Question
    features: pd.DataFrame
    groups: pd.Series | None
    model: Model = screened_model


@dataclass(frozen=True)
class Result:
    """A trial and its score."""

    trial: Trial
    score: ProbeScore

    @property
    def figures(self) -> dict[str, float | int | str]:
        """Plain values: AUC of the class that is told best, its interval, samples, and the mean over classes."""
        best = self.score.by_class[self.score.best_told]
        return {
            "question": self.trial.question.name,
            "told": self.score.best_told,
            "auc": best.value,
            "low": best.low,
            "high": best.high,
            "n": best.n,
            "mean_auc": self.score.overall.value,
        }

    @property
    def words(self) -> str:
        """The score as a reader sees it.

        Examples
        --------
        >>> from tumorkeras.metrics import Interval
        >>> both = dict.fromkeys(["benign", "malignant"], Interval(0.9, 0.8, 0.95, 100))
        >>> trial = Trial("size", Question("class", pd.Series()), pd.DataFrame(), None)
        >>> Result(trial, ProbeScore(both["benign"], both)).words
        'AUC 0.90 [0.80, 0.95], 100 samples'
        """
        best = self.score.by_class[self.score.best_told]
        return f"AUC {best.value:.2f} [{best.low:.2f}, {best.high:.2f}], {best.n} samples"

    @property
    def told(self) -> str:
        """What is told from what.

        Examples
        --------
        >>> from tumorkeras.metrics import Interval
        >>> both = dict.fromkeys(["benign", "malignant"], Interval(0.9, 0.8, 0.95, 100))
        >>> trial = Trial("size", Question("class", pd.Series()), pd.DataFrame(), None)
        >>> Result(trial, ProbeScore(both["benign"], both)).told
        'benign from malignant'
        """
        names = list(self.score.by_class)
        if len(names) == 2:
            return " from ".join(names)
        return f"{self.score.best_told} from the other classes"


def run_trials(trials: Sequence[Trial]) -> list[Result]:
    """Make the probes; their intervals hold at once with 95 % (Bonferroni).

    Groups keep together what belongs together wherever each class is in two groups or more; where a class is in one
    group only there is no such fold, and samples are drawn one by one.
    """
    results = []
    for trial in trials:
        known = trial.question.labels.notna().to_numpy()
        labels = trial.question.labels[known].to_numpy()
        groups = None if trial.groups is None else trial.groups[known].to_numpy()
        if groups is not None and fewest_groups(labels, groups) < 2:
            groups = None
        score = probe(trial.features[known], labels, groups=groups, tests=len(trials), model=trial.model)
        results.append(Result(trial, score))
    return results
