"""Read an export back as a server would: its structure, then every signature with TensorFlow alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.serving.compare import compare
from tumorkeras.serving.golden import Golden, synthetic_inputs
from tumorkeras.serving.structure import Signatures, read_graph, signatures_of, structure_faults

_CHECK = Path(__file__).with_name("_check.py")


@dataclass(frozen=True)
class ExportReport:
    """What :func:`verify_export` found.

    Attributes
    ----------
    path : str
        The version's folder.
    signatures : dict
        Name -> ``inputs`` and ``outputs`` -> tensor -> ``dtype`` and ``shape`` (None is an open dimension).
    largest_difference : float or None
        Between what the export gave and what was expected, over all outputs; None where nothing was compared.
    faults : list of str
        One line a fault; empty where the export is fit to be served.
    """

    path: str
    signatures: Signatures = field(default_factory=dict)
    largest_difference: float | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found against serving it."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, as JSON has them."""
        return {**asdict(self), "ok": self.ok}


def verify_export(
    path: str | Path,
    inputs: np.ndarray | Mapping[str, np.ndarray] | None = None,
    expected: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> ExportReport:
    """Check that TF Serving can load, batch and run an export, and that it answers as the model did.

    The structure is read first: an integer as folder name, a ``serving_default`` signature, dense inputs and
    outputs with an open batch dimension, no op that calls Python anywhere in the graph. If that holds, each
    signature is run with batches of 1 and 3, and where it reads images of any size with three sizes, odd ones among
    them, in a new process in which Keras, keras-cv and this package cannot be imported.

    Parameters
    ----------
    path : str or Path
        The version's folder, ``NAME/VERSION``.
    inputs : ndarray or mapping of str to ndarray, optional
        (n, *input_shape), given to every signature, or an array for each input by its name; by default seeded
        synthetic ones. Fewer than three are repeated to make the batch of 3.
    expected : mapping, optional
        Signature -> output -> array (n, ...): what the model gave for ``inputs``. Probabilities may differ by
        1e-5, other floats by 1e-4 of the largest value, integers not at all. Detections are compared image by image
        as a set: each needs a counterpart of its class within 0.001 px and 1e-5 of the score, in any order.

    Returns
    -------
    ExportReport
        With every fault; ``report.ok`` where there is none.

    Raises
    ------
    ModelError
        If there is no such folder, ``expected`` comes without ``inputs``, or one of the inputs is not given.

    Examples
    --------
    >>> verify_export("no/such/export")
    Traceback (most recent call last):
    ...
    tumorkeras.errors.ModelError: no/such/export: there is no such folder; expected NAME/VERSION
    """
    if inputs is not None:
        return verify_golden(path, [Golden(inputs, expected or {})])
    if expected is not None:
        raise ModelError(f"{path}", ["expected: given without the inputs that it was made from; give both"])
    return verify_golden(path)


def verify_golden(path: str | Path, golden: Sequence[Golden] | None = None) -> ExportReport:
    """Do the work of :func:`verify_export`, with any number of batches."""
    path = Path(path)
    if not path.is_dir():
        raise ModelError(f"{path}: there is no such folder; expected NAME/VERSION")
    # A relative path such as "." has no name to check.
    resolved = path.resolve()
    try:
        graph = read_graph(resolved)
    except ModelError as error:
        return ExportReport(str(path), faults=[str(error)])
    signatures, faults = signatures_of(graph), structure_faults(resolved, graph)
    if faults:  # Running it would only say the same again, in other words.
        return ExportReport(str(path), signatures, faults=faults)
    runs = _plan(signatures, golden)
    try:
        answers = _run_apart(resolved, runs)
    except ModelError as error:
        return ExportReport(str(path), signatures, faults=error.faults)
    largest: float | None = None
    for run, answer in zip(runs, answers, strict=True):
        difference, found = _held(run, answer)
        faults.extend(found)
        largest = max((value for value in (largest, difference) if value is not None), default=None)
    return ExportReport(str(path), signatures, largest, faults)


class _Run(NamedTuple):
    """One call of one signature, and what should come out."""

    signature: str
    batch: int
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]

    @property
    def where(self) -> str:
        """The call in messages."""
        shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in self.inputs.items())
        return f"{self.signature} with {shapes} in a batch of {self.batch}"


def _plan(signatures: Signatures, golden: Sequence[Golden] | None) -> list[_Run]:
    """List what to run: every signature with its inputs at batch 1, 3 and as many as were given."""
    runs = []
    for name, signature in signatures.items():
        for batch in golden or _synthetic(signature["inputs"]):
            given = {key: _three_rows(_input(batch, key)) for key in signature["inputs"]}
            wanted = {key: _three_rows(value) for key, value in batch.expected.get(name, {}).items()}
            largest = max((len(value) for value in given.values()), default=3)
            for size in sorted({1, 3, largest}):
                expected = {key: value[:size] for key, value in wanted.items()}
                runs.append(_Run(name, size, {key: value[:size] for key, value in given.items()}, expected))
    return runs


def _synthetic(inputs: Mapping[str, Any]) -> list[Golden]:
    shapes = {key: tuple(tensor["shape"][1:]) for key, tensor in inputs.items()}
    dtypes = {key: tensor["dtype"] for key, tensor in inputs.items()}
    return [Golden(batch, {}) for batch in synthetic_inputs(shapes, dtypes)]


def _input(batch: Golden, name: str) -> np.ndarray:
    if not isinstance(batch.inputs, Mapping):
        return np.asarray(batch.inputs)
    if name not in batch.inputs:
        raise ModelError("verify_export", [f"inputs: {name!r} is missing; there are {', '.join(batch.inputs)}"])
    return batch.inputs[name]


def _three_rows(values: np.ndarray) -> np.ndarray:
    """Repeat rows where there are fewer than the largest batch that is always run."""
    return np.resize(values, (max(3, len(values)), *np.shape(values)[1:]))


def _run_apart(path: Path, runs: list[_Run]) -> list[dict[str, Any]]:
    """Run the plan in a new process, on the CPU; arrays and names pass through files, never pickled."""
    arrays: dict[str, np.ndarray] = {}
    plan = []
    for number, run in enumerate(runs):
        keys = {name: f"{number}/{name}" for name in run.inputs}
        arrays.update({keys[name]: value for name, value in run.inputs.items()})
        plan.append({"signature": run.signature, "inputs": keys})
    with tempfile.TemporaryDirectory(prefix="tumorkeras-verify-") as name:
        folder = Path(name)
        (folder / "plan.json").write_text(json.dumps({"export": str(path), "runs": plan}), encoding="utf-8")
        np.savez(folder / "inputs.npz", **arrays)  # type: ignore[arg-type]
        done = subprocess.run(
            [sys.executable, "-P", str(_CHECK), str(folder)],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ModelError(str(path), [f"TensorFlow alone cannot load it (exit {done.returncode}): {reason}"])
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        with np.load(folder / "outputs.npz", allow_pickle=False) as outputs:
            for result in results:
                result["outputs"] = {name: outputs[key] for name, key in result.get("outputs", {}).items()}
    return results


def _held(run: _Run, answer: dict[str, Any]) -> tuple[float | None, list[str]]:
    """Hold one run against what was expected of it: the largest difference, and the faults."""
    if "error" in answer:
        return None, [f"{run.where}: {answer['error']}"]
    difference, faults = compare(answer["outputs"], run.expected, run.batch)
    return difference, [f"{run.where}: {fault}" for fault in faults]
