"""The command line: thin verbs, clean streams, exit statuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import run_command

from tumorkeras import DataSpec, compare, simulate_motility, simulate_ultrasound
from tumorkeras.cli import command_line
from tumorkeras.comparison import methods
from tumorkeras.data.detection import load_detection
from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.training import TrainedModel

ROOT = Path(__file__).parents[2]
VALUES = {
    "name": "motion",
    "source": {"kind": "simulation", "samples_per_class": 12, "frames": 6},
    "input": {"shape": [6, 8, 8, 1], "spacing": [1, 8, 8]},
    "classifier": {"filters": [4], "dense": [4], "pretraining": "none"},
    "training": {"epochs": 1},
    "splits": {"folds": 2},
    "comparison": {"methods": ["majority", "trivial"]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a spec, and the model that a real process trained from it."""
    place = tmp_path_factory.mktemp("cli")
    (place / "spec.yaml").write_text(yaml.safe_dump(VALUES))
    return place


@pytest.fixture(scope="module")
def trained(folder):
    """A process of its own, with TensorFlow left to say what it likes."""
    quiet = ("TF_CPP_MIN_LOG_LEVEL", "MPLBACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "tumorkeras", "train", "spec.yaml", "--output", "model", "--json"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_streams_of_a_real_process_hold_nothing_but_ours(trained, folder):
    assert trained.returncode == 0, trained.stderr
    epoch, end = trained.stderr.splitlines()  # a pipe has no bar
    assert epoch.startswith("classifier: epoch 1 of 1: accuracy 0.")
    assert end == "model: model"
    (line,) = trained.stdout.splitlines()
    assert json.loads(line) == json.loads((folder / "model" / "model_card.json").read_text())


def test_evaluate_gives_the_metrics_of_the_card(trained, folder):
    outcome = run_command("evaluate", folder / "model", folder / "spec.yaml", "--json")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out.splitlines()[-1])
    card = json.loads((folder / "model" / "model_card.json").read_text())
    assert found["accuracy"] == pytest.approx(card["metrics"]["values"]["accuracy"])


def test_export_verify_and_score(trained, folder):
    exported = run_command("export", folder / "model", "--output", folder / "exports", "--json")
    assert exported.status == 0, exported.err
    path = json.loads(exported.out)["export"]
    assert path == str(folder / "exports" / "model" / "1")
    verified = run_command("verify", path)
    assert (verified.status, verified.err) == (0, "")
    assert verified.out.startswith(f"{path}: ok\n")
    assert "  serving_default: inputs (None, 6, 8, 8, 1) float32 -> class_id (None,) int64, " in verified.out
    broken = shutil.copytree(path, folder / "broken" / "latest")
    (broken / "variables" / "variables.index").unlink()
    refused = run_command("verify", broken, "--json")
    assert refused.status == 1
    assert refused.err.count("\n  fault: ") == 2
    report = json.loads(refused.out)
    assert not report["ok"]
    assert [fault.split(":")[0] for fault in report["faults"]] == ["folder", "variables/variables.index"]
    np.save(folder / "cells.npy", np.zeros((3, 6, 8, 8), "uint8"))
    table = folder / "table.csv"
    scored = run_command("score", path, folder / "cells.npy", folder / "lost.npy", "--output", table, "--json")
    assert scored.status == 0, scored.err
    assert json.loads(scored.out) == {"rows": 4, "errors": 1}
    assert pd.read_csv(table)["status"].tolist() == ["ok", "ok", "ok", "error"]


def test_what_an_export_has_in_its_graph_is_chosen_on_the_command_line(trained, folder):
    chosen = ("--class-names", "--name", "chosen", "--format", "onnx", "--uncertainty", "dropout", "--passes", "3")
    exported = run_command("export", folder / "model", "--output", folder / "exports", *chosen, "--json")
    assert exported.status == 0, exported.err
    version = Path(json.loads(exported.out)["export"])
    assert (version / "formats" / "model.onnx").is_file()
    report = run_command("verify", version).out
    assert "class_name (None,) string" in report
    assert "uncertainty_dropout: " in report
    card = json.loads((version / "assets.extra" / "model_card.json").read_text())
    assert card["export"]["uncertainty"] == {"dropout": {"passes": 3, "seed": 0}}
    for status, words, *wrong in (
        (2, "'low'", "--threshold", "low"),
        (1, "only of two classes, and the model has 3", "--threshold", "0.25"),
        (1, "threshold", "--threshold", "tuned"),
        (1, "'caffe'", "--format", "caffe"),
        (1, "'bayes'", "--uncertainty", "bayes"),
    ):
        refused = run_command("export", folder / "model", "--output", folder / "exports", *wrong)
        assert refused.status == status
        assert words in refused.err


