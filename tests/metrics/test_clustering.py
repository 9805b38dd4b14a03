"""Agreement of clusters with classes: against scikit-learn, by hand, and by what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from tumorkeras.errors import DataError
from tumorkeras.metrics import clustering_agreement

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 4)), min_size=2, max_size=40)


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_figures_are_those_of_scikit_learn_and_purity_is_counted(rows):
    labels, clusters = np.transpose(rows)
    table = clustering_agreement(labels, clusters, resamples=1)
    if len(set(labels)) == 1:
        assert table.loc[["ARI", "AMI"], "value"].isna().all()
    else:
        assert table.loc["ARI", "value"] == pytest.approx(adjusted_rand_score(labels, clusters))
        assert table.loc["AMI", "value"] == pytest.approx(adjusted_mutual_info_score(labels, clusters), abs=1e-9)
    most = sum(np.bincount(labels[clusters == number]).max() for number in set(clusters) - {-1})
    assert table.loc["purity", "value"] == most / len(rows)
    assert table["n"].tolist() == [len(rows)] * 3


@given(pairs, st.permutations(range(5)))
@settings(max_examples=30, deadline=None)
def test_names_of_clusters_do_not_count(rows, names):
    labels, clusters = np.transpose(rows)
    renamed = np.where(clusters < 0, clusters, np.array(names)[clusters])
    first, second = (clustering_agreement(labels, given, resamples=5) for given in (clusters, renamed))
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_by_hand():
    """Of 15 pairs 4 share a cluster, 6 a class, and 4 both."""
    table = clustering_agreement([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 2])
    assert table.loc["ARI", "value"] == pytest.approx((4 - 4 * 6 / 15) / (5 - 4 * 6 / 15))
    assert table.loc["purity", "value"] == 1
    assert clustering_agreement([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, -1]).loc["purity", "value"] == 5 / 6
    assert clustering_agreement([0, 0, 1, 1], [0, 0, 0, 0])["value"].tolist() == [0, 0, 0.5]


def test_every_sample_its_own_cluster_is_pure_and_no_agreement():
    value = clustering_agreement(np.arange(12) % 2, np.arange(12), resamples=5)["value"]
    assert value["purity"] == 1
    assert value["ARI"] == pytest.approx(0)
    assert value["AMI"] == pytest.approx(0)
    assert clustering_agreement(np.arange(5), np.arange(5), resamples=5)["value"].tolist() == [1, 1, 1]


def blurred(rng, n, share):
    labels = rng.integers(3, size=n)
    return labels, np.where(rng.random(n) < share, labels, rng.integers(4, size=n))


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_the_interval_contains_the_value(share):
    """Of clusters by chance too, where a bootstrap finds an agreement of copies."""
    table = clustering_agreement(*blurred(np.random.default_rng(0), 150, share), resamples=200)
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert (table["high"] > table["low"]).tolist() == [share < 1] * 3


def test_the_interval_is_as_wide_as_samples_vary():
    rng = np.random.default_rng(1)
    drawn = [clustering_agreement(*blurred(rng, 200, 0.6), resamples=1)["value"] for _ in range(100)]
    table = clustering_agreement(*blurred(rng, 200, 0.6), resamples=300)
    widths = (table["high"] - table["low"]).to_numpy()
    np.testing.assert_allclose(widths, 2 * 1.96 * np.std(drawn, axis=0), rtol=0.3)


def test_groups_are_drawn_whole():
    """Each sample four times is no more than the samples once: the interval must not shrink."""
    labels, clusters = blurred(np.random.default_rng(2), 60, 0.6)
    fourfold = [np.repeat(values, 4) for values in (labels, clusters)]
    alone = clustering_agreement(*fourfold, resamples=200)
    grouped = clustering_agreement(*fourfold, groups=np.repeat(np.arange(60), 4), resamples=200)
    width = grouped["high"] - grouped["low"]
    assert (width > 1.6 * (alone["high"] - alone["low"])).all()
    assert (grouped.attrs["units"], grouped.attrs["resampled_by"]) == (60, "group")


def test_one_group_has_no_interval_and_halves_of_one_class_are_counted():
    one = clustering_agreement([0, 1, 1], [0, 1, 1], groups=["p"] * 3)
    assert one[["low", "high"]].isna().all(axis=None)
    halves = clustering_agreement([0, 0, 1, 1], [0, 0, 1, 1], groups=[1, 1, 2, 2], resamples=20)
    assert halves.attrs["undefined_resamples"] == {"ARI": 20, "AMI": 20}
    assert np.isnan(halves.loc["ARI", "low"])


def test_the_seed_counts():
    data = blurred(np.random.default_rng(3), 80, 0.5)
    first, again, other = (clustering_agreement(*data, seed=seed, resamples=50) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("labels", "clusters", "options", "fault"),
    [
        ([0, 1], [0], {}, "2 and 1 rows"),
        ([], [], {}, "labels: empty"),
        ([0, 1], [0, -2], {}, "clusters: integers from -1 .* row 1"),
        ([0, 1], [0, np.nan], {}, "clusters: integers from -1"),
        ([0, 1], ["a", "b"], {}, "clusters: .*<U1"),
        ([0, -1], [0, 0], {}, "labels: class ids must be"),
        ([0, 1], [0, 0], {"groups": [1]}, "groups: 1 of them for 2"),
        ([0, 1], [0, 0], {"resamples": 0, "confidence": 2}, "2 faults"),
    ],
)
def test_refuses(labels, clusters, options, fault):
    with pytest.raises(DataError, match=fault):
        clustering_agreement(labels, clusters, **options)
