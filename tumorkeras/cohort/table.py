"""From a clinical table to the table of patients that a paper begins with."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tumorkeras.cohort.spec import CohortRow, CohortSpec
from tumorkeras.errors import DataError, MissingExtraError, shortened

if TYPE_CHECKING:
    from tableone import TableOne

logger = logging.getLogger(__name__)

UNKNOWN = "not known"
MOST_LEVELS = 5  # numbers of so few values, such as a grade, are counted


def cohort_table(patients: pd.DataFrame, spec: CohortSpec | Mapping[str, Any] | str | Path) -> TableOne:
    """Describe the patients of a study: counts, medians, what is missing, and how the groups differ.

    Parameters
    ----------
    patients : pandas.DataFrame
        One row a patient. Columns that the spec does not name are not looked at, and no value of a single patient is
        shown but the ends of a range.
    spec : CohortSpec, mapping, path, or "breast_cancer"
        The rows and the groups: :class:`CohortSpec`, its values, a YAML file with them, or the one that comes with
        the package, after the table of Wajeed & Sreenivasulu.

    Returns
    -------
    tableone.TableOne
        Shows itself in a notebook; ``to_html()``, ``to_latex()``, ``tabulate(tablefmt="github")`` for Markdown, and the
        table as a DataFrame in ``tableone``. Categories as n (%), numbers as median [quartiles], median [range] or
        mean (standard deviation), missing values counted; between groups chi-squared or Fisher's test, analysis of
        variance or the Kruskal-Wallis test, without correction for their number.

    Raises
    ------
    SpecError
        Naming what is wrong in the spec.
    DataError
        If a column is missing or has no value, holds a value that no category stands for, or text or infinity where
        numbers are wanted; if there is no patient.
    MissingExtraError
        If tableone is not installed.

    Examples
    --------
    >>> patients = pd.DataFrame({"age": [31, 44, 60, 52], "meno": [0, 0, 1, None]})
    >>> table = cohort_table(patients, "breast_cancer")
    >>> print(table.tabulate(tablefmt="github"))
    |                               |                |   Missing | Overall          |
    |-------------------------------|----------------|-----------|------------------|
    | n                             |                |           | 4                |
    | Age (years), median [min,max] |                |         0 | 48.0 [31.0,60.0] |
    | Age group (years), n (%)      | <= 35          |         0 | 1 (25.0)         |
    |                               | > 35           |           | 3 (75.0)         |
    | Menopausal status, n (%)      | premenopausal  |         1 | 2 (66.7)         |
    |                               | postmenopausal |           | 1 (33.3)         |

    References
    ----------
    Pollard et al., *tableone: An open source Python package for producing summary statistics for research papers*,
    JAMIA Open 1(1):26-31, 2018.
    """
    try:
        from tableone import TableOne
    except ImportError:
        raise MissingExtraError("tableone", "cohort") from None
    spec = CohortSpec.of(spec)
    empty = patients.isna().all() & (len(patients) > 0)
    rows, lacking = spec.shown([str(name) for name in patients.columns[~empty]])
    _check(patients, spec, rows, lacking)
    shown = pd.DataFrame({_title(row): _values(row, patients[row.column]) for row in rows})
    group = spec.group if spec.group in rows else None
    if group is not None:
        shown[_title(group)] = _with_unknown(shown[_title(group)])
    numbers = [row for row in rows if _is_number(row, patients[row.column])]
    orders = {_title(row): _present(shown[_title(row)]) for row in rows if row not in numbers}
    rows = [row for row in rows if row is not group]
    with warnings.catch_warnings():
        # tableone's own code: pandas 3 says that it will fail with pandas 4, which tableone does not claim to support.
        warnings.filterwarnings("ignore", "Setting a new row on a DataFrame")
        return TableOne(
            shown.astype(dict.fromkeys(orders, object)),  # categories that no patient has would be warned of
            columns=[_title(row) for row in rows],
            categorical=[_title(row) for row in rows if row not in numbers],
            continuous=[_title(row) for row in numbers],
            groupby=None if group is None else _title(group),
            nonnormal=[_title(row) for row in numbers if row.summary != "mean_sd"],
            min_max=[_title(row) for row in numbers if row.summary == "median_range"],
            order=orders,
            pval=spec.tests and group is not None and shown[_title(group)].nunique() > 1,
            htest_name=True,
            include_null=False,
        )


def _check(patients: pd.DataFrame, spec: CohortSpec, rows: list[CohortRow], lacking: list[CohortRow]) -> None:
    faults = ["no patient; the table has no row"] if not len(patients) else []
    names = [f"{row.column}: no such column, or no value in it, for {row.label}" for row in lacking]
    if not [row for row in rows if row is not spec.group]:
        faults += names
    elif names and not spec.skip_missing:
        faults += [*names, f"the columns are {', '.join(shortened(list(map(str, patients.columns))))}"]
    for row in rows if len(patients) else []:
        faults += _faults_of(row, patients[row.column])
    if faults:
        raise DataError("cohort_table", faults)
    for name in names:
        logger.info("left out: %s", name)


def _faults_of(row: CohortRow, column: pd.Series) -> list[str]:
    present = column.dropna()
    if row.categories is not None:
        unknown = set(map(_key, present)) - set(map(_key, row.categories))
        named = ", ".join(shortened(sorted(unknown)))
        return [f"{row.column}: no category of {row.label} for {named}"] if unknown else []
    if row.cut is None and row.summary is None:
        return []
    numbers = pd.to_numeric(present, errors="coerce")
    wrong = (~np.isfinite(numbers.to_numpy("float64"))).sum()
    return [f"{row.column}: {wrong} of {len(column)} values are no finite numbers, for {row.label}"] if wrong else []


def _is_number(row: CohortRow, column: pd.Series) -> bool:
    if row.categories is not None or row.cut is not None:
        return False
    is_numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return row.summary is not None or (is_numeric and column.nunique() > MOST_LEVELS)


def _present(column: pd.Series) -> list[str]:
    """The categories that some patient has, in their order."""
    return list(column.cat.remove_unused_categories().cat.categories)


def _with_unknown(group: pd.Series) -> pd.Series:
    """The groups, with one for patients of whom the group is not known."""
    return group.cat.add_categories(UNKNOWN).fillna(UNKNOWN) if group.isna().any() else group


def _title(row: CohortRow) -> str:
    return f"{row.label} ({row.unit})" if row.unit else row.label


def _values(row: CohortRow, column: pd.Series) -> pd.Series:
    """The values that are shown: numbers, or ordered categories."""
    if row.categories is not None:
        meanings = {_key(value): label for value, label in row.categories.items()}
        named = column.map(lambda value: None if pd.isna(value) else meanings[_key(value)])
        return named.astype(pd.CategoricalDtype(list(dict.fromkeys(meanings.values()))))
    if row.cut is not None:
        edges = [-np.inf, *row.cut, np.inf]
        return pd.cut(pd.to_numeric(column) * row.scale, edges, labels=_ranges(row.cut))
    if _is_number(row, column):
        return pd.to_numeric(column).astype("float64") * row.scale
    text = column.map(lambda value: None if pd.isna(value) else _key(value))
    present = sorted(column.dropna().unique(), key=lambda value: (str(type(value)), value))
    return text.astype(pd.CategoricalDtype(list(dict.fromkeys(map(_key, present)))))


def _key(value: Any) -> str:
    """A value as it is compared: 1, 1.0, "1" and True are one."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _ranges(cut: tuple[float, ...]) -> list[str]:
    """Names of the ranges between cuts.

    Examples
    --------
    >>> _ranges((0, 3))
    ['<= 0', '> 0 to 3', '> 3']
    """
    inner = [f"> {low:g} to {high:g}" for low, high in pairwise(cut)]
    return [f"<= {cut[0]:g}", *inner, f"> {cut[-1]:g}"]
