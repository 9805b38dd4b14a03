"""Masks: images whose values say what each pixel belongs to, and the boxes around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from tumorkeras.data.annotations.names import Fault, ImagesByStem, part_above, part_of, visible_files
from tumorkeras.data.annotations.pixels import read_pixels
from tumorkeras.data.annotations.table import ONE_CLASS, Faults, Row, make_row, make_table
from tumorkeras.data.names import without_ending
from tumorkeras.errors import DataError
from tumorkeras.progress import progress_bar

ENDINGS = (".png", ".tif", ".tiff", ".bmp")
# What tools add to the name of the image: a_mask.png, "a_mask_1.png", a-seg.tif
WORDS = "masks?|segmentations?|seg|labels?|gt|annotations?|instances?"
SUFFIX = re.compile(rf"[ _.-](?:{WORDS}|roi)(?:[ _-]?\d+)?$", re.IGNORECASE)
WORD = re.compile(WORDS, re.IGNORECASE)
MOST_VALUES = 100  # of a label mask without names; a photograph has more
COUNTED = 2**16

Classes = Sequence[str] | Mapping[int, str] | Mapping[str, str]
ClassOf = Callable[["Drawn", int, Classes | None], str]


def read_masks(
    path: Path, faults: Faults, images: Path | None = None, classes: Classes | None = None, *, instances: bool = False
) -> pd.DataFrame:
    """The boxes of masks, one file or all below a folder; 0 is background.

    In a label mask each value is a class, and each connected region (over edges and corners) an object. In an
    instance mask each value is an object. A mask of 0 is an image without objects.

    Parameters
    ----------
    path : path
        Files of one channel (or equal ones), whole numbers. Where images lie beside masks that are told by their
        names (``a.png`` and ``a_mask.png``), the masks are read.
    faults : Faults
        To which masks that cannot be decoded or have several channels, and values without a class, are added; they
        are left out.
    images : path, optional
        Folder of the images, for their names with ending; the name of a mask without ``_mask``, ``_seg`` ... else.
    classes : sequence or mapping, optional
        In label masks the class of each value: by number, or for 1, 2 ... in order; the value itself without it. In
        instance masks, and label masks of one value, the class is that of the image where a mapping from image names
        (without ending) is given, that of the folder inside ``path`` where there is one, that which the file's name
        begins with, the only one, or "object".
    instances : bool
        Whether each value is an object.

    Returns
    -------
    pandas.DataFrame
        With ``width`` and ``height`` of the mask.

    Raises
    ------
    DataError
        If there is no mask.
    """
    if not path.exists():
        raise DataError(str(path), ["there is no such file or folder"])
    root = path.parent if path.is_file() else path
    files = [path] if path.is_file() else mask_files(path, faults)
    if not files and not faults:
        raise DataError(str(path), [f"holds no mask ({', '.join(ENDINGS)})"])
    drawn: list[Drawn] = []
    names = ImagesByStem(images or root, without=() if images else files)
    with progress_bar(len(files), "reading masks", "mask") as bar:
        for file in files:
            where = file.relative_to(root).as_posix()
            with faults.at(where):
                drawn.append(_draw(file, where, names, instances=instances, named=classes is not None))
            bar.update()
    class_of = _by_value if not instances and len(_values(drawn)) > 1 else _by_image
    rows = [row for mask in drawn for row in _rows(mask, class_of, classes, faults)]
    return make_table(rows, faults)


def mask_files(folder: Path, faults: Faults | None = None) -> list[Path]:
    """The masks below a folder, without the images that lie beside them."""
    files = visible_files(folder, ENDINGS, faults)
    named = [file for file in files if has_suffix(file)]
    others = [file for file in visible_files(folder, (".jpg", ".jpeg", *ENDINGS)) if not has_suffix(file)]
    beside = {without_ending(str(file)) for file in others}
    return named if named and all(SUFFIX.sub("", without_ending(str(file))) in beside for file in named) else files


def has_suffix(file: Path) -> bool:
    """Whether a file's name says that it is a mask."""
    return SUFFIX.search(without_ending(file.name)) is not None


class Drawn(NamedTuple):
    """What a mask shows: for each object its value, its number within the value, and its box."""

    where: str
    stem: str
    image: str
    size: tuple[int, int]
    objects: list[tuple[int, int, list[float]]]


