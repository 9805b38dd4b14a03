"""Processes that stand in for those which decode files, and do what the names of the files say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np

LOAD = """
import importlib.util, os, signal, time
import numpy as np

spec = importlib.util.spec_from_file_location("read_files", {main!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""
# A process that does what the names of its "files" say.
PUPPET = (
    LOAD
    + """
def read(file):
    with open({log!r}, "ab") as log:
        log.write(b".")
    os.write(1, b"noise of a decoder\\n")
    os.write(2, b"noise of a decoder\\n")
    kind, _, number = file.partition("-")
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "exit":
        os._exit(3)
    if kind == "once":
        if not os.path.exists(number):
            open(number, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        number = 0
    if kind == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "hang":
        time.sleep(3600)
    if kind in ("slow", "nap"):
        time.sleep(0.02 if kind == "slow" else 0.1)
    if kind == "fault":
        return "is damaged " * int(number)
    if kind == "large":
        return np.full((int(number), 1, 1), 7, "uint8")
    if kind == "odd":
        return np.arange(24).reshape(2, 3, 4)[:, ::2, :0 if number == "empty" else 3].astype(
            "uint8" if number == "empty" else number)
    return np.full((2, 3, 1), int(number or 0), "uint16")

module._reader = lambda shape, spacing: read
module.main()
"""
)


def numbers(outcomes: Iterable[np.ndarray | str]) -> list[int | str]:
    """The number of each file, as its pixels have it, or its fault."""
    return [outcome if isinstance(outcome, str) else int(outcome.ravel()[0]) for outcome in outcomes]


def waits_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing came of it"
        time.sleep(0.01)
