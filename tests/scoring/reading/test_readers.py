"""Processes that decode files ahead of a consumer: every file has its outcome, whatever becomes of them."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from made_puppets import LOAD, numbers, waits_for

import tumorkeras
from tumorkeras.errors import DataError
from tumorkeras.scoring import reading
from tumorkeras.scoring.reading import Readers, Sample, _read_files, helper
from tumorkeras.scoring.reading.ahead import LookAhead

GREY = Sample((None, None, 1))


# ---------------------------------------------------------------------------------------- the processes


@pytest.mark.parametrize("dtype", ["bool", "int64", ">f4", "float16", "complex64", "empty"])
def test_arrays_of_every_kind(puppets, dtype):
    (found,) = puppets().read([f"odd-{dtype}"])
    wanted = np.arange(24).reshape(2, 3, 4)[:, ::2, : 0 if dtype == "empty" else 3]
    wanted = wanted.astype("uint8" if dtype == "empty" else dtype)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_large_files_and_long_reasons_between_small_ones(puppets):
    size = 2 * _read_files.BUDGET // 3
    names = ["1", f"large-{size}", f"large-{size}", "2", f"large-{2 * size}", "fault-9000", f"large-{size}", "3"]
    found = list(puppets().read(names))
    assert [len(each) for each in found] == [2, size, size, 2, 2 * size, 99_000, size, 2]
    assert all((each == 7).all() for each in found if not isinstance(each, str) and len(each) > 2)


def test_what_decoders_print_reaches_nobody(puppets, capfd):
    assert numbers(puppets().read(["n-1", "n-2"])) == [1, 2]
    assert capfd.readouterr() == ("", "")


def test_a_file_that_ends_its_readers_is_named_and_the_rest_is_read(puppets):
    names = [*map("n-{}".format, range(30)), "crash-1", "n-30", "exit-1", "crash-2", "n-31"]
    found = numbers(puppets(2).read(names))
    assert found == [
        *range(30),
        "the reader ended on this file (SIGSEGV)",
        30,
        "the reader ended on this file (exit status 3)",
        "the reader ended on this file (SIGSEGV)",
        31,
    ]


def test_a_file_on_which_a_reader_was_killed_once_is_read(puppets, tmp_path):
    found = numbers(puppets().read(["n-1", f"once-{tmp_path / 'seen'}", "n-2"]))
    assert found == [1, 0, 2]
    assert (tmp_path / "seen").exists()


def test_readers_that_are_killed_are_replaced(puppets):
    readers = puppets(2)
    first = readers.pids
    taken = []
    for outcome in readers.read(f"slow-{number}" for number in range(60)):
        taken.append(outcome)
        if len(taken) in (1, 20):
            for pid in readers.pids:
                os.kill(pid, signal.SIGKILL)
    assert numbers(taken) == list(range(60))
    assert not set(first) & set(readers.pids)


def test_a_file_that_takes_too_long_is_given_up(puppets):
    found = numbers(puppets(timeout=0.5).read(["n-1", "hang-1", "n-2", "stop-1", "n-3"]))
    assert found == [1, "was not read within 0.5 seconds", 2, "was not read within 0.5 seconds", 3]


def test_files_that_take_too_long_together_are_read(puppets):
    assert reading.FIRST_FILES * 0.1 > 0.6  # at once
    assert numbers(puppets(timeout=0.6).read(f"nap-{number}" for number in range(8))) == list(range(8))


def test_a_reader_that_was_stopped_while_idle_is_replaced(puppets):
    readers = puppets(timeout=0.4)
    assert numbers(readers.read(["n-1"])) == [1]
    os.kill(readers.pids[0], signal.SIGSTOP)
    assert numbers(readers.read(["n-2", "n-3"])) == [2, 3]


@pytest.mark.parametrize(
    ("main", "reason"),
    [
        ("raise SystemExit(7)", "exit status 7"),
        ("module._reader = None; module.main()", "TypeError: 'NoneType' object is not callable"),
    ],
)
def test_processes_that_never_start_are_an_error(main, reason, tmp_path, monkeypatch):
    (tmp_path / "main.py").write_text(LOAD.format(main=str(helper.MAIN)) + main)
    monkeypatch.setattr(helper, "MAIN", tmp_path / "main.py")
    with Readers(1, GREY) as readers, pytest.raises(DataError, match=f"no process starts that could.*{reason}"):
        list(readers.read(["a.png"]))


# ---------------------------------------------------------------------------------------- ahead of the consumer


def settled(log):
    """The number of files that were read, once no more are."""
    size = -1
    while size != (size := log.stat().st_size if log.exists() else 0) or size == 0:
        time.sleep(0.25)
    return size


def test_a_slow_consumer_holds_the_readers_back(puppets, log, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 2_000_000)
    given = []
    files = (given.append(number) or f"large-{100_000 + number}" for number in range(2000))
    outcomes = puppets(2).read(files)
    sizes = [len(next(outcomes))]
    read = settled(log)
    assert len(given) <= 1 + 2 * reading.REQUESTS_AHEAD * reading.MOST_FILES
    assert read <= 1 + 20 + 2 * reading.MOST_FILES  # what may wait, and what the processes have in hand
    sizes += map(len, outcomes)
    assert sizes == list(range(100_000, 102_000))


def test_files_are_read_while_the_consumer_computes(puppets, log):
    outcomes = puppets(2).read(f"n-{number}" for number in itertools.count())
    next(outcomes)
    waits_for(lambda: log.stat().st_size > 300)
    assert numbers(itertools.islice(outcomes, 299)) == list(range(1, 300))
    assert settled(log) <= 300 + 2 * reading.REQUESTS_AHEAD * reading.MOST_FILES


def test_what_is_wrong_with_the_list_is_raised(puppets):
    def files():
        yield "n-1"
        raise KeyError("list")

    readers = puppets()
    with pytest.raises(KeyError, match="list"):
        list(readers.read(files()))
    with pytest.raises(TypeError):
        list(readers.read([3]))
    assert numbers(readers.read(["n-2"])) == [2]


def test_a_fault_of_a_worker_reaches_the_consumer(puppets, monkeypatch):
    def copy(self):
        raise MemoryError("here")

    monkeypatch.setattr(helper.Answer, "copy", copy)
    with pytest.raises(MemoryError, match="here"):
        list(puppets(2).read(f"n-{number}" for number in range(500)))


def test_a_later_outcome_waits_for_room_and_the_next_one_never_does():
    ahead = LookAhead(10)
    ahead.put(["a", "b"])
    ahead.put(["c"])
    ahead.wait_for_room(0, 1000)  # is taken next
    waiting = threading.Thread(target=ahead.wait_for_room, args=(2, 11), daemon=True)
    waiting.start()
    ahead.add(0, [np.zeros(8, "uint8"), np.zeros(8, "uint8")])
    ahead.take()
    waiting.join(0.1)
    assert waiting.is_alive()
    ahead.take()
    waiting.join(5)
    assert not waiting.is_alive()
    assert ahead.waited_for == 1


# ---------------------------------------------------------------------------------------- the end


@pytest.fixture
def traces():
    """Count what readers could leave behind: processes, threads, descriptors."""
    own = psutil.Process()
    gc.collect()

    def count():
        return len(own.children(recursive=True)), threading.active_count(), own.num_fds()

    return count


def test_closing_in_the_middle_leaves_nothing(puppets, traces):
    before = traces()
    readers = puppets(2)
    outcomes = readers.read(f"slow-{number}" for number in itertools.count())
    next(outcomes)
    readers.close()
    assert traces() == before
    with pytest.raises(RuntimeError, match="were closed"):
        next(outcomes)
    with pytest.raises(RuntimeError, match="were closed"):
        next(readers.read(["n-1"]))
    readers.close()
    assert readers.pids == []


def test_readers_that_were_left_in_the_middle_read_on(puppets, traces):
    def begun():
        outcomes = readers.read(f"slow-{number}" for number in itertools.count())
        assert numbers([next(outcomes)]) == [0]
        return outcomes

    readers = puppets(2)
    before = traces()
    outcomes = begun()
    del outcomes
    assert numbers(readers.read(["n-2", "n-3"])) == [2, 3]
    assert all(now <= then for now, then in zip(traces(), before, strict=True))
    one, other = begun(), begun()
    assert numbers([next(other)]) == [1]
    with pytest.raises(RuntimeError, match="asked for other files"):
        next(one)
    assert numbers([next(other)]) == [2]
    with pytest.raises(KeyboardInterrupt):
        other.throw(KeyboardInterrupt)
    assert numbers(readers.read(["n-7"] * 20)) == [7] * 20
    assert all(now <= then for now, then in zip(traces(), before, strict=True))


def test_descriptors_do_not_grow_with_files_and_crashes(puppets, traces):
    readers = puppets()
    assert numbers(readers.read(["n-1"])) == [1]
    before = traces()
    found = numbers(readers.read([*(f"n-{number % 1000}" for number in range(3000)), "crash-1", "n-5", "exit-1"]))
    assert found[:3000] == [*range(1000)] * 3
    assert [isinstance(outcome, str) for outcome in found[3000:]] == [True, False, True]
    assert numbers(readers.read(["n-1"])) == [1]
    assert traces() == before


SCRIPT = """
import os, signal, sys, time, types
package = types.ModuleType("tumorkeras.scoring")  # without what else it loads
package.__path__ = [sys.argv[1] + "/scoring"]
sys.modules["tumorkeras.scoring"] = package
from pathlib import Path
from tumorkeras.scoring.reading import Readers, Sample, helper

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started by ignores
helper.MAIN = Path(sys.argv[2])
readers = Readers(2, Sample((None, None, 1)))
list(readers.read(f"slow-{number}" for number in range(40)))  # at the top of a script, without a guard
pids = readers.pids
try:
    os.killpg(0, signal.SIGINT)
    while True:  # signal.pause would wait for ever where another thread takes the signal
        time.sleep(0.01)
except KeyboardInterrupt:
    print("interrupted")
list(readers.read(f"slow-{number}" for number in range(40)))
print(readers.pids == pids)
next(readers.read(f"slow-{number}" for number in range(40)))
print(*readers.pids, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_outlive_an_interrupt_and_end_with_their_parent(puppets, tmp_path):
    puppets(1).close()
    package = Path(tumorkeras.__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(package), str(helper.MAIN)],
        capture_output=True,
        text=True,
        cwd=package.parent,
        start_new_session=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    interrupted, same, pids = done.stdout.splitlines()
    assert (interrupted, same) == ("interrupted", "True")
    waits_for(lambda: not any(map(psutil.pid_exists, map(int, pids.split()))))
