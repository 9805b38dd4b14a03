"""Decoding beside the model: every file has its outcome, in order, whatever becomes of the processes."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from made_series import write_dicom, write_series

import tumorkeras
from tumorkeras.data.catalog import catalog_of
from tumorkeras.data.images import decode_all, read_image
from tumorkeras.errors import DataError
from tumorkeras.scoring import _read_files, helper, reading
from tumorkeras.scoring.ahead import LookAhead
from tumorkeras.scoring.reading import Readers, Sample
from tumorkeras.spec import DataSpec

GREY = Sample((None, None, 1))
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


@pytest.fixture(scope="module")
def readers():
    with Readers(2, GREY) as readers:
        yield readers


@pytest.fixture
def log(tmp_path):
    """Grows by a byte with each file that a puppet reads."""
    return tmp_path / "log"


@pytest.fixture
def puppets(tmp_path, log, monkeypatch):
    """Start readers whose processes do what the names of files say."""
    main = tmp_path / "puppet.py"
    main.write_text(PUPPET.format(main=str(helper.MAIN), log=str(log)))
    monkeypatch.setattr(helper, "MAIN", main)
    started = []

    def start(processes=1, timeout=60.0):
        started.append(Readers(processes, GREY, timeout))
        return started[-1]

    yield start
    for readers in started:
        readers.close()


def numbers(outcomes):
    return [outcome if isinstance(outcome, str) else int(outcome.ravel()[0]) for outcome in outcomes]


def waits_for(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing came of it"
        time.sleep(0.01)


def outcome_of(path):
    try:
        return read_image(path, 1)
    except DataError as error:
        return "; ".join(error.faults)


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert type(one) is type(other)
        if isinstance(one, str):
            assert one == other
        else:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    coded, content = cv2.imencode(path.suffix, pixels)
    assert coded
    path.write_bytes(content)
    return path


# ---------------------------------------------------------------------------------------- what is in the files


def test_files_of_many_sizes_come_in_order(readers, tmp_path):
    rng = np.random.default_rng(0)
    kinds = [("png", "uint8"), ("png", "uint16"), ("tif", "float32"), ("jpg", "uint8")]
    paths = []
    for number, (kind, dtype) in zip(range(160), itertools.cycle(kinds), strict=False):
        height, width = rng.integers(1, 90, 2)
        pixels = (rng.random((height, width, 3 if number % 3 else 1)) * 250).astype(dtype)
        paths.append(str(write(tmp_path / f"{number}.{kind}", pixels)))
    paths += paths[:3]
    found = list(readers.read(paths))
    assert_same(found, [read_image(path, 1) for path in paths])
    assert all(image.flags.owndata or image.base.flags.owndata for image in found)
    assert all(image.flags.writeable for image in found)
    assert list(readers.read([])) == []


def test_whatever_is_no_image_has_a_reason(readers, tmp_path):
    good = write(tmp_path / "good.png", np.full((5, 4), 9, "uint8"))
    content = good.read_bytes()
    files = {
        "cut.png": lambda path: path.write_bytes(content[:-20]),
        "empty.png": lambda path: path.write_bytes(b""),
        "text.png": lambda path: path.write_text("no image"),
        "folder.png": lambda path: path.mkdir(),
        "pipe.png": os.mkfifo,
        "dangling.png": lambda path: path.symlink_to("none.png"),
        "loop.png": lambda path: path.symlink_to("loop.png"),
        "none.png": lambda path: None,
        "x" * 300 + ".png": lambda path: None,
        "null\0.png": lambda path: None,
        "\ud800.png": lambda path: None,
        "ü 漢字😀.png": lambda path: path.write_bytes(content),
        os.fsdecode(b"\xff.png"): lambda path: path.write_bytes(content),
        "/".join(["deep" * 20] * 5) + "/300.png": lambda path: write(path, np.full((5, 4), 9, "uint8")),
        "link.png": lambda path: path.symlink_to("good.png"),
    }
    for name, make in files.items():
        make(tmp_path / name)
    found = list(readers.read(tmp_path / name for name in files))
    assert_same(found, [outcome_of(tmp_path / name) for name in files])
    assert [isinstance(outcome, str) for outcome in found] == [True] * 11 + [False] * 4
    assert found[1:5] == ["the file is empty", found[2], found[3], "is a pipe, not a file"]
    assert all(str(tmp_path) not in fault for fault in found[:11])


def test_a_relative_path_and_an_image_of_several_pages(readers, tmp_path):
    np.save(tmp_path / "pages.npy", np.zeros((5, 4, 2), "uint8"))
    relative, absolute = readers.read([os.path.relpath(tmp_path / "pages.npy"), tmp_path / "pages.npy"])
    assert relative == absolute
    assert relative.startswith("pages: has 5 pages, expected one image")


def test_mutated_files_are_read_as_they_are_in_the_own_process(readers, tmp_path):
    rng = np.random.default_rng(1)
    pixels = np.repeat(np.repeat(rng.integers(0, 250, (6, 8), dtype="uint8"), 4, 0), 4, 1)
    for name in ("a.png", "a.jpg", "a.tif"):
        write(tmp_path / name, pixels)
    write_dicom(tmp_path / "a.dcm", pixels)
    paths = []
    for name, copy in itertools.product(("a.png", "a.jpg", "a.tif", "a.dcm"), range(60)):
        content = bytearray((tmp_path / name).read_bytes())
        for place in rng.integers(0, len(content), rng.integers(1, 9)):
            content[place] = rng.integers(256)
        paths.append(tmp_path / f"{copy}-{name}")
        paths[-1].write_bytes(content[: rng.integers(1, len(content))] if copy % 4 == 0 else content)
    found = list(readers.read(paths))
    assert_same(found, [outcome_of(path) for path in paths])
    assert 40 < sum(isinstance(outcome, str) for outcome in found) < 200


def test_volumes_are_those_of_the_training(tmp_path):
    volume = np.random.default_rng(2).integers(0, 255, (6, 8, 10), dtype="uint8")
    for name, step in (("a", 2.0), ("b", 3.0)):
        write_series(tmp_path / "scans" / name / "ct", volume, step)
    np.save(tmp_path / "flat.npy", volume)
    source = {"kind": "image_folder", "path": str(tmp_path / "scans")}
    values = {"name": "ct", "source": source, "input": {"shape": [4, 6, 6, 1], "spacing": [2, 1, 1]}}
    paths = [tmp_path / "scans" / "a" / "ct", tmp_path / "scans" / "b" / "ct", tmp_path / "flat.npy"]
    with Readers(1, Sample((4, 6, 6, 1), (2.0, 1.0, 1.0))) as readers:
        *found, fault = readers.read(paths)
    assert_same(found, list(decode_all(catalog_of(DataSpec.from_dict(values)), (4, 6, 6, 1))))
    assert fault.startswith("spacing: says no spacing along its three axes")


def test_a_sample_is_an_image_or_a_volume_of_a_fixed_size():
    for shape in ((3,), (None, None), (4, None, 4, 1), (1, 2, 3, 4, 5)):
        with pytest.raises(ValueError, match="is neither an image"):
            Sample(shape)
    with pytest.raises(ValueError, match="expected 1 or more"):
        Readers(0, GREY)


# ---------------------------------------------------------------------------------------- the processes


def test_a_process_loads_no_tensorflow_and_has_one_thread(readers):
    list(readers.read(["none.png"]))
    for pid in readers.pids:
        process = psutil.Process(pid)
        assert not [each.path for each in process.memory_maps() if "tensorflow" in each.path]
        assert process.environ()["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("dtype", ["bool", "int64", ">f4", "float16", "complex64", "empty"])
def test_arrays_of_every_kind(puppets, dtype):
    (found,) = puppets().read([f"odd-{dtype}"])
    wanted = np.arange(24).reshape(2, 3, 4)[:, ::2, : 0 if dtype == "empty" else 3]
    assert_same([found], [wanted.astype("uint8" if dtype == "empty" else dtype)])


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
import os, signal, sys, types
package = types.ModuleType("tumorkeras.scoring")  # without what else it loads
package.__path__ = [sys.argv[1] + "/scoring"]
sys.modules["tumorkeras.scoring"] = package
from pathlib import Path
from tumorkeras.scoring import helper
from tumorkeras.scoring.reading import Readers, Sample

helper.MAIN = Path(sys.argv[2])
readers = Readers(2, Sample((None, None, 1)))
list(readers.read(f"slow-{number}" for number in range(40)))  # at the top of a script, without a guard
pids = readers.pids
try:
    os.killpg(0, signal.SIGINT)
    signal.pause()
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
