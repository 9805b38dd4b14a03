"""A table of predictions that grows by parts and survives a kill: what is there is never scored again."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pandas as pd
import pyarrow as pa

from tumorkeras.errors import DataError
from tumorkeras.files import sync
from tumorkeras.scoring.output.final import with_attributes, write_tables
from tumorkeras.scoring.output.locks import LOCK, lock_folder
from tumorkeras.scoring.output.part_tables import failed_inputs, read_part, schema_of, typed, write_part
from tumorkeras.scoring.output.plans import ANEW, INPUTS, PLAN, Plan, check_same, read_plan, write_plan
from tumorkeras.scoring.views import INPUT

NAME = re.compile(r"part-(\d{9,})-(\d{9,})\.parquet")
OURS = {PLAN, INPUTS, LOCK}
log = logging.getLogger(__name__)


class Counts(NamedTuple):
    """Inputs of the list, those that were scored, and those with a row that says why not."""

    inputs: int
    ok: int
    error: int


class Parts:
    r"""The parts of an output, in the folder ``OUTPUT.parts`` beside it, until the output is made from them.

    The folder holds the plan (``_scoring.json``), the list of inputs (``_inputs.parquet``), and a part a window,
    ``part-000000000-000000512.parquet``, each written whole. ``pandas.read_parquet`` reads the folder at any time.
    One call at a time may have it; leave the ``with`` block, or call :meth:`close`, to let go.

    Attributes
    ----------
    plan : Plan
        What is scored: of a scoring that goes on the list and the width with which it began.

    Examples
    --------
    >>> import tempfile; output = Path(tempfile.mkdtemp(), "found.csv")
    >>> template = pd.DataFrame({"path": pd.Series(dtype="str"), "status": pd.Series(dtype="str")})
    >>> plan = Plan({"model": "lesions/1"}, ["a.png", "b.png", "c.png"], width=2)
    >>> with Parts.open(output, plan, template, resume=True) as parts:
    ...     for start, stop in parts.missing():
    ...         rows = {"_input": range(start, stop), "path": parts.plan.paths[start:stop], "status": "ok"}
    ...         parts.add(start, stop, pd.DataFrame(rows))
    ...     parts.counts, parts.finish().read_text()
    (Counts(inputs=3, ok=3, error=0), 'path,status\na.png,ok\nb.png,ok\nc.png,ok\n')
    """

    def __init__(self, output: Path, folder: Path, plan: Plan, schema: pa.Schema, lock: BinaryIO) -> None:
        self.plan = plan
        self._output, self._folder, self._schema, self._lock = output, folder, schema, lock
        self._there: set[int] = set()  # starts of the windows that are there
        self._done = self._failed = 0  # inputs

    @classmethod
    def open(cls, output: str | Path, plan: Plan, template: pd.DataFrame, *, resume: bool) -> Parts:
        """Begin a scoring, or go on with one.

        Parameters
        ----------
        output : str or Path
            The file to be made, ``.parquet``, ``.csv`` or ``.json``; its folder must be there.
        plan : Plan
            What is to be scored.
        template : DataFrame
            Without rows: the columns of the table, ``status`` among them, in order and of their types.
        resume : bool
            Whether to go on where a scoring of the same plan was cut off; False starts anew.

        Raises
        ------
        DataError
            If another call has the output, what is there is of another plan, damaged or not of a scoring, or nothing
            can be written.
        """
        output, schema = Path(output), schema_of(template)
        folder = parts_folder(output)
        with _on_disk(folder, folder):
            shutil.rmtree(_retired(folder), ignore_errors=True)  # of a call that was killed
            lock = lock_folder(folder)
            try:
                _refuse_strangers(folder)
                if not resume:
                    _retire(folder)
                    lock.close()
                    lock = lock_folder(folder)
                plan, schema = _agreed(folder, plan, schema)
                parts = cls(output, folder, plan, schema, lock)
                parts._take_stock()
            except BaseException:
                lock.close()
                raise
        return parts

    @property
    def counts(self) -> Counts:
        """How many inputs there are, were scored and failed so far."""
        return Counts(len(self.plan.paths), self._done - self._failed, self._failed)

    def missing(self) -> Iterator[tuple[int, int]]:
        """Windows [start, stop) that are not there yet, in order; others may be added meanwhile."""
        return (window for window in self.plan.windows() if window[0] not in self._there)

    def add(self, start: int, stop: int, table: pd.DataFrame) -> None:
        """Write the rows of a window; once this returns they outlive a kill, or a loss of power.

        Parameters
        ----------
        start, stop : int
            A window that is missing.
        table : DataFrame
            Columns of the template, and ``_input``, the number of each row's input: every one of the window, in order.

        Raises
        ------
        DataError
            If the table or the window is another, or the part cannot be written.
        """
        path = self._path(start, stop)
        if start in self._there or not self._is_window(start, stop):
            raise DataError(str(path), ["is no window that is missing"])
        content = typed(table, self._schema)
        try:
            failed = failed_inputs(content, start, stop)
        except ValueError as error:
            raise DataError(str(path), [str(error)]) from None
        with _on_disk(path, self._folder):
            write_part(path, content)
        self._note(start, stop, failed)

    def finish(self, classes: Sequence[str] | None = None) -> Path:
        """Make the output from the parts, one at a time, and remove their folder.

        Parameters
        ----------
        classes : sequence of str, optional
            Names of the model's classes, for the ids of COCO results.

        Raises
        ------
        DataError
            If an input has no outcome yet or a part was damaged meanwhile, or the output cannot be written; the parts
            stay.
        """
        missing = sum(stop - start for start, stop in self.missing())
        if missing:
            fault = f"{missing} of {len(self.plan.paths)} inputs have no outcome yet; score them first"
            raise DataError(str(self._output), [fault])
        schema = self._schema.remove(self._schema.get_field_index(INPUT))
        with _on_disk(self._output, self._folder):
            schema = with_attributes(schema, {"scoring": self.plan.settings})
            write_tables(self._output, self._tables(), schema, classes)
            _retire(self._folder)
        self.close()
        return self._output

    def close(self) -> None:
        """Let others have the output; what is there stays."""
        self._lock.close()

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _path(self, start: int, stop: int) -> Path:
        return self._folder / f"part-{start:09}-{stop:09}.parquet"

    def _is_window(self, start: int, stop: int) -> bool:
        total = len(self.plan.paths)
        return 0 <= start < total and start % self.plan.width == 0 and stop == min(start + self.plan.width, total)

    def _note(self, start: int, stop: int, failed: int) -> None:
        self._there.add(start)
        self._done += stop - start
        self._failed += failed

    def _take_stock(self) -> None:
        """See which parts are there; what a kill has left unfinished and what is damaged goes."""
        for path in sorted(self._folder.iterdir()):
            match = NAME.fullmatch(path.name)
            if match is None:
                if path.name.startswith(".") and path.name.endswith(".new"):
                    path.unlink()
                continue
            start, stop = int(match[1]), int(match[2])
            try:
                if not self._is_window(start, stop):
                    raise ValueError("is no window of the list")
                self._note(start, stop, read_part(path, self._schema, start, stop)[1])
            except (OSError, ValueError) as error:
                log.warning("%s: %s; its inputs are scored again", path, error)
                path.unlink()

    def _tables(self) -> Iterator[pa.Table]:
        for start, stop in self.plan.windows():
            path = self._path(start, stop)
            try:
                table, _ = read_part(path, self._schema, start, stop)
            except (OSError, ValueError) as error:
                raise DataError(str(path), [f"is damaged ({error}); the same call scores its inputs again"]) from None
            yield table


def parts_folder(output: Path) -> Path:
    """Where the parts of an output lie."""
    return output.with_name(f"{output.name}.parts")


def _agreed(folder: Path, plan: Plan, schema: pa.Schema) -> tuple[Plan, pa.Schema]:
    """The plan and the columns that count: those that are there already, else those that are given."""
    columns = {field.name: str(field.type) for field in schema}
    if not (folder / PLAN).exists():
        if any(NAME.fullmatch(path.name) for path in folder.iterdir()):
            raise DataError(str(folder), [f"holds parts and no {PLAN}; {ANEW}"])
        try:
            write_plan(folder, plan, columns)
        except BaseException:
            _retire(folder)
            raise
        return plan, schema
    frozen, frozen_columns = read_plan(folder)
    check_same(folder, frozen, plan, frozen_columns, columns)
    return frozen, pa.schema([schema.field(name) for name in frozen_columns], schema.metadata)


def _refuse_strangers(folder: Path) -> None:
    """Refuse a folder with files that no scoring has made: they would go with it."""
    names = sorted(path.name for path in folder.iterdir())
    strange = [name for name in names if name not in OURS and not NAME.fullmatch(name) and not name.startswith(".")]
    if strange:
        raise DataError(str(folder), [f"holds {strange[0]}, which is not of a scoring; move it away"])


def _retired(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.gone")


def _retire(folder: Path) -> None:
    """Remove the folder: for everybody else in one step, so that a kill leaves no half of it."""
    shutil.rmtree(_retired(folder), ignore_errors=True)
    folder.rename(_retired(folder))
    sync(folder.parent)
    shutil.rmtree(_retired(folder), ignore_errors=True)


@contextmanager
def _on_disk(path: Path, folder: Path) -> Iterator[None]:
    """Say of a disk that is full, or cannot be written to, how to go on."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        fault = f"cannot be written: {reason}; the parts in {folder.name} stay, and once that is mended the same call"
        raise DataError(str(path), [f"{fault} goes on"]) from None
