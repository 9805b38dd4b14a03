"""From a catalog of large images with boxes to one of their tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS, area, clip
from tumorkeras.data.box_tables import contents
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.readers import Reading
from tumorkeras.data.tiles import tile_grid
from tumorkeras.data.whole_images import WholeImages
from tumorkeras.spec_sources import DetectionSource, Tiles


def in_tiles(catalog: Catalog) -> tuple[Catalog, list[str]]:
    """The tiles of a catalog's images, each a sample; the catalog as it is where its spec asks for none.

    A tile is called ``name.png#top,left``; ``image_id``, ``tile_top`` and ``tile_left`` say the same in columns. It
    has the part and the columns of its image, and its group: the image itself where that has none, since the tiles
    of an image are no independent samples. Its boxes are those of :meth:`tumorkeras.data.tiles.TileGrid.cut`.

    Parameters
    ----------
    catalog : Catalog
        Of images with boxes, labelled, with their parts.

    Returns
    -------
    catalog : Catalog
        Images are decoded once, here; its reader cuts tiles out of them.
    notes : list of str
        What was cut and left out.

    Raises
    ------
    DataError
        As :class:`tumorkeras.data.whole_images.WholeImages`.
    """
    assert catalog.spec is not None
    source = catalog.spec.source
    if not isinstance(source, DetectionSource) or source.tiles is None:
        return catalog, []
    assert catalog.boxes is not None
    images = WholeImages(catalog, catalog.spec.input.shape[-1])
    places, boxes, lost = _cut(catalog, images.sizes, source.tiles)
    rows, corners = places[:, 0], places[:, 1:]
    table = _tile_table(catalog.table, rows, corners)
    boxes = boxes.assign(image=table["id"].to_numpy()[boxes.pop("tile")])
    table["class_name"] = contents(table, boxes)

    def reader(tile: int) -> Reading:
        return Reading(images.part(int(rows[tile]), corners[tile]), None, {})

    tiles = replace(catalog, table=table, boxes=boxes, reader=reader)
    kept = _kept(table, boxes, source.tiles)
    notes = [f"{len(catalog)} images were cut into {len(table)} tiles of {source.tiles.size} pixels"]
    if lost:
        notes.append(f"{lost} of {len(catalog.boxes)} boxes have no area inside their image and were left out")
    if len(kept) < len(table):
        notes.append(f"{len(table) - len(kept)} training tiles without objects were left out, drawn at random")
        tiles = tiles.select(kept)
    return tiles, notes


def _cut(catalog: Catalog, sizes: np.ndarray, tiles: Tiles) -> tuple[np.ndarray, pd.DataFrame, int]:
    """Image and corners of each tile, the boxes with the tile that each is in, and how many boxes have no area."""
    assert catalog.boxes is not None
    image = pd.Index(catalog.table["id"]).get_indexer(catalog.boxes["image"])
    order = np.argsort(image, kind="stable")
    starts = np.searchsorted(image[order], np.arange(len(catalog) + 1))
    corners = catalog.boxes[CORNERS].to_numpy("float64")
    places, numbers, objects, shown, lost, count = [], [], [], [], 0, 0
    for row, size in enumerate(sizes.tolist()):
        grid = tile_grid(size, tiles.size, tiles.overlap)
        own = order[starts[row] : starts[row + 1]]
        tile, box, cut = grid.cut(corners[own], tiles.visible)
        lost += int((area(clip(corners[own], grid.size)) == 0).sum())
        places.append(np.column_stack([np.full(len(grid), row), grid.corners]))
        numbers.append(count + tile)
        objects.append(own[box])
        shown.append(cut)
        count += len(grid)
    boxes = catalog.boxes.iloc[np.concatenate(objects)].reset_index(drop=True)
    boxes[CORNERS] = np.concatenate(shown)
    return np.concatenate(places), boxes.assign(tile=np.concatenate(numbers)), lost


def _tile_table(images: pd.DataFrame, rows: np.ndarray, corners: np.ndarray) -> pd.DataFrame:
    table = images.iloc[rows].reset_index(drop=True)
    left, top = corners[:, 0], corners[:, 1]
    names = [f"{name}#{y},{x}" for name, y, x in zip(table["id"], top, left, strict=True)]
    group = table["group"].where(table["group"].notna(), table["id"])
    return table.assign(group=group, image_id=table["id"], tile_top=top, tile_left=left, id=names)


def _kept(table: pd.DataFrame, boxes: pd.DataFrame, tiles: Tiles) -> np.ndarray:
    """The rows of the tiles that stay: of the training tiles without objects only as many as the spec asks for."""
    if tiles.empty is None:
        return np.arange(len(table))
    training = (table["split"] == "train").to_numpy()
    full = table["id"].isin(boxes["image"]).to_numpy()
    empty = np.flatnonzero(training & ~full)
    most = round(tiles.empty * int((training & full).sum()))
    left_out = np.random.default_rng(tiles.seed).permutation(empty)[most:]
    return np.setdiff1d(np.arange(len(table)), left_out)
