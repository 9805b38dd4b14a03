"""The selection tree: on data of known structure, against a plain implementation, and as scikit-learn wants it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from tumorkeras.errors import DataError
from tumorkeras.features import RelevanceTreeSelector
from tumorkeras.features.likeness import MEASURES, Correlation, Information, binned, likeness_of
from tumorkeras.features.selection import spanning_tree

RNG = np.random.default_rng(0)


OF_EVERY_MEASURE = [RelevanceTreeSelector(), *(RelevanceTreeSelector(0.1, measure=name) for name in MEASURES[1:])]


@pytest.mark.filterwarnings("ignore:no feature is kept", "ignore:No features were selected")  # of classes by chance
@parametrize_with_checks(OF_EVERY_MEASURE)
def test_it_is_a_scikit_learn_selector(estimator, check):
    check(estimator)


def data_of(samples=512, seed=1):
    """Two independent useful features, two copies of the first (one turned round), and two that say nothing."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], samples // 2))
    first, second = (y + rng.normal(0, 0.6, samples) for _ in range(2))
    nothing = rng.normal(size=(2, samples))
    return np.stack([nothing[0], first, second, 5 - 2 * first, nothing[1], first**3], axis=1), y


@pytest.mark.parametrize("measure", MEASURES)
def test_copies_become_one_and_what_says_nothing_goes(measure):
    values, y = data_of()
    values = values[:, :5] if measure == "correlation" else values  # a cube is no copy to a straight line
    selector = RelevanceTreeSelector(0.15, measure=measure).fit(values, y)
    assert selector.get_support(indices=True).tolist() == [1, 2]
    groups = [-1, 0, 1, 0, -1] if measure == "correlation" else [-1, 0, 1, 0, -1, 0]
    assert selector.group_.tolist() == groups
    assert selector.transform(values).tolist() == values[:, [1, 2]].tolist()


def test_many_copies_with_features_between_become_one():
    """Twenty exact copies among thirty others: by the tree of least likeness they would never meet."""
    values, y = data_of()
    others = y[:, None] + np.random.default_rng(2).normal(0, 0.8, (512, 30))
    table = np.concatenate([others, np.repeat(values[:, [1]], 20, axis=1)], axis=1)
    selector = RelevanceTreeSelector().fit(table, y)
    assert len(set(selector.group_[30:])) == 1
    assert selector.support_[30:].sum() == 1
    assert (selector.tree_["likeness"] == 1).sum() == 19


def test_a_copy_of_the_class_is_kept_once():
    """Likeness and relevance are both exactly 1: rounding must not cut the edge."""
    y = RNG.integers(0, 3, 250)
    selector = RelevanceTreeSelector().fit(np.stack([y, 7 - 2 * y, RNG.normal(size=250)], axis=1), y)
    assert selector.relevance_[:2].tolist() == [1, 1]
    assert selector.get_support(indices=True).tolist() == [0]


def test_exclusive_or_is_beyond_it():
    """Each of the two features alone says nothing, and so neither is found: as the description says."""
    a, b = RNG.integers(0, 2, (2, 2000))
    with pytest.warns(UserWarning, match="no relevance is above theta, 0.05"):
        selector = RelevanceTreeSelector().fit(np.stack([a, b], axis=1), a ^ b)
    assert not selector.support_.any()


def plain_information(a, b):
    """Of two lists of whole numbers, in nats, by its definition."""
    total = 0.0
    for x in set(a):
        for y in set(b):
            both = np.mean([(i, j) == (x, y) for i, j in zip(a, b, strict=True)])
            if both:
                total += both * np.log(both / (np.mean(a == x) * np.mean(b == y)))
    return total


def plain_entropy(a):
    shares = [np.mean(a == x) for x in set(a)]
    return -sum(share * np.log(share) for share in shares)


def plain_uncertainty(a, b):
    return 2 * plain_information(a, b) / (plain_entropy(a) + plain_entropy(b))


