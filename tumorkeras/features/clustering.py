"""Groups of samples that are alike in their features, found without their classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras import markup
from tumorkeras.errors import DataError
from tumorkeras.features.cluster_methods import SEARCHES, SMALLEST_CLUSTER, Ints, Method, best, counts_to_try, hdbscan
from tumorkeras.features.standard import standardised
from tumorkeras.markup import Cell, Row
from tumorkeras.metrics.checks import check_classes, check_groups, check_labels, check_settings
from tumorkeras.metrics.clustering import NOISE, clustering_agreement

HEADING = "cluster_features"


@dataclass(frozen=True, eq=False, repr=False)
class Clusters:
    """What :func:`cluster_features` found; shows itself in a notebook.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
        The cluster of each sample, numbered from 0 by falling size; -1 is noise.
    n_clusters : int
        Clusters that have a sample, noise not counted.
    method : str
    criterion : DataFrame
        Columns `n_clusters` and `value`, a row for each number tried; without rows for HDBSCAN.
    criterion_name : str
        ``"silhouette"`` (highest is best), ``"BIC"`` (lowest is best), or ``""``.
    agreement : DataFrame or None
        Of :func:`tumorkeras.metrics.clustering_agreement`, where classes are known.
    sizes : Series of int
        Samples of each cluster; noise, where there is any, comes last as -1.
    table : DataFrame of int or None
        Samples by cluster (rows, as in `sizes`) and class (columns), where classes are known.

    Examples
    --------
    >>> cluster_features([[0.0], [0.1], [5.0], [5.1], [5.2]], n_clusters=2)
    <Clusters: 5 samples in 2 clusters of 3, 2 (kmeans)>
    """

    labels: Ints
    n_clusters: int
    method: str
    criterion: pd.DataFrame
    criterion_name: str
    agreement: pd.DataFrame | None
    sizes: pd.Series
    table: pd.DataFrame | None

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self.sizes.drop(NOISE, errors="ignore")))
        noise = f", noise {self.sizes[NOISE]}" if NOISE in self.sizes.index else ""
        samples = f"{len(self.labels)} samples in {self.n_clusters} cluster{'' if self.n_clusters == 1 else 's'}"
        return f"<Clusters: {samples}{' of ' + sizes if sizes else ''}{noise} ({self.method})>"

    def _repr_html_(self) -> str:
        counts = self.sizes.to_frame("samples") if self.table is None else self.table
        rows = [
            Row([Cell("noise" if name == NOISE else str(name)), *(Cell(f"{count:,}", number=True) for count in own)])
            for name, own in zip(counts.index, counts.to_numpy().tolist(), strict=True)
        ]
        parts = [markup.table(["cluster", *map(str, counts)], rows, "Samples of each cluster")]
        if self.agreement is not None:
            values = self.agreement[["value", "low", "high"]].to_numpy("float64").tolist()
            figures = [
                Row([Cell(str(name)), markup.estimate(*own)])
                for name, own in zip(self.agreement.index, values, strict=True)
            ]
            parts.append(markup.table(["agreement with the classes", ""], figures, "Agreement with the classes"))
        return markup.card(repr(self)[1:-1], parts)


def cluster_features(
    features: ArrayLike | pd.DataFrame,
    method: Method = "kmeans",
    n_clusters: int | Iterable[int] | None = None,
    labels: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    *,
    min_cluster_size: int | None = None,
    resamples: int = 1000,
) -> Clusters:
    """Find clusters of samples, and say how well they agree with the classes where these are known.

    Each feature is first brought to mean 0 and deviation 1; one that does not vary changes nothing. Classes have no
    part in the search, not even in the number of clusters.

    Parameters
    ----------
    features : DataFrame or array-like of float, shape (n, k)
    method : {"kmeans", "gaussian_mixture", "hdbscan"}, default "kmeans"
        Round clusters of one size; ellipses of any; dense places of any shape, with what lies between them as noise.
    n_clusters : int or iterable of int, optional
        Their number, or those to choose from: by the mean silhouette of k-means, from 2 on, and the Bayesian
        information criterion of the mixture, from 1 on. Without it up to 10 are tried. HDBSCAN finds its own number.
    labels : array-like of int, shape (n,), optional
        Class ids.
    classes : sequence of str, optional
        Class names; the ids stand in for them.
    groups : array-like, shape (n,), optional
        The patient, exam or other unit of each sample, for the intervals of the agreement.
    seed : int, default 0
    min_cluster_size : int, optional
        HDBSCAN only: the smallest group that counts as a cluster, 5 by default.
    resamples : int, default 1000
        For the intervals of the agreement.

    Returns
    -------
    Clusters

    Raises
    ------
    DataError
        With all faults: features that are NaN, infinite (their columns are named) or do not vary, a single sample,
        fewer different samples than clusters, one cluster among those that a silhouette must choose from, labels or
        groups of another length, an unknown method, a setting of another method.

    Notes
    -----
    K-means is started 10 times, the mixture (a full covariance for each component) 3 times. Of more than 5,000
    samples the silhouette is that of 5,000 drawn by chance.

    References
    ----------
    Silhouette: Rousseeuw, *J. Comput. Appl. Math.* 20:53-65, 1987. BIC: Schwarz, *Annals of Statistics* 6:461-464,
    1978. HDBSCAN: Campello, Moulavi & Sander, *PAKDD*, 160-172, 2013.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> classes = np.repeat([0, 1, 2], 30)
    >>> found = cluster_features(rng.normal(5 * classes[:, None], 1, (90, 4)), labels=classes)
    >>> found.n_clusters, found.criterion["n_clusters"].tolist()
    (3, [2, 3, 4, 5, 6, 7, 8, 9, 10])
    >>> found.agreement.loc["ARI", "value"]
    np.float64(1.0)
    """
    values, faults = standardised(features)
    counts, count_faults = counts_to_try(method, n_clusters, min_cluster_size, values)
    ids, names, label_faults = _read_classes(labels, classes, len(values))
    _, group_faults = check_groups(groups, len(values))
    faults = (faults or count_faults) + label_faults + group_faults + check_settings(resamples=resamples)
    if faults:
        raise DataError(HEADING, faults)
    tried: list[float] = []
    if method == "hdbscan":
        numbers = _by_size(hdbscan(values, min_cluster_size or SMALLEST_CLUSTER))
    else:
        numbers, tried = best(values, counts, SEARCHES[method], seed)
        numbers = _by_size(numbers)
    agreement = table = None
    if ids is not None:
        agreement = clustering_agreement(ids, numbers, groups=groups, resamples=resamples, seed=seed)
        table = _table(numbers, ids, names)
    return Clusters(
        labels=numbers,
        n_clusters=int(numbers.max()) + 1,
        method=method,
        criterion=pd.DataFrame({"n_clusters": np.array(counts, int), "value": np.array(tried, float)}),
        criterion_name=SEARCHES[method].criterion if method in SEARCHES else "",
        agreement=agreement,
        sizes=_sizes(numbers),
        table=table,
    )


def _by_size(numbers: Ints) -> Ints:
    """Number clusters from 0 by falling size, those of one size by their first samples; noise stays."""
    names, first, inverse, sizes = np.unique(numbers, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort([first, -sizes, names == NOISE])
    rank = np.argsort(order)
    return np.where(numbers == NOISE, NOISE, rank[inverse]).astype(np.int64)


def _sizes(numbers: Ints) -> pd.Series:
    counts = pd.Series(numbers, name="samples").value_counts()
    index = pd.Index([*range(int(numbers.max()) + 1), *([NOISE] if (numbers == NOISE).any() else [])], name="cluster")
    return counts.reindex(index).rename("samples")


def _table(numbers: Ints, ids: Ints, names: list[str]) -> pd.DataFrame:
    rows = _sizes(numbers).index
    counts = np.zeros((len(rows), len(names)), np.int64)
    np.add.at(counts, (numbers, ids), 1)  # noise, -1, is the last row
    return pd.DataFrame(counts, index=rows, columns=pd.Index(names, name="class"))


def _read_classes(
    labels: ArrayLike | None, classes: Sequence[str] | None, n: int
) -> tuple[Ints | None, list[str], list[str]]:
    if labels is None:
        return None, [], []
    ids, faults = check_labels(labels, len(classes) if classes else None)
    if len(ids) != n:
        faults.append(f"labels: {len(ids)} for {n} rows of features; give one per row")
    names, class_faults = check_classes(classes, len(classes) if classes else int(ids.max(initial=0)) + 1)
    return ids, names, faults + class_faults
