"""What an export is run with: its own warm-up file, what the caller gives, and made inputs of odd sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.serving.requests import dtype_of, request_faults
from tumorkeras.serving.structure import Signatures
from tumorkeras.serving.synthetic import encoded_images, synthetic_inputs
from tumorkeras.serving.warm_up import Request

Arrays = dict[str, np.ndarray]
Tensors = Mapping[str, Mapping[str, Any]]

GIVEN = "given inputs"  # which come in several batches already
_BATCHES = (1, 3, 7)


class Run(NamedTuple):
    """One call of one signature, and what should come out.

    Attributes
    ----------
    signature : str
    inputs, expected : dict of str to ndarray
    source : str
        Where the inputs are from; empty for made ones.
    like : int or None
        The number of the run that these inputs are from, with broken rows put between.
    broken : tuple of int
        These rows.
    """

    signature: str
    inputs: Arrays
    expected: Arrays
    source: str = ""
    like: int | None = None
    broken: tuple[int, ...] = ()

    @property
    def batch(self) -> int:
        """The number of rows."""
        return len(next(iter(self.inputs.values())))

    @property
    def where(self) -> str:
        """The call in messages."""
        shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in self.inputs.items())
        source = f" ({self.source})" if self.source else ""
        return f"{self.signature}{source} with {shapes} in a batch of {self.batch}"


def plan(
    signatures: Signatures, recorded: Mapping[int, Request], given: Iterable[Request]
) -> tuple[list[Run], list[str]]:
    """List what to run.

    Parameters
    ----------
    signatures : dict
        Those to run.
    recorded : mapping of int to Request
        Record number of the warm-up file -> request.
    given : iterable of Request
        Of the caller.

    Returns
    -------
    runs : list of Run
        Of each signature the recorded ones, of those with an answer also the last row alone, the given ones, then made
        ones in batches of 1, 3 and 7, of three sizes where sizes are open. One that gives a ``status`` is also run with
        rows that are no images.
    skipped : list of str
        What cannot be made, and why.
    """
    runs: list[Run] = []
    skipped: list[str] = []
    requests = [(f"warm-up record {number}", request) for number, request in recorded.items()]
    requests += [(GIVEN, request) for request in given]
    for name, signature in signatures.items():
        own = [Run(name, asked.inputs, asked.outputs or {}, at) for at, asked in requests if asked.signature == name]
        own = [run for run in own if run.inputs]
        own += [_last_alone(run) for run in own if run.expected and run.batch > 1 and run.source != GIVEN]
        reason = _reason_against(signature["inputs"], bool(own))
        if reason is None:
            own += _made(name, signature)
        elif not own:
            skipped.append(f"{name}: {reason}, so it was not run")
        if "status" in signature["outputs"]:
            own += _with_broken_rows(own, signature["inputs"], len(runs))
        runs += own
    return runs, skipped


def _last_alone(run: Run) -> Run:
    """A row must have the same answer whatever stands beside it."""
    inputs, expected = ({name: values[-1:] for name, values in each.items()} for each in (run.inputs, run.expected))
    return run._replace(inputs=inputs, expected=expected, source=f"{run.source}, the last row alone")


def _reason_against(inputs: Tensors, is_asked: bool) -> str | None:
    """Why inputs are not made; None where they are."""
    if not inputs:
        return "has no inputs"
    strings = [name for name, tensor in inputs.items() if tensor["dtype"] == "string"]
    if strings and is_asked:
        return "what is in the warm-up file, or given, says more than made strings"
    unknown = ", ".join(repr(name) for name in strings if not _is_of_images(name, inputs[name]))
    return f"reads strings of an unknown kind, {unknown}; put a request into the warm-up file" if unknown else None


def _is_of_images(name: str, tensor: Mapping[str, Any]) -> bool:
    return name.endswith("_bytes") and tensor["dtype"] == "string" and tensor["shape"] == [None]


def _made(name: str, signature: Mapping[str, Tensors]) -> list[Run]:
    numbers = {key: tensor for key, tensor in signature["inputs"].items() if tensor["dtype"] != "string"}
    shapes = {key: tuple(tensor["shape"][1:]) for key, tensor in numbers.items()}
    dtypes = {key: tensor["dtype"] for key, tensor in numbers.items()}
    is_encoded = len(numbers) < len(signature["inputs"])
    images = encoded_images() if is_encoded else []
    runs = []
    for size, batch in zip(_BATCHES, cycle(synthetic_inputs(shapes, dtypes)), strict=False):
        inputs = {key: np.resize(values, (size, *values.shape[1:])) for key, values in batch.items()}
        inputs |= {key: _strings(images[:size]) for key in signature["inputs"] if key not in numbers}
        is_said = is_encoded and "status" in signature["outputs"]
        runs.append(Run(name, inputs, {"status": np.zeros(size, np.int32)} if is_said else {}))
    return runs


def _strings(values: list[bytes]) -> np.ndarray:
    strings = np.empty(len(values), dtype=object)
    strings[:] = values
    return strings


def _with_broken_rows(runs: list[Run], inputs: Tensors, offset: int) -> list[Run]:
    """The first run once more, with garbage, nothing and half an image among its rows."""
    encoded = [name for name, tensor in inputs.items() if _is_of_images(name, tensor)]
    numbers = [number for number, run in enumerate(runs) if run.batch]
    if not encoded or not numbers:
        return []
    run, half = runs[numbers[0]], runs[numbers[0]].batch // 2
    places = (0, half, run.batch)
    image = encoded_images()[0]
    broken = _strings([b"this is no image", b"", image[: len(image) // 2]])
    changed = {
        name: np.insert(values, places, broken if name in encoded else values[[0] * len(places)], axis=0)
        for name, values in run.inputs.items()
    }
    rows = tuple(place + before for before, place in enumerate(places))
    return [Run(run.signature, changed, {}, "with rows that are no images", offset + numbers[0], rows)]


# ------------------------------------------------------------------------------------------------ what the caller gives


def given_requests(
    signatures: Signatures,
    inputs: np.ndarray | Mapping[str, np.ndarray],
    expected: Mapping[str, Mapping[str, np.ndarray]],
) -> tuple[list[Request], list[str]]:
    """Give the inputs to every signature that they fit, in batches of 1, 3 and as many as there are.

    Returns
    -------
    requests : list of Request
    skipped : list of str
        Signatures that they do not fit, and why.

    Raises
    ------
    ModelError
        If they fit none, or not one of those that something is expected of, or are some of a signature's and not all.
    """
    requests: list[Request] = []
    faults: dict[str, list[str]] = {}
    meant = set(expected)
    for name in sorted({*signatures, *expected}):
        request = _request(name, signatures, inputs, expected.get(name, {}))
        # What is expected and does not come out is a fault of the export.
        faults[name] = list(request_faults(request._replace(outputs=None), signatures))
        if request.inputs and len(request.inputs) < len(signatures[name]["inputs"]):
            meant.add(name)
        if request.inputs and not faults[name]:
            requests += [_first(request, size) for size in sorted({1, 3, len(next(iter(request.inputs.values())))})]
    wrong = [fault for name in sorted(meant if requests else faults) for fault in faults[name]]
    if wrong:
        raise ModelError("verify_export: inputs and expected do not fit the export", wrong)
    return requests, [f"the given inputs do not fit {fault}" for found in faults.values() for fault in found]


def _request(name: str, signatures: Signatures, inputs: Any, expected: Mapping[str, np.ndarray]) -> Request:
    signature: Mapping[str, Tensors] = signatures.get(name, {"inputs": {}, "outputs": {}})
    tensors = signature["inputs"]
    if isinstance(inputs, Mapping):  # more may be given than this signature reads
        inputs = {key: inputs[key] for key in tensors if key in inputs}
    else:
        inputs = dict.fromkeys(tensors, inputs)
    return Request(name, _as(inputs, tensors), _as(expected, signature["outputs"]))


def _as(arrays: Mapping[str, Any], tensors: Tensors) -> Arrays:
    """In the dtypes of the signature, where they hold such values."""
    found = {name: np.asarray(values) for name, values in arrays.items()}
    for name, values in found.items():
        dtype = tensors[name]["dtype"] if name in tensors else "string"
        if "string" not in (dtype, dtype_of(values)) and np.can_cast(values.dtype, dtype, "same_kind"):
            found[name] = values.astype(dtype)
    return found


def _first(request: Request, size: int) -> Request:
    """The first rows; repeated where there are fewer."""

    def cut(arrays: Arrays) -> Arrays:
        return {
            name: np.resize(values, (max(size, len(values)), *values.shape[1:]))[:size]
            for name, values in arrays.items()
        }

    return Request(request.signature, cut(request.inputs), cut(request.outputs or {}))
