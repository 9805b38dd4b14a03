"""How many objects the proposed regions reach, and how fast: a Markdown table for ultrasound and blood cells.

    TUMORKERAS_DATA=... python benchmarks/proposals.py [--parts train val] [--write FILE] [--picture FILE.png]

Recall is the share of the labelled boxes that a proposal overlaps by an IoU of 0.5, with the first 50 to 500 boxes an
image; intervals resample images, and in ``busi`` whole groups of near copies. Settings were chosen on the training
parts. ``--write`` puts the table between the marks ``<!-- proposals -->`` and ``<!-- /proposals -->`` of a file,
``--picture`` draws the best boxes over some images of the training part of ``busi``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from pages import put_between_marks

from tumorkeras import propose_regions, read_annotations
from tumorkeras.boxes import CORNERS, iou
from tumorkeras.files import write_whole
from tumorkeras.metrics.intervals import bootstrap

COUNTS = (50, 100, 200, 500)
MARK = "proposals"
SHOWN, BEST = 12, 8  # images and boxes of the picture


@dataclass(frozen=True)
class Labelled:
    """An image with its boxes, their classes, and the group that is drawn as a whole."""

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    group: str


def busi(folder: Path, part: str) -> list[Labelled]:
    """Ultrasound images with lesions."""
    table = pd.read_csv(folder / "busi" / "images.csv")
    boxes = pd.read_csv(folder / "busi" / "boxes.csv").groupby("image")
    rows = table[(table["split"] == part) & table["image"].isin(boxes.groups)]
    found = []
    for name, group in zip(rows["image"], rows["dup_group"], strict=True):
        own = boxes.get_group(name)
        image = read_image(folder / "busi" / "images" / f"{name}.jpg", cv2.IMREAD_GRAYSCALE)
        found.append(Labelled(image, own[CORNERS].to_numpy("float32"), own["class"].to_numpy(str), group))
    return found


def bccd(folder: Path, part: str) -> list[Labelled]:
    """Blood cells, without the two boxes that have no area."""
    names = (folder / "bccd" / "ImageSets" / "Main" / f"{part}.txt").read_text().split()
    table = read_annotations(folder / "bccd" / "Annotations")
    table = table[(table["xmax"] > table["xmin"]) & (table["ymax"] > table["ymin"])]
    boxes = table.groupby(table["image"].map(lambda name: Path(name).stem))
    found = []
    for name in names:
        own = boxes.get_group(name)
        image = read_image(folder / "bccd" / "JPEGImages" / f"{name}.jpg", cv2.IMREAD_COLOR_RGB)
        found.append(Labelled(image, own[CORNERS].to_numpy("float32"), own["class"].to_numpy(str), name))
    return found


def read_image(path: Path, how: int) -> np.ndarray:
    """An image file."""
    image = cv2.imread(str(path), how)
    if image is None:
        raise SystemExit(f"{path}: cannot be read; is TUMORKERAS_DATA the folder of the real data?")
    return image


SETS = {"busi": busi, "bccd": bccd}


def measured(labelled: list[Labelled]) -> tuple[list[np.ndarray], list[float]]:
    """For each image whether each object is reached with each number of boxes (objects, counts), and seconds."""
    reached, seconds = [], []
    for one in labelled:
        began = time.perf_counter()
        proposed = propose_regions(one.image, max(COUNTS))
        seconds.append(time.perf_counter() - began)
        near = iou(one.boxes, proposed)
        reached.append(np.stack([near[:, :count].max(axis=1, initial=0) >= 0.5 for count in COUNTS], axis=1))
    return reached, seconds


def recalls(reached: list[np.ndarray], groups: list[str], chosen: list[np.ndarray]) -> list[str]:
    """Recall with each number of boxes and its interval, of the chosen objects of each image."""
    hits = np.stack([hit[own].sum(axis=0) for hit, own in zip(reached, chosen, strict=True)])
    objects = np.array([own.sum() for own in chosen])

    def figures(weights: np.ndarray) -> np.ndarray:
        # A resample without any of the objects has no recall.
        total = weights @ objects
        return (weights @ hits) / np.where(total > 0, total, np.nan)[:, None]

    found = bootstrap(figures, len(objects), groups=groups)
    ends = zip(found.value, found.low, found.high, strict=True)
    return [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in ends]


def rows_of(name: str, part: str, labelled: list[Labelled]) -> list[list[str]]:
    """The table's rows of a part of a set: all objects, then each class where there are some."""
    reached, seconds = measured(labelled)
    groups = [one.group for one in labelled]
    speed = f"{statistics.median(seconds) * 1000:.0f}"
    rows = []
    kinds = sorted({kind for one in labelled for kind in one.classes})
    for kind in [None, *kinds]:
        chosen = [np.ones(len(one.classes), bool) if kind is None else one.classes == kind for one in labelled]
        count = f"{sum(own.sum() for own in chosen):,}"
        title = f"{name}, {part}: {len(labelled)} images" if kind is None else kind
        rows.append([title, count, *recalls(reached, groups, chosen), speed if kind is None else ""])
    return rows


def table_of(rows: list[list[str]]) -> str:
    """A Markdown table."""
    header = ["", "objects", *(f"recall, {count} boxes" for count in COUNTS), "ms an image"]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def picture(labelled: list[Labelled]) -> bytes:
    """Some images, the best boxes in blue; labelled boxes in green where 200 boxes reach them, else in red."""
    tiles = []
    for one in labelled[:: max(1, len(labelled) // SHOWN)][:SHOWN]:
        proposed = propose_regions(one.image)
        tile = cv2.cvtColor(one.image, cv2.COLOR_GRAY2BGR) if one.image.ndim == 2 else one.image[..., ::-1].copy()
        best = iou(one.boxes, proposed).max(axis=1, initial=0)
        draw(tile, proposed[:BEST], (255, 140, 0), 1)
        draw(tile, one.boxes[best >= 0.5], (0, 200, 0), 2)
        draw(tile, one.boxes[best < 0.5], (0, 0, 255), 2)
        tiles.append(cv2.resize(tile, (384, 320), interpolation=cv2.INTER_AREA))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 4)
    sheet = np.concatenate([np.concatenate(tiles[k : k + 4], axis=1) for k in range(0, len(tiles), 4)])
    return cv2.imencode(".png", sheet)[1].tobytes()


def draw(tile: np.ndarray, boxes: np.ndarray, colour: tuple[int, int, int], thickness: int) -> None:
    """Boxes on an image, in place."""
    for left, top, right, bottom in boxes.round().astype(int).tolist():
        cv2.rectangle(tile, (left, top), (right - 1, bottom - 1), colour, thickness)


def main() -> None:
    """Print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=["train", "val"], default=["train", "val"])
    parser.add_argument("--write", type=Path, help="a Markdown file with the marks")
    parser.add_argument("--picture", type=Path, help="a PNG file")
    options = parser.parse_args()
    if "TUMORKERAS_DATA" not in os.environ:
        parser.error("TUMORKERAS_DATA: not set; it names the folder that holds busi/ and bccd/")
    folder = Path(os.environ["TUMORKERAS_DATA"])
    rows = [
        row for name, read in SETS.items() for part in options.parts for row in rows_of(name, part, read(folder, part))
    ]
    table = table_of(rows)
    print(table)
    if options.write:
        put_between_marks(options.write, MARK, table)
    if options.picture:
        write_whole(options.picture, picture(busi(folder, "train")))


if __name__ == "__main__":
    main()
