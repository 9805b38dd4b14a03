"""Images and volumes of a catalog, decoded onto one canvas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from tumorkeras.data.cache import decoded
from tumorkeras.data.canvas import fit_volume, letterbox, with_channels
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.readers import Reading
from tumorkeras.errors import DataError

LOOKED_AT = 15  # files whose values tell the dtype of all


@dataclass(frozen=True)
class Crop:
    """A region of an image: xyxy in pixels, cut to the image."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    def of(self, image: np.ndarray) -> np.ndarray:
        """What lies in the region, at least one pixel.

        Raises
        ------
        DataError
            If the region lies outside the image.
        """
        height, width = image.shape[:2]
        left, top = max(0, int(np.floor(self.xmin))), max(0, int(np.floor(self.ymin)))
        right, bottom = min(width, int(np.ceil(self.xmax))), min(height, int(np.ceil(self.ymax)))
        if right <= left or bottom <= top:
            box = f"{self.xmin:g}, {self.ymin:g}, {self.xmax:g}, {self.ymax:g}"
            raise DataError("box", [f"the box {box} has no pixel of the image of {width} x {height}"])
        return image[top:bottom, left:right]


def decode_all(
    catalog: Catalog, shape: tuple[int, ...], rows: np.ndarray | None = None, crops: list[Crop] | None = None
) -> np.ndarray:
    """The samples (n, \\*shape) of a catalog, letterboxed (images) or fitted (volumes); large sets lie on disk.

    Parameters
    ----------
    catalog : Catalog
        Of images or volumes.
    shape : tuple of int
        (height, width, channels) or (depth, height, width, channels).
    rows : ndarray, optional
        Rows of the catalog, by default all, each once.
    crops : list of Crop, optional
        A region for each of ``rows``.

    Returns
    -------
    numpy.ndarray
        uint8, uint16, or float32 where the files hold other numbers, such as Hounsfield units.

    Raises
    ------
    DataError
        If files cannot be read, have several pages, or are not all of the same dtype: all of them are named.
    """
    if shape[-1] not in (1, 3):
        raise DataError("input.shape", [f"has {shape[-1]} channels; images have 1 (grey) or 3 (colour)"])
    rows = np.arange(len(catalog)) if rows is None else rows
    if not len(rows):
        raise DataError("source.path", ["holds no sample"])
    stored = _common_dtype(catalog, rows)
    fit = _fitter(catalog, shape)
    # The regions of an image follow one another: it is decoded once.
    read = lru_cache(maxsize=16)(partial(_read, catalog))
    dtype = stored if stored in ("uint8", "uint16") else "float32"

    def fill(number: int) -> np.ndarray:
        row = int(rows[number])
        reading = _read(catalog, row) if crops is None else read(row)
        try:
            _check_dtype(reading.array, stored)
            array = reading.array if crops is None else crops[number].of(reading.array)
            return fit(reading._replace(array=with_channels(array, shape[-1]))).astype(dtype, copy=False)
        except DataError as error:
            raise DataError(str(catalog.table["id"].iat[row]), error.faults) from None

    return decoded(len(rows), shape, dtype, fill)


def _read(catalog: Catalog, row: int) -> Reading:
    """A sample, its faults headed by its id."""
    try:
        return catalog.read(row)
    except DataError as error:
        raise DataError(str(catalog.table["id"].iat[row]), error.faults or [error.heading]) from None


def _common_dtype(catalog: Catalog, rows: np.ndarray) -> str:
    """The dtype of most of a few files spread over the catalog."""
    looked_at = rows[np.unique(np.linspace(0, len(rows) - 1, LOOKED_AT).astype(int))]
    found: Counter[str] = Counter()
    for row in looked_at:
        try:
            found[catalog.read(int(row)).array.dtype.name] += 1
        except DataError:
            continue  # named when all are read
    return found.most_common(1)[0][0] if found else "uint8"


def _check_dtype(array: np.ndarray, stored: str) -> None:
    found = array.dtype.name
    if found != stored:
        raise DataError("dtype", [f"holds {found} values, but most files hold {stored}; give all the same"])


def _fitter(catalog: Catalog, shape: tuple[int, ...]) -> Callable[[Reading], np.ndarray]:
    if catalog.kind == "images":
        return lambda reading: letterbox(_single(reading.array), shape[0], shape[1])
    wanted = None if catalog.spec is None else catalog.spec.input.spacing
    return lambda reading: fit_volume(
        reading.array if reading.array.ndim == 4 else reading.array[None], shape, _depth_first(reading.spacing), wanted
    )


def _depth_first(spacing: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return spacing if spacing is None or len(spacing) == 3 else None


def _single(array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        return array
    if array.ndim == 4 and len(array) == 1:
        return array[0]
    raise DataError("pages", [f"has {len(array)} pages, expected one image; give input.shape a depth for volumes"])