def test_train_and_evaluate_print_what_a_detector_is_read_by(folder, monkeypatch):
    seen = {}

    def train(spec, kind, output, *, initial):
        seen[kind] = spec.tasks
        return TrainedModel(None, spec, {"kind": kind}, None, output)

    index = pd.MultiIndex.from_product([["AP50", "AP75"], ["benign", "all"]], names=["metric", "class"])
    metrics = pd.DataFrame({"value": 0.5, "low": 0.25, "high": np.nan, "n": 7}, index=index)
    monkeypatch.setattr("tumorkeras.training.train", train)
    monkeypatch.setattr("tumorkeras.training.evaluate", lambda model, spec, split: metrics.copy())
    values = {"name": "lesions", "source": {"kind": "phantoms", "samples": 4}, "input": {"shape": [32, 32, 1]}}
    spec = folder / "lesions.yaml"
    spec.write_text(yaml.safe_dump(values))
    outcome = run_command("train", spec, "--model", "detector", "--output", folder / "detector")
    assert (outcome.status, outcome.out, seen) == (0, f"model: {folder / 'detector'}\n", {"detector": ["detect"]})
    printed = run_command("evaluate", folder / "detector", spec)
    assert printed.out.splitlines()[2].split() == ["AP50", "benign", "0.5", "0.25", "NaN", "7"]
    found = json.loads(run_command("evaluate", folder / "detector", spec, "--json").out)
    assert list(found) == ["AP50 of benign", "AP50 of all", "AP75 of benign", "AP75 of all"]
    assert found["AP75 of all"] == {"value": 0.5, "low": 0.25, "high": None, "n": 7}


def test_compare_prints_the_table(folder):
    outcome = run_command("compare", folder / "spec.yaml", "--output", folder / "comparison", "--json")
    assert outcome.status == 0, outcome.err
    rows = json.loads(outcome.out)
    assert [row["method"] for row in rows] == ["majority", "trivial"]
    table = compare(DataSpec.from_yaml(folder / "spec.yaml"), progress=False)
    assert [row["accuracy"] for row in rows] == pytest.approx(table["accuracy"].tolist())
    assert rows[0]["seconds"] >= 0
    assert pd.read_csv(folder / "comparison" / "comparison.csv")["method"].tolist() == ["majority", "trivial"]


def test_compare_ends_with_status_1_where_every_method_failed(folder, monkeypatch):
    def fail(fold):
        raise MemoryError("all of it")

    for name in ("majority", "trivial"):
        monkeypatch.setitem(methods.METHODS, name, methods.Method("none", fail))
    outcome = run_command("compare", folder / "spec.yaml", "--output", folder / "failed")
    assert (outcome.status, outcome.out) == (1, "")
    assert "compare: every method failed: 2 faults" in outcome.err
    assert "trivial: fold 1: MemoryError: all of it" in outcome.err


def test_score_reads_the_folder_of_a_trained_model(trained, folder):
    """The model's folder and its export give the same table, of the same part."""
    exported = run_command("export", folder / "model", "--output", folder / "others", "--json")
    path = json.loads(exported.out)["export"]
    tables = []
    for model in (folder / "model", path):
        table = folder / "of_model.csv"
        outcome = run_command("score", model, folder / "spec.yaml", "--split", "val", "--output", table)
        assert outcome.status == 0, outcome.err
        assert "was trained with other data" not in outcome.err
        tables.append(pd.read_csv(table))
    pd.testing.assert_frame_equal(*tables, atol=1e-6)
    assert "class_name" in tables[0]


def test_evaluate_warns_where_the_model_may_have_seen_the_part(trained, folder):
    (folder / "resplit.yaml").write_text(yaml.safe_dump({**VALUES, "splits": {"folds": 2, "seed": 9}}))
    outcome = run_command("evaluate", folder / "model", folder / "resplit.yaml")
    assert outcome.status == 0
    assert "samples of the part 'test' may have been among its training samples" in outcome.err
    seen = run_command("evaluate", folder / "model", folder / "spec.yaml")
    assert "may have been" not in seen.err


def test_simulate_writes_what_the_function_gives(tmp_path):
    outcome = run_command(
        "simulate", "levy_flight", "--n", 4, "--frames", 7, "--seed", 3, "--output", tmp_path, "--json"
    )
    assert (outcome.status, len(outcome.out.splitlines())) == (0, 1)
    files = json.loads(outcome.out)["files"]
    read = np.stack([pd.read_csv(file, header=None).to_numpy("float32") for file in files], axis=-1)
    np.testing.assert_allclose(read, simulate_motility("levy_flight", 4, 7, seed=3), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [("fractional_brownian", "hurst", 0.3), ("levy_flight", "alpha", 1.9), ("random_walk", "mean_step", 2.5)],
)
def test_simulate_has_the_options_of_the_function(tmp_path, kind, option, value):
    outcome = run_command(
        "simulate", kind, "--n", 3, "--frames", 8, f"--{option.replace('_', '-')}", value, "--output", tmp_path
    )
    assert outcome.status == 0, outcome.err
    read = [pd.read_csv(tmp_path / f"{kind}_{axis}.csv", header=None).to_numpy("float32") for axis in "XY"]
    np.testing.assert_allclose(
        np.stack(read, axis=-1), simulate_motility(kind, 3, 8, seed=0, **{option: value}), rtol=1e-5
    )


