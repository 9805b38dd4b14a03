"""Clusters of features: blobs of known number are found, and what cannot be clustered is refused."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

from tumorkeras.errors import DataError
from tumorkeras.features import Clusters, cluster_features
from tumorkeras.features import cluster_methods as methods
from tumorkeras.features.standard import standardised
from tumorkeras.metrics import clustering_agreement

CENTRES = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 9]])
METHODS = ["kmeans", "gaussian_mixture", "hdbscan"]


@pytest.fixture(scope="module")
def blobs():
    """60, 40 and 20 samples of three features in very different units, and a constant one."""
    values, classes = make_blobs([40, 60, 20], centers=CENTRES, random_state=0)
    table = pd.DataFrame(values * [1, 1e6, 1e-6], columns=["a", "b", "c"]).assign(same=7.0)
    return table, classes


@pytest.mark.parametrize("method", METHODS)
def test_three_blobs_are_found_by_each_method(blobs, method):
    table, classes = blobs
    found = cluster_features(table, method, labels=classes, resamples=20)
    assert isinstance(found, Clusters)
    assert found.n_clusters == 3
    inside = found.labels >= 0
    assert inside.mean() > 0.9
    assert adjusted_rand_score(classes[inside], found.labels[inside]) == 1
    assert (found.method, found.labels.dtype) == (method, np.int64)


@pytest.mark.parametrize("method", METHODS[:2])
def test_clusters_are_numbered_by_size_and_counted_against_the_classes(blobs, method):
    table, classes = blobs
    found = cluster_features(table, method, 3, labels=classes, classes=["x", "y", "z"], resamples=20)
    assert found.sizes.to_dict() == {0: 60, 1: 40, 2: 20}
    assert found.table.to_dict("index") == {
        0: {"x": 0, "y": 60, "z": 0},
        1: {"x": 40, "y": 0, "z": 0},
        2: {"x": 0, "y": 0, "z": 20},
    }
    expected = clustering_agreement(classes, found.labels, resamples=20)
    pd.testing.assert_frame_equal(found.agreement, expected)


def test_the_criteria_are_those_of_scikit_learn(blobs):
    values, _ = standardised(blobs[0])
    means = cluster_features(blobs[0], n_clusters=[4, 3])
    assert means.criterion["n_clusters"].tolist() == [3, 4]
    assert means.criterion["value"][0] == pytest.approx(silhouette_score(values, means.labels))
    assert means.criterion_name == "silhouette"
    mixture = cluster_features(blobs[0], "gaussian_mixture", range(1, 5))
    assert mixture.criterion["value"][0] == pytest.approx(GaussianMixture(1).fit(values).bic(values))
    assert (mixture.criterion_name, mixture.criterion["value"].argmin()) == ("BIC", 2)


def test_noise_is_no_cluster():
    values, classes = make_blobs([40, 40], centers=[[0, 0], [10, 10]], cluster_std=0.5, random_state=0)
    values = np.concatenate([values, [[30.0, -30.0], [-30.0, 30.0]]])
    found = cluster_features(values, "hdbscan", labels=[*classes, 0, 1], resamples=5, min_cluster_size=10)
    assert found.labels[-2:].tolist() == [-1, -1]
    assert found.n_clusters == 2
    assert found.sizes.index.tolist() == [0, 1, -1]
    assert found.sizes.sum() == 82
    assert found.table.loc[-1].sum() == found.sizes[-1]
    assert found.agreement.loc["purity", "value"] == found.sizes[[0, 1]].sum() / 82
    assert (len(found.criterion), found.criterion_name) == (0, "")
    assert f"noise {found.sizes[-1]}" in repr(found)


def test_all_may_be_noise():
    found = cluster_features(np.random.default_rng(0).random((12, 5)), "hdbscan", min_cluster_size=6)
    assert (found.n_clusters, set(found.labels), found.sizes.to_dict()) == (0, {-1}, {-1: 12})


def test_no_classes_no_agreement_and_a_mixture_may_find_one_cluster():
    values = np.random.default_rng(0).normal(size=(80, 2))
    found = cluster_features(values, "gaussian_mixture", range(1, 4))
    assert (found.n_clusters, found.agreement, found.table) == (1, None, None)
    assert repr(found) == "<Clusters: 80 samples in 1 cluster of 80 (gaussian_mixture)>"
    one = cluster_features(values, n_clusters=1)
    assert one.n_clusters == 1
    assert np.isnan(one.criterion["value"][0])


def test_it_shows_itself(blobs):
    table, classes = blobs
    html = cluster_features(table, n_clusters=3, labels=classes, classes=["x", "<y>", "z"], resamples=5)._repr_html_()
    assert "120 samples in 3 clusters of 60, 40, 20 (kmeans)" in html
    assert "&lt;y&gt;" in html
    assert "purity" in html
    assert html.count("<tr>") == 1 + 3 + 1 + 3  # clusters and figures, each under a head
    assert "purity" not in cluster_features(table, n_clusters=3)._repr_html_()
    noisy = np.concatenate([np.asarray(table), [[1e3] * np.shape(table)[1]]])
    assert ">noise<" in cluster_features(noisy, "hdbscan")._repr_html_()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_clusters(method):
    values = np.random.default_rng(0).normal(size=(60, 3))
    counts = None if method == "hdbscan" else 4
    first, again = (cluster_features(values, method, counts, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.labels, again.labels)


def test_units_and_constant_columns_do_not_count(blobs):
    table, _ = blobs
    plain = cluster_features(table[["a", "b", "c"]].to_numpy() / [1, 1e6, 1e-6], n_clusters=4)
    np.testing.assert_array_equal(cluster_features(table, n_clusters=4).labels, plain.labels)


def test_of_many_samples_the_silhouette_is_of_some(blobs, monkeypatch):
    monkeypatch.setattr(methods, "MOST_COMPARED", 50)
    found = cluster_features(blobs[0], n_clusters=[2, 3, 4])
    assert found.n_clusters == 3
    values, _ = standardised(blobs[0])
    assert found.criterion["value"][1] != pytest.approx(silhouette_score(values, found.labels), abs=1e-6)


def test_a_mixture_that_does_not_converge_is_said(monkeypatch, caplog):
    monkeypatch.setattr("sklearn.mixture.GaussianMixture.converged_", False, raising=False)
    monkeypatch.setattr("sklearn.mixture.GaussianMixture.__setattr__", skip_converged)
    with caplog.at_level(logging.WARNING):
        cluster_features(np.random.default_rng(0).normal(size=(30, 2)), "gaussian_mixture", 2)
    assert "a mixture of 2 did not converge in 300 steps" in caplog.text


def skip_converged(model, name, value):
    if name != "converged_":
        object.__setattr__(model, name, value)


TABLE = pd.DataFrame({"speed": [1.0, 2, 3, 4, 5, 6], "turns": [2.0, 1, 4, 3, 6, 5]})
GAPS = TABLE.assign(speed=[1, np.nan, 3, 4, 5, 6], area=[np.inf, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("features", "options", "fault"),
    [
        (GAPS, {}, r"NaN or infinite in columns 'speed', 'area' \(2 of 6 rows\)"),
        (TABLE.assign(name="x"), {}, "other than numbers in column 'name'"),
        (np.zeros(5), {}, r"shape \(5,\) is not \(n, k\)"),
        (TABLE[:0], {}, r"shape \(0, 2\)"),
        (TABLE[[]], {}, r"shape \(6, 0\)"),
        (TABLE[:1], {}, r"shape \(1, 2\); at least 2 samples"),
        (TABLE * 0 + 3, {}, "all rows are equal"),
        (TABLE * 0 + 3, {"method": "hdbscan"}, "all rows are equal"),
        (TABLE[:2], {}, "2 different rows are too few"),
        (TABLE, {"n_clusters": 7}, "found 7; for 6 different rows it must be from 1 to 6"),
        (pd.concat([TABLE[:2]] * 3), {"n_clusters": 3}, "found 3; for 2 different rows"),
        (TABLE, {"n_clusters": 0}, "found 0"),
        (TABLE, {"n_clusters": range(1, 4)}, "found 1; .* from 2 to 5"),
        (TABLE, {"n_clusters": range(5, 8)}, "found 6, 7; .* from 2 to 5"),
        (TABLE, {"n_clusters": range(5, 5)}, "neither an integer nor some of them"),
        (TABLE, {"n_clusters": 2.5}, "2.5 is neither an integer"),
        (TABLE, {"method": "ward"}, "'ward' is not one of kmeans, gaussian_mixture, hdbscan"),
        (TABLE, {"method": "hdbscan", "n_clusters": 2}, "hdbscan' finds it itself"),
        (TABLE, {"method": "hdbscan", "min_cluster_size": 7}, "7 is not an integer from 2 to 6"),
        (TABLE[:3], {"method": "hdbscan"}, "5 is not an integer from 2 to 3"),
        (TABLE, {"min_cluster_size": 3}, "is for method 'hdbscan' only"),
        (TABLE, {"labels": [0, 1]}, "labels: 2 for 6 rows"),
        (TABLE, {"labels": [0, 1, 2, 0, 1, 2], "classes": ["a", "b"]}, "such as 2"),
        (TABLE, {"labels": [0] * 5 + [-1], "groups": [1], "resamples": 0}, "3 faults"),
    ],
)
def test_refuses(features, options, fault):
    with pytest.raises(DataError, match=fault):
        cluster_features(features, **options)


def test_the_default_range_stops_where_the_samples_do():
    assert cluster_features(TABLE).criterion["n_clusters"].tolist() == [2, 3, 4, 5]
    assert cluster_features(TABLE[:4], "gaussian_mixture").criterion["n_clusters"].tolist() == [1, 2, 3, 4]


def test_values_of_any_size_are_brought_to_one_scale():
    values, faults = standardised(np.array([[1e300, 1e-300, 1.7e9], [-1e300, 3e-300, 1.7e9 + 1]]))
    assert faults == []
    np.testing.assert_allclose(values, [[1, -1, -1], [-1, 1, 1]], atol=1e-6)


def test_import_starts_no_tensorflow():
    code = "import sys, tumorkeras.features; print({'tensorflow', 'keras', 'umap', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
