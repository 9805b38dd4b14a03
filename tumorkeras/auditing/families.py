"""What could tell the class without the lesion: families of facts, and what each would do to a result."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tumorkeras.auditing.findings import Severity

SIZE_COLUMN = re.compile(r"diameter|volume|voxel|area|(lesion|tumou?r|nodule|object)_?size|^size$|_mm$", re.IGNORECASE)
BACKGROUND = 0.05  # share of zeros, in the middle sample, from which on zero is background


@dataclass(frozen=True)
class Family:
    """Facts that are probed together.

    ``worst`` is how severe a finding can be: what belongs to the object itself may be a true sign of its class, so
    that it is a warning even where it tells the class without fault.
    """

    name: str
    worst: Severity
    effect: str
    mend: str


SAME_WAY = "Save the images of all classes in the same way (format, quality, size), from the same sources"
CUT = "Crop or paint over the border of every image, in training and in use, and audit again."
BASELINE = "Report this score beside the network's, and compare within objects of like"

FAMILIES = {
    "file_size": Family(
        "file size",
        "error",
        "A network does not see a file's size, but it sees what makes it: compression, noise, image size.",
        f"{SAME_WAY}, or leave out the source that differs.",
    ),
    "image_size": Family(
        "image size",
        "error",
        "Resizing to one input stretches or pads the classes in different ways, which a network sees.",
        f"{SAME_WAY}; crop all to the same field of view.",
    ),
    "file_form": Family(
        "channels, bits and spacing",
        "error",
        "The classes come from different devices or programs, and a network learns the device.",
        f"{SAME_WAY}; resample all to one spacing.",
    ),
    "intensity": Family(
        "mean and spread of intensity",
        "error",
        "Brightness and contrast may come from the gain or the window of the device and not from the tissue.",
        "Normalise the intensity (preprocessing), change it at random in training, and audit again.",
    ),
    "sharpness": Family(
        "sharpness",
        "error",
        "Blur, noise and compression come from the device or from saving, and a network sees them first.",
        f"{SAME_WAY}; train with random blur and compression.",
    ),
    "border": Family(
        "the border strip",
        "error",
        "Few lesions reach the border: a network may learn the frame, the device or its depth setting.",
        CUT,
    ),
    "corners": Family("the corners", "error", "Logos and text are burned in there: a network reads them.", CUT),
    "edge_pattern": Family(
        "a pattern on the same pixels near the edge",
        "error",
        "A logo, text or scale is burned into the images of a class: a network reads it.",
        CUT,
    ),
    "marks": Family(
        "thin marks and colour",
        "error",
        "Calipers, text and colour are put in by a person who knew of the lesion: a network finds the marks.",
        "Use the images as they were before marking, or paint the marks over in every image.",
    ),
    "object_size": Family(
        "object size",
        "warning",
        "A network may learn the size and nothing else, which a ruler does as well.",
        f"{BASELINE} size.",
    ),
    "frames": Family(
        "number of frames",
        "warning",
        "Tracks of the classes differ in length, which is how they were filmed; training crops all to the same frames.",
        "Crop tracks to the common frames before anything is measured on them (source.frames).",
    ),
    "mean_step": Family(
        "mean step",
        "warning",
        "Speed may be the cells' own, or the scale and frame rate of the microscope.",
        f"{BASELINE} speed: rendering.normalise_scale takes it out.",
    ),
}


def image_families(found: pd.DataFrame, *, volumes: bool) -> dict[str, pd.DataFrame]:
    """The facts of images or volumes, family by family.

    Parameters
    ----------
    found : DataFrame
        A row a sample, columns as in :func:`tumorkeras.auditing.facts.collect_facts`; absent ones are left out.
    volumes : bool
        Whether the samples are volumes: where their background is 0, the rest is the object, whose size is a family.
    """
    pixels = found[["depth", "height", "width"]].fillna(1).prod(axis=1) if "height" in found else None
    families = {
        "image_size": _matching(found, r"depth|height|width"),
        "file_form": _matching(found, r"channels|bits|spacing_\d"),
        "intensity": _matching(found, r"mean|std|minimum|maximum|saturated|zero"),
        "sharpness": _matching(found, r"laplacian_std"),
        "border": _matching(found, r"border_.*|strip_.*|edges_\d+"),
        "corners": _matching(found, r"corner_.*"),
        "marks": _matching(found, r"(bright|dark)_marks|colour"),
    }
    if pixels is not None:
        families["image_size"] = families["image_size"].assign(aspect=found["height"] / found["width"])
        if "bytes" in found:
            sizes = pd.DataFrame({"bytes": found["bytes"], "bytes_a_pixel": found["bytes"] / pixels})
            families["file_size"] = _logarithms(sizes)
        if volumes and has_background(found):
            families["object_size"] = pd.DataFrame({"voxels": (1 - found["zero"]) * pixels})
            families["intensity"] = _inside(found)
            del families["marks"], families["sharpness"]  # of the whole volume: they would measure the size again
    return {name: table for name, table in families.items() if varies(table)}


def has_background(found: pd.DataFrame) -> bool:
    """Whether the samples are cut out, with 0 around the object.

    Examples
    --------
    >>> has_background(pd.DataFrame({"zero": [0.9, 0.8]})), has_background(pd.DataFrame({"zero": [0.0, 0.01]}))
    (True, False)
    """
    return "zero" in found and bool(found["zero"].median() > BACKGROUND)


def _inside(found: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation of what is not 0."""
    share = 1 - found["zero"].where(found["zero"] < 1)
    mean = found["mean"] / share
    square = (found["std"] ** 2 + found["mean"] ** 2) / share
    return pd.DataFrame({"mean": mean, "std": np.sqrt((square - mean**2).clip(lower=0))})


