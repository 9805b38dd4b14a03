"""What lies in a folder, by one cheap walk: which files of which format, in which folders."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tumorkeras.data.image_files import BESIDE, IMAGES, PASSED_OVER, VOLUMES
from tumorkeras.data.names import ENDINGS, ending_of
from tumorkeras.data.readers import format_of

MOST_FILES = 300_000
SNIFFED_A_KIND = 3  # files of one ending in one folder whose content is looked at
MOST_SNIFFED = 5_000
# By their endings: their content is looked at by those who can use them.
TEXTS = {
    **dict.fromkeys((*BESIDE, ".xlsx"), "other"),
    ".csv": "table",
    ".tsv": "table",
    ".json": "json",
    ".xml": "xml",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".txt": "text",
}


class File(NamedTuple):
    """A file by its POSIX path from the surveyed folder; ``format`` as the readers call it, or the kind of text."""

    path: str
    format: str
    size: int

    @property
    def folder(self) -> str:
        """Path of the folder that holds it, "" at the top."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Name without folders."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Survey:
    """The visible files of a folder.

    Attributes
    ----------
    root : Path
        The folder.
    files : tuple of File
        Sorted by path. Links count where they lead to a file inside the folder.
    complete : bool
        False where there are more than ``MOST_FILES`` files, of which the rest was not looked at.
    """

    root: Path
    files: tuple[File, ...]
    complete: bool = True

    def of(self, *formats: str) -> list[File]:
        """Files of some formats."""
        return [file for file in self.files if file.format in formats]

    @cached_property
    def pictures(self) -> list[File]:
        """Files that may be images or volumes."""
        return self.of(*IMAGES, *VOLUMES)

    @cached_property
    def folders(self) -> list[str]:
        """Names of the folders at the top that hold a file, however deep."""
        return list(dict.fromkeys(file.path.partition("/")[0] for file in self.files if "/" in file.path))

    def below(self, folder: str) -> Survey:
        """The survey of one of its folders.

        Examples
        --------
        >>> survey = Survey(Path("data"), (File("a/1.png", "png", 9), File("b/1.png", "png", 9)))
        >>> survey.below("a").files
        (File(path='1.png', format='png', size=9),)
        """
        start = f"{folder}/"
        inside = tuple(f._replace(path=f.path[len(start) :]) for f in self.files if f.path.startswith(start))
        return Survey(self.root / folder, inside, self.complete)

    def summary(self) -> str:
        """Which files there are, by their endings.

        Examples
        --------
        >>> Survey(Path("data"), (File("a.pdf", "other", 9), File("b.pdf", "other", 9))).summary()
        '2 .pdf'
        """
        endings = Counter(_ending(file.name) or "without ending" for file in self.files)
        return ", ".join(f"{count:,} {ending}" for ending, count in endings.most_common(8))


def survey_of(folder: str | Path) -> Survey:
    """Walk a folder once; hidden files and linked folders are passed over.

    The first few files of each ending in each folder are opened to see what they are; the others are taken for the
    same. Images are not decoded, so 100,000 files take a few seconds.

    Parameters
    ----------
    folder : path
        An existing folder.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.csv", "a.txt", ".hidden"):
    ...     _ = (folder / name).write_text("1")
    >>> survey_of(folder).files
    (File(path='a.txt', format='text', size=1), File(path='b.csv', format='table', size=1))
    """
    root = Path(os.path.realpath(folder))
    formats = _Formats()
    found: list[File] = []
    waiting = [""]
    while waiting and len(found) <= MOST_FILES:
        place = waiting.pop()
        folders, files = _entries(root, place)
        found += [File(path, formats.of(root / path, place), size) for path, size in files]
        waiting += folders[::-1]
    return Survey(root, tuple(sorted(found[:MOST_FILES])), len(found) <= MOST_FILES)


def _entries(root: Path, place: str) -> tuple[list[str], list[tuple[str, int]]]:
    """Folders and files (with their sizes) in one folder, sorted; what cannot be opened is passed over."""
    folders, files = [], []
    try:
        entries = sorted(os.scandir(root / place), key=lambda entry: entry.name)
    except OSError:
        return [], []
    for entry in entries:
        path = f"{place}/{entry.name}" if place else entry.name
        if entry.name.startswith(".") or entry.name in PASSED_OVER:
            continue
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        elif (size := _size(entry, root)) is not None:
            files.append((path, size))
    return folders, files


def _size(entry: os.DirEntry[str], root: Path) -> int | None:
    """Bytes of a file; None for what is no file inside the folder, such as a link to itself."""
    try:
        if not entry.is_file() or (entry.is_symlink() and _leads_out(entry.path, root)):
            return None
        return entry.stat().st_size
    except OSError:
        return None


def _leads_out(path: str, root: Path) -> bool:
    return not Path(os.path.realpath(path)).is_relative_to(root)


class _Formats:
    """The format of each file, of which a few of a kind are opened."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._opened = 0

    def of(self, path: Path, folder: str) -> str:
        ending = _ending(path.name)
        if ending in TEXTS:
            return TEXTS[ending]
        seen = self._seen[folder, ending]
        sure = len(seen) >= SNIFFED_A_KIND and len(set(seen)) == 1
        if sure or self._opened >= MOST_SNIFFED:
            return seen[0] if seen else ENDINGS.get(ending, "other")
        self._opened += 1
        # A broken image is still an image: the audit will say what is wrong with it.
        found = format_of(path) or ENDINGS.get(ending, "other")
        seen.append(found)
        return found


def _ending(name: str) -> str:
    """The ending of an image or volume, else whatever follows the last dot, in lower case."""
    return ending_of(name) or os.path.splitext(name.lower())[1]


def common_folder(files: Iterable[File]) -> str:
    """The deepest folder that holds all files, "" for the top.

    Examples
    --------
    >>> common_folder([File("data/a/1.png", "png", 9), File("data/b/2.png", "png", 9)])
    'data'
    """
    folders = {file.folder for file in files}
    return os.path.commonpath(folders).replace(os.sep, "/") if folders and "" not in folders else ""
