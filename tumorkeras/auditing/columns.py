"""Columns of a table, one by one: which of them tell the class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.auditing.families import varies
from tumorkeras.auditing.findings import Finding, counted
from tumorkeras.auditing.probes import can_probe, linear_model
from tumorkeras.auditing.questions import Question
from tumorkeras.auditing.trials import Result, Trial, run_trials

MOST_LEVELS = 20  # values of a column of text that is probed
TELLS_ALL = 0.95  # AUC above which a column may be the class in another form
# What the catalog itself knows of a sample is no column of the source's own table.
KNOWN = {"id", "path", "class_name", "group", "given_split", "split", "labelled", "frames", "image", "class", "label"}


def column_trials(table: pd.DataFrame, question: Question, groups: pd.Series | None) -> Iterator[Trial]:
    """A probe for each column of numbers, and of text with at most 20 values, that is not the label by another name."""
    known = question.labels.notna().to_numpy()
    for name in table.columns.difference(list(KNOWN), sort=False):
        column = table[name]
        if groups is not None and column.astype(str).equals(groups.astype(str)):
            continue
        features = _coded(column)
        if features is not None and varies(features[known]) and not _same(column[known], question.labels[known]):
            yield Trial(str(name), question, features, groups, linear_model)


def _coded(column: pd.Series) -> pd.DataFrame | None:
    """A column as numbers: its value and its distance from the median, or one column a word."""
    if pd.api.types.is_numeric_dtype(column):
        values = column.astype(np.float64).where(np.isfinite(column.astype(np.float64)))
        return pd.DataFrame({"value": values, "distance": (values - values.median()).abs()})
    if column.nunique() > MOST_LEVELS:
        return None
    return pd.get_dummies(column.astype("string"), dummy_na=True, dtype=np.float64)


def _same(column: pd.Series, labels: pd.Series) -> bool:
    """Whether each value stands for one label, and each label for one value."""
    pairs = pd.DataFrame({"value": column.astype(str).to_numpy(), "label": labels.to_numpy()}).drop_duplicates()
    return len(pairs) == pairs["value"].nunique() == pairs["label"].nunique()


def telling_columns(results: list[Result], least: float) -> list[Finding]:
    """One note on the columns of the source's own table that tell the class; none where there is none.

    Parameters
    ----------
    results : list of Result
        Of the trials of :func:`column_trials`.
    least : float
        AUC above which the lower end must lie.
    """
    telling = sorted((result for result in results if result.score.low > least), key=lambda r: -r.score.low)
    if not telling:
        return []
    names = ", ".join(dict.fromkeys(result.trial.code for result in telling))
    listed = "; ".join(f"{result.trial.code} tells {result.told}: {result.words}" for result in telling)
    return [
        Finding(
            "shortcuts",
            "columns",
            "note",
            f"columns of the table that tell the class by themselves: {names}",
            effect=f"{listed}. A network that sees pixels only cannot read them, but what they measure may show.",
            mend="Report the best of them beside the network as the score to beat; leave out what is known only "
            "after the diagnosis.",
            figures={"columns": _figures(telling), "probes": len(results)},
        )
    ]


def column_findings(table: pd.DataFrame, labels: ArrayLike, *, groups: ArrayLike | None = None) -> list[Finding]:
    """Probe each column of a table of features, a row a sample, on its own.

    Parameters
    ----------
    table : DataFrame
        The features; columns of numbers, and of text with at most 20 values, are probed.
    labels : array-like, shape (n,)
        The class of each row.
    groups : array-like, shape (n,), optional
        Patient, exam or experiment: never on both sides of a fold.

    Returns
    -------
    list of Finding
        A warning for each column that tells the class almost without fault (AUC above 0.95): it may be the class in
        another form; and a note with the score of every column. Intervals hold for all columns at once.

    Examples
    --------
    >>> generator = np.random.default_rng(0)
    >>> labels = np.repeat(["benign", "malignant"], 50)
    >>> table = pd.DataFrame({"age": generator.normal(size=100), "stage": generator.normal(size=100)})
    >>> table["stage"] += 9 * (labels == "malignant")
    >>> [(finding.severity, finding.title) for finding in column_findings(table, labels)]
    [('warning', 'the column stage alone tells benign from malignant: AUC 1.00 [1.00, 1.00], 100 samples'),
     ('note', '2 columns probed one by one; the best: stage 1.00, age ...')]
    """
    question = Question("class", pd.Series(np.asarray(labels, dtype=object)))
    units = None if groups is None else pd.Series(np.asarray(groups, dtype=object))
    if not can_probe(question.labels.dropna()):
        return []
    results = run_trials(list(column_trials(table.reset_index(drop=True), question, units)))
    return [*(_leaky(result, len(results)) for result in results if result.score.low > TELLS_ALL), *_listed(results)]


def _leaky(result: Result, tests: int) -> Finding:
    return Finding(
        "shortcuts",
        "column",
        "warning",
        f"the column {result.trial.code} alone tells {result.told}: {result.words}",
        effect="It may be the class in another form, or known only after the diagnosis; a model reads it alone.",
        mend="Leave the column out, unless it is known wherever the model will be used.",
        figures={**result.figures, "column": result.trial.code, "probes": tests},
    )


def _listed(results: list[Result]) -> list[Finding]:
    if not results:
        return []
    ranked = sorted(results, key=lambda result: -result.score.overall.value)
    best = ", ".join(f"{result.trial.code} {result.score.overall.value:.2f}" for result in ranked[:3])
    return [
        Finding(
            "shortcuts",
            "columns",
            "note",
            f"{counted(len(results), 'column')} probed one by one; the best: {best}",
            effect="A model of all columns must beat the best of them to be worth its size.",
            mend="Nothing to mend by itself: intervals hold for all columns at once with 95 % (Bonferroni).",
            figures={"columns": _figures(ranked), "probes": len(results)},
        )
    ]


def _figures(results: list[Result]) -> list[dict[str, float | int | str]]:
    return [{"column": result.trial.code, **result.figures} for result in results]
