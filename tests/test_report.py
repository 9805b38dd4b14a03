"""The report: whole, self-contained, true to its inputs, and without anybody's name in it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tumorkeras import DataSpec, compare, load_samples, markup, score, train
from tumorkeras.errors import DataError
from tumorkeras.report import Content, classification, pictures, write_report
from tumorkeras.report.beside import beside

VOID = {"meta", "img", "br", "link"}
SMALL = {
    "autoencoder": {"filters": [4], "bottleneck": 4},
    "classifier": {"filters": [4], "dense": [4], "pretraining": "none"},
    "training": {"epochs": 2, "batch_size": 16},
    "splits": {"folds": 2},
}


class Page(HTMLParser):
    """Titles, images, links and text of a page; refuses elements that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.links, self.words = [], [], [], []
        self.ids, self.titles = set(), []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "img":
            self.images.append(attributes)
        if tag == "a":
            self.links.append(attributes["href"])
        self.ids |= {attributes["id"]} if "id" in attributes else set()
        assert tag not in {"script", "iframe", "object", "link"}
        assert not any(name.startswith("on") for name in attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report(folder, values, kinds, compared=False):
    """Train, score and write a small report; the page, and what it was made from."""
    spec = DataSpec.from_dict({**SMALL, **values}, folder=folder)
    samples = load_samples(spec)
    models = {kind: train(spec, kind, samples=samples, progress=False) for kind in kinds}
    model = models[kinds[-1]].model
    predictions = score(model, spec, split="test", progress=False)
    predictions["true_class"] = samples.part("test").table["class_name"].to_numpy()
    table = compare(spec, ["majority", "trivial"], samples=samples, progress=False) if compared else None
    path = write_report(Content(folder / "report.html", samples, models, table, predictions))
    return path.read_text(encoding="utf-8"), samples, models, table, predictions


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    values = {
        "name": "motion",
        "description": 'three kinds & <script>alert("x")</script>',
        "source": {"kind": "simulation", "samples_per_class": 20, "frames": 8},
        "input": {"shape": [8, 12, 12, 1], "spacing": [1, 6, 6], "units": "um"},
    }
    return report(tmp_path_factory.mktemp("tracks"), values, ["autoencoder", "classifier"], compared=True)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Two classes of volumes, of patients whose names stand in the table."""
    folder = tmp_path_factory.mktemp("volumes")
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = generator.integers(0, 100, (40, 6, 8, 8)) + 100 * labels[:, None, None, None]
    np.savez(folder / "volumes.npz", train_images=images.astype("uint8"), train_labels=labels)
    people = [f"Mustermann-{k // 2}" for k in range(40)]
    pd.DataFrame({"patient": people, "born": "1951-07-04"}).to_csv(folder / "people.csv", index=False)
    values = {
        "name": "nodules",
        "source": {"kind": "npz", "path": "volumes.npz", "table": "people.csv"},
        "input": {"shape": [6, 8, 8, 1]},
        "classes": ["benign", "<b>malignant</b>"],
        "preprocessing": [{"step": "rescale"}],
        "splits": {"folds": 2, "group": "patient"},
    }
    return report(folder, values, ["classifier"])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "scans" / name).mkdir(parents=True)
        for number in range(10):
            image = generator.integers(0, 255, (12, 12), "uint8")
            cv2.imwrite(str(folder / "scans" / name / f"Mustermann_{number}.png"), image)
    values = {
        "name": "scans",
        "tasks": ["autoencode"],
        "source": {"kind": "image_folder", "path": "scans"},
        "input": {"shape": [12, 12, 1]},
        "preprocessing": [{"step": "rescale"}],
    }
    return report(folder, values, ["autoencoder"])


def test_sections_follow_the_work(tracks, volumes, images):
    titles = ["Data", "Learning", "Reconstruction", "Classification", "Comparison", "Embedding", "Files"]
    titles += ["Origin", "Settings"]
    assert Page(tracks[0]).titles == titles
    assert Page(volumes[0]).titles == [name for name in titles if name not in ("Reconstruction", "Comparison")]
    assert Page(images[0]).titles == [name for name in titles if name not in ("Classification", "Comparison")]


@pytest.mark.parametrize("kind", ["tracks", "volumes", "images"])
def test_a_report_is_one_file_that_asks_nobody(kind, request):
    text = request.getfixturevalue(kind)[0]
    page = Page(text)
    assert len(text.encode()) < 5_000_000
    assert {link[1:] for link in page.links} == page.ids
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"https?:|url\(|@import|src=\"(?!data:image/png;base64,)", text)
    assert page.images
    for image in page.images:
        assert image["src"].startswith("data:image/png;base64,iVBOR")
        assert len(image["alt"]) > 20
        assert 0 < int(image["width"]) < 1600


def test_figures_of_each_kind(tracks, volumes, images):
    """Tracks: paths, 3 classes, 3 curves, pairs, confusion, ROC, reliability, 2 comparisons, 2 embeddings."""
    assert len(Page(tracks[0]).images) == 1 + 3 + 3 + 1 + 3 + 2 + 2
    assert len(Page(volumes[0]).images) == 2 + 2 + 3 + 1
    assert len(Page(images[0]).images) == 2 + 1 + 1 + 1
    assert "No figure here" not in tracks[0] + volumes[0] + images[0]


def test_what_the_user_wrote_is_text(tracks, volumes):
    assert "three kinds &amp; &lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in tracks[0]
    assert "<b>malignant" not in volumes[0]
    assert "&lt;b&gt;malignant&lt;/b&gt;" in volumes[0]


@pytest.mark.parametrize("kind", ["tracks", "volumes", "images"])
def test_no_id_or_group_or_table_of_patients_is_in_it(kind, request):
    text, samples, *_ = request.getfixturevalue(kind)
    words = re.sub(r"base64,[^\"]+", "", text)
    assert "Mustermann" not in words
    assert "1951-07-04" not in words
    assert not [name for name in samples.table["id"] if re.search(rf"\b{re.escape(name)}\b", words)]


def test_what_a_sensitivity_costs_stands_where_there_are_two_classes(tracks, volumes):
    assert "specificity it costs" in volumes[0]
    assert "specificity it costs" not in tracks[0]
    (alt,) = [image["alt"] for image in Page(volumes[0]).images if "Reliability" in image["alt"]]
    said = re.search(r"as they are: (ECE \d\.\d{3})", alt).group(1)
    assert said.replace("ECE", "Expected calibration error") in Page(volumes[0]).text


def test_the_confusion_matrix_is_read_at_the_tuned_threshold(volumes):
    _, samples, models, _, predictions = volumes
    second = predictions.filter(regex="^probability_").iloc[:, 1]
    tuned = {name: {"value": 1.0} for name in ("sensitivity", "specificity")}
    for threshold in (float(second.min()), float(second.max()) + 0.01):  # all are called the second class, or none
        card = models["classifier"].card | {"threshold": threshold, "tuned_on_validation": tuned}
        changed = {"classifier": replace(models["classifier"], card=card)}
        content = Content(Path("report.html"), samples, changed, None, predictions)
        page = Page("".join(classification.classification(content)))
        right = (content.answers["label"] == int(threshold <= second.max())).sum()
        assert f"Confusion matrix: {right} of {len(predictions)}" in page.images[0]["alt"]
        host = replace(content, also={"beside": replace(content, path=Path("beside/report.html"))})
        assert f"Confusion matrix: {right} of {len(predictions)}" in Page("".join(beside(host))).images[0]["alt"]
        assert f"is called from a probability of {threshold:.3g} on" in page.text


def test_metrics_are_those_of_the_card(tracks, volumes):
    for text, _, models, *_ in (tracks, volumes):
        values = models["classifier"].card["metrics"]["values"]
        page = Page(text)
        for name in ("accuracy", "AUC" if "AUC" in values else "macro_AUC"):
            found = values[name]
            interval = f"[{found['low']:.3f}, {found['high']:.3f}]"
            assert f"{found['value']:.3f} {interval}" in page.text
    binary = volumes[2]["classifier"].card["metrics"]["values"]
    counts = ", ".join(f"{binary[name]['value']:.0f} {name}" for name in ("TP", "TN", "FP", "FN"))
    assert f"is the positive class: {counts}." in Page(volumes[0]).text


def test_the_confusion_matrix_counts_the_predictions(tracks):
    predictions = tracks[4]
    samples = tracks[1]
    right = (predictions["true_class"] == predictions["class_id"].map(dict(enumerate(samples.classes)))).sum()
    alts = [image["alt"] for image in Page(tracks[0]).images]
    assert any(f"{right} of {len(predictions)} samples on the diagonal" in alt for alt in alts)


def test_counts_and_baselines(tracks, images):
    text, samples, models, table, _ = tracks
    page = Page(text)
    counts = samples.table.groupby(["class_name", "split"]).size()
    row = " ".join(str(counts["levy_flight", part]) for part in ("train", "val", "test"))
    assert f"levy_flight {row} 20" in page.text
    assert "majority baseline none" in page.text
    assert table.attrs["caveat"] in page.text
    assert models["classifier"].card["data_sha256"] in page.text
    errors = images[2]["autoencoder"].card["metrics"]["values"]
    share = 100 * errors["reconstruction_error"]["value"] / errors["mean_image_error"]["value"]
    assert f"Reconstruction error {share:.1f} % of that of the mean image" in Page(images[0]).text


def pieces(section, tracks, *, table=None, predictions):
    """The HTML of one section alone."""
    _, samples, models, *_ = tracks
    return "".join(section(Content(Path("report.html"), samples, models, table, predictions)))


def test_a_picture_that_cannot_be_drawn_says_why(tracks):
    """A ROC curve of one class; the confusion matrix beside it stands."""
    predictions = tracks[4]
    one = predictions[predictions["true_class"] == "levy_flight"]
    text = pieces(classification.classification, tracks, predictions=one)
    assert "No figure here: labels: all are levy_flight; a curve needs at least two classes." in text
    assert len(Page(text).images) == 1


def test_a_class_without_a_training_sample_has_an_empty_panel(tracks):
    samples = tracks[1]
    without = samples.select(samples.labels != 1)
    assert pictures.tracks(without).png != pictures.tracks(samples).png


def test_predictions_that_failed_are_counted(tracks):
    broken = tracks[4].copy()
    broken.loc[:1, "status"] = "error"
    broken.loc[:1, ["class_id", *[name for name in broken if name.startswith("probability_")]]] = None
    page = Page(pieces(classification.classification, tracks, predictions=broken))
    assert "2 samples could not be scored" in page.text
    assert f"of {len(broken) - 2} samples on the diagonal" in page.images[0]["alt"]


def test_a_method_that_failed_says_why(tracks):
    table = tracks[3].copy()
    table.loc[0, "error"] = "fold 1: MemoryError: <all of it>"
    text = pieces(classification.comparison, tracks, table=table, predictions=tracks[4])
    assert "majority: fold 1: MemoryError: &lt;all of it&gt;" in text


def test_a_baseline_that_is_the_best_stays_a_baseline(tracks):
    table = tracks[3].copy()
    table.attrs["best"] = table.index[table["method"] == "trivial"].item()
    text = Page(pieces(classification.comparison, tracks, table=table, predictions=tracks[4])).text
    assert "majority baseline none" in text
    assert "trivial best, baseline mean step" in text


def test_wrong_arguments_write_nothing(tracks, tmp_path):
    _, samples, models, _, predictions = tracks
    with pytest.raises(DataError, match="no column 'true_class'"):
        write_report(Content(tmp_path / "r.html", samples, models, None, predictions.drop(columns="true_class")))
    with pytest.raises(DataError, match="models: none is given"):
        write_report(Content(tmp_path / "r.html", samples, {}, None, predictions))
    assert list(tmp_path.iterdir()) == []


def test_the_template_travels_with_the_package(checkout):
    import configparser

    setup = configparser.ConfigParser(interpolation=None)
    setup.read(checkout / "setup.cfg")
    data = {name: value.split() for name, value in setup["options.package_data"].items()}
    assert "*.html" in data.get("tumorkeras.report", []) + data.get("*", []) or "report/*.html" in data["tumorkeras"]


def test_markup_escapes_every_place_of_text():
    evil = '<i>"&'
    cell = markup.Cell(evil, evil, evil)
    page = markup.table([evil], [markup.Row([cell])], evil) + markup.keys([(evil, evil, evil)])
    page += markup.section("a", evil, [markup.paragraph(evil), markup.bullets([evil]), markup.heading(evil)])
    assert "<i>" not in page
    assert page.count("&lt;i&gt;&quot;&amp;") == 12
