"""The command line: each verb is a thin call of one public function.

Exit status 0: done; 1: a fault in the data or the job, said in one message; 2: wrong usage. Progress and
messages go to standard error; with ``--json`` the last line of standard output is the result as JSON.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from tumorkeras.cli.data import audit, doctor, init, schema, simulate
from tumorkeras.cli.exports import export, score, verify
from tumorkeras.cli.models import compare, evaluate, run, train
from tumorkeras.errors import MissingExtraError, TumorKerasError

INTERRUPTED = 130  # as shells have it: 128 + SIGINT

#: The verbs in the order of work, each with an example for its help.
VERBS: dict[Callable[..., None], str] = {
    run: "tumorkeras run data_spec.yaml --output out",
    init: "tumorkeras init scans --output scans.yaml",
    audit: "tumorkeras audit scans.yaml --output audit.html",
    train: "tumorkeras train scans.yaml --model detector --output models/lesions",
    compare: "tumorkeras compare data_spec.yaml --output comparison --jobs 2",
    evaluate: "tumorkeras evaluate models/lesions scans.yaml --split test",
    export: "tumorkeras export models/lesions --output exports --threshold tuned",
    verify: "tumorkeras verify exports/lesions/1",
    score: "tumorkeras score exports/lesions archive --output found.parquet --overlay drawn --threshold 0.5",
    simulate: "tumorkeras simulate ultrasound --output scans --n 100",
    doctor: "tumorkeras doctor",
    schema: "tumorkeras schema",
}

#: Those that keep what is done when they are stopped.
RESUMED = (run, train, compare, score)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a folder of medical images to a served tumour detector.",
)
for verb, example in VERBS.items():
    app.command(epilog=f"Example: {example}")(verb)


def main() -> None:
    """Run the command line; faults of data and job become one message and exit status 1."""
    # Pictures go into files: no window system is asked for.
    os.environ.setdefault("MPLBACKEND", "Agg")
    _show_progress()
    sys.exit(_status(lambda: app(prog_name="tumorkeras")))


def _status(command: Callable[[], Any]) -> int:
    try:
        command()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            resumes = any(sys.argv[1:2] == [verb.__name__] for verb in RESUMED)
            how = "the same command goes on from where it was" if resumes else "nothing was kept"
            typer.echo(f"tumorkeras: stopped; {how}", err=True)
        raise
    except (TumorKerasError, MissingExtraError) as error:
        typer.echo(f"tumorkeras: {error}", err=True)
        return 1
    except OSError as error:
        typer.echo(f"tumorkeras: {error.filename or 'the system'}: {error.strerror or error}", err=True)
        return 1
    return 0


def _show_progress() -> None:
    """Our own messages go to standard error; other packages' chatter is not shown."""
    logger = logging.getLogger("tumorkeras")
    for handler in [handler for handler in logger.handlers if handler.get_name() == __name__]:
        logger.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(__name__)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
