"""Pictures of what a detector found: each image with its boxes, classes and scores."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.images import read_image
from tumorkeras.errors import DataError, MissingExtraError, shortened
from tumorkeras.progress import progress_bar

Colour: TypeAlias = tuple[int, int, int]
# Red, green, blue of classes; told apart by the colour-blind too (Okabe and Ito).
COLOURS = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]
NEEDED = ("path", "class", "score", *CORNERS)
SMALLEST = 480  # pixels of the longer side, to which small images are enlarged, or no text could be read


def write_overlays(
    table: pd.DataFrame, folder: str | Path, *, threshold: float = 0.0, progress: bool = True
) -> list[Path]:
    """Draw the detections of a table onto their images, a PNG each.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`tumorkeras.score` gives it for a detector and image files.
    folder : path
        It is made where it is not there; pictures keep their place below the folder that all images share.
    threshold : float
        Smallest score that is drawn, 0 to 1.
    progress : bool, default True
        A bar on standard error, only on a terminal or in a notebook.

    Returns
    -------
    list of Path
        The pictures; an image that cannot be read, or is none but an array, has none.

    Raises
    ------
    DataError
        If the table is not of detections, or the folder cannot be written to or has the images themselves.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> _ = cv2.imwrite(str(folder / "scan.png"), np.zeros((240, 320), "uint8"))
    >>> row = {"path": str(folder / "scan.png"), "class": "cyst", "score": 0.9}
    >>> found = pd.DataFrame([row | {"xmin": 10, "ymin": 20, "xmax": 90, "ymax": 70}])
    >>> [path.name for path in write_overlays(found, folder / "drawn")]
    ['scan.png']
    """
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise DataError("overlays", [f"the table lacks {', '.join(missing)}; only that of a detector can be drawn"])
    drawn, folder = [], Path(folder)
    names = sorted(table["class"].dropna().unique())
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    groups = {str(path): rows for path, rows in table.groupby("path", sort=False)}
    above = _shared_folder(list(groups))
    places = {path: _place(folder, os.path.relpath(path, above)) for path in groups}
    _spare_originals(places)
    with progress_bar(len(groups), "overlays", "image", shown=progress) as bar:
        for path, rows in groups.items():
            bar.update()
            try:
                image = _as_shown(read_image(path, 3))
            except (DataError, MissingExtraError):
                continue  # the table says why
            kept = rows[rows["score"] >= threshold]
            drawn.append(_write(places[path], _draw(image, kept, colours)))
    return drawn


def _shared_folder(paths: Sequence[str]) -> str:
    return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]) if paths else "."


def _place(folder: Path, name: str) -> Path:
    return folder / (name if name.endswith(".png") else f"{name}.png")


def _spare_originals(places: dict[str, Path]) -> None:
    """Refuse a folder in which a picture would take the place of an image.

    Raises
    ------
    DataError
    """
    images = set(map(os.path.realpath, places))
    lost = [str(place) for place in places.values() if os.path.realpath(place) in images]
    if lost:
        faults = [f"{place} is an image itself; choose another folder for the pictures" for place in lost]
        raise DataError("overlays", shortened(faults))


def _as_shown(image: np.ndarray) -> np.ndarray:
    """Eight bits, from the darkest to the brightest where the image has more."""
    if image.dtype == np.uint8:
        return image
    levels = np.nan_to_num(image.astype("float32"), posinf=0, neginf=0)
    low, high = float(levels.min()), float(levels.max())
    return ((levels - low) * (255 / max(high - low, 1e-9))).round().astype("uint8")


def _draw(image: np.ndarray, found: pd.DataFrame, colours: dict[str, Colour]) -> np.ndarray:
    larger = max(1.0, SMALLEST / max(image.shape[:2]))
    canvas = cv2.resize(image, None, fx=larger, fy=larger) if larger > 1 else image.copy()
    unit = max(canvas.shape[:2]) / 640  # of lines and letters, which grow with the image
    best_first = found.sort_values("score", ascending=False)
    boxes = [tuple(round(side * larger) for side in sides) for sides in best_first[list(CORNERS)].to_numpy().tolist()]
    names = best_first["class"].tolist()
    for name, (left, top, right, bottom) in reversed(list(zip(names, boxes, strict=True))):
        cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colours[name], math.ceil(1.5 * unit))
    taken = np.zeros(canvas.shape[:2], bool)
    for name, score, (left, top, *_) in zip(names, best_first["score"], boxes, strict=True):
        _label(canvas, taken, f"{name} {score:.2f}", (left, top), colours[name], 0.45 * max(1.0, unit))
    return canvas


def _label(
    canvas: np.ndarray, taken: np.ndarray, text: str, corner: tuple[int, int], colour: Colour, scale: float
) -> None:
    """Text on its colour, above the corner, or within the image where there is no room.

    Where a better detection has its own text, there is none: a heap of them could not be read.
    """
    thickness = max(1, round(scale))
    (across, up), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    edge = 2 * thickness
    width, height = across + 2 * edge, up + below + edge
    left = max(0, min(corner[0], canvas.shape[1] - width))
    top = max(0, corner[1] - height)
    place = (slice(top, top + height), slice(left, left + width))
    if taken[place].any():
        return
    taken[place] = True
    canvas[place] = colour
    ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    start = (left + edge, top + edge // 2 + up)
    cv2.putText(canvas, text, start, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)


def _write(path: Path, picture: np.ndarray) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    except OSError as error:
        raise DataError(str(path), [f"cannot be written: {error.strerror}"]) from None
    return path
