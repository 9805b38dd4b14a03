"""Run the signatures of a SavedModel with TensorFlow alone; ``apart`` starts this file in a new process.

``python -P _check.py FOLDER`` reads ``FOLDER/plan.json`` and ``FOLDER/inputs.npz`` and writes ``FOLDER/results.jsonl``,
a line a step, and ``FOLDER/outputs-N.npz`` for the run N: what was done stays known if the process is killed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

#: What a server does not have.
ABSENT = ("keras", "tf_keras", "keras_cv", "tumorkeras")

Arrays = dict[str, np.ndarray]


def save_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of numbers and of byte strings without pickle, in which anything could be hidden."""
    parts: Arrays = {}
    for name, values in arrays.items():
        if values.dtype == object:
            # NumPy's own byte strings lose the zeros at their end.
            parts[f"bytes/{name}"] = np.frombuffer(b"".join(values.flat), np.uint8)
            parts[f"lengths/{name}"] = np.array([len(value) for value in values.flat], np.int64).reshape(values.shape)
        else:
            parts[f"numbers/{name}"] = values
    np.savez(file, **parts)  # type: ignore[arg-type]


def load_arrays(file: Path) -> Arrays:
    """Read what :func:`save_arrays` wrote."""
    arrays: Arrays = {}
    with np.load(file, allow_pickle=False) as parts:
        for key in parts.files:
            kind, _, name = key.partition("/")
            if kind == "numbers":
                arrays[name] = parts[key]
            elif kind == "lengths":
                arrays[name] = _cut(parts[f"bytes/{name}"].tobytes(), parts[key])
    return arrays


def _cut(joined: bytes, lengths: np.ndarray) -> np.ndarray:
    strings = np.empty(lengths.size, dtype=object)
    ends = np.cumsum(lengths.ravel())
    strings[:] = [joined[end - length : end] for end, length in zip(ends, lengths.flat, strict=True)]
    return strings.reshape(lengths.shape)


class PythonPackage:
    """TensorFlow for Python, with Keras kept out: what runs where there is no C library."""

    def __init__(self) -> None:
        # None in this place makes every import of the name fail. TensorFlow itself would load Keras where it finds it.
        sys.modules.update(dict.fromkeys(ABSENT))  # type: ignore[arg-type]
        import tensorflow as tf

        self._tf = tf

    def unknown(self, ops: list[str]) -> list[str]:
        """Which of these ops are not TensorFlow's own."""
        from tensorflow.python.framework import op_def_registry

        return [op for op in ops if op_def_registry.get(op) is None]

    def load(self, export: str) -> None:
        """Load the graph tagged ``serve`` and its variables."""
        self._signatures = self._tf.saved_model.load(export, tags=["serve"]).signatures

    def run(self, inputs: Arrays, tensors: Mapping[str, Any]) -> Arrays:
        """Run one signature."""
        given = {name: self._tf.constant(values) for name, values in inputs.items()}
        outputs = self._signatures[tensors["signature"]](**given)
        return {name: value.numpy() for name, value in outputs.items()}


def check(folder: Path) -> None:
    """Run every planned batch and write what came out, or the error that came instead."""
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    with (folder / "results.jsonl").open("w", encoding="utf-8") as results:

        def say(**result: Any) -> None:
            results.write(json.dumps(result) + "\n")
            results.flush()

        loader, reason = _loader(plan["library"])
        unknown = loader.unknown(plan["ops"])
        say(loader=type(loader).__name__, reason=reason, unknown=unknown)
        if unknown or not plan["runs"]:
            return
        with _told(say):
            loader.load(plan["export"])
            say()
            _run_all(loader, plan, folder, say)
    if isinstance(loader, PythonPackage):
        return
    found = sorted({*ABSENT, "tensorflow"} & {name.partition(".")[0] for name in sys.modules})
    if found:
        sys.exit(f"{', '.join(found)} was imported in the process that must be free of it")


def _run_all(loader: Any, plan: dict[str, Any], folder: Path, say: Any) -> None:
    inputs = load_arrays(folder / "inputs.npz")
    for number, run in enumerate(plan["runs"]):
        given = {name: inputs[key] for name, key in run["inputs"].items()}
        with _told(say):
            outputs = loader.run(given, {**plan["tensors"][run["signature"]], "signature": run["signature"]})
            save_arrays(folder / f"outputs-{number}.npz", outputs)
            say()


@contextmanager
def _told(say: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever it was, it is the answer
        name = "" if type(error).__name__ == "CLibraryError" else f"{type(error).__name__}: "
        say(error=f"{name}{error}")


def _loader(library: str | None) -> tuple[Any, str | None]:
    """The C library where it is there and can be loaded, else the Python package and why."""
    if library is None:
        return PythonPackage(), None
    try:
        return _c_library().CLibrary(library), None
    except (OSError, AttributeError) as error:
        return PythonPackage(), str(error)


def _c_library() -> Any:
    # By its path: the folder of this file must not be searched for modules, nor the package be imported.
    spec = importlib.util.spec_from_file_location("_c_library", Path(__file__).with_name("_c_library.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    check(Path(sys.argv[1]))
