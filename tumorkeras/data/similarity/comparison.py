"""How alike two thumbnails are, as they lie and laid over each other, and how alike two need to be."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from scipy.special import ndtri

from tumorkeras.data.similarity.alignment import align, correlation, look_through
from tumorkeras.data.similarity.candidates import flipped

# Standard deviations of a normal density, in pixels of the thumbnail.
FINEST = 0.5  # noise, compression and calipers are finer
COARSEST = 8.0  # brightness that falls with depth, and what all scans of one view share, is coarser
MOVEMENT = 1.5  # detail for the alignment: no finer than what a crop by 5 % moves, so half the pixels will do

CHUNK = 512  # pairs worked on at once (50 MB)
LEAST_SIMILARITY = 0.75  # of two near-duplicates, whatever the others look like
LEAST_FLIPPED = 0.9  # a program flips, so the rest of the picture is a copy; patients have no flipped frames
CERTAIN = 0.999  # the same picture, even where all pictures look alike
LEAST_DISTANCE = 4.5  # standard deviations above what unrelated pictures share, however few there are
UNRELATED = 10_000  # random pairs that are measured for it; of 2,000 the bound depends on which they are
PRIOR_MEAN, PRIOR_DEVIATION, PRIOR_PAIRS = 0.25, 0.25, 50  # of Fisher's z, before a pair was seen
ENOUGH = 16  # pictures; of fewer, pairs of copies may be a tenth of all pairs


class Detail(NamedTuple):
    """What thumbnails are compared by: float16, for a set of 100,000 is to fit into a laptop."""

    fine: np.ndarray  # (n, side, side), mean 0 and length 1: what the similarity is taken of
    smooth: np.ndarray  # (n, side / 2, side / 2), 0..1: what the alignment goes by


class Bounds(NamedTuple):
    """The similarity from which a pair is near-duplicate, as the pictures lie and after alignment."""

    plain: float
    aligned: float


def detail_of(thumbnails: np.ndarray) -> Detail:
    """Detail of thumbnails (n, side, side) uint8.

    Examples
    --------
    >>> detail_of(np.arange(2048).reshape(2, 32, 32).astype("uint8")).fine.shape
    (2, 32, 32)
    """
    fine = np.empty(thumbnails.shape, "float16")
    side = thumbnails.shape[-1] // 2
    smooth = np.empty((len(thumbnails), side, side), "float16")
    for k, thumbnail in enumerate(thumbnails):
        values = thumbnail.astype("float32") / 255
        band = cv2.GaussianBlur(values, (0, 0), FINEST)
        band = band - cv2.GaussianBlur(band, (0, 0), COARSEST)
        band -= band.mean()
        fine[k] = band / max(float(np.linalg.norm(band)), 1e-6)
        smooth[k] = cv2.resize(cv2.GaussianBlur(values, (0, 0), MOVEMENT), (side, side), interpolation=cv2.INTER_AREA)
    return Detail(fine, smooth)


def plain_similarity(detail: Detail, pairs: pd.DataFrame) -> np.ndarray:
    """Correlation of the fine detail of pairs (``first``, ``second``, ``flip``) as they lie, (pairs,) float32."""
    return np.concatenate([np.empty(0, "float32"), *(_plain(detail, chunk) for chunk in _chunks(pairs))])


def _plain(detail: Detail, pairs: pd.DataFrame) -> np.ndarray:
    first, second, flip = (pairs[name].to_numpy() for name in ("first", "second", "flip"))
    fine = detail.fine[first].astype("float32")
    return np.einsum("prc,prc->p", fine, flipped(detail.fine[second].astype("float32"), flip))


def aligned_similarity(detail: Detail, pairs: pd.DataFrame) -> np.ndarray:
    """Correlation of the fine detail of pairs in the window that both show, (pairs,); either may be the crop."""
    return np.concatenate([np.empty(0, "float32"), *(_aligned(detail, chunk) for chunk in _chunks(pairs))])


def _aligned(detail: Detail, pairs: pd.DataFrame) -> np.ndarray:
    first, second, flip = (pairs[name].to_numpy() for name in ("first", "second", "flip"))
    smooth, fine = (values[first].astype("float32") for values in detail[::-1])
    other_smooth, other_fine = (flipped(values[second].astype("float32"), flip) for values in detail[::-1])
    windows = align(smooth, other_smooth) * np.array([1, 2, 1, 2], "float32")  # shifts in the pixels of the fine detail
    view, inside = look_through(fine, windows)
    return correlation(view, other_fine, inside).astype("float32")


def _chunks(pairs: pd.DataFrame) -> list[pd.DataFrame]:
    return [pairs.iloc[start : start + CHUNK] for start in range(0, len(pairs), CHUNK)]


def bounds(detail: Detail) -> Bounds:
    """The similarity that not one pair of unrelated pictures is expected to reach by chance, but at least 0.75.

    Random pairs are measured; Fisher's z (the inverse hyperbolic tangent) of their similarity is near normal, and
    its mean and upper decile give the rest. A few pairs of copies among them do not move these; of few pictures
    too little is known, so that a prior counts as well.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 255, (40, 32, 32)).astype("uint8")
    >>> bounds(detail_of(noise)).plain
    0.75
    """
    count = len(detail.fine)
    compared = count * (count - 1) / 2
    return bounds_at(detail, max(LEAST_DISTANCE, float(-ndtri(1 / max(compared, 2)))))


def bounds_at(detail: Detail, distance: float) -> Bounds:
    """The similarity that is ``distance`` standard deviations above the mean of unrelated pairs, but at least 0.75."""
    count = len(detail.fine)
    rng = np.random.default_rng(0)
    drawn = np.sort(rng.integers(0, count, (UNRELATED, 2)), axis=1)
    drawn = np.unique(drawn[drawn[:, 0] < drawn[:, 1]], axis=0)
    pairs = pd.DataFrame(drawn, columns=["first", "second"]).assign(flip=0)
    plain = _bound(plain_similarity(detail, pairs), distance, count)
    # Alignment makes one round spot the picture of any other, so nothing is certain there.
    return Bounds(min(plain, CERTAIN), _bound(aligned_similarity(detail, pairs), distance, count))


def _bound(similarity: np.ndarray, distance: float, count: int) -> float:
    z = np.arctanh(np.clip(similarity, -0.99999, 0.99999))
    middle, decile = np.quantile(z, [0.5, 0.9])
    share = len(z) / (len(z) + PRIOR_PAIRS)
    mean = share * middle + (1 - share) * PRIOR_MEAN
    deviation = PRIOR_DEVIATION
    if count >= ENOUGH:
        deviation = share * (decile - middle) / ndtri(0.9) + (1 - share) * PRIOR_DEVIATION
    return max(LEAST_SIMILARITY, float(np.tanh(mean + distance * deviation)))
