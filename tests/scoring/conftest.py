"""Readers whose processes do what they are told, and a tiny classifier with images to score."""

from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import pytest
import tensorflow as tf
from made_puppets import PUPPET
from made_scans import tiny_classifier, write_scans

import tumorkeras.serving.export as exporting
from tumorkeras.scoring import job, score
from tumorkeras.scoring.reading import Readers, Sample, helper
from tumorkeras.serving.verify import ExportReport


@pytest.fixture
def log(tmp_path):
    """Grows by a byte with each file that a puppet reads."""
    return tmp_path / "log"


@pytest.fixture
def puppets(tmp_path, log, monkeypatch):
    """Start readers whose processes do what the names of files say."""
    main = tmp_path / "puppet.py"
    main.write_text(PUPPET.format(main=str(helper.MAIN), log=str(log)))
    monkeypatch.setattr(helper, "MAIN", main)
    started = []

    def start(processes=1, timeout=60.0):
        started.append(Readers(processes, Sample((None, None, 1)), timeout))
        return started[-1]

    yield start
    for readers in started:
        readers.close()


# ------------------------------------------------------------------------------------------- a tiny classifier


@pytest.fixture(scope="session")
def tumours(tmp_path_factory):
    """An export of a classifier of images on a canvas of 16 x 16, as ONNX, too."""
    with pytest.MonkeyPatch.context() as patch:  # that it can be served is for other tests
        patch.setattr(exporting, "verify_export", lambda path: ExportReport(str(path)))
        return exporting.export(tiny_classifier(), tmp_path_factory.mktemp("exports"), name="tumours", format="onnx")


@pytest.fixture(scope="session")
def scans(tmp_path_factory):
    """A folder of forty images, one of which is cut short: two windows of batches of two."""
    return write_scans(tmp_path_factory.mktemp("scans"), 40)


@pytest.fixture(scope="session")
def scanned(tumours, scans):
    """The table of the folder."""
    return score(tumours, scans, batch_size=2)


@pytest.fixture(scope="session")
def one_reader():
    with Readers(1, Sample((None, None, 1))) as readers:
        yield readers


@pytest.fixture(scope="session")
def load_once():
    return cache(tf.saved_model.load)


@pytest.fixture
def quick_calls(one_reader, load_once, monkeypatch):
    """Let calls share a loaded export, and a process that reads grey images: that is most of the time of a call."""
    reading_of = job.reading_of

    def shared(predictor, processes):
        if predictor.reads_files or predictor.origin.shape != (None, None, 1):
            return reading_of(predictor, processes)
        return nullcontext(one_reader.read)

    monkeypatch.setattr(job, "reading_of", shared)
    monkeypatch.setattr(tf.saved_model, "load", load_once)


@pytest.fixture
def before_calls(monkeypatch):
    """Have something done before each call of a model, with the batch that it is given."""

    def watch(action, patch=monkeypatch):
        load = job.load_predictor

        def watched(*arguments):
            predictor = load(*arguments)
            functions = {dtype: with_action(function) for dtype, function in predictor.functions.items()}
            return replace(predictor, functions=functions)

        def with_action(function):
            def run(batch):
                action(batch)
                return function(batch)

            return run

        patch.setattr(job, "load_predictor", watched)

    return watch
