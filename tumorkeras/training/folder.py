"""A trained model is a folder that a person can open."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import keras
import pandas as pd

# Registers the layers that a saved model names.
import tumorkeras.layers  # noqa: F401
from tumorkeras.errors import ModelError
from tumorkeras.spec import DataSpec

MODEL_FILE, SPEC_FILE, CARD_FILE, HISTORY_FILE = "model.keras", "spec.yaml", "model_card.json", "history.csv"
FILES = (MODEL_FILE, SPEC_FILE, HISTORY_FILE, CARD_FILE)

T = TypeVar("T")


@dataclass(frozen=True)
class TrainedModel:
    """What :func:`tumorkeras.train` returns and :func:`tumorkeras.load` reads back.

    Parameters
    ----------
    model : keras.Model
        With its best weights.
    spec : DataSpec
        What it was trained with.
    card : dict
        Data hash, versions, seed, counts, metrics with intervals.
    history : pandas.DataFrame
        A row an epoch.
    folder : Path or None
        Where it lies.
    """

    model: keras.Model
    spec: DataSpec
    card: dict[str, Any]
    history: pd.DataFrame
    folder: Path | None = None

    def __repr__(self) -> str:
        kind, classes = self.card["kind"], self.card["classes"]
        return f"TrainedModel({kind!r}, classes={classes}, folder={str(self.folder)!r})"


def save_model(trained: TrainedModel, folder: Path) -> None:
    """Write model, spec, history and card into ``folder``; the card last, as the sign that all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    # Saved beside and renamed: a kill never leaves half a model under the final name.
    beside = folder / f".{MODEL_FILE}.new.keras"
    trained.model.save(beside)
    os.replace(beside, folder / MODEL_FILE)
    trained.spec.save(folder / SPEC_FILE)
    trained.history.to_csv(folder / HISTORY_FILE, index=False)
    beside = folder / f".{CARD_FILE}.new"
    beside.write_text(json.dumps(trained.card, indent=2, ensure_ascii=False), encoding="utf-8")
    os.replace(beside, folder / CARD_FILE)


def is_complete(folder: Path) -> bool:
    """Whether a folder holds a model whose training ended."""
    return all((folder / name).is_file() for name in FILES)


def load(folder: str | Path) -> TrainedModel:
    """Read the folder of a trained model. No code from it is run: Keras' safe mode stays on.

    Raises
    ------
    ModelError
        If the folder or a file of it is missing, or the model cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(str(folder), ["there is no such folder"])
    missing = [f"there is no {name}" for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} is not the folder of a trained model", missing)
    model = _read(folder / MODEL_FILE, lambda path: keras.saving.load_model(path, safe_mode=True))
    spec = _read(folder / SPEC_FILE, DataSpec.from_yaml)
    card = _read(folder / CARD_FILE, _read_card)
    return TrainedModel(model, spec, card, _read(folder / HISTORY_FILE, pd.read_csv), folder)


def _read(path: Path, reader: Callable[[Path], T]) -> T:
    try:
        return reader(path)
    except Exception as error:  # Keras raises whatever the broken part raises
        raise ModelError(str(path), [f"cannot be read: {error}"]) from None


def _read_card(path: Path) -> dict[str, Any]:
    card = json.loads(path.read_text(encoding="utf-8"))
    absent = [name for name in ("kind", "classes") if name not in card]
    if absent:
        raise ValueError(f"there is no {', '.join(absent)} in it")
    return card


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    packages = ("tumorkeras", "tensorflow", "keras", "numpy")
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return "0+unknown"
