"""Images of a catalog at their full size, decoded once and kept on disk, from which parts are read."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from threading import Lock
from typing import IO, NamedTuple

import numpy as np

from tumorkeras.data.cache import decoded, rows_of
from tumorkeras.data.canvas import with_channels
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.images import single_image
from tumorkeras.errors import DataError, shortened


class _Stored(NamedTuple):
    """Where an image lies in the file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype


class WholeImages:
    """The images of a catalog, decoded in threads, each once; memory holds as many at a time as there are threads.

    They lie side by side in a file without a name, which goes with the object, also where the process is killed.

    Parameters
    ----------
    catalog : Catalog
        Of images.
    channels : int
        1 (grey) or 3 (colour), which every image is brought to.

    Attributes
    ----------
    sizes : ndarray of int64, shape (n, 2)
        (height, width) of each image.

    Raises
    ------
    DataError
        If files cannot be read, have several pages, are not all of the same dtype, or the disk is full.
    """

    def __init__(self, catalog: Catalog, channels: int) -> None:
        self._catalog, self._channels = catalog, channels
        self._stored: dict[int, _Stored] = {}
        self._lock = Lock()
        with tempfile.TemporaryFile() as file:
            self.sizes = decoded(len(catalog), (2,), "int64", lambda row: self._store(row, file))
            self._check_dtypes()
            self._content = np.memmap(file, "uint8", "r")

    def _store(self, row: int, file: IO[bytes]) -> np.ndarray:
        image = self._decoded(row)
        try:
            with self._lock:
                self._stored[row] = _Stored(file.tell(), image.shape, image.dtype)
                file.write(np.ascontiguousarray(image).data)
                file.flush()
        except OSError as error:
            raise DataError(tempfile.gettempdir(), [f"the images cannot be written: {error.strerror}"]) from None
        return np.array(image.shape[:2], "int64")

    def _decoded(self, row: int) -> np.ndarray:
        try:
            return with_channels(single_image(self._catalog.read(row).array), self._channels)
        except DataError as error:
            raise DataError(self._name(row), error.faults or [error.heading]) from None

    def _name(self, row: int) -> str:
        return str(self._catalog.table["id"].iat[row])

    def _check_dtypes(self) -> None:
        found = Counter(str(self._stored[row].dtype) for row in range(len(self._catalog)))
        common = found.most_common(1)[0][0]
        faults = [
            f"{self._name(row)}: holds {stored.dtype} values, but most files hold {common}; give all the same"
            for row, stored in sorted(self._stored.items())
            if str(stored.dtype) != common
        ]
        if faults:
            raise DataError("decoding", shortened(faults))

    def part(self, row: int, box: np.ndarray) -> np.ndarray:
        """A copy of what lies in a box of an image, (height, width, channels).

        Parameters
        ----------
        row : int
        box : ndarray of int, shape (4,)
            xyxy in pixels of the image, inside it.
        """
        offset, shape, dtype = self._stored[row]
        left, top, right, bottom = box
        length = math.prod(shape) * dtype.itemsize
        image = self._content[offset : offset + length].view(dtype).reshape(shape)
        return rows_of(image[:, left:right], np.arange(top, bottom))
