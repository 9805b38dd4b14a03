"""Whether a format answers as the SavedModel did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.serving.compare import compare
from tumorkeras.serving.formats.base import Arrays
from tumorkeras.serving.warm_up import Request

_BATCHES = (1, 3)


def held(
    run: Callable[[Mapping[str, np.ndarray]], Arrays], requests: Iterable[Request]
) -> tuple[dict[str, float], list[str]]:
    """Run requests in batches of 1, of 3 and of their own size, and hold the answers against theirs.

    Returns
    -------
    differences : dict of str to float
        The largest of each output.
    faults : list of str
        One line a request, batch and output that differs by more than
        :func:`tumorkeras.serving.compare.compare` allows, or a call that failed.
    """
    differences: dict[str, float] = {}
    faults: list[str] = []
    for request in requests:
        assert request.outputs is not None
        own = len(next(iter(request.inputs.values())))
        for batch in sorted({*_BATCHES, own}):
            inputs, expected = _rows(request.inputs, batch), _rows(_numbers(request.outputs), batch)
            try:
                found = run(inputs)
            except ModelError as error:
                faults.append(str(error))
                continue
            shapes = ", ".join(f"{name} {values.shape[1:]}" for name, values in inputs.items())
            seen, more = compare(found, expected, batch)
            differences |= {name: max(value, differences.get(name, 0.0)) for name, value in seen.items()}
            faults += [f"{fault}, for {shapes} in a batch of {batch}" for fault in more]
    return differences, faults


def _rows(arrays: Arrays, batch: int) -> Arrays:
    return {name: np.resize(values, (batch, *values.shape[1:])) for name, values in arrays.items()}


def _numbers(outputs: Arrays) -> Arrays:
    """Without strings, which the formats do not give."""
    return {name: values for name, values in outputs.items() if values.dtype.kind not in "OSU"}
