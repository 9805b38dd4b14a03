"""Simulated cells that move as given cells do, to train on where real cells are few."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from tumorkeras.data.motion import check_tracks, steps_of, turns_of
from tumorkeras.data.simulate import is_integer, is_seed
from tumorkeras.errors import DataError

MOST_CLUSTERS = 5
CELLS_PER_CLUSTER = 5
NEIGHBOURS = 5
BLOCKS = 3

log = logging.getLogger(__name__)


def mimic_motility(
    tracks: ArrayLike, n: int, *, clusters: int | None = None, seed: int | np.random.Generator | None = None
) -> np.ndarray:
    """Simulate ``n`` cells that move as the given ones: cell-mimetic simulation.

    Clusters of behaviour are found in the tracks. A simulated cell takes after one real cell, drawn at
    random, so that clusters keep their shares: its mean step is drawn from a smoothed distribution of its
    cluster's mean steps, and its sequence of relative steps and turning angles is put together from pieces of
    random length (a third of the track on average) of the real cells of its cluster that move most like the
    one it takes after. Pieces rather than fitted distributions keep what no simple law keeps at once: how
    steps follow on steps, turns on turns, and turns on steps. A simulated cell starts in a random direction,
    and half of them are mirrored.

    Memory that is longer than a piece is lost. Cells that stay within a small place wander further than the
    real ones over long times: of muscle stem cells, 63 frames, the median mean square displacement over 16
    frames is up to 1.5 times the real one; of fibroblasts and myoblasts it is within 0.8 and 1.2. The
    autocorrelation of the step length comes out about an eighth lower.

    Parameters
    ----------
    tracks : array_like of shape (cells, frames, 2)
        Real positions x and y, at least 2 cells and 3 frames; from about 10 cells the result is of use.
    n : int
        Number of tracks to simulate, at least 0.
    clusters : int, optional
        Number of clusters, from 1 to the number of cells. By default see :func:`behaviour_clusters`.
    seed : int, numpy.random.Generator or None
        The same seed gives the same tracks.

    Returns
    -------
    numpy.ndarray
        Positions x and y, float32 of shape (n, frames, 2), in the unit of ``tracks``. Every track starts at
        (0, 0).

    Raises
    ------
    DataError
        If an argument is outside its range, or a track is not finite; all faults are named at once.

    References
    ----------
    Cell-mimetic pre-training: Kimmel, Brack & Marshall, bioRxiv 159202 (2017).
    Pieces of random length (stationary bootstrap): Politis & Romano, JASA 89:1303-1313 (1994).

    Examples
    --------
    >>> from tumorkeras.data.simulate import simulate_motility
    >>> mimic_motility(simulate_motility("fractional_brownian", 12, frames=30, seed=0), 100, seed=1).shape
    (100, 30, 2)
    """
    positions = _check(tracks, n, clusters, seed)
    rng = np.random.default_rng(seed)
    labels = behaviour_clusters(positions, clusters, rng)
    log.info("%d cells in %d clusters of behaviour", len(labels), labels.max() + 1)
    model = rng.integers(len(positions), size=n)  # the real cell that each simulated cell takes after
    frames = positions.shape[1]
    cell, frame = _draw_pieces(_alike(positions, labels), model, frames, rng)

    displacements, lengths = steps_of(positions)
    # A turn leads to every step but the first, so pieces leave the first out.
    speed = lengths[:, 1:].mean(axis=1)
    relative = lengths[:, 1:] / np.where(speed > 0, speed, 1)[:, None]
    steps = relative[cell, frame] * _smoothed_speed(speed, labels, model, rng)[:, None]
    turns = turns_of(displacements)[cell, frame] * rng.choice([-1, 1], size=(n, 1))
    turns[:, 0] = rng.uniform(0, 2 * np.pi, n)
    heading = np.cumsum(turns, axis=1)
    moves = steps[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    simulated = np.zeros((n, frames, 2), np.float32)
    simulated[:, 1:] = np.cumsum(moves, axis=1)
    return simulated


def behaviour_clusters(
    tracks: ArrayLike, clusters: int | None = None, seed: int | np.random.Generator | None = None
) -> np.ndarray:
    """Cluster cells by how they move, with a Gaussian mixture.

    A cell is described by its speed, the dispersion of its steps, how straight it goes from step to step, and
    how much ground it covers. The number of clusters is the one with the lowest Bayesian information
    criterion, up to 5 and up to one for every 5 cells.

    Parameters
    ----------
    tracks : array_like of shape (cells, frames, 2)
        Positions x and y, at least 2 cells and 3 frames.
    clusters : int, optional
        The number of clusters instead; fewer are made where fewer cells differ.
    seed : int, numpy.random.Generator or None
        Where the mixture starts from.

    Returns
    -------
    numpy.ndarray
        Labels, int of shape (cells,), from 0 without a gap.

    Raises
    ------
    DataError
        As :func:`mimic_motility`.

    Examples
    --------
    >>> from tumorkeras.data.simulate import simulate_motility
    >>> slow = simulate_motility("random_walk", 20, mean_step=1, seed=0)
    >>> fast = simulate_motility("fractional_brownian", 20, hurst=0.9, mean_step=9, seed=1)
    >>> labels = behaviour_clusters(np.concatenate([slow, fast]), clusters=2, seed=0)
    >>> set(labels[:20].tolist()) & set(labels[20:].tolist())
    set()
    """
    positions = _check(tracks, 0, clusters, seed)
    points = describe_behaviour(positions)
    distinct = len(np.unique(points.round(9), axis=0))
    most = max(1, min(MOST_CLUSTERS, len(points) // CELLS_PER_CLUSTER))
    counts = [clusters] if clusters else range(1, most + 1)
    state = int(np.random.default_rng(seed).integers(2**31))
    mixtures = [_mixture(min(count, distinct), state).fit(points) for count in counts]
    labels = min(mixtures, key=lambda mixture: mixture.bic(points)).predict(points)
    return np.unique(labels, return_inverse=True)[1]


def describe_behaviour(positions: np.ndarray) -> np.ndarray:
    """Log speed, dispersion of steps, mean cosine of turns, log relative extent, standardised: (cells, 4)."""
    displacements, lengths = steps_of(positions)
    speed = lengths.mean(axis=1)
    unit = np.where(speed > 0, speed, 1)
    centred = positions - positions.mean(axis=1, keepdims=True)
    extent = np.sqrt((centred**2).sum(axis=-1).mean(axis=1)) / unit
    floor = 0.01 * (speed.mean() or 1)  # cells at rest have no log speed
    columns = [
        np.log(speed + floor),
        lengths.std(axis=1) / unit,
        np.cos(turns_of(displacements)).mean(axis=1),
        np.log(extent + 0.01),
    ]
    points = np.stack(columns, axis=1)
    deviation = points.std(axis=0)
    return (points - points.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1)


def _mixture(count: int, state: int) -> GaussianMixture:
    # Diagonal and with a floor under the variances, so that ten cells are enough to fit it.
    return GaussianMixture(count, covariance_type="diag", reg_covar=1e-2, n_init=3, max_iter=500, random_state=state)


def _alike(positions: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """For each cell, the few cells of its cluster that move most like it, itself among them."""
    points = describe_behaviour(positions)
    alike: list[np.ndarray] = [np.empty(0, np.intp)] * len(labels)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(members))).fit(points[members])
        for member, nearest in zip(members, search.kneighbors(points[members])[1], strict=True):
            alike[member] = members[nearest]
    return alike


def _draw_pieces(
    alike: list[np.ndarray], model: np.ndarray, frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each step (n, frames - 1) the real cell that it is taken from, and its place in that cell's track.

    Each step begins a new piece with the same probability, so that lengths are geometric; a piece that
    reaches the end of a track goes on from its beginning, so that all steps are taken equally often.
    """
    count, places = frames - 1, frames - 2
    shape = (len(model), count)
    begins = rng.random(shape) < min(1.0, BLOCKS / count)
    begins[:, 0] = True
    start = np.maximum.accumulate(np.where(begins, np.arange(count), 0), axis=1)
    sizes = np.array([len(cells) for cells in alike])
    padded = np.stack([np.resize(cells, sizes.max()) for cells in alike])
    cells = padded[model[:, None], rng.integers(np.broadcast_to(sizes[model][:, None], shape))]
    place = rng.integers(places, size=shape)
    cell = np.take_along_axis(cells, start, axis=1)
    frame = (np.take_along_axis(place, start, axis=1) + np.arange(count) - start) % places
    return cell, frame


