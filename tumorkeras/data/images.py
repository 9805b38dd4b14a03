"""Images from a folder a class, letterboxed to one size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from tumorkeras.data.tracks import shortened
from tumorkeras.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
TIFF = (b"II", b"MM")  # how the files begin, by the order of their bytes
DEPTHS = ("uint8", "uint16")


def read_image_folder(folder: str | Path, shape: tuple[int, ...]) -> tuple[pd.DataFrame, np.ndarray]:
    """Images (n, height, width, channels) of ``folder/CLASS/*``, with a table of ids and classes.

    The images are uint8, or uint16 where the files have more than 8 bits: grey levels are kept as they are.

    Raises
    ------
    DataError
        If the folder is missing, holds no class folder, a class has no image, images cannot be decoded, have
        several pages, or are partly of 8 and partly of 16 bits; all of those are named.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> for name, grey in (("benign", 10), ("malignant", 20)):
    ...     (folder / name).mkdir()
    ...     _ = cv2.imwrite(str(folder / name / "1.png"), np.full((6, 6), grey, "uint8"))
    >>> table, images = read_image_folder(folder, (4, 4, 1))
    >>> table["id"].tolist(), images.shape, images[:, 0, 0, 0].tolist()
    (['benign/1.png', 'malignant/1.png'], (2, 4, 4, 1), [10, 20])
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(str(folder), ["there is no such folder"])
    if shape[-1] not in (1, 3):
        raise DataError("input.shape", [f"has {shape[-1]} channels; images have 1 (grey) or 3 (colour)"])
    class_folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not class_folders:
        raise DataError(str(folder), ["has no folder a class in it"])
    rows, images, faults = [], [], []
    for class_folder in class_folders:
        files = sorted(path for path in class_folder.rglob("[!.]*") if path.suffix.lower() in ENDINGS)
        if not files:
            faults.append(f"class {class_folder.name!r} has no image ({', '.join(ENDINGS)})")
        for file in files:
            name = file.relative_to(folder).as_posix()
            image = _decode(file, shape[-1])
            if isinstance(image, str):
                faults.append(f"{name}: {image}")
                continue
            rows.append({"id": name, "class_name": class_folder.name})
            images.append(letterbox(image, shape[0], shape[1]))
    table = pd.DataFrame(rows, columns=["id", "class_name"])
    faults += _depth_faults(table["id"], images)
    if faults:
        raise DataError(str(folder), shortened(faults))
    return table, np.stack(images)


def _decode(file: Path, channels: int) -> np.ndarray | str:
    """Pixels (height, width, channels) uint8 or uint16, or what is wrong with the file."""
    broken = "cannot be decoded as an image"
    encoded = np.frombuffer(file.read_bytes(), dtype="uint8")
    if not encoded.size:
        return broken
    # Without ANYDEPTH the 10 to 16 bits of an ultrasound or X-ray image would be cut to 8.
    flags = cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
    try:
        image = cv2.imdecode(encoded, flags)
    except cv2.error:  # a size beyond OpenCV's limit, mostly from a broken header
        return broken
    if image is None:
        return broken
    if encoded[:2].tobytes() in TIFF and (pages := cv2.imcount(str(file))) > 1:
        return f"has {pages} pages, expected one image; save each page as a file, or the stack as a volume in an .npz"
    if image.dtype not in DEPTHS:
        return f"has {image.dtype} pixels, expected 8 or 16 bits without sign"
    return image[..., None] if channels == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _depth_faults(names: Iterable[str], images: list[np.ndarray]) -> list[str]:
    """Name the files of the rarer depth: 8 and 16 bits are not on one scale."""
    bits = np.array([8 * image.itemsize for image in images])
    found, counts = np.unique(bits, return_counts=True)
    if len(found) < 2:
        return []
    rare, common = found[counts.argsort(kind="stable")]
    odd = [name for name, depth in zip(names, bits, strict=True) if depth == rare]
    return [f"{name}: has {rare} bits, but {counts.max()} images have {common}; give all the same" for name in odd]


def letterbox(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image scaled to fit into (height, width), its shape kept, centered on black.

    Examples
    --------
    >>> letterbox(np.full((4, 8, 1), 9, "uint8"), 8, 8)[:, 0, 0].tolist()
    [0, 0, 9, 9, 9, 9, 0, 0]
    """
    scale = min(height / image.shape[0], width / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.zeros((height, width, image.shape[2]), dtype=image.dtype)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = scaled.reshape(size[1], size[0], -1)
    return canvas
