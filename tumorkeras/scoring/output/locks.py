"""A folder that one process at a time writes into."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import BinaryIO

from tumorkeras.errors import DataError

LOCK = "_lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # what file systems without locks answer
log = logging.getLogger(__name__)


def lock_folder(folder: Path) -> BinaryIO:
    """Make the folder if it is not there, and keep other processes out of it until the answer is closed.

    The lock goes with the process that holds it, however that ends; processes that were forked from it hold it, too.

    Raises
    ------
    DataError
        If somebody else holds it.
    OSError
        If the folder cannot be made, or written to.
    """
    while True:
        folder.mkdir(exist_ok=True)
        try:
            file = (folder / LOCK).open("ab")
        except FileNotFoundError:  # Its owner has finished just now, and the folder is gone.
            continue
        try:
            _lock(folder, file)
            if _is_named(folder / LOCK, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(folder: Path, file: BinaryIO) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(str(folder), ["another call writes into it; let it end, or choose another output"]) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s: its file system has no locks; see that no other call writes into it", folder)


def _is_named(path: Path, file: BinaryIO) -> bool:
    """Whether an open file is still the one at its path: its folder may have gone before it was locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
