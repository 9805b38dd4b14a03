"""COCO: JSON files of images, annotations and categories."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tumorkeras.data.annotations.content import count, number
from tumorkeras.data.annotations.names import Fault, ImageNames, clean_text, part_above, part_in
from tumorkeras.data.annotations.rle import box_of_rle
from tumorkeras.data.annotations.table import Faults, Row, make_row, make_table
from tumorkeras.data.text import read_bytes
from tumorkeras.errors import DataError

MOST_MEGABYTES = 2048
LISTS = ("images", "annotations", "categories")
FOLDERS = (".", "annotations", "train", "val", "valid", "test")

Item = dict[str, Any]


def read_coco(path: Path, images: Path | None = None) -> pd.DataFrame:
    """The table of a COCO file, or of the COCO files of a folder, each a part by the name of its file or folder.

    An image without annotations is an image without objects. Where an annotation has no ``bbox`` its box is that of
    its mask (polygons or RLE); one that has neither is a class of the whole image. Rows come image by image.

    Parameters
    ----------
    path : path
        A JSON file, or a folder with files in it, in ``annotations``, or in ``train``, ``valid`` and ``test``. Where
        files are called ``instances...`` only these are read; ``trainval`` is left out beside ``train`` and ``val``.
    images : path, optional
        Folder of the images; by default that of the file, or ``path``.

    Returns
    -------
    pandas.DataFrame
        With ``width``, ``height`` of the image and ``iscrowd``, each missing where the file has none.

    Raises
    ------
    DataError
        If a file is no COCO file, ids stand twice or point to nothing, or a box cannot be read; all are named.
    """
    files: dict[Path, str | None]
    if path.is_file():
        files = {path: None}
    elif path.is_dir():
        files = _parts(path)
    else:
        raise DataError(str(path), ["there is no such file or folder"])
    names = ImageNames(images or (path.parent if path.is_file() else path))
    faults, rows = Faults(), []
    for file, part in files.items():
        with faults.at(file.name):
            rows += _FileReader(file, names, part, faults).rows()
    faults.raise_any(str(path))
    return make_table(rows, str(path))


def coco_files(folder: Path) -> list[Path]:
    """The files of a folder that begin or end like a COCO file."""
    found = [path for name in FOLDERS for path in sorted((folder / name).glob("[!.]*.json")) if looks_like_coco(path)]
    instances = [path for path in found if path.name.startswith("instances")]
    return instances or found


def looks_like_coco(path: Path) -> bool:
    """Whether the beginning and the end of a file speak of images and annotations; the rest is not read."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        text = file.read(65536)
        file.seek(max(0, path.stat().st_size - 65536))
        text += file.read(65536)
    return text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and sum(f'"{n}"'.encode() in text for n in LISTS) > 1


def _parts(folder: Path) -> dict[Path, str | None]:
    files = coco_files(folder)
    if not files:
        raise DataError(str(folder), ["holds no COCO file (.json with images, annotations and categories)"])
    parts = {file: part_in(file.stem) or part_above(file.relative_to(folder).as_posix()) for file in files}
    if {"train", "val"} <= set(parts.values()):
        parts = {file: part for file, part in parts.items() if "trainval" not in file.stem.lower()}
    return parts


