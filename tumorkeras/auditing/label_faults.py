"""Faults of labels: names that lead nowhere, images without labels, classes and parts that are too small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.auditing.findings import Finding, Severity, counted, fault
from tumorkeras.data.catalog import UNLABELLED
from tumorkeras.data.splits import PARTS

if TYPE_CHECKING:
    from tumorkeras.data.catalog import Catalog
    from tumorkeras.data.image_files import CatalogFault

FEW = 30  # samples of a class: with 30 the 95 % interval of a sensitivity of 0.9 is already 0.2 wide
SMALL_PART = 10  # samples of a class in validation or test: one more or less moves its sensitivity by 0.1

MEND_GIVEN = "Give other parts: drawn by fractions they hold every class in proportion, as far as groups allow."
MEND_DRAWN = (
    "Collect more samples or groups of the class, give the part a larger share, or take another splits.seed: there are "
    "too few to be in every part."
)
STOPS = "Training stops, for it is not known what is meant."
STOPS_AT_CLASS = "Training stops: a class that nothing shows cannot be learnt."
# Severity, what was found, effect and mend of each fault that a catalog names.
CATALOG_FAULTS: dict[str, tuple[Severity, str, str, str]] = {
    "outside_folder": (
        "error",
        "lead out of the folder of the data",
        "The link is not followed, so the sample is missing.",
        "Copy the file into the folder.",
    ),
    "not_a_file": (
        "warning",
        "are no regular files",
        "They are passed over: there are fewer samples than names.",
        "Take out links that lead nowhere, pipes and sockets.",
    ),
    "row_without_file": (
        "error",
        "are named in the table, but no such image is there",
        STOPS,
        "Put the images into the folder, write their names as in the folder, or take out the rows.",
    ),
    "image_without_row": (
        "error",
        "have no row in the table",
        STOPS,
        "Add a row for each, or take the images out of the folder.",
    ),
    "annotation_without_file": (
        "error",
        "are named in the annotations, but no such image is there",
        STOPS,
        "Put the images into the folder, write their names as in the folder, or take out the annotations.",
    ),
    "ambiguous_name": (
        "error",
        "fit several images",
        STOPS,
        "Give the path from the folder in place of the bare name.",
    ),
    "class_missing": ("error", "have no class", STOPS, "Name a class, or take them out."),
    "class_empty": (
        "error",
        "are folders of a class without a sample",
        "A class that nothing shows cannot be learnt.",
        "Fill the folder, or take it out.",
    ),
    "annotation_unreadable": (
        "error",
        "have lines or objects that cannot be read",
        STOPS,
        "Correct what the reasons name, or take it out.",
    ),
    "class_without_box": (
        "warning",
        "have a class, but no box",
        "Nothing says where the object lies, so they are left out of training.",
        "Draw the box; leave the class empty where nothing is to be found.",
    ),
    "row_twice": (
        "error",
        "have several rows in the table, which differ",
        STOPS,
        "Keep the row that is right.",
    ),
    "class_unknown": (
        "error",
        "have a class that the spec does not name",
        STOPS,
        "Correct the class (often it is a matter of upper and lower case), or add it to classes.",
    ),
}


def label_findings(catalog: Catalog) -> list[Finding]:
    """What is wrong with names, classes and parts, from the catalog alone.

    Parameters
    ----------
    catalog : Catalog
        What the spec names; ``split`` says which part each sample is in, where that is known.
    """
    findings = [_of_catalog(code, catalog) for code in dict.fromkeys(found.code for found in catalog.faults)]
    findings += _unlabelled(catalog)
    examples = _examples(catalog)
    return [*findings, *_absent(examples, catalog), *class_findings(examples, given=_are_given(catalog))]


def _are_given(catalog: Catalog) -> bool:
    """Whether the data or files say which part each sample is in."""
    in_files = catalog.spec is not None and catalog.spec.splits.files is not None
    return in_files or ("given_split" in catalog.table and bool(catalog.table["given_split"].notna().any()))


def _of_catalog(code: str, catalog: Catalog) -> Finding:
    """All faults of one code as one finding; the words of each go with its files."""
    faults: list[CatalogFault] = [found for found in catalog.faults if found.code == code]
    files = tuple(dict.fromkeys(name for found in faults for name in found.files))
    words = list(dict.fromkeys(found.words for found in faults))
    said: dict[str, dict[str, None]] = {name: {} for name in files}
    for found in faults:
        for name in found.files:
            said[name][found.words] = None
    reasons = {name: "; ".join(lines) for name, lines in said.items()}
    if code in CATALOG_FAULTS:
        severity, what, effect, mend = CATALOG_FAULTS[code]
        title = f"{counted(len(files), 'name')} {_agreeing(what, len(files))}"
    else:  # nothing that is found may be lost because it has no words here
        severity, effect, mend = "warning", "It is not known what it does to the result.", "See the reasons."
        title = f"{counted(len(files), 'name')} with " * bool(files) + f"{code.replace('_', ' ')}: {words[0]}"
    more = {} if files else {"words": words}
    return fault(code, severity, title, files, effect, mend, reasons=reasons, **more)


def _agreeing(what: str, count: int) -> str:
    """The verb in the singular, where one name is meant."""
    verb, _, rest = what.partition(" ")
    single = {"are": "is", "have": "has", "lead": "leads", "fit": "fits"}
    return f"{single.get(verb, verb)} {rest.replace('regular files', 'regular file')}" if count == 1 else what


def _unlabelled(catalog: Catalog) -> list[Finding]:
    """Images that nothing lists, told apart from images that are listed without objects."""
    if catalog.boxes is None:
        return []
    table, marked = catalog.table, set(catalog.boxes["image"])
    known = table["labelled"].to_numpy(dtype=bool)
    findings = []
    if not known.all():
        lost = table.loc[~known, "id"]
        title = f"{counted(len(lost), 'image')} of {len(table):,} without annotation"
        effect = "They are left out of training: nobody said that there is nothing in them."
        mend = "Mark them. Where they were looked at and hold no object: list them, or set source.unlisted: no_objects."
        findings.append(fault("unlabelled", "warning" if known.any() else "error", title, lost, effect, mend))
    empty = table.loc[known & ~table["id"].isin(marked).to_numpy(), "id"]
    if len(empty):
        title = f"{counted(len(empty), 'image')} of {len(table):,} listed without objects"
        effect = "No fault: they teach a detector what is not to be found, and false alarms are counted on them."
        findings.append(fault("without_objects", "note", title, empty, effect, "Nothing, if that is what is meant."))
    return findings


# --------------------------------------------------------------------------------------------------- classes and parts


def _examples(catalog: Catalog) -> pd.DataFrame:
    """What is counted, a row each: class, sample it lies in, and part; boxes where there are boxes."""
    table = catalog.table
    if catalog.boxes is None:
        columns = {"class_name": "class", "id": "sample", "split": "part"}
        if catalog.classes == (UNLABELLED,):  # a spec without classes
            table = table[:0]
        return table.rename(columns=columns)[list(columns.values())].dropna(subset="class")
    boxes = catalog.boxes.dropna(subset="class")
    rows = pd.Index(table["id"]).get_indexer(boxes["image"])
    return pd.DataFrame({"class": boxes["class"], "sample": boxes["image"], "part": table["split"].to_numpy()[rows]})


def class_findings(examples: pd.DataFrame, *, given: bool = False) -> list[Finding]:
    """Classes and parts that are too small.

    Parameters
    ----------
    examples : DataFrame
        A row an example: ``class``, ``sample`` (id of the sample it lies in) and ``part``, missing where unknown.
    given : bool, optional
        Whether the parts were given, and not drawn.

    Examples
    --------
    >>> examples = pd.DataFrame({"class": ["cyst"] * 12, "sample": list("abcdefghijkl"), "part": None})
    >>> [finding.title for finding in class_findings(examples)]
    ['1 class of 1 with fewer than 30 examples: cyst 12']
    """
    return [*_few(examples), *_small_parts(examples, given)]


def _absent(examples: pd.DataFrame, catalog: Catalog) -> list[Finding]:
    """Classes that the spec names and nothing shows."""
    found = set(examples["class"])
    absent = [name for name in catalog.classes if name not in found]
    if not absent or (catalog.boxes is None and not found):
        return []
    title = f"{counted(len(absent), 'class', 'classes')} without any example: {', '.join(absent)}"
    mend = "Correct its name under classes, or take it out there."
    return [fault("class_without_examples", "error", title, (), STOPS_AT_CLASS, mend, classes=absent)]


def _few(examples: pd.DataFrame) -> list[Finding]:
    counts = examples["class"].value_counts()
    few = counts[counts < FEW]
    if few.empty:
        return []
    named = ", ".join(f"{name} {count}" for name, count in few.items())
    title = f"{counted(len(few), 'class', 'classes')} of {len(counts)} with fewer than {FEW} examples: {named}"
    effect = "Little can be learnt of it, and its figures have intervals so wide that they say nothing."
    mend = "Collect more, join it with a class that is treated alike, or leave it out."
    files = tuple(dict.fromkeys(examples.loc[examples["class"].isin(few.index), "sample"]))
    numbers = {str(name): int(count) for name, count in counts.items()}
    return [fault("few_examples", "warning", title, files, effect, mend, counts=numbers)]


def _small_parts(examples: pd.DataFrame, given: bool) -> list[Finding]:
    """Classes that a part lacks, or that it holds too few of."""
    counts = pd.crosstab(examples["class"], examples["part"])
    counts = counts[[part for part in PARTS if part in counts]]
    if counts.empty:
        return []
    numbers = {part: {str(name): int(count) for name, count in counts[part].items()} for part in counts}
    findings = []
    absent = [(part, name) for part in counts for name in counts.index[counts[part] == 0]]
    if absent:
        named = ", ".join(f"{part} has no {name}" for part, name in absent)
        untaught = any(part == "train" for part, _ in absent)
        effect = (
            "Nothing can be learnt of a class that training lacks." if untaught else "Nothing is measured of the class."
        )
        findings.append(
            fault(
                "class_missing_in_part",
                "error" if untaught else "warning",
                f"a part lacks a class: {named}",
                (),
                effect,
                MEND_GIVEN if given else MEND_DRAWN,
                counts=numbers,
            )
        )
    measured = [(part, name) for part in counts if part != "train" for name in counts.index[_is_small(counts[part])]]
    if measured:
        named = ", ".join(f"{numbers[part][str(name)]} {name} in {part}" for part, name in measured)
        effect = "One example more or less moves the figures of the class by a tenth or more."
        mend = (
            "Give these parts a larger share, or compare by cross-validation (splits.folds), which tests every sample."
        )
        findings.append(
            fault("small_part", "warning", f"few examples to measure on: {named}", (), effect, mend, counts=numbers)
        )
    return findings


def _is_small(counts: pd.Series) -> np.ndarray:
    return ((counts > 0) & (counts < SMALL_PART)).to_numpy()
