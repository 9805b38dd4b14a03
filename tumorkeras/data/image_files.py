"""Which files of a folder are samples, and which file a name in a table means."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tumorkeras.data.names import ENDINGS, ending_of, without_ending
from tumorkeras.data.readers import format_of
from tumorkeras.data.readers.dicom import header_value
from tumorkeras.data.readers.registry import FORMATS
from tumorkeras.errors import DataError

IMAGES = {format.name for format in FORMATS if "image" in format.holds}
VOLUMES = {format.name for format in FORMATS if "volume" in format.holds}
# What lies in archives and media beside the data.
PASSED_OVER = {"DICOMDIR", "__MACOSX", "Thumbs.db", "desktop.ini"}
# Never looked into: what lies beside images in most data sets.
BESIDE = {".csv", ".tsv", ".txt", ".md", ".json", ".xml", ".yaml", ".yml", ".html", ".pdf", ".py", ".ipynb", ".db"}


@dataclass(frozen=True)
class CatalogFault:
    """What is wrong with the files of a source, before any is decoded.

    Attributes
    ----------
    code : str
        Which kind of fault: "outside_folder", "not_a_file", "row_without_file", "image_without_row",
        "annotation_without_file", "ambiguous_name", "class_missing", "class_empty" or "class_unknown".
    files : tuple of str
        The files or names that it is about.
    words : str
        What was found and how to mend it, in one line.

    Examples
    --------
    >>> CatalogFault("not_a_file", ("pipe.png",), "is no regular file; take it out of the folder").files
    ('pipe.png',)
    """

    code: str
    files: tuple[str, ...]
    words: str


def find_samples(folder: str | Path, *, volumes: bool) -> tuple[list[str], list[CatalogFault]]:
    """Files (and folders of DICOM slices) below ``folder`` that are samples, as sorted POSIX paths from it.

    Hidden files are passed over. Links are followed where they lead to a file inside the folder.

    Parameters
    ----------
    folder : path
    volumes : bool
        Whether a sample is a volume: a folder with a DICOM series is then one sample.

    Raises
    ------
    DataError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.png", "a.PNG", "notes.txt", ".hidden.png"):
    ...     _ = (folder / name).write_bytes(b"")
    >>> find_samples(folder, volumes=False)
    (['a.PNG', 'b.png'], [])
    """
    root = Path(os.path.realpath(folder))
    if not root.is_dir():
        raise DataError(str(folder), ["there is no such folder"])
    found: list[str] = []
    faults: dict[str, list[str]] = defaultdict(list)
    for place, names in _visible(root, faults):
        kept = [path for path in names if _format(path, faults, root) in (VOLUMES if volumes else IMAGES)]
        slices = [path for path in kept if _format(path) == "dicom"] if volumes else []
        if len(slices) > 1 and not _has_frames(slices[0]):
            found.append(place.relative_to(root).as_posix())
            kept = [path for path in kept if path not in slices]
        found += [path.relative_to(root).as_posix() for path in kept]
    return sorted(found), [CatalogFault(code, tuple(sorted(files)), WORDS[code]) for code, files in faults.items()]


WORDS = {
    "outside_folder": "is a link that leads out of the folder of the data; copy the file into it",
    "not_a_file": "is no regular file; take it out of the folder",
}


def _visible(root: Path, faults: dict[str, list[str]]) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder below ``root`` with its files, hidden ones and links that lead out left aside."""
    for place, folders, names in os.walk(root):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in PASSED_OVER)
        for name in folders:
            _leads_out(here / name, root, faults)
        files = [here / name for name in sorted(names) if not name.startswith(".") and name not in PASSED_OVER]
        yield here, [path for path in files if not _leads_out(path, root, faults)]


def _leads_out(path: Path, root: Path, faults: dict[str, list[str]]) -> bool:
    if not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(root):
        return False
    faults["outside_folder"].append(path.relative_to(root).as_posix())
    return True


def _format(path: Path, faults: dict[str, list[str]] | None = None, root: Path | None = None) -> str | None:
    """Format by the ending, else by the content; None for what is no image."""
    if path.suffix.lower() in BESIDE:
        return None
    named = ENDINGS.get(ending_of(path.name))  # text that is called x.png is a sample that cannot be read
    if not path.is_file():  # a pipe, a socket or a link to nothing
        if faults is not None and root is not None and named:
            faults["not_a_file"].append(path.relative_to(root).as_posix())
        return None
    return named or format_of(path)


def _has_frames(path: Path) -> bool:
    """Whether a DICOM file is a volume of its own."""
    return int(header_value(path, "NumberOfFrames") or 1) > 1


class Names:
    """Finds the sample that a table or an annotation means.

    A name may be the path from the folder, the path from a folder above it, or the bare file name, each with or
    without its ending.

    Parameters
    ----------
    samples : iterable of str
        POSIX paths from the folder.

    Examples
    --------
    >>> names = Names(["benign/a.png", "benign/b.png", "malignant/b.png"])
    >>> names.find("a"), names.find("data/benign/b.png"), names.find("b.png"), names.find("normal/a.png")
    (['benign/a.png'], ['benign/b.png'], ['benign/b.png', 'malignant/b.png'], [])
    """

    def __init__(self, samples: Iterable[str]) -> None:
        self._by_path: dict[str, list[str]] = defaultdict(list)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for sample in samples:
            bare = sample.rpartition("/")[2]
            for index, name in ((self._by_path, sample), (self._by_name, bare)):
                for form in {name, without_ending(name)}:
                    index[form].append(sample)

    def find(self, name: str) -> list[str]:
        """Samples of that name: none, the one that is meant, or several that cannot be told apart."""
        steps = name.strip().replace("\\", "/").removeprefix("./").split("/")
        for start in range(len(steps)):
            if found := self._by_path.get("/".join(steps[start:])):
                return found
        return self._by_name.get(steps[0], []) if len(steps) == 1 else []
