"""Images and volumes of a catalog, decoded onto one canvas."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tumorkeras.data.cache import decoded
from tumorkeras.data.canvas import fit_volume, letterbox, with_channels
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.readers import Reading, read
from tumorkeras.errors import DataError

LOOKED_AT = 15  # files whose values tell the dtype of all


@dataclass(frozen=True)
class Crop:
    """A box of an image, xyxy in pixels, with a margin on each side: a share of its longer side."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    margin: float = 0.0

    def of(self, image: np.ndarray) -> np.ndarray | None:
        """What of the image lies in the box and its margin; None where the box has no pixel of the image."""
        if _pixels(image, self.xmin, self.ymin, self.xmax, self.ymax).size == 0:
            return None
        around = self.margin * max(self.xmax - self.xmin, self.ymax - self.ymin)
        return _pixels(image, self.xmin - around, self.ymin - around, self.xmax + around, self.ymax + around)


def _pixels(image: np.ndarray, xmin: float, ymin: float, xmax: float, ymax: float) -> np.ndarray:
    """Every pixel that a box touches."""
    top, left = max(0, math.floor(ymin)), max(0, math.floor(xmin))
    return image[top : max(top, math.ceil(ymax)), left : max(left, math.ceil(xmax))]


def decode_all(catalog: Catalog, shape: tuple[int, ...]) -> np.ndarray:
    """The samples (n, \\*shape) of a catalog, letterboxed (images) or fitted (volumes); large sets lie on disk.

    Parameters
    ----------
    catalog : Catalog
        Of images or volumes.
    shape : tuple of int
        (height, width, channels) or (depth, height, width, channels).

    Returns
    -------
    numpy.ndarray
        uint8, uint16, or float32 where the files hold other numbers, such as Hounsfield units.

    Raises
    ------
    DataError
        If files cannot be read, have several pages, do not say the spacing that the spec asks for, or are not all of
        the same dtype: all of them are named.
    """
    rows = np.arange(len(catalog))
    decoder = _Decoder(catalog, shape, rows)
    return decoded(len(rows), shape, decoder.dtype, lambda row: decoder.fitted(row, decoder.read(row)))


def decode_regions(
    catalog: Catalog, shape: tuple[int, ...], rows: np.ndarray, crops: list[Crop]
) -> tuple[np.ndarray, np.ndarray]:
    """Regions (n, \\*shape) of the images of a catalog, as :func:`decode_all` gives images.

    Parameters
    ----------
    rows : ndarray of int, shape (n,)
        The image of each region; where the regions of an image follow one another it is decoded once.
    crops : list of Crop

    Returns
    -------
    regions : numpy.ndarray
    inside : ndarray of bool, shape (n,)
        Whether the box has a pixel of its image; where it has none the region is 0.
    """
    decoder = _Decoder(catalog, shape, rows)
    read = lru_cache(maxsize=16)(decoder.read)
    inside = np.ones(len(rows), dtype=bool)

    def fill(number: int) -> np.ndarray:
        row = int(rows[number])
        reading = read(row)
        region = crops[number].of(reading.array)
        if region is None:
            inside[number] = False
            return np.zeros(shape, decoder.dtype)
        return decoder.fitted(row, reading._replace(array=region))

    return decoded(len(rows), shape, decoder.dtype, fill), inside


class _Decoder:
    """Reads rows of a catalog and puts them on the canvas; faults are headed by the sample's id."""

    def __init__(self, catalog: Catalog, shape: tuple[int, ...], rows: np.ndarray) -> None:
        if shape[-1] not in (1, 3):
            raise DataError("input.shape", [f"has {shape[-1]} channels; images have 1 (grey) or 3 (colour)"])
        if not len(rows):
            raise DataError("source.path", ["holds no sample"])
        self._catalog, self._channels = catalog, shape[-1]
        self._fit = _fitter(catalog, shape)
        self._stored = _common_dtype(catalog, rows)
        self.dtype = self._stored if self._stored in ("uint8", "uint16") else "float32"

    def read(self, row: int) -> Reading:
        """A sample of the dtype that most have."""
        name = str(self._catalog.table["id"].iat[row])
        try:
            reading = self._catalog.read(row)
        except DataError as error:
            raise DataError(name, error.faults or [error.heading]) from None
        found = reading.array.dtype.name
        if found != self._stored:
            fault = f"holds {found} values, but most files hold {self._stored}; give all the same"
            raise DataError(name, [fault])
        return reading

    def fitted(self, row: int, reading: Reading) -> np.ndarray:
        """A sample, or a region of it, on the canvas."""
        try:
            array = self._fit(reading._replace(array=with_channels(reading.array, self._channels)))
        except DataError as error:
            raise DataError(str(self._catalog.table["id"].iat[row]), error.faults) from None
        return array.astype(self.dtype, copy=False)


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


def _fitter(catalog: Catalog, shape: tuple[int, ...]) -> Callable[[Reading], np.ndarray]:
    if catalog.kind == "images":
        return lambda reading: letterbox(single_image(reading.array), shape[0], shape[1])
    wanted = None if catalog.spec is None else catalog.spec.input.spacing
    return lambda reading: _fitted_volume(reading, shape, wanted)


def _fitted_volume(reading: Reading, shape: Sequence[int], wanted: Sequence[float] | None) -> np.ndarray:
    """A volume, or an image as a volume of one page, on the canvas."""
    volume = reading.array if reading.array.ndim == 4 else reading.array[None]
    if wanted is not None and (reading.spacing is None or len(reading.spacing) != 3):
        fault = "says no spacing along its three axes, so it cannot be brought to input.spacing"
        raise DataError("spacing", [f"{fault}; leave input.spacing out, or give files that say it"])
    return fit_volume(volume, shape, reading.spacing, wanted)


def single_image(array: np.ndarray) -> np.ndarray:
    """An image (height, width, channels), of a file that may call it a volume of one page.

    Raises
    ------
    DataError
        If there are several pages.

    Examples
    --------
    >>> single_image(np.zeros((1, 4, 6, 3))).shape
    (4, 6, 3)
    """
    if array.ndim == 3:
        return array
    if array.ndim == 4 and len(array) == 1:
        return array[0]
    raise DataError("pages", [f"has {len(array)} pages, expected one image; give input.shape a depth for volumes"])


def read_image(path: str | Path, channels: int | None) -> np.ndarray:
    """An image file (height, width, channels) in its own values, grey or in colour as the model reads it.

    Raises
    ------
    DataError
        If it cannot be read, or is no single image.
    """
    image = single_image(read(path).array)
    return image if channels is None else with_channels(image, channels)


def read_volume(path: str | Path, shape: Sequence[int], spacing: Sequence[float] | None = None) -> np.ndarray:
    """A volume file, or a folder with a DICOM series, on the canvas that the model reads: as training has it.

    Parameters
    ----------
    path : path
    shape : sequence of int
        (depth, height, width, channels) of the result; 1 channel is grey, 3 are colour.
    spacing : sequence of float, optional
        Size of a step along depth, height and width, in millimetres; without it each axis is scaled to fill the canvas.

    Returns
    -------
    numpy.ndarray
        Of the dtype that the file gives.

    Raises
    ------
    DataError
        If it cannot be read, or does not say the spacing that is asked for.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "scan.npy"
    >>> np.save(path, np.ones((2, 8, 8), "uint8"))
    >>> read_volume(path, (4, 4, 4, 1)).shape
    (4, 4, 4, 1)
    """
    reading = read(path)
    return _fitted_volume(reading._replace(array=with_channels(reading.array, shape[-1])), shape, spacing)
