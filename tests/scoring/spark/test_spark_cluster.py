"""Scoring with Spark on executors of their own, and on the command line, which takes longer to start."""

import gc
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from made_spark import CLASSES, classifier, failed_tasks, pictures, readers, saved, score_beside, started, wait_until

from tumorkeras.errors import DataError
from tumorkeras.scoring import score


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(classifier(), tmp_path_factory.mktemp("bright") / "1", CLASSES)


def workers():
    """Those that have a model; each decodes an image before it goes on."""
    return [reader.parent() for reader in readers()]


def executor_of(worker):
    return next(each for each in worker.parents() if "CoarseGrainedExecutorBackend" in " ".join(each.cmdline()))


@pytest.mark.slow
def test_all_rows_are_there_once_after_a_worker_and_an_executor_were_killed(model, tmp_path):
    images = pictures(tmp_path, 20)
    np.save(tmp_path / "many.npy", np.random.default_rng(0).random((300, 40, 40)).astype("float32"))
    inputs = [path for image in images for path in (image, tmp_path / "many.npy")] * 2
    with started(tmp_path, "local-cluster[2,1,1024]") as spark:
        thread, found = score_beside(model, inputs, output=tmp_path / "found.parquet")
        worker = wait_until(workers)[0]
        worker.kill()
        other = wait_until(lambda: [each for each in workers() if each != worker])[0]
        executor_of(other).kill()
        thread.join()
        assert failed_tasks(spark) >= 2
    alone = score(model, inputs)
    pd.testing.assert_frame_equal(pd.read_parquet(found[0]), alone, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_command_says_nothing_of_spark(model, tmp_path):
    images = pictures(tmp_path, 5)
    output = tmp_path / "found.parquet"
    command = [sys.executable, "-m", "tumorkeras", "score", model, *images, "--output", output, "--engine", "spark"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == f"{output}: 5 rows, 0 of them errors\n"
    assert done.stderr == "scored 5 inputs, 0 of them with errors\n"
    assert pd.read_parquet(output)["path"].tolist() == images


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # PySpark leaves a pipe to the Java that ended
def test_a_java_that_does_not_start_is_named(model, tmp_path, monkeypatch):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho class file version 61.0 >&2\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    before = dict(os.environ)
    with pytest.raises(DataError, match=r"Java does not start \(class file version 61\.0.*\); Spark needs Java 17 or"):
        score(model, [], engine="spark")
    gc.collect()
    assert dict(os.environ) == before
