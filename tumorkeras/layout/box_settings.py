"""What all forms of boxes have in common in a spec: classes, parts, groups, images without objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tumorkeras.data.annotations import read_with_faults
from tumorkeras.data.image_files import Names
from tumorkeras.errors import DataError
from tumorkeras.layout.columns import Sheet
from tumorkeras.layout.groups import add_patients
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.of_image_tables import Found, add_group, add_table, find_table
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.settings import DETECTION_SIDE, add_settings
from tumorkeras.layout.splits import keep_parts
from tumorkeras.layout.survey import File, Survey, common_folder

MOST_NAMED = 6  # classes in a sentence
BOX_TASKS = (
    "A detector learns the boxes. With autoencode before it an autoencoder learns the whole images; source.kind "
    "regions makes a sample with a class of each box, to classify."
)


def read_boxes(
    guess: Guess, survey: Survey, place: str, folder: str, *, form: str, columns: dict[str, str] | None = None
) -> pd.DataFrame | None:
    """The boxes that can be read, and a word on those that cannot; None where none can."""
    try:
        found = read_with_faults(survey.root / place, format=form, images=survey.root / folder, columns=columns)
    except DataError as error:
        guess.unsure.append(f"The annotations cannot be read as they are: {_first(error.faults)}.")
        return None
    if found.faults:
        guess.unsure.append(f"Not all annotations can be read: {_first(found.faults)}. The rest was read.")
    return found.table


def _first(faults: Sequence[str]) -> str:
    return faults[0] + (f" (and {many(len(faults) - 1, 'more fault')})" if len(faults) > 1 else "")


def complete(
    guess: Guess,
    sheets: list[Sheet],
    pictures: Pictures,
    source: dict[str, Any],
    folder: str,
    boxes: pd.DataFrame | None,
    names: list[str],
    own: Found | None = None,
) -> None:
    """Fill in classes, parts, groups, images without objects and settings.

    Parameters
    ----------
    guess : Guess
        Changed in place.
    sheets : list of Sheet
        Tables that may have a row an image.
    pictures : Pictures
    source : dict
        The section of the spec.
    folder : str
        The folder that the names of images start from.
    boxes : pandas.DataFrame or None
        None where they were not read.
    names : list of str
        Classes by their numbers; none where the form has no numbers.
    own : Found, optional
        What a table of boxes tells of each image.
    """
    found = find_table(sheets, pictures)
    inside = [name for name in pictures.names if not folder or name.startswith(f"{folder}/")]
    guess.values = {"tasks": ["detect"], "source": source}
    guess.say("tasks", BOX_TASKS)
    if boxes is not None:
        _add_classes(guess, boxes, names)
    elif names and len(set(names)) == len(names):
        guess.values["classes"] = names
        guess.say("classes", "In the order of their numbers.")
    if found is not None:
        source["table"] = found.source()
        add_table(guess, found, pictures, folder)
    elif boxes is not None:
        keep_parts(guess, {part: part for part in ("train", "val", "test") if part in set(boxes["split"])})
    _add_groups(guess, [table for table in (found, own) if table is not None], pictures, inside)
    if boxes is not None:
        _say_without_boxes(guess, boxes, inside, folder, found)
    _say_masks(guess, pictures)
    add_settings(guess, pictures.look(inside), len(inside), most=DETECTION_SIDE)


def _add_groups(guess: Guess, tables: list[Found], pictures: Pictures, names: list[str]) -> None:
    """Keep together what a table says is of one patient: that of the images, else that of the boxes."""
    found = next((table for table in tables if table.groups or table.gap() is not None), None)
    if found is None:
        add_patients(guess, pictures)
        return
    group = found.groups[0] if found.groups else found.gap()
    named = {sample for value in found.table[found.image].dropna() for sample in pictures.finder.find(str(value))}
    if lacking := len(set(names) - named):
        guess.unsure.append(
            f"{found.sheet.path} has {listed(found.groups or [group])}, but no row for {many(lacking, 'image')}: add "
            f"them, then write group: {group} under splits, or a split leaks."
        )
        return
    add_group(guess, found)


def _add_classes(guess: Guess, boxes: pd.DataFrame, names: list[str]) -> None:
    counts = boxes.dropna(subset="xmin")["class"].value_counts()
    ordered = sorted(counts.index, key=lambda name: (-counts[name], name))
    if guess.values["source"]["format"] == "yolo" and not names and all(name.isdigit() for name in ordered):
        names = [str(k) for k in range(max(map(int, ordered), default=-1) + 1)]  # each number must have a name
    if len(set(names)) < len(names):
        guess.unsure.append(f"The names of classes {listed(names)} are not all different.")
        names = []
    classes = names if set(ordered) <= set(names) and names else ordered
    order = "their numbers in the files" if classes is names else "how many boxes they have"
    listing = ", ".join(f"{name} {int(counts.get(name, 0)):,}" for name in classes)
    if classes:
        guess.values["classes"] = list(classes)
        guess.say("classes", f"In the order of {order}: {listing} boxes.")
    say_one_class(guess, classes)
    if bare := [name for name in classes if not counts.get(name)]:
        guess.unsure.append(
            f"No box is of the class {listed(bare)}: a detector cannot learn it; take it out of classes."
        )
    if all(str(name).isdigit() for name in classes):
        guess.unsure.append(f"What the classes {listed(classes)} are called: the annotations have numbers only.")
    if unnamed := int(boxes.dropna(subset="xmin")["class"].isna().sum()):
        guess.unsure.append(f"{many(unnamed, 'box')} without a class.")


def say_one_class(guess: Guess, classes: list[str]) -> None:
    """Say how several classes become one."""
    if len(classes) > 1:
        pairs = ", ".join(f"{name}: object" for name in classes[:MOST_NAMED])
        more = ", ..." if len(classes) > MOST_NAMED else ""
        guess.say(
            "classes", f"To find objects of any kind: class_map: {{{pairs}{more}}} under source, classes: [object]."
        )


def _say_without_boxes(guess: Guess, boxes: pd.DataFrame, names: list[str], folder: str, found: Found | None) -> None:
    """Tell images without objects from images that nobody labelled."""
    finder = Names(name[len(folder) :].lstrip("/") for name in names)
    rows = boxes["image"].unique()
    samples = {sample for name in rows for sample in finder.find(str(name))}
    if lost := sum(not finder.find(str(name)) for name in rows):
        guess.unsure.append(f"{many(lost, 'annotated image')} not there as a file.")
    empty = boxes.groupby("image")["xmin"].count().eq(0).sum()
    if empty:
        guess.say("source.annotations", f"{many(int(empty), 'image')} listed without a box: images without objects.")
    rest = len(names) - len(samples)
    if not rest:
        return
    if found is None:
        guess.unsure.append(
            f"{many(rest, 'image')} not named by the annotations: taken as unlabelled and left out. If they are images "
            "without objects, write unlisted: no_objects under source."
        )
        return
    classes = _classes_of(found, samples)
    guess.say("source.table", f"{many(rest, 'image')} with a row but no box: images without objects{classes}.")


def _classes_of(found: Found, boxed: set[str]) -> str:
    if found.label is None:
        return ""
    finder = Names(boxed)
    bare = [not finder.find(str(value)) for value in found.table[found.image]]
    counts = found.table[bare][found.label].value_counts()
    return " (" + ", ".join(f"{name} {count:,}" for name, count in counts.items()) + ")"


def _say_masks(guess: Guess, pictures: Pictures) -> None:
    if pictures.masks:
        folder = common_folder(File(file.path, "", 0) for file in pictures.masks) or "the same folders"
        guess.say(
            "source.annotations",
            f"There are {len(pictures.masks):,} masks, too, in {folder}; they could be the annotations instead "
            "(format: masks or instance_masks).",
        )
