"""Lesions: outlines, traits of the classes, what lies behind them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tumorkeras.data.phantoms.lesions import (
    KINDS,
    TRAITS,
    Lesion,
    Traits,
    draw_lesion,
    draw_lesions,
    with_lesion,
)
from tumorkeras.data.phantoms.physics import Scanner, gain_db, received
from tumorkeras.data.phantoms.tissue import Tissue, breast

SHAPE = (192, 192)
SCANNER = Scanner(pixel_mm=0.2)
PLAIN = {"contrast_db": -12.0, "attenuation": 0.5, "patches_db": 0.0, "rim": 0.0}


def ellipse(x=96.0, y=70.0, a=40.0, b=20.0, tilt=0.0, **traits):
    return Lesion("benign", (x, y), (a, b), tilt, np.ones(360), {**PLAIN, **traits})


def even(level=0.0):
    return Tissue(np.full(SHAPE, level, "float32"), np.full(SHAPE, 0.5, "float32"), np.zeros(SHAPE, "float32"))


def drawn(kind, count=300):
    generator = np.random.default_rng(5)
    return [draw_lesion(generator, kind, SHAPE, SCANNER) for _ in range(count)]


# ---------------------------------------------------------------------------------------------------------- outline


@pytest.mark.parametrize("tilt", [0.0, 0.6, np.pi / 2])
def test_a_plain_outline_is_the_ellipse(tilt):
    mask = ellipse(tilt=tilt).mask(SHAPE)
    y, x = np.nonzero(mask)
    assert mask.sum() == pytest.approx(np.pi * 40 * 20, rel=0.01)
    assert [x.mean() + 0.5, y.mean() + 0.5] == pytest.approx([96, 70], abs=0.1)
    axis = np.linalg.eigh(np.cov(x, y))[1][:, -1]
    assert abs(axis @ [np.cos(tilt), np.sin(tilt)]) == pytest.approx(1, abs=0.01)


def test_lesions_do_not_touch_each_other():
    generator = np.random.default_rng(0)
    for _ in range(20):
        placed = draw_lesions(generator, ["benign", "malignant", "benign", "malignant"], SHAPE, SCANNER)
        assert placed
        assert np.sum([mask for _, mask in placed], axis=0).max() == 1
        count, _ = cv2.connectedComponents(np.any([mask for _, mask in placed], axis=0).astype("uint8"))
        assert count - 1 >= len(placed)  # a spicule may come loose


def solidity(mask):
    """Area to the area of the convex hull: 1 for smooth outlines."""
    contours, _ = cv2.findContours(mask.astype("uint8"), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    return cv2.contourArea(largest) / cv2.contourArea(cv2.convexHull(largest))


def test_the_classes_differ_in_shape_and_overlap():
    figures = {}
    for kind in KINDS:
        lesions = drawn(kind)
        # All of one size, so that pixels do not tell.
        masks = [replace(one, center=(96, 96), radii=(50, 50 * one.radii[1] / one.radii[0])) for one in lesions]
        flatness = np.array([one.radii[1] / one.radii[0] for one in lesions])
        figures[kind] = flatness, np.array([solidity(one.mask(SHAPE)) for one in masks])
    (flat, smooth), (tall, jagged) = figures["benign"], figures["malignant"]
    assert np.mean(flat > 1) < 0.1 < 0.35 < np.mean(tall > 1)
    assert np.median(smooth) > 0.96 > 0.93 > np.median(jagged)
    assert np.quantile(smooth, 0.02) < np.quantile(jagged, 0.9)
    assert np.quantile(flat, 0.9) > np.quantile(tall, 0.1)


def test_traits_are_mostly_those_of_the_class():
    for kind in KINDS:
        for name in Traits._fields:
            low, high = getattr(TRAITS[kind], name)
            inside = np.mean([low <= one.traits[name] <= high for one in drawn(kind)])
            assert inside > 0.85, name
    unlike = [one for one in drawn("benign") if one.traits["attenuation"] > 0.5]
    assert 0.05 < len(unlike) / 300 < 0.15


# ----------------------------------------------------------------------------------------- what it does to tissue


def test_the_border_is_blurred_as_far_as_is_asked():
    lesion = ellipse()
    mask = lesion.mask(SHAPE)
    levels = [
        with_lesion(even(), lesion, mask, blur, np.random.default_rng(0)).level_db[:, 96] for blur in (0.0, 2.0, 6.0)
    ]
    assert set(levels[0]) == {0.0, -12.0}
    widths = [np.sum((level < -1) & (level > -11)) for level in levels]
    assert widths[0] == 0 < widths[1] < widths[2]
    assert all(level[70] < -11.5 for level in levels)


def test_the_rim_lies_on_the_border_and_across_the_beam():
    lesion = ellipse(rim=2.0)
    mask = lesion.mask(SHAPE)
    mirrors = with_lesion(even(), lesion, mask, 1.0, np.random.default_rng(0)).mirrors
    assert 1.2 < mirrors[49:52, 96].max() <= 2.0  # the border lies between two pixels
    assert mirrors[70, 54:58].max() < 0.1  # beside the lesion the border runs along the beam
    assert mirrors[70, 96] == pytest.approx(0, abs=1e-6)


def echo_behind(attenuation):
    """Mean level behind a lesion against the same depth beside it, in dB, over many speckles."""
    lesion = ellipse(y=60, a=40, b=30, attenuation=attenuation)
    mask = lesion.mask(SHAPE)
    tissue = with_lesion(even(), lesion, mask, 1.0, np.random.default_rng(0))
    quiet = replace(SCANNER, noise_db=-200)
    envelope = received(np.ones(SHAPE, "complex64"), tissue.attenuation, quiet, np.random.default_rng(1))
    level = 20 * np.log10(envelope) + gain_db(SHAPE[0], quiet)
    return level[120:, 90:102].mean() - level[120:, :20].mean()


@pytest.mark.parametrize(("attenuation", "expected"), [(0.0, 12.0), (0.5, 0.0), (1.0, -12.0)])
def test_what_lies_behind_is_brighter_or_darker_by_what_it_absorbs(attenuation, expected):
    """12 mm of tissue at 0.5 dB/cm/MHz and 10 MHz cost 12 dB, there and back."""
    assert echo_behind(attenuation) == pytest.approx(expected, abs=0.6)


def test_tissue_is_layered():
    levels = np.mean(
        [breast(np.random.default_rng(k), SHAPE, SCANNER).level_db.mean(axis=1) for k in range(20)], axis=0
    )
    skin, fat, gland, muscle = levels[2], levels[18:28].mean(), levels[75:95].mean(), levels[150:165].mean()
    assert skin > gland > max(fat, muscle)


def test_small_and_odd_images_have_tissue():
    for shape in ((32, 32), (33, 300), (300, 33)):
        tissue = breast(np.random.default_rng(0), shape, Scanner(pixel_mm=40 / shape[0]))
        for part in (tissue.level_db, tissue.attenuation, tissue.mirrors):
            assert (part.shape, part.dtype) == (shape, "float32")
            assert np.isfinite(part).all()