def test_without_json_the_result_is_on_standard_output(tmp_path):
    outcome = run_command("simulate", "random_walk", "--n", 2, "--frames", 3, "--output", tmp_path)
    assert outcome.out == f"{tmp_path / 'random_walk_X.csv'}, {tmp_path / 'random_walk_Y.csv'}: 2 tracks\n"
    assert outcome.err == ""


def test_simulated_ultrasound_is_a_folder_that_init_understands(tmp_path):
    folder, options = tmp_path / "scans", ["--n", 20, "--size", 48, 64, "--seed", 3]
    outcome = run_command("simulate", "ultrasound", *options, "--output", folder, "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out)["files"] == [str(folder / "images"), str(folder / "annotations.csv")]
    outcome = run_command("init", folder, "--output", tmp_path / "spec.yaml")
    assert outcome.status == 0, outcome.err
    samples = load_detection(DataSpec.from_yaml(tmp_path / "spec.yaml"))
    scans = simulate_ultrasound(20, (48, 64), seed=3)
    assert (len(samples), samples.classes) == (20, ("benign", "malignant"))
    for k in range(20):
        count = int((scans.classes[k] >= 0).sum())
        placed = samples.placement(k)
        np.testing.assert_allclose(placed.invert(samples.boxes_of(k)[0]), scans.boxes[k, :count], atol=1e-3)
        assert samples.boxes_of(k)[1].tolist() == scans.classes[k, :count].tolist()


def test_simulated_ultrasound_has_the_options_of_the_function(tmp_path):
    options = ["--most", 1, "--without", 0, "--calipers", "--n", 2, "--size", 40, 40]
    outcome = run_command("simulate", "ultrasound", *options, "--output", tmp_path)
    assert outcome.out == f"{tmp_path / 'images'}, {tmp_path / 'annotations.csv'}: 2 images\n"
    expected = simulate_ultrasound(2, (40, 40), most=1, without=0, calipers=True)
    for k, image in enumerate(expected.images):
        path = tmp_path / "images" / f"phantom_0000{k}.png"
        np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), image)
    again = run_command("simulate", "ultrasound", *options, "--output", tmp_path)
    assert again.status == 1
    assert "annotations.csv is there already; remove it, or choose another folder" in again.err


@pytest.mark.parametrize("n", [0, -1])
def test_no_simulated_ultrasound_is_a_fault(tmp_path, n):
    outcome = run_command("simulate", "ultrasound", "--n", n, "--output", tmp_path / "scans")
    assert (outcome.status, outcome.out) == (1, "")
    assert f"n: found {n}, expected an integer from" in outcome.err
    assert not (tmp_path / "scans").exists()


def test_schema_is_that_of_the_spec():
    assert json.loads(run_command("schema").out) == DataSpec.json_schema()


def test_help_names_every_verb():
    outcome = run_command("--help")
    assert outcome.status == 0
    for verb in ("run", "train", "compare", "evaluate", "export", "verify", "score", "simulate", "schema"):
        assert f"\n  {verb} " in outcome.out


@pytest.mark.parametrize("arguments", [[], ["trian"], ["run"], ["run", "a.yaml", "--nothing"]])
def test_wrong_usage_is_status_2(arguments):
    outcome = run_command(*arguments)
    assert outcome.status == 2
    assert "Usage: tumorkeras" in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (DataError("cells.csv", ["row 2 is short"]), "tumorkeras: cells.csv: row 2 is short\n"),
        (
            MissingExtraError("pydicom", "medical"),
            "tumorkeras: pydicom is not installed; install it with: pip install 'tumorkeras[medical]'\n",
        ),
        (PermissionError(13, "Permission denied", "out"), "tumorkeras: out: Permission denied\n"),
    ],
)
def test_faults_are_one_message_and_status_1(raised, message, capsys):
    def command():
        raise raised

    assert command_line._status(command) == 1
    assert capsys.readouterr().err == message


def test_an_error_of_ours_is_not_hidden():
    """A mistake in the code is no fault of the user's: it keeps its traceback."""

    def command():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command_line._status(command)


def test_an_interrupt_says_how_to_go_on(monkeypatch, tmp_path):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(VALUES))
    monkeypatch.setattr("tumorkeras.workflow.run", interrupt)
    outcome = run_command("run", tmp_path / "spec.yaml")
    assert outcome.status == 130
    assert outcome.err.splitlines()[-1] == "tumorkeras: stopped; the same command goes on from where it was"
    monkeypatch.setattr("tumorkeras.auditing.audit", interrupt)
    outcome = run_command("audit", tmp_path / "spec.yaml")
    assert outcome.status == 130
    assert outcome.err.splitlines()[-1] == "tumorkeras: stopped; nothing was kept"


def test_the_spec_is_read_before_tensorflow_starts():
    """A slip in the spec is said in a second, not after the seconds TensorFlow takes."""
    check = (
        "import sys; sys.argv = ['tumorkeras', 'run', 'no.yaml']\n"
        "from tumorkeras.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: sys.exit(10 * stop.code + ('tensorflow' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 10, done.stderr
