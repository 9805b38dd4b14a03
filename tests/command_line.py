"""Run the command line inside the test's process, as a shell would see it."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from dataclasses import dataclass
from unittest import mock

from tumorkeras.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


def run_command(*arguments: object) -> Outcome:
    """Call ``tumorkeras ARGUMENTS``; logging is put back as it was."""
    logger = logging.getLogger("tumorkeras")
    handlers, level = list(logger.handlers), logger.level
    out, err = io.StringIO(), io.StringIO()
    argv = ["tumorkeras", *map(str, arguments)]
    status = 0
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "argv", argv),
        ):
            main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    return Outcome(status, out.getvalue(), err.getvalue())
