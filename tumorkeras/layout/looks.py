"""How images and volumes look: sizes, colour, depth of grey and spacing, from a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tumorkeras.data.readers import Reading, read
from tumorkeras.errors import DataError, MissingExtraError

IMAGES_LOOKED_AT = 24
VOLUMES_LOOKED_AT = 3
MOST_PIXELS = 2**27  # of a sample; the rest may be larger
GREY_DIFFERENCE = 8  # between channels of 8-bit images that are still grey: JPEG is not exact


@dataclass(frozen=True)
class Look:
    """What a sample of the files shows.

    Attributes
    ----------
    sizes : tuple of tuple of int
        (height, width) or (depth, height, width) of each that could be read.
    volumes : bool
        Whether they have a depth.
    coloured : int
        How many have colours, and not only three equal channels.
    dtypes : tuple of str
        Sorted, each once.
    low, high : float
        Smallest and largest value of all.
    spacing : tuple of float or None
        Median millimetres along depth (volumes), height and width; None where files do not say it.
    faults : tuple of str
        What could not be read.
    """

    sizes: tuple[tuple[int, ...], ...]
    volumes: bool
    coloured: int
    dtypes: tuple[str, ...]
    low: float
    high: float
    spacing: tuple[float, ...] | None
    faults: tuple[str, ...]

    @property
    def size(self) -> tuple[float, ...]:
        """Median size; nothing where no file could be read."""
        return tuple(np.median(self.sizes, axis=0).tolist()) if self.sizes else ()

    @property
    def channels(self) -> int:
        """1 where nearly all are grey, else 3."""
        return 3 if self.coloured > len(self.sizes) / 10 else 1


def look_at(root: Path, names: Sequence[str], *, volumes: bool = False) -> Look:
    """Decode a few files (or folders of slices), spread over all.

    Parameters
    ----------
    root : Path
    names : sequence of str
        Paths from ``root``.
    volumes : bool
        Whether they are known to be volumes, of which fewer are decoded. Images that turn out to have a depth are
        volumes, too.
    """
    most = VOLUMES_LOOKED_AT if volumes else IMAGES_LOOKED_AT
    chosen = np.unique(np.linspace(0, len(names) - 1, most).astype(int))[: len(names)].tolist()
    readings, faults = [], []
    for k in chosen:
        try:
            readings.append(read(root / names[k], max_pixels=MOST_PIXELS))
        except DataError as error:
            faults += [f"{names[k]}: {fault}" for fault in error.faults]
        except MissingExtraError as error:
            faults.append(str(error))
            break
    deep = volumes or _mostly([_depth(reading) > 1 for reading in readings])
    return _look([reading for reading in readings if deep or _depth(reading) == 1], deep, faults)


def _look(readings: list[Reading], volumes: bool, faults: list[str]) -> Look:
    arrays = [reading.array for reading in readings]
    finite = [values for array in arrays if (values := array[np.isfinite(array)]).size]
    if volumes:
        sizes = [(_depth(reading), *reading.array.shape[-3:-1]) for reading in readings]
    else:
        sizes = [reading.array.shape[-3:-1] for reading in readings]
    known = [r.spacing for r in readings if r.spacing is not None and len(r.spacing) == (3 if volumes else 2)]
    spacing = tuple(float(step) for step in np.median(known, axis=0)) if known and len(known) == len(readings) else None
    return Look(
        tuple(tuple(int(side) for side in size) for size in sizes),
        volumes,
        sum(_is_coloured(array) for array in arrays),
        tuple(sorted({array.dtype.name for array in arrays})),
        min((float(array.min()) for array in finite), default=0.0),
        max((float(array.max()) for array in finite), default=0.0),
        spacing,
        tuple(faults),
    )


def _depth(reading: Reading) -> int:
    return reading.array.shape[0] if reading.array.ndim == 4 else 1


def _mostly(found: list[bool]) -> bool:
    return sum(found) * 2 > len(found)


def _is_coloured(array: np.ndarray) -> bool:
    if array.shape[-1] != 3:
        return False
    colours = array[..., ::4, ::4, :].astype("float32")
    apart = colours.max(axis=-1) - colours.min(axis=-1)
    scale = 255 / max(255.0, float(np.abs(colours).max()))
    # A few coloured pixels, such as a marker drawn on the image, do not make it a colour image.
    return bool((apart * scale > GREY_DIFFERENCE).mean() > 0.01)
