"""YOLO: a text file an image, a line an object, in shares of the image's width and height."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tumorkeras.boxes import convert
from tumorkeras.data.annotations.content import NUMBER, count, number
from tumorkeras.data.annotations.names import (
    ABOUT,
    Fault,
    ImageNames,
    ImagesByStem,
    clean_text,
    part_above,
    part_of,
    visible_files,
    without_ending,
)
from tumorkeras.data.annotations.part_lists import MOST_MEGABYTES, filled_lines, listed_parts
from tumorkeras.data.annotations.sizes import image_sizes
from tumorkeras.data.annotations.table import Faults, Row, make_row, make_table
from tumorkeras.data.text import read_text
from tumorkeras.errors import DataError

logger = logging.getLogger(__name__)

Names = Sequence[str] | Mapping[Any, str]

NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "classes.names")
YAML_ENDINGS = (".yaml", ".yml")
YAML_FILES = tuple(name + ending for name in ("data", "dataset") for ending in YAML_ENDINGS)
LINE = re.compile(rf"\s*[0-9]+(?:\s+{NUMBER.pattern}){{4,}}\s*")
FIRST_LINES = 20  # of a file, that tell whether it is one of labels


def read_yolo(path: Path, faults: Faults, images: Path | None = None, classes: Names | None = None) -> pd.DataFrame:
    """The table of a YOLO data set: its root, its ``data.yaml``, its folder of labels, or one text file.

    A line is ``class x_center y_center width height``, with a sixth value for a confidence, or ``class`` and the
    corners of a polygon, whose extent is then the box. An empty file is an image without objects; an image without a
    file is not listed.

    Parameters
    ----------
    path : path
        Labels are looked for in all folders below; images beside them, or where ``images`` stands for ``labels``.
    faults : Faults
        To which lines that cannot be read, numbers without a name, labels without an image, and ``classes`` that are
        not those of the data set are added; what cannot be read is left out.
    images : path, optional
        Folder of the images, whose sizes are needed; by default ``images`` in the root where there are labels in
        ``labels``, else the root.
    classes : sequence or mapping, optional
        Names of the classes by number, for a data set that has none: those in its ``data.yaml``, ``classes.txt`` or
        ``obj.names`` are what its numbers were written for. Without any names the numbers are the names.

    Returns
    -------
    pandas.DataFrame
        With ``width``, ``height`` of the image, and ``confidence`` where a file has it.

    Raises
    ------
    DataError
        If there is no file of labels.
    """
    if not path.exists():
        raise DataError(str(path), ["there is no such file or folder"])
    root, files = _places(path)
    labels = files if files is not None else label_files(root, faults)
    if not labels and not faults:
        raise DataError(str(path), ["holds no text file with labels"])
    folder = images or _image_folder(root)
    names = _class_names(root, classes, faults)
    found = _images_of(labels, root, folder, faults)
    sizes = image_sizes(folder, sorted(set(found.values())))
    faults += [f"{name}: its size cannot be read" for name in sorted(set(found.values()) - set(sizes))]
    parts = _listed_parts(root, folder, faults)
    rows: list[Row] = []
    for file, image in found.items():
        if image in sizes:
            where = file.relative_to(root).as_posix()
            part = parts.get(without_ending(image), part_above(where))
            with faults.at(where):
                rows += _read_file(file, where, image, sizes[image], names, part, faults)
    if names is None:
        logger.warning("%s: no names of classes found; the numbers are the names, or give classes=[...]", path)
    return make_table(rows, faults)


def looks_like_yolo(head: bytes) -> bool:
    """Whether the first lines of a file, of which the last may be cut off, are those of labels."""
    lines = [line for line in head.decode("latin-1").split("\n")[:FIRST_LINES] if line.strip()]
    return bool(lines) and all(map(LINE.fullmatch, lines[:-1] or lines))


def label_files(root: Path, faults: Faults | None = None) -> list[Path]:
    """The text files below a folder, or its folder ``labels``, that hold the labels of an image."""
    below = root / "labels"
    files = visible_files(below if below.is_dir() else root, [".txt"], faults)
    return [file for file in files if file.name.lower() not in NAME_FILES and not _is_text(file.stem)]


def names_in(file: Path) -> dict[int, str]:
    """Names of classes by their numbers, in order: of ``data.yaml``, or a line a class; empty where there are none.

    Raises
    ------
    DataError
        If the file holds no text.
    Fault
        If it is no YAML, or has names that are no names or numbers.

    Examples
    --------
    >>> import tempfile; file = Path(tempfile.mkdtemp()) / "data.yaml"
    >>> _ = file.write_text("names: {10: tumour, 2: cyst}")
    >>> names_in(file)
    {2: 'cyst', 10: 'tumour'}
    """
    if file.suffix.lower() not in YAML_ENDINGS:
        return dict(enumerate(filled_lines(file)))
    text = read_text(file, 1)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Fault(f"is no YAML: {' '.join(str(error).split())[:200]}") from None
    names = content.get("names") if isinstance(content, dict) else None
    listed = names if isinstance(names, dict) else dict(enumerate(names)) if isinstance(names, list) else {}
    numbered = {number: clean_text(name, "names") for key, name in listed.items() if (number := count(key)) is not None}
    if len(numbered) < len(listed):
        raise Fault(f"names are numbered {list(listed)[:10]}, expected whole numbers from 0 on, each once")
    return dict(sorted(numbered.items()))


def _places(path: Path) -> tuple[Path, list[Path] | None]:
    """The root, and the label file where one file is meant."""
    if path.is_dir():
        return (path.parent if path.name == "labels" else path), None
    if path.suffix.lower() in YAML_ENDINGS:
        return path.parent, None
    return path.parent, [path]


def _is_text(stem: str) -> bool:
    """Whether a file of that name is about the data, or lists the images of a part."""
    return stem.lower() in ABOUT or part_of(stem) is not None


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


def _class_names(root: Path, classes: Names | None, faults: Faults) -> Mapping[Any, str] | None:
    """Names by number: those that a tool left in the data set, else those that are given."""
    given = dict(enumerate(classes)) if isinstance(classes, Sequence) else classes
    folders = (root, root / "labels", root / "data", root.parent)
    files = [folder / name for folder in folders for name in (*YAML_FILES, *NAME_FILES)]
    unread = Faults()
    for file in filter(Path.is_file, files):
        with unread.at(file.name):
            if found := names_in(file):
                faults += [*unread, *_differences(file.name, found, given)]
                return found
    faults += unread
    return None if unread else given  # what the numbers mean cannot be told where the names cannot be read


def _differences(file: str, found: Mapping[int, str], given: Mapping[Any, str] | None) -> list[str]:
    """That classes are given which are not those of the data set."""
    here = set(found.values())
    there = here if given is None else set(map(str, given.values()))
    if here == there:
        return []
    only = [
        f"only {where} are {', '.join(sorted(names)[:10])}"
        for names, where in ((here - there, "there"), (there - here, "in those that are given"))
        if names
    ]
    return [f"{file}: its classes are not those that are given; {'; '.join(only)}: make both the same"]


def _listed_parts(root: Path, folder: Path, faults: Faults) -> dict[str, str | None]:
    """Parts by the lists ``train.txt`` and so on, by image name without ending."""
    lists = {file: part for file in sorted(root.glob("*.txt")) if (part := part_of(file.stem))}
    names = ImageNames(folder)

    def name_of(line: str) -> str | None:
        with Faults().at(line):  # lists are of the machine that trained: what is not here counts for nothing
            return without_ending(names.of(line, root))
        return None

    return listed_parts(lists, name_of, faults)


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
    lines = [line.split() for line in read_text(file, MOST_MEGABYTES).replace("\r\n", "\n").split("\n")]
    for k, words in enumerate(lines, start=1):
        if not words:
            continue
        source = f"{where}, line {k}"
        with faults.at(source):
            class_name, box, more = _read_line(words, size, names)
            rows.append(make_row(image, source, class_name=class_name, box=box, split=part, **others, **more))
    return rows if any(lines) else [make_row(image, where, split=part, **others)]


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
