"""Score into one output again and again, each time killed at another line, until it is whole; run as a script.

Arguments: a folder, and how many lines there are between two kills.
"""

import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd

import tumorkeras

SCORING = Path(tumorkeras.__file__).parent / "scoring"
PATHS = [f"{k}.png" for k in range(5)]
TEMPLATE = pd.DataFrame({"path": pd.Series(dtype="str"), "status": pd.Series(dtype="str")})


def start_without_tensorflow() -> None:
    """The package of scoring would load it, and the output does not need it."""
    sys.modules["tumorkeras.scoring"] = ModuleType("tumorkeras.scoring")
    sys.modules["tumorkeras.scoring"].__path__ = [str(SCORING)]
    import tumorkeras.scoring.output.parts  # noqa: F401 - once, not in each child


def score_all(output: Path, resume: bool) -> None:
    from tumorkeras.scoring.output.parts import Parts
    from tumorkeras.scoring.output.plans import Plan

    with Parts.open(output, Plan({"model": "a/1"}, PATHS, width=2), TEMPLATE, resume=resume) as parts:
        for start, stop in parts.missing():
            rows = {"_input": range(start, stop), "path": parts.plan.paths[start:stop], "status": "ok"}
            parts.add(start, stop, pd.DataFrame(rows))
        parts.finish()


def killed_after(lines: int):
    """A tracer that kills the process when so many lines of ours have run."""
    left = lines

    def trace(frame, event, argument):
        nonlocal left
        if not frame.f_code.co_filename.startswith((str(SCORING), str(SCORING.parent / "files.py"))):
            return None
        left -= event == "line"
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def in_child(output: Path, resume: bool, lines: int) -> int:
    """The signal that ended a scoring, 0 where it came to its end."""
    child = os.fork()
    if not child:
        sys.settrace(killed_after(lines))
        score_all(output, resume)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main() -> None:
    start_without_tensorflow()
    folder, step = Path(sys.argv[1]), int(sys.argv[2])
    kills = 0
    for resume in (True, False):
        lines, signals = 0, signal.SIGKILL
        while signals == signal.SIGKILL:
            output = folder / f"{resume}-{lines}.csv"
            # A finished part of an earlier call, which the second kind removes and the first takes over.
            in_child(output, True, 400)
            signals = in_child(output, resume, lines)
            kills += signals == signal.SIGKILL
            score_all(output, True)
            lines += step
    sys.stdout.write(str(kills))


if __name__ == "__main__":
    main()
