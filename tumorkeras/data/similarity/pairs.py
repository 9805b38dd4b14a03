"""Near-duplicate pairs and groups among thumbnails."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tumorkeras.data.similarity.candidates import candidates
from tumorkeras.data.similarity.comparison import (
    LEAST_FLIPPED,
    aligned_similarity,
    bounds,
    detail_of,
    plain_similarity,
)
from tumorkeras.data.similarity.thumbnails import SIDE

COLUMNS = ["first", "second", "similarity", "change"]
ALIGNED = 5  # of the neighbours of each picture; alignment takes most of the time
ALL_PAIRS = 64  # equal thumbnails up to which every pair is listed; of more, those with the first one

# What was done to a copy is told only where the copy is good, and no more than a thumbnail shows.
TOLD = 0.97  # similarity from which on it is told
CROPPED = 0.9  # similarity of the common window, which interpolation blurs, and
MOVED = 0.05  # by how much it must be above that of the whole where a copy is called cropped
SAME_GAIN, SAME_OFFSET = 0.05, 4.0  # departure from 1, and grey levels, that rounding and compression explain


def near_duplicates(thumbnails: np.ndarray, *, valid: np.ndarray | None = None) -> pd.DataFrame:
    """Pairs of pictures of which one looks like a copy of the other.

    The similarity is the correlation of the pictures' detail, without slow changes of brightness: of the whole or of
    the window that both show, in the best of the four ways round. What counts as near depends on the data: it must
    lie so far above the similarity of random pairs that at most one pair of the whole set is expected to do
    so by chance. So round nodules or blood cells that all look alike are not taken for copies. Flat
    thumbnails (constant images) are left out: they are no evidence.

    Time grows with n ** 1.5 and memory with n; nothing is held for every two pictures.

    Parameters
    ----------
    thumbnails : ndarray, shape (n, SIDE, SIDE), uint8
        As :func:`thumbnail` makes them.
    valid : ndarray of bool, shape (n,), optional
        False for pictures to leave out, such as unreadable ones.

    Returns
    -------
    DataFrame
        A row a pair: ``first`` < ``second``, places of the thumbnails; ``similarity``, 0..1; ``change``, what was
        done as far as thumbnails tell: "same" (equal thumbnails: the same file, or a copy without loss),
        "resized or recompressed", "brightness" (or contrast), "flipped" (whatever else was done), "cropped"
        (one shows a window of the other, or is shifted), or "similar" (a neighbouring frame, other calipers,
        more than one change).

    Raises
    ------
    ValueError
        If the shape or type of the thumbnails, or the length of ``valid``, is another.

    Examples
    --------
    >>> import cv2; from tumorkeras.data.similarity import thumbnail
    >>> rng = np.random.default_rng(0)
    >>> pictures = [cv2.GaussianBlur(rng.random((90, 120)), (0, 0), 4) for _ in range(6)]
    >>> pictures += [pictures[1][:, ::-1], pictures[4]]
    >>> near_duplicates(np.stack([thumbnail(picture) for picture in pictures]))
       first  second  similarity   change
    0      1       6         1.0  flipped
    1      4       7         1.0     same
    """
    thumbnails = np.asarray(thumbnails)
    rows = _usable(thumbnails, valid)
    codes, _ = pd.factorize(np.array([thumbnails[row].tobytes() for row in rows], dtype=object))
    firsts = np.unique(codes, return_index=True)[1]
    distinct = thumbnails[rows[firsts]]
    found = _alike(distinct) if len(distinct) > 1 else _table([])
    members = np.split(rows[np.argsort(codes, kind="stable")], np.cumsum(np.bincount(codes))[:-1]) if len(rows) else []
    equal = [pair for group in members if len(group) > 1 for pair in _within(group)]
    pairs = [*_spread(found, members), *((*pair, 1.0, "same") for pair in equal)]
    return _table(pairs).sort_values(["first", "second"], ignore_index=True)


def _usable(thumbnails: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """Rows of the thumbnails that show something."""
    if thumbnails.ndim != 3 or thumbnails.shape[1:] != (SIDE, SIDE) or thumbnails.dtype != np.uint8:
        found = f"{thumbnails.dtype} of shape {thumbnails.shape}"
        raise ValueError(f"thumbnails: found {found}, expected uint8 of shape (n, {SIDE}, {SIDE})")
    shown = (thumbnails != thumbnails[:, :1, :1]).any((1, 2))
    if valid is not None:
        if np.shape(valid) != shown.shape:
            raise ValueError(f"valid: found shape {np.shape(valid)}, expected {shown.shape}")
        shown &= np.asarray(valid, bool)
    return np.flatnonzero(shown)


def _alike(thumbnails: np.ndarray) -> pd.DataFrame:
    """Near-duplicate pairs of thumbnails no two of which are equal."""
    pairs, detail = candidates(thumbnails), detail_of(thumbnails)
    least = bounds(detail)
    plain = plain_similarity(detail, pairs)
    near = plain >= least.plain
    # Those that are near as they lie are aligned as well, to tell what was done to them.
    wanted = near | (pairs["rank"] < ALIGNED).to_numpy()
    pairs, plain, near = pairs[wanted], plain[wanted], near[wanted]
    aligned = aligned_similarity(detail, pairs)
    near |= aligned >= least.aligned
    near &= (pairs["flip"] == 0).to_numpy() | (np.maximum(plain, aligned) >= LEAST_FLIPPED)
    pairs = pairs[near].assign(plain=plain[near], aligned=aligned[near])
    pairs["similarity"] = pairs[["plain", "aligned"]].max(axis=1).clip(0, 1).astype("float64").round(4)
    return pairs.assign(change=_changes(thumbnails, pairs))


def _changes(thumbnails: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
    """What was done to the one picture of each pair to get the other."""
    first, second, flip = (pairs[name].to_numpy() for name in ("first", "second", "flip"))
    change = np.full(len(pairs), "similar", dtype=object)
    plain, aligned = pairs["plain"].to_numpy(), pairs["aligned"].to_numpy()
    change[(aligned >= CROPPED) & (aligned > plain + MOVED)] = "cropped"
    one, other = (
        values.reshape(-1, SIDE * SIDE).astype("float64") for values in (thumbnails[first], thumbnails[second])
    )
    gain = other.std(1) / one.std(1)
    offset = np.abs(other.mean(1) - one.mean(1))
    unchanged = (np.abs(np.log(gain)) <= SAME_GAIN) & (offset <= SAME_OFFSET)
    good = (plain >= TOLD) & (change == "similar")
    change[good & unchanged] = "resized or recompressed"
    change[good & ~unchanged] = "brightness"
    change[flip > 0] = "flipped"
    return change


def _within(group: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of equal thumbnails; of very many those with the first, so that they stay fewer than the square."""
    if len(group) > ALL_PAIRS:
        return [(int(group[0]), int(row)) for row in group[1:]]
    return [(int(a), int(b)) for k, a in enumerate(group) for b in group[k + 1 :]]


