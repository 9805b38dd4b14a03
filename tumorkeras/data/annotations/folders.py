"""Classes of whole images: a folder a class, or a list of images a class."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from tumorkeras.data.annotations.csv_columns import find_layout
from tumorkeras.data.annotations.csv_table import read_csv_boxes
from tumorkeras.data.annotations.names import (
    ABOUT,
    ImageNames,
    clean_text,
    part_above,
    part_of,
    visible_files,
)
from tumorkeras.data.annotations.table import Faults, Row, make_row, make_table, rows_of
from tumorkeras.data.cells import read_cells
from tumorkeras.data.names import IMAGE_ENDINGS
from tumorkeras.data.text import read_text
from tumorkeras.errors import DataError

MOST_MEGABYTES = 256
LIST_ENDINGS = (".txt", ".csv", ".lst")
NO_LISTS = (*ABOUT, "classes")


def read_folders(path: Path, faults: Faults) -> pd.DataFrame:
    """The class of each image: the folder it lies in.

    Folders are ``CLASS``, ``train/CLASS`` or ``CLASS/train``; what lies deeper in a folder is of its class. Files
    that are in no folder have no class and are not listed.

    Parameters
    ----------
    path : path
        The folder of the folders, to which the names of images are relative.
    faults : Faults
        To which folders without images, and names that are none, are added.

    Raises
    ------
    DataError
        If there is no folder with images.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> for name in ("train/benign/1.png", "valid/malignant/2.png"):
    ...     (folder / name).parent.mkdir(parents=True); _ = (folder / name).write_bytes(b"")
    >>> read_folders(folder, Faults())[["image", "class", "split"]]
                       image      class  split
    0     train/benign/1.png     benign  train
    1  valid/malignant/2.png  malignant    val
    """
    if not path.is_dir():
        raise DataError(str(path), ["there is no such folder"])
    rows: list[Row] = []
    for file in visible_files(path, IMAGE_ENDINGS, faults):
        name = file.relative_to(path).as_posix()
        steps = [step for step in name.split("/")[:-1] if part_of(step) is None]
        if steps:
            with faults.at(name):
                rows.append(make_row(name, name, class_name=clean_text(steps[0], "folder"), split=part_above(name)))
    if not rows and not faults:
        raise DataError(str(path), [f"has no folder a class with images ({', '.join(IMAGE_ENDINGS)})"])
    faults += _empty_folders(path, rows)
    return make_table(rows, faults)


def _empty_folders(path: Path, rows: list[Row]) -> list[str]:
    filled = {"/".join(row["image"].split("/")[:depth]) for row in rows for depth in (1, 2)}
    top = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and not folder.name.startswith(".")]
    classes = [inner for folder in top for inner in (_folders(folder) if part_of(folder.name) else [folder])]
    names = [folder.relative_to(path).as_posix() for folder in classes]
    return [f"folder {name!r} has no image ({', '.join(IMAGE_ENDINGS)})" for name in names if name not in filled]


def _folders(folder: Path) -> list[Path]:
    return [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and not inner.name.startswith(".")]


def read_lists(path: Path, faults: Faults, images: Path | None = None) -> pd.DataFrame:
    """The class of each image: the file that lists it, ``benign.txt`` or ``malignant_train.csv``.

    A text file has an image a line, or an image and a flag as those of Pascal VOC, of which 1 says that the class is
    in the image. A CSV has a column of images (and boxes, if it likes), or its first column is one, without header.

    Parameters
    ----------
    path : path
        The folder of the files. A part at the end of a name, or a folder ``train``, ``valid`` or ``test``, is the part.
    faults : Faults
        To which lists that cannot be read, and lines that name no image, are added; they are left out.
    images : path, optional
        Folder of the images; by default ``path``.

    Raises
    ------
    DataError
        If there is no list.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "benign.txt").write_text("1.png\\n2.png\\n")
    >>> _ = (folder / "malignant.csv").write_text("image\\n3.png\\n")
    >>> read_lists(folder, Faults())[["image", "class", "source"]]
       image      class                 source
    0  1.png     benign     benign.txt, line 1
    1  2.png     benign     benign.txt, line 2
    2  3.png  malignant  malignant.csv, line 2
    """
    if not path.is_dir():
        raise DataError(str(path), ["there is no such folder"])
    files = list_files(path, faults)
    if not files and not faults:
        raise DataError(str(path), [f"has no list of images a class ({', '.join(LIST_ENDINGS)})"])
    names = ImageNames(images or path)
    rows: list[Row] = []
    for file in files:
        where = file.relative_to(path).as_posix()
        with faults.at(where):
            rows += _read_list(file, where, names, faults)
    return make_table(rows, faults)


def list_files(path: Path, faults: Faults | None = None) -> list[Path]:
    """The files of a folder that may list the images of a class."""
    files = visible_files(path, LIST_ENDINGS, faults)
    return [file for file in files if not file.stem.lower().startswith(NO_LISTS) and part_of(file.stem) is None]


def _read_list(file: Path, where: str, names: ImageNames, faults: Faults) -> list[Row]:
    class_name, part = _class_and_part(file.stem, where)
    if file.suffix.lower() == ".csv":
        header = read_cells(file, []).header
        if find_layout(header)[0].image is not None:
            table = read_csv_boxes(file, faults, Path(names.folder), class_name=class_name, part=part)
            return rows_of(table)
    lines = read_text(file, MOST_MEGABYTES).replace("\r\n", "\n").split("\n")
    if file.suffix.lower() == ".csv":
        lines = [re.split("[,;\t]", line)[0] for line in lines]
    entries = [(k, line.strip()) for k, line in enumerate(lines, start=1) if line.strip()]
    flags = [re.fullmatch(r"(.*\S)\s+(-1|0|1)", line) for _, line in entries]
    flagged = bool(entries) and all(flags)
    rows: list[Row] = []
    for (k, line), flag in zip(entries, flags, strict=True):
        if flagged and flag and flag[2] != "1":
            continue
        with faults.at(f"{where}, line {k}"):
            image = names.of(flag[1] if flagged and flag else line, file.parent)
            label = clean_text(class_name, "file name")
            rows.append(make_row(image, f"{where}, line {k}", class_name=label, split=part))
    return rows


def _class_and_part(stem: str, where: str) -> tuple[str, str | None]:
    """Class and part that a file name speaks of: ``benign_train`` is the class benign in the part train."""
    found = re.fullmatch(r"(.+)[_.-]([A-Za-z]+)", stem)
    if found and (part := part_of(found[2])):
        return found[1].strip(), part
    return stem.strip(), part_above(where)
