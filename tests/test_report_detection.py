"""The report on a detector: its figures, tables and pictures, from detections that were made up beside the truth."""

from __future__ import annotations

import dataclasses
import re

import keras
import numpy as np
import pandas as pd
import pytest

from tumorkeras import DataSpec
from tumorkeras.data.detection import load_detection
from tumorkeras.metrics import detection_metrics, tune_threshold
from tumorkeras.report import Content, detection_pictures, write_report
from tumorkeras.report.detections import detections_of
from tumorkeras.report.headline import headline
from tumorkeras.training import TrainedModel
from tumorkeras.training.from_spec import _plain

SPEC = {
    "name": "lesions",
    "description": "made-up <lesions>",
    "tasks": ["detect"],
    "source": {"kind": "phantoms", "samples": 60},
    "input": {"shape": [64, 96, 1]},
}


def rows_near(truth, ids, classes, rng):
    """A detection beside nearly every truth, a false alarm in some images, and rows without any in the others."""
    rows = []
    for name, boxes, labels in zip(ids, truth["boxes"], truth["classes"], strict=True):
        found = [
            (classes[label], rng.uniform(0.4, 1), *(box + rng.normal(0, 1, 4)))
            for box, label in zip(boxes[labels >= 0], labels[labels >= 0], strict=True)
            if rng.random() < 0.8
        ]
        found += [(classes[0], rng.uniform(0.1, 0.7), 2, 2, 20, 20)] if rng.random() < 0.3 else []
        rows += [(name, "ok", *each) for each in found] or [(name, "ok", None, *[np.nan] * 5)]
    return pd.DataFrame(rows, columns=["id", "status", "class", "score", "xmin", "ymin", "xmax", "ymax"])


def made(folder, **values):
    spec = DataSpec.from_dict({**SPEC, **values})
    samples = load_detection(spec)
    samples.table["group"] = [f"Mustermann-{k // 2}" for k in range(len(samples))]
    part = samples.part("test" if samples.counts()["test"] else "val")
    ids, classes = part.table["id"].tolist(), list(part.classes)
    truth = part.truth()
    predictions = rows_near(truth, ids, classes, np.random.default_rng(0))
    found = detections_of(predictions, ids, classes)
    tuned = tune_threshold(truth, found, classes)
    metrics = detection_metrics(truth, found, classes, threshold=tuned.threshold, resamples=50)
    card = {
        "kind": "detector",
        "classes": classes,
        "parameters": 1,
        "seconds_to_train": 1.0,
        "data_sha256": "0",
        "seed": 0,
        "versions": {"tumorkeras": "1"},
        "threshold": tuned.threshold,
        "tuned_on_validation": tuned._asdict(),
        "anchors": {"strides": (4, 8), "sizes": ((8.0, 12.0), (30.0, 40.0)), "ratios": (0.5, 1.0)},
        "anchor_recall": 0.9876,
        "metrics": {"part": "test", "values": _plain(metrics)},
    }
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "val_AP50": [0.1, 0.3], "val_AP": [0.0, 0.1]})
    trained = TrainedModel(keras.Sequential(), spec, card, history)
    return Content(folder / "report.html", samples, {"detector": trained}, None, predictions)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return made(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(content):
    return write_report(content).read_text(encoding="utf-8")


def words_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"base64,[^\"]+", "", page)).split())


def test_sections_and_pictures(page):
    titles = re.findall(r"<h2>(\w+)</h2>", page)
    assert titles == ["Data", "Learning", "Detection", "Files", "Origin", "Settings"]
    alts = re.findall(r'alt="([^"]+)"', page)
    assert [alt.split()[0] for alt in alts] == ["6", "Loss", "AP50", "Precision", "FROC", "9", "Crops", "Crops"]
    assert "No figure here" not in page
    assert len(page) < 3_000_000


def test_nobody_and_no_markup_is_in_it(page, content):
    words = re.sub(r"base64,[^\"]+", "", page)
    assert "Mustermann" not in words
    assert "made-up &lt;lesions&gt;" in words
    assert not [name for name in content.samples.table["id"] if name in words]
    assert not re.search(r"https?:|url\(|src=\"(?!data:image/(png|jpeg);base64,)", page)


def test_key_figures_are_those_of_the_card(content, page):
    values = content.main.card["metrics"]["values"]
    figures = {name: (value, note) for name, value, note in headline(content.models)}
    assert list(figures) == ["AP50", "AP50:95", "FROC mean", "Sensitivity"]
    for name, key in {
        "AP50": "AP50 of all",
        "FROC mean": "FROC mean of all",
        "Sensitivity": "sensitivity of all",
    }.items():
        value, note = figures[name]
        assert value == f"{values[key]['value']:.3f}"
        assert f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{values[key]['n']:.0f}" in note
    wrong = values["false positives per image of all"]["value"]
    assert figures["Sensitivity"][1].endswith(f"at {wrong:.2f} false positives an image")
    assert f"Sensitivity {figures['Sensitivity'][0]}" in words_of(page)


