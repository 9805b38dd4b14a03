"""Many boxes in which an object may lie, found in three ways in a grey image (height, width) float32 from 0 to 1.

Boxes are (n, 4) float64, xyxy in pixels of that image. They may reach over its border and repeat each other; what is
dark on bright and what is bright on dark is found alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
Candidates = NDArray[np.float64]

SMALLEST = 5  # pixels, the least side of a candidate; below it noise is all there is

# Blobs: sizes in pixels (roots of the area), a step of sqrt(2) apart, and how much wider than high.
SMALLEST_BLOB, LARGEST_BLOB = 10.0, 0.65  # the latter as a share of the longer side
ASPECTS = (0.75, 1.0, 1.5, 2.2, 3.0)  # lesions lie along the layers of tissue
SURROUND = 1.6  # sigma of the wider Gaussian: with it the difference is close to the Laplacian's
FAINTEST = 0.004

MSER_DELTAS = (3, 8, 20)  # grey levels over which a region must hardly change: noise asks for more
GROUNDS = (0.05, 0.12)  # sigma of what is taken for the ground, as shares of the longer side
QUANTILES, LEVELS = 10, 2  # thresholds at quantiles of the values, and at even steps between their ends
SMOOTHING = (1.5, 3.0, 6.0)  # pixels
DISKS = (1.0, 1.3)  # an object that is longer than wide is more than the largest disk in it


def _joined(found: list[NDArray]) -> Candidates:
    return np.concatenate([np.empty((0, 4)), *found])


def _smooth(grey: Grey, across: float, down: float) -> Grey:
    return cv2.GaussianBlur(grey, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REFLECT).astype("float32")


def _peaks(values: Grey, reach: tuple[int, int], least: float) -> tuple[NDArray, NDArray]:
    """Rows and columns of the largest values within ``reach`` pixels (down, across)."""
    neighbours = np.ones((2 * reach[0] + 1, 2 * reach[1] + 1), "uint8")
    rows, columns = np.nonzero((values >= cv2.dilate(values, neighbours)) & (values > least))
    return rows, columns


# ------------------------------------------------------------------------------------------------------------ blobs


def blobs(grey: Grey) -> Candidates:
    """Extrema of differences of Gaussians, round and oblong, over scales.

    References
    ----------
    Lindeberg, Feature detection with automatic scale selection, IJCV 30:79-116 (1998).
    """
    height, width = grey.shape
    steps = np.arange(np.log2(max(LARGEST_BLOB * max(grey.shape) / SMALLEST_BLOB, 0.5)) * 2 + 1e-9)
    sizes = [
        (size * aspect**0.5, size / aspect**0.5) for size in SMALLEST_BLOB * 2 ** (steps / 2) for aspect in ASPECTS
    ]
    return _joined([_blobs_of(grey, wide, high) for wide, high in sizes if wide <= width and high <= height])


def _blobs_of(grey: Grey, wide: float, high: float) -> Candidates:
    """Boxes of one width and height. Large ones are looked for in a small image, where wide Gaussians are cheap."""
    height, width = grey.shape
    stride = max(1, int(min(wide, high)) // 10)
    small = (max(1, width // stride), max(1, height // stride))
    scaled = cv2.resize(grey, small, interpolation=cv2.INTER_AREA).astype("float32")
    across, down = width / scaled.shape[1], height / scaled.shape[0]
    # A disk answers most where sigma is its radius over sqrt(2).
    sigmas = wide / across / 8**0.5, high / down / 8**0.5
    difference = _smooth(scaled, *sigmas) - _smooth(scaled, SURROUND * sigmas[0], SURROUND * sigmas[1])
    reach = max(1, int(0.8 * sigmas[1])), max(1, int(0.8 * sigmas[0]))
    found = []
    for polarity in (difference, -difference):
        rows, columns = _peaks(polarity, reach, FAINTEST)
        centres = np.stack([(columns + 0.5) * across, (rows + 0.5) * down], axis=1)
        half = np.array([wide, high]) / 2
        found.append(np.concatenate([centres - half, centres + half], axis=1))
    return _joined(found)


# ------------------------------------------------------------------------------------------------------------- MSER


def stable_regions(grey: Grey) -> Candidates:
    """Maximally stable extremal regions: what keeps its shape over a range of thresholds.

    References
    ----------
    Matas et al., Robust wide-baseline stereo from maximally stable extremal regions, BMVC (2002).
    """
    if min(grey.shape) < SMALLEST:
        return _joined([])  # OpenCV refuses images of less than 3 pixels
    levels = np.round(_smooth(grey, SMOOTHING[0], SMOOTHING[0]) * 255).astype("uint8")
    found = []
    for delta in MSER_DELTAS:
        detector = cv2.MSER.create(
            delta=delta,
            min_area=SMALLEST**2,
            max_area=int(0.6 * grey.size),
            max_variation=0.5,
            min_diversity=0.1,
        )
        _, boxes = detector.detectRegions(levels)  # dark and bright ones
        found.append(_from_sides(np.reshape(boxes, (-1, 4))))
    return _joined(found)


def _from_sides(boxes: NDArray) -> Candidates:
    """Boxes as OpenCV has them, a corner and the sides, as xyxy."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]], axis=1).astype("float64")


