"""Images with masks, in a folder of their own or beside them: ``x.png`` and ``x_mask.png``."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np

from tumorkeras.data.names import without_ending
from tumorkeras.data.readers import read
from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.layout.box_settings import BOX_TASKS, say_one_class
from tumorkeras.layout.groups import add_patients
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.of_class_folders import PLAIN
from tumorkeras.layout.pictures import MASK_SUFFIX, Pictures
from tumorkeras.layout.settings import DETECTION_SIDE, add_settings
from tumorkeras.layout.survey import common_folder
from tumorkeras.spec import DataPath

LOOKED_AT = 40
MOST_VALUES = 100  # more are no mask


def guess_masks(pictures: Pictures) -> Guess | None:
    """Boxes around what masks mark."""
    if not pictures.masks or not pictures.names or pictures.volumes:
        return None
    values, regions, unread = _look_into(pictures)
    if not values and unread:
        return None
    folder = pictures.folder
    place = folder if pictures.masks_beside else common_folder(pictures.masks)
    form, words = _form(values, regions)
    guess = Guess("images with masks, whose regions get boxes", 0.85 if pictures.masks_beside else 0.8, {})
    guess.values = {
        "tasks": ["detect"],
        "source": {
            "kind": "detection",
            "path": DataPath(folder or "."),
            "annotations": DataPath(place or "."),
            "format": form,
        },
    }
    guess.say("tasks", BOX_TASKS)
    guess.say("source.format", words)
    if form == "instance_masks" or len({v for found in values for v in found}) > 1:
        guess.unsure.append("Whether a value of the masks is a class (format: masks) or an object (instance_masks).")
    _add_classes(guess, pictures, values, regions, form)
    _say_unmasked(guess, pictures)
    add_patients(guess, pictures)
    add_settings(guess, pictures.look(), len(pictures), most=DETECTION_SIDE)
    return guess


def _look_into(pictures: Pictures) -> tuple[list[set[int]], list[int], int]:
    """Values but 0, and the number of regions, of a few masks; and how many were none."""
    chosen = np.unique(np.linspace(0, len(pictures.masks) - 1, LOOKED_AT).astype(int))
    values, regions, unread = [], [], 0
    for k in chosen:
        try:
            mask = read(pictures.root / pictures.masks[k].path).array[..., 0]
        except (DataError, MissingExtraError):
            unread += 1
            continue
        found = np.unique(mask)
        if mask.ndim != 2 or len(found) > MOST_VALUES:
            unread += 1
            continue
        values.append({int(value) for value in found if value})
        regions.append(cv2.connectedComponents((mask > 0).astype("uint8"), connectivity=8)[0] - 1)
    return values, regions, unread


def _form(values: list[set[int]], regions: list[int]) -> tuple[str, str]:
    """Whether values are classes or objects."""
    found = sorted({value for mask in values for value in mask})
    if len(found) <= 1:
        return "masks", f"The masks have one value ({listed(found) or 'none'}) beside 0: each region is an object."
    counted = all(mask == set(range(1, len(mask) + 1)) for mask in values)
    alike = sum(len(mask) == number for mask, number in zip(values, regions, strict=True)) >= 0.8 * len(values)
    if counted and alike:
        return "instance_masks", "The values count the regions of each mask: 1, 2 ..., so each value is an object."
    return "masks", f"The masks have the values {listed(found)}: taken as classes, each region an object."


def _add_classes(guess: Guess, pictures: Pictures, values: list[set[int]], regions: list[int], form: str) -> None:
    """By folder where masks lie in a folder a class, by value where there are several, else one."""
    start = len(pictures.folder)
    steps = [file.path[start:].lstrip("/").split("/") for file in pictures.masks] if pictures.masks_beside else []
    folders = Counter(path[0] for path in steps if len(path) > 1 and path[0].lower() not in PLAIN)
    found = sorted({value for mask in values for value in mask})
    if len(folders) > 1:
        chosen = np.unique(np.linspace(0, len(pictures.masks) - 1, LOOKED_AT).astype(int))
        marked = {steps[k][0] for k, number in zip(chosen, regions, strict=False) if number}
        classes = [name for name in sorted(folders) if name in marked] or sorted(folders)
        listing = ", ".join(f"{name} {folders[name]:,} masks" for name in sorted(folders))
        guess.say("classes", f"The class of an object is the folder of its mask: {listing}.")
        if empty := [name for name in sorted(folders) if name not in classes]:
            guess.say("classes", f"The masks of {listed(empty)} that were looked at are empty: images without objects.")
        guess.values["classes"] = classes
        say_one_class(guess, classes)
    elif form == "masks" and len(found) > 1:
        guess.values["classes"] = [str(value) for value in range(1, max(found) + 1)]
        guess.say("classes", "The values of the masks from 1 on, in their order: put names in their places.")
        guess.unsure.append(f"What the values {listed(found)} of the masks are called.")
    else:
        guess.values["classes"] = ["object"]
        guess.say("classes", "The masks do not tell classes; this name is for all objects.")


def _say_unmasked(guess: Guess, pictures: Pictures) -> None:
    masked = {MASK_SUFFIX.sub("", without_ending(file.path)) for file in pictures.masks}
    bare = {name.rpartition("/")[2] for name in masked}
    rest = [n for n in map(without_ending, pictures.names) if n not in masked and n.rpartition("/")[2] not in bare]
    if rest:
        guess.unsure.append(
            f"{many(len(rest), 'image')} without a mask: taken as unlabelled and left out. If they are images without "
            "objects, write unlisted: no_objects under source."
        )
