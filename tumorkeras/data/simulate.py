"""Simulated motion of cells: random walk, Lévy flight and fractional Brownian motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from scipy import fft

from tumorkeras.errors import DataError
from tumorkeras.spec import MotionKind

KINDS: tuple[MotionKind, ...] = get_args(MotionKind)


def simulate_motility(
    kind: MotionKind,
    n: int,
    frames: int = 101,
    *,
    hurst: float = 0.7,
    alpha: float = 1.5,
    mean_step: float = 5.0,
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Simulate the tracks of ``n`` cells that move in the plane.

    Every kind has the same expected step length, so that speed does not tell the kinds apart.

    Parameters
    ----------
    kind : {"random_walk", "levy_flight", "fractional_brownian"}
        ``random_walk`` has independent normal steps in x and y. ``levy_flight`` has independent directions,
        uniform on the circle, and Pareto step lengths, P(step > s) = (x_m / s) ** alpha for s > x_m.
        ``fractional_brownian`` has normal steps as the random walk, correlated over time within x and within
        y, drawn from their exact distribution.
    n : int
        Number of tracks, at least 0.
    frames : int
        Number of positions in a track, at least 2.
    hurst : float
        Hurst exponent of ``fractional_brownian``, in (0, 1): 0.5 is the random walk, above it motion
        persists.
    alpha : float
        Tail index of ``levy_flight``, in (1, 2]: the smaller, the longer the rare jumps.
    mean_step : float
        Expected distance between two positions in a row, above 0, in the unit of the positions (pixels). The
        variance of a Lévy step is infinite, so the average over a sample of flights comes near it only
        slowly.
    seed : int, numpy.random.Generator or None
        The same seed gives the same tracks.

    Returns
    -------
    numpy.ndarray
        Positions x and y, float32 of shape (n, frames, 2). Every track starts at (0, 0).

    Raises
    ------
    DataError
        If an argument is outside its range; all faults are named at once.

    References
    ----------
    The kinds and the mean step: Kimmel, Brack & Marshall, bioRxiv 159202 (2017).
    Fractional Brownian motion: Davies & Harte, Biometrika 74:95-101 (1987).

    Examples
    --------
    >>> tracks = simulate_motility("levy_flight", 4, frames=50, seed=0)
    >>> tracks.shape, tracks.dtype
    ((4, 50, 2), dtype('float32'))
    """
    _check(kind, n, frames, hurst, alpha, mean_step, seed)
    rng = np.random.default_rng(seed)
    steps: dict[str, Callable[[], np.ndarray]] = {
        "random_walk": lambda: normal_steps(rng, n, frames - 1),
        "levy_flight": lambda: levy_steps(rng, n, frames - 1, alpha),
        "fractional_brownian": lambda: fractional_steps(rng, n, frames - 1, hurst),
    }
    tracks = np.zeros((n, frames, 2), np.float32)
    tracks[:, 1:] = np.cumsum(mean_step * steps[kind](), axis=1)
    return tracks


def normal_steps(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
    """Independent normal steps of mean length 1: (n, count, 2); their lengths are Rayleigh distributed."""
    return np.sqrt(2 / np.pi) * rng.standard_normal((n, count, 2))


def levy_steps(rng: np.random.Generator, n: int, count: int, alpha: float) -> np.ndarray:
    """Independent steps of mean length 1 with a Pareto tail of index ``alpha``: (n, count, 2)."""
    shortest = (alpha - 1) / alpha
    length = shortest * (1 - rng.random((n, count))) ** (-1 / alpha)  # 1 - u is never 0
    heading = rng.uniform(0, 2 * np.pi, (n, count))
    return length[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)


def fractional_steps(rng: np.random.Generator, n: int, count: int, hurst: float) -> np.ndarray:
    """Fractional Gaussian noise in x and in y, of mean length 1: (n, count, 2).

    The covariance is embedded in a circulant matrix, whose eigenvectors are the Fourier basis. The real and
    the imaginary part of one transform are independent: they are x and y.
    """
    lags = np.arange(count + 1)
    covariance = fractional_covariance(lags, hurst)
    eigenvalues = fft.fft(np.concatenate([covariance, covariance[-2:0:-1]])).real
    if eigenvalues.min() < -1e-9 * eigenvalues.max():
        fault = f"hurst = {hurst}, frames = {count + 1}: no exact simulation exists"
        raise DataError("simulate_motility", [fault])
    size = len(eigenvalues)
    noise = rng.standard_normal((n, size, 2)).view(np.complex128)[..., 0]
    noise *= np.sqrt(eigenvalues.clip(0) / size)
    steps = fft.fft(noise, axis=1, overwrite_x=True)[:, :count]
    return np.sqrt(2 / np.pi) * np.stack([steps.real, steps.imag], axis=-1)


def fractional_covariance(lags: np.ndarray, hurst: float) -> np.ndarray:
    """Covariance of unit fractional Gaussian noise with itself at integer ``lags``, of the same shape."""
    lags = np.abs(np.asarray(lags, np.float64))
    power = 2 * hurst
    return ((lags + 1) ** power - 2 * lags**power + np.abs(lags - 1) ** power) / 2


def _check(kind: Any, n: Any, frames: Any, hurst: Any, alpha: Any, mean_step: Any, seed: Any) -> None:
    rules = {
        "kind": (kind, isinstance(kind, str) and kind in KINDS, f"one of {', '.join(KINDS)}"),
        "n": (n, is_integer(n) and n >= 0, "an integer from 0"),
        "frames": (frames, is_integer(frames) and frames >= 2, "an integer from 2"),
        "hurst": (hurst, is_finite(hurst) and 0 < hurst < 1, "a number above 0 and below 1"),
        "alpha": (alpha, is_finite(alpha) and 1 < alpha <= 2, "a number above 1 and up to 2"),
        "mean_step": (mean_step, is_finite(mean_step) and mean_step > 0, "a finite number above 0"),
        "seed": (seed, is_seed(seed), "an integer from 0, a numpy Generator or None"),
    }
    faults = [f"{name}: found {value!r}, expected {rule}" for name, (value, ok, rule) in rules.items() if not ok]
    if faults:
        raise DataError("simulate_motility", faults)


def is_integer(value: Any) -> bool:
    """Whether ``value`` is a whole number, of Python or of NumPy, and no bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether ``value`` is a real, finite number and no bool."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and bool(np.isfinite(value))


def is_seed(value: Any) -> bool:
    """Whether ``value`` seeds a generator: an integer from 0, a generator, or None for a new start."""
    return value is None or isinstance(value, np.random.Generator) or (is_integer(value) and value >= 0)
