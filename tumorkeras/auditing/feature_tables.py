"""The audit of a table of features, a row a sample."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tumorkeras.auditing.batch_effects import batch_effect_findings, numeric_features
from tumorkeras.auditing.checks import Checks
from tumorkeras.auditing.columns import column_findings
from tumorkeras.auditing.findings import Finding, Severity, counted, fault
from tumorkeras.auditing.label_faults import class_findings
from tumorkeras.auditing.leaks import group_leaks, unnamed_groups
from tumorkeras.auditing.report import AuditReport
from tumorkeras.data.splits import PARTS
from tumorkeras.errors import DataError

GROUP_OPTION = (
    "Name it with --group COLUMN (group= in Python) and give other parts in 'split', each value in one of them"
)
OTHER_PARTS = "Give other parts in the column 'split', with each value of COLUMN in one of them"
SPLIT = "split"  # column with the part of each row, where a table has one


def audit_table(table: pd.DataFrame, name: str, label: str | None, group: str | None) -> AuditReport:
    """Audit a table of features.

    Parameters
    ----------
    table : DataFrame
        A row a sample. A column ``split`` that holds train, val and test is taken for the parts.
    name : str
        Of the data set.
    label : str or None
        Column with the class; without it classes, shortcuts and batch effects are not looked at.
    group : str or None
        Column with the patient, exam or experiment.

    Raises
    ------
    DataError
        If the table has no such column, or no row.
    """
    table = table.reset_index(drop=True)
    _check(table, label, group)
    ids = pd.Series([f"row {number}" for number in range(1, len(table) + 1)])
    has_parts = SPLIT in table and set(table[SPLIT].dropna()) <= set(PARTS)
    parts = table[SPLIT] if has_parts else pd.Series([None] * len(table), dtype=object)
    own = [column for column in (label, group, SPLIT if has_parts else None) if column is not None]
    features = table.drop(columns=own)
    labels = None if label is None else table[label]
    groups = None if group is None else table[group]
    checks = Checks()
    checks.run("faults", lambda: table_faults(features, labels, parts, ids))
    checks.run("leaks", lambda: _leaks(table, groups, parts, ids))
    if labels is not None:
        known = (labels.notna() & (True if groups is None else groups.notna())).to_numpy()
        inside = None if groups is None else groups[known]
        checks.run("shortcuts", lambda: column_findings(features[known], labels[known], groups=inside))
        if groups is not None:
            numbers = numeric_features(features)
            checks.run("batch_effects", lambda: batch_effect_findings(numbers, labels, groups, group_name=str(group)))
    else:
        checks.findings.append(_without_label())
    counts = {"rows": len(table), "columns": table.shape[1]}
    return AuditReport(name, tuple(checks.findings), counts, seconds=checks.seconds)


def _without_label() -> Finding:
    return Finding(
        "shortcuts",
        "no_label",
        "note",
        "no column was named as the class: classes, shortcuts and batch effects were not looked at",
        effect="Nothing is known of how many samples a class has, of columns that give it away, or of batch effects.",
        mend="Name it with --label COLUMN (label= in Python), and for batch effects --group COLUMN beside it.",
    )


def _check(table: pd.DataFrame, label: str | None, group: str | None) -> None:
    named = {"label": label, "group": group}
    columns = list(table.columns)
    faults = [
        f"{role}: there is no column {name!r}; there are {columns}"
        for role, name in named.items()
        if name is not None and name not in columns
    ]
    if table.empty:
        faults.append("has no row")
    if faults:
        raise DataError("table of features", faults)


def table_faults(features: pd.DataFrame, labels: pd.Series | None, parts: pd.Series, ids: pd.Series) -> list[Finding]:
    """Gaps, infinities, columns without meaning, copied rows, and classes that are too small.

    Parameters
    ----------
    features : DataFrame
        Columns that are neither class nor group nor part.
    labels : Series or None
        The class of each row.
    parts, ids : Series
        The part of each row, missing where unknown, and what the row is called.
    """
    numbers = features.select_dtypes("number")
    infinite = np.isinf(numbers.to_numpy("float64"))
    findings = [
        _gaps(features, ids),
        _infinite(numbers.columns[infinite.any(axis=0)], ids[infinite.any(axis=1)]),
        _constant(features),
        _copies(features, labels, parts, ids),
    ]
    found = [finding for finding in findings if finding is not None]
    if labels is None:
        return found
    unnamed = ids[labels.isna()]
    if len(unnamed):
        effect, mend = "They teach nothing and cannot be scored.", "Name a class, or take the rows out."
        found.append(
            fault("class_missing", "error", f"{counted(len(unnamed), 'row')} without a class", unnamed, effect, mend)
        )
    examples = pd.DataFrame({"class": labels, "sample": ids, "part": parts}).dropna(subset="class")
    return found + class_findings(examples, given=True)


def _gaps(features: pd.DataFrame, ids: pd.Series) -> Finding | None:
    missing = features.isna()
    counts = {str(name): int(count) for name, count in missing.sum().items() if count}
    if not counts:
        return None
    title = f"{counted(len(counts), 'column')} with missing values: {_shares(counts, len(features))}"
    effect = "Most methods refuse them; where the gaps go with the class, filling them gives the class away."
    mend = "Find out why they are missing; fill them inside each training fold, never over all rows at once."
    return fault("missing_values", "warning", title, ids[missing.any(axis=1)], effect, mend, counts=counts)


def _shares(counts: dict[str, int], n: int) -> str:
    most = sorted(counts.items(), key=lambda item: -item[1])[:5]
    words = ", ".join(f"{name} {count / n:.0%}" for name, count in most)
    return words + (" ..." if len(counts) > len(most) else "")


def _infinite(columns: pd.Index, rows: pd.Series) -> Finding | None:
    if columns.empty:
        return None
    title = f"{counted(len(rows), 'row')} with infinite values, in {', '.join(map(str, columns))}"
    effect = "One such value turns means, scales and the loss into NaN."
    return fault("not_finite", "error", title, rows, effect, "See where something is divided by zero; leave it empty.")


def _constant(features: pd.DataFrame) -> Finding | None:
    flat = [str(name) for name in features.columns if features[name].nunique(dropna=False) <= 1]
    if not flat:
        return None
    title = f"{counted(len(flat), 'column')} of one value throughout: {', '.join(flat)}"
    return fault("constant", "note", title, (), "They say nothing, and scaling divides by zero.", "Leave them out.")


def _copies(features: pd.DataFrame, labels: pd.Series | None, parts: pd.Series, ids: pd.Series) -> Finding | None:
    """Rows whose features are all the same."""
    same = features.duplicated(keep=False) if features.shape[1] else pd.Series(False, index=features.index)
    if not same.any():
        return None
    sets = features[same].groupby(list(features.columns), dropna=False, sort=False).ngroup()
    crossing = {
        name: int((values[same].groupby(sets).nunique() > 1).sum())
        for name, values in (("classes", labels), ("parts", parts))
        if values is not None
    }
    title = f"{counted(int(same.sum()), 'row')} in {counted(sets.nunique(), 'set')} of the very same values"
    title += "".join(f", {count} across {name}" for name, count in crossing.items() if count)
    effect = "A copy in training and in test makes the result too good; under two classes, one label is wrong."
    severity: Severity = "error" if any(crossing.values()) else "warning"
    return fault("same_content", severity, title, ids[same], effect, "Keep one row of each set.", crossing=crossing)


def _leaks(table: pd.DataFrame, groups: pd.Series | None, parts: pd.Series, ids: pd.Series) -> list[Finding]:
    found = [] if groups is None else group_leaks(groups, parts, ids, str(groups.name), mend=OTHER_PARTS)
    return [*found, *unnamed_groups(table.assign(id=ids, split=parts), groups, mend=GROUP_OPTION, setting="--group")]
