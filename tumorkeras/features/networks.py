"""The network that a model, a trained model or its folder means, and the same as the bytes of its file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from tumorkeras.errors import ModelError
from tumorkeras.spec import DataSpec
from tumorkeras.training.folder import MODEL_FILE, TrainedModel, load


def network_of(model: Any) -> tuple[keras.Model, DataSpec | None]:
    """The network, and the spec that it was trained with where that is known.

    Parameters
    ----------
    model : keras.Model, TrainedModel, str or Path

    Raises
    ------
    ModelError
        If it is none of these, or the folder cannot be read.

    Examples
    --------
    >>> network_of("no/such/model")
    Traceback (most recent call last):
    tumorkeras.errors.ModelError: no/such/model: there is no such folder
    """
    model = load(model) if isinstance(model, str | Path) else model
    if isinstance(model, TrainedModel):
        return model.model, model.spec
    if isinstance(model, keras.Model):
        return model, None
    expected = "a keras.Model, a TrainedModel or the folder of one"
    raise ModelError("FeatureExtractor", [f"model: {type(model).__name__} found, expected {expected}"])


def read_network(content: bytes) -> keras.Model:
    """The network of a ``.keras`` file's bytes. No code from it is run: Keras' safe mode stays on.

    Raises
    ------
    ModelError
        If the bytes cannot be read, or hold code.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL_FILE)
        path.write_bytes(content)
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever the broken part raises
            raise ModelError("pickled network", [f"cannot be read: {error}"]) from None


class NetworkFile:
    """Stands for a network in a pickle, and becomes the network again when that is read.

    Keras' own pickles of models are read with its safe mode off.
    """

    def __init__(self, network: keras.Model) -> None:
        self.network = network

    def __reduce__(self) -> tuple[Callable[[bytes], keras.Model], tuple[bytes]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, MODEL_FILE)
            self.network.save(path)
            return read_network, (path.read_bytes(),)


def with_files(state: dict[str, Any]) -> dict[str, Any]:
    """The state of an object with a file in the place of each network; a network that stands twice has one file."""
    files: dict[int, Any] = {}

    def stored(value: Any) -> Any:
        if isinstance(value, keras.Model):
            return files.setdefault(id(value), NetworkFile(value))
        return replace(value, model=stored(value.model)) if isinstance(value, TrainedModel) else value

    return {name: stored(value) for name, value in state.items()}
