"""The main job: all of its parts in one folder, stopped and gone on, refused where the folder is another's."""

from __future__ import annotations

import json
import logging

import numpy as np
import pandas as pd
import pytest
from read_html import card

from tumorkeras import DataSpec, load, load_samples, run, workflow
from tumorkeras.errors import DataError, ModelError
from tumorkeras.jobs.claim import claim
from tumorkeras.jobs.goals import check_samples
from tumorkeras.jobs.prepared import prepare
from tumorkeras.training.predict import predict

VALUES = {
    "name": "motion",
    "source": {"kind": "simulation", "samples_per_class": 12, "frames": 6},
    "input": {"shape": [6, 8, 8, 1], "spacing": [1, 8, 8]},
    "autoencoder": {"filters": [4], "bottleneck": 4},
    "classifier": {"filters": [4], "dense": [4]},
    "training": {"epochs": 1},
    "splits": {"folds": 2},
    "comparison": {"methods": ["majority", "trivial"]},
}


class Killed(BaseException):
    """Ends the job as a signal would: no handler of errors may catch it."""


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def spec():
    return DataSpec.from_dict(VALUES)


@pytest.fixture(scope="module")
def job(spec, tmp_path_factory):
    """A job that was stopped before the comparison and started again: its result, and the folder between."""
    folder = tmp_path_factory.mktemp("job") / "out"

    def kill(*args, **kwargs):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "compare", kill)
        with pytest.raises(Killed):
            run(spec, folder, progress=False)
    between = contents(folder)
    return run(spec, folder, progress=False), between


def test_the_folder_is_what_the_readme_says(job):
    result, _ = job
    found = {path.relative_to(result.folder).as_posix() for path in result.folder.rglob("*")}
    names = ["motion_autoencoder", "motion_classifier"]
    models = ["model.keras", "spec.yaml", "model_card.json", "history.csv", "plots/learning_curves.png"]
    assert {f"models/{name}/{file}" for name in names for file in models} <= found
    assert {f"exports/{name}/1/saved_model.pb" for name in names} <= found
    assert {"report.html", "metrics.json", "comparison.csv", "predictions.parquet"} <= found
    assert not [name for name in found if name.endswith(".new")]


def test_a_stopped_job_goes_on(job):
    """What was done before the stop is not done again."""
    result, between = job
    kept = [name for name in between if name.startswith("models/") or name == "run.json"]
    assert len(kept) >= 11
    assert not [name for name in between if name.startswith(("exports/", "report"))]
    after = contents(result.folder)
    assert {name: after[name] for name in kept} == {name: between[name] for name in kept}


def test_predictions_are_those_of_the_model(job, spec):
    """The table on disk, the export and the model in its folder say the same of the same samples."""
    result, _ = job
    samples = load_samples(spec)
    test = samples.part("test")
    table = pd.read_parquet(result.folder / "predictions.parquet")
    assert table["id"].tolist() == test.table["id"].tolist()
    assert table["true_class"].tolist() == test.table["class_name"].tolist()
    assert (table["status"] == "ok").all()
    trained = load(result.folder / "models" / "motion_classifier")
    probabilities = table[[f"probability_{name}" for name in samples.classes]].to_numpy()
    np.testing.assert_allclose(probabilities, predict(trained.model, test), atol=1e-5)
    accuracy = (table["class_name"] == table["true_class"]).mean()
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics["classifier"]["values"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert metrics["classifier"]["part"] == "test"


def test_the_classifier_starts_from_the_autoencoder(job, spec, monkeypatch, tmp_path):
    given = {}

    def train(spec, kind, place, *, initial, **options):
        given[kind] = initial
        place.mkdir(parents=True)
        return job[0].models[kind]

    monkeypatch.setattr(workflow, "train", train)
    workflow._train_all(prepare(spec, tmp_path), progress=False)
    assert given == {"autoencoder": None, "classifier": job[0].models["autoencoder"]}


def test_started_again_nothing_changes(job, spec, monkeypatch, caplog):
    result, _ = job
    before = contents(result.folder)
    monkeypatch.setattr(workflow, "export", None)  # no export is made a second time
    with caplog.at_level(logging.INFO, logger="tumorkeras"):
        again = run(spec, result.folder, progress=False)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)
    pd.testing.assert_frame_equal(again.comparison, result.comparison)
    assert again.exports == result.exports
    after = contents(result.folder)
    assert "Checks made" not in after["report.html"].decode()  # their times differ from run to run
    assert [name for name in before if after.get(name) != before[name]] in ([], ["predictions.parquet"])
    assert sum("is already trained" in message for message in caplog.messages) == 2


