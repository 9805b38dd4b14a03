"""A folder a class, perhaps within a folder a part."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from tumorkeras.data.annotations.names import part_of
from tumorkeras.layout.columns import given_parts
from tumorkeras.layout.groups import add_patients
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.settings import add_settings
from tumorkeras.layout.splits import keep_parts
from tumorkeras.spec import DataPath

# Folders that hold all images, and are no class.
PLAIN = {"images", "image", "imgs", "img", "data", "dataset", "jpegimages", "scans", "pictures", "files", "raw"}
PLAIN |= {"dicom", "labels", "annotations", "masks", "imagestr", "imagests", "labelstr", "labelsts", "unlabelled"}
PERSON = re.compile(
    r"(patients?|subjects?|subj?|cases?|pat|pt|donor|mouse|animal|person|tcga|lidc)[ _.-]?\S*\d+\S*", re.I
)
FOLD = re.compile(r"(folds?|cv|splits?|part)[ _-]?\d+", re.IGNORECASE)  # never a class
NUMBER = re.compile(r"[a-z]{0,2}[ _-]?\d+", re.IGNORECASE)
MOST_CLASSES = 50
FEW_NUMBERED = 10  # folders called by a number may still be classes


def guess_class_folders(pictures: Pictures) -> Guess | None:
    """Classes (and parts) by the folders that the samples lie in."""
    base = pictures.folder
    steps = [name[len(base) :].lstrip("/").split("/") for name in pictures.names]
    if pictures.masks_beside or not steps:
        return None
    first, second = (Counter(path[k] for path in steps if len(path) > k + 1) for k in (0, 1))
    if len(first) < 2:
        return None
    if all(map(FOLD.fullmatch, first)):
        return _folds_class(pictures, base, steps, first) if _recur(steps) else None
    if all(map(part_of, first)):
        return _split_class(pictures, base, steps, first) if second else None
    if second and all(map(part_of, second)) and all(len(path) > 2 for path in steps):
        return _guess(pictures, base, "class/split", first, second)
    if all(name.lower() in PLAIN for name in first) or _are_people(first, len(steps)):
        return None
    plain = [name for name in first if name.lower() in PLAIN]
    classes = Counter({name: count for name, count in first.items() if name not in plain})
    guess = _guess(pictures, base, "class", classes, Counter())
    if _recur(steps):
        inner = sorted({path[1] for path in steps if len(path) > 2})
        guess.unsure.append(
            f"The folders {listed(inner)} lie in most of {listed(sorted(first))}: if those are the classes, give a "
            "table with a row an image, its class and a column for the outer folder (source.table, levels: none)."
        )
    if plain:
        guess.certainty -= 0.3
        guess.unsure.append(f"Folders called {listed(plain)} are hardly classes; move them out of {base or 'there'}.")
    return guess


def _split_class(
    pictures: Pictures, base: str, steps: list[list[str]], parts: Counter[str], given: dict[str, str] | None = None
) -> Guess | None:
    classes = Counter(path[1] for path in steps if len(path) > 2)
    if len(classes) < 2 or set(map(str.lower, classes)) <= PLAIN or _are_people(classes, len(steps)):
        return None
    guess = _guess(pictures, base, "split/class", classes, parts, given)
    within = defaultdict(set)
    for path in steps:
        if len(path) > 2:
            within[path[0]].add(path[1])
    for part in parts:
        if lacking := sorted(set(classes) - within[part]):
            guess.unsure.append(f"{part} has no folder {listed(lacking)}.")
    if loose := [path for path in steps if len(path) == 2]:
        guess.unsure.append(f"{many(len(loose), 'image')} in a folder of a part, but in none of a class.")
    return guess


def _folds_class(pictures: Pictures, base: str, steps: list[list[str]], folds: Counter[str]) -> Guess | None:
    """Folds of a cross-validation with a folder a class in each: one round of it, the last fold for the test."""
    ordered = sorted(folds, key=lambda name: int(re.findall(r"\d+", name)[-1]))
    given = dict.fromkeys(ordered, "train") | {ordered[-1]: "test"}
    guess = _split_class(pictures, base, steps, folds, given)
    if guess is not None:
        guess.say(
            "splits.given",
            f"The folders {listed(ordered)} look like the folds of a cross-validation. This is one round of it, with "
            f"{ordered[-1]} for the test; for another round make another fold test, and this one train.",
        )
    return guess


def _recur(steps: list[list[str]]) -> bool:
    """Whether folders of the same names lie in most of the folders around them."""
    within = defaultdict(set)
    for path in steps:
        if len(path) > 2:
            within[path[1]].add(path[0])
    around = len({path[0] for path in steps if len(path) > 1})
    return len(within) > 1 and all(len(outer) > around / 2 for outer in within.values())


def _guess(
    pictures: Pictures,
    base: str,
    levels: str,
    classes: Counter[str],
    parts: Counter[str],
    given: dict[str, str] | None = None,
) -> Guess:
    what = {"class": "a folder a class", "split/class": "a folder a part, in it a folder a class"}
    guess = Guess(what.get(levels, "a folder a class, in it a folder a part"), 0.7 if levels == "class" else 0.85, {})
    names = sorted(classes)
    guess.values["source"] = {"kind": "image_folder", "path": DataPath(base or "."), "levels": levels}
    guess.values["classes"] = names
    guess.stands_alone = levels != "class"
    look = pictures.look()
    guess.say("classes", "By folder: " + ", ".join(f"{name} {classes[name]:,}" for name in names) + ".")
    if parts:
        guess.say(
            "source.levels", "Parts by folder: " + ", ".join(f"{n} {k:,}" for n, k in sorted(parts.items())) + "."
        )
        keep_parts(guess, given or given_parts(parts))
    add_settings(guess, look, len(pictures))
    _say_alike(guess, names)
    _say_deeper(guess, pictures, base, levels)
    if len(names) < 2:
        guess.values["tasks"] = ["autoencode"]
    return guess


def _say_alike(guess: Guess, names: list[str]) -> None:
    """Name classes that are the same but for case, spaces and signs."""
    forms = defaultdict(list)
    for name in names:
        forms[re.sub(r"[\W_]+", "", name).lower()].append(name)
    for alike in forms.values():
        if len(alike) > 1:
            written = " and ".join(repr(name) for name in alike)
            guess.unsure.append(f"{written} are two classes here; if they are one, rename a folder.")
    numbered = [name for name in names if NUMBER.fullmatch(name)]
    if len(numbered) == len(names):
        guess.unsure.append("The folders are called by numbers: that they are classes is guessed; they may be people.")
    if len(names) > len(guess.values["source"]) * 10:
        guess.unsure.append(f"{len(names)} folders are many for classes: see whether they are.")


def _say_deeper(guess: Guess, pictures: Pictures, base: str, levels: str) -> None:
    depth = (base.count("/") + 1 if base else 0) + len(levels.split("/"))
    deeper = {name.rpartition("/")[0] for name in pictures.names if name.count("/") > depth}
    if len(deeper) > 1:
        guess.unsure.append(
            f"There are {len(deeper):,} folders inside those of the classes. If they stand for patients or exams, give "
            "a table with a row an image and a column for them (source.table, splits.group), or the split leaks."
        )
    else:
        add_patients(guess, pictures)


def _are_people(folders: Counter[str], samples: int) -> bool:
    """Whether folders are rather patients than classes: many, or called so."""
    called = sum(PERSON.fullmatch(name) is not None for name in folders)
    numbered = sum(NUMBER.fullmatch(name) is not None for name in folders)
    if called > len(folders) / 2 or (numbered > len(folders) / 2 and len(folders) > FEW_NUMBERED):
        return True
    return len(folders) > MOST_CLASSES or samples < 2 * len(folders)


def folders_of_people(pictures: Pictures) -> bool:
    """Whether the samples lie in a folder a patient."""
    base = pictures.folder
    inner = [name[len(base) :].lstrip("/").split("/") for name in pictures.names]
    first = Counter(path[0] for path in inner if len(path) > 1)
    return len(first) > 1 and _are_people(first, len(inner))
