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

MOST_REPEATED = 0.1  # of the images may have several rows in a table with a row an image


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

    def gap(self) -> str | None:
        """A column that would be a better group than the others, if some of its rows were not empty."""
        column = next(iter(group_columns(self.table, [self.image, self.split, self.label], gaps=True)), None)
        return None if column in self.groups else column


def find_table(sheets: list[Sheet], pictures: Pictures) -> Found | None:
    """The table that names most images, each in one row but for a few; one with a class before others."""
    found = []
    for sheet in sheets:
        image = image_column(sheet, pictures.finder)
        if image is None or _many_repeat(sheet.table, image):
            continue
        split = split_column(sheet.table)
        label, named = class_column(sheet.table, [image, split])
        groups = group_columns(sheet.table, [image, split, label])
        found.append(Found(sheet, image, label, named, split, groups))
    return max(found, key=lambda one: (len(one.table), one.label_named, one.label is not None), default=None)


def repeated(table: pd.DataFrame, image: str) -> int:
    """How many images have several rows, of which one that is written twice counts once.

    Examples
    --------
    >>> repeated(pd.DataFrame({"image": ["a", "a", "b", "b"], "class": ["x", "x", "x", "y"]}), "image")
    1
    """
    names = table.drop_duplicates()[image].dropna()
    return int((names.value_counts() > 1).sum())


def _many_repeat(table: pd.DataFrame, image: str) -> bool:
    return repeated(table, image) > MOST_REPEATED * table[image].nunique()


def _say_repeats(guess: Guess, found: Found) -> None:
    """Count the images with several rows, and those whose rows differ."""
    counts = found.table[found.image].value_counts()
    number, differing = int((counts > 1).sum()), repeated(found.table, found.image)
    if number:
        have = "has" if number == 1 else "have"
        how = f"{differing} of them with different ones: keep the right one" if differing else "the same twice"
        guess.unsure.append(f"{many(number, 'image')} {have} several rows in {found.sheet.path}, {how}.")


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
    if found.groups or found.gap() is not None:
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
    _say_repeats(guess, found)


def add_group(guess: Guess, found: Found) -> None:
    """Keep samples together that have one value in the best of the columns of groups."""
    _say_gap(guess, found)
    if not found.groups:
        return
    name, *others = found.groups
    number = found.table[name].nunique()
    if found.split is not None and (crossed := crossing(found.table[name], found.table[found.split])):
        guess.unsure.append(f"{crossed} of {number} values of {name} have images in more than one part: a leak.")
        return
    guess.values.setdefault("splits", {})["group"] = name
    guess.say("splits.group", f"{many(len(found.table), 'image')} have {number:,} values of {name}: each stays whole.")
    if others:
        guess.say("splits.group", f"Other columns that may be groups: {listed(others)}.")


def _say_gap(guess: Guess, found: Found) -> None:
    """Write a group that is missing in some rows as a comment: with empty rows it cannot be used."""
    if (name := found.gap()) is None:
        return
    lacking = int(found.table[name].isna().sum())
    have = "has" if lacking == 1 else "have"
    guess.unsure.append(
        f"{many(lacking, 'row')} of {found.sheet.path} {have} no {name}: fill in, then switch on the group at the end "
        "of this file, or a split between images of one patient leaks."
    )
    heading = f"When each row has a {name}; write it under splits, where that is above."
    guess.blocks.append((heading, {"splits": {"group": name}}))


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
