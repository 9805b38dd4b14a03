"""Images and a table with a row an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tumorkeras.data.image_files import Names
from tumorkeras.layout.columns import (
    SHARE_FOUND,
    Sheet,
    class_column,
    crossing,
    given_parts,
    group_columns,
    image_column,
    split_column,
)
from tumorkeras.layout.groups import add_patients
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.settings import add_settings
from tumorkeras.layout.splits import keep_parts
from tumorkeras.layout.survey import File, common_folder
from tumorkeras.spec import DataPath


@dataclass(frozen=True)
class Found:
    """A table with a row an image, and what its columns mean."""

    sheet: Sheet
    image: str
    label: str | None
    label_named: bool
    split: str | None
    groups: list[str]

    @property
    def table(self) -> pd.DataFrame:
        """Its rows."""
        return self.sheet.table

    def source(self) -> dict[str, object]:
        """The field ``table`` of a source."""
        return {
            "path": DataPath(self.sheet.path),
            "image_column": self.image,
            "class_column": self.label,
            "split_column": self.split,
        }

    def parts(self) -> dict[str, str]:
        """What each value of the split column becomes."""
        return {} if self.split is None else given_parts(self.table[self.split].dropna().unique())


def find_table(sheets: list[Sheet], pictures: Pictures) -> Found | None:
    """The table that names most images, each in one row; one with a class before others."""
    found = []
    for sheet in sheets:
        image = image_column(sheet, pictures.finder)
        if image is None or sheet.table[image].duplicated().any():
            continue
        split = split_column(sheet.table)
        label, named = class_column(sheet.table, [image, split])
        groups = group_columns(sheet.table, [image, split, label])
        found.append(Found(sheet, image, label, named, split, groups))
    return max(found, key=lambda one: (len(one.table), one.label_named, one.label is not None), default=None)


def guess_table(sheets: list[Sheet], pictures: Pictures) -> Guess | None:
    """Images whose class stands in a table."""
    found = find_table(sheets, pictures)
    if found is None:
        return None
    what = f"{'volumes' if pictures.volumes else 'images'} with a row each in {found.sheet.path}"
    guess = Guess(what, 0.82 if found.label_named else 0.6, {})
    named = [samples[0] for value in found.table[found.image] if len(samples := pictures.finder.find(str(value))) == 1]
    folder = common_folder(File(name, "", 0) for name in named)
    guess.values["source"] = {
        "kind": "image_folder",
        "path": DataPath(folder or "."),
        "levels": "none",
        "table": found.source(),
    }
    if found.label is None:
        guess.values = {"tasks": ["autoencode"], **guess.values}
        guess.unsure.append(f"No column of {found.sheet.path} looks like a class ({listed(found.table.columns)}).")
        _say_one_hot(guess, found)
    else:
        _add_classes(guess, found)
    add_table(guess, found, pictures, folder)
    if found.groups:
        add_group(guess, found)
    else:
        add_patients(guess, pictures)
    add_settings(guess, pictures.look(named), len(named))
    return guess


def _add_classes(guess: Guess, found: Found) -> None:
    assert found.label is not None
    counts = found.table[found.label].astype(object).where(found.table[found.label].notna()).value_counts()
    names = sorted(map(str, counts.index))
    guess.values["classes"] = names
    guess.say("classes", f"Values of {found.label}: " + ", ".join(f"{n} {k:,}" for n, k in counts.items()) + ".")
    if not found.label_named:
        guess.unsure.append(f"That {found.label!r} is the class is guessed: its name does not say so.")
    if all(name.lstrip("-").isdigit() for name in names):
        guess.unsure.append(f"What the classes {listed(names)} stand for: the table has numbers only.")
    if lacking := int(found.table[found.label].isna().sum()):
        guess.unsure.append(f"{many(lacking, 'row')} of {found.sheet.path} without a class.")


def _say_one_hot(guess: Guess, found: Found) -> None:
    """Name columns of 0 and 1 of which each row has one 1."""
    numbers = found.table.select_dtypes("number")
    flags = numbers.loc[:, [bool(numbers[name].isin([0, 1]).all()) for name in numbers]]
    if flags.shape[1] > 1 and (flags.sum(axis=1) == 1).all():
        guess.unsure.append(f"{listed(flags.columns)} look like one class in several columns; write it in one column.")


def add_table(guess: Guess, found: Found, pictures: Pictures, folder: str) -> None:
    """Say what the table has, and take its parts."""
    columns = listed(found.table.columns, 12)
    guess.say("source.table", f"{found.sheet.path} has {many(len(found.table), 'row')} with the columns {columns}.")
    keep_parts(guess, found.parts())
    inside = [name for name in pictures.names if not folder or name.startswith(f"{folder}/")]
    _say_unmatched(guess, found, inside)


def add_group(guess: Guess, found: Found) -> None:
    """Keep samples together that have one value in the best of the columns of groups."""
    name, *others = found.groups
    number = found.table[name].nunique()
    if found.split is not None and (crossed := crossing(found.table[name], found.table[found.split])):
        guess.unsure.append(f"{crossed} of {number} values of {name} have images in more than one part: a leak.")
        return
    guess.values.setdefault("splits", {})["group"] = name
    guess.say("splits.group", f"{many(len(found.table), 'image')} have {number:,} values of {name}: each stays whole.")
    if others:
        guess.say("splits.group", f"Other columns that may be groups: {listed(others)}.")


def _say_unmatched(guess: Guess, found: Found, names: list[str]) -> None:
    finder = Names(names)
    values = [str(value) for value in found.table[found.image].dropna()]
    matched = {sample for value in values for sample in finder.find(value)}
    lost = sum(not finder.find(value) for value in values)
    if lost:
        guess.unsure.append(f"{many(lost, 'row')} of {found.sheet.path} name no image that is there.")
    if lacking := len(set(names) - matched):
        guess.unsure.append(f"{many(lacking, 'image')} without a row in {found.sheet.path}.")


def tables_beside(sheets: list[Sheet], pictures: Pictures) -> list[str]:
    """What is said of tables that name no samples, but perhaps folders above them."""
    words = []
    steps = {step for name in pictures.names for step in name.split("/")[:-1]}
    for sheet in sheets:
        for column in sheet.table.columns:
            values = sheet.table[column].dropna().astype(str)
            if len(values) and np.mean([value in steps for value in values]) >= SHARE_FOUND:
                words.append(
                    f"{sheet.path} names folders above the {'volumes' if pictures.volumes else 'images'} (column "
                    f"{column}), not the samples themselves. Write a table with a row a sample: its path from "
                    "source.path, and the class; then name it under source.table."
                )
                break
    return words