def plain_ratio(values, classes):
    """The correlation ratio by its definition."""
    between = sum(
        (classes == name).sum() * (values[classes == name].mean() - values.mean()) ** 2 for name in set(classes)
    )
    return np.sqrt(between / ((values - values.mean()) ** 2).sum())


def measured_plainly(measure, values, classes):
    if measure == "correlation":
        relevance = [plain_ratio(column, classes) for column in values.T]
        return relevance, np.abs(np.corrcoef(values.T))
    codes = binned(values, 4).astype(int)
    plain = plain_uncertainty if measure == "symmetric_uncertainty" else plain_information
    relevance = [plain(column, classes) for column in codes.T]
    return relevance, np.array([[plain(a, b) for b in codes.T] for a in codes.T])


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_are_those_of_the_definitions(measure):
    classes = RNG.integers(0, 3, 70)
    values = RNG.normal(size=(70, 6)) + classes[:, None] * RNG.uniform(0, 1, 6)
    values[:, 3], values[:, 4] = values[:, 2] ** 2, np.round(values[:, 1])
    relevance, pairs = measured_plainly(measure, values, classes)
    found = likeness_of(values, classes, measure)
    np.testing.assert_allclose(found.relevance(), relevance, atol=1e-5)
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(found.pairs(np.arange(6))[off], pairs[off], atol=1e-5)
    chosen = np.array([5, 1, 2])
    np.testing.assert_array_equal(found.pairs(chosen), found.pairs(np.arange(6))[np.ix_(chosen, chosen)])


def test_information_is_that_of_scikit_learn():
    values, classes = RNG.integers(0, 4, (500, 7)).astype(float), RNG.integers(0, 5, 500)
    values[:, 2] += classes
    found = Information(values, classes, normalised=False)
    expected = mutual_info_classif(found.codes, classes, discrete_features=True)
    np.testing.assert_allclose(found.relevance(), expected, atol=1e-6)
    pairs = found.pairs(np.arange(7))
    assert pairs[1, 4] == pytest.approx(mutual_info_score(found.codes[:, 1], found.codes[:, 4]), abs=1e-6)


def plain_selection(relevance, pairs, theta):
    """Greedy growth of the tree, cuts, and the best of each part, by lists."""
    left = [k for k, value in enumerate(relevance) if value > theta]
    tree, edges = left[:1], []
    while len(tree) < len(left):
        best = max((pairs[i][j], -tree.index(i), -j) for i in tree for j in left if j not in tree)
        i, j = tree[-best[1]], -best[2]
        tree.append(j)
        edges.append((i, j))
    group = {k: {k} for k in left}
    for i, j in edges:
        if not pairs[i][j] < min(relevance[i], relevance[j]):
            joined = group[i] | group[j]
            group |= dict.fromkeys(joined, joined)
    return sorted({max(sorted(part), key=lambda k: relevance[k]) for part in map(frozenset, group.values())})


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_is_what_a_plain_implementation_keeps(measure, seed):
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 2, 64)
    hidden = rng.normal(size=(64, 5)) + classes[:, None] * rng.uniform(0, 1.5, 5)
    values = hidden @ rng.normal(size=(5, 14)) + rng.normal(0, 0.2, (64, 14))
    relevance, pairs = measured_plainly(measure, values, classes)
    selector = RelevanceTreeSelector(0.06, measure=measure).fit(values, classes)
    assert selector.get_support(indices=True).tolist() == plain_selection(relevance, pairs, 0.06)
    assert (selector.group_ >= 0).tolist() == [value > 0.06 for value in relevance]
    assert len(selector.tree_) == (selector.group_ >= 0).sum() - 1


@given(st.integers(1, 12), st.integers(0, 1000))
@settings(max_examples=40)
def test_the_tree_is_as_heavy_as_scipys(count, seed):
    likeness = np.random.default_rng(seed).uniform(0.01, 1, (count, count))
    likeness = np.maximum(likeness, likeness.T)
    first, other = spanning_tree(likeness)
    expected = minimum_spanning_tree(np.triu(2 - likeness, 1))
    assert len(first) == count - 1
    assert (2 - likeness[first, other]).sum() == pytest.approx(expected.sum())
    assert set(first) | set(other) == (set(range(count)) if count > 1 else set())


