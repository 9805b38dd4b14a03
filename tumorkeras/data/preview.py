"""What samples show of themselves in a notebook: how many of each class and part, and a few pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from tumorkeras import markup
from tumorkeras.data.cache import rows_of
from tumorkeras.data.splits import PARTS
from tumorkeras.errors import DataError
from tumorkeras.markup import Cell, Row
from tumorkeras.palette import rgb_of

if TYPE_CHECKING:
    from tumorkeras.data.detection import DetectionSamples
    from tumorkeras.data.parted import Parted
    from tumorkeras.data.samples import Samples

SHOWN = 6  # samples
SIDE = 180  # pixels of the longer side of a picture, which a page shows at two thirds
MOST_CHARACTERS = 150_000  # of all pictures together
MOST_ROWS = 20  # of the table of counts

Drawn = tuple[str, np.ndarray]  # a figure, and the values that it was drawn from


def samples_card(samples: Samples) -> str:
    """Counts by class and part, shape and range, and a few samples; only these are read."""
    split, names = samples.table["split"], samples.table["class_name"]
    counts = pd.crosstab(names, split).reindex(index=samples.classes, columns=PARTS, fill_value=0)
    lines = dict(zip(samples.classes, counts.to_numpy().tolist(), strict=True))
    draw = _drawn_track if samples.are_tracks else _drawn_array
    what = "tracks" if samples.are_tracks else "volumes" if samples.values.ndim == 5 else "images"
    return _card(samples, what, lines, spread(split, samples.labels), lambda row: draw(samples, row))


def detection_card(samples: DetectionSamples) -> str:
    """Counts of images and objects by part, shape and range, and a few images with their boxes; only these are read."""
    split, of_image = samples.table["split"], np.diff(samples.offsets)
    objects = of_image[samples.rows]
    lines = {"images": _in_parts(split), "images without an object": _in_parts(split[objects == 0])}
    uses = [np.bincount(samples.rows[split == part], minlength=len(of_image)) for part in PARTS]
    image_of_box = np.repeat(np.arange(len(of_image)), of_image)
    for number, name in enumerate(samples.classes):
        own = image_of_box[samples.class_ids == number]
        lines[f"boxes: {name}"] = [int(used[own].sum()) for used in uses]
    filled = np.flatnonzero(objects) if objects.any() else np.arange(len(samples))
    chosen = filled[spread(split.iloc[filled])]
    return _card(samples, "images", lines, chosen, lambda row: _drawn_boxes(samples, row))


def spread(split: pd.Series, labels: np.ndarray | None = None) -> np.ndarray:
    """The rows of a few samples: of the part "train" where it has any, of every class in turn, evenly spread.

    Examples
    --------
    >>> spread(pd.Series(["train"] * 20 + ["test"] * 5), np.arange(25) // 10).tolist()
    [0, 10, 4, 14, 9, 19]
    """
    pool = np.flatnonzero(split == "train") if (split == "train").any() else np.arange(len(split))
    kinds = np.zeros(len(pool), int) if labels is None else labels[pool]
    found = [pool[kinds == kind] for kind in np.unique(kinds)]
    each = -(-SHOWN // max(1, len(found)))
    chosen = [rows[np.linspace(0, len(rows) - 1, min(each, len(rows))).round().astype(int)] for rows in found]
    turns = [rows[turn] for turn in range(each) for rows in chosen if turn < len(rows)]
    return np.array(turns[:SHOWN], int)


# ------------------------------------------------------------------------------------------------------------- card


def _card(
    samples: Samples | DetectionSamples,
    what: str,
    lines: Mapping[str, Sequence[int]],
    rows: np.ndarray,
    draw: Callable[[int], Drawn],
) -> str:
    figures: list[str] = []
    values: list[np.ndarray] = []
    faults: list[str] = []
    for row in rows.tolist():
        try:
            figure, drawn = draw(row)
        except Exception as error:  # of any kind, as the values may lie anywhere: a preview is no place to fail
            faults.append(markup.paragraph(f"Sample {row} cannot be shown: {error}", "aside"))
            continue
        if figures and len("".join([*figures, figure])) > MOST_CHARACTERS:
            break
        figures.append(figure)
        values.append(drawn)
    about = markup.facts(_about(samples, values), "Values")
    shown = markup.figures(figures) if figures else ""
    notes = markup.details("What loading says", markup.bullets(samples.notes)) if samples.notes else ""
    title = f"{samples.spec.name}: {len(samples):,} {what}"
    return markup.card(title, [_counts(lines), about, shown, *faults, notes])


def _counts(lines: Mapping[str, Sequence[int]]) -> str:
    shown = list(lines.items())[:MOST_ROWS]
    rows = [
        Row([Cell(name), *(Cell(f"{count:,}", number=True) for count in (*counts, sum(counts)))])
        for name, counts in shown
    ]
    rest = len(lines) - len(shown)
    more = markup.paragraph(f"and {rest} more classes", "soft") if rest else ""
    return markup.table(["", *PARTS, "all"], rows, "How many") + more


def _in_parts(split: pd.Series) -> list[int]:
    return [int((split == part).sum()) for part in PARTS]


def _about(samples: Samples | DetectionSamples, shown: Sequence[np.ndarray]) -> list[tuple[str, str]]:
    values = samples.values if hasattr(samples, "values") else samples.images
    finite = [array[np.isfinite(array)] for array in shown]
    finite = [array for array in finite if array.size]
    least, most = (min(map(np.min, finite)), max(map(np.max, finite))) if finite else (0, 0)
    return [
        ("shape of one", " x ".join(map(str, values.shape[1:]))),
        ("values", f"{values.dtype}" + (f", {least:.4g} to {most:.4g} in those below" if finite else "")),
        ("groups", _groups(samples)),
    ]


def _groups(samples: Parted) -> str:
    return "" if samples.groups is None else f"{len(np.unique(samples.groups)):,}, each whole in one part"


# --------------------------------------------------------------------------------------------------------- pictures


def _drawn_array(samples: Samples, row: int) -> Drawn:
    array = rows_of(samples.values, np.array([row]))[0]
    name = str(samples.table["class_name"].iloc[row])
    volume = array.ndim == 4
    picture = _tile(_colours(np.fmax.reduce(array, axis=0) if volume else array))
    return _figure(picture, f"maximum of the slices, {name}" if volume else name, name), array


def _drawn_boxes(samples: DetectionSamples, row: int) -> Drawn:
    image, placed = samples.image_of(row), samples.placement(row)
    boxes, ids = samples.boxes_of(row)
    tile = _tile(_colours(image))
    corners = (boxes - np.tile([placed.left, placed.top], 2)) * (max(tile.shape[:2]) / max(image.shape[:2]))
    for color, width in ((None, 4), (ids, 2)):  # a white rim shows every colour on dark tissue
        for place, (left, top, right, bottom) in enumerate(corners.round().astype(int).tolist()):
            stroke = (255, 255, 255) if color is None else rgb_of(int(ids[place]))
            cv2.rectangle(tile, (left, top), (right - 1, bottom - 1), stroke, width)
    counts = np.bincount(ids, minlength=len(samples.classes))
    said = ", ".join(f"{count} {name}" for name, count in zip(samples.classes, counts, strict=True) if count)
    return _figure(tile, f"image with {said or 'no object'}", said or "no object"), image


def _drawn_track(samples: Samples, row: int) -> Drawn:
    """A path in the plane, as SVG; a ring where it begins."""
    track = np.asarray(samples.values[row], dtype="float64")
    name = str(samples.table["class_name"].iloc[row])
    path = track[np.isfinite(track).all(axis=1)]
    if not len(path):
        raise DataError(name, ["holds no position that is a number"])
    middle, reach = (path.min(axis=0) + path.max(axis=0)) / 2, np.ptp(path, axis=0).max() or 1.0
    places = (path - middle) / reach * 84 + 48
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = (
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1"/>'
        f'<circle cx="{places[0, 0]:.1f}" cy="{places[0, 1]:.1f}" r="3" fill="none" stroke="currentColor"/>'
    )
    return markup.drawing(drawn, (96, 96), f"path, {name}", name), track


def _colours(image: np.ndarray) -> np.ndarray:
    """(height, width, channels) of any values -> (height, width, 3) uint8; but for uint8 on a scale of its own."""
    image = image if image.shape[-1] in (1, 3) else image.mean(axis=-1, keepdims=True)
    if image.dtype != np.uint8:
        levels = image.astype("float64")
        finite = levels[np.isfinite(levels)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
        levels = np.clip((levels - low) / ((high - low) or 1.0), 0, 1)
        image = (np.nan_to_num(levels) * 255).round().astype("uint8")
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def _tile(image: np.ndarray) -> np.ndarray:
    height, width = (max(1, round(side * SIDE / max(image.shape[:2]))) for side in image.shape[:2])
    shrinks = max(image.shape[:2]) > SIDE
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _figure(picture: np.ndarray, alt: str, caption: str) -> str:
    png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
    return markup.figure(png, alt, caption, photo=True)
