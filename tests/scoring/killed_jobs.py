"""Score into one output again and again, each time ended at another place; run as a script.

Arguments: the output, an export, a folder of images, how many ends, and a seed. By turns they are a kill and an
interrupt, as Ctrl-C sends it to all processes of a terminal. Prints how each run has ended, and what it said last.
"""

import contextlib
import io
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tumorkeras.cli import main
from tumorkeras.scoring.predictor import Predictor

BATCH_SIZE = 1
WINDOW = 16  # calls
BEYOND = 6  # calls in the window that is cut off, at most


def start(output: Path, export: str, images: str, said: Path, calls: int, reached: Path) -> int:
    """Start the verb in a process, with a group of its own, whose model gives no answer any more after some calls."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests were started by ignores
    run, made = Predictor.run, itertools.count()

    def stopping(self, batch):
        if next(made) == calls:
            reached.touch()
            while True:  # in short pieces: a long one goes on where another thread takes the signal
                time.sleep(0.01)
        return run(self, batch)

    Predictor.run = stopping
    sys.argv = ["tumorkeras", "score", export, images, "--output", str(output), "--batch-size", str(BATCH_SIZE)]
    status = 0
    with said.open("w") as file, contextlib.redirect_stderr(file), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as stop:
            status = stop.code or 0
    os._exit(status)


def is_running(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def ended(child: int) -> str:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return signal.Signals(-status).name if status < 0 else str(status)


def run(output: Path, export: str, images: str, count: int, seed: int) -> None:
    generator, said, reached = random.Random(seed), output.with_name("said"), output.with_name("reached")
    ends = []
    for number in range(count):
        child = start(output, export, images, said, WINDOW + generator.randrange(BEYOND), reached)
        while not reached.exists() and is_running(child):
            time.sleep(0.01)
        os.killpg(child, signal.SIGINT if number % 2 else signal.SIGKILL)
        ends.append((ended(child), said.read_text()))
        reached.unlink()
    said.unlink()
    print(json.dumps(ends))


if __name__ == "__main__":
    run(Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4]), int(sys.argv[5]))
