"""Folders of exports: a draft nobody sees, which is renamed into place whole."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tumorkeras.errors import ModelError
from tumorkeras.files import sync


def is_version(name: str) -> bool:
    """Whether TF Serving takes a folder of this name for a version.

    Examples
    --------
    >>> is_version("12"), is_version(".12"), is_version("latest")
    (True, False, False)
    """
    return name.isascii() and name.isdecimal()


def next_version(base: Path) -> int:
    """One more than the largest version of a model."""
    return max((int(path.name) for path in base.glob("*") if is_version(path.name)), default=0) + 1


@contextmanager
def hidden_folder(directory: Path, name: str) -> Iterator[Path]:
    """Give a hidden folder of this call's own; in the end it is gone, as are empty folders made for it.

    Raises
    ------
    ModelError
        If it cannot be made.
    """
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    hidden = None
    try:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            hidden = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=directory))
        except OSError as error:
            raise ModelError(f"{directory}: cannot be written ({error.strerror}); give another") from None
        yield hidden
    finally:
        if hidden is not None:
            shutil.rmtree(hidden, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # Not empty: the export is in it, or somebody else's.
                folder.rmdir()


def publish(draft: Path, base: Path, version: int | None) -> Path:
    """Rename a checked export into place; where another exporter was faster, take the next version.

    All of it is on the disk before: a crash leaves the whole of it, or nothing.

    Raises
    ------
    ModelError
        If the version that was asked for is there meanwhile.
    """
    base.mkdir(exist_ok=True)
    _sync(draft)
    while True:
        target = base / str(version or next_version(base))
        try:
            draft.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if version is not None:
                raise ModelError(f"{target}: another exporter has just published this version") from None
        else:
            sync(base)
            return target


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)
