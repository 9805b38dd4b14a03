"""Shortcuts: what tells the class without the lesion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.auditing.appearance import edge_pattern
from tumorkeras.auditing.columns import column_trials, telling_columns
from tumorkeras.auditing.families import (
    FAMILIES,
    box_sizes,
    has_background,
    image_families,
    size_columns,
    track_families,
    varies,
)
from tumorkeras.auditing.findings import Finding
from tumorkeras.auditing.probes import can_probe
from tumorkeras.auditing.questions import Question, group_names, questions_of
from tumorkeras.auditing.trials import Result, Trial, run_trials
from tumorkeras.errors import DataError

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.data.catalog import Catalog

TELLS = 0.6  # AUC; a lower end above this is a warning
TELLS_ALL = 0.95  # and above this an error, where the object itself has no part in it
PATTERNS = 400  # samples that are decoded once more to look for a pattern near the edge


def shortcut_findings(catalog: Catalog, facts: Facts) -> list[Finding]:
    """Probe everything beside the lesion that could tell the class.

    Parameters
    ----------
    catalog : Catalog
        What the spec names. Groups are those of its table, else of the column that the spec names.
    facts : Facts
        What was found in each sample, row by row of the catalog.

    Returns
    -------
    list of Finding
        One a family whose interval lies above an AUC of 0.6: a warning, or an error from 0.95 on where the family
        says nothing of the object itself. One note names the columns of the source's own table that tell the class,
        and one lists every probe that was made. Intervals hold for all probes of a list at once (Bonferroni).
    """
    readable = facts.table["readable"].to_numpy(dtype=bool)
    rows = np.flatnonzero(readable)
    table, found = (frame[readable].reset_index(drop=True) for frame in (catalog.table, facts.table))
    questions = questions_of(table, catalog.boxes)
    groups = group_names(catalog, table)
    families = _families(catalog, table, found, rows)
    trials = [
        Trial(code, question, features, groups)
        for question in questions
        for code, features in families.items()
        if varies(features[question.labels.notna().to_numpy()])
    ]
    # In a small cube that is cut out around an object, the windows at the edge hold the object.
    if catalog.kind == "images" or (catalog.kind == "volumes" and not has_background(found)):
        trials += _pattern_trials(catalog, questions, rows, groups)
    if catalog.boxes is not None:
        trials += _box_trials(catalog.boxes, table, groups)
    results = run_trials(trials)
    columns = [trial for question in questions for trial in column_trials(table, question, groups)]
    findings = [finding for result in results if (finding := _finding(result, len(results))) is not None]
    return [*findings, *telling_columns(run_trials(columns), TELLS), *_summary(results)]


def _families(catalog: Catalog, table: pd.DataFrame, found: pd.DataFrame, rows: np.ndarray) -> dict[str, pd.DataFrame]:
    if catalog.kind == "tracks":
        return track_families([catalog.read(row).array for row in rows]) if len(rows) else {}
    families = image_families(found, volumes=catalog.kind == "volumes")
    sizes = size_columns(table)
    if varies(sizes):
        families["object_size"] = pd.concat([families.get("object_size", pd.DataFrame()), sizes], axis=1)
    return families


def _pattern_trials(
    catalog: Catalog, questions: list[Question], rows: np.ndarray, groups: pd.Series | None
) -> Iterator[Trial]:
    """Look at the pixels near the edge of at most 400 samples a question, as many of each class as there are."""
    seen: dict[int, np.ndarray | None] = {}
    for question in questions:
        chosen = _drawn(question.labels)
        for place in chosen:
            if place not in seen:
                seen[place] = _pattern(catalog, int(rows[place]))
        found = {place: pattern for place in chosen if (pattern := seen[place]) is not None}
        kept = list(found)
        labels = question.labels.iloc[kept].reset_index(drop=True)
        patterns = pd.DataFrame(np.stack(list(found.values()))) if found else pd.DataFrame()
        if can_probe(labels) and varies(patterns):
            units = None if groups is None else groups.iloc[kept].reset_index(drop=True)
            yield Trial("edge_pattern", Question(question.name, labels), patterns, units)


def _drawn(labels: pd.Series) -> list[int]:
    """Row numbers, equally many of each label as far as there are."""
    names = labels.dropna()
    shuffled = names.sample(frac=1, random_state=0)
    share = PATTERNS // max(1, names.nunique())
    return sorted(shuffled.groupby(shuffled).head(share).index.tolist())


def _pattern(catalog: Catalog, row: int) -> np.ndarray | None:
    try:
        return edge_pattern(catalog.read(row).array)
    except DataError:  # a fault of the file, which the audit names elsewhere
        return None


def _box_trials(boxes: pd.DataFrame, table: pd.DataFrame, groups: pd.Series | None) -> Iterator[Trial]:
    """Whether the size of a box tells its class; boxes of one image, or of one group of images, are kept together."""
    known = boxes[boxes["image"].isin(table["id"]) & boxes["class"].notna()].reset_index(drop=True)
    sizes = box_sizes(known)
    if can_probe(known["class"]) and varies(sizes):
        of_image = dict(zip(table["id"], table["id"] if groups is None else groups, strict=True))
        yield Trial("object_size", Question("class of the box", known["class"]), sizes, known["image"].map(of_image))


def _finding(result: Result, tests: int) -> Finding | None:
    """What is said of a probe that tells the class; nothing of another."""
    family, low = FAMILIES[result.trial.code], result.score.low
    if not low > TELLS:
        return None
    severity = family.worst if low > TELLS_ALL else "warning"
    score = result.figures["auc"]
    effect = f"A result of {score:.2f} may be this and nothing else, and then fails on data that were made otherwise."
    return Finding(
        "shortcuts",
        result.trial.code,
        severity,
        f"{family.name} alone tells {result.told}: {result.words}",
        effect=f"{family.effect} {effect}",
        mend=family.mend,
        figures={**result.figures, "probes": tests},
    )


def _summary(results: list[Result]) -> list[Finding]:
    """One note with every probe that was made, so that what was not found is said as well."""
    if not results:
        return []
    telling = sum(result.score.low > TELLS for result in results)
    made = "1 probe" if len(results) == 1 else f"{len(results)} probes"
    said = {0: "none tells the class", 1: "one tells the class"}.get(telling, f"{telling} tell the class")
    probes = [{"probe": FAMILIES[result.trial.code].name, **result.figures} for result in results]
    return [
        Finding(
            "shortcuts",
            "probes",
            "note",
            f"{made} without the lesion: {said} (AUC surely above {TELLS})",
            effect="Where no probe tells the class, none of these facts alone explains a good result.",
            mend="Nothing to mend by itself: intervals hold for all probes at once with 95 % (Bonferroni).",
            figures={"probes": probes},
        )
    ]
