import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tumorkeras.data.similarity import neighbours
from tumorkeras.data.similarity.neighbours import nearest


def unit(points):
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype("float32")


@pytest.fixture
def points():
    return unit(np.random.default_rng(0).standard_normal((600, 12)))


def test_few_points_are_searched_exactly(points):
    rows, similarity = nearest(points, points[:50] * -1, 4)
    distances, expected = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(points).kneighbors(points[:50] * -1)
    assert (rows == expected).all()
    np.testing.assert_allclose(similarity, 1 - distances**2 / 2, atol=1e-5)


def test_pieces_give_what_the_whole_gives(points, monkeypatch):
    whole = nearest(points, points, 5)
    monkeypatch.setattr(neighbours, "CHUNK", 2000)
    for one, other in zip(nearest(points, points, 5), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_cells_find_what_is_near(points, monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 100)
    near = unit(points + 0.1 * np.random.default_rng(1).standard_normal(points.shape))
    rows, similarity = nearest(points, near, 3)
    assert (rows[:, 0] == np.arange(600)).mean() > 0.99
    assert (np.diff(similarity, axis=1) <= 0).all()
    assert all(len(set(row)) == 3 for row in rows)


def test_fewer_points_than_asked_for():
    rows, similarity = nearest(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"), 3)
    assert rows.tolist() == [[0, 1, -1], [1, 0, -1]]
    assert np.isneginf(similarity[:, 2]).all()


def test_all_points_in_one_place(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT", 100)
    points = np.tile(np.array([[1.0, 0.0]], "float32"), (300, 1))
    rows, similarity = nearest(points, points, 4)
    assert (rows >= 0).all()
    assert (similarity == 1).all()
