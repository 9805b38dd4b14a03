"""Leaks: the same patient, exam or experiment on both sides of a split."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tumorkeras.auditing.findings import Finding, Severity, counted
from tumorkeras.auditing.questions import group_column
from tumorkeras.data.patients import PATIENT, patient_numbers
from tumorkeras.data.splits import PARTS
from tumorkeras.errors import MissingExtraError

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.data.catalog import Catalog

# Names of columns that hold what samples have in common: who, which visit, which experiment, which copy.
# "patientid" has no separator and is no word of its own.
PERSON = r"(patients?|pat|pid|subjects?|persons?|participants?|cases?|donors?|animals?|mouse|mice)"
VISIT = r"(exams?|study|studies|visits?)"
OTHERS = r"(acquisitions?|experiments?|batch|plates?|wells?|slides?|specimens?|groups?|clusters?)"
NUMBER = r"(id|uid|nr|no|number|code)?(_|$)"
PERSON_COLUMN = re.compile(rf"(^|_){PERSON}{NUMBER}", re.IGNORECASE)
VISIT_COLUMN = re.compile(rf"(^|_){VISIT}{NUMBER}", re.IGNORECASE)
GROUP_COLUMN = re.compile(rf"(^|_)({PERSON}|{VISIT}|{OTHERS}){NUMBER}", re.IGNORECASE)
# And of columns that hold where or when samples were made.
PLACE_COLUMN = re.compile(
    r"(^|_)((scanner|device|site|hospital|centre|center|machine|plate)s?|batch|batches|day)(_(id|name|model|number))?_?$",
    re.IGNORECASE,
)
SET_GROUP = "Set splits.group: COLUMN"
DICOM = re.compile(r"\.(dcm|dicom|ima)$", re.IGNORECASE)
EFFECT = (
    "What is learnt of one sample helps with its relatives, so that the figures are better than on patients, exams or "
    "experiments that the network never saw."
)


def leak_findings(catalog: Catalog, facts: Facts | None = None) -> list[Finding]:
    """Groups that lie on both sides of a split, and groups that nobody named.

    Parameters
    ----------
    catalog : Catalog
        What the spec names. Beside its groups, columns of the source's own table are looked at whose names and values
        look like groups, and the patient that DICOM files name: where the spec names a group, only what lies on both
        sides of a split is told of these.
    facts : Facts, optional
        What was found in each sample; without them DICOM files are known by their ending.

    Returns
    -------
    list of Finding
        They tell counts and files, never the name of a group, which may be a patient's.
    """
    table, column = catalog.table, group_column(catalog)
    files = _dicom_files(table, facts)
    mend = _how_to_set(catalog)
    if column is None or table["group"].isna().all():
        return [*unnamed_groups(table, mend=mend), *_patients(table, files, mend=mend)]
    named = table["group"].rename(column)
    found = group_leaks(named, table["split"], table["id"], column, mend=mend)
    return [*found, *unnamed_groups(table, named, mend=mend), *_patients(table, files, named, mend=mend)]


def _how_to_set(catalog: Catalog) -> str:
    """How COLUMN becomes the group of the parts; parts that are given do not follow it and must be drawn anew."""
    splits = None if catalog.spec is None else catalog.spec.splits
    anew = "so that the parts are drawn anew; or move samples until each value is in one part"
    if splits is not None and splits.files is not None:
        return f"{SET_GROUP} and leave splits.files out, {anew}"
    given = catalog.table["given_split"].dropna().unique() if "given_split" in catalog.table else ()
    if splits is not None and len(given):
        # What the data call their parts is known without splits.given as well: to leave it out would draw nothing.
        names = ", ".join(f"{_in_yaml(str(name))}: train" for name in sorted(given))
        return f"{SET_GROUP} and splits.given: {{{names}}}, {anew}"
    return SET_GROUP


def _in_yaml(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def unnamed_groups(
    table: pd.DataFrame, named: pd.Series | None = None, *, mend: str = SET_GROUP, setting: str = "splits.group"
) -> list[Finding]:
    """Columns that look like groups although nobody named them.

    Parameters
    ----------
    table : DataFrame
        ``id``, ``split`` (missing where unknown), and columns of the source's own.
    named : Series, optional
        The groups that were named, called as their column. Columns that only divide these further are passed over, and
        so are columns that lie whole in the parts.
    mend : str, optional
        How the user makes COLUMN the group.
    setting : str, optional
        Where the user names the group.

    Returns
    -------
    list of Finding
        Errors for persons and visits that are in several parts, else warnings; notes for columns that are whole.
    """
    found = [
        _unnamed(name, table, named, mend, setting) for name in candidates(table) if not _divides(table[name], named)
    ]
    return [finding for finding in found if named is None or finding.severity != "note"]


def _divides(column: pd.Series, groups: pd.Series | None) -> bool:
    """Whether samples that share a value always share the group: what is torn is then torn as a group."""
    return groups is not None and bool((groups.groupby(column).nunique(dropna=False) <= 1).all())


def candidates(table: pd.DataFrame) -> list[str]:
    """Columns that look like groups by name, and whose values come more than once, but not all the same.

    Examples
    --------
    >>> candidates(pd.DataFrame({"exam_id": ["e1", "e1", "e2"], "patient": ["a", "b", "c"], "age": [3, 3, 4]}))
    ['exam_id']
    """
    return [name for name in _shared(table, GROUP_COLUMN) if not _is_measure(table[name])]


def batch_columns(table: pd.DataFrame) -> list[str]:
    """Columns that look like groups, then those that look like a place, a device or a day.

    Examples
    --------
    >>> batch_columns(pd.DataFrame({"scanner": ["x", "y", "y"], "exam": [1, 1, 2], "hospital ID": ["a", "a", "b"]}))
    ['exam', 'scanner', 'hospital ID']
    """
    places = [name for name in _shared(table, PLACE_COLUMN) if not _has_fractions(table[name])]
    return list(dict.fromkeys([*candidates(table), *places]))


def _shared(table: pd.DataFrame, pattern: re.Pattern[str]) -> list[str]:
    """Columns of the source's own of such a name, with values that some samples share, but not all."""
    own = [name for name in table.columns if name not in ("group", "split", "given_split", "class_name")]
    words = [name for name in own if pattern.search(_in_words(name))]
    return [name for name in words if 1 < table[name].nunique() < table[name].count()]


