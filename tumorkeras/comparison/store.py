"""Results of single folds, on disk, so that a comparison can be stopped and go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from tumorkeras.errors import ModelError
from tumorkeras.files import write_whole

FOLDER = "comparison_folds"
NO_RESULT = "is no result of a fold; remove it"


def results_folder(output: Path) -> Path:
    """The folder of the results in that of a comparison, made where it is not there.

    Raises
    ------
    ModelError
        If a file stands in the way.
    """
    folder = output / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ModelError(str(output), ["is a file; give a folder"]) from None
    return folder


def refuse_results(folder: Path, faults: list[str]) -> None:
    """Raise what is wrong with the results in a folder, where anything is.

    Raises
    ------
    ModelError
        With all faults.
    """
    if faults:
        raise ModelError(f"{folder} does not fit; choose another output folder, or remove this one", faults)


@dataclass(frozen=True)
class FoldResult:
    """One row of the table, a method and what it reads, on one fold.

    ``rows`` are the test fold's places in the table of samples; ``metrics`` holds None where undefined.
    """

    entry: str
    fold: int
    seconds: float
    peak_memory_mb: float
    metrics: dict[str, float | None]
    rows: list[int]
    labels: list[int]
    probabilities: list[list[float]]


class FoldStore:
    """Keeps every :class:`FoldResult` in memory, and in ``output/comparison_folds`` where there is an output.

    Parameters
    ----------
    output : path, optional
        Folder of the comparison.
    fingerprint : str
        What all results depend on.
    features : mapping of str to str
        For each entry, a hash of what it reads beside that.

    Raises
    ------
    ModelError
        If the folder holds results with another fingerprint, or files that are no results.
    """

    def __init__(self, output: Path | None, fingerprint: str, features: Mapping[str, str]) -> None:
        self.folder = None if output is None else results_folder(output)
        self.fingerprint, self.features = fingerprint, features
        self._results: dict[tuple[str, int], FoldResult] = {}
        if self.folder is not None:
            self._read_all(self.folder)

    def __contains__(self, key: tuple[str, int]) -> bool:
        return key in self._results

    def __getitem__(self, key: tuple[str, int]) -> FoldResult:
        return self._results[key]

    def add(self, result: FoldResult) -> None:
        """Keep a result; on disk it is written beside and renamed, so that a kill leaves no half of one."""
        self._results[result.entry, result.fold] = result
        if self.folder is not None:
            heads = {"fingerprint": self.fingerprint, "features": self.features.get(result.entry, "")}
            text = json.dumps({**heads, **asdict(result)})
            write_whole(self.folder / f"{result.entry}-{result.fold}.json", text)

    def _read_all(self, folder: Path) -> None:
        faults = []
        for path in sorted(folder.glob("*.json")):
            saved = _read(path)
            if saved is None:
                faults.append(f"{path.name}: {NO_RESULT}")
                continue
            if saved.fingerprint != self.fingerprint:
                faults.append(f"{path.name}: was made with other data, folds or settings")
            elif saved.features != self.features.get(saved.result.entry, saved.features):
                # an entry that is not asked for may stay
                faults.append(f"{path.name}: was made with other features of the same name")
            self._results[saved.result.entry, saved.result.fold] = saved.result
        refuse_results(folder, faults)


class _Saved(NamedTuple):
    """A result with what it depends on, as in its file."""

    fingerprint: str
    features: str
    result: FoldResult


def read_results(folder: Path) -> list[FoldResult]:
    """The results of single folds in a folder, whatever they depend on.

    Raises
    ------
    ModelError
        Naming the files that are no results.
    """
    saved = {path.name: _read(path) for path in sorted(folder.glob("*.json"))}
    faults = [f"{name}: {NO_RESULT}" for name, each in saved.items() if each is None]
    if faults:
        raise ModelError(str(folder), faults)
    return [each.result for each in saved.values() if each is not None]


def _read(path: Path) -> _Saved | None:
    """What a file holds; None where it is no result of a fold."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return _Saved(saved.pop("fingerprint"), saved.pop("features"), FoldResult(**saved))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
