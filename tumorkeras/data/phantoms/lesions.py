"""Lesions: their traits by class, their outlines, and what they do to the tissue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from tumorkeras.data.phantoms.physics import Image, Scanner
from tumorkeras.data.phantoms.textures import smooth_noise
from tumorkeras.data.phantoms.tissue import Tissue
from tumorkeras.spec_types import LesionKind

KINDS: tuple[LesionKind, ...] = get_args(LesionKind)

Range = tuple[float, float]
Mask = NDArray[np.bool_]


class Traits(NamedTuple):
    """Ranges that the figures of a lesion are drawn from, after the lexicon of breast ultrasound.

    Attributes
    ----------
    width_mm : tuple of float
        Across the beam; drawn evenly on a logarithmic scale.
    flatness : tuple of float
        Height to width: below 1 it is wider than tall, parallel to the skin.
    contrast_db : tuple of float
        Echogenicity against the tissue in its place.
    attenuation : tuple of float
        In dB/cm/MHz: below that of tissue for enhancement behind the lesion, above it for a shadow.
    lobes, spikes : tuple of float
        Height of the waves and of the spicules of the border, as a share of the radius.
    patches_db : tuple of float
        Standard deviation of the echogenicity inside.
    rim : tuple of float
        Amplitude of the bright line around it.
    """

    width_mm: Range
    flatness: Range
    contrast_db: Range
    attenuation: Range
    lobes: Range
    spikes: Range
    patches_db: Range
    rim: Range


TRAITS: Mapping[LesionKind, Traits] = {
    "benign": Traits((4, 20), (0.45, 0.85), (-16, -5), (0.0, 0.3), (0.0, 0.05), (0, 0.04), (0.0, 2.0), (1.0, 4.0)),
    "malignant": Traits((5, 18), (0.65, 1.35), (-21, -8), (0.7, 1.05), (0.04, 0.12), (0.1, 0.4), (2.0, 4.5), (0, 0.5)),
}
ATYPICAL = 0.1  # how often a trait is drawn as for another kind, so that no trait alone tells the class
TILT = np.deg2rad(15)  # standard deviation of the long axis against the skin
WAVES = np.arange(2, 6)  # of the border, in periods around it
SPICULES = (8, 18)
LARGEST = 0.45  # of the image's height and width that a lesion may take
LEAST_RADIUS = 1.5  # pixels
TRIES = 30  # places that are tried for a lesion that must not touch the others
ANGLES = 360  # around an outline


@dataclass(frozen=True)
class Lesion:
    """One lesion; lengths in pixels.

    Attributes
    ----------
    kind : str
    center : tuple of float
        x and y.
    radii : tuple of float
        Half its width and height, before waves and spicules.
    tilt : float
        Radians.
    outline : ndarray, shape (ANGLES,)
        Distance of the border at each angle, in radii.
    traits : dict
        The figure of each trait.
    """

    kind: LesionKind
    center: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    outline: np.ndarray
    traits: Mapping[str, float]

    def mask(self, shape: tuple[int, int]) -> Mask:
        """The pixels (height, width) that it covers."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        dx, dy = x + 0.5 - self.center[0], y + 0.5 - self.center[1]
        u = (dx * np.cos(self.tilt) + dy * np.sin(self.tilt)) / self.radii[0]
        v = (dy * np.cos(self.tilt) - dx * np.sin(self.tilt)) / self.radii[1]
        turn = np.arctan2(v, u) % (2 * np.pi)
        covered = np.hypot(u, v) < np.interp(
            turn, np.linspace(0, 2 * np.pi, ANGLES + 1), np.append(self.outline, self.outline[0])
        )
        return np.asarray(covered)


