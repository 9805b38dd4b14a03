"""How much features say about classes and about each other: of all pairs, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Measure = Literal["symmetric_uncertainty", "mutual_info", "correlation"]
MEASURES: tuple[Measure, ...] = ("symmetric_uncertainty", "mutual_info", "correlation")
BLOCK = 256  # features that meet as many others at once
MOST_BINS = 8

Floats = NDArray[np.float64]
OneHot = NDArray[np.float32]  # (samples, bins, features)


class Likeness(Protocol):
    """A measure on the features of a table."""

    def relevance(self) -> Floats:
        """Of each feature to the classes, (features,)."""

    def pairs(self, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """Of each chosen feature to each other one, (chosen, chosen), symmetric; the diagonal means nothing."""


def likeness_of(values: Floats, classes: NDArray[np.intp], measure: Measure) -> Likeness:
    """The measure of that name on features (samples, features) and class ids (samples,)."""
    if measure == "correlation":
        return Correlation(values, classes)
    return Information(values, classes, normalised=measure == "symmetric_uncertainty")


class Information:
    """Mutual information in nats, or symmetric uncertainty, of features cut into bins of equal counts.

    There are as many bins as the cube root of the number of samples, 2 to 8. A feature with no more values than that
    is taken as it is.

    References
    ----------
    Symmetric uncertainty: 2 I(X, Y) / (H(X) + H(Y)), Press et al., *Numerical Recipes in C*, 1988, section 14.4.
    """

    def __init__(self, values: Floats, classes: NDArray[np.intp], normalised: bool) -> None:
        self.codes = binned(values, bins_for(len(values)))
        self.bins = int(self.codes.max(initial=0)) + 1
        self.classes, self.normalised = classes, normalised
        samples = len(values)
        counts = np.arange(samples + 1, dtype="float64")
        # An entropy needs the sum of c log c over counts, which never passes n log n. As whole numbers of so fine a
        # step the sums do not depend on their order: two copies of a feature are alike to the last bit.
        self.step = samples * np.log(max(samples, 2)) / (2**31 - 1 - samples)
        self.terms = np.rint(counts * np.log(np.maximum(counts, 1)) / self.step).astype("int32")
        self.entropies = np.concatenate([self._entropies(_one_hot(part, self.bins)) for part in self._parts()])

    def relevance(self) -> Floats:
        """Of each feature to the classes."""
        known = _one_hot(self.classes[:, None], int(self.classes.max()) + 1)
        own = self._entropies(known)
        shared = [self._joint(_one_hot(part, self.bins), known)[:, 0] for part in self._parts()]
        return self._likeness(np.concatenate(shared), self.entropies, own)

    def pairs(self, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """Of each chosen feature to each other one."""
        found = np.zeros((len(chosen), len(chosen)), "float32")
        entropies = self.entropies[chosen]
        blocks = list(_blocks(len(chosen)))
        for number, rows in enumerate(blocks):
            own = _one_hot(self.codes[:, chosen[rows]], self.bins)
            for columns in blocks[: number + 1]:
                other = _one_hot(self.codes[:, chosen[columns]], self.bins)
                joint = self._joint(own, other)
                part = self._likeness(joint, entropies[rows][:, None], entropies[columns])
                found[rows, columns], found[columns, rows] = part, part.T
        return found

    def _parts(self) -> Iterator[NDArray[np.uint8]]:
        return (self.codes[:, rows] for rows in _blocks(self.codes.shape[1]))

    def _joint(self, own: OneHot, other: OneHot) -> Floats:
        """Entropies (n, m) of each of n features with each of m others."""
        samples, bins, count = own.shape
        products = own.reshape(samples, -1).T @ other.reshape(samples, -1)
        terms = self.terms[products.astype("int32")].reshape(bins, count, *other.shape[1:])
        return self._entropy(terms.sum(axis=(0, 2), dtype="int32"))

    def _entropies(self, own: OneHot) -> Floats:
        """Entropy (n,) of each feature."""
        return self._entropy(self.terms[own.sum(axis=0).astype("int32")].sum(axis=0, dtype="int32"))

    def _entropy(self, sums: NDArray[np.int32]) -> Floats:
        return (self.terms[-1] - sums) * (self.step / len(self.codes))

    def _likeness(self, joint: Floats, own: Floats, other: Floats) -> Floats:
        both = own + other
        shared = np.maximum(both - joint, 0)
        if not self.normalised:
            return shared
        return np.minimum(np.divide(2 * shared, both, out=np.zeros_like(shared), where=both > 1e-6), 1)


class Correlation:
    """Pearson's correlation of two features, as its absolute value, and a feature's correlation ratio to the classes.

    Of two classes the ratio, the square root of the share of the variance that lies between the classes, is the
    absolute correlation with the class.
    """

    def __init__(self, values: Floats, classes: NDArray[np.intp]) -> None:
        scale = np.abs(values).max(axis=0, initial=0)
        centred = values / np.where(scale > 0, scale, 1)
        centred -= centred.mean(axis=0)
        length = np.sqrt((centred**2).sum(axis=0))
        varies = length > 1e-12 * np.sqrt(len(values))
        self.values = np.where(varies, centred / np.where(varies, length, 1), 0)
        self.classes = classes

    def relevance(self) -> Floats:
        """Of each feature to the classes."""
        known = _one_hot(self.classes[:, None], int(self.classes.max()) + 1)[..., 0]
        between = (known.T @ self.values) ** 2 / known.sum(axis=0)[:, None]
        return np.sqrt(np.clip(between.sum(axis=0), 0, 1))

    def pairs(self, chosen: NDArray[np.intp]) -> NDArray[np.float32]:
        """Of each chosen feature to each other one."""
        own = self.values[:, chosen]
        return np.clip(np.abs(own.T @ own), 0, 1).astype("float32")


def bins_for(samples: int) -> int:
    """How many bins a feature is cut into: the cube root of the number of samples, 2 to 8.

    Examples
    --------
    >>> bins_for(20), bins_for(225), bins_for(10_000)
    (2, 6, 8)
    """
    return max(2, min(MOST_BINS, int(samples ** (1 / 3) + 1e-9)))


def binned(values: Floats, bins: int) -> NDArray[np.uint8]:
    """Each feature (samples, features) as whole numbers from 0: its bin of equal counts, or its value if it has few.

    Examples
    --------
    >>> binned(np.array([[1.0, 5], [2, 5], [3, 7], [9, 7]]), 2).T.tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    shares = np.arange(1, bins) / bins
    codes = np.zeros(values.shape, "uint8")
    for rows in _blocks(values.shape[1]):
        part = values[:, rows]
        for edge in np.quantile(part, shares, axis=0, method="inverted_cdf"):
            codes[:, rows] += part > edge
        in_order = np.sort(part, axis=0)
        few = np.flatnonzero((np.diff(in_order, axis=0) != 0).sum(axis=0) < bins)
        for column in few + (rows.start or 0):
            codes[:, column] = np.unique(values[:, column], return_inverse=True)[1]
    return codes


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))


def _one_hot(codes: NDArray, bins: int) -> OneHot:
    """Codes (samples, n) as (samples, bins, n): one 1 a code."""
    return (codes[:, None, :] == np.arange(bins, dtype=codes.dtype)[:, None]).astype("float32")
