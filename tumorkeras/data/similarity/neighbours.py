"""The nearest of many points without comparing all with all: the search is done in a few cells around each query."""

from __future__ import annotations

import warnings

import numpy as np

EXACT = 4000  # points up to which all are compared: the cells would save nothing
PROBES = 8  # cells searched for each query; near-duplicates are close, so they are in one of the first
SAMPLE = 20_000  # points that the cells are laid around
CHUNK = 4_000_000  # similarities held at once (16 MB)


def nearest(points: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The points with the largest dot product with each query, best first; exact up to 4,000 points.

    Beyond, the points are divided into as many cells as the square root of their number (k-means), and the 8
    cells that are nearest to the query are searched: the work grows with n ** 1.5, the memory with n.

    Parameters
    ----------
    points : ndarray, shape (n, d), float32
        Of length 1.
    queries : ndarray, shape (m, d), float32
        Of length 1.
    k : int

    Returns
    -------
    rows : ndarray, shape (m, k), int64
        Rows of ``points``; -1 where fewer than k were found.
    similarity : ndarray, shape (m, k), float32
        -inf where fewer than k were found.

    Examples
    --------
    >>> points = np.eye(3, dtype="float32")
    >>> rows, similarity = nearest(points, np.array([[0.6, 0.8, 0]], "float32"), k=2)
    >>> rows.tolist(), similarity.astype("float64").round(1).tolist()
    ([[1, 0]], [[0.8, 0.6]])
    """
    rows = np.full((len(queries), k), -1, "int64")
    similarity = np.full((len(queries), k), -np.inf, "float32")
    for members, askers in _cells(points, queries):
        for start in range(0, len(askers), max(1, CHUNK // max(1, len(members)))):
            some = askers[start : start + max(1, CHUNK // max(1, len(members)))]
            _keep_best(rows, similarity, some, members, queries[some] @ points[members].T)
    order = np.argsort(-similarity, axis=1, kind="stable")
    return np.take_along_axis(rows, order, 1), np.take_along_axis(similarity, order, 1)


def _cells(points: np.ndarray, queries: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each cell the rows of its points and of the queries that search it."""
    everything = [(np.arange(len(points)), np.arange(len(queries)))]
    if len(points) <= EXACT:
        return everything
    from sklearn.cluster import KMeans  # late: it takes a second to import
    from sklearn.exceptions import ConvergenceWarning

    rng = np.random.default_rng(0)
    sample = points[rng.permutation(len(points))[:SAMPLE]]
    # From random points and in few steps: the cells need not be the best, only small and round.
    means = KMeans(round(len(points) ** 0.5), init="random", n_init=1, max_iter=8, tol=0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        centres = means.fit(sample).cluster_centers_
    cell_of = _closest(points, centres, 1)[:, 0]
    searched = _closest(queries, centres, min(PROBES, len(centres)))
    members = _rows_by(cell_of, np.arange(len(points)), len(centres))
    askers = _rows_by(searched.ravel(), np.repeat(np.arange(len(queries)), searched.shape[1]), len(centres))
    return list(zip(members, askers, strict=True))


def _closest(points: np.ndarray, centres: np.ndarray, k: int) -> np.ndarray:
    """Numbers of the k centres nearest to each point, (n, k)."""
    lengths = (centres**2).sum(1) / 2
    rows = max(1, CHUNK // len(centres))
    parts = (points[start : start + rows] @ centres.T - lengths for start in range(0, len(points), rows))
    return np.concatenate([np.argpartition(-part, k - 1, axis=1)[:, :k] for part in parts])


def _rows_by(cells: np.ndarray, rows: np.ndarray, count: int) -> list[np.ndarray]:
    order = np.argsort(cells, kind="stable")
    return np.split(rows[order], np.searchsorted(cells[order], np.arange(1, count)))


def _keep_best(
    rows: np.ndarray, similarity: np.ndarray, some: np.ndarray, members: np.ndarray, found: np.ndarray
) -> None:
    """Write into the lists of some queries what of one cell belongs among their best."""
    k = rows.shape[1]
    if found.shape[1] > k:
        best = np.argpartition(-found, k - 1, axis=1)[:, :k]
        found, names = np.take_along_axis(found, best, 1), members[best]
    else:
        names = np.broadcast_to(members, found.shape)
    both, all_names = np.hstack([similarity[some], found]), np.hstack([rows[some], names])
    best = np.argpartition(-both, k - 1, axis=1)[:, :k]
    similarity[some], rows[some] = np.take_along_axis(both, best, 1), np.take_along_axis(all_names, best, 1)
