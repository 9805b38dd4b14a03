"""Whether requests fit the signatures that they are meant for, and what is in a warm-up file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tumorkeras.data.agreement import fits
from tumorkeras.errors import ModelError, shortened
from tumorkeras.serving.structure import Signatures
from tumorkeras.serving.warm_up import FILE, MOST_RECORDS, Request, read_logs, request_of

Tensors = Mapping[str, Mapping[str, Any]]


class WarmUp(NamedTuple):
    """What :func:`check_warm_up` found.

    Attributes
    ----------
    requests : dict of int to Request
        Record number -> request, of those that fit.
    faults : list of str
    skipped : list of str
        Records that are not looked at, and why.
    """

    requests: dict[int, Request]
    faults: list[str]
    skipped: list[str]


def check_warm_up(export: Path, signatures: Signatures) -> WarmUp:
    """Read the warm-up file of an export and hold each of its records against the signatures."""
    try:
        logs = read_logs(export)
    except ModelError as error:
        return WarmUp({}, [f"{FILE}: {fault}" for fault in error.faults], [])
    requests, faults, skipped = {}, [], []
    if len(logs) > MOST_RECORDS:
        faults.append(f"{FILE}: {len(logs)} records, expected {MOST_RECORDS} at most; the server would not load it")
    for number, log in enumerate(logs[:MOST_RECORDS]):
        where = f"{FILE}: record {number}"
        kind = log.WhichOneof("log_type")
        if kind not in (None, "predict_log"):
            skipped.append(f"{where}: is a {kind}; only a predict_log is run")
            continue
        try:
            request = request_of(log)
        except (TypeError, ValueError) as error:
            faults.append(f"{where}: holds a tensor that cannot be read ({error})")
            continue
        found = ["holds no request"] if kind is None else list(request_faults(request, signatures))
        faults += [f"{where}: {fault}" for fault in found]
        if not found:
            requests[number] = request
    return WarmUp(requests, shortened(faults), shortened(skipped))


def request_faults(request: Request, signatures: Signatures) -> Iterator[str]:
    """Say what does not fit: the signature, the names, the dtypes, the shapes, the number of rows."""
    signature = signatures.get(request.signature)
    if signature is None:
        yield f"asks for the signature {request.signature!r}; there are {', '.join(signatures)}"
        return
    missing = [name for name in signature["inputs"] if name not in request.inputs]
    yield from (f"{request.signature}: input {name!r} is missing" for name in missing)
    for side, arrays in (("input", request.inputs), ("output", request.outputs or {})):
        tensors = signature[f"{side}s"]
        for name, values in arrays.items():
            if name not in tensors:
                yield f"{request.signature}: {name!r} is no {side}; there are {', '.join(tensors)}"
            else:
                yield from (
                    f"{request.signature}: {side} {name!r} {fault}" for fault in _misfits(values, tensors[name])
                )
    rows = {name: len(values) for name, values in request.inputs.items() if values.ndim}
    if len(set(rows.values())) > 1:
        yield f"{request.signature}: not as many rows of every input ({rows})"


def _misfits(values: np.ndarray, tensor: Mapping[str, Any]) -> Iterator[str]:
    if dtype_of(values) != tensor["dtype"]:
        yield f"is {dtype_of(values)}, expected {tensor['dtype']}"
    if tensor["shape"] is not None and not fits(values.shape, tuple(tensor["shape"])):
        yield f"has the shape {values.shape}, expected {tuple(tensor['shape'])}"


def dtype_of(values: np.ndarray) -> str:
    """The dtype as TensorFlow calls it.

    Examples
    --------
    >>> dtype_of(np.array([b"a"], object)), dtype_of(np.zeros(2, "float32"))
    ('string', 'float32')
    """
    return "string" if values.dtype.kind in "OSU" else values.dtype.name
