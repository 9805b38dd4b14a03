"""Columns of a table, brought to the images that its rows name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.image_files import CatalogFault, Names
from tumorkeras.data.tables import read_table
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec, ImageTable


def join_table(
    table: pd.DataFrame, named: ImageTable, spec: DataSpec
) -> tuple[pd.DataFrame, list[CatalogFault], list[str]]:
    """The samples with the columns of their rows in a CSV.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a sample, with ``id``.
    named : ImageTable
        The CSV, and what its columns are. Class, part, group and names of images are text, whatever they look like.
    spec : DataSpec
        It names the column of the groups.

    Returns
    -------
    table : pandas.DataFrame
    faults : list of CatalogFault
        Rows that name no image, or several; images whose rows differ.
    unnamed : list of str
        Images that no row names.

    Raises
    ------
    DataError
        If the CSV cannot be read or lacks a column.
    """
    path = spec.resolve(named.path)
    words = {named.image_column, named.class_column, named.split_column, spec.splits.group} - {None}
    rows = read_table(path, text=words)
    wanted = [named.image_column, named.class_column, named.split_column]
    absent = [f"has no column {name!r}; it has {list(rows.columns)}" for name in wanted if name and name not in rows]
    if absent:
        raise DataError(str(path), absent)
    found, faults = match_names(rows[named.image_column], table["id"], "row_without_file", path.name)
    rows = rows.assign(id=found).dropna(subset="id")
    faults += _twice(rows, [name for name in rows.columns if name in words - {named.image_column}], path)
    rows = rows.drop_duplicates("id")
    unnamed = table.loc[~table["id"].isin(rows["id"]), "id"].tolist()
    columns = {
        named.class_column: "class_name",
        named.split_column: "given_split",
        spec.splits.group: spec.splits.group,
    }
    return join_columns(table, rows, columns), faults, unnamed


def join_columns(table: pd.DataFrame, rows: pd.DataFrame, renamed: dict[str | None, str | None]) -> pd.DataFrame:
    """The table with the columns of ``rows`` by ``id``; one that is not renamed gives way to the table's own."""
    taken = {name: renamed.get(name) or name for name in rows.columns if name in renamed or name not in table.columns}
    kept = table.drop(columns=[name for name in taken.values() if name in table.columns])
    return kept.merge(rows[["id", *taken]].rename(columns=taken), on="id", how="left")


def _twice(rows: pd.DataFrame, columns: list[str], path: Path) -> list[CatalogFault]:
    """Images whose rows differ in what is read of them."""
    if not columns:
        return []
    counts = rows.groupby("id")[columns].nunique(dropna=False).max(axis=1)
    differing = tuple(counts.index[counts > 1])
    words = f"has several rows in {path.name}, which differ in {', '.join(columns)}; keep the right one"
    return [CatalogFault("row_twice", differing, words)] if differing else []


def match_names(names: pd.Series, ids: Iterable[str], absent: str, where: str) -> tuple[np.ndarray, list[CatalogFault]]:
    """The sample that each name means (None: no single one), and faults for names that mean none or several."""
    finder = Names(ids)
    found = {name: finder.find(str(name)) for name in names.dropna().unique()}
    lost = tuple(str(name) for name, samples in found.items() if not samples)
    unclear = tuple(str(name) for name, samples in found.items() if len(samples) > 1)
    faults = []
    if lost:
        faults.append(CatalogFault(absent, lost, f"is named in {where}, but no such image is there"))
    if unclear:
        words = f"is named in {where}, but several images are called so; give the path from the folder"
        faults.append(CatalogFault("ambiguous_name", unclear, words))
    single = {name: samples[0] for name, samples in found.items() if len(samples) == 1}
    return np.array([single.get(name) for name in names], dtype=object), faults
