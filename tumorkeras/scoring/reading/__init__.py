"""Decoding beside the model, by processes that may end and be replaced."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Self

from tumorkeras.errors import DataError
from tumorkeras.scoring.reading._read_files import Outcome
from tumorkeras.scoring.reading.ahead import LookAhead, Stopped
from tumorkeras.scoring.reading.helper import Answer, Ended, Helper, Sample

__all__ = ["Readers", "Sample"]

MOST_FILES = 128  # of a request
REQUESTS_AHEAD = 4  # of the largest, for each process
MOST_BYTES = 2**28  # of pixels that wait
SECONDS = 0.1  # that a request takes, more or less
FIRST_FILES = 8  # of a request, before it is known how long a file takes
TRIES = 2  # before a file is blamed for the end of its readers
STARTS = 3  # before a process is held to be unable to read anything


class Readers:
    """Processes that decode files ahead of the one that uses them; they start at once, in the background.

    Parameters
    ----------
    processes : int
        1 or more.
    sample : Sample
        What each file holds.
    timeout : float, default 120
        Seconds that one file may take.

    Examples
    --------
    >>> import tempfile, cv2, numpy as np; path = tempfile.mkdtemp() + "/1.png"
    >>> _ = cv2.imwrite(path, np.zeros((4, 6), "uint8"))
    >>> with Readers(1, Sample((None, None, 1))) as readers:
    ...     image, fault = readers.read([path, "none.png"])
    >>> image.shape, fault
    ((4, 6, 1), 'there is no such file')
    """

    def __init__(self, processes: int, sample: Sample, timeout: float = 120.0) -> None:
        if processes < 1:
            raise ValueError(f"processes: {processes} found, expected 1 or more")
        self._sample, self._timeout = sample, timeout
        self._replacing = threading.RLock()
        self._seconds = SECONDS / FIRST_FILES  # that a file takes
        self._ahead: LookAhead | None = None
        self._threads: list[threading.Thread] = []
        self._helpers: list[Helper] = []
        try:
            for _ in range(processes):
                self._helpers.append(self._start())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes that there are now."""
        return [helper.pid for helper in self._helpers]

    def read(self, files: Iterable[str | os.PathLike[str]]) -> Iterator[Outcome]:
        """What is in each file, in their order: an array, or in words why there is none.

        Files are read ahead of what is taken, a bounded number and size of them. One call at a time: a later one ends
        an earlier one.

        Parameters
        ----------
        files : iterable of paths
            Taken no further than files are read ahead.

        Yields
        ------
        numpy.ndarray or str
            An image (height, width, channels) or volume (depth, height, width, channels) in its own dtype, writable.

        Raises
        ------
        DataError
            If no process can be started that reads anything.
        RuntimeError
            If the readers were closed, or are asked for other files, in the middle.
        """
        self._stop()
        ahead = self._ahead = LookAhead(MOST_BYTES)
        workers = range(len(self._helpers))
        self._threads = [threading.Thread(target=self._work, args=(each, ahead), daemon=True) for each in workers]
        threads = self._threads
        for thread in threads:
            thread.start()
        try:
            yield from self._in_order((os.fspath(file) for file in files), ahead)
        except Stopped:
            raise RuntimeError("the readers were closed, or asked for other files, in the middle") from None
        finally:
            if ahead is self._ahead:
                self._stop()

    def close(self) -> None:
        """End all processes and threads; what is being read is lost."""
        self._stop()
        for helper in self._helpers:
            helper.close()
        self._helpers = []

    def _in_order(self, files: Iterator[str], ahead: LookAhead) -> Iterator[Outcome]:
        if not self._helpers:
            raise Stopped
        most = REQUESTS_AHEAD * MOST_FILES * len(self._helpers)
        more = True
        while True:
            while more and ahead.waited_for <= most - MOST_FILES:
                request = list(islice(files, min(MOST_FILES, max(1, round(SECONDS / self._seconds)))))
                more = bool(request)
                if more:
                    ahead.put(request)
            if not ahead.waited_for:
                return
            yield ahead.take()

    def _stop(self) -> None:
        """End what is being read; a helper that has work in hand is ended with it, and replaced when it is needed."""
        ahead, threads = self._ahead, self._threads
        self._ahead, self._threads = None, []
        if ahead is None:
            return
        busy = ahead.stop()
        with self._replacing:  # who is replaced from now on finds that it has ended
            for worker in busy:
                self._helpers[worker].kill()
        for thread in threads:
            if thread is not threading.current_thread():  # where garbage is collected in one of them
                thread.join()
        for worker in busy:
            self._helpers[worker].close()

    def _work(self, worker: int, ahead: LookAhead) -> None:
        """What each thread does: ask its helper, and copy what that has read."""
        try:
            while True:
                first, files = ahead.request(worker)
                for answer in self._answers(worker, files, ahead):
                    ahead.wait_for_room(first, answer.size())
                    ahead.add(first, answer.copy())
                    first += len(answer)
        except Stopped:
            return
        except BaseException as error:
            ahead.stop(error)

    def _answers(self, worker: int, files: Sequence[str], ahead: LookAhead) -> Iterator[Answer]:
        """Each file once, in order, whatever becomes of the helper."""
        blamed: dict[int, str] = {}
        ends: Counter[int] = Counter()
        next_file = idle = 0
        while next_file < len(files):
            if next_file in blamed:
                yield Answer([blamed.pop(next_file)])
                next_file += 1
                continue
            first, stop = next_file, min(blamed, default=len(files))
            try:
                for answer in self._ask(worker, files[first:stop], ahead):
                    yield answer
                    next_file += len(answer)
            except Ended as ended:
                ahead.check()
                if ended.position is None:
                    idle += 1
                    if idle == STARTS:
                        raise DataError("reading files", [f"no process starts that could: {ended}"]) from None
                    continue
                idle, place = 0, first + ended.position
                ends[place] += 1
                if ended.too_slow or ends[place] == TRIES:
                    blamed[place] = str(ended)

    def _ask(self, worker: int, files: Sequence[str], ahead: LookAhead) -> Iterator[Answer]:
        with self._replacing:
            ahead.check()
            if self._helpers[worker].ended:
                self._helpers[worker] = self._start()
            helper = self._helpers[worker]
        helper.wait_until_ready()
        before = helper.seconds
        yield from helper.ask(files)
        self._seconds = (self._seconds + (helper.seconds - before) / len(files)) / 2

    def _start(self) -> Helper:
        return Helper(self._sample, self._timeout)
