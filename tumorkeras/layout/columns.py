"""Tables of a folder, and what their columns may mean: images, classes, parts, groups, sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.auditing.leaks import GROUP_COLUMN
from tumorkeras.data.annotations.csv_columns import CLASS, IMAGE, SPLIT
from tumorkeras.data.annotations.names import part_of
from tumorkeras.data.image_files import Names
from tumorkeras.data.tables import read_table
from tumorkeras.errors import DataError
from tumorkeras.layout.survey import Survey

MOST_TABLES = 40
MOST_BYTES = 32 * 2**20  # of a table that is read whole here
NAMES_TRIED = 2_000
SHARE_FOUND = 0.8  # of the names in a column that are images
LEAST_FILLED = 0.8  # of the rows of a column of groups with gaps
MOST_CLASSES = 50
MOST_GUESSED, LEAST_OF_EACH = 20, 3  # classes, and samples of each, in a column whose name does not tell that it is one
# `name` is the class of a box in some tables of boxes; in a table of patients it is their name.
CLASS_WORDS = (
    *(word for word in CLASS if word != "name" and not word.endswith("id")),
    *("diagnosis", "dx", "target", "finding", "pathology", "histology", "outcome", "y"),
)
# Such columns are never taken for a class: their values would be written into the spec.
NO_CLASS = re.compile(
    r"name|birth|comment|remark|address|phone|physician|doctor|radiologist|"
    r"(^|_)(ids?|uid|uuid|mrn|dob|dates?|datetime|time|timestamp|files?|filepath|paths?|url|notes?|text|report|"
    r"description|e?mail|operator|reader|author|user|patientid|imageid|sampleid|personid|lesionid)(_|$)"
)
# The audit knows such columns as groups; here a person reads the guess, so that weaker names count, too.
WEAK_GROUP = re.compile(r"(^|_)(scans?|series|sessions?|runs?|duplicates?|dups?)(_|$)")
# Patients before exams before copies; the rest, such as experiments, after them.
RANKS = (
    re.compile(r"(^|_)(pat|pid|subject|person|participant|case|donor|animal|mouse|mice)"),
    re.compile(r"(^|_)(exam|stud|visit|acquisition|scan|series|slide|specimen)"),
    re.compile(r"(^|_)(group|cluster|dup)"),
)
NO_GROUP = re.compile(r"(^|_)(age|mixed|size)(_|$)")
NUMBER_CELL = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*|nan", re.IGNORECASE)


@dataclass(frozen=True)
class Sheet:
    """A table with a header."""

    path: str
    table: pd.DataFrame

    def find(self, names: Iterable[str]) -> str | None:
        """The first column of one of these names, written in any way; the order of the names counts.

        Examples
        --------
        >>> Sheet("t.csv", pd.DataFrame(columns=["Cell ID", "Time"])).find(["cellid"])
        'Cell ID'
        """
        keys = {key_of(name): str(name) for name in reversed(list(self.table.columns))}
        return next((keys[name] for name in names if name in keys), None)


def key_of(name: str) -> str:
    """A column's name without case, spaces and signs."""
    return re.sub(r"[\W_]+", "", str(name)).lower()


def read_sheets(survey: Survey) -> tuple[list[Sheet], list[str]]:
    """The tables with a header, those near the top first, and what could not be read."""
    files = sorted(survey.of("table"), key=lambda file: (file.path.count("/"), file.path))
    sheets, faults = [], []
    for file in files[:MOST_TABLES]:
        if is_matrix(survey.root / file.path):
            continue
        if file.size > MOST_BYTES:
            faults.append(f"{file.path} has {file.size / 2**20:.0f} MB and was not looked into.")
            continue
        try:
            table = read_table(survey.root / file.path)
            # Columns without a name, as spreadsheets leave them, mean nothing.
            sheets.append(Sheet(file.path, table.loc[:, (table.columns != "") & ~table.columns.duplicated()]))
        except DataError as error:
            faults.append(f"{file.path} cannot be read: {error.faults[0]}.")
    if len(files) > MOST_TABLES:
        faults.append(f"Of {len(files):,} tables the first {MOST_TABLES} were looked into.")
    return sheets, faults


