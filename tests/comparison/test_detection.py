"""The comparison of detectors: cheap methods for the table, one real training."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tumorkeras import DataSpec, compare, plots
from tumorkeras.boxes import convert, iou
from tumorkeras.comparison import detection_methods
from tumorkeras.comparison.detection import ENDS, METRICS, compare_detectors
from tumorkeras.comparison.detection_methods import DETECTION_METHODS
from tumorkeras.comparison.detection_prior import CENTRES, train_prior
from tumorkeras.data.detection import DetectionSamples, load_detection
from tumorkeras.errors import DataError, ModelError, SpecError
from tumorkeras.metrics import average_precision, detection_metrics, tune_threshold
from tumorkeras.training import networks
from tumorkeras.training.networks import detector_of

VALUES = {
    "name": "tiny",
    "tasks": ["detect"],
    "source": {"kind": "phantoms", "samples": 24, "without": 0.1},
    "input": {"shape": [64, 64, 1]},
    "autoencoder": {"filters": [4, 4, 8, 8], "bottleneck": None, "epochs": 3},
    "detector": {"max_detections": 10, "score_threshold": 0.01, "epochs": 1},
    "training": {"batch_size": 8, "augment": []},
}


@pytest.fixture(scope="module")
def samples():
    return load_detection(DataSpec.from_dict(VALUES))


def changed(samples, **columns):
    return replace(samples, table=samples.table.assign(**columns))


def compared(samples, methods, output=None):
    return compare_detectors(samples.spec, methods, output, samples=samples, progress=False)


class Methods:
    """Detectors that need no training, and the calls of each."""

    def __init__(self):
        self.trained, self.read = [], []

    def perfect(self, training, validation, progress):
        """One that knows the truth."""
        self.trained.append((training, validation))

        def find(samples):
            self.read.append(samples)
            truth = samples.truth()
            return truth | {"scores": np.where(truth["classes"] >= 0, 0.8, 0), "num_detections": np.zeros(3)}

        return find

    def doubtful(self, training, validation, progress):
        """One that adds a false box, at half the score, to the truth of every image."""
        find = self.perfect(training, validation, progress)

        def find_more(samples):
            found = find(samples)
            boxes = np.concatenate([found["boxes"], np.tile([0, 0, 2, 2], (len(samples), 1, 1))], axis=1)
            scores, classes = (np.pad(found[key], [(0, 0), (0, 1)], constant_values=value) for key, value in FALSE)
            return {"boxes": boxes, "scores": scores, "classes": classes}

        return find_more

    def broken(self, training, validation, progress):
        self.trained.append((training, validation))
        raise RuntimeError("no memory is left")

    def garbled(self, training, validation, progress):
        """One whose scores are no numbers."""
        find = self.perfect(training, validation, progress)
        return lambda samples: (found := find(samples)) | {"scores": found["scores"] * np.nan}


FALSE = (("scores", 0.4), ("classes", 0))
NAMES = ("perfect", "doubtful", "broken", "garbled")


@pytest.fixture
def methods(monkeypatch):
    made = Methods()
    for name in NAMES:
        monkeypatch.setitem(DETECTION_METHODS, name, getattr(made, name))
    return made


# -------------------------------------------------------------------------------------------------- the table


def test_a_row_for_every_method_with_figures_tests_and_faults(samples, methods, tmp_path):
    table = compared(samples, ["perfect", "broken", "doubtful", "garbled"], tmp_path)
    assert table["method"].tolist() == ["prior", "perfect", "broken", "doubtful", "garbled"]
    rows = table.set_index("method")
    assert rows["error"].tolist()[:4] == ["", "", "RuntimeError: no memory is left", ""]
    assert "score nan" in rows.loc["garbled", "error"]
    figures = [f"{metric}{end}" for metric in METRICS for end in ENDS]
    assert rows.loc[["broken", "garbled"], figures].isna().all(axis=None)
    assert rows.loc[["prior", "perfect", "doubtful"], figures].notna().all(axis=None)
    assert (
        rows.loc["perfect", [f"{metric}{end}" for metric in ("AP50", "froc", "sensitivity") for end in ENDS]] == 1
    ).all()
    assert rows.loc["perfect", ["false_positives", "threshold"]].tolist() == [0, 0.8]
    assert (rows["samples"] == len(samples.part("test"))).all()
    assert rows.loc[["prior", "perfect"], ["seconds", "peak_memory_mb"]].ge(0).all(axis=None)
    assert table.attrs | {"caveat": ""} == {"best": 1, "confidence": 0.95, "part": "test", "caveat": ""}
    assert "not corrected" in table.attrs["caveat"]
    assert "another training" in table.attrs["caveat"]


def test_a_perfect_detector_beats_the_prior(samples, methods):
    rows = compared(samples, ["perfect", "doubtful"]).set_index("method")
    assert rows.loc["prior", "AP50_high"] < 0.5
    assert rows.loc["prior", "p_value"] < 0.05
    assert rows.loc["perfect", "p_value_baseline"] == rows.loc["prior", "p_value"]
    assert np.isnan(rows.loc["perfect", "p_value"])
    assert np.isnan(rows.loc["prior", "p_value_baseline"])
    # A false box below all true ones costs no precision at any recall: no difference in any resample.
    assert rows.loc["doubtful", ["AP50", "p_value"]].tolist() == [1, 1]
    assert rows.loc["doubtful", ["sensitivity", "false_positives"]].tolist() == [1, 0]


def test_figures_are_those_of_the_metrics_at_the_threshold_tuned_on_val(samples):
    row = compared(samples, []).iloc[0]
    find = train_prior(samples.part("train"))
    test, val, classes = samples.part("test"), samples.part("val"), list(samples.classes)
    threshold = tune_threshold(val.truth(), find(val), classes).threshold
    expected = detection_metrics(test.truth(), find(test), classes, threshold=threshold).xs("all", level="class")
    assert row["threshold"] == threshold
    for column, metric in METRICS.items():
        assert [row[f"{column}{end}"] for end in ENDS] == pytest.approx(
            list(expected.loc[metric, ["value", "low", "high"]])
        )


def test_whole_groups_are_resampled(samples, methods):
    """All images in one group: there is nothing to resample."""
    rows = compared(changed(samples, group="a"), ["perfect"]).set_index("method")
    assert rows.loc["prior", ["AP50_low", "AP50_high", "p_value"]].isna().all()
    assert rows.loc["prior", "AP50"] == compared(samples, []).loc[0, "AP50"]


def test_the_table_can_be_drawn_and_is_on_disk(samples, methods, tmp_path):
    table = compared(samples, ["perfect", "broken"], tmp_path)
    ax = plots.comparison(table, metric="AP50", baselines=("prior",))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["perfect", "prior", "broken"]
    assert plots.to_png(ax)[:4] == b"\x89PNG"
    written = pd.read_csv(tmp_path / "comparison.csv", keep_default_na=True).fillna({"error": ""})
    pd.testing.assert_frame_equal(table, written, check_dtype=False)


# -------------------------------------------------------------------------------------------------- the protocol


def test_each_part_has_one_purpose_and_the_last_is_read_once(samples, methods):
    compared(samples, ["perfect"])
    ((training, validation),) = methods.trained
    ids = {part: samples.part(part).table["id"].tolist() for part in ("train", "val", "test")}
    assert training.table["id"].tolist() == ids["train"]
    assert validation.table["id"].tolist() == ids["val"]
    assert sorted(part.table["id"].tolist() for part in methods.read) == sorted([ids["val"], ids["test"]])


def test_without_a_test_part_val_is_read_once_and_that_is_said(samples, methods):
    without = samples.select((samples.table["split"] != "test").to_numpy())
    table = compared(without, ["perfect"])
    assert table.attrs["part"] == "val"
    assert "no part 'test'" in table.attrs["caveat"]
    assert len(methods.read) == 1
    assert (table["samples"] == len(samples.part("val"))).all()


def test_without_a_val_part_nothing_is_tuned_and_that_is_said(samples, methods):
    table = compared(samples.select((samples.table["split"] != "val").to_numpy()), ["perfect"])
    assert (table["threshold"] == 0.5).all()
    assert "untuned" in table.attrs["caveat"]
    assert methods.trained[0][1] is None


def test_a_stopped_comparison_goes_on(samples, methods, tmp_path):
    first = compared(samples, ["perfect", "broken"], tmp_path)
    again = compared(samples, ["perfect", "doubtful", "broken"], tmp_path)
    # The perfect one was trained once, the doubtful one trains it inside itself, the broken one was tried again.
    assert len(methods.trained) == 1 + 1 + 1 + 1
    again = again.set_index("method").loc[first["method"]].reset_index()
    pd.testing.assert_frame_equal(first, again)


def test_results_of_other_settings_or_data_are_refused(samples, methods, tmp_path):
    compared(samples, ["perfect"], tmp_path)
    other = DataSpec.from_dict({**VALUES, "training": {**VALUES["training"], "seed": 1}})
    moved = changed(samples, split=np.where(samples.table["split"] == "val", "train", samples.table["split"]))
    for wrong in (replace(samples, spec=other), moved, replace(samples, sizes=samples.sizes * 2)):
        with pytest.raises(ModelError, match=r"(?s)2 faults.*perfect-detection.npz: was made with other data"):
            compared(wrong, ["perfect"], tmp_path)
    assert len(methods.trained) == 1


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_files_that_are_no_results_are_refused(samples, tmp_path, content):
    (tmp_path / "comparison_folds").mkdir()
    (tmp_path / "comparison_folds" / "rcnn-detection.npz").write_bytes(content)
    with pytest.raises(ModelError, match=r"rcnn-detection.npz: is no result of a detector"):
        compared(samples, [], tmp_path)


def test_a_file_is_no_folder(samples, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(ModelError, match="is a file"):
        compared(samples, [], tmp_path / "out")


# -------------------------------------------------------------------------------------------------- bad input


def test_every_wrong_method_and_a_missing_task_are_named(samples):
    spec = DataSpec.from_dict({**VALUES, "tasks": ["autoencode"]})
    with pytest.raises(SpecError) as caught:
        compare_detectors(spec, ["yolo", "rcnn", "rcnn"])
    assert [fault.split(";")[0] for fault in caught.value.faults] == [
        "tasks: autoencode",
        "methods: 'yolo' is unknown",
        "methods: 'rcnn' stands more than once",
    ]
    assert "fast_rcnn" in caught.value.faults[1]


def test_no_object_to_train_on(samples):
    bare = np.flatnonzero(np.diff(samples.offsets) == 0)
    split = np.where(np.isin(np.arange(len(samples)), bare), "train", "test")
    with pytest.raises(DataError, match="no image of the part 'train' has an object"):
        compared(changed(samples, split=split), [])


def test_nothing_to_read(samples):
    with pytest.raises(DataError, match="neither a part 'val' nor a part 'test'"):
        compared(changed(samples, split="train"), [])
    with pytest.raises(DataError, match="no image is in the part 'train'"):
        compared(changed(samples, split="test"), [])


def test_a_class_without_an_object_to_find_does_not_count(samples, methods):
    """Of images with the first class alone AP50 is that of this class."""
    kinds = [set(samples.boxes_of(k)[1].tolist()) for k in range(len(samples))]
    split = np.where([kind == {0} for kind in kinds], "test", "train")
    rows = compared(changed(samples, split=split), ["perfect"]).set_index("method")
    assert rows.loc["perfect", "AP50"] == 1


def test_no_object_to_find_leaves_the_figures_undefined(samples, methods):
    bare = np.diff(samples.offsets) == 0
    table = compared(changed(samples, split=np.where(bare, "test", "train")), ["perfect"])
    assert table[["AP50", "sensitivity", "p_value", "p_value_baseline"]].isna().all(axis=None)
    assert table.set_index("method").loc["perfect", "false_positives"] == 0
    assert table.attrs["best"] is None


# -------------------------------------------------------------------------------------------------- the prior


def made(objects, sizes, spec):
    """Samples without content; of each image a list of (class, box as shares of its sides)."""
    n = len(objects)
    samples = DetectionSamples(
        pd.DataFrame({"id": np.arange(n).astype(str), "group": None, "split": "train"}),
        np.zeros((n, 64, 64, 1), "uint8"),
        np.array(sizes),
        np.zeros((0, 4), "float32"),
        np.array([kind for own in objects for kind, _ in own], "int64"),
        np.concatenate([[0], np.cumsum([len(own) for own in objects])]),
        np.arange(n),
        ("benign", "malignant"),
        spec,
    )
    in_file = [(k, convert(box, "rel_xyxy", "xyxy", sizes[k])) for k, own in enumerate(objects) for _, box in own]
    return replace(samples, boxes=np.stack([samples.placement(k).apply(box) for k, box in in_file]))


LEFT, RIGHT = [0.1, 0.2, 0.4, 0.6], [0.55, 0.25, 0.95, 0.5]
SIZES = [(64, 64), (128, 200), (50, 30), (300, 300)]


def test_where_all_images_are_alike_the_prior_is_perfect(samples):
    alike = made([[(1, LEFT)]] * 4, SIZES, samples.spec)
    found = train_prior(alike)(alike)
    assert found["scores"].tolist() == [[1]] * 4  # though the canvas rounds the boxes of each size otherwise
    assert found["boxes"][1, 0].tolist() == pytest.approx([20, 25.6, 80, 76.8], abs=1e-4)
    assert average_precision(alike.truth(), found, alike.classes).ap50 == 1


def test_the_prior_scores_how_often_a_place_holds_an_object(samples):
    shifted = [LEFT[0], LEFT[1] + 0.05, LEFT[2], LEFT[3] + 0.05]  # IoU with LEFT: 0.35 / 0.45
    objects = [[(0, LEFT), (1, RIGHT)], [(0, LEFT)], [(0, LEFT), (0, shifted)], [(0, RIGHT)]]
    places = made(objects, [(64, 64)] * 4, samples.spec)
    found = train_prior(places)(places)
    # An image with two objects on a place counts once, and of two boxes on a place one stays.
    assert found["scores"][0].tolist() == [0.75, 0.25, 0.25]
    assert found["classes"][0].tolist() == [0, 0, 1]
    assert found["boxes"][3] == pytest.approx(np.array([LEFT, RIGHT, RIGHT]) * 64, abs=1e-4)


def test_of_many_boxes_the_prior_keeps_a_few_dozen_centres(samples):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.6, (200, 2))
    objects = [[(1, [*corner, *(corner + rng.uniform(0.1, 0.4, 2))])] for corner in corners]
    many = made(objects, [(64, 64)] * 200, samples.spec)
    found, again = train_prior(many)(many), train_prior(many)(many)
    assert all((found[key] == again[key]).all() for key in found)
    assert 12 <= found["scores"].shape[1] <= CENTRES
    assert (np.diff(found["scores"]) <= 0).all()
    assert ((found["boxes"] >= 0) & (found["boxes"] <= 64)).all()
    overlap = iou(found["boxes"][0], found["boxes"][0])
    assert (overlap - np.eye(len(overlap))).max() <= samples.spec.detector.nms_iou
    # An image has one object here: a score is the precision of its box.
    hits = iou(found["boxes"][0], many.truth()["boxes"][:, 0]) >= 0.5
    assert found["scores"][0] == pytest.approx(hits.mean(axis=1))


# -------------------------------------------------------------------------------------------------- the real ones


def test_rcnn_trains_with_its_autoencoder_and_finds_boxes_of_the_files(samples, caplog):
    few = samples.select(np.arange(0, len(samples), 2))
    large = replace(few, sizes=few.sizes * 2)
    training, validation = large.part("train"), large.part("val") if large.counts()["val"] else None
    with caplog.at_level(logging.INFO, logger="tumorkeras"):
        find = DETECTION_METHODS["rcnn_autoencoder"](training, validation, False)
    assert "copied conv_1, conv_2, conv_3" in caplog.text
    found = find(training)
    assert found["boxes"].max() > 64
    assert found["boxes"].max() <= 128
    assert (found["classes"] >= 0).sum(axis=1).max() <= 10
    assert found["scores"][found["classes"] >= 0].min() >= 0.01


@pytest.mark.parametrize(
    ("method", "proposals", "backbone", "is_pretrained"),
    [
        ("detector", "rpn", "csp_darknet", False),
        ("fast_rcnn", "external", "csp_darknet", False),
        ("detector_autoencoder", "rpn", "autoencoder", True),
    ],
)
def test_what_the_detectors_are_made_of(samples, monkeypatch, method, proposals, backbone, is_pretrained):
    calls = {}
    for name in ("detector_of", "fit_detector", "fit", "detect"):
        monkeypatch.setattr(
            detection_methods, name, lambda *given, name=name, **more: calls.update({name: (given, more)})
        )
    training, validation = samples.part("train"), samples.part("val")
    DETECTION_METHODS[method](training, validation, False)
    spec, classes, _, initial, kind = calls["detector_of"][0]
    assert (spec.detector.backbone, classes, kind, initial is not None) == (backbone, 2, proposals, is_pretrained)
    _, fitted_on, stopped_by, settings = calls["fit_detector"][0]
    assert (fitted_on.spec, stopped_by, settings) == (spec, validation, spec.training)
    assert calls["fit_detector"][1]["epochs"] == 1
    assert ("fit" in calls) == is_pretrained
    if is_pretrained:
        (_, images, held_out, _), more = calls["fit"]
        assert more["epochs"] == 3
        assert (images.values == np.stack([training.images[row] for row in training.rows])).all()
        assert len(held_out) == len(validation)


@pytest.mark.parametrize("proposals", ["rpn", "external"])
def test_fast_rcnn_has_the_settings_of_the_detector(samples, monkeypatch, proposals):
    built = {}
    monkeypatch.setattr(networks, "build_detector", lambda *given, **more: built.update(more))
    detector_of(samples.spec, 2, proposals=proposals)
    assert built["proposals"] == proposals
    assert (built["max_detections"], built["score_threshold"]) == (10, 0.01)


def test_compare_compares_detectors_where_the_spec_only_detects(samples, tmp_path):
    table = compare(samples.spec, ["prior"], tmp_path, samples=samples, progress=False)
    pd.testing.assert_frame_equal(
        table.drop(columns=["seconds", "peak_memory_mb"]),
        compare_detectors(samples.spec, ["prior"], samples=samples).drop(columns=["seconds", "peak_memory_mb"]),
    )
    with pytest.raises(SpecError, match="features: is of classes"):
        compare(samples.spec, features=["hand-made"], samples=samples)


def test_the_methods_of_the_spec_are_those_of_the_table(samples):
    comparison = samples.spec.comparison.model_copy(update={"methods": ["prior"]})
    spec = samples.spec.model_copy(update={"comparison": comparison})
    assert compare_detectors(spec, samples=samples)["method"].tolist() == ["prior"]


def test_samples_of_another_kind_are_refused(samples):
    spec = samples.spec.model_copy(update={"tasks": ["classify"]})
    with pytest.raises(DataError, match="samples: found DetectionSamples, the spec's tasks need Samples"):
        compare(spec, samples=samples)
