"""What a trained model shows of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from read_html import card

from tumorkeras.models import build_classifier
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel

FIGURE = {"value": 0.75, "low": 0.5, "high": 1.0, "n": 12.0}


@pytest.fixture(scope="module")
def trained():
    spec = DataSpec.from_dict(
        {"name": "motion", "source": {"kind": "simulation", "frames": 4}, "input": {"shape": [4, 8, 8, 1]}}
    )
    model = build_classifier(spec.input.shape, 2, filters=(2,), dense=(4,))
    history = pd.DataFrame({"epoch": [1, 2], "loss": [0.7, 0.5], "val_loss": [0.8, 0.9]})
    return TrainedModel(model, spec, {"kind": "classifier", "classes": ["<b-class>", "cyst"]}, history)


def test_a_card_with_hardly_anything_in_it(trained):
    """Those of older folders lack entries; only kind and classes are always there."""
    reader = card(trained)
    assert "motion: classifier" in reader.text
    assert "classes <b-class>, cyst" in reader.cells
    assert "training 2 epochs" in reader.cells
    assert "threshold" not in reader.text.partition("as YAML")[0]
    assert reader.tags.count("polyline") == 2
    assert "source:\n  kind: simulation" in reader.text


def test_a_count_that_is_not_known_is_a_dash(trained):
    values = {"TP": {"value": None, "low": None, "high": None, "n": 0}}
    reader = card(replace(trained, card=trained.card | {"metrics": {"part": "val", "values": values}}))
    assert "TP –" in reader.cells


def test_everything_that_a_card_may_hold(trained):
    values = {"accuracy": FIGURE, "TP": {**FIGURE, "value": 3.0}, "AUC[cyst]": {**FIGURE, "low": None}}
    more = {
        "parameters": 12345,
        "input_shape": [4, 8, 8, 1],
        "counts": {"train": 1200, "val": 7},
        "threshold": 0.31234,
        "tuned_on_validation": {},
        "temperature": {"value": 1.5},
        "seconds_to_train": 75.2,
        "seed": 3,
        "data_sha256": "0123456789abcdef" * 4,
        "versions": {"keras": "3.15.1"},
        "metrics": {"part": "val", "stopped_by_this_part": True, "values": values},
    }
    reader = card(replace(trained, card=trained.card | more, folder=Path("models/a")))
    for words in (
        "parameters 12,345",
        "input 4 x 8 x 8 x 1",
        "samples 1,200 train, 7 val",
        "threshold 0.312, tuned on val",
        "temperature 1.5, fitted to val",
        "training 2 epochs in 1 min 15 s, seed 3",
        "data SHA-256 0123456789ab... ",
        "versions keras 3.15.1",
        "folder models/a",
        "accuracy 0.750 [0.500, 1.000] 12",
        "AUC[cyst] 0.750 12",
        "a little too good",
    ):
        assert words in reader.cells, words
    assert reader.cells.index("accuracy") < reader.cells.index("by class") < reader.cells.index("AUC[cyst]")


def test_figures_of_a_detector_are_those_of_all_classes(trained):
    values = {"AP50 of cyst": FIGURE, "AP50 of all": FIGURE | {"value": 0.5}}
    shown = {"kind": "detector", "metrics": {"part": "test", "values": values}, "anchor_recall": 0.9312}
    reader = card(replace(trained, card=trained.card | shown))
    assert "AP50 0.500 [0.500, 1.000] 12" in reader.cells
    assert "anchors meet 0.931 of the training boxes" in reader.cells
    assert reader.cells.index("by class") < reader.cells.index("AP50 of cyst")