def _smoothed_speed(speed: np.ndarray, labels: np.ndarray, model: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean steps (n,): those of the model cells with noise on the log scale.

    They are then drawn towards the cluster's mean, so that its variance stays as it was: Silverman, Density
    Estimation (1986), section 6.4. A cell at rest stays at rest.
    """
    drawn = np.log(np.where(speed > 0, speed, 1))[model]
    noise = rng.standard_normal(len(model))
    for label in np.unique(labels):
        moving = np.log(speed[(labels == label) & (speed > 0)])
        deviation = moving.std() if len(moving) else 0.0
        if deviation == 0:
            continue
        width = 1.06 * len(moving) ** -0.2
        mine = labels[model] == label
        noisy = drawn[mine] - moving.mean() + width * deviation * noise[mine]
        drawn[mine] = moving.mean() + noisy / np.sqrt(1 + width**2)
    return np.where(speed[model] > 0, np.exp(drawn), 0)


def _check(tracks: ArrayLike, n: Any, clusters: Any, seed: Any) -> np.ndarray:
    faults: list[str] = []
    positions = np.empty((0, 0, 2))
    try:
        positions = check_tracks(tracks, "mimic_motility", cells=2, frames=3)
    except DataError as error:
        faults += error.faults
    if not (is_integer(n) and n >= 0):
        faults.append(f"n: found {n!r}, expected an integer from 0")
    if clusters is not None and not (is_integer(clusters) and clusters >= 1):
        faults.append(f"clusters: found {clusters!r}, expected an integer from 1, or None")
    elif clusters is not None and len(positions) and clusters > len(positions):
        faults.append(f"clusters: found {clusters}, expected at most {len(positions)}, the number of cells")
    if not is_seed(seed):
        faults.append(f"seed: found {seed!r}, expected an integer from 0, a numpy Generator or None")
    if faults:
        raise DataError("mimic_motility", faults)
    return positions
