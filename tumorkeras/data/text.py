"""Files of text up to a size, in any usual encoding."""

from __future__ import annotations

import codecs
from pathlib import Path

from tumorkeras.errors import DataError

MEGABYTE = 2**20


def read_bytes(path: Path, most_megabytes: int) -> bytes:
    """The content of a file that is there and not larger than an annotation file can be.

    Raises
    ------
    DataError
        If there is no such file, it is too large or cannot be read.
    """
    if not path.is_file():
        raise DataError(str(path), ["there is no such file"])
    try:
        if (size := path.stat().st_size) > most_megabytes * MEGABYTE:
            fault = f"has {size / MEGABYTE:.0f} MB, files of this kind at most {most_megabytes} MB"
            raise DataError(str(path), [fault])
        return path.read_bytes()
    except OSError as error:
        raise DataError(str(path), [f"cannot be read: {error.strerror or error}"]) from None


def read_text(path: Path, most_megabytes: int) -> str:
    """Text of a file: UTF-8 or UTF-16 with their marks, else Windows-1252.

    Raises
    ------
    DataError
        If the file cannot be read, or holds no text.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "classes.txt"
    >>> for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
    ...     _ = path.write_text("gutartig für Ärzte", encoding=encoding)
    ...     assert read_text(path, 1) == "gutartig für Ärzte"
    """
    content = read_bytes(path, most_megabytes)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not wide and b"\0" in content:
        raise DataError(str(path), ["is no text: it holds zero bytes; save it as UTF-8"])
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(str(path), ["is no text in UTF-8, UTF-16 or Windows-1252; save it as UTF-8"])