class _FileReader:
    """One COCO file on its way to rows; each list is indexed by id first, so that ids which dangle are known."""

    def __init__(self, file: Path, names: ImageNames, part: str | None, faults: Faults) -> None:
        self.file, self.names, self.part, self.faults = file, names, part, faults
        content = _load(file)
        self.images = self._by_id(content["images"], "image")
        self.categories = self._by_id(content["categories"], "category")
        self.annotations = self._by_id(content["annotations"], "annotation", needed=False)

    def rows(self) -> list[Row]:
        of_image: dict[Hashable, list[Row]] = defaultdict(list)
        images = {key: self._image(key, item) for key, item in self.images.items()}
        classes = {key: self._class(key, item) for key, item in self.categories.items()}
        for key, item in self.annotations.items():
            where = f"annotation {key}"
            image_id, category_id = item.get("image_id"), item.get("category_id")
            known = True
            for field, value, ids in (("image_id", image_id, images), ("category_id", category_id, classes)):
                if not _is_id(value) or value not in ids:
                    known = False
                    self.faults.append(f"{self.file.name}, {where}: {field} {_short(value)} is not in the file")
            if known:
                with self.faults.at(f"{self.file.name}, {where}"):
                    of_image[image_id].append(self._row(where, item, images[image_id], classes[category_id]))
        return [row for key, item in images.items() for row in of_image[key] or [self._empty(key, item)]]

    def _row(self, where: str, item: Item, image: Item, class_name: str) -> Row:
        crowd = count(int(item["iscrowd"])) if isinstance(item.get("iscrowd"), (bool, int)) else None
        source = f"{self.file.name}, {where}"
        return make_row(class_name=class_name, source=source, box=_box(item), split=self.part, **image, iscrowd=crowd)

    def _empty(self, key: Hashable, image: Item) -> Row:
        return make_row(source=f"{self.file.name}, image {key}", split=self.part, **image, iscrowd=None)

    def _image(self, key: Hashable, item: Item) -> Item:
        """Name and size of an image, as fields of a row."""
        found: Item = {"image": ""}
        with self.faults.at(f"{self.file.name}, image {key}"):
            found["image"] = self.names.of(item.get("file_name"), self.file.parent)
        return found | {side: count(item.get(side)) for side in ("width", "height")}

    def _class(self, key: Hashable, item: Item) -> str:
        with self.faults.at(f"{self.file.name}, category {key}"):
            return clean_text(item.get("name"), "name")
        return ""

    def _by_id(self, items: list[Any], what: str, *, needed: bool = True) -> dict[Hashable, Item]:
        """Items by id; where ids are not needed an item without one is named by its place."""
        found: dict[Hashable, Item] = {}
        for place, item in enumerate(items, start=1):
            where = f"{self.file.name}, {what} {place} of {len(items)}"
            if not isinstance(item, dict):
                self.faults.append(f"{where}: is {_short(item)}, expected an object with fields")
                continue
            key = item.get("id") if needed or "id" in item else f"without id, {place} of {len(items)}"
            if not _is_id(key):
                self.faults.append(f"{where}: id is {_short(key)}, expected a number or text")
            elif key in found:
                self.faults.append(f"{where}: id {_short(key)} stands twice")
            else:
                found[key] = item
        return found


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, (int, float, type(None))) and abs(value or 0) < 10**18 else repr(value)[:60]


def _load(file: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(read_bytes(file, MOST_MEGABYTES).decode("utf-8-sig"))
    except DataError as error:
        raise Fault("; ".join(error.faults)) from None
    except (ValueError, RecursionError) as error:
        raise Fault(f"is no JSON: {str(error)[:200]}") from None
    if not isinstance(content, dict):
        raise Fault(f"is no COCO file: expected an object with {', '.join(LISTS)}")
    absent = [name for name in LISTS if not isinstance(content.get(name), list)]
    if absent:
        raise Fault(f"is no COCO file: has no list {' and no list '.join(absent)}")
    return content


def _box(item: Item) -> list[float] | None:
    """Corners of an annotation: of its bbox, else of its mask; None where it has neither."""
    sides = item.get("bbox")
    if sides:
        if not isinstance(sides, list) or len(sides) != 4:
            raise Fault(f"bbox is {_short(sides)}, expected [x, y, width, height]")
        x, y, width, height = (number(value, "bbox") for value in sides)
        return [x, y, x + width, y + height]
    mask = item.get("segmentation")
    if not mask:
        return None
    if isinstance(mask, dict):
        return box_of_rle(mask)
    return _box_of_polygons(mask)


def _box_of_polygons(polygons: Any) -> list[float]:
    """Extent of the corners of polygons, each [x1, y1, x2, y2, ...]."""
    if not isinstance(polygons, list):
        raise Fault(f"segmentation is {_short(polygons)}, expected polygons or RLE")
    listed: Sequence[Any] = polygons if isinstance(polygons[0], list) else [polygons]
    if not all(isinstance(polygon, list) and len(polygon) % 2 == 0 for polygon in listed) or not any(listed):
        raise Fault("segmentation has a polygon that is no list of x, y, x, y, ...")
    across = [number(value, "segmentation") for polygon in listed for value in polygon[::2]]
    down = [number(value, "segmentation") for polygon in listed for value in polygon[1::2]]
    return [min(across), min(down), max(across), max(down)]
