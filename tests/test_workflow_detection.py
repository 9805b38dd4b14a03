"""The main job on images with boxes, with a job beside it: one small training, looked at from all sides."""

from __future__ import annotations

import json
import logging

import pandas as pd
import pytest
import yaml
from command_line import run_command

from tumorkeras import DataSpec, load, run, workflow
from tumorkeras.data.detection import load_detection
from tumorkeras.errors import ModelError
from tumorkeras.metrics import detection_metrics
from tumorkeras.report.detections import detections_of

pytestmark = pytest.mark.slow

VALUES = {
    "name": "tiny",
    "tasks": ["detect"],
    "source": {"kind": "phantoms", "samples": 24, "lesions": ["malignant"]},
    "input": {"shape": [64, 64, 1]},
    "preprocessing": [{"step": "rescale"}],
    "autoencoder": {"filters": [4, 8, 8], "bottleneck": None, "epochs": 1},
    "detector": {
        "backbone": "autoencoder",
        "fusion_width": 8,
        "rpn_proposals": 20,
        "dense": [8],
        "max_detections": 4,
        "score_threshold": 0.01,
    },
    "training": {"epochs": 1, "batch_size": 8, "augment": []},
    "also": ["beside.yaml"],
}
BESIDE = {
    "name": "beside",
    "tasks": ["autoencode"],
    "source": {"kind": "simulation", "samples_per_class": 6, "frames": 4},
    "input": {"shape": [4, 8, 8, 1], "spacing": [1, 8, 8]},
    "autoencoder": {"filters": [2], "bottleneck": 2},
    "training": {"epochs": 1},
}


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("specs")
    for values in (VALUES, BESIDE):
        (folder / f"{values['name']}.yaml").write_text(yaml.safe_dump(values))
    return DataSpec.from_yaml(folder / "tiny.yaml")


@pytest.fixture(scope="module")
def job(spec, tmp_path_factory):
    return run(spec, tmp_path_factory.mktemp("job") / "out", progress=False)


def test_the_folder_holds_both_jobs(job):
    found = {path.relative_to(job.folder).as_posix() for path in job.folder.rglob("*")}
    for kind in ("autoencoder", "detector"):
        assert {f"models/tiny_{kind}/model.keras", f"exports/tiny_{kind}/1/saved_model.pb"} <= found
    assert {"beside/models/beside_autoencoder/model.keras", "beside/report.html", "beside/run.json"} <= found
    assert {"report.html", "metrics.json", "audit.json", "predictions.parquet"} <= found
    assert job.comparison is None
    assert list(job.models) == ["autoencoder", "detector"]
    assert list(job.also) == ["beside"]
    assert job.also["beside"].report == job.folder / "beside" / "report.html"


def test_the_detector_starts_from_the_autoencoder_of_the_job(job):
    card = job.models["detector"].card
    assert card["pretraining"] == "autoencoder"
    assert not (job.folder / "models" / "tiny_detector" / "autoencoder").exists()


def test_predictions_are_what_the_metrics_were_read_on(job, spec):
    table = pd.read_parquet(job.folder / "predictions.parquet")
    test = load_detection(spec).part("test")
    assert list(dict.fromkeys(table["id"])) == test.table["id"].tolist()
    assert (table["status"] == "ok").all()
    found = detections_of(table, test.table["id"].tolist(), test.classes)
    threshold = job.models["detector"].card["threshold"]
    expected = detection_metrics(test.truth(), found, list(test.classes), threshold=threshold, resamples=10)
    metrics = json.loads((job.folder / "metrics.json").read_text())["detector"]
    assert metrics["part"] == "test"
    for name in ("AP50", "sensitivity", "false positives per image"):
        assert metrics["values"][f"{name} of all"]["value"] == pytest.approx(
            expected.loc[(name, "all"), "value"], abs=1e-4
        )
    held = table.dropna(subset="class")
    assert (held[["xmin", "ymin"]] >= 0).all(axis=None)
    assert (held[["xmax", "ymax"]] <= 64).all(axis=None)


def test_the_page_shows_the_detector_and_the_job_beside_it(job):
    page = job.report.read_text(encoding="utf-8")
    assert len(page) < 5_000_000
    for section in ("detection", "reconstruction", "also"):
        assert f'<section id="{section}">' in page
    assert '<a href="beside/report.html">' in page
    assert "No figure here: " not in page.split('<section id="also">')[1]


def test_started_again_nothing_is_trained_or_exported(job, spec, monkeypatch, caplog):
    monkeypatch.setattr(workflow, "export", None)
    with caplog.at_level(logging.INFO, logger="tumorkeras"):
        again = run(spec, job.folder, progress=False)
    pd.testing.assert_frame_equal(again.predictions, job.predictions)
    assert sum("is already trained" in message for message in caplog.messages) == 3
    assert again.also["beside"].exports == job.also["beside"].exports


def test_another_job_beside_it_is_another_run(job, spec):
    other = DataSpec.from_dict({**VALUES, "also": []}, folder=spec.folder)
    with pytest.raises(ModelError, match="also: it was"):
        run(other, job.folder, progress=False)


def test_the_command_prints_the_figures_of_both(job, spec, monkeypatch):
    monkeypatch.setattr("tumorkeras.workflow.run", lambda spec, output: job)
    lines = run_command("run", spec.folder / "tiny.yaml").out.splitlines()
    names = [line.split(": ")[0] for line in lines[2:]]
    assert lines[0].startswith("beside: Reconstruction error: ")
    assert names == ["AP50", "AP50:95", "FROC mean", "Sensitivity", "Reconstruction error", "report"]
    assert "false positives an image" in lines[5]
    found = json.loads(run_command("run", spec.folder / "tiny.yaml", "--json").out.splitlines()[-1])
    assert found["metrics"]["detector"]["part"] == "test"
    assert list(found["also"]) == ["beside"]


def test_the_command_evaluates_a_detector_by_class(job, spec):
    place = job.folder / "models" / "tiny_detector"
    outcome = run_command("evaluate", place, spec.folder / "tiny.yaml", "--json")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out.splitlines()[-1])
    card = load(place).card["metrics"]["values"]
    assert list(found) == list(card)
    assert found["AP50 of malignant"]["value"] == pytest.approx(card["AP50 of malignant"]["value"])
    assert "false positives per image" in outcome.err
