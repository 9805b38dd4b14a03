"""The folder of Parquet files that workers of Spark write: of which nobody sees half."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tumorkeras.errors import DataError
from tumorkeras.files import sync, write_whole
from tumorkeras.scoring.output.locks import LOCK, lock_folder

SETTINGS_FILE = "_scoring.json"  # what begins so is passed over by those who read the folder as a data set


def check_folder(output: Path) -> None:
    """See, before any work, that a data set could be written; one of an earlier scoring would be replaced.

    Raises
    ------
    DataError
        If the ending is not ``.parquet``, the folder around it is missing or cannot be written to, or something else
        lies there.
    """
    faults = []
    if output.suffix.lower() != ".parquet":
        faults.append(f"ends in {output.suffix!r}, but Spark writes .parquet: a folder of files")
    if not output.parent.is_dir():
        faults.append(f"cannot be written: there is no folder {output.parent}; make it first")
    elif not os.access(output.parent, os.W_OK):
        faults.append("cannot be written: its folder is read-only")
    if os.path.lexists(output) and not (output / SETTINGS_FILE).is_file():
        faults.append("is there, and no data set of an earlier scoring by Spark; move it, or give another")
    if faults:
        raise DataError(str(output), faults)


@contextmanager
def new_data_set(output: Path, settings: dict[str, Any]) -> Iterator[Path]:
    """Give a folder beside ``output`` to write into, which takes its place when the block ends well.

    Raises
    ------
    DataError
        If another call has it, or the disk is full.
    """
    folder = output.absolute().with_name(f".{output.name}.new")
    try:
        with lock_folder(folder):
            _clear(folder)  # of a call that was killed
            try:
                yield folder
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # a worker may still write
                raise
            _clear(folder, keep="part-")
            write_whole(folder / SETTINGS_FILE, json.dumps(settings))
            _put(folder, output.absolute())
    except OSError as error:
        raise DataError(str(output), [f"cannot be written: {error.strerror or error}"]) from None


def check_rows(folder: Path, rows: Mapping[str, int]) -> None:
    """See that the files are there that workers wrote, with all their rows, and no other.

    Raises
    ------
    DataError
    """
    found = {path.name: pq.read_metadata(path).num_rows for path in folder.glob("part-*")}
    if found != rows:
        wrong = sorted(name for name in {*found, *rows} if found.get(name) != rows.get(name))
        fault = f"{len(wrong)} files, such as {wrong[0]}, are not what workers wrote; do they share this folder?"
        raise DataError(str(folder), [fault])


def _clear(folder: Path, keep: str = LOCK) -> None:
    """Remove all but the files whose names begin so, and the lock."""
    for path in folder.iterdir():
        if not path.name.startswith((keep, LOCK)):
            path.unlink()


def _put(folder: Path, output: Path) -> None:
    (folder / LOCK).unlink()
    gone = output.with_name(f".{output.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if output.exists():
        output.rename(gone)
    folder.rename(output)
    sync(output.parent)
    shutil.rmtree(gone, ignore_errors=True)
