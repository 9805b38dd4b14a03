"""Images with boxes: Pascal VOC, COCO, YOLO, or a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tumorkeras.data.annotations import read_annotations
from tumorkeras.data.annotations.coco import looks_like_coco
from tumorkeras.data.annotations.csv_columns import find_layout
from tumorkeras.data.image_files import Names
from tumorkeras.errors import DataError
from tumorkeras.layout.columns import Sheet, class_column, image_column
from tumorkeras.layout.groups import add_patients
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.of_image_tables import Found, add_table, find_table
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.settings import DETECTION_SIDE, add_settings
from tumorkeras.layout.splits import keep_parts
from tumorkeras.layout.survey import File, Survey, common_folder
from tumorkeras.spec import DataPath

MOST_FILES = 3_000  # annotation files that are all read; of more, this many are looked at
MOST_BYTES = 64 * 2**20
YOLO_LINE = re.compile(r"\d+(\s+[-+]?[0-9.eE]+){4,}\s*")
NOT_LABELS = {"classes.txt", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "license.txt"}
YOLO_NAMES = re.compile(r"(data|dataset)\.ya?ml|classes\.txt|obj\.names", re.IGNORECASE)
FORMS = {"voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO", "csv": "a table of boxes"}


def guess_boxes(survey: Survey, sheets: list[Sheet], pictures: Pictures) -> Iterator[Guess]:
    """A guess for each form of boxes that is there."""
    if not len(pictures) or pictures.volumes:
        return
    for form, place, certainty in _forms(survey):
        yield _guess(survey, sheets, pictures, form, place, certainty)
    for sheet in sheets:
        layout, _ = find_layout([str(name) for name in sheet.table.columns])
        if layout.box:
            yield _guess_csv(survey, sheet, sheets, pictures)


def _forms(survey: Survey) -> Iterator[tuple[str, str, float]]:
    """Form, place from the root, and how certain it is."""
    if (place := _voc_place(survey)) is not None:
        yield "voc", place, 0.95
    if (place := _coco_place(survey)) is not None:
        yield "coco", place, 0.96
    if (place := _yolo_place(survey)) is not None:
        yield "yolo", place, 0.94


def _voc_place(survey: Survey) -> str | None:
    files = survey.of("xml")
    heads = [_head(survey.root / file.path) for file in files[:5]]
    if not any("<annotation" in head for head in heads):
        return None
    folder = common_folder(files)
    parent, _, name = folder.rpartition("/")
    return parent if name == "Annotations" else folder


def _coco_place(survey: Survey) -> str | None:
    files = [file for file in survey.of("json") if looks_like_coco(survey.root / file.path)]
    return None if not files else files[0].path if len(files) == 1 else common_folder(files)


def _yolo_place(survey: Survey) -> str | None:
    files = [file for file in survey.of("text") if file.name.lower() not in NOT_LABELS and file.size]
    chosen = [files[k] for k in np.unique(np.linspace(0, len(files) - 1, 10).astype(int))] if files else []
    lines = [_head(survey.root / file.path).partition("\n")[0] for file in chosen]
    if sum(YOLO_LINE.fullmatch(line.strip()) is not None for line in lines) <= len(lines) / 2:
        return None
    named = [file.folder for file in survey.of("yaml", "text", "other") if YOLO_NAMES.fullmatch(file.name)]
    folder = named[0] if named else common_folder(files)
    return re.sub(r"/?\blabels$", "", folder)


def _head(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""


# ------------------------------------------------------------------------------------------- VOC, COCO, YOLO


def _guess(
    survey: Survey, sheets: list[Sheet], pictures: Pictures, form: str, annotations: str, certainty: float
) -> Guess:
    guess = Guess(f"images with a box around every object ({FORMS[form]})", certainty, {})
    folder = _image_folder(pictures, form, annotations)
    place = DataPath(annotations or ".")
    source = {"kind": "detection", "path": DataPath(folder or "."), "annotations": place, "format": form}
    boxes = None
    if _are_many(survey, form, annotations):
        guess.unsure.append("The annotations are many and were not all read: what they lack was not looked for.")
    else:
        boxes = _read(guess, survey, place, folder, form=form)
    _finish(guess, sheets, pictures, source, folder, boxes, _known_names(survey, form, annotations))
    return guess


def _image_folder(pictures: Pictures, form: str, annotations: str) -> str:
    """The folder that the names of images start from."""
    beside = f"{annotations}/JPEGImages".lstrip("/")
    if form == "voc" and any(name.startswith(f"{beside}/") for name in pictures.names):
        return beside
    return pictures.folder


def _are_many(survey: Survey, form: str, annotations: str) -> bool:
    """Whether reading the annotations would take long."""
    kind = {"voc": "xml", "coco": "json", "yolo": "text"}[form]
    files = [file for file in survey.of(kind) if file.path.startswith(annotations)]
    return len(files) > MOST_FILES or sum(file.size for file in files) > MOST_BYTES


def _read(
    guess: Guess, survey: Survey, place: str, folder: str, *, form: str, columns: dict[str, str] | None = None
) -> pd.DataFrame | None:
    try:
        return read_annotations(survey.root / place, format=form, images=survey.root / folder, columns=columns)
    except DataError as error:
        rest = f" (and {len(error.faults) - 1} more faults)" if len(error.faults) > 1 else ""
        guess.unsure.append(f"The annotations cannot be read as they are: {error.faults[0]}{rest}.")
        return None


def _known_names(survey: Survey, form: str, annotations: str) -> list[str]:
    """Classes in the order of their numbers, where the form numbers them."""
    if form == "coco":
        files = [file for file in survey.of("json") if file.path.startswith(annotations)]
        return next((names for file in files if (names := coco_categories(survey.root / file.path))), [])
    if form == "yolo":
        inside = f"{annotations}/" if annotations else ""
        named = [f for f in survey.files if YOLO_NAMES.fullmatch(f.name) and f.path.startswith(inside)]
        return next((names for file in named if (names := _names_in(survey.root / file.path))), [])
    return []


def coco_categories(path: Path) -> list[str]:
    """Names of the categories of a COCO file by their ids, without parsing the rest of it.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "boxes.json"
    >>> _ = path.write_text('{"images": [], "categories": [{"id": 2, "name": "cyst"}, {"id": 1, "name": "mass"}]}')
    >>> coco_categories(path)
    ['mass', 'cyst']
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
        start = text.rindex('"categories"') + len('"categories"')
        found, _ = json.JSONDecoder().raw_decode(text, re.compile(r"\s*:\s*").match(text, start).end())  # type: ignore
        return [str(item["name"]) for item in sorted(found, key=lambda item: item["id"])]
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError, MemoryError):
        return []


