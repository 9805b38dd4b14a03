"""Detections image by image: each image once, in order, whatever it holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.boxes import CORNERS
from tumorkeras.errors import DataError
from tumorkeras.scoring.table import INPUT, Layout
from tumorkeras.scoring.views import detections_per_image

CLASSES = ["benign", "malignant"]


def table_of(images):
    """The table of scoring for (path, error, detections (n, 6) or None) each."""
    most = max([1, *(len(found) for _, _, found in images if found is not None)])
    values = np.full((len(images), most, 6), np.nan)
    for row, (_, _, found) in enumerate(images):
        if found is not None:
            values[row] = [-1, 0, 0, 0, 0, 0]
            values[row, : len(found)] = np.reshape(found, (-1, 6))
    paths, errors = [path for path, _, _ in images], [error for _, error, _ in images]
    layout = Layout("detections", values.shape[1:], CLASSES)
    numbers = range(len(images))
    return layout.table(paths, [None] * len(images), errors, values.astype("float32"), numbers).drop(columns=INPUT)


def test_each_kind_of_image_by_hand():
    two = [[1, 0.75, 1, 2, 9, 8], [0, 0.5, 0, 0, 4, 4]]
    table = table_of([("a.png", None, two), ("b.png", None, []), ("c.png", "is empty", None), ("d.png", None, two[1:])])
    table["site"] = ["x", "x", "y", "y", "z"]
    view = detections_per_image(table)
    assert list(view.columns) == [
        *["path", "id", "status", "error", "site"],
        *["num_detections", "best_score", "classes", "scores", "boxes"],
    ]
    assert view["path"].tolist() == ["a.png", "b.png", "c.png", "d.png"]
    assert view["site"].tolist() == ["x", "y", "y", "z"]
    assert view["num_detections"].astype(object).tolist() == [2, 0, pd.NA, 1]
    np.testing.assert_array_equal(view["best_score"], np.float32([0.75, np.nan, np.nan, 0.5]))
    assert view["classes"].tolist() == [["malignant", "benign"], [], None, ["benign"]]
    assert view["scores"][0].tolist() == [0.75, 0.5]
    assert view["boxes"][0].tolist() == [[1, 2, 9, 8], [0, 0, 4, 4]]
    assert [view["boxes"][k].shape for k in (0, 1, 3)] == [(2, 4), (0, 4), (1, 4)]
    assert view["boxes"][2] is view["scores"][2] is None
    assert view["boxes"][0].dtype == view["scores"][0].dtype == view["best_score"].dtype == "float32"


def test_images_with_equally_many_detections():
    """Which NumPy would stack."""
    table = table_of([(f"{k}.png", None, [[0, 0.5, 0, 0, k, k]]) for k in (1, 2, 3)])
    assert [box.tolist() for box in detections_per_image(table)["boxes"]] == [[[0, 0, k, k]] for k in (1, 2, 3)]


def test_a_table_without_rows():
    view = detections_per_image(table_of([("a.png", None, [])]).iloc[:0])
    assert len(view) == 0
    assert {"num_detections", "boxes"} <= set(view.columns)


def test_scores_that_are_equal_are_of_one_image():
    found = [[0, 1.0, 0, 0, 4, 4], [0, 1.0, 10, 10, 14, 14], [1, 1.0, 0, 0, 4, 4]]
    assert detections_per_image(table_of([("a.png", None, found)]))["num_detections"].tolist() == [3]


def test_the_number_of_the_input_decides_where_there_is_one():
    table = table_of([("a.png", None, [[0, 0.9, 0, 0, 4, 4]]), ("a.png", None, [[0, 0.8, 5, 5, 9, 9]])])
    assert detections_per_image(table)["num_detections"].tolist() == [2]
    numbered = table.assign(_input=[0, 1])
    assert detections_per_image(numbered)["num_detections"].tolist() == [1, 1]
    assert "_input" not in detections_per_image(numbered)


def test_samples_of_one_file_are_told_apart_by_id():
    table = table_of([("a.npy", None, [[0, 0.9, 0, 0, 4, 4]]), ("a.npy", None, [[0, 0.8, 5, 5, 9, 9]])])
    table["id"] = pd.Series([0, 1], dtype="Int64")
    assert detections_per_image(table)["num_detections"].tolist() == [1, 1]


def test_another_table_is_refused_by_its_columns():
    with pytest.raises(DataError, match="no column class") as caught:
        detections_per_image(pd.DataFrame({"path": ["a"], "status": ["ok"], "score": [1.0]}))
    assert len(caught.value.faults) == 5


@st.composite
def images(draw):
    """Images of few names, so that many stand twice or more in a row; what is found depends on the name only."""
    kinds = {}
    for name in "abc":
        count = draw(st.integers(0, 4))
        scores = sorted(draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=count, max_size=count)), reverse=True)
        found = [[k % 2, score, 10 * k, 0, 10 * k + 5, 5] for k, score in enumerate(scores)]
        kinds[name] = draw(st.sampled_from([(name, None, found), (name, "is empty", None)]))
    return [kinds[name] for name in draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))]


@settings(max_examples=40, deadline=None)
@given(images())
def test_images_that_stand_twice_stay_apart(listed):
    view = detections_per_image(table_of(listed))
    assert view["path"].tolist() == [path for path, _, _ in listed]
    for row, (_, error, found) in enumerate(listed):
        assert pd.isna(view["num_detections"][row]) == (error is not None)
        if error is None:
            assert view["scores"][row].tolist() == [detection[1] for detection in found]
            np.testing.assert_array_equal(view["boxes"][row], np.reshape(found, (-1, 6))[:, 2:])
            assert view["classes"][row] == [CLASSES[detection[0]] for detection in found]


def test_a_table_of_many_images():
    boxes = np.tile(np.arange(4.0), (30_000, 1))
    table = pd.DataFrame({"path": np.repeat(np.arange(10_000).astype(str), 3), "id": None, "status": "ok"})
    table = table.assign(**{"class": "cyst", "score": np.tile([0.75, 0.5, 0.25], 10_000)})
    view = detections_per_image(table.assign(**dict(zip(CORNERS, boxes.T, strict=True))))
    assert (len(view), view["num_detections"].eq(3).all()) == (10_000, True)