def test_more_than_one_block_of_features_changes_nothing():
    classes = RNG.integers(0, 2, 60)
    values = RNG.normal(size=(60, 300)) + classes[:, None] * RNG.uniform(0, 1, 300)
    for kind in (Information(values, classes, normalised=True), Correlation(values, classes)):
        rows = np.array([3, 255, 256, 299])
        np.testing.assert_allclose(
            kind.pairs(np.arange(300))[np.ix_(rows, rows)], kind.pairs(rows), atol=1e-6, err_msg=str(kind)
        )


def test_constant_and_huge_features_are_measured():
    y = np.repeat([0, 1], 50)
    values = np.stack([np.full(100, 3e300), y * 1e308, y * 1e-300, np.zeros(100)], axis=1)
    for measure in MEASURES:
        selector = RelevanceTreeSelector(measure=measure).fit(values, y)
        assert selector.relevance_[[0, 3]].tolist() == [0, 0]
        assert selector.get_support(indices=True).tolist() == [1]


def test_names_stay_with_their_columns_and_in_a_pipeline():
    values, y = data_of()
    table = pd.DataFrame(values, columns=list("abcdef"))
    selector = RelevanceTreeSelector().set_output(transform="pandas").fit(table, np.array(["benign", "malignant"])[y])
    assert list(selector.transform(table)) == ["b", "c"]
    assert list(selector.get_feature_names_out()) == ["b", "c"]
    pipeline = make_pipeline(RelevanceTreeSelector(0.1), LogisticRegression()).fit(table, y)
    assert pipeline.score(table, y) > 0.85
    assert (
        make_pipeline(RelevanceTreeSelector(0.1), LogisticRegression())
        .set_params(relevancetreeselector__theta=0.15)
        .fit(table, y)[0]
        .support_.sum()
        == 2
    )


def test_more_features_than_samples():
    classes = np.repeat([0, 1], 10)
    values = RNG.normal(size=(20, 400))
    values[:, 7] += 4 * classes
    selector = RelevanceTreeSelector(0.9).fit(values, classes)
    assert selector.get_support(indices=True).tolist() == [7]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"theta": -0.1}, "theta: -0.1 is not from 0 to below 1"),
        ({"theta": 1}, "theta: 1 is not from 0 to below 1"),
        ({"theta": "high"}, "theta: 'high'"),
        ({"theta": np.nan, "measure": "mutual_info"}, "theta: nan is not 0 or more"),
        ({"measure": "chi2"}, "measure: 'chi2' is not one of symmetric_uncertainty, mutual_info, correlation"),
    ],
)
def test_bad_parameters_are_told(arguments, words):
    with pytest.raises(DataError, match=words):
        RelevanceTreeSelector(**arguments).fit(*data_of())


def test_bad_data_are_told():
    values, y = data_of()
    with pytest.raises(DataError, match="y: there is 1 class, expected at least 2"):
        RelevanceTreeSelector().fit(values, np.zeros(512))
    with pytest.raises(ValueError, match="NaN"):
        RelevanceTreeSelector().fit(np.where(values > 1, np.nan, values), y)
    with pytest.raises(ValueError, match="infinity"):
        RelevanceTreeSelector().fit(np.where(values > 1, np.inf, values), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        RelevanceTreeSelector().fit(values, y[:-1])


def test_a_threshold_that_leaves_nothing_says_what_there_is():
    values, y = data_of()
    with pytest.warns(UserWarning, match=r"above theta, 0.99; the largest is 0\.\d+, of feature [135]"):
        selector = RelevanceTreeSelector(0.99).fit(values, y)
    assert len(selector.tree_) == 0
    with pytest.warns(UserWarning, match="No features were selected"):
        assert selector.transform(values).shape == (512, 0)