def test_a_model_that_was_trained_anew_is_exported_anew(job, spec, monkeypatch):
    """An export is told by the card of its model, and checked with samples of the training part."""
    trained = job[0].models["classifier"]
    prepared = prepare(spec, job[0].folder)
    seen = []
    monkeypatch.setattr(workflow, "export", lambda trained, place, samples: seen.append((place, samples)) or place)
    assert workflow._export(trained, prepared) == job[0].exports["classifier"]
    trained.card["seconds_to_train"] += 1
    try:
        workflow._export(trained, prepared)
    finally:
        trained.card["seconds_to_train"] -= 1
    ((place, samples),) = seen
    assert place == job[0].folder / "exports"
    assert samples.shape == (3, *spec.input.shape)


def test_another_spec_is_refused_by_name_of_its_fields(job, spec):
    before = contents(job[0].folder)
    other = DataSpec.from_dict({**VALUES, "training": {"epochs": 2, "batch_size": 4}})
    with pytest.raises(ModelError) as refused:
        run(other, job[0].folder, progress=False)
    assert refused.value.faults == [
        "training.epochs: it was 1, now it is 2",
        "training.batch_size: it was 32, now it is 4",
    ]
    assert contents(job[0].folder) == before


def test_data_at_fault_leave_no_folder(tmp_path):
    values = {**VALUES, "splits": {"folds": 50}}
    with pytest.raises(DataError, match="fewer than the 50 folds"):
        run(DataSpec.from_dict(values), tmp_path / "out", progress=False)
    values = {**VALUES, "splits": {"fractions": {"train": 1, "val": 0, "test": 0}}}
    with pytest.raises(DataError, match="no sample is left to read the result on"):
        run(DataSpec.from_dict(values), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_folds_do_not_matter_to_an_autoencoder():
    values = {**VALUES, "tasks": ["autoencode"], "splits": {"folds": 50}}
    check_samples(load_samples(DataSpec.from_dict(values)), "autoencoder")


def test_a_kill_while_the_folder_is_claimed_does_not_block_it(spec, tmp_path):
    samples = load_samples(spec)
    (tmp_path / ".run.json.new").write_text('{"spec":')
    claim(tmp_path, spec, samples)
    assert json.loads((tmp_path / "run.json").read_text())["spec"] == spec.to_dict()
    claim(tmp_path, spec, samples)  # its own folder


def test_the_result_shows_itself(job):
    result, _ = job
    reader = card(result)
    accuracy = result.models["classifier"].card["metrics"]["values"]["accuracy"]["value"]
    assert f"Accuracy {accuracy:.3f} [" in reader.cells
    assert f"audit {result.audit.summary} report {result.report} export of the autoencoder" in reader.cells
    assert f"predictions {len(result.predictions)} rows" in reader.cells
    assert repr(result) == f"<RunResult {result.folder}: autoencoder, classifier; report in {result.report}>"
    assert card(result.models["autoencoder"]).tags.count("polyline") == 2
    classifier = result.models["classifier"]
    assert f"data SHA-256 {classifier.card['data_sha256'][:12]}" in card(classifier).cells
    assert "accuracy" in card(result.comparison).text
    assert result.audit.summary.partition(":")[0] in card(result.audit).text
