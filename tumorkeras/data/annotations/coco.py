"""COCO: JSON files of images, annotations and categories."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
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


def read_coco(path: Path, faults: Faults, images: Path | None = None) -> pd.DataFrame:
    """The table of a COCO file, or of the COCO files of a folder, each a part by the name of its file or folder.

    An image without annotations is an image without objects. Where an annotation has no ``bbox`` its box is that of
    its mask (polygons or RLE); one that has neither is a class of the whole image. Rows come image by image.

    Parameters
    ----------
    path : path
        A JSON file, or a folder with files in it, in ``annotations``, or in ``train``, ``valid`` and ``test``. Where
        files are called ``instances...`` only these are read; ``trainval`` is left out beside ``train`` and ``val``.
    faults : Faults
        To which files that are no COCO, ids that stand twice or point to nothing, boxes that cannot be read, and RLE
        of another size than their image are added; what they concern is left out.
    images : path, optional
        Folder of the images; by default that of the file, or ``path``.

    Returns
    -------
    pandas.DataFrame
        With ``width``, ``height`` of the image and ``iscrowd``, each missing where the file has none.

    Raises
    ------
    DataError
        If there is no such file, or no COCO file in the folder.
    """
    files: dict[Path, str | None]
    if path.is_file():
        files = {path: None}
    elif path.is_dir():
        files = _parts(path)
    else:
        raise DataError(str(path), ["there is no such file or folder"])
    root = path.parent if path.is_file() else path
    names = ImageNames(images or root)
    rows: list[Row] = []
    for file, part in files.items():
        where = file.relative_to(root).as_posix()
        with faults.at(where):
            rows += _FileReader(file, where, names, part, faults).rows()
    return make_table(rows, faults)


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

    def __init__(self, file: Path, where: str, names: ImageNames, part: str | None, faults: Faults) -> None:
        self.file, self.where, self.names, self.part, self.faults = file, where, names, part, faults
        content = _load(file)
        self.images = self._by_id(content["images"], "image")
        self.categories = self._by_id(content["categories"], "category")
        self.annotations = self._by_name(content["annotations"])

    def rows(self) -> list[Row]:
        images = {key: item and self._image(key, item) for key, item in self.images.items()}
        classes = {key: item and self._class(key, item) for key, item in self.categories.items()}
        of_image: dict[Hashable, list[Row]] = {}
        for key, item in self.annotations.items():
            where = f"{self.where}, annotation {key}"
            image = self._found(item, "image_id", images, where)
            class_name = self._found(item, "category_id", classes, where)
            if image:  # with an annotation that cannot be read it is not without objects
                rows = of_image.setdefault(item["image_id"], [])
                if class_name:
                    with self.faults.at(where):
                        rows.append(self._row(where, item, image, class_name))
        known = {key: image for key, image in images.items() if image}
        return [row for key, image in known.items() for row in of_image.get(key, [self._empty(key, image)])]

    def _found(self, item: Item, field: str, items: Mapping[Hashable, Any], where: str) -> Any:
        """What an id of an annotation points to; None where it cannot be read, which is a fault of its own."""
        value = item.get(field)
        if _is_id(value) and value in items:
            return items[value]
        self.faults.append(f"{where}: {field} {_short(value)} is not in the file")
        return None

    def _row(self, where: str, item: Item, image: Item, class_name: str) -> Row:
        crowd = count(int(item["iscrowd"])) if isinstance(item.get("iscrowd"), (bool, int)) else None
        return make_row(
            class_name=class_name, source=where, box=_box(item, image), split=self.part, **image, iscrowd=crowd
        )

    def _empty(self, key: Hashable, image: Item) -> Row:
        return make_row(source=f"{self.where}, image {key}", split=self.part, **image, iscrowd=None)

    def _image(self, key: Hashable, item: Item) -> Item | None:
        """Name and size of an image, as fields of a row."""
        with self.faults.at(f"{self.where}, image {key}"):
            name = self.names.of(item.get("file_name"), self.file.parent)
            return {"image": name} | {side: count(item.get(side)) for side in ("width", "height")}
        return None

    def _class(self, key: Hashable, item: Item) -> str | None:
        with self.faults.at(f"{self.where}, category {key}"):
            return clean_text(item.get("name"), "name")
        return None

    def _by_id(self, items: list[Any], what: str) -> dict[Hashable, Item | None]:
        """Items by id; None for an id that stands for different ones."""
        found: dict[Hashable, Item | None] = {}
        for where, item in self._objects(items, what):
            key = item.get("id")
            if not _is_id(key):
                self.faults.append(f"{where}: id is {_short(key)}, expected a number or text")
            elif key in found:
                self.faults.append(f"{where}: id {_short(key)} stands twice")
                found[key] = item if item == found[key] else None
            else:
                found[key] = item
        return found

    def _by_name(self, items: list[Any]) -> dict[str, Item]:
        """Annotations by what they are called; nothing points to their ids, which may be absent or stand twice."""
        found: dict[str, Item] = {}
        for where, item in self._objects(items, "annotation"):
            place = where.rpartition("annotation ")[2]
            key = item.get("id")
            if "id" in item and not _is_id(key):
                self.faults.append(f"{where}: id is {_short(key)}, expected a number or text")
                continue
            name = str(key) if "id" in item else f"without id, {place}"
            if name in found:
                self.faults.append(f"{where}: id {_short(key)} stands twice")
                name = f"{name} again, {place}"
            found[name] = item
        return found

    def _objects(self, items: list[Any], what: str) -> Iterator[tuple[str, Item]]:
        for place, item in enumerate(items, start=1):
            where = f"{self.where}, {what} {place} of {len(items)}"
            if isinstance(item, dict):
                yield where, item
            else:
                self.faults.append(f"{where}: is {_short(item)}, expected an object with fields")


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, (int, float, type(None))) and abs(value or 0) < 10**18 else repr(value)[:60]


def _load(file: Path) -> dict[str, list[Any]]:
    text = read_bytes(file, MOST_MEGABYTES)
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Fault(f"is no JSON: {str(error)[:200]}") from None
    if not isinstance(content, dict):
        raise Fault(f"is no COCO file: expected an object with {', '.join(LISTS)}")
    absent = [name for name in LISTS if not isinstance(content.get(name), list)]
    if absent:
        raise Fault(f"is no COCO file: has no list {' and no list '.join(absent)}")
    return content


def _box(item: Item, image: Item) -> list[float] | None:
    """Corners of an annotation: of its bbox, else of its mask; None where it has neither."""
    mask = item.get("segmentation")
    if isinstance(mask, dict):
        _check_size(mask.get("size"), [image["height"], image["width"]])
    sides = item.get("bbox")
    if sides:
        if not isinstance(sides, list) or len(sides) != 4:
            raise Fault(f"bbox is {_short(sides)}, expected [x, y, width, height]")
        x, y, width, height = (number(value, "bbox") for value in sides)
        return [x, y, x + width, y + height]
    if not mask:
        return None
    if isinstance(mask, dict):
        return box_of_rle(mask)
    return _box_of_polygons(mask)


def _check_size(size: Any, expected: list[int | None]) -> None:
    """Refuse a mask that is not of its image, whose bbox may then be of another size, too."""
    if isinstance(size, list) and all(expected) and [count(side) for side in size] != expected:
        raise Fault(
            f"segmentation: size is {str(size)[:60]}, height and width of the image are {expected}; make both the same"
        )


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