def _draw(file: Path, where: str, names: ImagesByStem, *, instances: bool, named: bool) -> Drawn:
    mask = _read_mask(file)
    stem = SUFFIX.sub("", without_ending(where))
    values = _present(mask)
    if instances:
        objects = [(value, 1, box) for value, box in zip(values, _extents(mask), strict=True)]
    elif len(values) > MOST_VALUES and not named:
        raise Fault(f"holds {len(values)} values, too many for classes; is it a mask, or one of format instance_masks?")
    else:
        objects = [(value, k, box) for value in values for k, box in enumerate(_regions(mask == value), start=1)]
    return Drawn(where, stem, names.find(stem) or stem, (mask.shape[0], mask.shape[1]), objects)


def _read_mask(file: Path) -> np.ndarray:
    """Values (height, width) of a mask."""
    image = read_pixels(file)
    if image.ndim != 3 or any((image[..., k] != image[..., 0]).any() for k in range(1, min(image.shape[2], 3))):
        raise Fault(f"has shape {image.shape}, expected one value a pixel: one page, one channel or equal ones")
    mask = image[..., 0]
    if mask.dtype.kind == "f" and not (np.isfinite(mask).all() and (mask == mask.round()).all()):
        raise Fault("holds values that are no whole numbers")
    if mask.min() < 0 or mask.max() >= 2**31:
        raise Fault(f"holds values from {mask.min()} to {mask.max()}, expected whole numbers from 0 on")
    return mask.astype("int32")


def _regions(inside: np.ndarray) -> list[list[float]]:
    """Boxes of the connected regions of one class."""
    stats = cv2.connectedComponentsWithStats(inside.astype("uint8"), connectivity=8)[2][1:]
    left, top, width, height = stats[:, :4].T
    return np.stack([left, top, left + width, top + height], axis=1).astype("float64").tolist()


def _present(mask: np.ndarray) -> list[int]:
    """The values of a mask but 0, in order."""
    # Counting is many times faster than sorting, as long as there are no large values.
    found = np.flatnonzero(np.bincount(mask.ravel())) if mask.max() <= COUNTED else np.unique(mask)
    return [int(value) for value in found if value]


def _extents(mask: np.ndarray) -> list[list[float]]:
    """The box of each value but 0, in order."""
    labels = mask if mask.max() <= COUNTED else np.searchsorted([0, *_present(mask)], mask)
    slices = [place for place in ndimage.find_objects(labels) if place is not None]
    return [[float(x.start), float(y.start), float(x.stop), float(y.stop)] for y, x in slices]


def _values(drawn: Sequence[Drawn]) -> set[int]:
    return {value for mask in drawn for value, _, _ in mask.objects}


def _rows(mask: Drawn, class_of: ClassOf, classes: Classes | None, faults: Faults) -> list[Row]:
    others: Row = {"split": part_above(mask.where), "width": mask.size[1], "height": mask.size[0]}
    rows: list[Row] = []
    for value, k, box in mask.objects:
        with faults.at(f"{mask.where}, value {value}"):
            name = class_of(mask, value, classes)
            source = f"{mask.where}, value {value}, object {k}"
            rows.append(make_row(mask.image, source, class_name=name, box=box, **others))
    return rows if mask.objects else [make_row(mask.image, mask.where, **others)]


def _by_value(mask: Drawn, value: int, classes: Classes | None) -> str:
    """The class of a value in a label mask."""
    if classes is None:
        return str(value)
    numbered = classes if isinstance(classes, Mapping) else dict(enumerate(classes, start=1))
    if value not in numbered:
        raise Fault(f"no class has this value; there are {dict(list(numbered.items())[:10])}")
    return numbered[value]  # type: ignore[index]


def _by_image(mask: Drawn, value: int, classes: Classes | None) -> str:
    """The class of all objects of a mask: by its image, its folder or its name."""
    bare = mask.stem.rpartition("/")[2]
    if isinstance(classes, Mapping):
        for key in (value, mask.stem, bare):
            if key in classes:
                return classes[key]  # type: ignore[index]
        raise Fault(f"classes name neither the value nor the image {mask.stem!r}")
    folders = [step for step in mask.stem.split("/")[:-1] if not part_of(step) and not WORD.fullmatch(step)]
    if classes is None:
        return folders[-1] if folders else ONE_CLASS
    known = [name for name in (*folders[::-1], *_beginnings(bare)) if name in classes]
    if known:
        return known[0]
    if len(classes) == 1 or 0 < value <= len(classes):
        return classes[0 if len(classes) == 1 else value - 1]
    raise Fault(f"the class is told by neither folder, file name nor value; classes are {list(classes)[:10]}")


def _beginnings(name: str) -> list[str]:
    """What a file name may begin with: the whole, and each piece up to a sign; longest first."""
    ends = [match.start() for match in re.finditer(r"[\W_]", name)]
    return [name, *(name[:end] for end in reversed(ends))]
