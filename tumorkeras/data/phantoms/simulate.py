"""Breast ultrasound with lesions, image by image a function of the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tumorkeras.boxes import Boxes, pad
from tumorkeras.data.phantoms import physics
from tumorkeras.data.phantoms.calipers import draw_calipers
from tumorkeras.data.phantoms.lesions import KINDS, Lesion, Mask, draw_lesions, with_lesion
from tumorkeras.data.phantoms.physics import Scanner
from tumorkeras.data.phantoms.tissue import breast
from tumorkeras.data.simulate import is_finite, is_integer
from tumorkeras.errors import DataError
from tumorkeras.spec import SMALLEST_PHANTOM
from tumorkeras.spec_types import LesionKind

MOST = 20  # lesions: more find no room
LIMITS = {"without": (0, 1), "depth_mm": (10, 200), "frequency_mhz": (1, 40), "blur_mm": (0, 5)}


class Phantom(NamedTuple):
    """One image.

    Attributes
    ----------
    image : ndarray, shape (height, width), uint8
    boxes : ndarray, shape (lesions, 4), float32
        xyxy in pixels, half-open, tight around what is seen of each lesion.
    classes : ndarray, shape (lesions,), int64
    mask : ndarray, shape (height, width), uint8
        0 tissue, k + 1 the lesion of box k.

    Examples
    --------
    >>> image, boxes, classes, mask = Series((48, 64), seed=0).image(0)
    >>> image.shape, mask.shape, len(boxes) == len(classes)
    ((48, 64), (48, 64), True)
    """

    image: NDArray[np.uint8]
    boxes: Boxes
    classes: NDArray[np.int64]
    mask: NDArray[np.uint8]


class Ultrasound(NamedTuple):
    """Simulated images with their lesions; the arrays of :class:`Phantom`, stacked.

    Attributes
    ----------
    images : ndarray, shape (n, height, width), uint8
    boxes : ndarray, shape (n, most, 4), float32
        Padded with 0.
    classes : ndarray, shape (n, most), int32
        Padded with -1.
    masks : ndarray, shape (n, height, width), uint8

    Examples
    --------
    >>> found = simulate_ultrasound(2, size=(48, 64), seed=0)
    >>> found.images.shape, found.masks.shape
    ((2, 48, 64), (2, 48, 64))
    """

    images: NDArray[np.uint8]
    boxes: Boxes
    classes: NDArray[np.int32]
    masks: NDArray[np.uint8]


@dataclass(frozen=True)
class Series:
    """Images without end, each drawn by its number alone; the fields are those of :func:`simulate_ultrasound`."""

    size: tuple[int, int] = (192, 192)
    classes: tuple[LesionKind, ...] = KINDS
    most: int = 3
    without: float = 0.2
    depth_mm: float = 40.0
    frequency_mhz: float = 10.0
    blur_mm: float = 0.3
    calipers: bool | Sequence[LesionKind] = False
    seed: int = 0

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel in millimetres."""
        return self.depth_mm / self.size[0]

    def lesions(self, number: int) -> list[tuple[Lesion, Mask]]:
        """The lesions of an image and the pixels they cover, without drawing it."""
        rng = self._generators(number)[0]
        if rng.random() < self.without:
            return []
        shares = 1 / np.arange(1, self.most + 1) ** 2  # most images have one
        count = 1 + int(rng.choice(self.most, p=shares / shares.sum()))
        kinds = [self.classes[k] for k in rng.integers(len(self.classes), size=count)]
        return draw_lesions(rng, kinds, self.size, Scanner(self.pixel_mm, self.frequency_mhz))

    def outlines(self, number: int) -> tuple[Boxes, NDArray[np.int64]]:
        """Boxes and class ids of an image, without drawing it."""
        return self._described(self.lesions(number))

    def image(self, number: int) -> Phantom:
        """Draw an image."""
        lesions = self.lesions(number)
        rng = self._generators(number)[1]
        scanner = self._scanner(rng)
        tissue = breast(rng, self.size, scanner)
        mask = np.zeros(self.size, "uint8")
        for k, (lesion, covered) in enumerate(lesions):
            tissue = with_lesion(tissue, lesion, covered, self.blur_mm / self.pixel_mm, rng)
            mask[covered] = k + 1
        field = physics.echoes(np.power(10, tissue.level_db / 10), scanner, rng, tissue.mirrors)
        envelope = physics.received(field, tissue.attenuation, scanner, rng)
        picture = physics.compressed(envelope, scanner, physics.gain_db(self.size[0], scanner))
        marked = self.classes if self.calipers is True else self.calipers or ()
        draw_calipers(picture, [covered for lesion, covered in lesions if lesion.kind in marked])
        return Phantom(picture, *self._described(lesions), mask)

    def _generators(self, number: int) -> list[np.random.Generator]:
        """One for the lesions and one for the rest of an image, so that either can be had without the other."""
        return [np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number, k))) for k in (0, 1)]

    def _scanner(self, rng: np.random.Generator) -> Scanner:
        """A scanner as somebody has set it."""
        return Scanner(
            self.pixel_mm,
            self.frequency_mhz,
            focus_mm=self.depth_mm * rng.uniform(0.3, 0.6),
            expected_loss=rng.uniform(0.36, 0.48),
            dynamic_range=rng.uniform(55, 70),
            white_db=rng.uniform(24, 34),
        )

    def _described(self, lesions: list[tuple[Lesion, Mask]]) -> tuple[Boxes, NDArray[np.int64]]:
        boxes = np.array([box_of(mask) for _, mask in lesions], "float32").reshape(-1, 4)
        return boxes, np.array([self.classes.index(lesion.kind) for lesion, _ in lesions], "int64")


