"""Detections as COCO results: a JSON list of ``image_id``, ``category_id``, ``bbox`` and ``score``.

COCO results mean nothing without the file whose ids they speak of. Where there is a ground truth, its ids are taken, by
the names of images and classes. Where there is none, images are numbered from 1 in the order of the table, and classes
from 1 in the order of their names, which is what ``write_annotations`` does; ``NAME.images.json`` beside, a COCO file
without annotations, says which is which. Images that could not be scored have no place in COCO: they are listed in
``NAME.errors.csv``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.errors import DataError, shortened
from tumorkeras.files import whole_file
from tumorkeras.scoring.views import DETECTION, image_starts

DECIMALS = 6  # of width and height: what float32 holds of a pixel
log = logging.getLogger(__name__)


def write_coco_results(
    table: pd.DataFrame,
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    ground_truth: str | Path | None = None,
) -> Path:
    r"""Write a table of detections as COCO results, which ``pycocotools`` reads with ``loadRes``.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`tumorkeras.score` gives it for a detector.
    path : str or Path
        Ends in ``.json``; ``NAME.errors.csv`` with the images that could not be scored, and without a ground truth
        ``NAME.images.json``, are written beside.
    classes : sequence of str, optional
        All classes of the model: their ids count from 1 in the order of their names. Where the model knows no names,
        ids are those of the model and 1.
    ground_truth : str or Path, optional
        COCO file whose ids are taken: for images by ``file_name``, which may be the end of a path in the table, for
        classes by name.

    Returns
    -------
    Path
        Where the results are.

    Raises
    ------
    DataError
        If the table holds no detections, the ground truth is damaged or lacks an image or a class that was found, an
        image of it stands twice in the table, or a file cannot be written.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> row = {"path": "a.png", "id": None, "status": "ok", "error": None, "class": "cyst", "score": 0.75}
    >>> table = pd.DataFrame([row | {"xmin": 1, "ymin": 2, "xmax": 9, "ymax": 8.5}])
    >>> write_coco_results(table, folder / "found.json", classes=["cyst"]).read_text()
    '[\n{"image_id": 1, "category_id": 1, "bbox": [1.0, 2.0, 8.0, 6.5], "score": 0.75}\n]\n'
    >>> (folder / "found.images.json").read_text()
    '{"images": [\n{"id": 1, "file_name": "a.png"}\n], "annotations": [],
    "categories": [{"id": 1, "name": "cyst"}]}\n'
    """
    path = Path(path)
    absent = [name for name in ("path", "id", "status", "error", *DETECTION) if name not in table.columns]
    if absent:
        raise DataError(str(path), [f"the table has no column {name}; give a table of detections" for name in absent])
    ids = CocoIds.of_classes(classes) if ground_truth is None else CocoIds.of_file(Path(ground_truth))
    try:
        write_results(path, [table], ids)
    except OSError as error:
        raise DataError(str(path), [f"cannot be written: {error.strerror}"]) from None
    return path


@dataclass(frozen=True)
class CocoIds:
    """Which id an image and a class have.

    Attributes
    ----------
    categories : mapping or None
        Ids by the name of a class; None where names are the numbers of classes, from 0.
    images : mapping or None
        Ids by the name of a file; None where images are counted.
    """

    categories: Mapping[str, int] | None
    images: Mapping[str, Any] | None = None

    @classmethod
    def of_classes(cls, classes: Sequence[str] | None) -> CocoIds:
        """Count images and classes as ``write_annotations`` does."""
        return cls(None if classes is None else {name: k for k, name in enumerate(sorted(classes), start=1)})

    @classmethod
    def of_file(cls, path: Path) -> CocoIds:
        """Take the ids of a COCO file.

        Raises
        ------
        DataError
            If it is none.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            categories = {item["name"]: item["id"] for item in content["categories"]}
            return cls(categories, {item["file_name"]: item["id"] for item in content["images"]})
        except OSError as error:
            raise DataError(str(path), [f"cannot be read: {error.strerror}"]) from None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(str(path), [f"is no COCO file with images and categories ({error!r})"]) from None

    def of_class(self, name: str) -> int:
        """The id of a class.

        Raises
        ------
        DataError
            If it has none.
        """
        if self.categories is None and name.isdecimal():
            return int(name) + 1
        if name not in (self.categories or {}):
            known = ", ".join(self.categories or {}) or "numbers of classes only"
            raise DataError("COCO results", [f"class {name!r} has no id; known: {known}"])
        return (self.categories or {})[name]

    def of_image(self, name: str) -> Any:
        """The id of an image of the ground truth whose name is that of the file or its end; None where there is none.

        Examples
        --------
        >>> CocoIds({}, {"b/1.png": 7}).of_image("/data/b/1.png")
        7
        """
        parts = name.split("/")
        ends = ("/".join(parts[k:]) for k in range(len(parts)))
        return next((self.images[end] for end in ends if end in self.images), None) if self.images else None


