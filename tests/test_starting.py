"""TensorFlow starts without a word of its own, and only where it is needed."""

import os
import subprocess
import sys

import pytest

import tumorkeras
from tumorkeras.starting import standard_error_kept

LOUD = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=LOUD, check=False)


def test_a_model_is_built_and_asked_in_silence():
    done = run(
        "import numpy, tumorkeras as tk\n"
        "print(tk.build_classifier((8, 8, 1), 2, filters=(2,), dense=(2,))(numpy.zeros((1, 8, 8, 1))).shape)"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("(1, 2)\n", "", 0)


def test_rooms_are_imported_in_silence():
    assert tumorkeras._ROOMS.isdisjoint(tumorkeras._HOMES)
    names = ", ".join(sorted(tumorkeras._ROOMS))
    done = run(f"from tumorkeras import {names}\nprint(*[room.__name__ for room in ({names})])")
    expected = " ".join(f"tumorkeras.{name}" for name in sorted(tumorkeras._ROOMS)) + "\n"
    assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)


def test_names_that_need_no_tensorflow_do_not_start_it():
    done = run(
        "import sys, tumorkeras as tk\nfor name in tk._LIGHT: getattr(tk, name)\nsys.exit('tensorflow' in sys.modules)"
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert set(tumorkeras.__all__) > tumorkeras._LIGHT


def test_what_fails_behind_the_silence_is_shown(capfd):
    def start():
        with standard_error_kept():
            os.write(2, b"dlopen: libcuda.so is damaged\n")
            raise ImportError("libcuda")

    with pytest.raises(ImportError, match="libcuda"):
        start()
    with standard_error_kept():
        os.write(2, b"nobody needs this\n")
    os.write(2, b"back\n")
    assert capfd.readouterr().err == "dlopen: libcuda.so is damaged\nback\n"


def test_a_process_without_standard_error_starts_as_well():
    """As a service may be run: the descriptor closed, and nothing in its place in Python."""
    code = (
        "import os, sys; os.close(2); sys.stderr = None; import tumorkeras as tk; print(tk.build_classifier.__name__)"
    )
    done = run(code)
    assert (done.stdout, done.returncode) == ("build_classifier\n", 0)
