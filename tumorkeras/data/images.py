"""Images from a folder a class, letterboxed to one size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from tumorkeras.data.tracks import shortened
from tumorkeras.errors import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def read_image_folder(folder: str | Path, shape: tuple[int, ...]) -> tuple[pd.DataFrame, np.ndarray]:
    """Images (n, height, width, channels) uint8 of ``folder/CLASS/*``, with a table of ids and classes.

    Raises
    ------
    DataError
        If the folder is missing, holds no class folder, a class has no image, or images cannot be decoded;
        all of those are named.
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
            if image is None:
                faults.append(f"{name}: cannot be decoded as an image")
                continue
            rows.append({"id": name, "class_name": class_folder.name})
            images.append(letterbox(image, shape[0], shape[1]))
    if faults:
        raise DataError(str(folder), shortened(faults))
    return pd.DataFrame(rows), np.stack(images)


def _decode(file: Path, channels: int) -> np.ndarray | None:
    """Pixels (height, width, channels) uint8, or None for a file that is no image."""
    encoded = np.frombuffer(file.read_bytes(), dtype="uint8")
    if not encoded.size:
        return None
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
    except cv2.error:  # a size beyond OpenCV's limit, mostly from a broken header
        return None
    if image is None:
        return None
    return image[..., None] if channels == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


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
