"""Run an export in a process of its own, which has TensorFlow and nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from tumorkeras.serving._check import Arrays, load_arrays, save_arrays
from tumorkeras.serving.runs import Run

_CHECK = Path(__file__).with_name("_check.py")
_LIBRARY = "libtensorflow_cc.so.2"
_LOADERS = {"CLibrary": "TensorFlow's C library", "PythonPackage": "TensorFlow for Python, without Keras"}
_CHATTER = re.compile(r"[IW]\d{4} |WARNING: All log messages")
_LONGEST = 500


class Answers(NamedTuple):
    """What came out.

    Attributes
    ----------
    outputs : list of dict or str
        A run's outputs, or what went wrong; shorter than the runs where there is a fault.
    loader : str
        What loaded the export.
    skipped : list of str
        The loader that was passed over, and why.
    unknown : list of str
        Ops that are not TensorFlow's own; then nothing was run.
    fault : str or None
        Why the process did not get to the end.
    """

    outputs: list[Arrays | str]
    loader: str = ""
    skipped: list[str] = []
    unknown: list[str] = []
    fault: str | None = None


def run_apart(path: Path, runs: Sequence[Run], tensors: Mapping[str, Any], ops: Iterable[str]) -> Answers:
    """Load an export in a new process, on the CPU, and run it.

    Parameters
    ----------
    path : Path
        The version's folder.
    runs : sequence of Run
        Nothing is loaded where there are none.
    tensors : mapping
        Of :func:`tumorkeras.serving.structure.tensors_of`.
    ops : iterable of str
        All that the graph needs.
    """
    library, reason = _library()
    with tempfile.TemporaryDirectory(prefix="tumorkeras-verify-") as name:
        folder = Path(name)
        asked = _write_inputs(folder, runs)
        plan = {"export": str(path), "library": library, "ops": list(ops), "tensors": tensors, "runs": asked}
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-P", str(_CHECK), str(folder)],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return _read(folder, runs, done, reason)


def _library() -> tuple[str | None, str]:
    """The C library of the wheel, or why there is none."""
    spec = find_spec("tensorflow")
    places = (spec.submodule_search_locations if spec else None) or []
    for place in places:
        if (Path(place) / _LIBRARY).is_file():
            return str(Path(place) / _LIBRARY), ""
    return None, f"{_LIBRARY} is not part of TensorFlow on {sys.platform}"


def _write_inputs(folder: Path, runs: Sequence[Run]) -> list[dict[str, Any]]:
    arrays: Arrays = {}
    asked = []
    for number, run in enumerate(runs):
        keys = {name: f"{number}/{name}" for name in run.inputs}
        arrays |= {keys[name]: values for name, values in run.inputs.items()}
        asked.append({"signature": run.signature, "inputs": keys})
    save_arrays(folder / "inputs.npz", arrays)
    return asked


def _read(folder: Path, runs: Sequence[Run], done: subprocess.CompletedProcess[str], reason: str) -> Answers:
    file = folder / "results.jsonl"
    steps = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    first, loaded, *rest = [*steps, {}, {}][: max(2, len(steps))]
    outputs = [
        _short(step["error"]) if "error" in step else load_arrays(folder / f"outputs-{number}.npz")
        for number, step in enumerate(rest)
    ]
    fault = None
    if done.returncode:
        fault = f"{_step(len(steps), runs)}: {_end_of(done)}"
    elif "error" in loaded:
        fault = f"TensorFlow alone cannot load it: {_short(loaded['error'])}"
    loader, reason = _LOADERS.get(first.get("loader"), ""), reason or first.get("reason") or ""
    skipped = [f"{_LOADERS['CLibrary']}: {_short(reason)}"] if reason else []
    return Answers(outputs, loader, skipped, first.get("unknown", []), fault)


def _step(number: int, runs: Sequence[Run]) -> str:
    if number == 0:
        return "starting TensorFlow alone"
    if number == 1:
        return "loading it with TensorFlow alone"
    return runs[number - 2].where if number - 2 < len(runs) else "after the last run"


def _end_of(done: subprocess.CompletedProcess[str]) -> str:
    said = [line.strip() for line in done.stderr.splitlines() if line.strip() and not _CHATTER.match(line)]
    last = f" ({_short(said[-1])})" if said else ""
    if done.returncode < 0:
        return f"the process was ended by {signal.Signals(-done.returncode).name}{last}; a server would go down with it"
    return f"the process ended with exit status {done.returncode}{last}"


def _short(message: str) -> str:
    message = " ".join(message.split())
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."