def simulate_ultrasound(
    n: int,
    size: tuple[int, int] = (192, 192),
    *,
    classes: Sequence[LesionKind] = KINDS,
    most: int = 3,
    without: float = 0.2,
    depth_mm: float = 40.0,
    frequency_mhz: float = 10.0,
    blur_mm: float = 0.3,
    calipers: bool | Sequence[LesionKind] = False,
    seed: int = 0,
) -> Ultrasound:
    """Simulate ``n`` B-mode images of the breast with lesions, and say where they are.

    Scatterers of random strength and phase, weighed by the echogenicity of layered tissue, are spread by the
    point-spread function of the scanner, fade on their way, are amplified by a time gain curve and compressed. So the
    envelope has the statistics of speckle, and what lies behind a lesion is brighter or darker because it absorbs less
    or more. Benign lesions are smooth, wider than tall, evenly dark, with a thin bright rim; malignant ones are
    lobulated or spiculated, often taller than wide, darker and uneven. Each trait is sometimes that of the other class.

    Parameters
    ----------
    n : int
        Number of images, at least 0.
    size : tuple of int
        Height and width in pixels, each at least 32; pixels are square, and the height shows ``depth_mm``.
    classes : sequence of {"benign", "malignant"}
        Kinds of lesions that occur, equally often; their order gives the class ids.
    most : int
        Most lesions in an image, at least 1; most images have one.
    without : float
        Share of images without a lesion, 0 to 1.
    depth_mm : float
        Depth that is shown, 10 to 200 millimetres.
    frequency_mhz : float
        Of the pulse, 1 to 40 megahertz: the higher, the finer the speckle, and the stronger the shadows.
    blur_mm : float
        Standard deviation of the lesions' border, 0 to 5 millimetres.
    calipers : bool or sequence of {"benign", "malignant"}
        Burn a white cross into the image at each end of each lesion, as sonographers do; or only of the lesions of
        these kinds, which is a shortcut to the class. Nothing else changes.
    seed : int
        At least 0. Image k is a function of the seed and k: it is the same whatever ``n`` is.

    Returns
    -------
    Ultrasound
        ``images`` (n, height, width) uint8, ``boxes`` (n, most, 4) float32, xyxy, half-open, tight around the masks and
        padded with 0, ``classes`` (n, most) int32, padded with -1, and ``masks`` (n, height, width) uint8: 0 tissue,
        k + 1 the lesion of box k.

    Raises
    ------
    DataError
        If an argument is outside its range; all faults are named at once.

    References
    ----------
    Speckle: Wagner, Smith, Sandrik & Lopez, IEEE Transactions on Sonics and Ultrasonics 30:156-163 (1983).
    Signs of the classes: Stavros et al., Radiology 196:123-134 (1995).

    Examples
    --------
    >>> scans = simulate_ultrasound(3, (64, 96), without=0, seed=0)
    >>> scans.images.shape, scans.boxes.shape
    ((3, 64, 96), (3, 3, 4))
    >>> x, y = scans.boxes[0, 0, :2].astype(int)
    >>> bool((scans.masks[0] == 1)[y:, x:].any())
    True
    """
    series = Series(size, tuple(classes), most, without, depth_mm, frequency_mhz, blur_mm, calipers, seed)
    if faults := _faults(n=n, **vars(series)):
        raise DataError("simulate_ultrasound", faults)
    images = np.zeros((n, *series.size), "uint8")
    masks = np.zeros_like(images)
    boxes, ids = [], []
    for k in range(n):
        images[k], own, own_ids, masks[k] = series.image(k)
        boxes.append(own)
        ids.append(own_ids)
    return Ultrasound(images, *pad(boxes, ids, most), masks)


def name_of(number: int) -> str:
    """Name of an image, whatever the number of all."""
    return f"phantom_{number:05}"


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """The tight box of a mask that covers at least one pixel.

    Examples
    --------
    >>> box_of(np.pad(np.ones((2, 3), bool), 1))
    (1, 1, 4, 3)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _faults(**given: Any) -> list[str]:
    """What is outside its range among the arguments."""
    size, classes, seed = given["size"], given["classes"], given["seed"]
    sides = (
        isinstance(size, Sequence)
        and len(size) == 2
        and all(is_integer(side) and side >= SMALLEST_PHANTOM for side in size)
    )
    calipers = given["calipers"]
    marks = isinstance(calipers, bool) or (isinstance(calipers, Sequence) and set(calipers) <= set(KINDS))
    known = 0 < len(classes) == len(set(classes)) and set(classes) <= set(KINDS)
    rules = {
        "n": (is_integer(given["n"]) and given["n"] >= 0, "an integer from 0"),
        "size": (sides, f"two integers from {SMALLEST_PHANTOM}, height and width"),
        "classes": (known, f"different ones of {', '.join(KINDS)}"),
        "most": (is_integer(given["most"]) and 1 <= given["most"] <= MOST, f"an integer from 1 to {MOST}"),
        "calipers": (marks, f"True, False, or some of {', '.join(KINDS)}"),
        "seed": (is_integer(seed) and seed >= 0, "an integer from 0"),
    }
    for name, (low, high) in LIMITS.items():
        rules[name] = (is_finite(given[name]) and low <= given[name] <= high, f"a number from {low} to {high}")
    return [f"{name}: found {given[name]!r}, expected {rule}" for name, (right, rule) in rules.items() if not right]
