"""The breast around the lesions: skin, fat with septa, fibroglandular bands, muscle, chest wall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tumorkeras.data.phantoms.physics import Image, Scanner
from tumorkeras.data.phantoms.textures import contour_lines, smooth_noise, wavy_line


class Layer(NamedTuple):
    """A kind of tissue, and the ranges that its figures are drawn from.

    Attributes
    ----------
    bottom : tuple of float
        Where it ends, as a share of the depth of the image.
    level_db : tuple of float
        Mean echogenicity.
    blotches_db : float
        Standard deviation of the echogenicity from place to place.
    grain_mm : tuple of float
        How far its texture reaches down and across.
    lines : tuple of float
        Amplitude of the thin bright lines in it, against speckle of 0 dB.
    """

    bottom: tuple[float, float]
    level_db: tuple[float, float]
    blotches_db: float
    grain_mm: tuple[float, float]
    lines: tuple[float, float]


LAYERS = (
    Layer((0.03, 0.05), (4.0, 8.0), 1.0, (0.6, 8.0), (4.0, 10.0)),  # skin
    Layer((0.15, 0.38), (-10.0, -4.0), 3.0, (2.4, 6.0), (2.0, 9.0)),  # subcutaneous fat, septa between its lobules
    Layer((0.45, 0.75), (-1.0, 3.0), 6.0, (1.4, 5.0), (1.0, 7.0)),  # fibroglandular tissue
    Layer((0.72, 0.98), (-9.0, -4.0), 4.0, (1.0, 9.0), (1.0, 7.0)),  # pectoral muscle, striated
    Layer((2.0, 2.0), (-16.0, -8.0), 4.0, (2.4, 9.0), (1.0, 6.0)),  # chest wall
)
BORDER_MM = 0.25  # over which one layer becomes the next
WAVE_MM = 9.0  # length of the waves of a border
ATTENUATION = (0.42, 0.58)  # dB/cm/MHz, mean of the healthy tissue of an image
UNEVEN = 0.1  # its standard deviation from place to place
UNEVEN_MM = 10.0


@dataclass(frozen=True)
class Tissue:
    """What an image shows before the scanner: ``level_db``, ``attenuation`` in dB/cm/MHz, ``mirrors`` as amplitude."""

    level_db: Image
    attenuation: Image
    mirrors: Image


def breast(rng: np.random.Generator, shape: tuple[int, int], scanner: Scanner) -> Tissue:
    """Draw the tissue of an image of (height, width) pixels."""
    level = np.zeros(shape, "float32")
    mirrors = np.zeros(shape, "float32")
    for layer, share in zip(LAYERS, _shares(rng, shape, scanner), strict=True):
        rows = np.flatnonzero(share.max(axis=1) > 0)
        if rows.size:
            own = slice(rows[0], rows[-1] + 1)
            layer_level, lines = _texture(rng, layer, (own.stop - own.start, shape[1]), scanner)
            level[own] += share[own] * layer_level
            mirrors[own] += share[own] * lines
    uneven = smooth_noise(rng, shape, (UNEVEN_MM / scanner.pixel_mm, UNEVEN_MM / scanner.pixel_mm))
    attenuation = np.asarray(np.maximum(rng.uniform(*ATTENUATION) + UNEVEN * uneven, 0.05), "float32")
    return Tissue(level, attenuation, mirrors)


def _shares(rng: np.random.Generator, shape: tuple[int, int], scanner: Scanner) -> list[Image]:
    """How much of each layer a pixel has, (height, width) each; together 1."""
    depth = scanner.depths_mm(shape[0])
    whole = shape[0] * scanner.pixel_mm
    above: Image = np.ones(shape, "float32")
    shares = []
    for number, layer in enumerate(LAYERS):
        wave = wavy_line(rng, shape[1], WAVE_MM / scanner.pixel_mm, whole * (0.004 if number == 0 else 0.022))
        tilt = rng.normal(0, 0 if number == 0 else 0.08) * np.linspace(-0.5, 0.5, shape[1])[None]
        bottom = whole * (rng.uniform(*layer.bottom) + tilt) + wave
        below = np.clip(0.5 + (depth - bottom) / (2 * BORDER_MM), 0, 1).astype("float32")
        below = np.minimum(below, above)  # no layer comes up through the one above it
        shares.append(above - below)
        above = below
    return shares


def _texture(rng: np.random.Generator, layer: Layer, shape: tuple[int, int], scanner: Scanner) -> tuple[Image, Image]:
    """Echogenicity in dB and the lines of one layer."""
    cell = (layer.grain_mm[0] / scanner.pixel_mm, layer.grain_mm[1] / scanner.pixel_mm)
    noise = smooth_noise(rng, shape, cell)
    blotches = smooth_noise(rng, shape, (2.5 * cell[0], cell[1]))
    strength, levelness = contour_lines(noise, max(0.5, 0.1 / scanner.pixel_mm))
    # Squared, so that few lines are bright and many are faint, as septa are.
    brightness = np.square(np.clip(0.3 + 0.8 * blotches, 0, 1.8)) * rng.uniform(*layer.lines)
    level = rng.uniform(*layer.level_db) + layer.blotches_db * (0.5 * noise + 0.9 * blotches) + 4 * strength
    return level.astype("float32"), (brightness * strength * levelness).astype("float32")
