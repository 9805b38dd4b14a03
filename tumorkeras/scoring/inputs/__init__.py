"""What can be scored: arrays, files, folders, tables of paths, specs, samples and data sets, window by window."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from tumorkeras.data.agreement import ModelOrigin, chosen_samples
from tumorkeras.errors import DataError
from tumorkeras.scoring.inputs.arrays import ArrayInputs
from tumorkeras.scoring.inputs.blocks import Block
from tumorkeras.scoring.inputs.files import FileInputs, Read
from tumorkeras.scoring.inputs.listing import list_files
from tumorkeras.spec import DataSpec


class Inputs(Protocol):
    """Everything that a job scores, listed before it starts.

    Attributes
    ----------
    paths : sequence of str
        Of each input: its file, or the name of what is in memory.
    carried : pandas.DataFrame or None
        Further columns of each input, which go into the table.
    has_names : bool
        Whether samples have names of their own, which are text; else rows in a file, which are numbers.
    """

    @property
    def paths(self) -> Sequence[str]:
        """Of each input."""

    @property
    def carried(self) -> pd.DataFrame | None:
        """A row an input."""

    @property
    def has_names(self) -> bool:
        """Whether ids are text."""

    def fingerprint(self) -> dict[str, Any]:
        """What tells other inputs apart, where their paths do not."""

    def example(self) -> np.ndarray | None:
        """A sample like those that will be scored; None where there is none to be had beforehand."""

    def windows(self, ranges: Iterable[range], batch_size: int) -> Iterator[tuple[range, Iterable[Block]]]:
        """The inputs of some ranges of numbers, with the blocks of each, to be gone through in this order."""


def find_inputs(
    inputs: Any,
    origin: ModelOrigin,
    split: str | None,
    *,
    detects: bool,
    reserved: Collection[str],
    read: Read | None,
) -> Inputs:
    """List what is to be scored.

    Parameters
    ----------
    inputs : ndarray, str, Path, iterable of paths, DataFrame, tf.data.Dataset, DataSpec, Samples or DetectionSamples
    origin : ModelOrigin
        What the model reads.
    split : str or None
        Part of a spec or of samples.
    detects : bool
        Whether the model finds boxes.
    reserved : collection of str
        Columns that a table of paths may not carry along.
    read : callable or None
        How files are read, as :class:`FileInputs` has it; None where :func:`are_files` says that there are none.

    Raises
    ------
    DataError
        If ``inputs`` is nothing that can be scored, or ``split`` comes without a spec or samples.
    ModelError
        If a spec or samples do not fit the model.
    """
    samples = _as_samples(inputs, detects)
    if samples is not None:
        from tumorkeras.scoring.inputs.samples import DetectionInputs, SampleInputs

        kind = DetectionInputs if detects else SampleInputs
        return kind(chosen_samples(origin, samples, split))
    if split is not None:
        raise DataError("score", ["split: only a spec or samples have parts; leave split out for arrays and files"])
    if isinstance(inputs, np.ndarray):
        return ArrayInputs(inputs, origin)
    if hasattr(inputs, "element_spec"):
        from tumorkeras.scoring.inputs.samples import DatasetInputs

        return DatasetInputs(inputs, origin)
    if read is None:
        expected = "DetectionSamples" if detects else "Samples"
        fault = f"inputs: {type(inputs).__name__} found, expected an array, a DataSpec, {expected}, or files"
        raise DataError("score", [fault])
    return FileInputs(list_files(inputs, volumes=len(origin.shape) == 4, reserved=reserved), origin, read)


def are_files(inputs: Any) -> bool:
    """Whether something is read from files that have to be decoded, as far as it can be told without a model.

    Examples
    --------
    >>> are_files("scans/"), are_files(np.zeros((2, 8, 8, 1)))
    (True, False)
    """
    in_memory = isinstance(inputs, np.ndarray | DataSpec) or hasattr(inputs, "element_spec")
    return not in_memory and not any(_is_a(inputs, *kind) for kind in _SAMPLES)


_SAMPLES = [("samples", "Samples"), ("detection", "DetectionSamples")]


def _is_a(inputs: Any, home: str, name: str) -> bool:
    # Arrays and files need none of the readers: where nobody has loaded their module, nothing is a sample of it.
    module = sys.modules.get(f"tumorkeras.data.{home}")
    return module is not None and isinstance(inputs, getattr(module, name))


def _as_samples(inputs: Any, detects: bool) -> Any:
    if isinstance(inputs, DataSpec):
        if detects:
            from tumorkeras.data.detection import load_detection

            return load_detection(inputs)
        from tumorkeras.data.samples import load_samples

        return load_samples(inputs)
    return inputs if _is_a(inputs, *_SAMPLES[detects]) else None
