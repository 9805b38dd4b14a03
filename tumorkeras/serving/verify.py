"""Read an export back as a server would: its structure, then every signature with TensorFlow alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.serving.structure import Signatures, read_graph, signatures_of, structure_faults

Outputs = dict[str, dict[str, np.ndarray]]
"""Signature -> output -> array."""

#: Largest absolute difference of a probability that still counts as the same answer.
PROBABILITY_TOLERANCE = 1e-5
#: The same for other outputs, relative to the largest value of the output.
RELATIVE_TOLERANCE = 1e-4

_CHECK = Path(__file__).with_name("_check.py")
_OPEN_SIZE = 32


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


def synthetic_inputs(shape: tuple[int | None, ...], dtype: str = "float32", n: int = 4) -> np.ndarray:
    """Draw ``n`` seeded inputs of (*shape), uniform in [0, 1) (integers: 0 and 1); open sizes become 32."""
    size = (n, *(_OPEN_SIZE if value is None else value for value in shape))
    values = np.random.default_rng(0).random(size)
    return (values if np.dtype(dtype).kind == "f" else values.round()).astype(dtype)


def verify_export(
    path: str | Path,
    inputs: np.ndarray | None = None,
    expected: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> ExportReport:
    """Check that TF Serving can load, batch and run an export, and that it answers as the model did.

    The structure is read first: an integer as folder name, a ``serving_default`` signature, dense inputs and
    outputs with an open batch dimension, no op that calls Python anywhere in the graph. If that holds, each
    signature is run with batches of 1 and 3 in a new process in which Keras, keras-cv and this package cannot
    be imported.

    Parameters
    ----------
    path : str or Path
        The version's folder, ``NAME/VERSION``.
    inputs : ndarray, optional
        (n, *input_shape), given to every signature; by default four seeded synthetic ones. Fewer than three
        are repeated to make the batch of 3.
    expected : mapping, optional
        Signature -> output -> array (n, ...): what the model gave for ``inputs``. Probabilities may differ by
        1e-5, other floats by 1e-4 of the largest value, integers not at all.

    Returns
    -------
    ExportReport
        With every fault; ``report.ok`` where there is none.

    Raises
    ------
    ModelError
        If there is no such folder, or ``expected`` comes without ``inputs``.

    Examples
    --------
    >>> verify_export("no/such/export")
    Traceback (most recent call last):
    ...
    tumorkeras.errors.ModelError: no/such/export: there is no such folder; expected NAME/VERSION
    """
    path = Path(path)
    if not path.is_dir():
        raise ModelError(f"{path}: there is no such folder; expected NAME/VERSION")
    if expected is not None and inputs is None:
        raise ModelError(f"{path}", ["expected: given without the inputs that it was made from; give both"])
    # A relative path such as "." has no name to check.
    resolved = path.resolve()
    try:
        graph = read_graph(resolved)
    except ModelError as error:
        return ExportReport(str(path), faults=[str(error)])
    signatures, faults = signatures_of(graph), structure_faults(resolved, graph)
    if faults:  # Running it would only say the same again, in other words.
        return ExportReport(str(path), signatures, faults=faults)
    runs = _plan(signatures, inputs)
    try:
        answers = _run_apart(resolved, runs)
    except ModelError as error:
        return ExportReport(str(path), signatures, faults=error.faults)
    largest: float | None = None
    for run, answer in zip(runs, answers, strict=True):
        wanted = (expected or {}).get(run["signature"], {})
        difference, found = _compare(run, answer, wanted)
        faults.extend(found)
        largest = max((value for value in (largest, difference) if value is not None), default=None)
    return ExportReport(str(path), signatures, largest, faults)


def _plan(signatures: Signatures, inputs: np.ndarray | None) -> list[dict[str, Any]]:
    """List what to run: every signature with its inputs at batch 1, 3 and as many as were given."""
    runs = []
    for name, signature in signatures.items():
        given = {}
        for key, tensor in signature["inputs"].items():
            synthetic = synthetic_inputs(tuple(tensor["shape"][1:]), tensor["dtype"])
            given[key] = _three_rows(synthetic if inputs is None else inputs)
        sizes = {1, 3, len(inputs) if inputs is not None else 3}
        runs += [{"signature": name, "batch": size, "inputs": given} for size in sorted(sizes)]
    return runs


def _three_rows(values: np.ndarray) -> np.ndarray:
    """Repeat rows where there are fewer than the largest batch that is always run."""
    return np.resize(values, (max(3, len(values)), *np.shape(values)[1:]))


def _run_apart(path: Path, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run the plan in a new process, on the CPU; arrays and names pass through files, never pickled."""
    arrays: dict[str, np.ndarray] = {}
    plan = []
    for run in runs:
        keys = {name: f"{run['signature']}/{name}" for name in run["inputs"]}
        arrays.update({keys[name]: value for name, value in run["inputs"].items()})
        plan.append({"signature": run["signature"], "batch": run["batch"], "inputs": keys})
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


def _compare(
    run: dict[str, Any], answer: dict[str, Any], expected: Mapping[str, np.ndarray]
) -> tuple[float | None, list[str]]:
    """Hold one run against what was expected of it: the largest difference, and the faults."""
    where = f"{run['signature']} with a batch of {run['batch']}"
    if "error" in answer:
        return None, [f"{where}: {answer['error']}"]
    outputs: dict[str, np.ndarray] = answer["outputs"]
    faults = [f"{where}: {fault}" for fault in _output_faults(outputs, run["batch"])]
    faults += [f"{where}: output {name!r} is missing" for name in sorted(set(expected) - set(outputs))]
    differences = []
    for name in sorted(set(expected) & set(outputs)):
        found = outputs[name]
        wanted = _three_rows(expected[name])[: run["batch"]]
        if found.shape != wanted.shape:
            faults.append(f"{where}: {name!r} has the shape {found.shape}, expected {wanted.shape}")
            continue
        difference = float(np.max(np.abs(found.astype(np.float64) - wanted), initial=0.0))
        differences.append(difference)
        allowed = _tolerance(name, wanted)
        if not difference <= allowed:  # NaN is no agreement.
            faults.append(f"{where}: {name!r} is {difference:.2g} off, expected {allowed:.2g} at most")
    return max(differences, default=None), faults


def _output_faults(outputs: Mapping[str, np.ndarray], batch: int) -> Iterator[str]:
    for name, value in sorted(outputs.items()):
        if len(value) != batch:
            yield f"{name!r} has {len(value)} rows, expected {batch}"
        elif value.dtype.kind == "f" and not np.isfinite(value).all():
            yield f"{name!r} holds values that are not finite"
    if {"class_id", "probabilities"} <= set(outputs) and not np.array_equal(
        outputs["class_id"], outputs["probabilities"].argmax(-1)
    ):
        yield "'class_id' is not the most probable class"


def _tolerance(name: str, expected: np.ndarray) -> float:
    if expected.dtype.kind != "f":
        return 0.0
    if name == "probabilities":
        return PROBABILITY_TOLERANCE
    return RELATIVE_TOLERANCE * float(np.max(np.abs(expected), initial=0.0)) + 1e-7
