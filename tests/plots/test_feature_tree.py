"""The picture of a selection's tree: what is drawn is what the selector holds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tumorkeras import plots
from tumorkeras.errors import DataError


def selector_of(edges, kept, count=6, **names):
    """What a fitted selector shows: edges (feature, other, is_cut)."""
    tree = pd.DataFrame(edges, columns=["feature", "other", "is_cut"]).assign(likeness=0.5)
    inside = {0, *tree["feature"], *tree["other"]}
    group = np.array([0 if k in inside else -1 for k in range(count)])
    support = np.isin(np.arange(count), kept)
    return SimpleNamespace(tree_=tree, group_=group, support_=support, relevance_=np.linspace(0.9, 0.1, count), **names)


def lines_of(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def test_every_feature_and_edge_is_drawn():
    ax = plots.feature_tree(selector_of([(0, 2, False), (0, 3, True), (3, 1, True)], [0, 1, 3]))
    shown = {part.get_label(): len(part.get_offsets()) for part in ax.collections}
    assert shown == {"like a kept one": 1, "kept": 3}
    drawn = lines_of(ax)
    assert [len(drawn["cut"]), len(drawn["alike: one group"])] == [6, 3]  # each edge two ends and a gap
    assert [text.get_text() for text in ax.texts] == ["x0", "x1", "x3"]
    assert ax.get_title(loc="left") == "4 of 6 features are relevant, 3 are kept"
    plots.to_png(ax)


def test_edges_end_at_their_features_and_no_two_features_meet():
    edges = [(0, 1, False), (0, 2, False), (1, 3, True), (1, 4, False), (4, 5, False)]
    ax = plots.feature_tree(selector_of(edges, [0]))
    spots = np.concatenate([part.get_offsets() for part in ax.collections])
    assert len(np.unique(np.round(spots, 6), axis=0)) == 6
    ends = np.concatenate(list(lines_of(ax).values()))
    ends = ends[~np.isnan(ends[:, 0])]
    assert all(np.linalg.norm(spots - end, axis=1).min() < 1e-9 for end in ends)
    plots.to_png(ax)


def test_sizes_follow_relevance():
    ax = plots.feature_tree(selector_of([(0, 1, True), (1, 2, True)], [0, 1, 2]))
    sizes = ax.collections[0].get_sizes()
    assert (np.diff(sizes) < 0).all()
    plots.to_png(ax)


def test_names_of_neighbours_do_not_touch():
    """24 leaves around the middle: those left and right of the top are at one height, and near."""
    edges = [(0, leaf, False) for leaf in range(1, 25)]
    ax = plots.feature_tree(selector_of(edges, [6, 7], 25, feature_names_in_=[f"a_long_name_{k}" for k in range(25)]))
    ax.figure.canvas.draw()
    one, other = (text.get_window_extent() for text in ax.texts)
    assert one.x0 < other.x1
    assert other.x0 < one.x1  # side by side there is no room
    assert not one.overlaps(other)
    plots.to_png(ax)


def test_names_of_columns_are_shown_unless_they_are_too_many():
    names = np.array(["speed", "turns", "c", "d", "e", "f"], dtype=object)
    ax = plots.feature_tree(selector_of([(0, 1, True)], [0, 1], feature_names_in_=names))
    assert [text.get_text() for text in ax.texts] == ["speed", "turns"]
    plots.to_png(ax)
    many = selector_of([(k, k + 1, True) for k in range(60)], range(61), count=61)
    ax = plots.feature_tree(many)
    assert not ax.texts
    plots.to_png(ax)


def test_a_single_feature_and_given_axes():
    from matplotlib import pyplot as plt

    _, given = plt.subplots()
    ax = plots.feature_tree(selector_of([], [0]), ax=given)
    assert ax is given
    assert len(ax.collections) == 1
    plots.to_png(ax)


def test_without_a_tree_there_is_an_error():
    with pytest.raises(DataError, match="not fitted"):
        plots.feature_tree(SimpleNamespace())
    empty = selector_of([], [])
    empty.group_[:] = -1
    with pytest.raises(DataError, match="no feature is relevant"):
        plots.feature_tree(empty)