def _in_words(name: object) -> str:
    """A name with an underscore between its words: "PatientID" becomes "Patient_ID"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", "_", str(name))


def _is_measure(column: pd.Series) -> bool:
    """Whether a column holds fractions or yes and no, which name nobody."""
    if column.nunique() <= 2:
        return set(column.dropna().unique()) <= {0, 1}
    return _has_fractions(column)


def _has_fractions(column: pd.Series) -> bool:
    return bool(pd.api.types.is_float_dtype(column) and (column.dropna() % 1 != 0).any())


def group_leaks(
    groups: pd.Series, parts: pd.Series, ids: pd.Series, name: str, *, mend: str = SET_GROUP
) -> list[Finding]:
    """What is wrong with groups that the user named.

    Parameters
    ----------
    groups, parts, ids : pandas.Series, shape (n,)
        Group, part and id of each sample; groups and parts may be missing.
    name : str
        Column that the groups come from.
    mend : str, optional
        How the user makes COLUMN the group.

    Examples
    --------
    >>> ids, parts = pd.Series(["a.png", "b.png", "c.png"]), pd.Series(["train", "test", "test"])
    >>> group_leaks(pd.Series(["p7", "p7", "p8"]), parts, ids, "patient")[0].title
    "1 of 2 groups (column 'patient') in more than one part: 1 in train and test"
    """
    known = groups.dropna()
    if known.nunique() == len(known):
        return [_single(name, len(known))]
    crossing = _crossing(groups, parts)
    if crossing.empty:
        return []
    return [
        Finding(
            "leaks",
            "group_across_split",
            "error",
            f"{len(crossing):,} of {known.nunique():,} groups (column {name!r}) in more than one part: "
            f"{_pairs(crossing)}",
            tuple(ids[groups.isin(crossing.index)]),
            EFFECT,
            f"{mend.replace('COLUMN', name)}.",
            {"groups": len(crossing), "of": int(known.nunique()), "pairs": _pair_counts(crossing)},
        )
    ]


def _single(name: str, count: int) -> Finding:
    """A group a sample: as it should be where each patient has one image, else the wrong column."""
    title = f"column {name!r} names a group for each sample: no two samples share one"
    if PERSON_COLUMN.search(_in_words(name)):
        effect = "None, where each has one sample only: there is nothing to keep together."
        mend = "Nothing, unless some have several samples under different names."
        return Finding("leaks", "single_groups", "note", title, (), effect, mend, {"groups": count})
    effect = "It keeps nothing together; a leak that it was to prevent is not prevented."
    mend = "Name the column of the patient, exam or experiment as the group, or none."
    return Finding("leaks", "single_groups", "warning", title, (), effect, mend, {"groups": count})


def _crossing(groups: pd.Series, parts: pd.Series) -> pd.DataFrame:
    """The groups that are in more than one part: a row a group, a column a part, true where it is in it."""
    known = groups.notna() & parts.notna()
    inside = pd.crosstab(groups[known], parts[known]) > 0
    return inside[inside.sum(axis=1) > 1]


def _pair_counts(crossing: pd.DataFrame) -> dict[str, int]:
    found = [part for part in PARTS if part in crossing]
    pairs = {
        f"{one} and {other}": int((crossing[one] & crossing[other]).sum()) for one, other in combinations(found, 2)
    }
    return {pair: count for pair, count in pairs.items() if count}


def _pairs(crossing: pd.DataFrame) -> str:
    return ", ".join(f"{count:,} in {pair}" for pair, count in _pair_counts(crossing).items())


def _unnamed(name: str, table: pd.DataFrame, named: pd.Series | None, mend: str, setting: str) -> Finding:
    """A column that looks like groups, while the spec names none or another."""
    groups = table[name]
    crossing = _crossing(groups, table["split"])
    sizes = groups.value_counts()
    looks = f"column {name!r} looks like a group ({counted(len(sizes), 'value')}, up to {sizes.iloc[0]} samples each)"
    figures = {"column": name, "values": len(sizes), "largest": int(sizes.iloc[0]), "pairs": _pair_counts(crossing)}
    condition = ", if samples with the same value are of one patient, exam, experiment or copy."
    but = f"{setting} names none" if named is None else f"the groups are those of {named.name!r}"
    if crossing.empty:
        effect = "The parts at hand keep it whole; folds of a cross-validation would not."
        mend = mend.split(" and ")[0].replace("COLUMN", name) + condition
        return Finding("leaks", "group_not_named", "note", f"{looks}, but {but}", (), effect, mend, figures)
    torn = f"{counted(len(crossing), 'value')} in more than one part: {_pairs(crossing)}"
    title = f"{looks}, but {but}; {torn}"
    files = tuple(table.loc[groups.isin(crossing.index), "id"])
    severity: Severity = "error" if _says_who(name, table, named) else "warning"
    mend = mend.replace("COLUMN", name) + condition
    return Finding("leaks", "group_not_named", severity, title, files, EFFECT, mend, figures)


def _says_who(name: str, table: pd.DataFrame, named: pd.Series | None) -> bool:
    """Whether a column names persons, or visits of one person; "visit 1" of all persons is the number of a visit."""
    if PERSON_COLUMN.search(_in_words(name)):
        return True
    if named is not None or not VISIT_COLUMN.search(_in_words(name)):
        return False
    return all(_divides(table[name], table[person]) for person in _shared(table, PERSON_COLUMN))


def _dicom_files(table: pd.DataFrame, facts: Facts | None) -> pd.Series:
    """Which samples are DICOM files, or folders of them: as they were decoded, else by their name."""
    named = table["path"].map(lambda path: bool(DICOM.search(path)) or (path != "" and Path(path).is_dir()))
    if facts is None:
        return named.astype(bool)
    formats = pd.Series(facts.table["format"].to_numpy(), index=table.index)
    return (table["path"] != "") & ((formats == "dicom") | ((formats == "") & named.astype(bool)))


def _patients(
    table: pd.DataFrame, chosen: pd.Series, named: pd.Series | None = None, *, mend: str = SET_GROUP
) -> list[Finding]:
    """The patients that DICOM files name, where the spec says nothing of them."""
    if not chosen.any():
        return []
    try:
        patients = patient_numbers(table.loc[chosen, "path"])
    except MissingExtraError:
        return []  # that the files cannot be read is told by the faults
    patients = patients.set_axis(table.index[chosen]).reindex(table.index)
    if not 1 < patients.nunique() < patients.count() or _divides(patients, named):
        return []
    found = _unnamed(PATIENT, table.assign(patient=patients), named, mend, "splits.group")
    return [found] if named is None or found.severity != "note" else []
