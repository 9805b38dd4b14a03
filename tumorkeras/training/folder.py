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

# Registers the layers and models that a saved model names.
import tumorkeras.models  # noqa: F401
from tumorkeras.data.agreement import ModelOrigin
from tumorkeras.errors import ModelError
from tumorkeras.files import write_whole
from tumorkeras.spec import DataSpec
from tumorkeras.training.networks import classes_of
from tumorkeras.training.state import STATE_FOLDER

MODEL_FILE, SPEC_FILE, CARD_FILE, HISTORY_FILE = "model.keras", "spec.yaml", "model_card.json", "history.csv"
FILES = (MODEL_FILE, SPEC_FILE, HISTORY_FILE, CARD_FILE)
PRETRAINING_FOLDER = "autoencoder"

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
        One row per epoch.
    folder : Path or None
        Where it lies.

    Examples
    --------
    >>> from tumorkeras import build_autoencoder
    >>> spec = DataSpec.from_dict({"name": "motion", "source": {"kind": "simulation"},
    ...     "input": {"shape": [101, 24, 24, 1]}})
    >>> model = build_autoencoder((8, 8, 1), filters=(2,), bottleneck=None)
    >>> TrainedModel(model, spec, {"kind": "autoencoder", "classes": []}, pd.DataFrame())
    TrainedModel('autoencoder', classes=[], folder='None')
    """

    model: keras.Model
    spec: DataSpec
    card: dict[str, Any]
    history: pd.DataFrame
    folder: Path | None = None

    def __repr__(self) -> str:
        kind, classes = self.card["kind"], self.card["classes"]
        return f"TrainedModel({kind!r}, classes={classes}, folder={str(self.folder)!r})"

    def _repr_html_(self) -> str:
        from tumorkeras.training.card import card_of

        return card_of(self)


def save_model(trained: TrainedModel, folder: Path) -> None:
    """Write model, spec, history and card into ``folder``; the card last, as the sign that all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    # Saved beside and renamed: a kill never leaves half a file under the final name.
    for name, save in ((MODEL_FILE, trained.model.save), (SPEC_FILE, trained.spec.save)):
        beside = folder / f".new.{name}"  # Keras tells the format by the ending
        save(beside)
        os.replace(beside, folder / name)
    write_whole(folder / HISTORY_FILE, trained.history.to_csv(index=False))
    write_whole(folder / CARD_FILE, json.dumps(trained.card, indent=2, ensure_ascii=False))


def is_complete(folder: Path) -> bool:
    """Whether a folder holds a model whose training ended."""
    return all((folder / name).is_file() for name in FILES)


def check_free(folder: Path) -> None:
    """See that a training may write into ``folder``: absent, empty, or left by a training that was stopped.

    Raises
    ------
    ModelError
        If anything else lies there, or a file stands in the way.
    """
    standing = next(path for path in (folder, *folder.parents) if path.exists())
    if not standing.is_dir():
        raise ModelError(str(standing), ["is a file; choose another output folder"])
    if standing != folder:
        return
    found = {path.name for path in folder.iterdir()}
    states = {f"{STATE_FOLDER}{ending}" for ending in ("", ".new", ".old")}
    ours = states | {PRETRAINING_FOLDER}
    if found & states:  # a kill while the model was saved
        ours |= {*FILES, *(f".new.{name}" for name in FILES), *(f".{name}.new" for name in FILES)}
    strange = sorted(found - ours)
    if strange:
        named = ", ".join(strange[:3]) + (", ..." if len(strange) > 3 else "")
        fault = f"is not empty and holds no model or training ({named}); choose another output folder"
        raise ModelError(str(folder), [fault])


def origin_of(model: keras.Model | TrainedModel) -> ModelOrigin:
    """What a model knows of the data that it was trained with; of a Keras model, only its shapes."""
    network = model.model if isinstance(model, TrainedModel) else model
    outputs = classes_of(network)
    shape = tuple(network.inputs[0].shape[1:])
    if not isinstance(model, TrainedModel):
        return ModelOrigin(network.name, shape, outputs)
    classes = None if outputs is None or "classes" not in model.card else tuple(model.card["classes"])
    name = str(model.folder or network.name)
    known = (model.card.get(key) for key in ("data_sha256", "pixel_dtype"))
    return ModelOrigin(name, shape, outputs, classes, model.spec, *known)


def as_network(model: Any) -> Any:
    """The network of a trained model or of its folder; anything else comes back as it is."""
    loaded = load(model) if isinstance(model, str | Path) else model
    return loaded.model if isinstance(loaded, TrainedModel) else loaded


def load(folder: str | Path) -> TrainedModel:
    """Read the folder of a trained model. No code from it is run: Keras' safe mode stays on.

    Raises
    ------
    ModelError
        If the folder or a file of it is missing, or the model cannot be read.

    Examples
    --------
    >>> load("no/such/model")
    Traceback (most recent call last):
    tumorkeras.errors.ModelError: no/such/model: there is no such folder

    >>> import tempfile
    >>> from tumorkeras.models import build_classifier
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [4, 8, 8, 1]},
    ...     "source": {"kind": "simulation", "frames": 4}})
    >>> model = build_classifier(spec.input.shape, 2, filters=(2,), dense=(4,))
    >>> card = {"kind": "classifier", "classes": ["still", "moving"]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(TrainedModel(model, spec, card, pd.DataFrame({"epoch": [1]})), Path(folder, "model"))
    ...     load(Path(folder, "model")).card["classes"]
    ['still', 'moving']
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
