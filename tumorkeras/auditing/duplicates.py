"""What near-duplicates mean for the result: across the parts, across the classes, and within them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.auditing.findings import Finding, Severity, counted
from tumorkeras.data.similarity import duplicate_groups

SAME_PICTURE = 0.98  # similarity; less may be another frame, in which a class may really be another
NAMED = 3  # pairs that a title tells; the figures tell all
TOGETHER = "splits.duplicates: together"


def duplicate_findings(
    ids: Sequence[str] | pd.Series,
    pairs: pd.DataFrame,
    splits: Sequence[Any] | pd.Series,
    classes: Sequence[Any] | pd.Series,
) -> list[Finding]:
    """What near-duplicate pairs do to the result.

    A pair across parts and classes is in both findings; the rest are within one part and class, where a sample
    without part or class is in no other.

    Parameters
    ----------
    ids : sequence of str, length n
    pairs : DataFrame
        As :func:`tumorkeras.data.similarity.near_duplicates` gives them: places in ``ids``.
    splits, classes : sequence, length n
        Part and class of each sample; missing where there is none.

    Returns
    -------
    list of Finding
        At most one of each code: ``near_duplicates_across_split`` and ``same_picture_in_two_classes`` (errors),
        ``near_duplicates_across_classes`` (warning), ``near_duplicates`` (note). Pairs in ``figures``, the most
        similar first.

    Examples
    --------
    >>> pairs = pd.DataFrame({"first": [0], "second": [1], "similarity": [0.998], "change": ["brightness"]})
    >>> found = duplicate_findings(["a.png", "b.png"], pairs, ["train", "val"], ["benign", "benign"])
    >>> print(found[0].severity, found[0].title, sep=": ")
    error: 1 pair of near-duplicates across parts: a.png (train) and b.png (val)
    """
    table = _described(ids, pairs, splits, classes)
    parted = _differ(table["first_part"], table["second_part"])
    mixed = _differ(table["first_class"], table["second_class"])
    same = mixed & (table["similarity"] >= SAME_PICTURE)
    findings = [
        _across_split(table[parted]),
        _same_picture(table[same]),
        _across_classes(table[mixed & ~same]),
        _within(table[~parted & ~mixed]),
    ]
    return [finding for finding in findings if finding is not None]


def _described(ids: Any, pairs: pd.DataFrame, splits: Any, classes: Any) -> pd.DataFrame:
    """A row a pair with the ids, parts (None where missing) and classes of the two, the most similar first."""
    columns = {"": ids, "_part": splits, "_class": classes}
    table: dict[str, Any] = {}
    for name in ("first", "second"):
        rows = pairs[name].to_numpy(dtype="int64")
        for suffix, values in columns.items():
            values = pd.Series(list(values), dtype=object)
            table[name + suffix] = values.where(values.notna(), None).to_numpy(dtype=object)[rows]
    table |= {"similarity": pairs["similarity"].to_numpy(), "change": pairs["change"].to_numpy()}
    return pd.DataFrame(table).sort_values("similarity", ascending=False, kind="stable", ignore_index=True)


def _differ(first: pd.Series, second: pd.Series) -> pd.Series:
    return first.notna() & second.notna() & (first != second)


def _across_split(table: pd.DataFrame) -> Finding | None:
    return _finding(
        table,
        "near_duplicates_across_split",
        "error",
        f"{counted(len(table), 'pair')} of near-duplicates across parts",
        "_part",
        "The network is tested on pictures that it was trained on, so the figures of validation and test are too good.",
        f"Keep copies in one part ({TOGETHER}), or take one of each pair out.",
    )


def _same_picture(table: pd.DataFrame) -> Finding | None:
    return _finding(
        table,
        "same_picture_in_two_classes",
        "error",
        f"{counted(len(table), 'pair')} of the same picture in two classes",
        "_class",
        "One of the two labels is wrong or the question has no answer: such a pair cannot be learnt, and where it is "
        "tested, one of the two counts as an error.",
        "Ask which class is right, correct it, and take one of the two out; until then leave both out.",
    )


def _across_classes(table: pd.DataFrame) -> Finding | None:
    return _finding(
        table,
        "near_duplicates_across_classes",
        "warning",
        f"{counted(len(table), 'pair')} of near-duplicates in two classes",
        "_class",
        "Either a label is wrong, or the classes differ by less than two frames of one scan do.",
        f"Look at each pair and correct the class; where both are right keep them in one part ({TOGETHER}).",
    )


def _within(table: pd.DataFrame) -> Finding | None:
    names, rows = np.unique(table[["first", "second"]].to_numpy(dtype=str), return_inverse=True)
    first, second = rows.reshape(-1, 2).T
    groups = duplicate_groups(len(names), pd.DataFrame({"first": first, "second": second}))
    pictures = len(np.unique(groups))
    return _finding(
        table,
        "near_duplicates",
        "note",
        f"{counted(len(table), 'pair')} of near-duplicates within one part and class: "
        f"{counted(len(names), 'sample')} show {counted(pictures, 'picture')}",
        "",
        "They count as fewer independent samples: intervals come out too narrow, and splits or folds that are drawn "
        "at random put copies on both sides.",
        f"Keep copies together where parts are drawn ({TOGETHER}), and count them as one.",
        samples=len(names),
        pictures=pictures,
    )


def _finding(
    table: pd.DataFrame, code: str, severity: Severity, title: str, told: str, effect: str, mend: str, **figures: Any
) -> Finding | None:
    """A finding of these pairs, which names in its title the first of them and what they differ in (``told``)."""
    if table.empty:
        return None
    if told:
        named = table[["first", f"first{told}", "second", f"second{told}"]].head(NAMED)
        examples = ["{} ({}) and {} ({})".format(*row) for row in named.itertuples(index=False)]
        title += ": " + "; ".join(examples) + (" ..." if len(table) > NAMED else "")
    files = dict.fromkeys(table[["first", "second"]].to_numpy().ravel())  # the two of a pair side by side
    records = table.to_dict("records")
    return Finding("duplicates", code, severity, title, tuple(files), effect, mend, {**figures, "pairs": records})
