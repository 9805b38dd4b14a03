"""The methods that find clusters, and how many clusters are tried."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Method = Literal["kmeans", "gaussian_mixture", "hdbscan"]
MOST_CLUSTERS = 10  # tried where no number is given
SMALLEST_CLUSTER = 5  # of HDBSCAN, where no size is given
MOST_COMPARED = 5000  # samples of which a silhouette is computed: it takes all their distances


class Search(NamedTuple):
    """A method that must be told the number of clusters, and how that number is chosen."""

    fit: Callable[[Floats, int, int], tuple[Ints, float]]  # values, number, seed -> clusters, value of the criterion
    criterion: str
    sign: int  # 1 where a high value is good
    least: int  # clusters that the criterion is defined for
    spare: int  # how many fewer than the samples they must be


def _kmeans(values: Floats, count: int, seed: int) -> tuple[Ints, float]:
    from sklearn.cluster import KMeans

    numbers = KMeans(count, n_init=10, random_state=seed).fit_predict(values)
    return numbers, _silhouette(values, numbers, seed)


def _silhouette(values: Floats, numbers: Ints, seed: int) -> float:
    """Mean over at most 5,000 samples, the same for every clustering; NaN where it is not defined."""
    from sklearn.metrics import silhouette_score

    if len(values) > MOST_COMPARED:
        rows = np.random.default_rng(seed).permutation(len(values))[:MOST_COMPARED]
        values, numbers = values[rows], numbers[rows]
    return float(silhouette_score(values, numbers)) if 1 < len(np.unique(numbers)) < len(values) else np.nan


def _mixture(values: Floats, count: int, seed: int) -> tuple[Ints, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(count, n_init=3, max_iter=300, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below
        numbers = model.fit_predict(values)
    if not model.converged_:
        logger.warning("a mixture of %d did not converge in %d steps", count, model.max_iter)
    return numbers, float(model.bic(values))


SEARCHES = {
    "kmeans": Search(_kmeans, "silhouette", sign=1, least=2, spare=1),
    "gaussian_mixture": Search(_mixture, "BIC", sign=-1, least=1, spare=0),
}


def best(values: Floats, counts: Sequence[int], search: Search, seed: int) -> tuple[Ints, list[float]]:
    """The clusters of the best of the numbers tried, and the criterion of each."""
    tried = [search.fit(values, count, seed) for count in counts]
    worth = [-np.inf if np.isnan(value) else search.sign * value for _, value in tried]
    return tried[int(np.argmax(worth))][0], [value for _, value in tried]


def hdbscan(values: Floats, min_cluster_size: int) -> Ints:
    """The dense places; what lies between them is -1."""
    from sklearn.cluster import HDBSCAN

    return HDBSCAN(min_cluster_size=min_cluster_size, copy=True).fit_predict(values)


def counts_to_try(
    method: str, n_clusters: int | Iterable[int] | None, min_cluster_size: int | None, values: Floats
) -> tuple[list[int], list[str]]:
    """The numbers of clusters to try, and what is wrong with the settings of the method."""
    if method == "hdbscan":
        return [], _density_faults(n_clusters, min_cluster_size, len(values))
    if method not in SEARCHES:
        return [], [f"method: {method!r} is not one of {', '.join(get_args(Method))}"]
    faults = [] if min_cluster_size is None else ["min_cluster_size: is for method 'hdbscan' only"]
    search, distinct = SEARCHES[method], len(np.unique(values, axis=0))
    most = min(distinct, len(values) - search.spare)
    if n_clusters is None:
        counts = list(range(search.least, min(MOST_CLUSTERS, most) + 1))
        few = f"features: {distinct} different rows are too few to choose a number of clusters; give n_clusters"
        return counts, faults + ([] if counts else [few])
    if isinstance(n_clusters, Integral):  # nothing is left to the criterion
        return [int(n_clusters)], faults + _range_faults([int(n_clusters)], 1, distinct, distinct)
    given = list(n_clusters) if isinstance(n_clusters, Iterable) else []
    if not given or not all(isinstance(count, Integral) for count in given):
        return [], [*faults, f"n_clusters: {n_clusters!r} is neither an integer nor some of them"]
    counts = sorted({int(count) for count in given})
    return counts, faults + _range_faults(counts, search.least, most, distinct)


def _range_faults(counts: list[int], least: int, most: int, distinct: int) -> list[str]:
    wrong = [str(count) for count in counts if not least <= count <= most]
    expected = f"for {distinct} different rows it must be from {least} to {most}"
    return [f"n_clusters: found {', '.join(wrong)}; {expected}"] if wrong else []


def _density_faults(n_clusters: object, min_cluster_size: int | None, n: int) -> list[str]:
    faults = []
    if n_clusters is not None:
        faults.append("n_clusters: method 'hdbscan' finds it itself; give min_cluster_size")
    size = SMALLEST_CLUSTER if min_cluster_size is None else min_cluster_size
    if not isinstance(size, Integral) or not 2 <= size <= n:
        faults.append(f"min_cluster_size: {size!r} is not an integer from 2 to {n}, the number of samples")
    return faults