def draw_lesion(rng: np.random.Generator, kind: LesionKind, shape: tuple[int, int], scanner: Scanner) -> Lesion:
    """Draw a lesion of a kind; most of it lies inside an image of (height, width) pixels, below the skin."""
    height, width = shape
    traits = _draw_traits(rng, kind)
    across = min(traits["width_mm"] / scanner.pixel_mm, LARGEST * width)
    down = min(across * traits["flatness"], LARGEST * height)
    radii = (max(across / 2, LEAST_RADIUS), max(down / 2, LEAST_RADIUS))
    inset = 0.7 * radii[0]
    x = rng.uniform(inset, width - inset)
    y = rng.uniform(0.06 * height + radii[1], max(0.06 * height + radii[1] + 1, 0.78 * height - radii[1]))
    outline = _outline(rng, traits["lobes"], traits["spikes"])
    return Lesion(kind, (x, y), radii, rng.normal(0, TILT), outline, traits)


def _draw_traits(rng: np.random.Generator, kind: LesionKind) -> dict[str, float]:
    other = {name: next(k for k in KINDS if k != name) for name in KINDS}[kind]
    figures = {}
    for name in Traits._fields:
        low, high = getattr(TRAITS[other if rng.random() < ATYPICAL else kind], name)
        share = rng.random()
        figures[name] = low * (high / low) ** share if name == "width_mm" else low + (high - low) * share
    return figures


def _outline(rng: np.random.Generator, lobes: float, spikes: float) -> np.ndarray:
    """Distance of the border from the centre at each angle: a circle of 1, with waves and spicules."""
    angle = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    phase = rng.uniform(0, 2 * np.pi, len(WAVES))
    outline = 1 + lobes * np.cos(WAVES[:, None] * angle + phase[:, None]).sum(axis=0)
    count = rng.integers(*SPICULES)
    at, height = rng.uniform(0, 2 * np.pi, count), spikes * rng.uniform(0.3, 1, count)
    away = np.angle(np.exp(1j * (angle - at[:, None])))
    return outline + (height[:, None] * np.exp(-np.square(away / rng.uniform(0.04, 0.1, (count, 1))) / 2)).sum(axis=0)


def draw_lesions(
    rng: np.random.Generator, kinds: list[LesionKind], shape: tuple[int, int], scanner: Scanner
) -> list[tuple[Lesion, Mask]]:
    """Lesions of these kinds with the pixels they cover; one that finds no room beside the others is left out."""
    placed: list[tuple[Lesion, Mask]] = []
    taken = np.zeros(shape, dtype=bool)
    for kind in kinds:
        for _ in range(TRIES if placed else 1):
            lesion = draw_lesion(rng, kind, shape, scanner)
            mask = lesion.mask(shape)
            if not (mask & taken).any():
                placed.append((lesion, mask))
                taken |= cv2.dilate(mask.astype("uint8"), np.ones((5, 5), "uint8")).astype(bool)
                break
    return placed


def with_lesion(tissue: Tissue, lesion: Lesion, mask: Mask, blur: float, rng: np.random.Generator) -> Tissue:
    """The tissue with a lesion in it, whose border is blurred by ``blur`` pixels (standard deviation)."""
    share = mask.astype("float32")
    soft = cv2.GaussianBlur(share, (0, 0), blur) if blur > 0 else share
    traits = lesion.traits
    cell = max(2.0, 0.25 * min(lesion.radii))
    inside = (
        tissue.level_db[mask].mean()
        + traits["contrast_db"]
        + traits["patches_db"] * smooth_noise(rng, mask.shape, (cell, cell))
    )
    edge = cv2.GaussianBlur(share, (0, 0), max(blur / 2, 0.7))  # thinner than the border is wide
    rim = traits["rim"] * 4 * edge * (1 - edge) * np.abs(_slope(lesion, mask.shape))
    return Tissue(
        (tissue.level_db + soft * (inside - tissue.level_db)).astype("float32"),
        (tissue.attenuation + soft * (np.float32(traits["attenuation"]) - tissue.attenuation)).astype("float32"),
        ((1 - soft) * tissue.mirrors + rim).astype("float32"),
    )


def _slope(lesion: Lesion, shape: tuple[int, int]) -> Image:
    """How much the border lies across the beam around each point: 1 above and below the centre, 0 beside it."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    across = (x + 0.5 - lesion.center[0]) / lesion.radii[0] ** 2
    down = (y + 0.5 - lesion.center[1]) / lesion.radii[1] ** 2
    return np.asarray(down / np.maximum(np.hypot(across, down), 1e-6), "float32")
