"""The table of annotations back to COCO, Pascal VOC and CSV, and what each form cannot hold."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.annotations.table import COLUMNS, SPLITS, Row, has_box, rows_of
from tumorkeras.data.names import without_ending
from tumorkeras.errors import DataError, shortened
from tumorkeras.files import write_whole

HELD = {"voc": ("width", "height", "difficult", "truncated"), "coco": ("width", "height", "iscrowd")}

COCO_FILES = {"": "instances.json"} | {part: f"instances_{part}.json" for part in SPLITS}


def write_csv(table: pd.DataFrame, path: Path) -> list[str]:
    """Write a CSV with every column but ``source``; missing values are empty cells."""
    columns = [column for column in table.columns if column != "source"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows_of(table[columns]):
        writer.writerow(["" if pd.isna(v) else _digits(v) if name in CORNERS else str(v) for name, v in row.items()])
    write_whole(path, text.getvalue())
    unread = int((table["class"].str.lower() == "nan").sum())
    return [f"CSV holds no class of the name nan: {unread} rows lose theirs"] if unread else []


def write_coco(table: pd.DataFrame, path: Path) -> list[str]:
    """Write a COCO file, or into a folder a file ``instances_train.json`` ... for each part."""
    notes = _other_columns(table, "coco")
    if path.suffix.lower() == ".json":
        notes += ["one COCO file holds no parts; give a folder for a file a part"] if table["split"].any() else []
        files = {path: table}
    else:
        parts = table["split"].fillna("")
        files = {path / name: table[parts == part] for part, name in COCO_FILES.items() if (parts == part).any()}
        _refuse_others(path, path.glob("*.json"), set(files))
        path.mkdir(parents=True, exist_ok=True)
    ids = {name: k for k, name in enumerate(sorted(table["class"].dropna().unique()), start=1)}
    for file, rows in files.items():
        content, changed = _coco_content(rows, ids)
        notes += [f"{file.name}: {changed} boxes are changed by rounding"] if changed else []
        write_whole(file, json.dumps(content, ensure_ascii=False))
    return notes


def _coco_content(table: pd.DataFrame, ids: dict[str, int]) -> tuple[dict[str, Any], int]:
    """The lists of a COCO file, and how many boxes are not what they were when they are read again."""
    images: list[Row] = []
    annotations: list[Row] = []
    changed = 0
    for image_id, (name, rows) in enumerate(_by_image(table).items(), start=1):
        images.append({"id": image_id, "file_name": name, **_known(rows[0], ("width", "height"))})
        for row in rows:
            if row["class"] is None:
                continue
            item: Row = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": ids[row["class"]],
                "iscrowd": 0,
            }
            item |= _known(row, ("iscrowd",))
            if _boxed(row):
                left, top, right, bottom = (_decimal(row[side]) for side in CORNERS)
                width, height = right - left, bottom - top
                item |= {"bbox": [_plain(side) for side in (left, top, width, height)], "area": _plain(width * height)}
                again = [float(left) + float(width), float(top) + float(height)]
                changed += [float(np.float32(side)) for side in again] != [row["xmax"], row["ymax"]]
            annotations.append(item)
    categories = [{"id": k, "name": name} for name, k in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}, changed


def write_voc(table: pd.DataFrame, path: Path, *, inclusive: bool = False) -> list[str]:
    """Write one XML file, or ``Annotations`` and ``ImageSets/Main`` into a folder."""
    notes = _other_columns(table, "voc")
    unheld = table["class"].notna() & ~has_box(table)
    if unheld.any():
        notes.append(f"Pascal VOC holds no class of a whole image: {int(unheld.sum())} rows are left out")
    groups = list(_by_image(table[~unheld]).items())
    if not groups:
        fault = "Pascal VOC holds boxes and images without objects, the table has neither; write it as csv or coco"
        raise DataError(str(path), [fault])
    if path.suffix.lower() == ".xml":
        if len(groups) != 1:
            raise DataError(str(path), [f"holds one image, the table has {len(groups)}; give a folder"])
        notes += ["one Pascal VOC file holds no part; give a folder"] if table["split"].any() else []
        files = {path: groups[0]}
    else:
        files = _voc_files(path, groups)
        _write_image_sets(path, table[~unheld])
    shift = int(inclusive)
    for file, (name, rows) in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, _voc_text(name, rows, shift))
    changed = sum(not _is_kept(value, shift) for value in table[CORNERS[:2]].to_numpy().ravel() if not np.isnan(value))
    return notes + ([f"{changed} sides of boxes are changed by rounding"] if changed else [])


def _is_kept(value: float, shift: int) -> bool:
    """Whether a side is the same when 1 was added in writing and is taken away in reading."""
    return bool(np.float32(float(_decimal(value) + shift) - shift) == value)


def _voc_files(path: Path, groups: list[tuple[str, list[Row]]]) -> dict[Path, tuple[str, list[Row]]]:
    """The file of each image; Pascal VOC calls it as the image without ending."""
    files: dict[Path, tuple[str, list[Row]]] = {}
    faults = []
    for name, rows in groups:
        file = path / "Annotations" / f"{without_ending(name)}.xml"
        if file in files:
            faults.append(f"the images {files[file][0]!r} and {name!r} would share the file {file.name}; rename one")
        files[file] = (name, rows)
    if faults:
        raise DataError(str(path), shortened(faults))
    _refuse_others(path, (path / "Annotations").rglob("*.xml"), set(files))
    return files


def _write_image_sets(path: Path, table: pd.DataFrame) -> None:
    if not table["split"].any():
        return
    folder = path / "ImageSets" / "Main"
    folder.mkdir(parents=True, exist_ok=True)
    for part in SPLITS:
        names = table.loc[table["split"] == part, "image"].unique()
        write_whole(folder / f"{part}.txt", "".join(f"{without_ending(name)}\n" for name in names))


def _voc_text(name: str, rows: list[Row], shift: int) -> str:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = name
    if size := _known(rows[0], ("width", "height")):
        _append(ElementTree.SubElement(root, "size"), size)
    for row in filter(_boxed, rows):
        item = ElementTree.SubElement(root, "object")
        _append(item, {"name": row["class"], **_known(row, ("truncated", "difficult"))})
        corners = [_decimal(row[side]) + shift * (k < 2) for k, side in enumerate(CORNERS)]
        _append(
            ElementTree.SubElement(item, "bndbox"), {side: _plain(v) for side, v in zip(CORNERS, corners, strict=True)}
        )
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _by_image(table: pd.DataFrame) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows_of(table):
        found.setdefault(row["image"], []).append(row)
    return found


def _boxed(row: Row) -> bool:
    return not math.isnan(row["xmin"])


def _append(parent: ElementTree.Element, values: dict[str, Any]) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)


def _refuse_others(path: Path, there: Iterable[Path], files: set[Path]) -> None:
    """Refuse a folder with annotations that would be read together with those that are written."""
    others = sorted(file.name for file in there if file not in files)
    if others:
        raise DataError(str(path), [f"holds other annotations, such as {others[0]}; give an empty folder"])


def _other_columns(table: pd.DataFrame, form: str) -> list[str]:
    lost = [str(name) for name in table.columns if name not in (*COLUMNS, *HELD[form]) and table[name].notna().any()]
    return [f"{form} holds no column {', '.join(lost)}"] if lost else []


def _known(row: Row, names: Iterable[str]) -> dict[str, int]:
    return {name: int(row[name]) for name in names if pd.notna(row.get(name))}


def _digits(value: float) -> str:
    """The fewest digits that mean a number of 32 bits, which are those that were read."""
    return np.format_float_positional(np.float32(value), trim="-")


def _decimal(value: float) -> Decimal:
    return Decimal(_digits(value))


def _plain(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