def _matching(found: pd.DataFrame, pattern: str) -> pd.DataFrame:
    wanted = [name for name in found.columns if re.fullmatch(pattern, str(name))]
    return found[wanted].astype(np.float64)


def _logarithms(sizes: pd.DataFrame) -> pd.DataFrame:
    """Missing where a size is not above 0."""
    return sizes.astype(np.float64).where(sizes > 0).transform(np.log)


def varies(table: pd.DataFrame) -> bool:
    """Whether any column has two values, a gap being one.

    Examples
    --------
    >>> varies(pd.DataFrame({"bits": [8, 8]})), varies(pd.DataFrame({"bits": [8, 16]}))
    (False, True)
    """
    return any(table[name].nunique(dropna=False) > 1 for name in table.columns)


def size_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of a table that by their name and type hold the size of an object.

    Examples
    --------
    >>> list(size_columns(pd.DataFrame({"diameter_mm": [3.0], "exam": ["a"], "n_voxels": [9]})))
    ['diameter_mm', 'n_voxels']
    """
    numbers = table.select_dtypes("number")
    return numbers[[name for name in numbers.columns if SIZE_COLUMN.search(str(name))]].astype(np.float64)


def box_sizes(boxes: pd.DataFrame) -> pd.DataFrame:
    """Width, height, area (logarithms of pixels) and aspect of boxes; missing where a box has no area.

    Examples
    --------
    >>> box_sizes(pd.DataFrame({"xmin": [0], "ymin": [0], "xmax": [4], "ymax": [2]})).round(2).values.tolist()
    [[1.39, 0.69, 2.08, -0.69]]
    """
    sides = pd.DataFrame({"width": boxes["xmax"] - boxes["xmin"], "height": boxes["ymax"] - boxes["ymin"]})
    sides = _logarithms(sides)
    return sides.assign(area=sides["width"] + sides["height"], aspect=sides["height"] - sides["width"])


def track_families(tracks: list[np.ndarray]) -> dict[str, pd.DataFrame]:
    """The number of frames of tracks (frames, 2), and their mean step over the frames that all of them have.

    Examples
    --------
    >>> long, short = np.zeros((5, 2)), np.array([[0, 0], [3, 4]])
    >>> {name: table.iloc[:, 0].tolist() for name, table in track_families([long, short]).items()}
    {'frames': [5.0, 2.0], 'mean_step': [0.0, 1.791...]}
    """
    frames = np.array([len(track) for track in tracks], np.float64)
    common = int(frames.min())
    steps = [np.linalg.norm(np.diff(track[:common].astype(np.float64), axis=0), axis=1).mean() for track in tracks]
    families = {"frames": pd.DataFrame({"frames": frames}), "mean_step": pd.DataFrame({"step": np.log1p(steps)})}
    return {name: table for name, table in families.items() if varies(table)}
