"""From what tissue scatters and absorbs to the picture of a B-mode scanner: NumPy and OpenCV only."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]
Field = NDArray[np.complex64]

SOUND_MM = 1.54  # millimetres that sound runs in tissue in a microsecond
FWHM = float(np.sqrt(8 * np.log(2)))  # full width at half maximum of a Gaussian, in standard deviations
WINDOW = 4.0  # standard deviations after which a Gaussian is cut
DISPLAY = 0.6  # pixels: standard deviation of the smoothing in scan conversion


@dataclass(frozen=True)
class Scanner:
    """A linear array, described by what it does to the envelope.

    The point-spread function is a Gaussian on the demodulated field, in place of a pulse with its carrier: the
    statistics of the envelope are the same, and nothing is sampled finer than the picture.

    Parameters
    ----------
    pixel_mm : float
        Side of a pixel in millimetres.
    frequency_mhz : float
        Of the pulse: the higher, the finer the speckle, and the faster the echo fades.
    cycles : float
        Length of the pulse in wavelengths; half of it is the axial resolution.
    f_number : float
        Focal depth to aperture; the lateral resolution at the focus is so many wavelengths.
    focus_mm : float
        Depth at which the beam is narrowest.
    expected_loss : float
        Attenuation in dB/cm/MHz that the time gain curve makes up for.
    noise_db : float
        Of the receiver, below the echo of tissue of 0 dB at the surface.
    dynamic_range : float
        Decibels from black to white.
    white_db : float
        What is white, above tissue of 0 dB.

    Examples
    --------
    >>> scanner = Scanner(pixel_mm=0.2, frequency_mhz=7.7)
    >>> round(scanner.wavelength_mm, 3), scanner.lateral_mm(np.array([5.0, 18.0, 40.0])).round(2).tolist()
    (0.2, [0.34, 0.25, 0.47])
    """

    pixel_mm: float
    frequency_mhz: float = 10.0
    cycles: float = 3.0
    f_number: float = 3.0
    focus_mm: float = 18.0
    expected_loss: float = 0.5
    noise_db: float = -62.0
    dynamic_range: float = 60.0
    white_db: float = 30.0

    @property
    def wavelength_mm(self) -> float:
        """Wavelength in tissue, in millimetres."""
        return SOUND_MM / self.frequency_mhz

    @property
    def axial_mm(self) -> float:
        """Standard deviation of the point-spread function along depth, in millimetres."""
        return self.cycles / 2 * self.wavelength_mm / FWHM

    def lateral_mm(self, depth_mm: np.ndarray) -> np.ndarray:
        """Standard deviation across depth, in millimetres: a Gaussian beam, which widens away from its focus.

        Half as fast as it does in transmission, since the focus of reception follows the echo.
        """
        waist = self.f_number * self.wavelength_mm / FWHM
        rayleigh_range = 8 * self.f_number**2 * self.wavelength_mm
        return waist * np.sqrt(1 + ((depth_mm - self.focus_mm) / rayleigh_range) ** 2)

    def depths_mm(self, rows: int) -> Image:
        """Depth of the middle of each row, (rows, 1), in millimetres."""
        return np.asarray((np.arange(rows) + 0.5) * self.pixel_mm, "float32")[:, None]


def circular_noise(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Complex circular Gaussian values of mean square 1: scatterers of random strength and phase."""
    parts = rng.standard_normal((*shape, 2), dtype="float32") * np.float32(np.sqrt(0.5))
    return parts.view("complex64")[..., 0]


def echoes(power: Image, scanner: Scanner, rng: np.random.Generator, mirrors: Image | None = None) -> Field:
    """The demodulated field that tissue sends back, without attenuation.

    Parameters
    ----------
    power : ndarray, shape (height, width), float32
        Echogenicity, as mean power: in homogeneous tissue it is the mean square of the envelope, whose amplitude is
        Rayleigh distributed there (Wagner et al. 1983).
    scanner : Scanner
    rng : numpy.random.Generator
    mirrors : ndarray, shape (height, width), float32, optional
        Amplitude of what reflects in phase, as borders of tissue do; it adds lines without speckle, whose echo has
        this amplitude where they are thicker than the pulse is long.

    References
    ----------
    Wagner, Smith, Sandrik & Lopez, IEEE Transactions on Sonics and Ultrasonics 30:156-163 (1983).
    """
    height, width = power.shape
    sigma = scanner.lateral_mm(scanner.depths_mm(height)) / scanner.pixel_mm
    around = int(np.ceil(WINDOW * sigma.max()))
    transfer, kernel = _beam(sigma, width + 2 * around), _pulse(scanner)
    amplitude = np.pad(np.sqrt(power), [(0, 0), (around, around)], mode="edge")
    field = circular_noise(rng, amplitude.shape) * amplitude
    if mirrors is not None:  # echoes in phase add up: without the division finer pixels would make brighter lines
        field += np.pad(mirrors / (transfer[:, :1] * kernel.sum()), [(0, 0), (around, around)], mode="edge")
    return _spread(field, transfer, kernel)[:, around : around + width]


