"""The state of a training after each epoch, on disk, so that it can be stopped and go on."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tumorkeras.errors import ModelError

STATE_FOLDER = ".training"


@dataclass
class Progress:
    """How far a training came: finished epochs, the best one, and the history's rows."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = float("inf")
    stopped: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


class TrainingState:
    """Saves and restores weights, optimizer and random state of a compiled model, with its :class:`Progress`.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    folder : path, optional
        Where the state lies; None keeps only the best weights, in memory.
    fingerprint : str
        What the training depends on (data, settings); a state made with another one is refused.
    """

    def __init__(self, model: keras.Model, folder: Path | None, fingerprint: str) -> None:
        self.model = model
        self.folder = folder
        self.fingerprint = fingerprint
        self.best_weights = model.get_weights()
        with model.distribute_strategy.scope():
            model.optimizer.build(model.trainable_variables)

    @property
    def _variables(self) -> list[Any]:
        # The state of dropout's random numbers is among the model's variables; metrics start anew each epoch.
        metrics = {id(variable) for metric in self.model.metrics for variable in metric.variables}
        variables = [variable for variable in self.model.variables if id(variable) not in metrics]
        known = {id(variable) for variable in variables}
        return variables + [variable for variable in self.model.optimizer.variables if id(variable) not in known]

    def save(self, progress: Progress) -> None:
        """Write the state beside the last one and put it in its place: a kill leaves one of the two whole."""
        if self.folder is None:
            return
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        _write_arrays(fresh / "last.npz", [np.asarray(variable) for variable in self._variables])
        _write_arrays(fresh / "best.npz", self.best_weights)
        text = json.dumps({"fingerprint": self.fingerprint, **asdict(progress)})
        (fresh / "progress.json").write_text(text, encoding="utf-8")
        old = self.folder.with_name(f"{self.folder.name}.old")
        if self.folder.exists():  # else a kill left the old one alone, and it is the only whole state
            shutil.rmtree(old, ignore_errors=True)
            os.rename(self.folder, old)
        os.rename(fresh, self.folder)
        shutil.rmtree(old, ignore_errors=True)

    def restore(self) -> Progress:
        """Put the model where the last saved epoch left it; a fresh start where there is no state.

        Raises
        ------
        ModelError
            If the state belongs to other data or settings.
        """
        folder = self._saved_folder()
        if folder is None:
            return Progress()
        try:
            saved = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
            last, best = _read_arrays(folder / "last.npz"), _read_arrays(folder / "best.npz")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(str(folder), [f"cannot be read: {error}; remove it to train anew"]) from None
        if saved.pop("fingerprint", None) != self.fingerprint:
            fault = "holds a training of other data or settings; choose another output folder, or remove this one"
            raise ModelError(str(folder.parent), [fault])
        for variable, value in zip(self._variables, last, strict=True):
            variable.assign(value)
        self.best_weights = best
        return Progress(**saved)

    def _saved_folder(self) -> Path | None:
        """The state's folder, or the one before it if a kill fell between the two renames."""
        if self.folder is None:
            return None
        old = self.folder.with_name(f"{self.folder.name}.old")
        return next((path for path in (self.folder, old) if (path / "progress.json").is_file()), None)


def clear_state(folder: Path) -> None:
    """Remove the state of a training that has ended, and what a kill may have left of it."""
    for ending in ("", ".new", ".old"):
        shutil.rmtree(folder / f"{STATE_FOLDER}{ending}", ignore_errors=True)


def _write_arrays(path: Path, arrays: list[np.ndarray]) -> None:
    np.savez(path, *arrays)


def _read_arrays(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[f"arr_{k}"] for k in range(len(archive.files))]
