"""How well clusters agree with classes that were known beside them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_groups, check_labels, check_settings, rows_of
from tumorkeras.metrics.intervals import percentiles

Ints = NDArray[np.int64]
NOISE = -1  # the cluster of what belongs to none
FIGURES = ["ARI", "AMI", "purity"]


def clustering_agreement(
    labels: ArrayLike,
    clusters: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of the agreement of clusters with classes, with resampling intervals.

    The names of clusters do not count: to exchange two of them changes nothing.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Class ids, from 0.
    clusters : array-like of int, shape (n,)
        Cluster numbers, from 0; -1 is noise, a sample of no cluster.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample. Whole groups are resampled where it is given.
    confidence : float, default 0.95
        Coverage of the intervals.
    resamples : int, default 1000
        Random halves of the units, see Notes.
    seed : int, default 0

    Returns
    -------
    DataFrame
        Columns `value`, `low`, `high` and `n`, the number of samples; a row a figure:

        - ``ARI``, adjusted Rand index: 1 where clusters are the classes, 0 on average for clusters by chance.
        - ``AMI``, adjusted mutual information (over the mean of the two entropies): the same ends. It minds small
          classes more than the ARI, which counts pairs. Noise is one more cluster to both.
        - ``purity``: share of the samples whose cluster's majority class is theirs; noise counts as wrong. It grows
          with the number of clusters, to 1 where each sample is its own: compare it at one number only.

        Of a single class ARI and AMI are not defined, and NaN. A resample of a single class is left out of the
        interval; ``attrs["undefined_resamples"]`` says how many were, by figure. ``attrs["units"]`` is the number of
        groups (or samples) resampled, beside ``confidence``, ``resamples``, ``seed`` and ``resampled_by``. With fewer
        than two units the interval is NaN.

    Raises
    ------
    DataError
        With all faults: lengths that differ, ids or numbers out of range, missing groups, settings out of range.

    Notes
    -----
    The interval is from the percentiles over random halves of the units, drawn without replacement: they spread about
    the value as the value does about the truth (Shao & Wu, *Annals of Statistics* 17:1176-1197, 1989). A bootstrap
    draws samples twice, and the copies agree with each other: of clusters by chance it finds an agreement.
    The majority class of a cluster is that of all samples, in the halves too.

    References
    ----------
    ARI: Hubert & Arabie, *Journal of Classification* 2:193-218, 1985. AMI: Vinh, Epps & Bailey, *JMLR* 11:2837-2854,
    2010.

    Examples
    --------
    >>> table = clustering_agreement([0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, -1])
    >>> table["value"].round(3).to_dict()
    {'ARI': 0.118, 'AMI': 0.183, 'purity': 0.667}
    """
    ids, faults = check_labels(labels, None)
    numbers, cluster_faults = check_clusters(clusters)
    codes, group_faults = check_groups(groups, len(ids))
    faults += cluster_faults + group_faults + check_settings(confidence=confidence, resamples=resamples)
    if len(ids) != len(numbers):
        faults.append(f"labels and clusters: {len(ids)} and {len(numbers)} rows; give the same number of both")
    if faults:
        raise DataError("clustering_agreement", faults)
    pairing = _pairing(ids, numbers)
    units = np.arange(len(ids)) if codes is None else codes
    count = int(units.max()) + 1
    value = _figures(pairing, np.ones(len(ids), bool))
    draws = np.full((resamples, len(FIGURES)), np.nan)
    rng = np.random.default_rng(seed)
    for row in draws if count > 1 else ():
        is_drawn = rng.permutation(count) < count // 2
        row[:] = _figures(pairing, is_drawn[units])
    low, high = percentiles(draws, confidence, usable=~np.isnan(value))
    frame = pd.DataFrame({"value": value, "low": low, "high": high, "n": len(ids)}, index=FIGURES)
    undefined = np.isnan(draws).sum(axis=0)
    frame.attrs = {
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
        "resampled_by": "sample" if groups is None else "group",
        "units": count,
        "undefined_resamples": {name: int(lost) for name, lost in zip(FIGURES, undefined, strict=True) if lost},
    }
    return frame


def check_clusters(clusters: ArrayLike, name: str = "clusters") -> tuple[Ints, list[str]]:
    """Read cluster numbers.

    Returns
    -------
    numbers : ndarray of int64, shape (n,)
        From -1, which is noise; zeros in place of what could not be read.
    faults : list of str

    Examples
    --------
    >>> check_clusters([0, -1, -2])[1]
    ['clusters: integers from -1 (noise) are expected; found otherwise in row 2 (1 of 3), such as -2']
    """
    values = np.asarray(clusters)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        expected = "(n,) integers from -1 (noise) are expected"
        return np.zeros(len(np.atleast_1d(values)), np.int64), [f"{name}: {values.shape} of {values.dtype}; {expected}"]
    wrong = ~np.isfinite(values) | (values != np.floor(values)) | (values < NOISE)
    faults = []
    if wrong.any():
        found = f"found otherwise in {rows_of(wrong)}, such as {values[wrong][0]}"
        faults.append(f"{name}: integers from -1 (noise) are expected; {found}")
    return np.where(wrong, 0, values).astype(np.int64), faults


class _Pairing(NamedTuple):
    """The cell of each sample in the table of clusters and classes, that table's shape, and who counts for purity."""

    cells: Ints
    shape: tuple[int, int]
    is_pure: NDArray[np.bool_]


def _pairing(ids: Ints, numbers: Ints) -> _Pairing:
    names, rows = np.unique(numbers, return_inverse=True)
    classes, columns = np.unique(ids, return_inverse=True)
    shape = (len(names), len(classes))
    cells = rows * shape[1] + columns
    majority = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).argmax(axis=1)
    return _Pairing(cells, shape, (majority[rows] == columns) & (numbers != NOISE))


def _figures(pairing: _Pairing, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """ARI, AMI and purity of the chosen samples."""
    size = pairing.shape[0] * pairing.shape[1]
    table = np.bincount(pairing.cells[chosen], minlength=size).reshape(pairing.shape)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    purity = float(pairing.is_pure[chosen].mean())
    if table.shape[1] < 2:
        return np.array([np.nan, np.nan, purity])
    return np.array([_adjusted_rand(table), _adjusted_information(table), purity])


def _adjusted_rand(table: Ints) -> float:
    both, by_cluster, by_class, total = (
        float((counts * (counts - 1.0) / 2).sum())
        for counts in (table, table.sum(axis=1), table.sum(axis=0), table.sum())
    )
    expected, most = by_cluster * by_class / total, (by_cluster + by_class) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def _adjusted_information(table: Ints) -> float:
    from sklearn.metrics.cluster import expected_mutual_information

    if len(table) < 2:
        return 0.0
    total = int(table.sum())
    by_cluster, by_class = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    expected = float(expected_mutual_information(table, total))
    room = (by_cluster + by_class) / 2 - expected
    # No room: each sample is a class and a cluster of its own.
    return 1.0 if room < 1e-12 else (by_cluster + by_class - _entropy(table) - expected) / room


def _entropy(counts: Ints) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
