"""Images with boxes: Pascal VOC, COCO or YOLO; tables are in of_box_tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tumorkeras.data.annotations.coco import looks_like_coco
from tumorkeras.data.annotations.csv_columns import find_layout
from tumorkeras.data.annotations.names import Fault
from tumorkeras.data.annotations.yolo import NAME_FILES, YAML_FILES, looks_like_yolo, names_in
from tumorkeras.errors import DataError
from tumorkeras.layout.box_settings import complete, read_boxes
from tumorkeras.layout.columns import Sheet
from tumorkeras.layout.guess import Guess
from tumorkeras.layout.of_box_tables import guess_box_table
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.survey import Survey, common_folder
from tumorkeras.spec import DataPath

MOST_FILES = 3_000  # annotation files that are all read; of more, this many are looked at
MOST_BYTES = 64 * 2**20
NOT_LABELS = {"classes.txt", "readme.txt", "train.txt", "val.txt", "valid.txt", "test.txt", "license.txt"}
YOLO_NAMES = {*NAME_FILES, *YAML_FILES}
FORMS = {"voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO"}


def guess_boxes(survey: Survey, sheets: list[Sheet], pictures: Pictures) -> Iterator[Guess]:
    """A guess for each form of boxes that is there."""
    if not len(pictures) or pictures.volumes:
        return
    for form, place, certainty in _forms(survey):
        yield _guess(survey, sheets, pictures, form, place, certainty)
    for sheet in sheets:
        layout, _ = find_layout([str(name) for name in sheet.table.columns])
        if layout.box:
            yield guess_box_table(survey, sheet, sheets, pictures)


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
    if sum(looks_like_yolo(_head(survey.root / file.path).encode()) for file in chosen) <= len(chosen) / 2:
        return None
    named = [file.folder for file in survey.of("yaml", "text", "other") if file.name.lower() in YOLO_NAMES]
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
        boxes = read_boxes(guess, survey, place, folder, form=form)
    complete(guess, sheets, pictures, source, folder, boxes, _known_names(survey, form, annotations))
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


def _known_names(survey: Survey, form: str, annotations: str) -> list[str]:
    """Classes in the order of their numbers, where the form numbers them."""
    if form == "coco":
        files = [file for file in survey.of("json") if file.path.startswith(annotations)]
        return next((names for file in files if (names := coco_categories(survey.root / file.path))), [])
    if form == "yolo":
        inside = f"{annotations}/" if annotations else ""
        named = [f for f in survey.files if f.name.lower() in YOLO_NAMES and f.path.startswith(inside)]
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
    """Classes of a YOLO ``data.yaml`` or ``classes.txt`` by their numbers; what is wrong with it, reading tells."""
    try:
        return list(names_in(path).values())
    except (DataError, Fault):
        return []
