"""Outcomes in order, which threads make ahead of the one that takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from tumorkeras.scoring.reading._read_files import Outcome


class Stopped(Exception):
    """Nobody takes any outcome more."""


class LookAhead:
    """What stands between the threads that make outcomes and the one that gives files and takes their outcomes.

    Parameters
    ----------
    most_bytes : int
        Pixels that may wait to be taken; a worker whose outcomes are not the next ones waits while there are more.

    Examples
    --------
    >>> ahead = LookAhead(100)
    >>> ahead.put(["a.png", "b.png"]); ahead.put(["c.png"])
    >>> ahead.request(0), ahead.request(1)
    ((0, ['a.png', 'b.png']), (2, ['c.png']))
    >>> ahead.add(2, ["is empty"]); ahead.add(0, ["is a pipe", "is damaged"])
    >>> [ahead.take() for _ in range(ahead.waited_for)]
    ['is a pipe', 'is damaged', 'is empty']
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.RLock()  # a generator may be collected, and stop this, in the middle of a method
        self._asked, self._room, self._done = (threading.Condition(self._lock) for _ in range(3))
        self._requests: deque[tuple[int, Sequence[str]]] = deque()
        self._outcomes: dict[int, Outcome] = {}
        self._given = self._taken = self._bytes = 0
        self._busy: set[int] = set()
        self._end: BaseException | None = None

    @property
    def waited_for(self) -> int:
        """Files that were given and whose outcomes were not taken yet."""
        return self._given - self._taken

    def put(self, files: Sequence[str]) -> None:
        """Give files, for one worker to read."""
        with self._lock:
            self._requests.append((self._given, files))
            self._given += len(files)
            self._asked.notify()

    def take(self) -> Outcome:
        """The outcome of the next file; waits for it.

        Raises
        ------
        BaseException
            What ended a worker; :class:`Stopped` after :meth:`stop`.
        """
        with self._lock:
            self._wait(self._done, lambda: self._taken in self._outcomes)
            outcome = self._outcomes.pop(self._taken)
            self._taken += 1
            self._bytes -= _size(outcome)
            self._room.notify_all()
            return outcome

    def request(self, worker: int) -> tuple[int, Sequence[str]]:
        """The number of the first file and the files that a worker shall read; waits for them."""
        with self._lock:
            self._busy.discard(worker)
            self._wait(self._asked, lambda: bool(self._requests))
            self._busy.add(worker)
            return self._requests.popleft()

    def wait_for_room(self, first: int, size: int) -> None:
        """Wait until so many bytes more may be held; the next ones to be taken need not wait, or nobody would go on."""
        with self._lock:
            self._wait(self._room, lambda: first == self._taken or self._bytes + size <= self._most_bytes)

    def add(self, first: int, outcomes: Sequence[Outcome]) -> None:
        """Give the outcomes of some files."""
        with self._lock:
            self._outcomes.update(enumerate(outcomes, start=first))
            self._bytes += sum(map(_size, outcomes))
            self._done.notify()

    def stop(self, reason: BaseException | None = None) -> set[int]:
        """End all waiting, and say which workers have a request in hand."""
        with self._lock:
            self._end = self._end or reason or Stopped()
            for waiting in (self._asked, self._room, self._done):
                waiting.notify_all()
            return set(self._busy)

    def check(self) -> None:
        """Raise what ended it, if it has ended."""
        if self._end is not None:
            raise self._end

    def _wait(self, changed: threading.Condition, ready: Callable[[], bool]) -> None:
        changed.wait_for(lambda: self._end is not None or ready())
        self.check()


def _size(outcome: Outcome) -> int:
    return 0 if isinstance(outcome, str) else outcome.nbytes
