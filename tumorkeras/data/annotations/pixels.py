"""Pixels of label images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tumorkeras.errors import DataError


def read_pixels(path: Path) -> np.ndarray:
    """An image (height, width, channels) as it is in the file.

    Raises
    ------
    DataError
        If the file cannot be decoded, or is a volume.
    """
    from tumorkeras.data.readers import read

    image = read(path).array
    if image.ndim != 3:
        raise DataError(str(path), [f"has shape {image.shape}, expected one image"])
    return image