def write_results(path: Path, tables: Iterable[pd.DataFrame], ids: CocoIds) -> None:
    """Write tables of detections, one after another and each with whole images, as one file of results.

    Raises
    ------
    DataError
        As :func:`write_coco_results` does.
    OSError
        If a file cannot be written; those that were there before are untouched.
    """
    beside = {kind: path.with_suffix(f".{kind}") for kind in ("images.json", "errors.csv")}
    with ExitStack() as files:
        # Files take their names last in, first out: the results come last.
        results = _JsonList(files.enter_context(whole_file(path)))
        categories = dict(ids.categories or {})
        images = _Images(ids, files, beside["images.json"])
        errors = _Errors(files, beside["errors.csv"])
        for table in tables:
            if not len(table):
                continue
            starts, found = image_starts(table), table["score"].notna().to_numpy()
            numbers = images.add(table[starts], found[starts])
            categories |= {name: ids.of_class(name) for name in table.loc[found, "class"].unique()}
            results.add(_entries(table[found], [numbers[k] for k in (np.cumsum(starts) - 1)[found]], categories))
            errors.add(table[starts])
        results.end()
        images.end(categories)
    for place, is_there in ((beside["images.json"], images.listed), (beside["errors.csv"], errors.count)):
        if not is_there:  # Of an earlier file of results: it would speak of other images.
            place.unlink(missing_ok=True)
    if errors.count:
        log.warning("%s: %d images could not be scored; %s lists them", path, errors.count, beside["errors.csv"].name)


def _entries(found: pd.DataFrame, images: list[Any], categories: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """What COCO says of each detection, given the ids of their images."""
    # The fewest digits that mean a number of 32 bits, not all those of the same number in 64.
    digits = found[["score", *CORNERS]].to_numpy("float32").astype(str).astype("float64")
    sides = np.concatenate([digits[:, 1:3], np.round(digits[:, 3:] - digits[:, 1:3], DECIMALS)], axis=1)
    for image, name, box, score in zip(images, found["class"], sides.tolist(), digits[:, 0].tolist(), strict=True):
        yield {"image_id": image, "category_id": categories[name], "bbox": box, "score": score}


class _Images:
    """The ids of images: those of the ground truth, or counted and listed in a file beside."""

    def __init__(self, ids: CocoIds, files: ExitStack, path: Path) -> None:
        self._ids, self._seen, self._count = ids, dict[Any, str](), 0
        self.listed = ids.images is None
        self._file = files.enter_context(whole_file(path)) if self.listed else None
        self._list = _JsonList(self._file, '{"images": [') if self._file else None

    def add(self, images: pd.DataFrame, found: np.ndarray) -> list[Any]:
        """Ids of images, a row an image; of a ground truth None for those without detections."""
        names = [_file_name(path, name) for path, name in zip(images["path"], images["id"], strict=True)]
        if self._list is None:
            return self._known(names, found)
        numbers = list(range(self._count + 1, self._count + len(names) + 1))
        self._count += len(names)
        self._list.add({"id": k, "file_name": name} for k, name in zip(numbers, names, strict=True))
        return numbers

    def _known(self, names: list[str], found: np.ndarray) -> list[Any]:
        numbers = [
            self._ids.of_image(name) if any_found else None for name, any_found in zip(names, found, strict=True)
        ]
        faults = []
        for k in np.flatnonzero(found):
            if numbers[k] is None:
                faults.append(f"the ground truth has no image {names[k]}")
            elif numbers[k] in self._seen:
                faults.append(f"{self._seen[numbers[k]]} and {names[k]} are one image of the ground truth")
            self._seen[numbers[k]] = names[k]
        if faults:
            raise DataError("COCO results", shortened(faults))
        return numbers

    def end(self, categories: Mapping[str, int]) -> None:
        if self._list is not None:
            items = [{"id": k, "name": name} for name, k in sorted(categories.items(), key=lambda item: item[1])]
            self._list.end(f', "annotations": [], "categories": {json.dumps(items, ensure_ascii=False)}}}')


class _Errors:
    """The file of images that could not be scored; made when the first comes."""

    def __init__(self, files: ExitStack, path: Path) -> None:
        self._files, self._path, self.count = files, path, 0

    def add(self, images: pd.DataFrame) -> None:
        failed = images.loc[images["status"] == "error", ["path", "id", "error"]]
        if not len(failed):
            return
        if not self.count:
            self._file = self._files.enter_context(whole_file(self._path))
        self._file.write(failed.to_csv(index=False, header=not self.count).encode("utf-8"))
        self.count += len(failed)


class _JsonList:
    """A list in a JSON file, a line an item."""

    def __init__(self, file: BinaryIO, head: str = "[") -> None:
        self._file, self._between = file, "\n"
        file.write(head.encode("utf-8"))

    def add(self, items: Iterable[dict[str, Any]]) -> None:
        for item in items:
            self._file.write(f"{self._between}{json.dumps(item, ensure_ascii=False)}".encode())
            self._between = ",\n"

    def end(self, tail: str = "") -> None:
        self._file.write(f"\n]{tail}\n".encode())


def _file_name(path: str, name: Any) -> str:
    """What an image is called: its file, its name in a spec, or its place in a file of arrays."""
    if pd.isna(name):
        return path
    return name if isinstance(name, str) else f"{path}#{name}"
