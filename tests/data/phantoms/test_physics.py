"""The physics: speckle, beam, attenuation, compression, each against what theory says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tumorkeras.data.phantoms.physics import (
    Scanner,
    circular_noise,
    compressed,
    echoes,
    gain_db,
    loss_db,
    received,
)

FINE = Scanner(pixel_mm=0.1, frequency_mhz=8)
SHAPE = (300, 260)


def homogeneous(level=1.0, scanner=FINE, seed=0, shape=SHAPE):
    return echoes(np.full(shape, level, "float32"), scanner, np.random.default_rng(seed))


# --------------------------------------------------------------------------------------------------------- speckle


def test_the_envelope_of_homogeneous_tissue_is_rayleigh():
    # Every 6th row and 20th column: 5 and 7 or more standard deviations of the beam apart, so as good as independent.
    envelope = np.concatenate([np.abs(homogeneous(4.0, seed=seed))[::6, ::20].ravel() for seed in range(5)])
    assert stats.kstest(envelope, stats.rayleigh(scale=np.sqrt(4 / 2)).cdf).pvalue > 1e-3
    assert envelope.mean() / envelope.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.05)  # 1.913
    assert stats.kstest(envelope, stats.norm(envelope.mean(), envelope.std()).cdf).pvalue < 1e-6


def test_phases_are_uniform():
    field = homogeneous()[::6, ::20].ravel()
    assert stats.kstest(np.angle(field), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


@pytest.mark.parametrize("frequency", [2, 8, 30])
def test_the_mean_power_is_the_echogenicity_at_every_depth(frequency):
    """The beam spreads, but what it sends and receives is the same."""
    fields = [homogeneous(9.0, Scanner(0.1, frequency), seed) for seed in range(4)]
    power = np.mean([np.square(np.abs(field)) for field in fields], axis=0)
    thirds = [part.mean() for part in np.array_split(power[20:-20], 3)]
    assert thirds == pytest.approx([9.0] * 3, rel=0.15)


def autocorrelation(field, lag, axis):
    """Of the field, which of a Gaussian spread by s is exp(-lag^2 / 4 s^2)."""
    ahead = np.take(field, np.arange(lag, field.shape[axis]), axis=axis)
    behind = np.take(field, np.arange(field.shape[axis] - lag), axis=axis)
    return np.real(np.mean(ahead * behind.conj())) / np.mean(np.square(np.abs(field)))


def test_the_speckle_is_as_long_as_the_pulse_and_as_wide_as_the_beam():
    scanner = Scanner(pixel_mm=0.05, frequency_mhz=8, focus_mm=10)
    axial = scanner.axial_mm / 0.05
    found, expected = [], []
    field = np.concatenate([homogeneous(1.0, scanner, seed, (400, 300)) for seed in range(4)], axis=1)
    assert autocorrelation(field, 2, 0) == pytest.approx(np.exp(-(2**2) / (4 * axial**2)), abs=0.03)
    for depth in (2.0, 10.0, 19.0):
        rows = slice(int((depth - 1) / 0.05), int((depth + 1) / 0.05))
        lateral = scanner.lateral_mm(np.array(depth)) / 0.05
        found.append(autocorrelation(field[rows], 5, 1))
        expected.append(np.exp(-(5**2) / (4 * lateral**2)))
    assert found == pytest.approx(expected, abs=0.06)
    assert expected[1] < min(expected[0], expected[2])  # finest at the focus


def test_lines_in_phase_have_no_speckle():
    mirrors = np.zeros(SHAPE, "float32")
    mirrors[150] = 100
    noise = np.random.default_rng(0)
    line = np.abs(echoes(np.ones(SHAPE, "float32"), FINE, noise, mirrors))[150]
    assert line.mean() / line.std() > 10


@pytest.mark.parametrize("pixel_mm", [0.05, 0.1, 0.3])
def test_lines_are_as_bright_in_any_pixels(pixel_mm):
    scanner = Scanner(pixel_mm, frequency_mhz=8)
    mirrors = np.zeros(SHAPE, "float32")
    mirrors[100:150] = 3  # thicker than the pulse is long
    field = echoes(np.zeros(SHAPE, "float32"), scanner, np.random.default_rng(0), mirrors)
    np.testing.assert_allclose(np.abs(field[125]), 3, rtol=0.01)


def test_scatterers_have_mean_square_one():
    noise = circular_noise(np.random.default_rng(1), (400, 400))
    assert np.mean(np.square(np.abs(noise))) == pytest.approx(1, abs=0.02)
    assert abs(np.mean(noise**2)) < 0.02  # circular: no phase is preferred


# ----------------------------------------------------------------------------------------------------- attenuation


@pytest.mark.parametrize(("frequency", "attenuation"), [(5, 0.5), (10, 0.3), (3, 1.0)])
def test_before_gain_the_echo_fades_both_ways(frequency, attenuation):
    """0.5 dB/cm/MHz at 5 MHz is 2.5 dB a centimetre of tissue, 5 dB a centimetre of depth."""
    scanner = Scanner(pixel_mm=0.1, frequency_mhz=frequency, noise_db=-300)
    generator = np.random.default_rng(2)
    field = echoes(np.ones((400, 3000), "float32"), scanner, generator)
    envelope = received(field, np.full((400, 3000), attenuation, "float32"), scanner, generator)
    level = 10 * np.log10(np.mean(np.square(envelope), axis=1))
    depth_cm = scanner.depths_mm(400)[:, 0] / 10
    slope = np.polyfit(depth_cm[10:-10], level[10:-10], 1)[0]
    assert slope == pytest.approx(-2 * attenuation * frequency, rel=0.03)


def test_the_gain_curve_makes_up_for_the_expected_attenuation():
    scanner = Scanner(pixel_mm=0.1, expected_loss=0.5)
    loss = loss_db(np.full((300, 1), 0.5, "float32"), scanner)
    np.testing.assert_allclose(gain_db(300, scanner), loss)
    assert loss[-1, 0] == pytest.approx(2 * 0.5 * 10 * 3, rel=0.01)


def test_each_column_fades_by_what_it_passed():
    attenuation = np.zeros((10, 2), "float32")
    attenuation[4:6, 1] = 1.0
    loss = loss_db(attenuation, Scanner(pixel_mm=1.0, frequency_mhz=5))
    assert loss[:, 0].tolist() == [0] * 10
    assert loss[:, 1].tolist() == [0, 0, 0, 0, 0.5, 1.5, 2, 2, 2, 2]  # 1 dB a millimetre, there and back


def test_deep_down_the_noise_of_the_receiver_is_left():
    scanner = Scanner(pixel_mm=0.5, noise_db=-40)
    generator = np.random.default_rng(0)
    envelope = received(homogeneous(1.0, scanner), np.full(SHAPE, 1.0, "float32"), scanner, generator)
    assert 10 * np.log10(np.mean(np.square(envelope[-50:]))) == pytest.approx(-40, abs=0.5)


# ----------------------------------------------------------------------------------------------------- compression


def test_grey_values_are_even_in_decibels():
    scanner = Scanner(pixel_mm=0.1, dynamic_range=50, white_db=20)
    levels = np.array([-30, -20, 0, 10, 20, 40])
    envelope = np.repeat((10 ** (levels / 20))[:, None, None], 5, axis=1).astype("float32")
    grey = [compressed(row.T, scanner, np.zeros((1, 1), "float32"))[0, 2] for row in envelope]
    assert grey == [0, 51, 153, 204, 255, 255]


def test_silence_is_black():
    assert not compressed(np.zeros((4, 4), "float32"), FINE, gain_db(4, FINE)).any()
