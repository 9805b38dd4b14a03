"""A process that decodes files, seen from the one that asks it."""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tumorkeras.scoring.reading import _read_files
from tumorkeras.scoring.reading._read_files import Outcome, count_of, put_count, receive, send

MAIN = Path(_read_files.__file__)
START = 300.0  # seconds that a start may take, on a machine that is busy
LOOKS = 4  # at the clock in the time that a file may take
# A process has one core: the others have processes of their own.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TIFFFILE_NUM_THREADS": "1"}
_LAST = 5.0  # seconds to wait for a process that was killed: one that hangs in a network share does not end


@dataclass(frozen=True)
class Sample:
    """What a sample of a model is.

    Attributes
    ----------
    shape : tuple of int or None
        (height, width, channels): an image, of any size whatever the shape says; 1 channel is grey, 3 are colour, None
        is as the file has it. Or (depth, height, width, channels): a volume, which is fitted to that size.
    spacing : tuple of float or None
        Of a volume, the ``input.spacing`` of the model's spec.

    Examples
    --------
    >>> Sample((None, None, 3))
    Sample(shape=(None, None, 3), spacing=None)
    >>> Sample((None, 8, 8, 1))
    Traceback (most recent call last):
    ValueError: shape: (None, 8, 8, 1) is neither an image (height, width, channels) nor a volume of a fixed size ...
    """

    shape: tuple[int | None, ...]
    spacing: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 3 and (len(self.shape) != 4 or None in self.shape):
            expected = (
                "an image (height, width, channels) nor a volume of a fixed size (depth, height, width, channels)"
            )
            raise ValueError(f"shape: {self.shape} is neither {expected}")


class Ended(Exception):
    """A process ended, or was ended, before it had answered.

    Attributes
    ----------
    position : int or None
        Which of the files it was reading; None before the first.
    too_slow : bool
        Whether it was ended because that file took too long.
    """

    def __init__(self, reason: str, position: int | None, *, too_slow: bool) -> None:
        super().__init__(reason)
        self.position = position
        self.too_slow = too_slow


@dataclass(frozen=True)
class Answer:
    """What a process found in some files, in their order, while it still lies in the shared memory."""

    results: Sequence[Any]
    memory: int = -1

    def __len__(self) -> int:
        return len(self.results)

    def size(self) -> int:
        """Bytes of all pixels."""
        found = (result for result in self.results if not isinstance(result, str))
        return sum(math.prod(shape) * np.dtype(dtype).itemsize for dtype, shape, _ in found)

    def copy(self) -> list[Outcome]:
        """The outcomes; their arrays own their pixels."""
        return [result if isinstance(result, str) else self._array(*result) for result in self.results]

    def _array(self, dtype: str, shape: list[int], at: int) -> Outcome:
        try:
            array = np.empty(shape, dtype)
        except MemoryError:
            return "there is not enough memory for it"
        left = array.reshape(-1).view("uint8").data
        while left:
            done = os.preadv(self.memory, [left], at)
            left, at = left[done:], at + done
        return array


class Helper:
    """One process; it starts in the background.

    Parameters
    ----------
    sample : Sample
    timeout : float
        Seconds that one file may take.
    """

    def __init__(self, sample: Sample, timeout: float) -> None:
        self._timeout = timeout
        self._ready = False
        self._memory = _unnamed_file()
        self.seconds = 0.0  # waited for answers, in all
        self.ended = False
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(MAIN), str(self._memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=(self._memory,),
                env={**os.environ, **ONE_THREAD},
            )
        except BaseException:
            os.close(self._memory)
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._asked, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        with suppress(BrokenPipeError):  # found out when it is waited for
            self._send({"path": list(map(str, sys.path)), "shape": sample.shape, "spacing": sample.spacing})

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until the decoders are loaded.

        Raises
        ------
        Ended
            If they cannot be.
        """
        if self._ready:
            return
        fault = self._receive(START)
        if fault is not None:
            self.close()
            raise Ended(fault, None, too_slow=False)
        self._ready = True

    def ask(self, files: Sequence[str]) -> Iterator[Answer]:
        """Have files read; copy an answer before you take the next.

        Raises
        ------
        Ended
        """
        put_count(self._memory, 0)
        message: Any = files
        missing = len(files)
        while missing:
            try:
                self._send(message)
            except BrokenPipeError:
                raise self._end() from None
            answer = Answer(self._receive(self._timeout), self._memory)
            missing -= len(answer)
            message = None  # go on
            yield answer

    def kill(self) -> None:
        """End it, from any thread; the one that waits for it learns that it ended."""
        self._process.kill()

    def close(self) -> None:
        """End it and give back all that it had."""
        if self.ended:
            return
        self.ended = True
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        os.close(self._memory)

    def _send(self, message: Any) -> None:
        send(self._memory, self._asked, message)

    def _receive(self, timeout: float) -> Any:
        before = time.monotonic()
        if not self._answered_in(timeout):
            raise self._end(f"was not read within {timeout:g} seconds")
        try:
            return receive(self._memory, self._answers)
        except EOFError:
            raise self._end() from None
        finally:
            self.seconds += time.monotonic() - before

    def _answered_in(self, timeout: float) -> bool:
        """Whether it answers, or ends, before it is at one file for too long."""
        begun, since = 0, time.monotonic()
        while not self._poll.poll(1000 * min(1, timeout / LOOKS)):
            now = time.monotonic()
            if (count := count_of(self._memory)) != begun:
                begun, since = count, now
            elif now - since >= timeout:
                return False
        return True

    def _end(self, too_slow: str = "") -> Ended:
        """Close it, and say why and where it ended."""
        count = count_of(self._memory)
        if not too_slow:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST)
        status = self._process.poll()
        self.close()
        reason = too_slow or f"the reader ended on this file ({_status(status)})"
        return Ended(reason, count - 1 if count else None, too_slow=bool(too_slow))


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):  # Linux
        return os.memfd_create("tumorkeras-pixels")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _status(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name
