"""Read an export back as a server would: its files, then every signature with TensorFlow alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras import markup
from tumorkeras.errors import ModelError, shortened
from tumorkeras.markup import Cell, Row
from tumorkeras.serving.apart import Answers, run_apart
from tumorkeras.serving.compare import Arrays, compare
from tumorkeras.serving.requests import check_warm_up
from tumorkeras.serving.runs import Run, given_requests, plan
from tumorkeras.serving.structure import (
    Signatures,
    custom_faults,
    folder_faults,
    ops_of,
    python_faults,
    read_graph,
    signature_faults,
    signatures_of,
    tensors_of,
    variable_faults,
)


@dataclass(frozen=True)
class ExportReport:
    """What :func:`verify_export` found.

    Attributes
    ----------
    path : str
        The version's folder.
    signatures : dict
        Name -> ``inputs`` and ``outputs`` -> tensor -> ``dtype`` and ``shape`` (None is an open dimension).
    differences : dict
        Signature -> output -> the largest between what the export gave and what was expected; what was not compared is
        not there.
    largest_difference : float or None
        Over all of them; None where nothing was compared.
    loader : str
        What ran the export: TensorFlow's C library, or where that is not to be had its Python package.
    skipped : list of str
        What was not looked at, and why.
    faults : list of str
        One line a fault; empty where the export is fit to be served.
    """

    path: str
    signatures: Signatures = field(default_factory=dict)
    differences: dict[str, dict[str, float]] = field(default_factory=dict)
    largest_difference: float | None = None
    loader: str = ""
    skipped: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found against serving it."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, as JSON has them."""
        return {**asdict(self), "ok": self.ok}

    def _repr_html_(self) -> str:
        said = "Fit to be served." if self.ok else "Not fit to be served:"
        rows = [
            Row([Cell(name), Cell(_tensors(each["inputs"])), Cell(_tensors(each["outputs"])), self._compared(name)])
            for name, each in self.signatures.items()
        ]
        parts = [markup.paragraph(said, "" if self.ok else "aside"), markup.bullets(self.faults) if self.faults else ""]
        if rows:
            parts.append(markup.table(["signature", "takes", "gives", "largest difference"], rows, "Signatures"))
        skipped = [f"Not looked at: {line}" for line in self.skipped]
        soft = [*([f"Run by {self.loader}."] if self.loader else []), *skipped]
        return markup.card(f"Export {self.path}", [*parts, *(markup.paragraph(line, "soft") for line in soft)])

    def _compared(self, signature: str) -> Cell:
        difference = max(self.differences.get(signature, {}).values(), default=None)
        return Cell("not compared" if difference is None else f"{difference:.2g}", number=True)

    def __str__(self) -> str:
        """The report as lines of text: what there is, what was not looked at, what is wrong."""
        count = len(self.faults)
        lines = [f"{self.path}: {'ok' if self.ok else '1 fault' if count == 1 else f'{count} faults'}"]
        for name, signature in self.signatures.items():
            difference = max(self.differences.get(name, {}).values(), default=None)
            compared = "not compared" if difference is None else f"largest difference {difference:.2g}"
            lines.append(f"  {name}: {_tensors(signature['inputs'])} -> {_tensors(signature['outputs'])}; {compared}")
        lines += [f"  run by: {self.loader}"] if self.loader else []
        lines += [f"  skipped: {line}" for line in self.skipped]
        lines += [f"  fault: {line}" for line in self.faults]
        return "\n".join(lines)


def _tensors(tensors: Mapping[str, Mapping[str, Any]]) -> str:
    shapes = {name: "of any rank" if each["shape"] is None else tuple(each["shape"]) for name, each in tensors.items()}
    return ", ".join(f"{name} {shapes[name]} {each['dtype']}" for name, each in tensors.items())