def _beam(sigma: np.ndarray, width: int) -> Image:
    """Transfer function of each row, at unit energy, so that a row is as bright as what it scatters."""
    frequency = fft.fftfreq(fft.next_fast_len(width)).astype("float32")
    transfer = np.exp(-2 * np.square(np.pi * sigma * frequency))
    return np.asarray(transfer / np.sqrt(np.mean(np.square(transfer), axis=1, keepdims=True)), "float32")


def _pulse(scanner: Scanner) -> Image:
    """The pulse along depth, (rows, 1), at unit energy."""
    sigma = scanner.axial_mm / scanner.pixel_mm
    kernel = cv2.getGaussianKernel(2 * int(np.ceil(WINDOW * sigma)) + 1, sigma, cv2.CV_32F)
    return np.asarray(kernel / np.sqrt(np.sum(np.square(kernel))), "float32")


def _spread(field: Field, transfer: Image, kernel: Image) -> Field:
    """Each row spread across by its own beam, all rows along depth by the pulse."""
    across = fft.ifft(fft.fft(field, transfer.shape[1], axis=1) * transfer, axis=1)[:, : field.shape[1]]
    parts = np.ascontiguousarray(across).view("float32").reshape(*field.shape, 2)
    spread = cv2.sepFilter2D(parts, -1, np.ones(1, "float32"), kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(spread).view("complex64")[..., 0]


def loss_db(attenuation: Image, scanner: Scanner) -> Image:
    """What the way to each pixel and back costs, in dB.

    Parameters
    ----------
    attenuation : ndarray, shape (height, width), float32
        In dB/cm/MHz. A lesion that absorbs less than its surroundings leaves the tissue behind it brighter
        (enhancement), one that absorbs more leaves it darker (shadow).
    scanner : Scanner

    Examples
    --------
    >>> loss_db(np.full((10, 1), 0.5, "float32"), Scanner(pixel_mm=1.0, frequency_mhz=10))[[0, 9], 0].tolist()
    [0.5, 9.5]
    """
    passed = np.cumsum(attenuation, axis=0, dtype="float32") - attenuation / 2
    return np.asarray(passed * (2 * scanner.frequency_mhz * scanner.pixel_mm / 10), "float32")


def received(field: Field, attenuation: Image, scanner: Scanner, rng: np.random.Generator) -> Image:
    """The envelope after attenuation, with the noise of the receiver, before any gain."""
    fading = np.power(10, -loss_db(attenuation, scanner) / 20)
    noise = circular_noise(rng, field.shape[:2]) * np.float32(10 ** (scanner.noise_db / 20))
    return np.abs(field * fading + noise)


def gain_db(rows: int, scanner: Scanner) -> Image:
    """The time gain curve (rows, 1): what the expected attenuation costs at each depth, in dB."""
    return loss_db(np.full((rows, 1), scanner.expected_loss, "float32"), scanner)


def compressed(envelope: Image, scanner: Scanner, gain: Image) -> NDArray[np.uint8]:
    """Gain in dB, then logarithm, then grey values, 0 being ``dynamic_range`` below white.

    The display is smoothed a little, as scan conversion does; without it the zeros between speckles are black dots.

    Examples
    --------
    >>> scanner = Scanner(pixel_mm=0.2, dynamic_range=60, white_db=30)
    >>> for level in (1.0, 10.0, 1e-9, 1e9):
    ...     print(compressed(np.full((1, 1), level, "float32"), scanner, np.zeros((1, 1), "float32")).item(), end=" ")
    128 212 0 255
    """
    decibels = 20 * np.log10(np.maximum(envelope, np.float32(1e-12))) + gain
    share = np.clip(1 + (decibels - scanner.white_db) / scanner.dynamic_range, 0, 1)
    return np.rint(255 * cv2.GaussianBlur(share, (3, 3), DISPLAY)).astype("uint8")
