"""What each detector of a comparison found, on disk, so that a comparison can be stopped and go on."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tumorkeras.comparison.store import refuse_results, results_folder
from tumorkeras.files import write_whole

ARRAYS = ("boxes", "scores", "classes")
NUMBERS = ("seconds", "peak_memory_mb", "threshold")
ENDING = "-detection.npz"


@dataclass(frozen=True)
class DetectorResult:
    """One trained method on the images that are read.

    ``found`` has ``boxes`` (images, n, 4), ``scores`` and ``classes`` (images, n), padded with class -1; ``threshold``
    was tuned on the part "val".
    """

    method: str
    seconds: float
    peak_memory_mb: float
    threshold: float
    found: dict[str, NDArray]


class DetectorStore:
    """Keeps every :class:`DetectorResult` in memory, and in ``output/comparison_folds`` where there is an output.

    Parameters
    ----------
    output : path, optional
        Folder of the comparison.
    fingerprint : str
        What the results depend on.

    Raises
    ------
    ModelError
        If the folder holds results with another fingerprint, or files that are no results.
    """

    def __init__(self, output: Path | None, fingerprint: str) -> None:
        self.folder = None if output is None else results_folder(output)
        self.fingerprint = fingerprint
        self._results: dict[str, DetectorResult] = {}
        if self.folder is not None:
            self._read_all(self.folder)

    def __contains__(self, method: str) -> bool:
        return method in self._results

    def __getitem__(self, method: str) -> DetectorResult:
        return self._results[method]

    def add(self, result: DetectorResult) -> None:
        """Keep a result."""
        self._results[result.method] = result
        if self.folder is not None:
            buffer = io.BytesIO()
            kept: dict[str, Any] = {name: getattr(result, name) for name in NUMBERS}
            kept |= {name: result.found[name] for name in ARRAYS}
            np.savez_compressed(buffer, fingerprint=self.fingerprint, **kept)
            write_whole(self.folder / f"{result.method}{ENDING}", buffer.getvalue())

    def _read_all(self, folder: Path) -> None:
        faults = []
        for path in sorted(folder.glob(f"*{ENDING}")):
            try:
                with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as saved:
                    fingerprint = str(saved["fingerprint"])
                    numbers = {name: float(saved[name]) for name in NUMBERS}
                    found = {name: saved[name] for name in ARRAYS}
            except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
                faults.append(f"{path.name}: is no result of a detector; remove it")
                continue
            if fingerprint != self.fingerprint:
                faults.append(f"{path.name}: was made with other data, parts or settings")
            method = path.name.removesuffix(ENDING)
            self._results[method] = DetectorResult(method, **numbers, found=found)
        refuse_results(folder, faults)
