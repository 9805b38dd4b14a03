"""Files that nobody ever sees half written."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file such that a reader, or a kill in the middle, finds the old file or the new one, whole.

    The content goes to ``.NAME.new`` in the same folder, which then takes the file's name in one step.

    Parameters
    ----------
    path : path
        The file; one that is there is replaced. Its folder must exist.
    content : str or bytes
        Text is written as UTF-8, its line ends as they are.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written to, or the disk is full; the old file is untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "card.json")
    ...     write_whole(path, "{}")
    ...     path.read_text(), sorted(os.listdir(folder))
    ('{}', ['card.json'])
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