def _names_in(path: Path) -> list[str]:
    """Classes of a YOLO ``data.yaml`` or ``classes.txt``."""
    text = _head(path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return []
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names[k] for k in sorted(names, key=str)]
    return [str(name) for name in names] if isinstance(names, list) else []


# ---------------------------------------------------------------------------------------------- table of boxes


def _guess_csv(survey: Survey, sheet: Sheet, sheets: list[Sheet], pictures: Pictures) -> Guess:
    guess = Guess(f"images with a box around every object ({sheet.path})", 0.95, {})
    layout, _ = find_layout([str(name) for name in sheet.table.columns])
    columns: dict[str, str] = {}
    image = image_column(sheet, pictures.finder)
    header = [str(name) for name in sheet.table.columns]
    if image is not None and (layout.image is None or header[layout.image] != image):
        columns["image"] = image
    if image is None and layout.image is not None:
        image = header[layout.image]
        guess.certainty = 0.7
        guess.unsure.append(f"The names in the column {image!r} of {sheet.path} are of images that are not there.")
    corners = [header[place] for place in layout.box]
    if layout.class_name is None:
        label, _ = class_column(sheet.table, [image, *corners])
        if label is not None:
            columns["class"] = label
            guess.unsure.append(f"That {label!r} is the class of a box is guessed.")
    values = sheet.table[corners].apply(pd.to_numeric, errors="coerce").to_numpy("float64")
    if np.isfinite(values).any() and np.nanmax(np.abs(values)) <= 1:
        guess.unsure.append(f"The boxes of {sheet.path} are shares of the image (0 to 1); they must be pixels.")
    folder = pictures.folder
    source: dict[str, Any] = {
        "kind": "detection",
        "path": DataPath(folder or "."),
        "annotations": DataPath(sheet.path),
        "format": "csv",
        **({"columns": columns} if columns else {}),
    }
    boxes = _read(guess, survey, sheet.path, folder, form="csv", columns=columns or None)
    others = [other for other in sheets if other is not sheet]
    _finish(guess, others, pictures, source, folder, boxes, [])
    return guess


# ------------------------------------------------------------------------------------------------- what they share


def _finish(
    guess: Guess,
    sheets: list[Sheet],
    pictures: Pictures,
    source: dict[str, Any],
    folder: str,
    boxes: pd.DataFrame | None,
    names: list[str],
) -> None:
    """Classes, parts, images without objects and settings."""
    found = find_table(sheets, pictures)
    guess.values = {"tasks": ["autoencode"], "source": source}
    guess.say("tasks", "Whole images have no class here; source.kind regions makes a sample with a class of each box.")
    if boxes is not None:
        _add_classes(guess, boxes, names)
    elif names and len(set(names)) == len(names):
        guess.values["classes"] = names
        guess.say("classes", "In the order of their numbers.")
    inside = [name for name in pictures.names if not folder or name.startswith(f"{folder}/")]
    if found is not None:
        source["table"] = found.source()
        add_table(guess, found, pictures, folder)
    else:
        if boxes is not None:
            keep_parts(guess, {part: part for part in ("train", "val", "test") if part in set(boxes["split"])})
        add_patients(guess, pictures)
    if boxes is not None:
        _say_without_boxes(guess, boxes, inside, folder, found)
    _say_masks(guess, pictures)
    add_settings(guess, pictures.look(inside), len(inside), most=DETECTION_SIDE)


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
    if all(str(name).isdigit() for name in classes):
        guess.unsure.append(f"What the classes {listed(classes)} are called: the annotations have numbers only.")
    if unnamed := int(boxes.dropna(subset="xmin")["class"].isna().sum()):
        guess.unsure.append(f"{many(unnamed, 'box')} without a class.")


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
