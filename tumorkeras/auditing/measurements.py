"""What a decoded sample is, in numbers."""

from __future__ import annotations

import cv2
import numpy as np

from tumorkeras.auditing.appearance import appearance
from tumorkeras.data.readers import Reading

SLICES = 16  # of a volume whose border and sharpness are measured
PIECE = 2**18  # values whose spread is measured at once
BORDER = 8  # the border is an eighth of the height and width on each side

Numbers = dict[str, float]


def measure_image(reading: Reading) -> Numbers:
    """Size, spacing, intensity, border and sharpness of an image or volume.

    Parameters
    ----------
    reading : Reading
        Array (height, width, channels) or (depth, height, width, channels) with at least one pixel.

    Returns
    -------
    dict of str to float
        ``depth`` (volumes only), ``height``, ``width``, ``channels``, ``bits``, ``spacing_0`` ... (mm, in the order of
        the axes, where known); what :func:`measure_values` returns; ``border_mean``, ``border_std`` and ``corner_0``
        to ``corner_3`` (means; top left, top right, bottom left, bottom right) in the units of the file;
        ``laplacian_std``, the standard deviation of the Laplacian, large where the picture is sharp or noisy; and
        what :func:`tumorkeras.auditing.appearance.appearance` returns.

    Examples
    --------
    >>> picture = np.zeros((16, 8, 1), np.uint8)
    >>> picture[:2, :1] = 90
    >>> found = measure_image(Reading(picture, None, {}))
    >>> [found[name] for name in ("height", "width", "bits", "maximum", "corner_0", "corner_1")]
    [16.0, 8.0, 8.0, 90.0, 90.0, 0.0]
    """
    array = reading.array
    names = ("depth", "height", "width", "channels")[-array.ndim :]
    found = {name: float(side) for name, side in zip(names, array.shape, strict=True)}
    found["bits"] = float(reading.metadata.get("bits") or 8 * array.dtype.itemsize)
    if reading.spacing is not None:
        found |= {f"spacing_{axis}": float(step) for axis, step in enumerate(reading.spacing)}
    planes = _grey(array)
    return {
        **found,
        **measure_values(array, found["bits"]),
        **_border(np.mean(planes, axis=0)),
        "laplacian_std": _sharpness(planes),
        **appearance(array),
    }


def measure_track(reading: Reading) -> Numbers:
    """Length and motion of a track (frames, 2), in the units of its positions.

    Returns
    -------
    dict of str to float
        ``frames``, ``mean_step``, ``net_displacement`` (from the first position to the last), ``bits``, and what
        :func:`measure_values` returns.

    Examples
    --------
    >>> found = measure_track(Reading(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]]), None, {}))
    >>> found["frames"], found["mean_step"], found["net_displacement"]
    (3.0, 2.5, 5.0)
    """
    track = np.asarray(reading.array, np.float64)
    with np.errstate(invalid="ignore"):  # infinities; that they are there is told by `finite`
        steps = np.linalg.norm(np.diff(track, axis=0), axis=1)
        net = np.linalg.norm(track[-1] - track[0])
    return {
        "frames": float(len(track)),
        "mean_step": float(steps.mean()) if len(steps) else 0.0,
        "net_displacement": float(net),
        "bits": 8.0 * reading.array.dtype.itemsize,
        **measure_values(track, 64.0),
        "constant": float(not steps.any()),
    }


def measure_values(array: np.ndarray, bits: float) -> Numbers:
    """Range and spread of the finite values of an array.

    Parameters
    ----------
    array : ndarray
        Numbers or truth values, at least one.
    bits : float
        Bits that a value may use; 12 in most DICOM files that store 16.

    Returns
    -------
    dict of str to float
        ``minimum``, ``maximum``, ``mean``, ``std`` (NaN where nothing is finite), ``finite`` and ``constant`` (1 for
        yes), ``zero`` (share of values that are 0) and ``saturated`` (share at the largest value that whole numbers
        of so many bits have; 0 for floating point).

    Examples
    --------
    >>> found = measure_values(np.array([0, 0, 255, 255], np.uint8), 8)
    >>> found["mean"], found["zero"], found["saturated"], found["constant"]
    (127.5, 0.5, 0.5, 0.0)
    """
    zero = 1 - float(np.count_nonzero(array)) / array.size
    finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
    values = array if finite else array[np.isfinite(array)]
    if not values.size:
        empty = dict.fromkeys(("minimum", "maximum", "mean", "std"), float("nan"))
        return {**empty, "finite": 0.0, "constant": 0.0, "zero": zero, "saturated": 0.0}
    low, high = float(values.min()), float(values.max())
    mean, std = _mean_and_std(values)
    return {
        "minimum": low,
        "maximum": high,
        "mean": mean,
        "std": std,
        "finite": float(finite),
        "constant": float(finite and low == high),
        "zero": zero,
        "saturated": _saturated(values, high, bits),
    }


def _mean_and_std(values: np.ndarray) -> tuple[float, float]:
    """In pieces: NumPy's own takes eight bytes for every value of a volume, twice."""
    flat = values.reshape(-1)
    pieces = [flat[start : start + PIECE] for start in range(0, flat.size, PIECE)]
    mean = sum(float(piece.sum(dtype=np.float64)) for piece in pieces) / flat.size
    variance = sum(float(np.square(piece - np.float64(mean)).sum()) for piece in pieces) / flat.size
    return mean, float(np.sqrt(variance))


def _saturated(values: np.ndarray, high: float, bits: float) -> float:
    if values.dtype.kind not in "ui":
        return 0.0
    top = 2 ** (int(bits) - (values.dtype.kind == "i")) - 1
    return float(np.count_nonzero(values >= top)) / values.size if high >= top else 0.0


def _grey(array: np.ndarray) -> list[np.ndarray]:
    """The mean of the channels, (height, width) float32: of an image, or of at most 16 slices of a volume."""
    slices = array[None] if array.ndim == 3 else array
    chosen = np.unique(np.linspace(0, len(slices) - 1, SLICES).astype(int))
    with np.errstate(invalid="ignore", over="ignore"):
        # Channel by channel: a mean along an axis of three is ten times slower.
        return [np.mean([np.float32(channel) for channel in np.moveaxis(slices[k], -1, 0)], axis=0) for k in chosen]


def _border(plane: np.ndarray) -> Numbers:
    height, width = (max(1, side // BORDER) for side in plane.shape)
    inside = np.zeros(plane.shape, dtype=bool)
    inside[height:-height, width:-width] = True
    strip = plane[~inside]
    rows, columns = (slice(height), slice(-height, None)), (slice(width), slice(-width, None))
    corners = [float(plane[row, column].mean()) for row in rows for column in columns]
    with np.errstate(invalid="ignore"):
        found = {"border_mean": float(strip.mean()), "border_std": float(strip.std())}
    return {**found, **{f"corner_{k}": mean for k, mean in enumerate(corners)}}


def _sharpness(planes: list[np.ndarray]) -> float:
    return float(np.mean([cv2.meanStdDev(cv2.Laplacian(plane, cv2.CV_32F))[1].item() for plane in planes]))
