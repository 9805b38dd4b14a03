"""The process that an export is run in: its loader, its arrays, its end."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.serving import _check, apart
from tumorkeras.serving._c_library import _names_in
from tumorkeras.serving.apart import run_apart
from tumorkeras.serving.runs import Run
from tumorkeras.serving.structure import ops_of, read_graph, tensors_of

DTYPES = (
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
WORDS = np.array([b"\x89PNG\x00", b"", b"\x00\x00"], object)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Gives every kind of number, and strings, back as they came."""
    specs = [tf.TensorSpec((None, None), dtype, name=dtype) for dtype in DTYPES]
    specs.append(tf.TensorSpec((None,), tf.string, name="words"))

    @tf.function(input_signature=specs)
    def same(*values):
        return {f"{spec.name}_again": tf.identity(value) for spec, value in zip(specs, values, strict=True)}

    folder = tmp_path_factory.mktemp("apart") / "1"
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": same.get_concrete_function()})
    return folder


def run_of(rows):
    values = np.arange(3 * 5).reshape(3, 5)[:rows] - 2
    return Run("serving_default", {**{name: values.astype(name) for name in DTYPES}, "words": WORDS[:rows]}, {})


def assert_given_back(run, outputs):
    assert set(outputs) == {f"{name}_again" for name in run.inputs}
    for name, values in run.inputs.items():
        assert outputs[f"{name}_again"].dtype == values.dtype
        np.testing.assert_array_equal(outputs[f"{name}_again"], values)


RUNS = [run_of(3), run_of(1), run_of(0)]


def test_the_c_library_carries_every_dtype(export):
    graph = read_graph(export)
    answers = run_apart(export, RUNS, tensors_of(graph), ops_of(graph))
    assert (answers.fault, answers.unknown) == (None, [])
    assert (answers.loader, answers.skipped) == ("TensorFlow's C library", [])
    for run, outputs in zip(RUNS, answers.outputs, strict=True):
        assert_given_back(run, outputs)


def run_here(command, **_):
    """In place of the process: TensorFlow is loaded here already, and so is Keras."""
    _check.check(Path(command[-1]))
    return subprocess.CompletedProcess(command, 0, "", "")


def test_a_process_with_more_than_the_c_library_gives_up(export, monkeypatch):
    """Here everything is imported that must not be there."""
    monkeypatch.setattr(apart.subprocess, "run", run_here)
    with pytest.raises(
        SystemExit, match=r"keras.*, tensorflow, tumorkeras was imported in the process that must be free"
    ):
        run_apart(export, RUNS, tensors_of(read_graph(export)), [])


@pytest.mark.parametrize(("content", "reason"), [(None, "is not part of"), ("no library", "file too short")])
def test_without_the_c_library_the_python_package_carries_them(content, reason, export, monkeypatch, tmp_path):
    monkeypatch.setattr(_check, "ABSENT", ())
    monkeypatch.setattr(apart.subprocess, "run", run_here)
    if content is None:
        monkeypatch.setattr(apart, "_LIBRARY", "libtensorflow_cc.dylib")
    else:
        (tmp_path / "library.so").write_text(content)
        monkeypatch.setattr(apart, "_library", lambda: (str(tmp_path / "library.so"), ""))
    graph = read_graph(export)
    answers = run_apart(export, RUNS, tensors_of(graph), ops_of(graph))
    assert answers.loader == "TensorFlow for Python, without Keras"
    assert reason in answers.skipped[0]
    for run, outputs in zip(RUNS, answers.outputs, strict=True):
        assert_given_back(run, outputs)
    assert run_apart(export, RUNS, {}, ["MatMul", "BlurCells"]).unknown == ["BlurCells"]


@pytest.mark.parametrize(
    ("steps", "part"),
    [
        (0, "starting TensorFlow alone"),
        (1, "loading it with TensorFlow alone"),
        (2, "serving_default with"),
    ],
)
def test_a_crash_is_a_fault_in_words(steps, part, export, monkeypatch, tmp_path):
    crash = tmp_path / "crash.py"
    crash.write_text(
        "import os, signal, sys\n"
        f"open(os.path.join(sys.argv[1], 'results.jsonl'), 'w').write('{{}}\\n' * {steps})\n"
        "sys.stderr.write('Check failed: it is broken\\n')\n"
        "sys.stderr.flush()\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setattr(apart, "_CHECK", crash)
    fault = run_apart(export, [run_of(3)], {}, []).fault
    assert fault.startswith(part)
    assert "the process was ended by SIGSEGV (Check failed: it is broken)" in fault


def test_a_process_that_gives_up_says_why(export, monkeypatch, tmp_path):
    stopped = tmp_path / "stopped.py"
    stopped.write_text("raise SystemExit('tensorflow was imported')")
    monkeypatch.setattr(apart, "_CHECK", stopped)
    fault = run_apart(export, [], {}, []).fault
    assert fault == "starting TensorFlow alone: the process ended with exit status 1 (tensorflow was imported)"


def test_arrays_pass_through_files_as_they_are(tmp_path):
    arrays = {
        "words": WORDS,
        "table": WORDS.reshape(3, 1),
        "none": np.empty(0, object),
        "file": np.ones((0, 2), "int8"),
    }
    _check.save_arrays(tmp_path / "arrays.npz", arrays)
    found = _check.load_arrays(tmp_path / "arrays.npz")
    assert set(found) == set(arrays)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_names_of_a_list_of_ops():
    from tensorflow.core.framework import op_def_pb2

    names = ["A", "Long" * 50, "Blur"]
    message = op_def_pb2.OpList(op=[op_def_pb2.OpDef(name=name, summary="s" * 300) for name in names])
    assert list(_names_in(message.SerializeToString())) == names
