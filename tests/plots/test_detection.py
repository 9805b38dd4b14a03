"""Curves of a detector: what is drawn is what the metrics say."""

from __future__ import annotations

import numpy as np
import pytest
from made_detections import made_detections

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.metrics import detection_metrics, froc_points, precision_recall_points
from tumorkeras.plots.style import COLORS, INK

CLASSES = ["a", "b", "c"]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.fixture(scope="module")
def scene():
    return made_detections(images=30, seed=3)


def test_precision_and_recall_are_those_of_the_metrics(scene):
    ax = plots.precision_recall(*scene, CLASSES)
    points = precision_recall_points(*scene, CLASSES)
    for line, name in zip(ax.lines, [*CLASSES, "all"], strict=True):
        own = points.loc[points["class"] == name, ["recall", "precision"]]
        np.testing.assert_array_equal(line.get_xydata(), own)
    value = detection_metrics(*scene, CLASSES, resamples=1)["value"]
    each = [f"{name}, AP {value['AP50', name]:.3f}" for name in CLASSES]
    assert legend_texts(ax) == [*each, f"all, mean AP {value['AP50', 'all']:.3f}"]
    assert [line.get_color() for line in ax.lines] == [*COLORS[:3], INK]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (0, 1))
    assert "in 30 images, IoU 0.5" in ax.get_title(loc="left")


def test_froc_is_that_of_the_metrics(scene):
    ax = plots.froc(*scene, CLASSES, iou=0.3)
    points = froc_points(*scene, CLASSES, iou=0.3)
    table = detection_metrics(*scene, CLASSES, iou=0.3, resamples=1)["value"]
    for line, name in zip(ax.lines, [*CLASSES, "all"], strict=True):
        own = points.loc[points["class"] == name, ["false_positives", "sensitivity"]].to_numpy()
        np.testing.assert_array_equal(line.get_xydata()[:-1], own)
        assert line.get_xydata()[-1].tolist() == [max(8, own[-1, 0]), own[-1, 1]]
        before = own[own[:, 0] <= 2, 1][-1]  # what the steps show at 2 false positives an image
        assert before == pytest.approx(table["FROC 2", name])
    assert legend_texts(ax) == [f"{name}, mean {table['FROC mean', name]:.3f}" for name in [*CLASSES, "all"]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1/8", "1/4", "1/2", "1", "2", "4", "8"]
    assert ax.get_xlim() == (0.125, 8)


@pytest.mark.parametrize("plot", [plots.precision_recall, plots.froc])
def test_one_class_is_one_line(plot):
    ax = plot(*made_detections(k=1), ["tumor"])
    assert len(ax.lines) == 1
    assert legend_texts(ax)[0].startswith("tumor, ")
    plots.to_png(ax)


@pytest.mark.parametrize("plot", [plots.precision_recall, plots.froc])
def test_a_class_without_truth_has_an_empty_line(plot):
    ax = plot(*made_detections(absent=(1,)), CLASSES)
    assert len(ax.lines[1].get_xdata()) == 0
    assert legend_texts(ax)[1] == "b: no truth"
    plots.to_png(ax)


@pytest.mark.parametrize("plot", [plots.precision_recall, plots.froc])
def test_draws_without_detections_and_on_given_axes(plot, pyplot):
    truth, found = made_detections()
    _, given = pyplot.subplots()
    assert plot(truth, found | {"classes": np.full_like(found["classes"], -1)}, CLASSES, ax=given) is given
    plots.to_png(given)


@pytest.mark.parametrize("plot", [plots.precision_recall, plots.froc])
def test_refuses(plot):
    truth, found = made_detections()
    name = f"plots.{plot.__name__}"
    with pytest.raises(DataError, match=f"{name}: truth: no box in any image"):
        plot(truth | {"classes": np.full_like(truth["classes"], -1)}, found, CLASSES)
    with pytest.raises(DataError, match=f"{name}: iou: 0 is not"):
        plot(truth, found, CLASSES, iou=0)
    with pytest.raises(DataError, match=f"{name}: detections: without 'scores'"):
        plot(truth, truth, CLASSES)
