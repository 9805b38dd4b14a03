"""Names inside annotation files: text that can be trusted, images that stay in their folder, words for parts."""

from __future__ import annotations

import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from tumorkeras.data.names import IMAGE_ENDINGS, without_ending

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
ABOUT = ("readme", "license", "licence", "notes", "requirements")  # what texts about the data are called
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
DRIVE = re.compile(r"[A-Za-z]:")
MOST_STEPS = 64  # of a path of another machine that are looked for


class Fault(Exception):
    """What is wrong in one place of a file; caught by the reader, which knows the place."""


def clean_text(value: Any, what: str) -> str:
    """Text without the spaces around it; numbers as text.

    Raises
    ------
    Fault
        If it is no text, empty, or holds characters that no file name or label has.

    Examples
    --------
    >>> clean_text(" Zyste ", "class"), clean_text(3, "class")
    ('Zyste', '3')
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**18 else None
    if not isinstance(value, str):
        raise Fault(f"{what} is {'missing' if value is None else 'no text'}")
    text = value.strip()
    if not text:
        raise Fault(f"{what} is empty")
    if UNPRINTABLE.search(text):
        raise Fault(f"{what} {text[:60]!r} holds control characters")
    return text


def is_plain_name(name: Any) -> bool:
    """Whether a name is a path below a folder, written with slashes and without detours.

    Examples
    --------
    >>> is_plain_name("train/a.png"), is_plain_name("../a.png"), is_plain_name("C:\\\\a.png")
    (True, False, False)
    """
    try:
        clean = clean_text(name, "image") == name
    except Fault:
        return False
    straight = posixpath.normpath(name) == name and not f"{name}/".startswith(("/", "./", "../"))
    return clean and straight and "\\" not in name and not DRIVE.match(name)


class ImageNames:
    """Names of images as annotations give them, made relative to the folder of the images.

    Parameters
    ----------
    folder : path
        Folder of the images.

    Examples
    --------
    >>> names = ImageNames(Path("study"))
    >>> names.of("scans\\\\a.png", beside=Path("study"))
    'scans/a.png'
    >>> names.of("../../other/a.png", beside=Path("study"))
    Traceback (most recent call last):
        ...
    tumorkeras.data.annotations.names.Fault: image '../../other/a.png' leaves the data folder; ...
    """

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.abspath(folder)
        self._known = cache(self._find)
        self._moved: dict[str, list[str]] = {}

    def of(self, text: Any, beside: Path) -> str:
        """The image that an annotation file in the folder ``beside`` names, as a POSIX path.

        A name is read from the folder of the images, then from ``beside``, then from the folder above the images,
        and the first that is a file is taken; where none is, the name itself. Of a path that leads out of the folder
        of the images, such as one of another machine, the longest end that is a file in there is taken.

        Raises
        ------
        Fault
            If it is no name, or leads out of the folder of the images and no end of it is a file in there.
        """
        return self._known(text, beside) if isinstance(text, str) else self._find(text, beside)

    def _find(self, text: Any, beside: Path) -> str:
        name = clean_text(text, "image").replace("\\", "/")
        for base in dict.fromkeys((self.folder, os.path.abspath(beside), os.path.dirname(self.folder))):
            inner = self._inside(base, name)
            if self._is_file(inner):
                return inner
        inner = self._inside(self.folder, name) or self._moved_here(name)
        if inner is None:
            raise Fault(f"image {name!r} leaves the data folder; name it relative to the folder of the images")
        return inner

    def _moved_here(self, name: str) -> str | None:
        """The longest end of a path, without drive and steps up, that is a file; nothing outside is looked at."""
        drive = DRIVE.match(name)
        steps = [step for step in name[drive.end() if drive else 0 :].split("/") if step not in ("", ".", "..")]
        first_step = max(0, len(steps) - MOST_STEPS)
        ends = (self._inside(self.folder, "/".join(steps[k:])) for k in range(first_step, len(steps)))
        found = next(filter(self._is_file, ends), None)
        # Two folders of the other machine, such as train and val, may each have had an image of that name.
        if found is not None and (first := self._moved.setdefault(found, steps[-2:])) != steps[-2:]:
            both = f"{'/'.join(first)!r} and {'/'.join(steps[-2:])!r}"
            raise Fault(f"images that end in {both} are both {found!r} here; name them relative to the folder")
        return found

    def _is_file(self, inner: str | None) -> TypeGuard[str]:
        return inner is not None and os.path.isfile(os.path.join(self.folder, inner))

    def _inside(self, base: str, name: str) -> str | None:
        """Path from the folder of the images, None if it does not lie in there."""
        if DRIVE.match(name) and os.name != "nt":  # no path of this machine
            return None
        path = os.path.relpath(os.path.normpath(os.path.join(base, name)), self.folder).replace(os.sep, "/")
        return None if path == "." or path == ".." or path.startswith("../") else path


class ImagesByStem:
    """The image files of a folder, found by their names without ending.

    Parameters
    ----------
    folder : path
    without : collection of path
        Files that are no images of the data, such as masks.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> (folder / "train").mkdir(); _ = (folder / "train" / "a.png").write_bytes(b"")
    >>> images = ImagesByStem(folder)
    >>> images.find("train/a"), images.find("a"), images.find("b")
    ('train/a.png', 'train/a.png', None)
    """

    def __init__(self, folder: Path, without: Collection[Path] = ()) -> None:
        left_out = set(without)
        self._paths: dict[str, str] = {}
        bare: dict[str, list[str]] = defaultdict(list)
        for path in visible_files(folder, IMAGE_ENDINGS):
            if path in left_out:
                continue
            name = path.relative_to(folder).as_posix()
            self._paths.setdefault(without_ending(name), name)
            bare[without_ending(path.name)].append(name)
        self._bare = {stem: names[0] for stem, names in bare.items() if len(names) == 1}

    def find(self, stem: str) -> str | None:
        """The image of that path, else the only image of that bare name."""
        return self._paths.get(stem) or self._bare.get(stem.rpartition("/")[2])


def part_of(word: str) -> str | None:
    """One of "train", "val" and "test" for the usual words of them, None for others.

    Examples
    --------
    >>> part_of("Validation"), part_of("fold1")
    ('val', None)
    """
    return PARTS.get(word.strip().lower())


def part_in(name: str) -> str | None:
    """The part that a file name speaks of, where it speaks of one.

    Examples
    --------
    >>> part_in("instances_train2017"), part_in("train_and_val"), part_in("trainval"), part_in("boxes")
    ('train', None, None, None)
    """
    found = {PARTS[word] for word in re.findall("[a-z]+", name.lower()) if word in PARTS}
    return found.pop() if len(found) == 1 else None


def part_above(path: str) -> str | None:
    """The part that a folder in a POSIX path stands for.

    Examples
    --------
    >>> part_above("labels/valid/a.txt"), part_above("train.txt")
    ('val', None)
    """
    found = {part for folder in path.split("/")[:-1] if (part := part_of(folder))}
    return found.pop() if len(found) == 1 else None


def visible_files(folder: Path, endings: Collection[str], faults: list[str] | None = None) -> list[Path]:
    """Files below a folder with one of the endings, sorted; hidden ones are passed over.

    A link that leads out of the folder is not followed, and named in ``faults`` where a list is given.
    """
    root, found = folder.resolve(), []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.name.lower().endswith(tuple(endings)) or any(part.startswith(".") for part in name.parts):
            continue
        if not path.is_file():
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            if faults is not None:
                faults.append(f"{name.as_posix()}: is a link that leaves the data folder; copy the file into it")
            continue
        found.append(path)
    return found
