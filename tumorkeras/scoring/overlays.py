"""Pictures of what a detector found: each image with its boxes, classes and scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.images import read_image
from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.progress import progress_bar

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
        If the table is not of detections, or the folder cannot be written to.

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
        raise DataError("overlays", [f"the table has no column {name}; give one of a detector" for name in missing])
    drawn, folder = [], Path(folder)
    names = sorted(table["class"].dropna().unique())
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    groups = {str(path): rows for path, rows in table.groupby("path", sort=False)}
    above = _shared_folder(list(groups))
    with progress_bar(len(groups), "overlays", "image", shown=progress) as bar:
        for path, rows in groups.items():
            bar.update()
            try:
                image = _as_shown(read_image(path, 3))
            except (DataError, MissingExtraError):
                continue  # the table says why
            kept = rows[rows["score"] >= threshold]
            place = folder / os.path.relpath(path, above)
            drawn.append(_write(place if place.suffix == ".png" else Path(f"{place}.png"), _draw(image, kept, colours)))
    return drawn


def _shared_folder(paths: Sequence[str]) -> str:
    return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths]) if paths else "."


def _as_shown(image: np.ndarray) -> np.ndarray:
    """Eight bits, from the darkest to the brightest where the image has more."""
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    return ((image - low) * (255 / max(high - low, 1e-9))).astype("uint8")


def _draw(image: np.ndarray, found: pd.DataFrame, colours: dict[str, tuple[int, int, int]]) -> np.ndarray:
    larger = max(1.0, SMALLEST / max(image.shape[:2]))
    canvas = (
        cv2.resize(image, None, fx=larger, fy=larger, interpolation=cv2.INTER_LINEAR) if larger > 1 else image.copy()
    )
    width = max(1, round(max(canvas.shape[:2]) / 400))
    for name, score, *sides in found.sort_values("score")[list(NEEDED[1:])].itertuples(index=False):  # the best on top
        left, top, right, bottom = (round(side * larger) for side in sides)
        cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colours[name], width, cv2.LINE_AA)
        _label(canvas, f"{name} {score:.2f}", (left, top), colours[name], width)
    return canvas


def _label(canvas: np.ndarray, text: str, corner: tuple[int, int], colour: tuple[int, int, int], width: int) -> None:
    """Text on its colour, above the corner, or within the image where there is no room."""
    scale = 0.4 * width**0.5
    (across, up), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = max(0, min(corner[0], canvas.shape[1] - across - 4))
    bottom = max(corner[1], up + below + 4)
    cv2.rectangle(canvas, (left, bottom - up - below - 4), (left + across + 4, bottom), colour, cv2.FILLED)
    ink = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    cv2.putText(canvas, text, (left + 2, bottom - below - 1), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)


def _write(path: Path, picture: np.ndarray) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    except OSError as error:
        raise DataError(str(path), [f"cannot be written: {error.strerror}"]) from None
    return path
