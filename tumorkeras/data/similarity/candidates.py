"""Pairs of thumbnails that may be copies of one another, in any of the four ways round."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tumorkeras.data.similarity.neighbours import nearest

# What is done to the second picture of a pair: nothing, left-right, up-down, both.
FLIPS = ("", "left-right", "up-down", "by 180 degrees")
# How a flip changes the four parts of a picture: even and odd across, each even and odd down.
SIGNS = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], "float32")

DIMENSIONS = 96  # of the points; near-duplicates among the neighbours do not become more with all 256
NEIGHBOURS = 12  # of each picture, over all flips
# Directions in which the pictures hardly differ are not blown up: noise and calipers live there. In units of the
# mean variance of a pixel.
SHRINKAGE = 10.0
TYPICAL = 50  # pictures before the mean picture is believed


def flipped(images: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """Each image (n, side, side) turned the way that ``flip`` (n,), a place in FLIPS, says.

    Examples
    --------
    >>> image = np.array([[1, 2], [3, 4]])
    >>> flipped(np.stack([image] * 4), np.arange(4)).reshape(4, 4).tolist()
    [[1, 2, 3, 4], [2, 1, 4, 3], [3, 4, 1, 2], [4, 3, 2, 1]]
    """
    images = np.where(np.isin(flip, (1, 3))[:, None, None], images[:, :, ::-1], images)
    return np.where(np.isin(flip, (2, 3))[:, None, None], images[:, ::-1], images)


def candidates(thumbnails: np.ndarray) -> pd.DataFrame:
    """For each thumbnail the most similar others, by coarse structure and in the best of the four ways round.

    Parameters
    ----------
    thumbnails : ndarray, shape (n, side, side), uint8
        None of them flat.

    Returns
    -------
    DataFrame
        A row a pair: ``first`` < ``second``, ``flip`` (place in FLIPS), ``rank`` (0: the nearest of either).

    Examples
    --------
    >>> images = np.random.default_rng(0).integers(0, 255, (20, 32, 32)).astype("uint8")
    >>> images[3] = images[1, :, ::-1]
    >>> candidates(images).query("first == 1 and second == 3").iloc[0].tolist()
    [1, 3, 1, 0]
    """
    points, part_of = _points(thumbnails)
    count = len(points)
    k = min(NEIGHBOURS + 1, count)  # each finds itself
    rows, similarity = nearest(points, np.concatenate([points * signs[part_of] for signs in SIGNS]), k)
    asked = np.repeat(np.arange(len(SIGNS) * count, dtype="int32"), k)
    table = {"image": asked % count, "other": rows.ravel(), "similarity": similarity.ravel(), "flip": asked // count}
    pairs = pd.DataFrame(table)
    pairs = pairs[(pairs["other"] >= 0) & (pairs["other"] != pairs["image"])]
    pairs = pairs.sort_values("similarity", ascending=False, kind="stable").drop_duplicates(["image", "other"])
    pairs["rank"] = pairs.groupby("image").cumcount()
    pairs = pairs[pairs["rank"] < NEIGHBOURS]
    pairs["first"] = pairs[["image", "other"]].min(axis=1)
    pairs["second"] = pairs[["image", "other"]].max(axis=1)
    pairs = pairs.sort_values(["first", "second", "rank"], kind="stable").drop_duplicates(["first", "second"])
    return pairs[["first", "second", "flip", "rank"]].reset_index(drop=True)


def _points(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point of length 1 for each thumbnail, (n, d) float32, and the part that each coordinate is of, (d,).

    What is common to all the pictures says nothing about copies, so the mean is taken out and directions in which
    pictures differ much (the dark below, the size of the lesion) are pressed down. That is done in each part on
    its own, so that a flip stays a change of signs.
    """
    parts = _parts(thumbnails)
    mean_variance = sum(float((part**2).mean()) for part in parts) / len(parts)
    parts[0] = parts[0] - parts[0].mean(0) * (len(thumbnails) / (len(thumbnails) + TYPICAL))
    coordinates, variances, part_of = [], [], []
    for number, part in enumerate(parts):
        variance, directions = np.linalg.eigh(part.T @ part / len(part))
        scale = np.sqrt(np.maximum(variance, 0) + SHRINKAGE * mean_variance + 1e-12)
        coordinates.append(part @ (directions / scale).astype("float32"))
        variances.append(variance / scale**2)
        part_of += [number] * len(variance)
    kept = np.sort(np.argsort(-np.concatenate(variances), kind="stable")[:DIMENSIONS])
    points = np.hstack(coordinates)[:, kept]
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return (points / np.where(lengths > 0, lengths, 1)).astype("float32"), np.array(part_of)[kept]


def _parts(thumbnails: np.ndarray) -> list[np.ndarray]:
    """Coarse pictures of mean 0 and length 1, divided into the four parts of SIGNS; each (n, d) float32."""
    count, side, _ = thumbnails.shape
    coarse = thumbnails.reshape(count, side // 2, 2, side // 2, 2).mean((2, 4), dtype="float32")
    coarse -= coarse.mean((1, 2), keepdims=True)
    lengths = np.sqrt((coarse**2).sum((1, 2), keepdims=True))
    coarse /= np.where(lengths > 0, lengths, 1)
    half = side // 4
    parts = []
    for across in (1, -1):
        left = coarse[:, :, :half] + across * coarse[:, :, : half - 1 : -1]
        parts += [(left[:, :half] + down * left[:, : half - 1 : -1]) / 2 for down in (1, -1)]
    return [part.reshape(count, -1) for part in parts]
