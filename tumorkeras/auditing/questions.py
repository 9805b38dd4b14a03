"""What a probe is asked to tell apart: the classes of samples, or what is in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.auditing.probes import can_probe

if TYPE_CHECKING:
    from tumorkeras.data.catalog import Catalog


@dataclass(frozen=True)
class Question:
    """A label for each sample, missing where the question does not concern it."""

    name: str  # "class", "objects", "has RBC"
    labels: pd.Series


def questions_of(table: pd.DataFrame, boxes: pd.DataFrame | None) -> list[Question]:
    """What can be asked of the samples; only questions with two answers that 10 samples have.

    Parameters
    ----------
    table : DataFrame
        Rows of a catalog's table.
    boxes : DataFrame or None
        The catalog's boxes.

    Returns
    -------
    list of Question
        Of samples without boxes: their class. Of images with boxes: whether there is an object; the class of the
        image where its objects are of one class; else, class by class, whether there is one.

    Examples
    --------
    >>> table = pd.DataFrame({"id": [f"{k}.png" for k in range(30)], "labelled": True,
    ...     "class_name": ["no objects"] * 10 + ["benign"] * 10 + ["malignant"] * 10})
    >>> boxes = pd.DataFrame({"image": table["id"][10:], "class": table["class_name"][10:]})
    >>> [question.name for question in questions_of(table, boxes)]
    ['objects', 'class']
    """
    table = table.reset_index(drop=True)
    if boxes is None:
        questions = [Question("class", _told(table["class_name"]))]
    else:
        labelled = table["labelled"].to_numpy(dtype=bool)
        inside = boxes.dropna(subset="class").groupby("image")["class"].agg(set)
        held = table["id"].map(inside)
        with_objects = held.notna().to_numpy() & labelled
        objects = np.where(with_objects, "with objects", "without objects")
        questions = [Question("objects", pd.Series(objects, dtype=object).where(labelled, None))]
        if (held[with_objects].str.len() == 1).all():
            questions.append(Question("class", _told(table["class_name"]).where(with_objects, None)))
        else:
            questions += _one_a_class(held, labelled)
    return [question for question in questions if can_probe(question.labels.dropna())]


def _told(names: pd.Series) -> pd.Series:
    return names.astype(object).where(names.notna(), None)


def _one_a_class(held: pd.Series, labelled: np.ndarray) -> list[Question]:
    """For each class whether an image has it."""
    sets = [found if isinstance(found, set) else set() for found in held]
    questions = []
    for name in sorted(set().union(*sets)):
        answers = [f"with {name}" if name in found else f"without {name}" for found in sets]
        questions.append(Question(f"has {name}", pd.Series(answers, dtype=object).where(labelled, None)))
    return questions


def group_column(catalog: Catalog) -> str | None:
    """The column that the groups come from; None where nobody named one, though copies may be joined in ``group``."""
    if catalog.spec is None:
        return "group" if catalog.table["group"].notna().any() else None
    of_source = getattr(catalog.spec.source, "groups", None)
    return catalog.spec.splits.group or getattr(of_source, "group_column", None)


def group_names(catalog: Catalog, table: pd.DataFrame) -> pd.Series | None:
    """The group of each row of a catalog's table: its own, else of the column that the spec names; None without."""
    named = None if catalog.spec is None else catalog.spec.splits.group
    for column in ("group", named):
        if column is not None and column in table and table[column].notna().all() and len(table):
            return table[column].astype(str).reset_index(drop=True)
    return None
