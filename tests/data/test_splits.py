"""Parts and folds: classes in proportion, no group on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tumorkeras.data.splits import PARTS, assign_parts, split_off, stratified_folds
from tumorkeras.errors import DataError

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}


@st.composite
def grouped(draw, groups_a_class=6):
    """Labels and groups of uneven size; a group may hold samples of several classes."""
    classes = draw(st.integers(2, 3))
    labels, groups = [], []
    for label in range(classes):
        for number in range(draw(st.integers(groups_a_class, 15))):
            size = draw(st.integers(1, 6))
            labels += [label] * size
            groups += [f"patient {number}" if draw(st.booleans()) else f"{label}/{number}"] * size
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    return np.array(labels)[order], np.array(groups)[order]


@given(grouped(), st.integers(0, 5))
def test_groups_never_straddle_parts(data, seed):
    labels, groups = data
    parts = assign_parts(labels, SHARES, groups, seed)
    assert set(parts) == set(PARTS)
    for group in np.unique(groups):
        assert len(set(parts[groups == group])) == 1
    assert set(labels[parts == "train"]) == set(labels)
    assert (parts == assign_parts(labels, SHARES, groups, seed)).all()


@given(grouped(), st.integers(2, 5))
def test_groups_never_straddle_folds(data, folds):
    labels, groups = data
    pairs = stratified_folds(labels, groups, folds, seed=1)
    assert len(pairs) == folds
    assert np.array_equal(np.sort(np.concatenate([test for _, test in pairs])), np.arange(len(labels)))
    for train, test in pairs:
        assert len(test)
        assert not set(groups[train]) & set(groups[test])
        assert set(labels[train]) == set(labels)


@given(st.lists(st.integers(20, 200), min_size=2, max_size=4), st.integers(0, 99))
def test_classes_are_in_proportion(counts, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = assign_parts(labels, SHARES, seed=seed)
    for name, share in SHARES.items():
        assert abs((parts == name).sum() - share * len(labels)) <= 1
        for label, count in enumerate(counts):
            assert abs(((parts == name) & (labels == label)).sum() - share * count) <= 2


def test_folds_are_in_proportion_and_follow_the_seed():
    labels = np.array([0] * 30 + [1] * 15)
    pairs = stratified_folds(labels, folds=5, seed=3)
    assert [np.bincount(labels[test]).tolist() for _, test in pairs] == [[6, 3]] * 5
    again, other = stratified_folds(labels, folds=5, seed=3), stratified_folds(labels, folds=5, seed=4)
    assert all((a[1] == b[1]).all() for a, b in zip(pairs, again, strict=True))
    assert any((a[1] != b[1]).any() for a, b in zip(pairs, other, strict=True))


def test_fewer_samples_or_groups_than_folds_are_named():
    labels = np.array([0] * 10 + [1] * 3 + [2] * 2)
    with pytest.raises(DataError) as caught:
        stratified_folds(labels, folds=5)
    assert caught.value.faults == [
        "class 1 has 3 samples, fewer than the 5 folds",
        "class 2 has 2 samples, fewer than the 5 folds",
    ]
    groups = np.array(["a"] * 5 + ["b"] * 5 + ["c"] * 5)
    with pytest.raises(DataError, match="class 0 has 2 groups, fewer than the 3 folds"):
        stratified_folds(labels, groups, folds=3)


def test_parts_without_a_share_stay_empty():
    parts = assign_parts(np.array([0, 1] * 10), {"train": 1.0, "val": 0.0, "test": 0.0})
    assert set(parts) == {"train"}
    parts = assign_parts(np.array([0, 1] * 10), {"train": 0.8, "val": 0.2, "test": 0.0})
    assert [(parts == name).sum() for name in PARTS] == [16, 4, 0]


def test_a_class_of_one_group_cannot_be_split():
    labels, groups = np.array([0, 0, 1, 1, 2]), np.array(["a", "b", "c", "c", "d"])
    with pytest.raises(DataError) as caught:
        split_off(labels, 0.5, groups)
    assert [fault.partition(",")[0] for fault in caught.value.faults] == [
        "class 1 has one group only",
        "class 2 has one group only",
    ]


def test_classes_are_called_by_their_names_where_they_are_given():
    labels, names = np.array([0] * 9 + [1]), ("benign", "malignant")
    with pytest.raises(DataError, match="class 'malignant' has 1 sample, fewer than the 2 folds"):
        stratified_folds(labels, folds=2, names=names)
    groups = np.array(list("aabbccddee"))
    with pytest.raises(DataError, match="class 'malignant' has 1 group, fewer than the 3 folds"):
        stratified_folds(labels, groups, folds=3, names=names)
    with pytest.raises(DataError, match="class 'malignant' has one group only"):
        split_off(labels, 0.5, groups, names=names)
    with pytest.raises(DataError, match="no sample of class 'malignant' is left to train on"):
        assign_parts(labels, {"train": 0.2, "val": 0.0, "test": 0.8}, names=names)


@pytest.mark.parametrize(("labels", "words"), [([], "0 samples are too few"), ([1], "1 sample is too few")])
def test_what_cannot_be_split_is_told(labels, words):
    with pytest.raises(DataError, match=words):
        split_off(np.array(labels, int), 0.5)


@given(st.integers(1, 12), st.floats(0.01, 0.99))
def test_small_sets_are_split_or_refused_in_words(count, fraction):
    labels = np.arange(count) % 3
    assume(count)
    try:
        rest, part = split_off(labels, fraction)
    except DataError:
        assert count == 1
        return
    assert len(rest) >= 1
    assert len(part) >= 1
    assert sorted([*rest, *part]) == list(range(count))


def test_no_class_is_lost_to_the_training():
    labels = np.array([0] * 9 + [1])
    with pytest.raises(DataError, match="no sample of class 1 is left to train on"):
        assign_parts(labels, {"train": 0.2, "val": 0.0, "test": 0.8}, seed=0)


@pytest.mark.parametrize("each", [3, 4, 6, 8])
def test_small_parts_hold_every_class(each):
    labels = np.repeat([0, 1], each)
    parts = assign_parts(labels, {"train": 0.7, "val": 0.0, "test": 0.15})
    assert set(labels[parts == "test"]) == {0, 1}
    assert set(labels[parts == "train"]) == {0, 1}
