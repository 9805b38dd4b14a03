"""What every plot keeps: axes back, no trace in pyplot, a PNG out."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import image, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from tumorkeras import plots
from tumorkeras.anchors import Anchors
from tumorkeras.errors import DataError
from tumorkeras.features import RelevanceTreeSelector

rng = np.random.default_rng(0)
IMAGES = rng.random((4, 8, 9, 1))
HISTORY = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.4], "val_loss": [0.6, 0.5]})
METHODS = pd.DataFrame(
    [["majority", 0.5, 0.4, 0.6], ["cnn", 0.9, 0.8, 1.0]],
    columns=["method", "accuracy", "accuracy_low", "accuracy_high"],
)
BY_SIZE = METHODS.assign(size=[25, 100])
TRUTH = {
    "boxes": np.array([[[2, 9, 20, 20], [40, 9, 60, 30]], [[2, 9, 20, 20], [40, 9, 60, 30]]]),
    "classes": [[0, 1]] * 2,
}
FOUND = {"boxes": TRUTH["boxes"] + 2, "scores": np.array([[0.9, 0.4], [0.6, 0.3]]), "classes": [[0, 1], [1, 0]]}
ONE_OF_EACH = [{key: value[0] for key, value in arrays.items()} for arrays in (TRUTH, FOUND)]
CLASSES = np.repeat([0, 1], 50)
SELECTOR = RelevanceTreeSelector().fit(CLASSES[:, None] + rng.normal(0, 0.5, (100, 4)), CLASSES)
PLOTS = {
    "tracks": lambda ax: plots.tracks(rng.normal(size=(5, 9, 2)), ax=ax),
    "volume_montage": lambda ax: plots.volume_montage(IMAGES, ax=ax),
    "volume_projection": lambda ax: plots.volume_projection(IMAGES, ax=ax),
    "reconstructions": lambda ax: plots.reconstructions(IMAGES, IMAGES, ax=ax),
    "heatmaps": lambda ax: plots.heatmaps(IMAGES, IMAGES[..., 0], list("abcd"), ax=ax),
    "learning_by_size": lambda ax: plots.learning_by_size(BY_SIZE, ax=ax),
    "learning_curves": lambda ax: plots.learning_curves(HISTORY, ax=ax),
    "confusion": lambda ax: plots.confusion(pd.DataFrame([[3, 1], [0, 4]]), ax=ax),
    "roc": lambda ax: plots.roc([0, 1, 1], [0.2, 0.4, 0.3], ax=ax),
    "reliability": lambda ax: plots.reliability([0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9], [0.2, 0.4, 0.5, 0.8], ax=ax),
    "embedding": lambda ax: plots.embedding(rng.normal(size=(6, 3)), [0, 1] * 3, ax=ax),
    "clusters": lambda ax: plots.clusters(rng.normal(size=(6, 2)), [0, 1, -1] * 2, images=rng.random((6, 5, 5)), ax=ax),
    "anchors": lambda ax: plots.anchors(TRUTH["boxes"][0], Anchors((8,), ((16.0,),), (0.5, 1.0)), (48, 64), ax=ax),
    "contact_sheet": lambda ax: plots.contact_sheet(IMAGES, [0, 1, 2, 2], ax=ax),
    "tracks_in_time": lambda ax: plots.tracks_in_time(rng.normal(size=(5, 9, 2)), ax=ax),
    "comparison": lambda ax: plots.comparison(METHODS, ax=ax),
    "precision_recall": lambda ax: plots.precision_recall(TRUTH, FOUND, ["a", "b"], ax=ax),
    "feature_tree": lambda ax: plots.feature_tree(SELECTOR, ax=ax),
    "filters": lambda ax: plots.filters(rng.normal(size=(3, 3, 3, 1, 5)), ax=ax),
    "froc": lambda ax: plots.froc(TRUTH, FOUND, ["a", "b"], ax=ax),
    "detections": lambda ax: plots.detections(rng.random((48, 64)), *ONE_OF_EACH, ["a", "b"], ax=ax, threshold=0.1),
    "worst_detections": lambda ax: plots.worst_detections(rng.random((2, 48, 64)), TRUTH, FOUND, ["a", "b"], ax=ax),
}
SPATIAL = {"tracks_in_time"}  # their axes are of three dimensions
every_plot = pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)


def test_every_public_plot_is_held_here():
    assert set(PLOTS) | {"to_png"} == set(plots.__all__)


def test_data_come_first_axes_are_optional_and_come_back():
    for name in PLOTS:
        signature = inspect.signature(getattr(plots, name))
        parameters = list(signature.parameters.values())
        assert parameters[0].default is inspect.Parameter.empty, name
        (ax,) = [parameter for parameter in parameters if parameter.name == "ax"]
        assert ax.default is None, name
        assert ax.annotation.startswith("Axes"), name
        assert signature.return_annotation.startswith("Axes"), name


@pytest.mark.parametrize("name", PLOTS)
def test_draws_on_the_axes_given_and_leaves_pyplot_alone(name, pyplot):
    settings = dict(rcParams)
    given = Figure().add_subplot(projection="3d" if name in SPATIAL else None)
    assert PLOTS[name](given) is given
    assert given.has_data()
    assert given.get_title(loc="left")
    assert pyplot.get_fignums() == []
    assert dict(rcParams) == settings


@every_plot
def test_makes_one_figure_without_axes_and_png_closes_it(plot, pyplot):
    ax = plot(None)
    assert isinstance(ax, Axes)
    assert len(pyplot.get_fignums()) == 1
    pixels = image.imread(io.BytesIO(plots.to_png(ax)))
    assert pyplot.get_fignums() == []
    assert min(pixels.shape[:2]) > 150
    assert pixels[..., :3].std() > 0.02  # not a blank sheet


@every_plot
def test_same_data_same_bytes(plot):
    state = rng.bit_generator.state
    first = plots.to_png(plot(None))
    rng.bit_generator.state = state
    assert plots.to_png(plot(None)) == first


@every_plot
def test_no_text_lies_upon_another(plot):
    ax = plot(None)
    figure = ax.get_figure()
    figure.canvas.draw()
    texts = [child for child in ax.get_children() if isinstance(child, Text)]
    texts += [ax.xaxis.label, ax.yaxis.label, *(ax.get_legend().get_texts() if ax.get_legend() else [])]
    for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        texts += [label for place, label in ticks if low <= place <= high]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
    assert len(boxes) > 3
    for i, (one, box) in enumerate(boxes):
        for other, second in boxes[i + 1 :]:
            assert not box.overlaps(second), f"{one!r} lies upon {other!r}"


def test_png_takes_a_figure_that_pyplot_does_not_know(pyplot):
    figure = Figure()
    figure.subplots().plot([1, 2])
    other = pyplot.figure()
    assert plots.to_png(figure).startswith(b"\x89PNG")
    assert pyplot.get_fignums() == [other.number]


def test_png_takes_axes_of_a_subfigure(pyplot):
    figure = pyplot.figure()
    inner = figure.subfigures(1, 2)[1].subplots()
    assert plots.to_png(inner).startswith(b"\x89PNG")
    assert pyplot.get_fignums() == []


def test_png_refuses_axes_without_a_figure():
    ax = Figure().subplots()
    ax.remove()
    with pytest.raises(DataError, match="on no figure"):
        plots.to_png(ax)


def test_import_starts_neither_matplotlib_nor_tensorflow():
    code = "import sys, tumorkeras.plots; print({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