def verify_export(
    path: str | Path,
    inputs: np.ndarray | Mapping[str, np.ndarray] | None = None,
    expected: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> ExportReport:
    """Check that TF Serving can load, batch and run an export, and that it answers as the model did.

    The files are read first: an integer as folder name, a ``serving_default`` signature, dense inputs and outputs with
    an open batch dimension, no op anywhere in the graph that calls Python or that TensorFlow itself does not have, the
    files of the variables, a warm-up file whose records fit the signatures. Each signature without a fault is then run
    in a new process by TensorFlow's C library, the entry to the loader of TF Serving: neither Keras, keras-cv, this
    package nor TensorFlow for Python is loaded there. Where the library is not to be had, that is on other systems than
    Linux, TensorFlow for Python without Keras runs it, and the report says so.

    It is run with the requests of the warm-up file, which may hold the answers, with the inputs that are given, and
    with made ones in batches of 1, 3 and 7, of three sizes where sizes are open. An input of strings whose name ends in
    ``_bytes`` is given PNG and JPEG images where the warm-up file has no request; others are passed over. A signature
    that gives a ``status`` is also given garbage, an empty string and half an image: their rows must say 1, and the
    other rows what they said without them.

    Parameters
    ----------
    path : str or Path
        The version's folder, ``NAME/VERSION``.
    inputs : ndarray or mapping of str to ndarray, optional
        ``(n, *input_shape)``, given to every signature that they fit, or an array for each input by its name. Fewer
        than three are repeated to make a batch of 3.
    expected : mapping, optional
        Signature -> output -> array (n, ...): what the model gave for ``inputs``.

    Returns
    -------
    ExportReport
        With every fault; ``report.ok`` where there is none.

    Raises
    ------
    ModelError
        If there is no such folder, ``expected`` comes without ``inputs``, or the inputs do not fit.

    See Also
    --------
    tumorkeras.serving.compare.compare : what counts as the same answer.

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
    if inputs is None and expected is not None:
        raise ModelError(f"{path}", ["expected: given without the inputs that it was made from; give both"])
    batches = [] if inputs is None else [(inputs, expected or {})]
    # A relative path such as "." has no name to check.
    return _verify(path.resolve(), str(path), batches)


def _verify(path: Path, name: str, batches: Iterable[tuple[Any, Any]]) -> ExportReport:
    try:
        graph = read_graph(path)
    except ModelError as error:
        return ExportReport(name, faults=[str(error)])
    signatures, ops, of_signatures = signatures_of(graph), ops_of(graph), signature_faults(graph)
    given = [given_requests(signatures, *batch) for batch in batches]
    warm_up = check_warm_up(path, signatures)
    whole = {key: value for key, value in signatures.items() if not of_signatures[key]}
    runs, skipped = plan(whole, warm_up.requests, [request for requests, _ in given for request in requests])
    skipped += [reason for _, reasons in given for reason in reasons]
    # What is known to fail need not be tried: it would only be said again, in other words.
    hopeless = python_faults(ops) + variable_faults(path, graph)
    answers = run_apart(path, [] if hopeless else runs, tensors_of(graph), ops)
    if hopeless or answers.unknown:
        skipped.append("the signatures were not run: it would fail for the faults of the graph and its files")
    differences, of_runs = _held(runs, answers)
    faults = folder_faults(path, graph) + [fault for found in of_signatures.values() for fault in found]
    faults += custom_faults(answers.unknown, ops) + hopeless + warm_up.faults
    faults += [] if answers.fault is None else [answers.fault]
    return ExportReport(
        name,
        signatures,
        differences,
        max((value for found in differences.values() for value in found.values()), default=None),
        answers.loader,
        [*answers.skipped, *warm_up.skipped, *skipped],
        faults + of_runs,
    )


def _held(runs: Sequence[Run], answers: Answers) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Hold what came out against what should: the largest differences, and the faults."""
    differences: dict[str, dict[str, float]] = {}
    faults: dict[str, list[str]] = {}
    for run, outputs in zip(runs, answers.outputs, strict=False):  # a killed process leaves fewer
        if isinstance(outputs, str):
            found = [outputs]
        elif run.like is not None:
            found = _held_to_itself(run, outputs, answers.outputs[run.like])
        else:
            seen, found = compare(outputs, run.expected, run.batch)
            largest = differences.setdefault(run.signature, {})
            largest |= {name: max(value, largest.get(name, 0.0)) for name, value in seen.items()}
        faults.setdefault(run.signature, []).extend(f"{run.where}: {fault}" for fault in found)
    named = {name: found for name, found in differences.items() if found}
    return named, [fault for found in faults.values() for fault in shortened(found)]


def _held_to_itself(run: Run, outputs: Arrays, without: Arrays | str) -> list[str]:
    """Broken rows must have status 1, and the others what they had without them."""
    _, faults = compare(outputs, {}, run.batch)
    if faults or isinstance(without, str):
        return faults
    broken = list(run.broken)
    status = outputs["status"][broken]
    if not (status == 1).all():
        faults.append(f"'status' of the rows {broken} is {status.tolist()}, expected 1, for they are no images")
    rest = {name: np.delete(values, broken, axis=0) for name, values in outputs.items()}
    return faults + compare(rest, without, run.batch - len(broken))[1]
