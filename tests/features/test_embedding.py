"""Features in the plane: principal components by hand, neighbours kept, UMAP only where it is installed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.features import embed_features

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(RNG.normal(size=(20, 4)) * [1, 10, 100, 0] + 5, columns=list("abcd"), index=range(100, 120))


def test_pca_is_the_singular_value_decomposition_of_standardised_features():
    points = embed_features(TABLE)
    values = TABLE[["a", "b", "c"]].to_numpy()
    left, scales, _ = np.linalg.svd((values - values.mean(axis=0)) / values.std(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(points), np.abs(left * scales)[:, :2], atol=1e-9)
    shares = scales**2 / (scales**2).sum()
    assert points.attrs["explained_variance"] == pytest.approx(shares[:2].tolist())
    assert list(points.columns) == ["x", "y"]
    assert points.index.equals(TABLE.index)


def test_tsne_keeps_blobs_apart_and_the_seed_gives_the_same():
    classes = np.repeat([0, 1, 2], 25)
    values = RNG.normal(8 * classes[:, None], 1, (75, 5))
    points = embed_features(values, "tsne", seed=3)
    assert silhouette_score(points, classes) > 0.6
    pd.testing.assert_frame_equal(points, embed_features(values, "tsne", seed=3))
    assert points.attrs == {"method": "tsne", "seed": 3, "perplexity": pytest.approx(74 / 3)}


@pytest.mark.parametrize("n", [3, 4, 7])
def test_few_samples_have_a_smaller_perplexity(n):
    points = embed_features(TABLE[:n], "tsne")
    assert np.isfinite(points).all(axis=None)
    assert points.attrs["perplexity"] == (n - 1) / 3


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_one_feature_lies_on_a_line(method):
    points = embed_features(TABLE[["a"]], method)
    assert np.isfinite(points).all(axis=None)
    if method == "pca":
        np.testing.assert_allclose(points["y"], 0, atol=1e-12)


def test_umap_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"umap-learn is not installed; .*tumorkeras\[embedding\]"):
        embed_features(TABLE, "umap")


def test_umap_is_given_the_standardised_features_and_the_seed(monkeypatch):
    """In the place of UMAP stands what only takes notes: the real one takes half a minute to start."""
    given = {}

    class Notes:
        def __init__(self, **settings):
            given.update(settings)

        def fit_transform(self, values):
            given["deviations"] = values.std(axis=0).round(6).tolist()
            return values[:, :2].astype("float32")

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Notes))
    points = embed_features(TABLE[:9], "umap", seed=4)
    assert given["deviations"] == [1, 1, 1, 0]
    assert (given["random_state"], given["n_neighbors"], given["n_jobs"]) == (4, 8, 1)
    assert points.attrs == {"method": "umap", "seed": 4, "neighbours": 8}
    assert points.dtypes.tolist() == [np.float64, np.float64]


@pytest.mark.slow
def test_umap_keeps_blobs_apart():
    pytest.importorskip("umap")
    classes = np.repeat([0, 1, 2], 25)
    values = RNG.normal(8 * classes[:, None], 1, (75, 5))
    points = embed_features(values, "umap")
    assert silhouette_score(points, classes) > 0.6
    pd.testing.assert_frame_equal(points, embed_features(values, "umap"))


@pytest.mark.parametrize(
    ("features", "method", "fault"),
    [
        (TABLE[:2], "pca", "2 samples; at least 3"),
        (TABLE.assign(a=np.nan), "tsne", "NaN or infinite in column 'a'"),
        (TABLE * 0, "pca", "all rows are equal"),
        (TABLE * 0, "mds", "2 faults"),
        (TABLE, "mds", "'mds' is not one of pca, tsne, umap"),
    ],
)
def test_refuses(features, method, fault):
    with pytest.raises(DataError, match=fault):
        embed_features(features, method)
