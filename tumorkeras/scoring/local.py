"""Scoring on one machine: windows of inputs through a compiled model, each a table of its outcomes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tumorkeras.errors import DataError
from tumorkeras.scoring.backends import CallError
from tumorkeras.scoring.inputs import Inputs
from tumorkeras.scoring.inputs.blocks import Block
from tumorkeras.scoring.output.part_tables import failed_inputs
from tumorkeras.scoring.predictor import Predictor
from tumorkeras.scoring.table import INPUT, Layout

BATCHES_A_WINDOW = 16  # the more, the rarer a batch that is not full; the fewer, the less is lost by a kill
UNDECODED = "could not be decoded by the model's serving_bytes"

logger = logging.getLogger(__name__)

Results = tuple[np.ndarray, list[str | None]]


def score_windows(
    predictor: Predictor,
    layout: Layout,
    inputs: Inputs,
    ranges: Iterable[range],
    batch_size: int,
    done: Callable[[int], Any] = lambda count: None,
) -> Iterator[tuple[range, pd.DataFrame]]:
    """Score inputs window by window; the next are read while the model works.

    Parameters
    ----------
    predictor : Predictor
    layout : Layout
        Of the tables.
    inputs : Inputs
    ranges : iterable of range
        The windows: numbers of inputs, in ascending order.
    batch_size : int
        Samples per call of the model.
    done : callable
        Told how many inputs are finished, time after time.

    Yields
    ------
    window : range
    table : pandas.DataFrame
        A row an outcome, with the number of its input.
    """
    for window, blocks in inputs.windows(ranges, batch_size):
        progress = _Progress(window, done)
        tables = [_score_block(predictor, layout, block, batch_size, progress.saw) for block in blocks]
        progress.finish()
        yield window, pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def windows_of(total: int, batch_size: int) -> list[range]:
    """The windows of as many inputs: whole batches, but for the last.

    Examples
    --------
    >>> windows_of(40, batch_size=2)
    [range(0, 32), range(32, 40)]
    """
    width = batch_size * BATCHES_A_WINDOW
    return [range(start, min(start + width, total)) for start in range(0, total, width)]


def layout_of(predictor: Predictor, inputs: Inputs | None = None) -> Layout:
    """The columns of a model's table, with those that inputs carry along."""
    names, carried = (False, None) if inputs is None else (inputs.has_names, inputs.carried)
    return Layout(predictor.output, predictor.shape, predictor.origin.classes, names, carried)


def settings_of(predictor: Predictor, batch_size: int) -> dict[str, Any]:
    """What another table would come of."""
    return {"tumorkeras": metadata.version("tumorkeras"), **predictor.identity, "batch_size": batch_size}


def tell(total: int, errors: int) -> None:
    """Log that a scoring has ended."""
    logger.info("scored %s inputs, %s of them with errors", f"{total:,}", f"{errors:,}")


def whole_table(tables: list[pd.DataFrame], layout: Layout, total: int, settings: dict[str, Any]) -> pd.DataFrame:
    """The tables of all windows as the one that users see, once every input is seen to have its outcome.

    Raises
    ------
    DataError
        If an input has none, or two.
    """
    table = layout.empty()
    if tables:
        whole = pd.concat(tables, ignore_index=True)
        outcomes = pa.Table.from_pandas(whole[[INPUT, "status"]], preserve_index=False)
        try:
            failed = failed_inputs(outcomes, 0, total)
        except ValueError as error:
            raise DataError("score", [f"{error}; this is a fault of the package"]) from None
        tell(total, failed)
        table = whole.drop(columns=INPUT)
    table.attrs["scoring"] = settings
    return table


def raise_first(table: pd.DataFrame) -> None:
    """Raise the first error of a table, if there is one, for those who want no rows of errors.

    Raises
    ------
    DataError
    """
    for path, fault in table.loc[table["status"] == "error", ["path", "error"]].itertuples(index=False):
        raise DataError(path, [fault])


class _Progress:
    """Tells of inputs, of which there is one for each number, while samples come, of which there may be many."""

    def __init__(self, window: range, done: Callable[[int], Any]) -> None:
        self._left, self._done = set(window), done

    def saw(self, numbers: Iterable[int]) -> None:
        """Some samples of inputs of these numbers are finished."""
        before = len(self._left)
        self._left.difference_update(int(number) for number in numbers)
        if before > len(self._left):
            self._done(before - len(self._left))

    def finish(self) -> None:
        """The window is finished."""
        self.saw(list(self._left))


def _score_block(
    predictor: Predictor, layout: Layout, block: Block, batch_size: int, saw: Callable[[Iterable[int]], None]
) -> pd.DataFrame:
    """The outcomes of a block."""
    results = np.full((len(block), *predictor.shape), np.nan, "float32")
    errors: list[str | None] = [None] * len(block)
    for rows, samples in block.pieces(batch_size):
        places = np.asarray(rows)
        if isinstance(samples, str):
            faults: list[str | None] = [samples] * len(places)
        else:
            results[places], faults = score_batch(predictor, samples)
        for row, fault in zip(places, faults, strict=True):
            errors[row] = fault
        saw(block.numbers[row] for row in places)
    return layout.table(block.paths, block.ids, errors, block.in_files(results), block.numbers)


def score_batch(predictor: Predictor, samples: np.ndarray) -> Results:
    """Score the rows that can be: answers (n, *shape), not numbers where a fault says why."""
    results = np.full((len(samples), *predictor.shape), np.nan, "float32")
    if fault := predictor.fault_of(samples):
        return results, [fault] * len(samples)
    batch = samples if samples.dtype == object else predictor.as_read(samples)
    errors = _faults_of(batch)
    fit = np.flatnonzero([error is None for error in errors])
    if not len(fit):
        return results, errors
    results[fit], failures = _answers(predictor, batch if len(fit) == len(batch) else batch[fit])
    infinite = ~np.isfinite(results).all(axis=tuple(range(1, results.ndim)))
    for row, failure in zip(fit, failures, strict=True):
        if failure or infinite[row]:
            results[row] = np.nan
            errors[row] = failure or (UNDECODED if samples.dtype == object else "the model's answer is not finite")
    return results, errors


def _faults_of(batch: np.ndarray) -> list[str | None]:
    if batch.dtype.kind != "f":
        return [None] * len(batch)
    bad = (~np.isfinite(batch)).reshape(len(batch), -1).sum(axis=1)
    return [f"holds {count} non-finite values" if count else None for count in bad]


def _answers(predictor: Predictor, batch: np.ndarray) -> Results:
    """The model's answers; where it fails on a batch, such as one that memory does not hold, one row at a time."""
    try:
        return predictor.run(batch), [None] * len(batch)
    except CallError as error:
        if len(batch) == 1:
            return np.full((1, *predictor.shape), np.nan, "float32"), [f"the model failed on it: {error}"]
    singles = [_answers(predictor, batch[row : row + 1]) for row in range(len(batch))]
    return np.concatenate([found for found, _ in singles]), [fault for _, faults in singles for fault in faults]
