"""Features as points of a plane, to be looked at."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.features.standard import standardised

Floats = NDArray[np.float64]
Method = Literal["pca", "tsne", "umap"]
Facts = dict[Hashable, Any]  # what `attrs` says of a method
PERPLEXITY = 30.0  # about how many neighbours t-SNE keeps near
NEIGHBOURS = 15  # of UMAP


def embed_features(features: ArrayLike | pd.DataFrame, method: Method = "pca", seed: int = 0) -> pd.DataFrame:
    """Place each sample in the plane, near those that it is like.

    Each feature is first brought to mean 0 and deviation 1; one that does not vary changes nothing.

    Parameters
    ----------
    features : DataFrame or array-like of float, shape (n, k)
        At least 3 samples.
    method : {"pca", "tsne", "umap"}, default "pca"
        The two principal components, whose distances can be read; t-SNE or UMAP, which keep neighbours together:
        sizes of groups and distances between them mean nothing there. UMAP needs the extra ``embedding``.
    seed : int, default 0
        The same seed gives the same points on one machine.

    Returns
    -------
    DataFrame
        Columns `x` and `y`, float64, the rows of `features`. ``attrs`` holds ``method``, ``seed`` and, by method,
        ``explained_variance`` (shares of x and y, 0 to 1), ``perplexity`` (30, less below 91 samples) or
        ``neighbours`` (15, less below 16 samples).

    Raises
    ------
    DataError
        For too few samples, features that are NaN, infinite (their columns are named) or do not vary, an unknown
        method.
    MissingExtraError
        For UMAP, where umap-learn is not installed.

    References
    ----------
    t-SNE: van der Maaten & Hinton, *JMLR* 9:2579-2605, 2008. UMAP: McInnes, Healy & Melville, arXiv:1802.03426, 2018.

    Examples
    --------
    >>> points = embed_features([[0, 0, 9], [4, 0, 9], [0, 3, 9], [4, 4, 9]])
    >>> list(points.columns), [round(share, 2) for share in points.attrs["explained_variance"]]
    (['x', 'y'], [0.57, 0.43])
    """
    values, faults = standardised(features)
    if not faults and len(values) < 3:
        faults.append(f"features: {len(values)} samples; at least 3 are needed")
    if method not in get_args(Method):
        faults.append(f"method: {method!r} is not one of {', '.join(get_args(Method))}")
    if faults:
        raise DataError("embed_features", faults)
    if values.shape[1] == 1:
        values = np.pad(values, ((0, 0), (0, 1)))  # a line lies in a plane
    points, found = {"pca": _pca, "tsne": _tsne, "umap": _umap}[method](values, seed)
    index = features.index if isinstance(features, pd.DataFrame) else None
    table = pd.DataFrame(points.astype(np.float64), columns=["x", "y"], index=index)
    table.attrs = {"method": method, "seed": seed} | found
    return table


def _pca(values: Floats, seed: int) -> tuple[Floats, Facts]:
    from sklearn.decomposition import PCA

    pca = PCA(2, random_state=seed)
    points = pca.fit_transform(values)
    return points, {"explained_variance": pca.explained_variance_ratio_.tolist()}


def _tsne(values: Floats, seed: int) -> tuple[Floats, Facts]:
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)  # it keeps three times as many neighbours in sight
    points = TSNE(perplexity=perplexity, random_state=seed).fit_transform(values)
    return points, {"perplexity": perplexity}


def _umap(values: Floats, seed: int) -> tuple[Floats, Facts]:
    try:
        from umap import UMAP
    except ImportError:
        raise MissingExtraError("umap-learn", "embedding") from None
    neighbours = min(NEIGHBOURS, len(values) - 1)
    # Started from the components: the default needs more samples, and is not the same everywhere.
    model = UMAP(n_neighbors=neighbours, init="pca", random_state=seed, n_jobs=1)
    return model.fit_transform(values), {"neighbours": neighbours}
