"""Height and width of image files, from the head of a PNG or JPEG, else by decoding it."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from tumorkeras.data.annotations.pixels import read_pixels
from tumorkeras.errors import DataError
from tumorkeras.progress import progress_bar

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# These may hold an orientation, by which the decoder turns the image.
APP1, EXIF = 0xE1, b"eXIf"
FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
THREADS = 8


def image_sizes(folder: Path, names: Collection[str]) -> dict[str, tuple[int, int]]:
    """(height, width) of images by their names below a folder; what cannot be read is left out.

    Examples
    --------
    >>> import cv2, numpy as np, tempfile; folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.png", "b.jpg", "c.bmp"):
    ...     _ = cv2.imwrite(str(folder / name), np.zeros((3, 5), "uint8"))
    >>> image_sizes(folder, ["a.png", "b.jpg", "c.bmp", "d.png"])
    {'a.png': (3, 5), 'b.jpg': (3, 5), 'c.bmp': (3, 5)}
    """
    sizes: dict[str, tuple[int, int]] = {}
    with ThreadPoolExecutor(THREADS) as pool, progress_bar(len(names), "reading image sizes", "image") as bar:
        for name, size in zip(names, pool.map(lambda name: image_size(folder / name), names), strict=True):
            if size is not None:
                sizes[name] = size
            bar.update()
    return sizes


def image_size(path: Path) -> tuple[int, int] | None:
    """(height, width) of one image, None where it cannot be read."""
    try:
        with path.open("rb") as file:
            size = _size_in_head(file)
        return size or read_pixels(path).shape[:2]
    except (DataError, OSError):
        return None


def _size_in_head(file: BinaryIO) -> tuple[int, int] | None:
    head = file.read(4096)
    if head.startswith(PNG) and len(head) > 24:
        if EXIF in head:
            return None
        return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    if not head.startswith(JPEG):
        return None
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] != APP1:
        length = int.from_bytes(head[2:], "big")
        if head[1] in FRAME_HEADERS:
            frame = file.read(5)
            return int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
        file.seek(length - 2, 1)
    return None
