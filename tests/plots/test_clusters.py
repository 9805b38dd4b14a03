"""Clusters in the plane: every sample is drawn twice, and no thumbnail lies upon another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.plots.style import GREY, color_of

RNG = np.random.default_rng(0)
CLUSTERS = np.array([-1] * 5 + [0] * 40 + [1] * 30 + [2] * 25)
POINTS = RNG.normal(size=(100, 2)) * [1, 50] + CLUSTERS[:, None] * [6, -100]
LABELS = RNG.integers(2, size=100)
IMAGES = RNG.random((100, 6, 8))


def drawn_of(ax):
    return {part.get_label(): np.asarray(part.get_offsets()) for part in ax.collections}


def extents_of(ax):
    """Left, right, bottom, top of each thumbnail, in parts of the panel."""
    sides = np.repeat(np.ptp([ax.get_xlim(), ax.get_ylim()], axis=1), 2)
    return np.array([image.get_extent() for image in ax.images]) / sides


def test_every_sample_is_drawn_by_cluster_and_by_class():
    by_cluster, by_class = plots.clusters(POINTS, CLUSTERS, LABELS, ["benign", "malignant"])
    drawn = drawn_of(by_cluster)
    assert list(drawn) == ["0 (40)", "1 (30)", "2 (25)", "noise (5)"]
    np.testing.assert_array_equal(drawn["1 (30)"], POINTS[CLUSTERS == 1])
    drawn = drawn_of(by_class)
    for class_id, name in enumerate(["benign", "malignant"]):
        own = np.flatnonzero(np.equal(LABELS, class_id))
        np.testing.assert_array_equal(drawn[f"{name} ({len(own)})"], POINTS[own])
    assert (by_cluster.get_xlim(), by_cluster.get_ylim()) == (by_class.get_xlim(), by_class.get_ylim())
    assert [ax.get_title(loc="left") for ax in (by_cluster, by_class)] == ["By cluster", "By class"]
    assert by_cluster.collections[-1].get_facecolor()[0, :3] == pytest.approx(int(GREY[1:3], 16) / 255)


def test_the_result_of_a_clustering_is_taken_as_it_is(pyplot):
    ax = plots.clusters(POINTS, SimpleNamespace(labels=CLUSTERS))
    assert list(drawn_of(ax)) == ["0 (40)", "1 (30)", "2 (25)", "noise (5)"]
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize(
    ("attrs", "labels"),
    [
        ({"method": "pca", "explained_variance": [0.62, 0.2]}, ("PC 1 (62 % of variance)", "PC 2 (20 % of variance)")),
        ({"method": "tsne"}, ("t-SNE 1", "t-SNE 2")),
        ({"method": "umap"}, ("UMAP 1", "UMAP 2")),
        ({}, ("x", "y")),
    ],
)
def test_axes_say_what_they_are(attrs, labels):
    embedding = pd.DataFrame(POINTS, columns=["x", "y"])
    embedding.attrs = attrs
    ax = plots.clusters(embedding, CLUSTERS)
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels


def test_thumbnails_lie_upon_samples_and_not_upon_each_other():
    for ax in plots.clusters(POINTS, CLUSTERS, LABELS, images=IMAGES):
        extents = extents_of(ax)
        assert 5 <= len(extents) <= 9
        np.testing.assert_allclose(extents[:, 1] - extents[:, 0], 0.1, atol=0.005)
        np.testing.assert_allclose(extents[:, 3] - extents[:, 2], 0.075, atol=0.005)  # six by eight pixels
        for i, (left, right, bottom, top) in enumerate(extents):
            for one, two, three, four in extents[i + 1 :]:
                assert right <= one or two <= left or top <= three or four <= bottom
        limits = np.array([*ax.get_xlim(), *ax.get_ylim()]) / np.repeat(np.ptp([ax.get_xlim(), ax.get_ylim()], 1), 2)
        assert (extents.min(axis=0)[[0, 2]] >= limits[[0, 2]]).all()
        assert (extents.max(axis=0)[[1, 3]] <= limits[[1, 3]]).all()


def test_each_cluster_has_a_thumbnail_near_its_middle_in_its_colour():
    ax = plots.clusters(POINTS, CLUSTERS, images=IMAGES)
    for number in range(3):
        rows = np.flatnonzero(np.equal(CLUSTERS, number))
        row = rows[(((POINTS[rows] - POINTS[rows].mean(axis=0)) / np.ptp(POINTS, axis=0)) ** 2).sum(axis=1).argmin()]
        extent = np.reshape(ax.images[number].get_extent(), (2, 2))
        np.testing.assert_allclose(extent.mean(axis=1), POINTS[row])
        np.testing.assert_array_equal(ax.images[number].get_array(), IMAGES[row])
        assert ax.patches[number].get_edgecolor()[:3] == pytest.approx(
            [int(color_of(number)[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        )


def test_volumes_are_drawn_by_their_maximum_and_only_some_images_are_read():
    class Images:
        read = 0

        def __len__(self):
            return 100

        def __getitem__(self, row):
            self.read += 1
            return np.eye(8)[:, None, :, None] * [[[[0.5]]]]  # a slice lights one column

    images = Images()
    ax = plots.clusters(POINTS, CLUSTERS, images=images)
    assert images.read == len(ax.images) <= 9
    assert (np.asarray(ax.images[0].get_array()) == 0.5).all()


@pytest.mark.parametrize(("shape", "drawn"), [((5, 4, 1), (5, 4)), ((5, 4, 3), (5, 4, 3)), ((5, 4, 2), (5, 4))])
def test_channels(shape, drawn):
    ax = plots.clusters(POINTS, CLUSTERS, images=np.ones((100, *shape)))
    assert ax.images[0].get_array().shape == drawn


def test_draws_on_the_two_axes_given(pyplot):
    given = Figure(figsize=(10, 4)).subplots(1, 2)
    axes = plots.clusters(POINTS, CLUSTERS, LABELS, images=IMAGES, ax=given)
    assert axes == tuple(given)
    assert pyplot.get_fignums() == []


def test_no_text_lies_upon_another_in_two_panels():
    axes = plots.clusters(POINTS, CLUSTERS, LABELS, ["benign", "malignant"])
    axes[0].get_figure().canvas.draw()
    texts = [child for ax in axes for child in ax.get_children() if isinstance(child, Text)]
    texts += [text for ax in axes for text in (ax.xaxis.label, ax.yaxis.label, *ax.get_legend().get_texts())]
    texts += [ax.get_legend().get_title() for ax in axes]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert len(boxes) == 14
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[i + 1 :])


def test_one_sample_and_equal_points_are_drawn():
    plots.to_png(plots.clusters([[1.0, 2.0]], [0], images=np.ones((1, 4, 4))), dpi=50)
    ax = plots.clusters(np.ones((5, 2)), [0, 0, 1, 1, -1], images=np.ones((5, 4, 4)))
    assert len(ax.images) == 1


@pytest.mark.parametrize(
    ("embedding", "clusters", "options", "fault"),
    [
        (np.zeros((3, 3)), [0] * 3, {}, r"embedding: shape \(3, 3\) is not \(n, 2\)"),
        (np.zeros((0, 2)), [], {}, r"embedding: shape \(0, 2\)"),
        ([[0, 0], [np.nan, 1]], [0, 0], {}, "embedding: NaN or infinite in row 1"),
        (np.eye(2), [0], {}, "clusters: 1 for 2 points"),
        (np.eye(2), [0, -2], {}, "clusters: integers from -1"),
        (np.eye(2), [0, 1], {"labels": [0]}, "labels: 1 for 2 points"),
        (np.eye(2), [0, 1], {"labels": [0, 2], "classes": ["a", "b"]}, "labels: class ids"),
        (np.eye(2), [0, 1], {"images": np.ones((3, 4, 4))}, "images: 3 for 2 points"),
        (np.eye(2), [0, 1], {"images": np.ones((2, 4))}, r"images: image 0: shape \(4,\)"),
        (np.eye(2), [0, 1], {"ax": Figure().subplots(1, 2)}, "ax: 2 given; one is needed"),
        (np.eye(2), [0, 1], {"labels": [0, 1], "ax": Figure().subplots()}, "ax: 1 given; two are needed"),
        (np.eye(2), [0], {"labels": [0], "images": []}, "3 faults"),
    ],
)
def test_refuses_and_leaves_no_figure(embedding, clusters, options, fault, pyplot):
    with pytest.raises(DataError, match=fault):
        plots.clusters(embedding, clusters, **options)
    assert pyplot.get_fignums() == []
