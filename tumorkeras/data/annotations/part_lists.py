"""Lists of images that are the parts of a data set: ``train.txt``, ``val.txt``, ``test.txt``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tumorkeras.data.annotations.table import Faults
from tumorkeras.data.text import read_text

MOST_MEGABYTES = 64


def filled_lines(file: Path) -> list[str]:
    """The lines of a text that are not empty, without the spaces around them."""
    lines = read_text(file, MOST_MEGABYTES).replace("\r", "\n").split("\n")
    return [line.strip() for line in lines if line.strip()]


def listed_parts(
    lists: Mapping[Path, str], name_of: Callable[[str], str | None], faults: Faults
) -> dict[str, str | None]:
    """The part of each image that is listed; None for one that is listed in several parts.

    Parameters
    ----------
    lists : mapping of path to str
        The part of each list; those that are no file are passed over.
    name_of : callable
        The name of the image that a line means; None for a line that means none.
    faults : Faults
        To which lists that cannot be read, and images in several parts, are added.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp()); faults = Faults()
    >>> for part, names in (("train", "a b c"), ("val", "c d")):
    ...     _ = (folder / f"{part}.txt").write_text(names.replace(" ", "\\n"))
    >>> listed_parts({folder / f"{part}.txt": part for part in ("train", "val")}, str, faults)
    {'a': 'train', 'b': 'train', 'c': None, 'd': 'val'}
    >>> faults
    ["'c' is in train.txt and in val.txt; keep it in one"]
    """
    parts: dict[str, str | None] = {}
    first: dict[str, str] = {}
    for file, part in lists.items():
        if not file.is_file():
            continue
        with faults.at(file.name):
            for name in filter(None, map(name_of, filled_lines(file))):
                if parts.setdefault(name, part) not in (part, None):
                    faults.append(f"{name!r} is in {first[name]} and in {file.name}; keep it in one")
                    parts[name] = None
                first.setdefault(name, file.name)
    return parts
