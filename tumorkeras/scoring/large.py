"""Detection in images far larger than the canvas of the detector, tile by tile."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tumorkeras.boxes import NO_CLASS
from tumorkeras.data.cache import rows_of
from tumorkeras.data.images import read_image
from tumorkeras.data.tiles import TileGrid, check_tiles, tile_grid
from tumorkeras.errors import DataError, ModelError
from tumorkeras.layers.float32 import is_count
from tumorkeras.progress import progress_bar
from tumorkeras.scoring.seams import Found, merge_tiles, together

if TYPE_CHECKING:
    from tumorkeras.spec_sources import Tiles
    from tumorkeras.training import TrainedModel

OUTPUTS = ("boxes", "scores", "classes")


def predict_large(
    model: keras.Model | TrainedModel | str | Path,
    image: np.ndarray | str | Path,
    *,
    tile: Sequence[int] | None = None,
    overlap: int | None = None,
    batch_size: int = 4,
    nms_iou: float | None = None,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Detect objects in an image of any size, cut into overlapping tiles that are merged at their seams.

    An image that fits into one tile gets the model's own answer. In others an object that is no larger than the
    overlap lies whole in some tile, whose answer counts; see :func:`tumorkeras.scoring.seams.merge_tiles` for larger
    ones. The image is read tile by tile, so a memory-mapped array may be larger than the memory.

    Parameters
    ----------
    model : keras.Model, TrainedModel, str or Path
        A detector of :func:`tumorkeras.build_detector`, or any model that makes of images (batch, height, width,
        channels) a dict of ``boxes`` (batch, n, 4), xyxy in pixels of the images, ``scores`` (batch, n) and
        ``classes`` (batch, n), padded with -1; a trained detector or its folder.
    image : ndarray, str or Path
        (height, width) or (height, width, channels) of any numeric dtype, in the values that the model was trained
        on; or a file that :func:`tumorkeras.read` reads, brought to the model's channels.
    tile : sequence of int, optional
        (height, width) in pixels; by default the tiles that a trained detector was trained on, else the model's canvas,
        so that nothing is scaled.
    overlap : int, optional
        Pixels that neighbouring tiles share, best as many as the largest objects take; by default that of the tiles in
        training, else a quarter of the shorter side of a tile.
    batch_size : int, default 4
        Tiles a call of the model.
    nms_iou : float, optional
        IoU above which the weaker of two boxes of a class is dropped, above 0 to 1; by default the model's own, or 0.5.
    progress : bool, default True
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    dict
        ``boxes`` (n, 4) float32, xyxy in pixels of the image, ``scores`` (n,) float32 and ``classes`` (n,) int32, best
        first, without padding.

    Raises
    ------
    DataError
        If the image is no image, has other channels than the model reads or values that are not finite, or an
        argument is out of its range.
    ModelError
        If the model does not take images alone or does not answer with boxes.

    Examples
    --------
    >>> from tumorkeras.models.detector import build_detector
    >>> found = predict_large(build_detector((64, 64, 1), num_classes=2), np.zeros((96, 64), "uint8"))
    >>> sorted(found), found["boxes"].shape[1:], found["boxes"].dtype.name
    (['boxes', 'classes', 'scores'], (4,), 'float32')
    """
    network, trained_on = _network(model)
    nms_iou = _nms_iou(network) if nms_iou is None else nms_iou
    faults = []
    if not is_count(batch_size):
        faults.append(f"batch_size: {batch_size!r} is not a positive integer")
    if not 0 < nms_iou <= 1:
        faults.append(f"nms_iou: {nms_iou!r} is not above 0 to 1")
    if faults:
        raise DataError("predict_large", faults)
    pixels = _pixels(image, network.inputs[0].shape[-1])
    if tile is None:
        tile = _canvas(network) if trained_on is None else trained_on.size
    if overlap is None and trained_on is not None and trained_on.overlap < min(tile):
        overlap = trained_on.overlap  # the objects are as large, whatever the tiles are
    check_tiles(pixels.shape[:2], tile, overlap or 0)
    grid = tile_grid(pixels.shape[:2], tile, min(tile) // 4 if overlap is None else overlap)
    _check_size(network, grid)
    found, tiles = _tile_by_tile(network, pixels, grid, batch_size, progress)
    if len(grid) > 1:
        found = merge_tiles(found, tiles, grid, nms_iou)
    return found._asdict()


# ------------------------------------------------------------------------------------------------------------- model


def _network(model: keras.Model | TrainedModel | str | Path) -> tuple[keras.Model, Tiles | None]:
    """The network, and the tiles that it was trained on where that is known."""
    from tumorkeras.training.folder import TrainedModel, load

    if isinstance(model, str | Path):
        model = load(model)
    tiles = getattr(model.spec.source, "tiles", None) if isinstance(model, TrainedModel) else None
    network: Any = model.model if isinstance(model, TrainedModel) else model
    if not (hasattr(network, "inputs") and hasattr(network, "outputs")):
        raise ModelError("predict_large", [f"model: {type(model).__name__} found, expected a detector"])
    names = [each.name for each in network.inputs]
    if len(names) != 1 or len(network.inputs[0].shape) != 4:
        raise ModelError("predict_large", [f"model: reads {', '.join(names)}, expected images alone"])
    given = set(network.output) if isinstance(network.output, dict) else set()
    if missing := [name for name in OUTPUTS if name not in given]:
        raise ModelError("predict_large", [f"model: does not answer with {', '.join(missing)}, as a detector does"])
    return network, tiles


def _nms_iou(network: keras.Model) -> float:
    layers = {layer.name: layer for layer in network.layers}
    return getattr(layers.get("detections"), "nms_iou", 0.5)


def _canvas(network: keras.Model) -> tuple[int, int]:
    canvas = getattr(network, "canvas", network.inputs[0].shape[1:3])
    if None in canvas:
        raise ModelError("predict_large", ["tile: the model reads images of any size; say (height, width) of a tile"])
    return canvas


def _check_size(network: keras.Model, grid: TileGrid) -> None:
    read = network.inputs[0].shape[1:3]
    if any(side not in (None, given) for side, given in zip(read, grid.tile, strict=True)):
        raise DataError("predict_large", [f"tile: is {grid.tile} in this image, the model reads {read} alone"])


# ------------------------------------------------------------------------------------------------------------- image


def _pixels(image: np.ndarray | str | Path, channels: int) -> np.ndarray:
    """The image as (height, width, channels), still unread where it is memory-mapped."""
    if isinstance(image, str | os.PathLike):
        image = read_image(image, channels)
    if not isinstance(image, np.ndarray):
        raise DataError("predict_large", [f"image: {type(image).__name__} found, expected an array or a path"])
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or not pixels.size:
        raise DataError("predict_large", [f"image: has the shape {image.shape}, expected (height, width, channels)"])
    if pixels.dtype.kind not in "biuf":
        raise DataError("predict_large", [f"image: has the dtype {image.dtype}, expected numbers"])
    if pixels.shape[2] != channels:
        kinds = {1: "1 (grey)", 3: "3 (colour)"}
        found, wanted = (kinds.get(number, number) for number in (pixels.shape[2], channels))
        raise DataError("predict_large", [f"image: its channels are {found}, the model reads {wanted}"])
    return pixels


def _tile_by_tile(
    network: keras.Model, pixels: np.ndarray, grid: TileGrid, batch_size: int, shown: bool
) -> tuple[Found, np.ndarray]:
    """The detections of all tiles in pixels of the image, and the tile of each."""
    parts, tiles = [], []
    with progress_bar(len(grid), "predict_large", "tile", shown=shown) as bar:
        for numbers, batch in _batches(pixels, grid, batch_size):
            # What `predict` does with a batch, without what it builds around it anew for each call.
            answer = network.predict_on_batch(batch)
            inside, place = np.nonzero(answer["classes"] != NO_CLASS)
            corner = np.tile(grid.corners[numbers[inside], :2], 2)
            boxes = answer["boxes"][inside, place] + corner
            scores, classes = (answer[name][inside, place] for name in ("scores", "classes"))
            parts.append(Found(boxes.astype("float32"), scores.astype("float32"), classes.astype("int32")))
            tiles.append(numbers[inside])
            bar.update(len(numbers))
    return together(parts), np.concatenate(tiles)


def _batches(pixels: np.ndarray, grid: TileGrid, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of tiles and their pixels, float32."""
    corners = grid.corners
    for start in range(0, len(grid), batch_size):
        numbers = np.arange(start, min(start + batch_size, len(grid)))
        yield numbers, np.stack([_tile_of(pixels, *corners[number]) for number in numbers])


def _tile_of(pixels: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    # Copy-on-write maps hold what was written to them, which letting go would lose.
    held = getattr(pixels, "mode", None) == "c"
    part = pixels[top:bottom, left:right] if held else rows_of(pixels[:, left:right], np.arange(top, bottom))
    with np.errstate(over="ignore"):  # beyond float32 is not finite
        part = part.astype("float32")
    if bad := int((~np.isfinite(part)).sum()):
        where = f"rows {top} to {bottom} and columns {left} to {right}"
        raise DataError("predict_large", [f"image: holds {bad} values that are not finite in {where}"])
    return part