def test_tables_by_class(content, page):
    values = content.main.card["metrics"]["values"]
    for name in ("benign", "malignant", "all"):
        ap = values[f"AP50 of {name}"]
        row = rf'<th scope="row">{name} <span class="interval">n.=.{ap["n"]:.0f}</span></th>'
        assert re.search(rf'{row}<td class="number">{ap["value"]:.3f} ', page)
    words = words_of(page)
    card = content.main.card
    assert f"Detections count from a score of {card['threshold']:.3g} on, where F1" in words
    assert "sizes 8, 12 at stride 4; 30, 40 at stride 8, each in ratios (height over width) of 0.5, 1" in words
    assert "98.8 % of the training boxes" in words
    assert "AP large" not in words  # no object of the phantoms is so large


def test_objects_are_counted_by_class_and_part(content, page):
    samples = content.samples
    held = [samples.boxes_of(k)[1] for k in range(len(samples))]
    train = (samples.table["split"] == "train").to_numpy()
    words = words_of(page)
    benign = sum(int((own == 0).sum()) for own, chosen in zip(held, train, strict=True) if chosen)
    bare = sum(not len(own) for own, chosen in zip(held, train, strict=True) if chosen)
    assert re.search(rf"\bbenign {benign} \d+ \d+ {sum(int((own == 0).sum()) for own in held)}\b", words)
    assert re.search(rf"images without objects {bare} \d+ \d+ {sum(not len(own) for own in held)}\b", words)
    assert f"images {train.sum()} " in words


def test_boxes_on_the_canvas_lie_as_in_the_samples(content):
    scene = detection_pictures.scene_of(content)
    truth, found = scene.on_canvas
    for k in range(len(scene.samples)):
        boxes, labels = scene.samples.boxes_of(k)
        np.testing.assert_allclose(truth["boxes"][k, : len(boxes)], boxes, atol=1e-3)
        assert (truth["boxes"][k, len(boxes) :] == 0).all()
        assert truth["classes"][k, : len(boxes)].tolist() == labels.tolist()
    assert found["scores"].max() <= 1


def test_images_that_could_not_be_read_are_left_out_and_counted(content):
    predictions = content.predictions.copy()
    lost = predictions["id"] == content.read.table["id"][0]
    predictions.loc[lost, "status"] = "error"
    broken = dataclasses.replace(content, predictions=predictions.drop_duplicates("id"))
    scene = detection_pictures.scene_of(broken)
    assert scene.samples.table["id"].tolist() == content.read.table["id"].tolist()[1:]
    assert len(scene.truth["boxes"]) == len(content.read) - 1
    assert "Images that could not be read, and are in no figure: 1." in words_of(write_report(broken).read_text())


def test_a_detector_that_finds_nothing_has_a_page(content):
    nothing = content.predictions.drop_duplicates("id").reset_index(drop=True)
    nothing[["class", "score", "xmin", "ymin", "xmax", "ymax"]] = np.nan
    nothing["class"] = nothing["class"].astype("str").mask(nothing["class"].isna())
    page = write_report(dataclasses.replace(content, predictions=nothing)).read_text()
    assert "No figure here" not in page
    objects = int((content.read.truth()["classes"] >= 0).sum())
    assert f"Crops of the {min(12, objects)} worst misses" in page


def test_one_class_has_one_row_and_no_mean(tmp_path):
    one = made(tmp_path, source={**SPEC["source"], "lesions": ["benign"]})
    page = write_report(one).read_text(encoding="utf-8")
    assert '<th scope="row">benign <span' in page
    assert '<th scope="row">all <span' not in page
    assert "with objects of 1 class." in words_of(page)


def test_a_threshold_that_was_not_tuned_says_so(content):
    card = {**content.main.card, "threshold": 0.5}
    del card["tuned_on_validation"]
    plain = dataclasses.replace(content.main, card=card)
    page = write_report(dataclasses.replace(content, models={"detector": plain})).read_text()
    assert "from a score of 0.5 on: it was not tuned" in words_of(page)


def test_a_page_shows_the_jobs_beside_it(content, tmp_path):
    place = dataclasses.replace(content, path=tmp_path / "lesions" / "report.html")
    path = write_report(dataclasses.replace(content, path=tmp_path / "report.html", also={"lesions": place}))
    section = path.read_text(encoding="utf-8").split('<section id="also">')[1].split("</section>")[0]
    assert '<a href="lesions/report.html">' in section
    assert f"AP50 {headline(content.models)[0][1]}" in words_of(section)
    assert section.count("<img") == 1
    assert "3 images of the test part" in section


def test_crowded_images_have_a_legend_in_place_of_words(content, monkeypatch):
    from matplotlib import pyplot as plt

    drawn = {}
    monkeypatch.setattr(detection_pictures.plots, "to_png", lambda figure: drawn.setdefault("figure", figure) and b"")
    monkeypatch.setattr(detection_pictures, "MOST_LABELS", 0)
    detection_pictures.examples(content.samples.part("train"))
    figure = drawn["figure"]
    try:
        assert sum(len(ax.texts) for ax in figure.axes) == 0
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["benign", "malignant"]
    finally:
        plt.close(figure)


@pytest.mark.parametrize("count", [1, 2, 6, 9])
def test_panels_are_of_images_with_objects_and_one_without(content, count):
    samples = content.samples
    chosen = detection_pictures._chosen(samples, count)
    bare = [not len(samples.boxes_of(int(k))[0]) for k in chosen]
    assert len(chosen) == len(set(chosen.tolist())) == count
    assert sum(bare) == 1
