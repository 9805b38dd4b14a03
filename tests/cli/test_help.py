"""What the help of the command line shows can be typed, and shells complete it."""

import json
import os
import shlex
import subprocess
import sys

import pytest
import typer
from command_line import run_command

from tumorkeras.cli.command_line import VERBS, app

EXAMPLES = {verb.__name__: example for verb, example in VERBS.items()}


@pytest.mark.parametrize("verb", EXAMPLES)
def test_the_help_of_every_verb_has_an_example_that_can_be_typed(verb):
    help_ = run_command(verb, "--help")
    assert help_.status == 0
    assert f"Example: {EXAMPLES[verb]}" in " ".join(help_.out.split())
    program, name, *arguments = shlex.split(EXAMPLES[verb])
    assert (program, name) == ("tumorkeras", verb)
    command = typer.main.get_command(app).commands[verb]
    with command.make_context(verb, arguments) as context:  # refuses what is wrong
        assert not context.args


def test_the_verbs_stand_in_the_order_of_work():
    lines = run_command("--help").out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in EXAMPLES]
    assert listed == list(EXAMPLES)


@pytest.mark.parametrize(
    ("words", "wanted"), [("tumorkeras sc", {"score", "schema"}), ("tumorkeras score --th", {"--threshold"})]
)
def test_bash_completes_verbs_and_options(words, wanted):
    asked = {"_TUMORKERAS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [sys.executable, "-m", "tumorkeras"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked}, check=False)
    assert set(done.stdout.split()) == wanted


def test_doctor_is_well_here():
    outcome = run_command("doctor", "--json")
    assert outcome.status == 0
    assert json.loads(outcome.out)["ok"] is True
    assert "all that is needed is here" in outcome.err


def test_doctor_says_1_where_nothing_can_work(monkeypatch):
    from tumorkeras import installation

    def fail():
        raise ImportError("no libtensorflow")

    monkeypatch.setattr(installation, "_devices", fail)
    outcome = run_command("doctor")
    assert outcome.status == 1
    assert "TensorFlow does not start: no libtensorflow" in outcome.out
