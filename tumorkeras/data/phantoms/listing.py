"""Simulated images as a data source: all that is in them is listed before any is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.phantoms.simulate import Series, name_of
from tumorkeras.data.readers import Reading
from tumorkeras.spec import PhantomsSource

ORIGIN = "simulated"  # in the place of the annotations' file and line


def list_phantoms(
    source: PhantomsSource, size: tuple[int, int]
) -> tuple[pd.DataFrame, pd.DataFrame, Callable[[int], Reading]]:
    """The images of a source, the boxes in them, and what draws an image.

    Parameters
    ----------
    source : PhantomsSource
    size : tuple of int
        Height and width of the images in pixels.

    Returns
    -------
    table : pandas.DataFrame
        A row an image: ``id``, ``path`` (""), ``labelled``; ``group`` and ``given_split`` are missing.
    boxes : pandas.DataFrame
        As :func:`tumorkeras.read_annotations` gives them.
    reader : callable
        Draws the image of a row, alone.

    Examples
    --------
    >>> table, boxes, reader = list_phantoms(PhantomsSource(samples=2, without=0), (64, 80))
    >>> table["id"].tolist(), set(boxes["image"]) == set(table["id"]), reader(1).array.shape
    (['phantom_00000', 'phantom_00001'], True, (64, 80, 1))
    """
    series = series_of(source, size)
    names = [name_of(number) for number in range(source.samples)]
    table = pd.DataFrame({"id": names, "path": "", "labelled": True})
    for column in ("class_name", "group", "given_split"):
        table[column] = pd.Series([None] * len(table), dtype=object)
    return table, boxes_of(series, names), lambda row: _drawn(series, row)


def series_of(source: PhantomsSource, size: tuple[int, int]) -> Series:
    """The images that a source describes."""
    return Series(
        size,
        tuple(source.lesions),
        source.most,
        source.without,
        source.depth_mm,
        source.frequency_mhz,
        source.blur_mm,
        source.calipers,
        source.seed,
    )


def boxes_of(series: Series, names: list[str]) -> pd.DataFrame:
    """The boxes of the first images, a row a box; the images have these names."""
    outlines = [series.outlines(number) for number in range(len(names))]
    table = pd.DataFrame(np.concatenate([boxes for boxes, _ in outlines]), columns=CORNERS)
    kinds = [series.classes[k] for _, ids in outlines for k in ids]
    table.insert(0, "image", np.repeat(names, [len(ids) for _, ids in outlines]).astype(object))
    table.insert(1, "class", np.array(kinds, dtype=object))
    return table.assign(split=None, source=ORIGIN)


def _drawn(series: Series, number: int) -> Reading:
    image = series.image(number).image[..., None]
    return Reading(image, (series.pixel_mm, series.pixel_mm), {"format": "phantom", "bits": 8})
