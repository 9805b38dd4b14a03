"""Tracks of moving cells to volumes (frames, height, width, 1), made batch by batch in TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec


@dataclass(frozen=True)
class TrackRenderer:
    """Draws each position of a track as a bright marker on a dark frame.

    Parameters
    ----------
    height, width : int
        Size of a frame in pixels.
    spacing : tuple of float
        Units of the tracks per pixel along y and x; the physical scale of the volume.
    marker : {"gaussian", "disk"}
        A Gaussian spot, which carries the position between the pixels, or a disk with a soft edge.
    size : float
        Standard deviation of the Gaussian or radius of the disk, in pixels.
    amplitude : {"constant", "speed"}
        Brightness 1, or ``1 + log2(1 + speed / reference_speed)`` with the step that leads to the frame.
    reference_speed : float
        Speed, in units a frame, at which the brightness is 2.
    center : {"start", "mean", "extent"}
        The point of a track that lies in the middle of the frame: its first position, its mean position,
        or the middle of its bounding box, which wastes least of the frame.
    outside : {"clip", "drop"}
        A track that leaves the frame is held at the border, or (see :meth:`inside`) is dropped by the caller.
        A track that fits may still leave it when augmentation turns or shifts it; it is then held at the border.

    Examples
    --------
    >>> renderer = TrackRenderer(height=9, width=9, spacing=(1.0, 1.0))
    >>> volumes = renderer(np.zeros((2, 4, 2), "float32"))
    >>> volumes.shape
    TensorShape([2, 4, 9, 9, 1])
    >>> float(volumes[0, 0, 4, 4, 0])
    1.0
    """

    height: int
    width: int
    spacing: tuple[float, float]
    marker: Literal["gaussian", "disk"] = "gaussian"
    size: float = 1.0
    amplitude: Literal["constant", "speed"] = "constant"
    reference_speed: float = 1.0
    center: Literal["start", "mean", "extent"] = "extent"
    outside: Literal["clip", "drop"] = "clip"

    def __post_init__(self) -> None:
        positive = {"height": self.height, "width": self.width, "size": self.size}
        positive |= {"spacing": min(self.spacing), "reference_speed": self.reference_speed}
        faults = [f"{name}: {value} is not positive" for name, value in positive.items() if not value > 0]
        if faults:
            raise DataError("rendering", faults)

    def centered(self, tracks: np.ndarray) -> np.ndarray:
        """Tracks (n, frames, 2) moved so that the chosen center is the origin."""
        tracks = np.asarray(tracks, dtype="float32")
        if self.center == "start":
            return tracks - tracks[:, :1]
        if self.center == "mean":
            return tracks - tracks.mean(axis=1, keepdims=True)
        return tracks - (tracks.min(axis=1, keepdims=True) + tracks.max(axis=1, keepdims=True)) / 2

    def recentered(self, tracks: tf.Tensor) -> tf.Tensor:
        """Centered tracks after a turn: only the middle of the bounding box has moved."""
        if self.center != "extent":
            return tracks
        return tracks - (tf.reduce_min(tracks, 1, keepdims=True) + tf.reduce_max(tracks, 1, keepdims=True)) / 2

    def inside(self, tracks: np.ndarray) -> np.ndarray:
        """Which tracks (n, frames, 2), as they are, stay in the frame at every position: a boolean array (n,)."""
        pixels = self.centered(tracks) / np.array(self.spacing[::-1], dtype="float32")
        limit = np.array([(self.width - 1) / 2, (self.height - 1) / 2], dtype="float32")
        return np.all(np.abs(pixels) <= limit, axis=(1, 2))

    def __call__(self, tracks: tf.Tensor | np.ndarray, shift: tf.Tensor | None = None) -> tf.Tensor:
        """Volumes (n, frames, height, width, 1) float32 of centered tracks (n, frames, 2), x before y.

        ``shift`` (n, 1, 2), in pixels, moves the whole track, for augmentation.
        """
        tracks = tf.convert_to_tensor(tracks, tf.float32)
        middle = tf.constant([(self.width - 1) / 2, (self.height - 1) / 2], tf.float32)
        pixels = tracks / tf.constant(self.spacing[::-1], tf.float32) + middle
        if shift is not None:
            pixels += shift
        pixels = tf.clip_by_value(pixels, 0.0, 2 * middle)
        x_offset = tf.range(self.width, dtype=tf.float32) - pixels[..., :1]
        y_offset = tf.range(self.height, dtype=tf.float32) - pixels[..., 1:]
        frames = self._marker(x_offset, y_offset)
        if self.amplitude == "speed":
            frames *= self._brightness(tracks)[:, :, None, None]
        return frames[..., None]

    def _marker(self, x_offset: tf.Tensor, y_offset: tf.Tensor) -> tf.Tensor:
        if self.marker == "gaussian":
            # A Gaussian is a product of one profile a side: height + width exponentials, not height * width.
            across = tf.exp(-tf.square(x_offset / self.size) / 2)
            down = tf.exp(-tf.square(y_offset / self.size) / 2)
            return down[..., :, None] * across[..., None, :]
        distance = tf.sqrt(tf.square(y_offset)[..., :, None] + tf.square(x_offset)[..., None, :])
        return tf.clip_by_value(self.size + 0.5 - distance, 0.0, 1.0)

    def _brightness(self, tracks: tf.Tensor) -> tf.Tensor:
        steps = tf.norm(tracks[:, 1:] - tracks[:, :-1], axis=-1)
        speed = tf.concat([steps[:, :1], steps], axis=1)
        return 1.0 + tf.math.log1p(speed / self.reference_speed) / tf.math.log(2.0)


def renderer_of(spec: DataSpec) -> TrackRenderer:
    """The renderer that a spec describes.

    With ``rendering.normalise_scale`` the tracks, and so ``input.spacing``, are in units of a cell's mean
    step.
    """
    rendering = spec.rendering
    spacing = spec.input.spacing or [1.0, 1.0, 1.0]
    return TrackRenderer(
        height=spec.input.shape[1],
        width=spec.input.shape[2],
        spacing=(spacing[1], spacing[2]),
        marker=rendering.marker,
        size=rendering.size,
        amplitude=rendering.amplitude,
        reference_speed=rendering.reference_speed,
        center=rendering.center,
        outside=rendering.outside,
    )
