"""The process that decodes files beside the model; :mod:`tumorkeras.scoring.reading.helper` starts and asks it.

It is run as a file, not imported as a module: with its package would come TensorFlow, which no decoder needs.

Both sides share some memory, an unnamed file. Its first bytes count the files that were begun; behind them lies a
message, JSON, or pixels and a message behind them. Where it lies is said through a pipe, in a line so short that it
is written and read in one piece: neither side ever waits for the other in the middle of a line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HEAD = 8  # bytes of the count
BUDGET = 2**24  # bytes of pixels that an answer holds, unless one file has more
_LINE = 64  # bytes, more than two numbers need

Outcome = np.ndarray | str  # what is in a file, or why nothing is


def send(memory: int, pipe: int, message: Any, at: int = HEAD) -> None:
    """Put a message into the memory, at a place, and say where it is."""
    text = json.dumps(message).encode()
    put(memory, text, at)
    os.write(pipe, b"%d %d\n" % (at, len(text)))


def receive(memory: int, pipe: int) -> Any:
    """The next message.

    Raises
    ------
    EOFError
        If the other side has ended.
    """
    line = os.read(pipe, _LINE)
    if not line:
        raise EOFError
    at, length = map(int, line.split())
    return json.loads(os.pread(memory, length, at))


def put(memory: int, content: bytes | memoryview, at: int) -> None:
    """Write all bytes; the system writes no more than 2 GB at once."""
    left = memoryview(content)
    while left:
        done = os.pwrite(memory, left, at)
        left, at = left[done:], at + done


def put_count(memory: int, count: int) -> None:
    """Say how many files were begun."""
    os.pwrite(memory, count.to_bytes(HEAD, sys.byteorder), 0)


def count_of(memory: int) -> int:
    """How many files were begun."""
    return int.from_bytes(os.pread(memory, HEAD, 0), sys.byteorder)


def main() -> None:
    """Answer until the other side ends: its pipe is closed then, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the parent decides
    memory, asked, answers = int(sys.argv[1]), os.dup(0), os.dup(1)
    os.dup2(2, 1)  # what a decoder prints is no answer
    try:
        plan = receive(memory, asked)
        sys.path[:] = plan["path"]  # all that the parent finds is found here
        try:
            read = _reader(plan["shape"], plan["spacing"])
        except Exception as error:
            send(memory, answers, f"{type(error).__name__}: {error}")
            return
        send(memory, answers, None)
        while True:
            _answer(read, receive(memory, asked), memory, asked, answers)
    except (EOFError, BrokenPipeError):
        return


def _reader(shape: Sequence[int | None], spacing: Sequence[float] | None) -> Callable[[str], Outcome]:
    import cv2

    from tumorkeras.data.images import read_image, read_volume

    cv2.setNumThreads(1)

    def pixels_of(file: str) -> np.ndarray:
        if len(shape) == 3:
            return read_image(file, shape[-1])
        return read_volume(file, shape, spacing)  # type: ignore[arg-type]  # a volume's sides are all given

    def read(file: str) -> Outcome:
        try:
            return pixels_of(file)
        except Exception as error:  # whatever a broken file raises is its outcome
            return _reason(error, file)

    return read


def _reason(error: Exception, file: str) -> str:
    from tumorkeras.errors import DataError, MissingExtraError

    if isinstance(error, MemoryError):
        reason = "there is not enough memory for it"
    elif isinstance(error, DataError) and error.heading == str(Path(file)):
        reason = "; ".join(error.faults)
    elif isinstance(error, DataError | MissingExtraError):
        reason = str(error)
    else:  # the words of a decoder may hold a patient's name
        reason = f"cannot be read ({type(error).__name__})"
    return reason.encode("utf-8", "backslashreplace").decode()  # a name that is no UTF-8 may be quoted


def _answer(read: Callable[[str], Outcome], files: list[str], memory: int, asked: int, answers: int) -> None:
    """Read files, and answer whenever the budget is used up; the rest follows when the parent has copied that."""
    os.ftruncate(memory, HEAD + BUDGET)  # a large file leaves nothing behind
    results: list[Any] = []
    at = HEAD
    for number, file in enumerate(files, start=1):
        put_count(memory, number)
        outcome = read(file)
        if isinstance(outcome, str):
            results.append(outcome)
            continue
        if at > HEAD and at + outcome.nbytes > HEAD + BUDGET:
            send(memory, answers, results, at)
            receive(memory, asked)
            results, at = [], HEAD
        results.append([outcome.dtype.str, outcome.shape, at])
        put(memory, np.ascontiguousarray(outcome).reshape(-1).view("uint8").data, at)
        at += outcome.nbytes
    send(memory, answers, results, at)


if __name__ == "__main__":
    main()
