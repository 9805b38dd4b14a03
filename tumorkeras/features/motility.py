"""Hand-made features of motion: what a careful person would measure on a track, in one table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.data.motion import check_tracks, headings_of, steps_of, turns_of

COSINE_LAGS = (1, 2, 3, 4, 5)
VELOCITY_LAGS = (1, 2, 4, 8)
STEP_LAGS = (1, 2)
MSD_LAGS = (2, 4, 8, 16)
THRESHOLDS = (1, 2, 4, 8)
NEGLIGIBLE = 1e-12  # a variance below this share of the mean square is rounding, not variation


def motility_features(tracks: ArrayLike, normalise: bool = False) -> pd.DataFrame:
    """Measure every track.

    No feature depends on where a track starts or in which direction it goes; mirroring a track only swaps
    ``turn_left`` and ``turn_right``. What a track does not define is 0: everything of a cell that never
    moves, angles beside a step of length 0, correlations of steps that are all alike, lags that are longer
    than the track.

    Parameters
    ----------
    tracks : array_like of shape (n, frames, 2)
        Positions x and y over time, at least 2 frames. Lengths below are in the unit of these positions.
    normalise : bool
        Divide each track by its own mean step first, so that speed is left out and lengths are in mean steps.

    Returns
    -------
    pandas.DataFrame
        One row per track, 40 columns of finite float64, the same for any number of frames:

        - ``step_mean``, ``step_median``, ``step_std``, ``step_min``, ``step_max``, ``step_q25``,
          ``step_q75``: length of the steps; ``step_cv``: standard deviation over mean; ``moving_over_T``:
          share of the steps longer than T (1, 2, 4, 8); ``step_acf_K``: autocorrelation of the length at lag
          K (1, 2).
        - ``total_path``, ``net_displacement``; ``straightness``: net displacement over total path, 0 to 1;
          ``max_displacement``: largest distance from the start.
        - ``radius_of_gyration``: root mean square distance from the track's centre; ``asphericity``: of the
          gyration tensor, (a - b)^2 / (a + b)^2 of its eigenvalues, 0 (round) to 1 (a line).
        - ``turn_cos_K``: mean cosine of the angle between steps K apart (1 to 5); ``turn_abs_mean``: mean
          turning angle without sign, radians; ``turn_left``, ``turn_right``: share of the turns by 45 to 135
          degrees (left is from x towards y); ``turn_backward``: share by more than 135 degrees.
        - ``velocity_acf_K``: mean inner product of displacements K apart over their mean square (1, 2, 4, 8).
        - ``msd_K``: mean square displacement over K frames, overlapping (2, 4, 8, 16); ``msd_slope``: slope
          of log MSD over log lag for the lags 1 to 16: 1 for a random walk, 2 for a straight line.
        - ``hurst``: half the slope of the same for the lags 1 to 8 with the track's drift taken out.
        - ``non_gaussianity``: mean r^4 / (2 mean(r^2)^2) - 1 of the step lengths r, 0 for normal steps in the
          plane.

    Raises
    ------
    DataError
        If the shape is wrong or a position is not finite.

    References
    ----------
    The kinds of features: Kimmel et al., PLoS Comput. Biol. 14:e1005927 (2018).

    Examples
    --------
    >>> features = motility_features([[[0, 0], [3, 4], [6, 8]]])
    >>> features[["total_path", "straightness", "turn_cos_1"]].round(3).values.tolist()
    [[10.0, 1.0, 1.0]]
    """
    positions = check_tracks(tracks, "motility_features")
    positions = positions - positions[:, :1]
    if normalise:
        scale = steps_of(positions)[1].mean(axis=1)
        positions = positions / np.where(scale > 0, scale, 1)[:, None, None]
    displacements, lengths = steps_of(positions)
    columns = {
        **_step_features(lengths),
        **_path_features(positions, lengths),
        **_turn_features(displacements, lengths),
        **_velocity_features(displacements),
        **_diffusion_features(positions, lengths),
    }
    return pd.DataFrame(columns)


def _step_features(lengths: np.ndarray) -> dict[str, np.ndarray]:
    mean, std = lengths.mean(axis=1), lengths.std(axis=1)
    q25, median, q75 = np.quantile(lengths, [0.25, 0.5, 0.75], axis=1)
    columns = {
        "step_mean": mean,
        "step_median": median,
        "step_std": std,
        "step_min": lengths.min(axis=1),
        "step_max": lengths.max(axis=1),
        "step_q25": q25,
        "step_q75": q75,
        "step_cv": _ratio(std, mean),
    }
    columns |= {f"moving_over_{threshold}": (lengths > threshold).mean(axis=1) for threshold in THRESHOLDS}
    centred = lengths - mean[:, None]
    varies = std**2 > NEGLIGIBLE * (lengths**2).mean(axis=1)
    for lag in STEP_LAGS:
        columns[f"step_acf_{lag}"] = np.where(varies, _autocorrelation(centred[..., None], lag), 0)
    return columns


def _path_features(positions: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
    from_start = np.hypot(positions[..., 0], positions[..., 1])
    total = lengths.sum(axis=1)
    centred = positions - positions.mean(axis=1, keepdims=True)
    xx, yy, xy = (_mean_product(centred, a, b) for a, b in ((0, 0), (1, 1), (0, 1)))
    return {
        "total_path": total,
        "net_displacement": from_start[:, -1],
        "straightness": _ratio(from_start[:, -1], total),
        "max_displacement": from_start.max(axis=1),
        "radius_of_gyration": np.sqrt(xx + yy),
        "asphericity": _ratio((xx - yy) ** 2 + 4 * xy**2, (xx + yy) ** 2),
    }


def _turn_features(displacements: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
    headings, moving = headings_of(displacements), lengths > 0
    columns = {}
    for lag in COSINE_LAGS:
        cosines = np.cos(headings[:, lag:] - headings[:, :-lag])
        columns[f"turn_cos_{lag}"] = _masked_mean(cosines, moving[:, lag:] & moving[:, :-lag])
    turns, defined = turns_of(displacements), moving[:, 1:] & moving[:, :-1]
    size = np.abs(turns)
    sideways = (size > np.pi / 4) & (size <= 3 * np.pi / 4)
    columns["turn_abs_mean"] = _masked_mean(size, defined)
    columns["turn_left"] = _masked_mean(sideways & (turns > 0), defined)
    columns["turn_right"] = _masked_mean(sideways & (turns < 0), defined)
    columns["turn_backward"] = _masked_mean(size > 3 * np.pi / 4, defined)
    return columns


def _velocity_features(displacements: np.ndarray) -> dict[str, np.ndarray]:
    square = (displacements**2).sum(axis=-1)
    fourth = (square**2).mean(axis=1)
    kurtosis = _ratio(fourth, 2 * square.mean(axis=1) ** 2)
    columns = {f"velocity_acf_{lag}": _autocorrelation(displacements, lag) for lag in VELOCITY_LAGS}
    columns["non_gaussianity"] = np.where(fourth > 0, kurtosis - 1, 0)
    return columns


def _diffusion_features(positions: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
    lags = (1, *MSD_LAGS)
    msd = np.stack([_mean_square_displacement(positions, lag) for lag in lags], axis=1)
    time = np.linspace(0, 1, positions.shape[1])[:, None]
    detrended = positions - time * positions[:, -1:]
    spread = np.stack([_mean_square_displacement(detrended, lag) for lag in lags[:-1]], axis=1)
    negligible = NEGLIGIBLE * (lengths**2).mean(axis=1, keepdims=True)
    columns = {f"msd_{lag}": msd[:, index] for index, lag in enumerate(lags) if lag > 1}
    columns["msd_slope"] = _log_slope(lags, msd, negligible)
    columns["hurst"] = _log_slope(lags[:-1], spread, negligible) / 2
    return columns


def _mean_square_displacement(positions: np.ndarray, lag: int) -> np.ndarray:
    if lag >= positions.shape[1]:
        return np.zeros(len(positions))
    return ((positions[:, lag:] - positions[:, :-lag]) ** 2).sum(axis=-1).mean(axis=1)


def _autocorrelation(values: np.ndarray, lag: int) -> np.ndarray:
    """Mean inner product of (n, time, k) values that are ``lag`` apart, over their mean square: (n,)."""
    if lag >= values.shape[1]:
        return np.zeros(len(values))
    product = (values[:, lag:] * values[:, :-lag]).sum(axis=-1).mean(axis=1)
    return _ratio(product, (values**2).sum(axis=-1).mean(axis=1))


def _log_slope(lags: tuple[int, ...], values: np.ndarray, negligible: np.ndarray) -> np.ndarray:
    """Least-squares slope of log values (n, lags) over log lags, without negligible values: (n,)."""
    use = values > negligible
    x = np.broadcast_to(np.log(lags), values.shape)
    y = np.log(values, out=np.zeros_like(values), where=use)
    x = np.where(use, x - _masked_mean(x, use)[:, None], 0)
    return _ratio((x * y).sum(axis=1), (x**2).sum(axis=1))


def _mean_product(values: np.ndarray, first: int, second: int) -> np.ndarray:
    return (values[..., first] * values[..., second]).mean(axis=1)


def _masked_mean(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    return _ratio((values * use).sum(axis=1), use.sum(axis=1))


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """``over / under``, and 0 where ``under`` is 0."""
    over, under = np.asarray(over, np.float64), np.asarray(under, np.float64)
    return np.divide(over, under, out=np.zeros_like(under), where=under > 0)
