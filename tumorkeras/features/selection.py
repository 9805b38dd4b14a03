"""Which features to keep: relevant to the classes, and not a copy of one another."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tumorkeras.errors import DataError
from tumorkeras.features.likeness import MEASURES, Measure, likeness_of


class RelevanceTreeSelector(SelectorMixin, BaseEstimator):
    """Keeps the most relevant feature of each group of like ones, by a threshold and a tree.

    1. A feature whose relevance to the classes is not above ``theta`` goes.
    2. The others are joined to a tree in which each hangs on those that it is most like: the spanning tree of
       greatest total likeness.
    3. An edge is cut where its two features are less like each other than each is relevant.
    4. Of every subtree that is left the most relevant feature is kept; of equal ones the first.

    Two copies of a feature so become one, however many features are between them. A feature that says something only
    together with another, as in exclusive or, has no relevance of its own and is not found.

    Parameters
    ----------
    theta : float, default 0.05
        Relevance that a feature must exceed: 0 to below 1, of ``"mutual_info"`` 0 or more.
    measure : {"symmetric_uncertainty", "mutual_info", "correlation"}, default "symmetric_uncertainty"
        Of a feature and the class, and of two features. The first two see any dependence; they cut a feature into bins
        of equal counts, as many as the cube root of the number of samples, 2 to 8. Symmetric uncertainty is from 0 to
        1, mutual information in nats; by chance alone they are above 0, the more so the fewer samples there are.
        ``"correlation"`` sees straight lines only: Pearson's coefficient of two features without its sign, the
        correlation ratio of a feature and the classes.

    Attributes
    ----------
    relevance_ : ndarray, shape (n_features,)
        Of each feature to the classes.
    tree_ : pandas.DataFrame
        The edges of the tree: ``feature`` and ``other`` (column numbers), ``likeness``, and ``is_cut``.
    group_ : ndarray, shape (n_features,)
        The subtree of each feature, numbered from 0 in the order of their first features; -1 for what is irrelevant.
    support_ : ndarray, shape (n_features,), bool
        What is kept.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Raises
    ------
    DataError
        From ``fit``: a parameter out of its range, or fewer than two classes. NaN and infinite values are refused as
        scikit-learn does.

    Warns
    -----
    UserWarning
        From ``fit``: no relevance is above ``theta``, with the largest that there is. Then nothing is kept, and
        ``transform`` gives tables without columns, as scikit-learn's selectors do.

    See Also
    --------
    tumorkeras.plots.feature_tree : The tree as a picture.

    Notes
    -----
    Algorithm 3.1 of Wajeed & Sreenivasulu, *Traitement du Signal* 36(5):445-453, 2019, which abridges the FAST
    algorithm of Song, Ni & Wang, *IEEE TKDE* 25(1):1-14, 2013. Taken by the letter their spanning tree is of least
    total likeness: in it two copies of a feature may meet only through a third that is like neither, and both are
    kept. The tree here is that of greatest likeness, which does what the text promises.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], 200)
    >>> useful = y + rng.normal(0, 0.5, 400)
    >>> other = y + rng.normal(0, 0.5, 400)
    >>> X = np.stack([useful, rng.normal(size=400), 3 * useful + 1, other], axis=1)
    >>> selector = RelevanceTreeSelector().fit(X, y)
    >>> selector.get_support().tolist(), selector.group_.tolist()
    ([True, False, False, True], [0, -1, 0, 1])
    >>> selector.transform(X).shape
    (400, 2)
    """

    def __init__(self, theta: float = 0.05, *, measure: Measure = "symmetric_uncertainty") -> None:
        self.theta = theta
        self.measure = measure

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Choose from features X (samples, features) by classes y (samples,) of any type."""
        self._check_parameters()
        values, y = validate_data(self, X, y, dtype="float64", ensure_min_samples=2)
        check_classification_targets(y)
        names, classes = np.unique(y, return_inverse=True)
        if len(names) < 2:
            raise DataError("RelevanceTreeSelector", ["y: there is 1 class, expected at least 2"])
        likeness = likeness_of(np.asarray(values), classes, self.measure)
        self.relevance_ = likeness.relevance()
        relevant = np.flatnonzero(self.relevance_ > self.theta)
        if not len(relevant):
            best = int(self.relevance_.argmax())
            largest = f"the largest is {self.relevance_[best]:.4g}, of feature {best}"
            warnings.warn(f"no feature is kept: no relevance is above theta, {self.theta}; {largest}", stacklevel=2)
        self._grow(relevant, likeness.pairs(relevant))
        return self

    def _grow(self, relevant: NDArray[np.intp], pairs: NDArray[np.float32]) -> None:
        first, other = spanning_tree(pairs)
        feature, other_feature, found = relevant[first], relevant[other], pairs[first, other]
        least = np.minimum(self.relevance_[feature], self.relevance_[other_feature])
        is_cut = found < least.astype("float32")  # of one precision: a copy of the class is no less like than relevant
        self.tree_ = pd.DataFrame({"feature": feature, "other": other_feature, "likeness": found, "is_cut": is_cut})
        self.group_ = np.full(len(self.relevance_), -1)
        self.group_[relevant] = _groups(len(relevant), first[~is_cut], other[~is_cut])
        self.support_ = np.zeros(len(self.relevance_), bool)
        order = relevant[np.argsort(-self.relevance_[relevant], kind="stable")]
        self.support_[order[np.unique(self.group_[order], return_index=True)[1]]] = True

    def _get_support_mask(self) -> NDArray[np.bool_]:
        check_is_fitted(self)
        return self.support_

    def _check_parameters(self) -> None:
        faults = []
        if self.measure not in MEASURES:
            faults.append(f"measure: {self.measure!r} is not one of {', '.join(MEASURES)}")
        most = np.inf if self.measure == "mutual_info" else 1
        if not isinstance(self.theta, Real) or isinstance(self.theta, bool) or not 0 <= float(self.theta) < most:
            expected = "0 or more" if self.measure == "mutual_info" else "from 0 to below 1"
            faults.append(f"theta: {self.theta!r} is not {expected}")
        if faults:
            raise DataError("RelevanceTreeSelector", faults)

    def __sklearn_tags__(self):  # type: ignore[no-untyped-def] # noqa: ANN204
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def spanning_tree(likeness: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The spanning tree of greatest total likeness, by Prim's algorithm.

    Not SciPy's: it takes a likeness of 0, which is common, for no edge, and holds all edges in memory three times over.

    Parameters
    ----------
    likeness : ndarray, shape (n, n)
        Symmetric; the diagonal is not read.

    Returns
    -------
    tuple of ndarray, each (n - 1,)
        The two ends of each edge, in the order in which they join the tree that starts at 0.

    Examples
    --------
    >>> spanning_tree(np.array([[0, 0.1, 0.9], [0.1, 0, 0.4], [0.9, 0.4, 0]]))
    (array([0, 2]), array([2, 1]))
    """
    count = len(likeness)
    if count < 2:
        return np.empty(0, "intp"), np.empty(0, "intp")
    best = np.array(likeness[0], "float64")  # of each that is outside, to the tree
    near = np.zeros(count, "intp")
    best[0] = -np.inf
    ends = np.empty((2, count - 1), "intp")
    for k in range(count - 1):
        new = int(best.argmax())
        ends[:, k] = near[new], new
        closer = (likeness[new] > best) & (best > -np.inf)
        best[closer], near[closer] = likeness[new][closer], new
        best[new] = -np.inf
    return ends[0], ends[1]


def _groups(count: int, first: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """The connected part of each of ``count`` nodes, numbered in the order of their first nodes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(first)), (first, other)), shape=(count, count))
    return connected_components(edges, directed=False)[1].astype("intp")
