"""Probes and folds of groups, against scikit-learn and against folds worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tumorkeras.auditing.group_folds import MANY_GROUPS, MOST_FOLDS, fewest_groups, held_out_folds
from tumorkeras.auditing.probes import MOST, as_matrix, can_probe, linear_model, probe, usable_rows
from tumorkeras.errors import DataError


def two_classes(n=60, shift=1.0, features=3, seed=0):
    """Normal features of two classes, `n` samples each, the first feature shifted in the second class."""
    table = np.random.default_rng(seed).normal(size=(2 * n, features))
    table[n:, 0] += shift
    return table, np.repeat(["benign", "malignant"], n)


# ------------------------------------------------------------------------------------------------------ folds of groups


def test_groups_of_one_class_are_held_out_in_pairs():
    labels = np.repeat(["wild", "mutant"], [6, 4])
    groups = np.array(["a", "a", "b", "b", "c", "c", "d", "d", "e", "e"])
    held = [set(groups[test]) for _, test in held_out_folds(labels, groups)]
    assert len(held) == 6
    assert set(map(frozenset, held)) == {frozenset(first + second) for first in "abc" for second in "de"}


def test_groups_of_all_classes_are_held_out_one_by_one():
    labels, groups = np.tile(["benign", "malignant"], 6), np.repeat(["a", "b", "c"], 4)
    assert [set(groups[test]) for _, test in held_out_folds(labels, groups)] == [{"a"}, {"b"}, {"c"}]


def test_mixed_groups_give_the_smallest_sets():
    """`m` has both classes and stands alone; `a` and `b` need each other."""
    labels = np.array(["x", "y", "x", "x", "y", "y"])
    groups = np.array(["m", "m", "a", "a", "b", "b"])
    assert {frozenset(groups[test]) for _, test in held_out_folds(labels, groups)} == {
        frozenset("m"),
        frozenset("ab"),
    }


def test_a_class_in_one_group_cannot_be_held_out():
    assert held_out_folds(["x", "x", "x", "y", "y"], ["a", "b", "b", "c", "c"]) == []


def test_of_many_sets_a_sample_is_drawn_and_always_the_same():
    labels = np.repeat(["x", "y"], 45)
    groups = np.repeat(np.arange(18), 5)
    first, second = held_out_folds(labels, groups), held_out_folds(labels, groups)
    assert len(first) == MOST_FOLDS
    assert all((a[1] == b[1]).all() for a, b in zip(first, second, strict=True))
    many = held_out_folds(np.repeat(list("uvwxyz"), 24), np.repeat(np.arange(48), 3))  # 8 ** 6 sets
    assert len(many) == MOST_FOLDS


def test_many_groups_are_held_out_in_five_folds():
    labels, groups = np.repeat(["x", "y"], 40), np.repeat(np.arange(2 * MANY_GROUPS), 4)
    folds = held_out_folds(labels, groups)
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(80))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=2, max_size=40))
def test_every_fold_has_every_class_on_both_sides_and_no_group_twice(samples):
    labels, groups = (np.array(values) for values in zip(*samples, strict=True))
    for train, test in held_out_folds(labels, groups):
        assert set(labels[train]) == set(labels[test]) == set(labels)
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(labels)


def test_the_fewest_groups_are_counted():
    assert fewest_groups([0, 0, 1, 1], ["a", "b", "a", "a"]) == 1


# ------------------------------------------------------------------------------------------------------------- probes


def test_scores_out_of_fold_are_those_of_scikit_learn():
    table, labels = two_classes()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    expected = cross_val_predict(linear_model(), table, labels, cv=folds, method="predict_proba")[:, 1]
    found = probe(table, labels, model=linear_model).overall
    assert found.value == pytest.approx(roc_auc_score(labels == "malignant", expected))
    assert found.low < found.value < found.high
    assert found.n == 120


def test_more_classes_are_each_told_from_the_rest():
    generator = np.random.default_rng(1)
    labels = np.repeat(["a", "b", "c"], 40)
    table = generator.normal(size=(120, 2))
    table[labels == "c"] += 3
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    expected = cross_val_predict(linear_model(), table, labels, cv=folds, method="predict_proba")
    found = probe(table, labels, model=linear_model)
    assert found.overall.value == pytest.approx(roc_auc_score(labels, expected, multi_class="ovr"))
    assert found.best_told == "c"
    assert found.low == found.by_class["c"].low > 0.9


def test_noise_is_not_told():
    table, labels = two_classes(shift=0, seed=3)
    assert probe(table, labels).low < 0.5


def test_one_value_among_many_is_found():
    """One class has one width, the other any: no straight line tells that, the forest does."""
    table, labels = two_classes(shift=0)
    table[:60, 0] = 0.1
    assert probe(table, labels).low > 0.9
    assert probe(table, labels, model=linear_model).low < 0.6


def test_a_feature_is_found_among_thousands():
    table, labels = two_classes(shift=3, features=2000)
    assert probe(table, labels).low > 0.8


def test_groups_keep_what_belongs_together_apart():
    """Each patient has features of its own, and a class that nothing tells."""
    generator = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 3)
    labels = np.array(["benign", "malignant"])[generator.permutation(60) % 2][groups]
    table = generator.normal(size=(60, 3))[groups] + 0.01 * generator.normal(size=(180, 3))
    assert probe(table, labels, groups=groups).low < 0.5 < 0.7 < probe(table, labels).low


def test_few_groups_of_one_class_are_averaged_over_pairs():
    table, labels = two_classes(n=60, shift=2)
    groups = np.repeat(np.arange(6), 20)
    found = probe(table, labels, groups=groups, model=linear_model).overall
    scores = []
    for first in range(3):
        for second in range(3, 6):
            test = np.isin(groups, [first, second])
            model = linear_model().fit(table[~test], labels[~test])
            scores.append(roc_auc_score(labels[test] == "malignant", model.predict_proba(table[test])[:, 1]))
    assert found.value == pytest.approx(np.mean(scores))
    assert 0 <= found.low < found.value < found.high <= 1


def test_intervals_of_many_probes_are_wider():
    table, labels = two_classes()
    one, ten = (probe(table, labels, tests=tests, model=linear_model).overall for tests in (1, 10))
    assert one.value == ten.value
    assert ten.low < one.low < one.high < ten.high


def test_gaps_are_a_feature_of_their_own():
    table, labels = two_classes(shift=0)
    table[:50, 1] = np.nan
    assert as_matrix(table).shape == (120, 4)
    assert np.isfinite(as_matrix(pd.DataFrame({"a": [np.nan, np.inf], "b": [1.0, 2.0]}))).all()
    assert probe(table, labels).low > 0.8


def test_rare_classes_are_left_out_and_large_sets_thinned():
    labels = np.array(["a"] * 3000 + ["b"] * 1000 + ["c"] * 9)
    rows, names = usable_rows(labels, seed=0)
    assert len(rows) == MOST
    assert dict(zip(*np.unique(names, return_counts=True), strict=True)) == {"a": 1500, "b": 500}
    assert can_probe(labels)
    assert not can_probe(["a"] * 30 + ["b"] * 9)


@pytest.mark.parametrize(
    ("table", "labels", "groups", "fault"),
    [
        (np.zeros((20, 1)), ["a", "b"] * 10, None, "none varies"),
        (np.arange(20.0)[:, None], ["a"] * 15 + ["b"] * 5, None, "two classes of 10 samples"),
        (np.arange(20.0)[:, None], ["a", "b"] * 10, ["g", "h"] * 10, "in one group only"),
    ],
)
def test_what_cannot_be_probed_is_said(table, labels, groups, fault):
    with pytest.raises(DataError, match=fault):
        probe(table, labels, groups=groups)
