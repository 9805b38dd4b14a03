"""One pass over all samples: each is decoded once, measured, and let go of."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from tumorkeras.auditing.measurements import Numbers, measure_image, measure_track
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.readers import Reading
from tumorkeras.data.similarity import SIDE, thumbnail
from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.progress import progress_bar

Item = TypeVar("Item")
AHEAD = 4  # samples a thread that may be measured before the first of them is put into the table
WORDS = ("trouble", "fault", "dtype", "format", "digest")
ALWAYS = ("bytes", "depth", "height", "width", "channels", "bits", "spacing_0", "spacing_1", "spacing_2")
VALUES = ("minimum", "maximum", "mean", "std", "zero", "saturated")
YES_NO = ("finite", "constant")
TRUNCATED = re.compile(r"truncat|cut (off|short)|ends (too )?(early|before)|premature|incomplete", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """What was found in each sample of a catalog.

    Attributes
    ----------
    table : pandas.DataFrame
        Row k is row k of the catalog: ``readable``; ``trouble`` ("", "missing", "empty", "truncated",
        "missing_package" or "unreadable") and ``fault`` (in words) where it is not; ``bytes`` of the file, ``format``,
        ``dtype``; ``digest`` of the positions of a track; and the numbers of
        :mod:`tumorkeras.auditing.measurements`, NaN where unknown.
    thumbnails : ndarray, shape (n, side, side), uint8
        A grey thumbnail of each image or volume; black where there is none.
    """

    table: pd.DataFrame
    thumbnails: np.ndarray


class _Sample(NamedTuple):
    words: dict[str, str]
    numbers: Numbers
    small: np.ndarray | None


def collect_facts(catalog: Catalog, *, progress: bool = True) -> Facts:
    """Decode every sample once, in threads, and measure it.

    Memory holds the table and the thumbnails, and beside them a few samples at a time.

    Parameters
    ----------
    catalog : Catalog
        What the spec names.
    progress : bool, optional
        False for no progress bar.

    Returns
    -------
    Facts
        A row for every sample; what is wrong with a sample is said in its row, and nothing is raised.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["a.png"], "path": [""]})
    >>> catalog = Catalog(table, None, (), "images", (), None, lambda row: Reading(np.eye(8)[..., None], None, {}))
    >>> collect_facts(catalog, progress=False).table[["readable", "height", "maximum"]].to_dict("list")
    {'readable': [True], 'height': [8.0], 'maximum': [1.0]}
    """
    columns = _Columns(len(catalog))
    thumbnails = np.zeros((len(catalog), SIDE, SIDE), np.uint8)
    samples = in_order(lambda row: _look_at(catalog, row), len(catalog))
    with progress_bar(len(catalog), "looking at the samples", "sample", shown=progress) as bar:
        for row, sample in enumerate(samples):
            columns.put(row, sample)
            if sample.small is not None:
                thumbnails[row] = sample.small
            bar.update()
    return Facts(columns.table(), thumbnails)


def in_order(work: Callable[[int], Item], n: int, workers: int | None = None) -> Iterator[Item]:
    """``work(0)`` ... ``work(n - 1)``, done in threads, at most a few ahead of the one that is taken.

    Examples
    --------
    >>> list(in_order(lambda number: number * number, 5, workers=2))
    [0, 1, 4, 9, 16]
    """
    workers = workers or os.cpu_count() or 1
    rows = iter(range(n))
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Item]] = deque(pool.submit(work, row) for row in islice(rows, workers * AHEAD))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(work, row) for row in islice(rows, 1))
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass
class _Columns:
    """Columns that are filled row by row, so that no row is ever kept as Python objects."""

    n: int
    words: dict[str, np.ndarray] = field(init=False)
    numbers: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        self.words = {name: np.full(self.n, "", dtype=object) for name in WORDS}
        self.numbers = {name: np.full(self.n, np.nan) for name in (*ALWAYS, *VALUES, *YES_NO)}

    def put(self, row: int, sample: _Sample) -> None:
        for name, text in sample.words.items():
            self.words[name][row] = text
        for name, number in sample.numbers.items():
            self.numbers.setdefault(name, np.full(self.n, np.nan))[row] = number

    def table(self) -> pd.DataFrame:
        readable = self.words["trouble"] == ""
        yes_no = {name: self.numbers.pop(name) == 1 for name in YES_NO}
        return pd.DataFrame({"readable": readable, **self.words, **self.numbers, **yes_no})


# ------------------------------------------------------------------------------------------------------ one sample


def _look_at(catalog: Catalog, row: int) -> _Sample:
    """What can be said of a sample; whatever goes wrong goes into its words."""
    path = str(catalog.table["path"].iat[row])
    try:
        size = _bytes_of(Path(path)) if path else float("nan")
    except OSError as error:
        return _Sample(_trouble("missing", f"cannot be opened: {error.strerror}"), {}, None)
    if size == 0:
        return _Sample(_trouble("empty", "holds no bytes"), {"bytes": 0.0}, None)
    try:
        words, numbers, small = _look_into(catalog.read(row), catalog.kind)
    except MissingExtraError as error:
        words, numbers, small = _trouble("missing_package", str(error)), {}, None
    except DataError as error:
        words, numbers, small = _refused("; ".join(error.faults) or error.heading), {}, None
    except (
        Exception
    ) as error:  # whatever it is, it must not hide what is wrong with the others; its text may tell names
        words, numbers, small = _trouble("unreadable", f"cannot be measured ({type(error).__name__})"), {}, None
    return _Sample(words, {**numbers, "bytes": size}, small)


def _look_into(reading: Reading, kind: str) -> tuple[dict[str, str], Numbers, np.ndarray | None]:
    array = reading.array
    if array.size == 0:
        return _trouble("empty", f"has no pixels: its shape is {array.shape}"), {}, None
    words = {"dtype": array.dtype.name, "format": str(reading.metadata.get("format", ""))}
    if kind == "tracks":
        digest = blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()
        return {**words, "digest": digest}, measure_track(reading), None
    return words, measure_image(reading), thumbnail(array)


def _trouble(kind: str, words: str) -> dict[str, str]:
    return {"trouble": kind, "fault": words}


def _refused(fault: str) -> dict[str, str]:
    return _trouble("truncated" if TRUNCATED.search(fault) else "unreadable", fault)


def _bytes_of(path: Path) -> int:
    """Bytes of a file, or of the files of a folder, each of which is opened: it may be forbidden to read it."""
    files = [part for part in path.iterdir() if part.is_file()] if path.is_dir() else [path]
    size = 0
    for part in files:
        with part.open("rb") as stream:
            size += os.fstat(stream.fileno()).st_size
    return size