def _spread(found: pd.DataFrame, members: list[np.ndarray]) -> list[tuple[int, int, float, str]]:
    """Pairs of distinct thumbnails as pairs of all the pictures that have them."""
    pairs = []
    for first, second, similarity, change in found[COLUMNS].itertuples(index=False):
        left, right = members[first], members[second]
        if len(left) * len(right) > ALL_PAIRS:
            left, right = left[:1], right[:1]
        pairs += [(*sorted((int(a), int(b))), similarity, change) for a in left for b in right]
    return pairs


def _table(pairs: Iterable[tuple[int, int, float, str]]) -> pd.DataFrame:
    types = {"first": "int64", "second": "int64", "similarity": "float64", "change": object}
    return pd.DataFrame(list(pairs), columns=COLUMNS).astype(types)  # type: ignore[arg-type]


def duplicate_groups(n: int, pairs: pd.DataFrame) -> np.ndarray:
    """Number of the group of each of ``n`` pictures, (n,) int64, counted from 0 in the order of their first pictures.

    Pictures that a chain of pairs joins are one group; a picture in no pair is a group of its own.

    Examples
    --------
    >>> duplicate_groups(5, pd.DataFrame({"first": [0, 2], "second": [2, 4]})).tolist()
    [0, 1, 0, 2, 0]
    """
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    _, numbers = connected_components(coo_matrix((np.ones(len(pairs)), (first, second)), shape=(n, n)), directed=False)
    return pd.factorize(numbers)[0].astype("int64")
