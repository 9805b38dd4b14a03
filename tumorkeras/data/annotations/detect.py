"""Which form annotations are in, by what is in the file or folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np

from tumorkeras.data.annotations.coco import coco_files, looks_like_coco
from tumorkeras.data.annotations.csv_columns import find_layout
from tumorkeras.data.annotations.folders import list_files
from tumorkeras.data.annotations.masks import ENDINGS, WORDS, has_suffix, mask_files
from tumorkeras.data.annotations.names import visible_files
from tumorkeras.data.annotations.pixels import read_pixels
from tumorkeras.data.annotations.yolo import YAML_ENDINGS, YAML_FILES, label_files, looks_like_yolo
from tumorkeras.data.cells import read_cells
from tumorkeras.data.names import IMAGE_ENDINGS
from tumorkeras.data.text import MEGABYTE
from tumorkeras.errors import DataError
from tumorkeras.spec_types import AnnotationForm

FORMATS = tuple(form for form in get_args(AnnotationForm) if form != "auto")
MASK_WORD = re.compile(rf"(?:.*[ _-])?(?:{WORDS})", re.IGNORECASE)
HEAD = 65536
SAMPLE = 20  # files that are looked into
MOST_VALUES = 32  # of a mask; a photograph has more


def detect(path: Path, *, columns_named: bool = False) -> tuple[str, Path]:
    """The form of annotations, and the file or folder in which they are.

    Parameters
    ----------
    path : path
    columns_named : bool
        Whether the caller names the columns of a CSV, which then need not be known by their names.

    Returns
    -------
    format : str
        One of ``FORMATS``.
    place : path
        ``path`` itself, or what in it holds the annotations.

    Raises
    ------
    DataError
        If there is nothing there, no form is found, or several might be meant; they are named.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.xml").write_text("<annotation/>")
    >>> detect(folder) == ("voc", folder), detect(folder / "a.xml")[0]
    (True, 'voc')
    """
    if path.is_file():
        found = _of_file(path, columns_named)
        return (found, path) if found else _unknown(path)
    if not path.is_dir():
        raise DataError(str(path), ["there is no such file or folder"])
    found_in = [(name, place) for name, look in LOOKS.items() for place in look(path)]
    if not found_in:  # weaker signs, for when nothing else is there
        found_in = [(name, place) for name, look in WEAK_LOOKS.items() for place in look(path)]
    if len(found_in) == 1:
        name, place = found_in[0]
        return name, (_refuse_ambiguous_masks(place) if name == "masks" else place)
    return _unknown(path) if not found_in else _several(path, found_in)


def _unknown(path: Path) -> tuple[str, Path]:
    fault = f"holds annotations of no form that is known; say which with format=: {', '.join(FORMATS)}"
    raise DataError(str(path), [fault])


def _several(path: Path, found: list[tuple[str, Path]]) -> tuple[str, Path]:
    listed = ", ".join(f"{name} ({place.relative_to(path).as_posix()})" for name, place in found)
    fault = f"may be several forms: {listed}; name the file or folder, or say format=: {', '.join(FORMATS)}"
    raise DataError(str(path), [fault])


def _of_file(path: Path, columns_named: bool) -> str | None:
    head, ending = _head(path), path.suffix.lower()
    if ending in ENDINGS:
        _refuse_ambiguous_masks(path)
        return "masks"
    if ending in YAML_ENDINGS:
        return "yolo"
    if looks_like_coco(path):
        return "coco"
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<", head):
        return "voc"
    if looks_like_yolo(head):
        return "yolo"
    if ending in (".csv", ".tsv") or (ending not in IMAGE_ENDINGS and _has_image_column(path)):
        return "csv"
    return "csv" if columns_named else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _has_image_column(path: Path, *, boxes: bool = False) -> bool:
    """Whether the header of a CSV names images, and boxes where they are asked for."""
    if path.stat().st_size > 64 * MEGABYTE:
        return False
    try:
        layout, _ = find_layout(read_cells(path, []).header)
    except DataError:
        return False
    return layout.image is not None and (bool(layout.box) or (not boxes and layout.class_name is not None))


def _voc(path: Path) -> list[Path]:
    folder = path / "Annotations" if (path / "Annotations").is_dir() else path
    return [path] if any(_head(file).lstrip()[:1] == b"<" for file in _some(folder, [".xml"])) else []


def _coco(path: Path) -> list[Path]:
    return [path] if coco_files(path) else []


def _yolo(path: Path) -> list[Path]:
    if any((path / name).is_file() for name in YAML_FILES):
        return [path]
    return [path] if any(looks_like_yolo(_head(file)) for file in label_files(path)[:SAMPLE]) else []


def _csv(path: Path) -> list[Path]:
    return [file for file in _tables(path) if _has_image_column(file, boxes=True)]


def _csv_of_classes(path: Path) -> list[Path]:
    return [file for file in _tables(path) if _has_image_column(file)]


def _tables(path: Path) -> list[Path]:
    return [file for file in sorted(path.glob("[!.]*")) if file.suffix.lower() in (".csv", ".tsv") and file.is_file()]


def _masks(path: Path) -> list[Path]:
    """Folders of masks: called so, or with files called so, and with few values."""
    places = [
        path,
        *(folder for folder in sorted(path.glob("[!.]*")) if folder.is_dir() and MASK_WORD.fullmatch(folder.name)),
    ]
    for place in places[::-1]:
        files = mask_files(place)[:SAMPLE]
        if (
            files
            and (MASK_WORD.fullmatch(place.name) or all(map(has_suffix, files)))
            and all(map(_has_few_values, files))
        ):
            return [place]
    return []


def _has_few_values(file: Path) -> bool:
    try:
        return len(np.unique(read_pixels(file))) <= MOST_VALUES
    except DataError:
        return False


def _refuse_ambiguous_masks(place: Path) -> Path:
    """Values of one mask are classes or objects, which only the user knows; of masks of one value both are the same."""
    files = [place] if place.is_file() else mask_files(place)[:SAMPLE]
    values: set[int] = set()
    for file in files:
        try:
            values |= {int(value) for value in np.unique(read_pixels(file)) if value}
        except (DataError, ValueError, OverflowError):
            continue
    if len(values) > 1:
        fault = f"holds masks with the values {sorted(values)[:5]}; say format=masks (a value a class) or "
        raise DataError(str(place), [fault + "format=instance_masks (a value an object)"])
    return place


def _folders(path: Path) -> list[Path]:
    inner = [folder for folder in sorted(path.glob("[!.]*")) if folder.is_dir()]
    with_images = [folder for folder in inner if _some(folder, IMAGE_ENDINGS)]
    return [path] if len(with_images) > 1 else []


def _lists(path: Path) -> list[Path]:
    files = list_files(path)[:SAMPLE]
    listing = [file for file in files if any(end.encode() in _head(file).lower() for end in IMAGE_ENDINGS)]
    return [path] if listing and len(listing) == len(files) else []


def _some(folder: Path, endings: list[str] | tuple[str, ...]) -> list[Path]:
    return visible_files(folder, endings)[:SAMPLE]


Look = Callable[[Path], list[Path]]
LOOKS: dict[str, Look] = {"voc": _voc, "coco": _coco, "yolo": _yolo, "csv": _csv, "masks": _masks}
WEAK_LOOKS: dict[str, Look] = {"csv": _csv_of_classes, "lists": _lists, "folders": _folders}