# --------------------------------------------------------------------------------------------------------- contours


def contours(grey: Grey) -> Candidates:
    """Connected parts below and above many thresholds, and the disks in them where objects touch.

    The image is taken as it is and without its ground, so that one threshold holds where the ground is uneven, as in
    ultrasound, which gets darker with the depth.
    """
    grounds = [_smooth(grey, sigma, sigma) for sigma in (share * max(grey.shape) for share in GROUNDS)]
    found = []
    for flat in (grey, *(grey - ground for ground in grounds)):
        smooth = [_smooth(flat, sigma, sigma) for sigma in SMOOTHING]
        found += [_parts_of(mask) for each in smooth for mask in _masks(each, QUANTILES, LEVELS)]
        found += [_disks_of(mask) for mask in _masks(smooth[0], QUANTILES // 2, 0)]
    return _joined(found)


def _masks(smooth: Grey, quantiles: int, levels: int) -> Iterator[NDArray[np.uint8]]:
    """What is below and what is above each threshold, 0 or 1. Even steps find small objects on a flat ground."""
    at_quantiles = np.quantile(smooth, np.linspace(0, 1, quantiles + 2)[1:-1])
    between = np.linspace(smooth.min(), smooth.max(), levels + 2)[1:-1]
    for threshold in np.unique(np.concatenate([at_quantiles, between]).astype("float32")):
        yield (smooth < threshold).astype("uint8")
        yield (smooth > threshold).astype("uint8")


def _parts_of(mask: NDArray[np.uint8]) -> Candidates:
    """Boxes of the connected parts of a mask that are no specks."""
    _, _, parts, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    parts = parts[1:]  # the first is what is not in the mask
    large = (parts[:, cv2.CC_STAT_AREA] >= SMALLEST**2) & (parts[:, 2:4] >= SMALLEST).all(axis=1)
    return _from_sides(parts[large])


def _disks_of(mask: NDArray[np.uint8]) -> Candidates:
    """Boxes of the largest disks within a mask whose holes are filled: objects that touch have one each."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, thickness=-1)
    # What the border of the image cuts goes on beyond it.
    padded = cv2.copyMakeBorder(filled, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    if padded.all():
        return _joined([])  # no edge to measure from
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1].astype("float32")
    radii = _smooth(distance, 1.0, 1.0)
    rows, columns = _peaks(radii, (4, 4), least=SMALLEST - 1)
    centres, radius = np.stack([columns, rows], axis=1) + 0.5, radii[rows, columns][:, None]
    return _joined([np.concatenate([centres - k * radius, centres + k * radius], axis=1) for k in DISKS])
