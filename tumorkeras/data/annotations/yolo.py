"""YOLO: a text file an image, a line an object, in shares of the image's width and height."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tumorkeras.boxes import convert
from tumorkeras.data.annotations.content import number
from tumorkeras.data.annotations.names import (
    Fault,
    ImageNames,
    ImagesByStem,
    clean_text,
    part_above,
    visible_files,
    without_ending,
)
from tumorkeras.data.annotations.sizes import image_sizes
from tumorkeras.data.annotations.table import Faults, Row, make_row, make_table
from tumorkeras.data.text import read_text
from tumorkeras.errors import DataError

logger = logging.getLogger(__name__)

MOST_MEGABYTES = 64
NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "classes.names")
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NOT_LABELS = {*NAME_FILES, "readme.txt", "license.txt", "requirements.txt", "notes.txt"}
LISTS = {"train.txt": "train", "val.txt": "val", "valid.txt": "val", "test.txt": "test"}


def read_yolo(
    path: Path, images: Path | None = None, classes: Sequence[str] | Mapping[Any, str] | None = None
) -> pd.DataFrame:
    """The table of a YOLO data set: its root, its ``data.yaml``, its folder of labels, or one text file.

    A line is ``class x_center y_center width height``, with a sixth value for a confidence, or ``class`` and the
    corners of a polygon, whose extent is then the box. An empty file is an image without objects; an image without a
    file is not listed.

    Parameters
    ----------
    path : path
        Labels are looked for in all folders below; images beside them, or where ``images`` stands for ``labels``.
    images : path, optional
        Folder of the images, whose sizes are needed; by default ``images`` in the root where there are labels in
        ``labels``, else the root.
    classes : sequence or mapping, optional
        Names of the classes by number; by default of ``data.yaml``, ``classes.txt`` or ``obj.names``. Where there are
        none the numbers are the names.

    Returns
    -------
    pandas.DataFrame
        With ``width``, ``height`` of the image, and ``confidence`` where a file has it.

    Raises
    ------
    DataError
        If lines cannot be read, numbers of classes have no name, or images are missing.
    """
    if not path.exists():
        raise DataError(str(path), ["there is no such file or folder"])
    root, files = _places(path)
    faults = Faults()
    labels = files if files is not None else _label_files(root, faults)
    if not labels and not faults:
        raise DataError(str(path), ["holds no text file with labels"])
    folder = images or _image_folder(root)
    names = _numbered(_class_names(root, faults) if classes is None else classes)
    found = _images_of(labels, root, folder, faults)
    sizes = image_sizes(folder, sorted(set(found.values())))
    faults += [f"{name}: its size cannot be read" for name in sorted(set(found.values()) - set(sizes))]
    parts = _listed_parts(root, folder)
    rows: list[Row] = []
    for file, image in found.items():
        if image in sizes:
            part = parts.get(without_ending(image)) or part_above(file.relative_to(root).as_posix())
            rows += _read_file(file, file.relative_to(root).as_posix(), image, sizes[image], names, part, faults)
    faults.raise_any(str(path))
    if names is None:
        logger.warning("%s: no names of classes found; the numbers are the names, or give classes=[...]", path)
    return make_table(rows, str(path))


def _places(path: Path) -> tuple[Path, list[Path] | None]:
    """The root, and the label file where one file is meant."""
    if path.is_dir():
        return (path.parent if path.name == "labels" else path), None
    if path.suffix.lower() in (".yaml", ".yml"):
        return path.parent, None
    return path.parent, [path]


def _label_files(root: Path, faults: Faults) -> list[Path]:
    below = root / "labels"
    files = visible_files(below if below.is_dir() else root, [".txt"], faults)
    return [file for file in files if file.name.lower() not in NOT_LABELS and file.name.lower() not in LISTS]


def _image_folder(root: Path) -> Path:
    return root / "images" if (root / "labels").is_dir() and (root / "images").is_dir() else root


def _images_of(labels: list[Path], root: Path, folder: Path, faults: Faults) -> dict[Path, str]:
    """The image of each label file, found by its place below ``images`` or ``labels``, or by its name."""
    images = ImagesByStem(folder)
    found: dict[Path, str] = {}
    for file in labels:
        place = file.relative_to(root).with_suffix("").as_posix()
        steps = place.split("/")
        as_images = "/".join("images" if step == "labels" else step for step in steps)
        below = "/".join(step for step in steps if step != "labels")
        image = images.find(as_images) or images.find(below) or images.find(place)
        if image is None:
            faults.append(f"{place}.txt: no image of that name in {folder.name}; its size is needed")
        else:
            found[file] = image
    return found


def _class_names(root: Path, faults: Faults) -> list[str] | None:
    """Names by number, from the file that a tool left for them."""
    for folder in (root, root / "labels", root / "data", root.parent):
        for name in YAML_FILES:
            if (folder / name).is_file() and (listed := _names_in_yaml(folder / name, faults)) is not None:
                return listed
        for name in NAME_FILES:
            if (folder / name).is_file():
                lines = read_text(folder / name, MOST_MEGABYTES).replace("\r", "\n").split("\n")
                return [line.strip() for line in lines if line.strip()]
    return None


def _numbered(names: Sequence[str] | Mapping[Any, str] | None) -> Mapping[Any, str] | None:
    return names if names is None or isinstance(names, Mapping) else dict(enumerate(names))


def _names_in_yaml(file: Path, faults: Faults) -> list[str] | None:
    try:
        content = yaml.safe_load(read_text(file, 1))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        faults.append(f"{file.name}: is no YAML: {str(error)[:200]}")
        return None
    names = content.get("names") if isinstance(content, dict) else None
    with faults.at(file.name):
        if isinstance(names, dict):
            if sorted(names, key=str) != sorted(range(len(names)), key=str):
                raise Fault(f"names are numbered {list(names)[:10]}, expected 0 to {len(names) - 1}")
            names = [names[k] for k in range(len(names))]
        return [clean_text(name, "names") for name in names] if isinstance(names, list) else None
    return None


def _listed_parts(root: Path, folder: Path) -> dict[str, str]:
    """Parts by the lists ``train.txt`` and so on, by image name without ending."""
    parts: dict[str, str] = {}
    names = ImageNames(folder)
    for file in (root / name for name in LISTS):
        if not file.is_file():
            continue
        for line in read_text(file, MOST_MEGABYTES).replace("\r", "\n").split("\n"):
            with Faults().at(file.name):  # lists are of the machine that trained: what is not here counts for nothing
                parts[without_ending(names.of(line, root))] = LISTS[file.name]
    return parts


def _read_file(
    file: Path,
    where: str,
    image: str,
    size: tuple[int, int],
    names: Mapping[Any, str] | None,
    part: str | None,
    faults: Faults,
) -> list[Row]:
    others: Row = {"height": size[0], "width": size[1]}
    rows: list[Row] = []
    text = read_text(file, MOST_MEGABYTES)
    for k, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        source = f"{where}, line {k}"
        with faults.at(source):
            class_name, box, more = _read_line(line.split(), size, names)
            rows.append(make_row(image, source, class_name=class_name, box=box, split=part, **others, **more))
    return rows or [make_row(image, where, split=part, **others)]


def _read_line(words: list[str], size: tuple[int, int], names: Mapping[Any, str] | None) -> tuple[str, Any, Row]:
    if len(words) not in (5, 6) and (len(words) < 7 or len(words) % 2 == 0):
        raise Fault(f"has {len(words)} values, expected class, x_center, y_center, width, height (or a polygon)")
    class_name = _class_name(words[0], names)
    values = [number(word, "value") for word in words[1:]]
    if len(words) > 6:
        across, down = values[::2], values[1::2]
        box, layout = [min(across), min(down), max(across), max(down)], "rel_xyxy"
    else:
        box, layout = values[:4], "rel_center_xywh"
    more = {"confidence": values[4]} if len(words) == 6 else {}
    return class_name, convert(box, layout, "xyxy", size).tolist(), more


def _class_name(word: str, names: Mapping[Any, str] | None) -> str:
    k = number(word, "class")
    if not k.is_integer() or k < 0:
        raise Fault(f"class {word[:20]!r} is no whole number from 0 on")
    if names is not None and k not in names:
        raise Fault(f"class {int(k)} has no name; there are {dict(list(names.items())[:10])}")
    return str(int(k)) if names is None else names[int(k)]
