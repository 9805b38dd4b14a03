"""Millimetres a pixel, from the three places where a TIFF may say it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

MILLIMETRES = {
    "m": 1e3, "cm": 10.0, "mm": 1.0, "nm": 1e-6, "pm": 1e-9, "Å": 1e-7, "in": 25.4, "inch": 25.4,
    "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "\\u00B5m": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3,
    "millimeter": 1.0, "centimeter": 10.0,
}  # fmt: skip
PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
SIZE = re.compile(r"""\bPhysicalSize([XYZ])(Unit)?\s*=\s*["']([^"']*)["']""")
RESOLUTION = {"X": 282, "Y": 283}
UNIT = 296
UNITS = {2: 25.4, 3: 10.0}  # millimetres of the inch and centimetre that the resolution counts
# Programs write these whatever the image is of: they say how it was to be printed or shown.
PRINTED = (72, 96, 100, 120, 150, 180, 200, 240, 300, 400, 600, 1200)


def spacing_of(tiff: Any, axes: str) -> tuple[dict[str, float], list[str]]:
    """Millimetres along X, Y and Z, as far as they are known, and notes.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    axes : str
        Axes of the series; only "Z" has a spacing of its own, not pages or time points.
    """
    notes: list[str] = []
    if tiff.is_ome:
        steps = ome_spacing(tiff.ome_metadata or "")
    elif tiff.is_imagej:
        steps = _imagej_spacing(tiff)
    else:
        steps = _resolution(tiff.pages[0], notes)
    if "Z" not in axes and not tiff.is_imagej:
        steps.pop("Z", None)
    return steps, notes


def ome_spacing(xml: str) -> dict[str, float]:
    """Physical sizes of the first image of an OME-XML text, in millimetres.

    Examples
    --------
    >>> ome_spacing('<OME><Image><Pixels PhysicalSizeX="0.5" PhysicalSizeY="2" PhysicalSizeYUnit="mm"/></Image></OME>')
    {'X': 0.0005, 'Y': 2.0}
    """
    pixels = PIXELS.search(xml)
    if pixels is None:
        return {}
    found = {(axis, bool(unit)): value for axis, unit, value in SIZE.findall(pixels[0])}
    units = {axis: MILLIMETRES.get(found.get((axis, True), "µm")) for axis in "XYZ"}
    return _positive({axis: (found.get((axis, False)), units[axis]) for axis in "XYZ"})


def _imagej_spacing(tiff: Any) -> dict[str, float]:
    described = tiff.imagej_metadata or {}
    unit = MILLIMETRES.get(str(described.get("unit", "")))
    steps: dict[str, tuple[Any, float | None]] = {
        axis: (_step(tiff.pages[0], tag), unit) for axis, tag in RESOLUTION.items()
    }
    steps["Z"] = (described.get("spacing"), unit)
    return _positive(steps)


def _resolution(page: Any, notes: list[str]) -> dict[str, float]:
    unit = UNITS.get(int(page.tags.valueof(UNIT, 1)))
    steps = _positive({axis: (_step(page, tag), unit) for axis, tag in RESOLUTION.items()})
    if steps and all(_is_printed(25.4 / step) for step in steps.values()):
        notes.append(f"{25.4 / steps['X' if 'X' in steps else 'Y']:.0f} dots an inch are for printing: no spacing")
        return {}
    return steps


def _is_printed(dots: float) -> bool:
    return dots < 2 or any(abs(dots - usual) < 1 for usual in PRINTED)


def _step(page: Any, tag: int) -> float | None:
    """Units a pixel; the tag holds pixels a unit, as a fraction."""
    above, below = page.tags.valueof(tag, (0, 0))
    return below / above if above else None


def _positive(steps: Mapping[str, tuple[Any, float | None]]) -> dict[str, float]:
    found = {}
    for axis, (value, unit) in steps.items():
        try:
            step = float(value) * float(unit or "nan")
        except (TypeError, ValueError):
            continue
        if math.isfinite(step) and step > 0:
            found[axis] = step
    return found