def is_matrix(path: Path) -> bool:
    """Whether a CSV has numbers in its first line, where others have a header.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "x.csv"
    >>> _ = path.write_text("1.5,2,3e2\\n4,5,6\\n")
    >>> is_matrix(path)
    True
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline(2**20)
    except OSError:
        return False
    cells = re.split(r"[,;\t]", first)
    return len(cells) > 1 and all(map(NUMBER_CELL.fullmatch, cells))


def image_column(sheet: Sheet, names: Names) -> str | None:
    """The column that names images which are there; the usual names are tried first."""
    usual = [sheet.find([word]) for word in (*IMAGE, "id", "scan", "slice", "sample")]
    columns = list(dict.fromkeys([*(name for name in usual if name), *sheet.table.columns]))
    return next((str(name) for name in columns if share_found(sheet.table[name], names) >= SHARE_FOUND), None)


def share_found(column: pd.Series, names: Names) -> float:
    """Which share of the values is the name of one image."""
    values = column.dropna().unique()
    if not len(values):
        return 0.0
    tried = values[np.unique(np.linspace(0, len(values) - 1, NAMES_TRIED).astype(int))]
    return float(np.mean([len(names.find(str(value))) == 1 for value in tried]))


def class_column(table: pd.DataFrame, besides: Iterable[str | None] = ()) -> tuple[str | None, bool]:
    """The column with the class, and whether its name says so.

    A column whose name does not say so is taken if it is text of few values with some samples each, and is not named
    like what tells who or when: its values will be written into a spec.

    Examples
    --------
    >>> table = pd.DataFrame({"patient": ["Ann", "Bob"] * 3, "lesion": ["cyst", "mass"] * 3})
    >>> class_column(table), class_column(table.assign(label=table["lesion"]))
    (('lesion', False), ('label', True))
    """
    taken = set(besides)
    named = [Sheet("", table).find([word]) for word in CLASS_WORDS]
    for name in named:
        if name is not None and name not in taken and _holds_classes(table[name]):
            return name, True
    others = (str(name) for name in table.columns if name not in taken and not _tells_who(str(name)))
    return next((name for name in others if _holds_few(table[name])), None), False


def _holds_few(column: pd.Series) -> bool:
    """Whether the values of a column may be written down without knowing what they are."""
    counts = column.value_counts()
    few = 2 <= len(counts) <= MOST_GUESSED and counts.min() >= LEAST_OF_EACH
    return bool(few and not pd.api.types.is_numeric_dtype(column))


def _holds_classes(column: pd.Series) -> bool:
    number = column.nunique()
    return 2 <= number <= MOST_CLASSES and number <= column.notna().sum() / 2 and not _has_fractions(column)


def _has_fractions(column: pd.Series) -> bool:
    return pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 != 0).any())


def _tells_who(name: str) -> bool:
    return _is_group(name) or NO_CLASS.search(_words(name)) is not None


def split_column(table: pd.DataFrame) -> str | None:
    """The column in which every value is a part."""
    named = [Sheet("", table).find([word]) for word in (*SPLIT, "fold", "part", "phase")]
    for name in dict.fromkeys([*(n for n in named if n), *table.columns]):
        values = table[name].dropna().unique()
        if 2 <= len(values) <= 3 and all(isinstance(value, str) and part_of(value) for value in values):
            return str(name)
    return None


def given_parts(values: Iterable[str]) -> dict[str, str]:
    """What each part of the data becomes, training first.

    Examples
    --------
    >>> given_parts(["valid", "Training"])
    {'Training': 'train', 'valid': 'val'}
    """
    found = {str(value): part_of(str(value)) for value in values}
    return {
        value: part for wanted in ("train", "val", "test") for value, part in sorted(found.items()) if part == wanted
    }


def group_columns(table: pd.DataFrame, besides: Iterable[str | None] = (), *, gaps: bool = False) -> list[str]:
    """Columns that tell which samples belong together, the best first: patients before exams before experiments.

    With ``gaps`` a few of the rows may be empty.

    Examples
    --------
    >>> group_columns(pd.DataFrame({"plate": [1, 1, 2, 3], "caseid": [1, 2, 3, 3], "age": [1, 2, 3, 3]}))
    ['caseid', 'plate']
    """
    taken = set(besides)
    names = [str(name) for name in table.columns if name not in taken and _is_group(str(name))]
    least = LEAST_FILLED if gaps else 1.0
    return sorted((name for name in names if _holds_groups(table[name], least)), key=_rank)


def _is_group(name: str) -> bool:
    words = _words(name)
    bare = re.sub(r"_?(id|name|number)$", "", words)
    named = any(pattern.search(form) for pattern in (GROUP_COLUMN, WEAK_GROUP) for form in (words, bare))
    return named and NO_GROUP.search(words) is None


def _words(name: str) -> str:
    """A column's name in lower case with _ between its words."""
    return re.sub(r"[\W\d_]+", "_", re.sub("(?<=[a-z])(?=[A-Z])", "_", name)).lower()


def _rank(name: str) -> int:
    return next((k for k, pattern in enumerate(RANKS) if pattern.search(_words(name))), len(RANKS))


def _holds_groups(column: pd.Series, least: float) -> bool:
    # Of a group of its own each, nothing is to be kept together; two groups are rather a yes and no.
    filled = column.dropna()
    return len(filled) >= least * len(column) and 2 < filled.nunique() < len(filled) and not _has_fractions(filled)


def tells_class(table: pd.DataFrame, labels: pd.Series, besides: Iterable[str | None] = ()) -> list[str]:
    """Columns of few values, each of which occurs in one class only: they say the answer."""
    taken = set(besides)
    found = []
    for name in table.columns:
        values = table[name].nunique()
        if name not in taken and 2 <= values <= MOST_CLASSES and (labels.groupby(table[name]).nunique() <= 1).all():
            found.append(str(name))
    return found


def crossing(groups: pd.Series, parts: pd.Series) -> int:
    """How many groups have samples in more than one part."""
    return int((parts.groupby(groups).nunique() > 1).sum())
