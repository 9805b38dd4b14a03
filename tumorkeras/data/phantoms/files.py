"""Simulated ultrasound as files: PNG images and a table of boxes, as others come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.annotations import write_annotations
from tumorkeras.data.phantoms.lesions import KINDS
from tumorkeras.data.phantoms.simulate import Ultrasound, name_of, simulate_ultrasound
from tumorkeras.errors import DataError

IMAGES, TABLE = "images", "annotations.csv"


def write_ultrasound(folder: str | Path, n: int, **options: Any) -> tuple[Path, Path]:
    """Write the images of :func:`simulate_ultrasound` and their boxes into a folder; what is there is kept.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    n : int
        Number of images, at least 1.
    **options
        As for :func:`simulate_ultrasound`.

    Returns
    -------
    images : Path
        The folder ``images`` with grey PNG files.
    table : Path
        ``annotations.csv``, a row a box; an image without lesion has a row without class and box.

    Raises
    ------
    DataError
        If there are such files already, or an argument is outside its range.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> images, table = write_ultrasound(folder, 2, size=(32, 32), without=1)
    >>> sorted(path.name for path in images.iterdir()), table.read_text().splitlines()[1]
    (['phantom_00000.png', 'phantom_00001.png'], 'phantom_00000.png,,,,,,')
    """
    images, table = Path(folder) / IMAGES, Path(folder) / TABLE
    taken = [
        f"{place} is there already; remove it, or choose another folder" for place in (images, table) if place.exists()
    ]
    if taken:
        raise DataError("simulate", taken)
    if n == 0:  # an empty folder is no data set
        raise DataError("simulate", ["n: found 0, expected an integer from 1"])
    scans = simulate_ultrasound(n, **options)
    images.mkdir(parents=True)
    names = [f"{name_of(k)}.png" for k in range(n)]
    for name, image in zip(names, scans.images, strict=True):
        _write_png(images / name, image)
    write_annotations(_annotations(scans, names, options.get("classes", KINDS)), table)
    return images, table


def _write_png(path: Path, image: np.ndarray) -> None:
    done, content = cv2.imencode(".png", image)
    assert done
    path.write_bytes(content.tobytes())  # which says why it fails; cv2.imwrite does not


def _annotations(scans: Ultrasound, names: list[str], classes: tuple[str, ...]) -> pd.DataFrame:
    """A row a box, and one of an image without a lesion."""
    rows = []
    for name, boxes, ids in zip(names, scans.boxes, scans.classes, strict=True):
        count = int(np.sum(ids >= 0))
        rows += [[name, classes[k], *box] for k, box in zip(ids[:count], boxes[:count], strict=True)]
        rows += [[name, None, *[np.nan] * 4]] if not count else []
    return pd.DataFrame(rows, columns=["image", "class", *CORNERS])
